"""Where a script runs: its repository, its interpreter, the distributions it has imported."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path

_TOP_LEVEL = re.compile(r"^(\w+)[/.]", re.MULTILINE)
_NAME = re.compile(r"^Name: *(.+)$", re.MULTILINE)
_VERSION = re.compile(r"^Version: *(.+)$", re.MULTILINE)


def describe_repository(script: str) -> dict | None:
    """Commit, whether tracked files differ from it, and the SHA-256 of the difference.

    None where git does not know the script: no repository, or somebody else's around this folder.
    """
    if not _git("ls-files", "--", script):
        return None
    commit = _git("rev-parse", "HEAD")
    difference = _git("diff", "HEAD", "--binary", "--no-ext-diff", "--no-textconv")
    if commit is None or difference is None:
        return None
    return {
        "commit": commit.decode().strip(),
        "dirty": bool(difference),
        "diff_sha256": hashlib.sha256(difference).hexdigest() if difference else None,
    }


def _git(*arguments: str) -> bytes | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def imported_distributions() -> dict[str, str]:
    """Versions of the distributions whose modules this process has imported.

    As `importlib.metadata.packages_distributions` maps them, in a fraction of its time.
    """
    imported = {name.partition(".")[0] for name in sys.modules}
    versions = {}
    for distribution in metadata.distributions():
        files = distribution.read_text("RECORD") or ""
        if not imported.isdisjoint(_TOP_LEVEL.findall(files)):
            text = distribution.read_text("METADATA") or ""
            name, version = _NAME.search(text), _VERSION.search(text)
            if name and version:
                # Of two copies the one that comes first on the path is imported.
                versions.setdefault(name[1], version[1])
    return dict(sorted(versions.items(), key=lambda item: item[0].lower()))


def describe_interpreter() -> dict:
    """Kind and version of the Python that runs; where it is, if inside the project."""
    program = Path(sys.executable)
    inside = program.is_relative_to(Path.cwd())
    return {
        "implementation": platform.python_implementation(),
        "version": platform.python_version(),
        "program": program.relative_to(Path.cwd()).as_posix() if inside else program.name,
    }


def describe_threads() -> dict[str, str]:
    """The variables that limit threads."""
    return {name: os.environ[name] for name in sorted(os.environ) if name.endswith("_NUM_THREADS")}


def peak_memory_mb() -> float:
    """Most memory that this process, or one that it started, has held; MB."""
    usage = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(who).ru_maxrss for who in usage)
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


def processor() -> str:
    """The processor's name as the machine gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
