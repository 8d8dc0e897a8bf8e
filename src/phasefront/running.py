"""Run the workflow: Snakemake does the work, people see a bar and, if it fails, why."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

PROFILE = "workflow/profiles/default"
_STEPS = re.compile(r"^(\d+) of (\d+) steps")
_RULE = re.compile(r"^(?:local)?rule (\w+):")
_TOTAL = re.compile(r"^total\s+(\d+)")
_FAILED_LOG = re.compile(r"^\s+log: (.+?) \(check log file")
_EXIT_STATUS = re.compile(r"returned non-zero exit status (\d+)")


def snakemake(configs: Iterable[Path], *options: str) -> list[str]:
    """The command that runs Snakemake on an experiment."""
    return [sys.executable, "-m", "snakemake", "--configfile", *map(str, configs), *options]


def run_workflow(configs: Iterable[Path], *, cores: int, transcript: Path) -> int:
    """Run all rules that have work to do; Snakemake's own words go to `transcript`.

    Returns 0, or 2 where a job refused its input (its sentence is on stderr), or 1.
    """
    command = snakemake(configs, "--workflow-profile", PROFILE, "--cores", str(cores))
    transcript.parent.mkdir(parents=True, exist_ok=True)
    with (
        transcript.open("w", encoding="utf-8") as kept,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process,
    ):
        _show_progress(_keeping(process.stdout, kept))
    if process.returncode == 0:
        return 0
    return _explain_failure(transcript)


def _keeping(lines: Iterator[str], kept) -> Iterator[str]:
    for line in lines:
        kept.write(line)
        kept.flush()
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


def _explain_failure(transcript: Path) -> int:
    text = transcript.read_text(encoding="utf-8")
    logs = [Path(found[1]) for line in text.splitlines() if (found := _FAILED_LOG.match(line))]
    for log in dict.fromkeys(logs):
        print(log.read_text(encoding="utf-8").rstrip(), file=sys.stderr)
    if not logs:
        print("\n".join(text.splitlines()[-20:]), file=sys.stderr)
    print(f"The run stopped; all that Snakemake said is in {transcript}.", file=sys.stderr)
    statuses = set(_EXIT_STATUS.findall(text))
    return 2 if statuses == {"2"} else 1
