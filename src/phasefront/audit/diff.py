"""Which outputs of two runs differ, and what was the first thing that differed before them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from phasefront.core.errors import InputError
from phasefront.records import chain
from phasefront.records.digests import digest
from phasefront.records.record import Input, Record


@dataclass(frozen=True)
class Difference:
    """Outputs that differ for the same reason.

    `causes` is what differed when the `first` of them were made: sentences that begin with input,
    parameter, code or environment; none where the work was not deterministic. The `others` were
    made from those.
    """

    causes: tuple[str, ...]
    first: tuple[str, ...]
    others: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Outputs of two runs, by their paths within the run's folder."""

    both: int
    only_first: list[str]
    only_second: list[str]
    differences: list[Difference]


class _Side:
    """One run: its records by path within its folder, and elsewhere by path within the project."""

    def __init__(self, folder: Path):
        self.records = chain.collect(folder)
        inside = os.path.relpath(folder, self.records.root)
        self._prefix = "" if inside == "." else f"{inside}/"
        self.by_name = {self.name(path): r for path, r in self.records.by_path.items()}
        self.outputs = {
            self.name(path) for path in self.records.by_path if path.startswith(self._prefix)
        }

    def name(self, path: str) -> str:
        """A path without the run's folder, so that it reads the same in both runs."""
        return path.removeprefix(self._prefix)

    def named(self, value: object) -> object:
        """A parameter without the run's folder."""
        if isinstance(value, str):
            return value.replace(self._prefix, "").replace(self._prefix[:-1], "")
        return value


def compare(first: str | Path, second: str | Path) -> Comparison:
    """Compare two runs, each the folder of its results. How long jobs took is no difference.

    Raises InputError where one has no records or a damaged one.
    """
    sides = [_Side(run_folder(place)) for place in (first, second)]
    one, other = sides
    both = one.outputs & other.outputs

    @cache
    def origin(name: str) -> tuple[str, tuple[str, ...]]:
        a, b = one.by_name[name], other.by_name[name]
        for entry in a.made.inputs:
            if _made_otherwise(one, other, entry):
                found = origin(one.name(entry.path))
                if found[1]:
                    return found
        return name, tuple(_causes(one, other, a, b) or _of_paths(one, other, a, b))

    groups: dict[tuple[str, ...], tuple[list[str], list[str]]] = {}
    for name in one.by_name:  # upstream first: `origin` needs not go deep
        if not _differ(one, other, name):
            continue
        first, causes = origin(name)
        if name in both:
            groups.setdefault(causes, ([], []))[first != name].append(name)
    return Comparison(
        len(both),
        sorted(one.outputs - both),
        sorted(other.outputs - both),
        [Difference(causes, *map(tuple, names)) for causes, names in groups.items()],
    )


def run_folder(place: str | Path) -> Path:
    """The folder of a run that is named by it, or by its name alone; InputError where none is."""
    by_name = Path("results") / place
    folder = by_name if not Path(place).exists() and by_name.is_dir() else Path(place)
    if not folder.is_dir():
        raise InputError(folder, "is no folder", remedy="name the results of a run")
    return folder


def _made_otherwise(one: _Side, other: _Side, entry: Input) -> bool:
    """Whether an input is an output that differs; a raw file may have the name of one."""
    return entry.path in one.records.by_path and _differ(one, other, one.name(entry.path))


def _differ(one: _Side, other: _Side, name: str) -> bool:
    if name not in one.by_name or name not in other.by_name:
        return False
    a, b = (side.by_name[name].made.output for side in (one, other))
    return a.sha256 != b.sha256 and not _same_but_for_times(
        (one.records.root / a.path, a.sha256), (other.records.root / b.path, b.sha256)
    )


def _same_but_for_times(*files: tuple[Path, str]) -> bool:
    """Whether JSON files, each with its recorded digest, differ in `seconds` alone."""
    contents = []
    for path, recorded in files:
        if path.suffix != ".json" or not path.is_file() or digest(path) != recorded:
            return False
        contents.append(_without_times(json.loads(path.read_text(encoding="utf-8"))))
    return contents[0] == contents[1]


def _without_times(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_times(part) for key, part in value.items() if key != "seconds"}
    return [_without_times(part) for part in value] if isinstance(value, list) else value


def _causes(one: _Side, other: _Side, a: Record, b: Record) -> list[str]:
    """What differed when an output was made, but for inputs that have records of their own."""
    return [*_of_inputs(one, other, a, b), *_of_parameters(one, other, a, b), *_of_code(a, b),
            *environment_causes(a, b)]  # fmt: skip


