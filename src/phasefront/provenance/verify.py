"""Re-hash what records name, walk their chain, and say what does not hold."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from phasefront.errors import InputError
from phasefront.provenance import record

# Made beside the records, from them and from outputs that have their own.
_WITHOUT_RECORD = ("logs/", "report.html")


@dataclass(frozen=True)
class Verification:
    """How many records were read, and one sentence a broken link, nearest the raw files first."""

    records: int
    problems: list[str]


def verify_folder(folder: str | Path) -> Verification:
    """Check every record under `folder` against the files it names.

    Run it in the folder the run was made in: records name inputs and code relative to it.
    Raises InputError when there is no record at all.
    """
    folder = Path(folder)
    paths = sorted(folder.rglob(f"*{record.SUFFIX}"))
    if not paths:
        raise InputError(folder, "holds no records", remedy="name the folder of a finished run")
    digests: dict[str, str | None] = {}
    records, problems = {}, []
    for path in paths:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            intact = content["id"] == record.identity(content)
        except (ValueError, KeyError, TypeError):
            problems.append(f"{path}: not a record.")
            continue
        if not intact:
            problems.append(f"{path}: the record was edited: its id is not that of its content.")
        records[path] = content
    for path in _upstream_first(records):
        problems += _broken_links(path, records[path], digests)
    covered = {Path(str(path).removesuffix(record.SUFFIX)) for path in paths}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if not (
            path in covered or name.endswith(record.SUFFIX) or name.startswith(_WITHOUT_RECORD)
        ):
            problems.append(f"{path}: there is no record of how it was made.")
    return Verification(len(paths), problems)


def _upstream_first(records: dict[Path, dict]) -> list[Path]:
    """Record paths in an order in which every output comes after its inputs."""
    by_output = {content["made"]["output"]["path"]: path for path, content in records.items()}
    order: dict[Path, None] = {}

    def visit(path: Path, above: tuple[Path, ...] = ()) -> None:
        for entry in records[path]["made"]["inputs"]:
            parent = by_output.get(entry["path"])
            if parent is not None and parent not in order and parent not in above:
                visit(parent, (*above, path))
        order[path] = None

    for path in sorted(records):
        if path not in order:
            visit(path)
    return list(order)


def _broken_links(path: Path, content: dict, digests: dict[str, str | None]) -> list[str]:
    made, problems = content["made"], []
    output = Path(str(path).removesuffix(record.SUFFIX))
    if output.name != Path(made["output"]["path"]).name:
        problems.append(f"{path}: the record is of {made['output']['path']}, not of {output}.")
    problems += _difference(output, made["output"]["sha256"], "the output", path, digests)
    for entry in made["inputs"]:
        source = Path(entry["path"])
        problems += _difference(source, entry["sha256"], f"the {entry['role']}", path, digests)
        beside = record.record_path(source)
        if "record" in entry:
            if not beside.is_file():
                problems.append(f"{beside}: gone; {path} names it as its input's record.")
            elif json.loads(beside.read_text(encoding="utf-8")).get("id") != entry["record"]:
                problems.append(f"{beside}: not the record that {path} was made from.")
    for entry in made["code"]:
        problems += _difference(Path(entry["path"]), entry["sha256"], "code", path, digests)
    if made["lock"]:
        lock = made["lock"]
        problems += _difference(Path(lock["path"]), lock["sha256"], "the lock", path, digests)
    return problems


def _difference(
    file: Path, expected: str, what: str, source: Path, digests: dict[str, str | None]
) -> list[str]:
    key = str(file)
    if key not in digests:
        digests[key] = record.digest(file) if file.exists() else None
    if digests[key] is None:
        return [f"{file}: gone; it is {what} in {source}."]
    if digests[key] != expected:
        return [f"{file}: changed since it was {what} in {source}."]
    return []
