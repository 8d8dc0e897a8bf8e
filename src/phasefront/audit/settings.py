"""Whether a config still says what a record was made with.

A record names the path of each parameter in the experiment, and here the value that stands there
now is compared. A change elsewhere in a config, which makes no rule run again, breaks no record.
"""

from __future__ import annotations

from contextlib import chdir
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from phasefront.core.errors import InputError
from phasefront.experiment import values
from phasefront.experiment.load import named
from phasefront.records.record import Record, plain

if TYPE_CHECKING:
    from phasefront.experiment.plan import Plan


class Settings:
    """The configs under a project's folder, each read once."""

    def __init__(self, root: Path):
        self._root = root
        self._plan = cache(self._load)

    def difference(self, record: Record) -> str | None:
        """The first setting of a record that its config no longer gives; None where all agree."""
        configs = tuple(file.path for file in record.run.config)
        config = named(self._root / path for path in configs)
        variant = record.run.wildcards.get("variant", "")
        try:
            plan = self._plan(configs)
            other = _other_file(plan, record) or self._other_batch(plan, record)
            if other is not None:
                return f"{config}: {other}"
            for name, path in record.run.stated.items():
                made_with = record.made.parameters.get(name)
                given = plain(values.value(plan, path, variant))
                if made_with != given:
                    return f"{config}: {_first_difference(name, made_with, given)}"
        except InputError as error:
            return str(error).rstrip(".")
        return None

    def _other_batch(self, plan: Plan, record: Record) -> str | None:
        """The first file that is new in a batch of patterns, or no longer there.

        Where none is there, raw files are elsewhere, as those of an unpacked supplement may be.
        """
        batch, part = (record.run.wildcards.get(name) for name in ("batch", "part"))
        if batch not in plan.batches.names:
            return None
        try:
            with chdir(self._root):
                parts, files = plan.batches.parts_of(batch), plan.batches.files_of(batch)
        except InputError:  # nor is the table that names them
            return None
        named = set(files if part is None else parts.get(part, ()))
        read = {entry.path for entry in record.made.inputs if entry.role == "patterns"}
        # An absolute path is another in every copy of the project.
        if not files or any(Path(path).is_absolute() for path in files) or named == read:
            return None
        path = min(named ^ read)
        return f"{path} is {'now' if path in named else 'no longer'} of the batch {batch}"

    def _load(self, configs: tuple[str, ...]) -> Plan:
        from phasefront.experiment.plan import Plan

        with chdir(self._root):
            return Plan.load(*configs)


def _other_file(plan: Plan, record: Record) -> str | None:
    """The raw file that a table names, where it is not the one that was read."""
    tables = {
        "scan": plan.scans, "log": plan.logs, "pattern": plan.patterns, "stack": plan.stacks,
    }  # fmt: skip
    for kind, table in tables.items():
        name = record.run.wildcards.get(kind)
        if name not in table.index:
            continue
        named = Path(table.loc[name, "path"])
        # A raw file has no record, unless it is of a virtual experiment.
        raw = [e for e in record.made.inputs if not e.record or Path(e.path).parent.name == "raw"]
        read = [entry.path for entry in raw if entry.role == kind]
        # An absolute path is another in every copy of the project.
        if read and not named.is_absolute() and named not in map(Path, read):
            return f"the {kind} is {named}, not {read[0]}"
    return None


def _first_difference(name: str, made_with: object, given: object) -> str:
    """The innermost part that is another, by its dotted name."""
    if isinstance(made_with, list) and isinstance(given, list) and len(made_with) == len(given):
        parts = [(str(i), *both) for i, both in enumerate(zip(made_with, given, strict=True))]
    elif (
        isinstance(made_with, dict) and isinstance(given, dict) and made_with.keys() == given.keys()
    ):
        parts = [(key, value, given[key]) for key, value in made_with.items()]
    else:
        return f"{name} is {given}, not {made_with}"
    key, *both = next(part for part in parts if part[1] != part[2])
    return _first_difference(f"{name}.{key}", *both)