def _of_inputs(one: _Side, other: _Side, a: Record, b: Record) -> list[str]:
    files = []
    for side, record in ((one, a), (other, b)):
        files.append({(entry.role, side.name(entry.path)): entry for entry in record.made.inputs})
    causes = []
    for key in sorted(files[0].keys() | files[1].keys()):
        entries = [found.get(key) for found in files]
        what = f"input {key[1]} ({key[0]})"
        if None in entries:
            causes.append(f"{what} is only in the {'second' if entries[0] is None else 'first'}")
        elif entries[0].sha256 != entries[1].sha256 and not _made_otherwise(one, other, entries[0]):
            causes.append(f"{what} has other bytes")
    return causes


def _of_paths(one: _Side, other: _Side, a: Record, b: Record) -> list[str]:
    """Inputs with the same bytes, each in its run's folder: their paths may stand in the output."""
    paths = {(entry.role, other.name(entry.path)): entry.path for entry in b.made.inputs}
    found = [(entry, paths.get((entry.role, one.name(entry.path)))) for entry in a.made.inputs]
    return [
        f"input {one.name(entry.path)} ({entry.role}) is {entry.path}, then {path}"
        for entry, path in found
        if path not in (None, entry.path)
    ]


def _of_parameters(one: _Side, other: _Side, a: Record, b: Record) -> list[str]:
    values = [_flat(a.made.parameters, one), _flat(b.made.parameters, other)]
    names = [name for name in values[0] if name in values[1]]
    causes = [
        f"parameter {name} is {values[0][name]}, then {values[1][name]}"
        for name in names
        if values[0][name] != values[1][name]
    ]
    causes += [f"parameter {name} is only in the first" for name in values[0].keys() - set(names)]
    causes += [f"parameter {name} is only in the second" for name in values[1].keys() - set(names)]
    return causes


def _flat(value: object, side: _Side, prefix: str = "") -> dict[str, object]:
    """Values by dotted name."""
    if isinstance(value, dict | list) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        parts = [_flat(item, side, f"{prefix}.{key}".lstrip(".")) for key, item in items]
        return {name: found for part in parts for name, found in part.items()}
    return {prefix: side.named(value)}


def _of_code(a: Record, b: Record) -> list[str]:
    files = [{entry.path: entry.sha256 for entry in record.made.code} for record in (a, b)]
    changed = [path for path in files[0] if files[1].get(path, files[0][path]) != files[0][path]]
    causes = [f"code {path} is another" for path in changed]
    causes += [f"code {path} is only in the first" for path in files[0].keys() - files[1].keys()]
    causes += [f"code {path} is only in the second" for path in files[1].keys() - files[0].keys()]
    return sorted(causes)


def environment_causes(a: Record, b: Record) -> list[str]:
    """What differed about interpreter, packages, lock, machine and threads."""
    causes = []
    for record in (a, b):
        if record.run.interpreter.version != a.run.interpreter.version:
            versions = (a.run.interpreter.version, record.run.interpreter.version)
            causes.append("environment: Python {}, then {}".format(*versions))
    packages = [record.run.packages for record in (a, b)]
    for name in sorted(packages[0].keys() | packages[1].keys()):
        versions = [found.get(name, "none") for found in packages]
        if versions[0] != versions[1]:
            causes.append("environment: {} {}, then {}".format(name, *versions))
    if a.made.lock != b.made.lock:
        causes.append("environment: the lock file is another")
    for what in ("platform", "processor"):
        values = [getattr(record.run.machine, what) for record in (a, b)]
        if values[0] != values[1]:
            causes.append("environment: {} {}, then {}".format(what, *values))
    if a.run.threads != b.run.threads:
        causes.append("environment: other numbers of threads")
    return causes


def describe(comparison: Comparison) -> str:
    """The comparison in words."""
    different = sum(len(found.first) + len(found.others) for found in comparison.differences)
    lines = [f"{comparison.both} outputs are in both runs, {different} of them differ."]
    for side, names in (("first", comparison.only_first), ("second", comparison.only_second)):
        if names:
            lines.append(f"Only in the {side}: {', '.join(names)}.")
    for difference in comparison.differences:
        lines.append("")
        causes = difference.causes or ("nothing recorded differs: the work is not deterministic",)
        lines.append(f"{', '.join(difference.first or difference.others)}:")
        lines += [f"  {cause}" for cause in causes]
        if difference.first and difference.others:
            lines.append(f"  and so in {', '.join(difference.others)}")
    return "\n".join(lines) + "\n"
