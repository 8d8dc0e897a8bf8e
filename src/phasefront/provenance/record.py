"""The record `F.prov.json` that lies beside every output F.

A record names the bytes of its output, of every input and of every line of project code that made
it, each by SHA-256, and the identity of the inputs' own records. Its `id` is the SHA-256 of that
part alone (canonical JSON), so records chain back to the raw files as a Merkle tree, and two runs
of the same work have the same ids whenever and wherever they ran.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

SUFFIX = ".prov.json"
FORMAT = "phasefront-record-1"
LOCK = Path("envs/lock.txt")
_CHUNK = 1 << 22


def record_path(output: str | Path) -> Path:
    """Where the record of `output` lies."""
    return Path(f"{output}{SUFFIX}")


def digest(path: str | Path) -> str:
    """SHA-256 of a file, or of a folder as the digest of its sorted (name, digest) list."""
    path = Path(path)
    total = hashlib.sha256()
    if path.is_dir():
        for child in sorted(p for p in path.rglob("*") if p.is_file()):
            total.update(f"{digest(child)}  {child.relative_to(path).as_posix()}\n".encode())
    else:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                total.update(chunk)
    return total.hexdigest()


def canonical(value) -> bytes:
    """JSON with sorted keys and no spaces: one value, one sequence of bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def identity(record: dict) -> str:
    """SHA-256 of what does not vary between two runs of the same work."""
    return hashlib.sha256(canonical(record["made"])).hexdigest()


def shown(path: str | Path) -> str:
    """The path relative to the working folder where it lies inside, else as given."""
    path = Path(path)
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()


def describe_inputs(inputs: dict[str, list[Path]]) -> list[dict]:
    """Role, path, digest and record id of every input file."""
    described = []
    for role in sorted(inputs):
        for path in inputs[role]:
            entry = {"role": role, "path": shown(path), "sha256": digest(path)}
            beside = record_path(path)
            if beside.is_file():
                entry["record"] = json.loads(beside.read_text(encoding="utf-8"))["id"]
            described.append(entry)
    return described


def describe_run(started: datetime) -> dict:
    """What varies between two runs of the same work: when, where and with what it was done."""
    ended = datetime.now(UTC)
    return {
        "started": started.isoformat(timespec="milliseconds"),
        "ended": ended.isoformat(timespec="milliseconds"),
        "wall_seconds": round((ended - started).total_seconds(), 3),
        "peak_memory_mb": _peak_memory_mb(),
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "threads": {k: os.environ[k] for k in sorted(os.environ) if k.endswith("_NUM_THREADS")},
        "packages": _imported_packages(),
    }


def compose(
    *,
    output: Path,
    written: Path,
    inputs: list[dict],
    code: list[dict],
    command: list[str],
    parameters: dict,
    run: dict,
) -> dict:
    """The record of `output`, whose bytes are at present in the file `written`."""
    made = {
        "format": FORMAT,
        "output": {
            "path": shown(output),
            "sha256": digest(written),
            "size": written.stat().st_size,
        },
        "inputs": inputs,
        "code": code,
        "command": command,
        "parameters": parameters,
        "lock": {"path": LOCK.as_posix(), "sha256": digest(LOCK)} if LOCK.is_file() else None,
    }
    record = {"made": made, "run": run}
    return {"id": identity(record), **record}


def write(record: dict, path: Path) -> None:
    """Write a record, readable by a person, under a temporary name first."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    part.replace(path)


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _peak_memory_mb() -> float:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _imported_packages() -> dict[str, str]:
    """Versions of the distributions whose modules this process has imported."""
    imported = {name.partition(".")[0] for name in sys.modules}
    owners = metadata.packages_distributions()
    names = {owner for module in imported for owner in owners.get(module, ())}
    return {name: metadata.version(name) for name in sorted(names, key=str.lower)}
