"""Run the workflow: Snakemake does the work, people see a bar and, if it fails, why."""

from __future__ import annotations

import fcntl
import json
import os
import re
import selectors
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from phasefront.core.errors import DISK_ERRORS, InputError

# Of an exception, events tell class and text; the number of a system's error
# and the exit status of a job stand in the text alone.
_SYSTEM_ERROR = re.compile(r"\[Errno (\d+)\] [^:\n]+(?:: '([^']+)')?")
_EXIT_STATUS = re.compile(r"returned non-zero exit status (\d+)")


def snakemake(configs: Iterable[Path], *options: str) -> list[str]:
    """The command that runs Snakemake on an experiment."""
    return [sys.executable, "-m", "snakemake", *_arguments(configs, *options)]


def _arguments(configs: Iterable[Path], *options: str) -> list[str]:
    return ["--configfile", *map(str, configs), *options]


def require_workflow() -> None:
    """Raise InputError where the working folder is no checkout, in which alone a run can go."""
    if not Path("Snakefile").is_file():
        raise InputError(
            Path.cwd(), "has no Snakefile, so it is no checkout of phasefront",
            remedy="work in the checkout; paths in configs and tables count from there",
        )  # fmt: skip


@contextmanager
def only_run(results: Path) -> Iterator[BinaryIO]:
    """The transcript of a run, to write; no other run gets it before this one has ended.

    The system takes the lock away from a run that was killed. Where a file system has no locks,
    Snakemake's alone must do. Raises InputError where another run is going.
    """
    path = results / "logs/snakemake.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as transcript:
        with suppress(OSError):
            try:
                fcntl.flock(transcript, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    results, "another run is going there", remedy="wait until it has ended"
                ) from None
        yield transcript


@contextmanager
def waiting_snakemake() -> Iterator[Waiting]:
    """Snakemake, which imports itself while the caller checks what it is to run."""
    from snakemake_logger_plugin_phasefront import DESCRIPTOR

    reading, writing = os.pipe()
    with (
        os.fdopen(reading, "rb") as events,
        subprocess.Popen(
            [sys.executable, "-m", "phasefront.cli.waiting_snakemake"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=[writing],
            env=os.environ | {DESCRIPTOR: str(writing)},
        ) as process,
    ):  # fmt: skip
        os.close(writing)
        try:
            yield Waiting(process, events)
        finally:
            if not process.stdin.closed:  # it was told nothing
                process.kill()


@dataclass(frozen=True)
class Waiting:
    """A process of `waiting_snakemake`, and what comes of its events."""

    process: subprocess.Popen
    events: BinaryIO

    def run(self, configs: list[Path], *options: str, python: Mapping[str, str]) -> None:
        """Have it begin. If it has ended, its words say why."""
        told = {"arguments": _arguments(configs, *options), "environment": dict(python)}
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(told).encode())
        with suppress(BrokenPipeError):
            self.process.stdin.close()


def run_workflow(
    configs: list[Path], snakemake: Waiting, *, cores: int, transcript: BinaryIO,
    python: Mapping[str, str], report: Path | None = None,
) -> int:  # fmt: skip
    """Run all rules that have work to do; Snakemake's own words go to `transcript`.

    `python` are the variables of `fork_server.forking_python`. Where `report` is named, Snakemake
    writes its report there in the end, which takes another one of its own two seconds longer.
    Returns 0, or 2 where a job refused its input (its sentence is on stderr), or 1. Raises
    InputError where Snakemake's lock is in the way, and OSError where it met one of a disk.
    """
    options = ["--cores", str(cores), "--logger", "phasefront"]
    if report:
        options += ["--report", str(report), "--report-after-run"]
    transcript.truncate(0)
    told, process = _Told(transcript), snakemake.process
    snakemake.run(configs, *options, python=python)
    try:
        _show_progress(told.listen(snakemake.events, process.stdout))
    except KeyboardInterrupt:
        snakemake.events.close()
        process.stdout.read()  # it got the signal too, and ends its jobs and frees the folder
        process.wait()
        raise
    if process.wait() == 0:
        return 0
    if error := told.disk_error():
        raise error
    if any(error["exception"] == "LockException" for error in told.of("error")):
        raise InputError(
            Path.cwd(),
            "another run is going in this folder, or one was killed",
            remedy="wait until it has ended; if it was killed, free the folder with: "
            f"phasefront unlock {' '.join(map(str, configs))}",
        )
    return _explain_failure(told)


@dataclass
class _Told:
    """What Snakemake has told: events to us, and words to people."""

    transcript: BinaryIO
    events: list[dict] = field(default_factory=list)
    words: bytearray = field(default_factory=bytearray)

    def listen(self, events: BinaryIO, words: BinaryIO) -> Iterator[dict]:
        """Each event as it comes, until both pipes are closed; the words go to the transcript."""
        begun = b""
        with selectors.DefaultSelector() as pipes:
            pipes.register(events, selectors.EVENT_READ)
            pipes.register(words, selectors.EVENT_READ)
            while pipes.get_map():
                for pipe, _ in pipes.select():
                    read = os.read(pipe.fd, 1 << 16)
                    if not read:
                        pipes.unregister(pipe.fileobj)
                    elif pipe.fileobj is words:
                        self.words += read
                        with suppress(OSError):  # a full disk must not stop the jobs that are going
                            self.transcript.write(read)
                    else:
                        *lines, begun = (begun + read).split(b"\n")
                        for line in lines:
                            self.events.append(json.loads(line))
                            yield self.events[-1]

    def of(self, kind: str) -> list[dict]:
        return [event for event in self.events if event["event"] == kind]

    def disk_error(self) -> OSError | None:
        """What a disk did to Snakemake itself; jobs write to their logs."""
        for error in self.of("error"):
            for number, path in _SYSTEM_ERROR.findall(error["msg"]):
                if int(number) in DISK_ERRORS:
                    return OSError(int(number), os.strerror(int(number)), path or None)
        return None


def _show_progress(events: Iterable[dict]) -> None:
    """A bar on a terminal, a plain line every tenth of the way elsewhere."""
    if sys.stderr.isatty():
        _show_bar(events)
        return
    shown = 0
    for event in events:
        if event["event"] == "progress":
            done, total = event["done"], event["total"]
            if 10 * done // total > shown:
                shown = 10 * done // total
                print(f"{done} of {total} steps done", file=sys.stderr, flush=True)


def _show_bar(events: Iterable[dict]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("planning", total=None)
        for event in events:
            if event["event"] == "run_info":
                progress.update(task, total=event["stats"]["total"])
            elif event["event"] == "job_info":
                progress.update(task, description=event["rule_name"].replace("_", " "))
            elif event["event"] == "progress":
                progress.update(task, completed=event["done"], total=event["total"])


def _explain_failure(told: _Told) -> int:
    logs = [Path(log) for failed in told.of("job_error") for log in failed["log"]]
    for log in dict.fromkeys(logs):
        words = log.read_text(encoding="utf-8").rstrip() if log.is_file() else ""
        silent = f"{log}: the job failed without a word; see whether its disk is full."
        print(words or silent, file=sys.stderr)
    if not logs:
        last = told.words.decode(errors="replace").splitlines()[-20:]
        print("\n".join(last), file=sys.stderr)
    stopped = f"The run stopped; all that Snakemake said is in {told.transcript.name}."
    print(stopped, file=sys.stderr)
    errors = told.of("error")
    statuses = {status for error in errors for status in _EXIT_STATUS.findall(error["msg"])}
    return 2 if statuses == {"2"} else 1
