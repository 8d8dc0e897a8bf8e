"""The record `F.prov.json` that lies beside every output F.

Its part `made` names the bytes of the output, of every input and of every line of project code that
made it, each by SHA-256, and the identity of the inputs' own records. The record's `id` is the
SHA-256 of that part alone, so records chain back to the raw files as a Merkle tree, and two runs of
the same work have the same ids whenever and wherever they ran. Its part `run` holds what varies:
times, machine, versions, commit, the whole config. `seal` is the SHA-256 of both and of the id.
Everything is hashed in canonical form (`canonical`), which Python's json module alone can make.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import socket
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field

from phasefront.core.errors import InputError
from phasefront.records import environment
from phasefront.records.context import Context, FileDigest, FilePath, Person, Sha256
from phasefront.records.digests import digest, size
from phasefront.records.logical import logical_digest

SUFFIX = ".prov.json"
FORMAT = "phasefront-record-4"
LOCK = Path("envs/lock.txt")

Bytes = Annotated[int, Field(ge=0, description="bytes, of a folder those of all files in it")]


class Part(BaseModel):
    """Base of a record's parts."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Output(Part):
    """The file that the record is of."""

    name: str = Field(description="option of the script that named it")
    path: FilePath
    sha256: Sha256
    size: Bytes
    logical_sha256: Sha256 | None = Field(
        description="of a netCDF file's dimensions, attributes and values, however they are packed"
        " and whatever library wrote them; null for any other file"
    )


class Input(Part):
    """A file that was read, the same before the work and after it."""

    role: str = Field(description="option of the script that named it")
    path: FilePath
    sha256: Sha256 = Field(
        description="SHA-256 of the bytes, of a folder that of its sorted `SHA-256  name` lines;"
        " taken before the work and again after it: where the two differ there is no record"
    )
    size: Bytes
    record: Sha256 | None = Field(description="id of the input's own record; null for a raw file")


class Made(Part):
    """What was made, from what and how: the same whenever the same work is done."""

    format: Literal["phasefront-record-4"] = Field(description="of this file")
    rule: str = Field(description="rule of the workflow and name of its script")
    output: Output
    outputs: dict[str, FilePath] = Field(description="all that the job made: paths by option")
    inputs: list[Input] = Field(description="every file that was read, by role")
    code: list[FileDigest] = Field(
        description="the script, every project module it imports, and every other module it"
        " imported that is neither Python's own nor of an installed package"
    )
    lock: FileDigest | None = Field(description="versions and hashes of everything installed")
    command: list[str] = Field(min_length=2, description="`python`, the script and its arguments")
    parameters: dict[str, Any] = Field(description="settings and plain values, seeds too, by name")


class Repository(Part):
    """State of the git repository."""

    commit: str = Field(description="hash of the commit that was checked out")
    dirty: bool = Field(description="whether tracked files differ from the commit")
    diff_sha256: Sha256 | None = Field(description="of `git diff HEAD --binary` where they do")


class Interpreter(Part):
    """The Python that ran."""

    implementation: str = Field(description="such as CPython")
    version: str = Field(description="such as 3.11.7")
    program: str = Field(description="its file: the path if inside the project, else the name")


class Machine(Part):
    """Where it ran."""

    platform: str = Field(description="operating system, its version and architecture")
    processor: str = Field(description="its name")
    cores: int | None = Field(description="logical ones, of the whole machine")
    host: str | None = Field(description="only where the config's `record_host` asks for it")


class Run(Part):
    """What varies between two runs of the same work."""

    started: str = Field(description="ISO 8601, UTC")
    ended: str = Field(description="ISO 8601, UTC")
    wall_seconds: float = Field(ge=0, description="from start to end")
    work_seconds: float = Field(ge=0, description="of them in the script's own function")
    peak_memory_mb: float = Field(description="most memory held by the job or one it started, MB")
    wildcards: dict[str, str] = Field(description="of the rule, where a workflow ran it")
    stated: dict[str, str] = Field(
        description="where the experiment states parameters, as dotted paths by name, such as"
        " spots.position_sigma or scan.NAME.step, where a workflow ran it"
    )
    config: list[FileDigest] = Field(
        description="config files as the run was planned, later ones over earlier ones"
    )
    tables: list[FileDigest] = Field(description="tables that the config names")
    people: list[Person] = Field(description="who did the work, as the config says")
    repository: Repository | None = Field(description="null where git does not know the script")
    interpreter: Interpreter
    machine: Machine
    threads: dict[str, str] = Field(
        description="variables that limit threads, such as OMP_NUM_THREADS"
    )
    packages: dict[str, str] = Field(description="distributions imported, with their versions")


class Record(Part):
    """The whole record."""

    id: Sha256 = Field(
        description="SHA-256 of the canonical form of `made`: JSON in UTF-8 with sorted keys, no"
        " spaces, and nothing escaped that need not be"
    )
    made: Made
    run: Run
    seal: Sha256 = Field(description="SHA-256 of the canonical form of all the rest")


