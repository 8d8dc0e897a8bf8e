"""Make one output again from its record alone, in an empty folder, and compare the bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from phasefront.audit.diff import environment_causes
from phasefront.core.errors import InputError
from phasefront.records import chain, record
from phasefront.records.context import VARIABLE
from phasefront.records.digests import digest
from phasefront.records.record import Record


@dataclass(frozen=True)
class Reproduction:
    """Whether the bytes are the same, that in words, and where the new file is if they are not."""

    same: bool
    sentences: list[str]
    kept: Path | None = None


def reproduce(path: str | Path) -> Reproduction:
    """Run the one step that made an output, with the recorded command, inputs and code.

    Inputs are linked and code is copied to a scratch folder, each checked first; it stays only
    where the new file is another.

    Raises InputError where an input or a file of code is gone or is not what it was.
    """
    root, found = chain.locate(path)
    script = found.made.command[1]
    if script not in {entry.path for entry in found.made.code}:
        raise InputError(
            record.record_path(found.made.output.path),
            f"its command runs {script}, which is not in its code",
            remedy="do not trust it",
        )
    scratch = Path(tempfile.mkdtemp(prefix="phasefront-"))
    result = None
    try:
        _lay_out(root, found, scratch)
        result = _run(root, found, scratch)
    finally:
        if result is None or result.kept is None:
            shutil.rmtree(scratch)
    return result


def _lay_out(root: Path, found: Record, scratch: Path) -> None:
    """Put everything that the record names where its command looks for it."""
    made = found.made
    # Before inputs: a job may read code, which is copied so that what it compiles lies apart.
    for entry in made.code:
        source = _checked(root / entry.path, entry.sha256, f"code of {made.rule}")
        if not _leaves(entry.path):
            (scratch / entry.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, scratch / entry.path)
    for entry in made.inputs:
        source = _checked(root / entry.path, entry.sha256, f"the {entry.role} of {made.rule}")
        if not _leaves(entry.path):
            _link(source, scratch / entry.path)
    # A summary tells the time of all that led to it.
    output = record.record_path(root / made.output.path)
    for name in chain.collect(output, refuse=lambda *_: None).by_path.keys() - {made.output.path}:
        if not _leaves(name):
            _link(record.record_path(root / name), scratch / record.record_path(name))
    lock = root / record.LOCK
    if made.lock and lock.is_file():
        _link(lock, scratch / record.LOCK)


def _checked(source: Path, sha256: str, what: str) -> Path:
    if not source.exists():
        raise InputError(source, f"gone; it is {what}", remedy="put it back and try again")
    if digest(source) != sha256:
        raise InputError(
            source,
            f"not what it was as {what}",
            remedy="put back the file with the recorded SHA-256, or make the output anew",
        )
    return source


def _link(source: Path, target: Path) -> None:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source.absolute())


def _run(root: Path, found: Record, scratch: Path) -> Reproduction:
    made = found.made
    # Inputs outside the project are read where they are, outputs there must not be written over.
    read = {e.path: str((root / e.path).absolute()) for e in made.inputs if _leaves(e.path)}
    command = [read.get(part) or _inside(part) for part in made.command[1:]]
    environment = {k: v for k, v in os.environ.items() if k != VARIABLE} | found.run.threads
    done = subprocess.run(
        [sys.executable, *command],
        cwd=scratch,
        env=environment | {"PYTHONPATH": str(scratch / "src")},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        return Reproduction(False, [f"{made.rule} failed: {words[-1] if words else 'no word'}"])
    new = scratch / _inside(made.output.path)
    again = record.read(record.record_path(new))
    if again.made.output.sha256 == made.output.sha256:
        return Reproduction(True, [f"{made.output.path}: made again by {made.rule}, same bytes."])
    sentence = f"{made.output.path}: made again by {made.rule}, other bytes"
    if made.output.logical_sha256 == again.made.output.logical_sha256 is not None:
        sentence += ", but the same values, dimensions and attributes"
    causes = environment_causes(found, again)
    return Reproduction(False, [f"{sentence}; the new file is {new}.", *causes], scratch)


def _leaves(path: str) -> bool:
    """Whether an argument is the path of a file outside the project."""
    is_json = path.startswith(("{", "["))
    return path.startswith("/") or (os.path.normpath(path).split("/")[0] == ".." and not is_json)


def _inside(path: str) -> str:
    """The path within the scratch folder of a file that may lie outside the project."""
    return f"outside/{os.path.normpath(path).replace('..', 'up')}" if _leaves(path) else path
