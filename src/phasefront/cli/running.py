"""Run the workflow: Snakemake does the work, people see a bar and, if it fails, why."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from phasefront.core.errors import DISK_ERRORS, InputError

_STEPS = re.compile(r"^(\d+) of (\d+) steps")
_RULE = re.compile(r"^(?:local)?rule (\w+):")
_TOTAL = re.compile(r"^total\s+(\d+)")
_FAILED_LOG = re.compile(r"^\s+log: (.+?) \(check log file")
_LOCKED = "Directory cannot be locked"
# Snakemake's own; jobs write to their logs.
_DISK_ERROR = re.compile(r"(?:OS|Permission)Error: \[Errno (\d+)\] [^:]+(?:: '(.+)')?$")
_EXIT_STATUS = re.compile(r"returned non-zero exit status (\d+)")


def snakemake(configs: Iterable[Path], *options: str) -> list[str]:
    """The command that runs Snakemake on an experiment."""
    return [sys.executable, "-m", "snakemake", "--configfile", *map(str, configs), *options]


@contextmanager
def only_run(results: Path) -> Iterator[TextIO]:
    """The transcript of a run, to write; no other run gets it before this one has ended.

    The system takes the lock away from a run that was killed. Where a file system has no locks,
    Snakemake's alone must do. Raises InputError where another run is going.
    """
    path = results / "logs/snakemake.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as transcript:
        with suppress(OSError):
            try:
                fcntl.flock(transcript, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    results, "another run is going there", remedy="wait until it has ended"
                ) from None
        yield transcript


def run_workflow(configs: list[Path], *, cores: int, transcript: TextIO) -> int:
    """Run all rules that have work to do; Snakemake's own words go to `transcript`.

    Returns 0, or 2 where a job refused its input (its sentence is on stderr), or 1. Raises
    InputError where Snakemake's lock is in the way, and OSError where it met one of a disk.
    """
    command = snakemake(configs, "--cores", str(cores))
    transcript.truncate(0)
    said: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        try:
            _show_progress(_keeping(process.stdout, said, transcript))
        except KeyboardInterrupt:
            process.communicate()  # it got the signal too, and ends its jobs and frees the folder
            raise
    if process.returncode == 0:
        return 0
    for line in said:
        if (found := _DISK_ERROR.match(line)) and int(found[1]) in DISK_ERRORS:
            raise OSError(int(found[1]), os.strerror(int(found[1])), found[2])
    if any(_LOCKED in line for line in said):
        raise InputError(
            Path.cwd(),
            "another run is going in this folder, or one was killed",
            remedy="wait until it has ended; if it was killed, free the folder with: "
            f"phasefront unlock {' '.join(map(str, configs))}",
        )
    return _explain_failure(said, transcript.name)


def _keeping(lines: Iterator[str], said: list[str], transcript: TextIO) -> Iterator[str]:
    for line in lines:
        said.append(line.rstrip("\n"))
        with suppress(OSError):  # a full disk must not stop the jobs that are going
            transcript.write(line)
            transcript.flush()
        yield line


def _show_progress(lines: Iterator[str]) -> None:
    """A bar on a terminal, a plain line every tenth of the way elsewhere."""
    if sys.stderr.isatty():
        _show_bar(lines)
        return
    shown = 0
    for line in lines:
        if found := _STEPS.match(line):
            done, total = int(found[1]), int(found[2])
            if 10 * done // total > shown:
                shown = 10 * done // total
                print(f"{done} of {total} steps done", file=sys.stderr, flush=True)


def _show_bar(lines: Iterator[str]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("planning", total=None)
        for line in lines:
            if found := _TOTAL.match(line):
                progress.update(task, total=int(found[1]))
            elif found := _RULE.match(line):
                progress.update(task, description=found[1].replace("_", " "))
            elif found := _STEPS.match(line):
                progress.update(task, completed=int(found[1]), total=int(found[2]))


def _explain_failure(said: list[str], transcript: str) -> int:
    logs = [Path(found[1]) for line in said if (found := _FAILED_LOG.match(line))]
    for log in dict.fromkeys(logs):
        words = log.read_text(encoding="utf-8").rstrip() if log.is_file() else ""
        silent = f"{log}: the job failed without a word; see whether its disk is full."
        print(words or silent, file=sys.stderr)
    if not logs:
        print("\n".join(said[-20:]), file=sys.stderr)
    print(f"The run stopped; all that Snakemake said is in {transcript}.", file=sys.stderr)
    statuses = set(_EXIT_STATUS.findall("\n".join(said)))
    return 2 if statuses == {"2"} else 1