def schema() -> dict:
    """JSON schema of a record."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Record.model_json_schema()}


def record_path(output: str | Path) -> Path:
    """Where the record of `output` lies."""
    return Path(f"{output}{SUFFIX}")


def output_path(record: str | Path) -> Path:
    """What the record in a file is of."""
    return Path(str(record).removesuffix(SUFFIX))


def canonical(value) -> bytes:
    """JSON with sorted keys and no spaces: one value, one sequence of bytes."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def identity(content: dict) -> str:
    """The id that a record with this content must have."""
    return hashlib.sha256(canonical(content["made"])).hexdigest()


def seal(content: dict) -> str:
    """The seal that a record with this content must have."""
    return hashlib.sha256(canonical({k: content[k] for k in ("id", "made", "run")})).hexdigest()


def read(path: str | Path) -> Record:
    """The record in a file.

    Raises InputError where it is none, or its id or seal is not that of its content.
    """
    path = Path(path)
    try:
        content = json.loads(
            path.read_text(encoding="utf-8"), object_pairs_hook=_once, parse_constant=_refuse
        )
        found = Record.model_validate(content)
        intact = content["id"] == identity(content) and content["seal"] == seal(content)
    except FileNotFoundError:
        raise InputError(path, "there is no such record", remedy="make its output again") from None
    except (OSError, ValueError, RecursionError):  # pydantic's and json's are ValueErrors
        raise InputError(path, "not a record", remedy="make its output again") from None
    if not intact:
        raise InputError(
            path, "the record was edited: it does not fit its hash", remedy="make its output again"
        )
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. A key that stands twice would show a reader a value that is not hashed."""
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key stands twice")
    return content


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def shown(path: str | Path) -> str:
    """The path relative to the working folder where it lies inside, else as given."""
    path, here = Path(path), Path.cwd()
    for candidate in (path.absolute(), path.resolve()):
        if candidate.is_relative_to(here):
            return candidate.relative_to(here).as_posix()
    return path.as_posix()


def describe_input(role: str, path: Path, sha256: str) -> Input:
    """An input with what is known of how it was made.

    Raises InputError where its record is damaged or is of other bytes: nothing is built on that.
    """
    beside = record_path(path)
    own = read(beside) if beside.is_file() else None
    if own is not None and own.made.output.sha256 != sha256:
        raise InputError(path, "changed since it was made", remedy="delete it and run again")
    record = own.id if own else None
    return Input(role=role, path=shown(path), sha256=sha256, size=size(path), record=record)


def describe_files(paths: Iterable[str | Path]) -> list[FileDigest]:
    """Paths with their digests."""
    return [FileDigest(path=shown(path), sha256=digest(path)) for path in paths]


def describe_output(name: str, path: Path, written: Path) -> Output:
    """The output `path`, whose bytes are at present in the file `written`."""
    return Output(
        name=name,
        path=shown(path),
        sha256=digest(written),
        size=size(written),
        logical_sha256=logical_digest(written) if path.suffix == ".nc" else None,
    )


def describe_run(
    started: datetime, *, script: str, work_seconds: float, outputs: list[Output]
) -> Run:
    """When, where and with what a job was done."""
    context = Context.of_environment()
    wildcards = {k: v for o in outputs for k, v in context.wildcards(o.path).items()}
    machine = Machine(
        platform=platform.platform(),
        processor=environment.processor(),
        cores=os.cpu_count(),
        host=socket.gethostname() if context.host else None,
    )
    found = {
        "work_seconds": round(work_seconds, 3),
        "peak_memory_mb": environment.peak_memory_mb(),
        "wildcards": wildcards,
        "stated": context.stated(Path(script).stem, wildcards),
        "config": context.config,
        "tables": context.tables,
        "people": context.people,
        "repository": environment.describe_repository(script),
        "interpreter": environment.describe_interpreter(),
        "machine": machine,
        "threads": environment.describe_threads(),
        "packages": environment.imported_distributions(),
    }
    ended = datetime.now(UTC)
    return Run(
        started=started.isoformat(timespec="milliseconds"),
        ended=ended.isoformat(timespec="milliseconds"),
        wall_seconds=round((ended - started).total_seconds(), 3),
        **found,
    )


def compose(
    *,
    script: str,
    output: Output,
    outputs: dict[str, str],
    inputs: list[Input],
    code: list[FileDigest],
    command: list[str],
    parameters: dict,
    run: Run,
) -> dict:
    """The record of an output, ready to `write`."""
    made = Made(
        format=FORMAT,
        rule=Path(script).stem,
        output=output,
        outputs=outputs,
        inputs=inputs,
        code=code,
        lock=describe_files([LOCK])[0] if LOCK.is_file() else None,
        command=command,
        parameters=plain(parameters),
    )
    content = {"made": made.model_dump(mode="json"), "run": run.model_dump(mode="json")}
    content = {"id": identity(content), **content}
    return {**content, "seal": seal(content)}


def plain(value):
    """The value with numbers that JSON does not know as texts."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def write(content: dict, path: Path) -> None:
    """Write a record, readable by a person."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
