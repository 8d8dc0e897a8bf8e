"""Whether a config still says what a record was made with.

A record holds the values that its script was given, not where in a config they came from. Sections
are found again by their keys; plain values by their names, among the sections' own and in the row
of a table that the record's wildcards name. So a change elsewhere in a config, which makes no rule
run again, breaks no record.
"""

from __future__ import annotations

import json
import math
from contextlib import chdir
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from phasefront.core.errors import InputError
from phasefront.experiment.load import named
from phasefront.records.record import Record

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
        try:
            sections, values = offered(self._plan(configs), record)
        except InputError as error:
            return str(error).rstrip(".")
        if (other := _other_file(self._plan(configs), record)) is not None:
            return f"{config}: {other}"
        for name, made_with in record.made.parameters.items():
            if isinstance(made_with, dict):
                alike = [offer for offer in sections if offer.keys() == made_with.keys()]
                if made_with not in alike:
                    if not alike:
                        return f"{config}: nothing in it has the keys of {name}"
                    nearest = min(alike, key=lambda offer: _unlike(made_with, offer))
                    return f"{config}: {_first_difference(name, made_with, nearest)}"
            elif made_with not in (given := of_name(name, values, made_with) or [made_with]):
                if len(given) == 1:
                    return f"{config}: {_first_difference(name, made_with, given[0])}"
                return f"{config}: {name} is {' or '.join(map(str, given))}, not {made_with}"
        return None

    def _load(self, configs: tuple[str, ...]) -> Plan:
        from phasefront.experiment.plan import Plan

        with chdir(self._root):
            return Plan.load(*configs)


def offered(plan: Plan, record: Record) -> tuple[list[dict], dict[str, list]]:
    """Sections of the config, and other values by name, that the record's rule may be given."""
    variant = record.run.wildcards.get("variant", "")
    labels = dict(part.split("~", 1) for part in variant.split("/") if "~" in part)
    experiment = plan.sweep.experiment_of(labels)
    whole = experiment.model_dump(mode="json", exclude={"sweep"})
    sections = [value for value in whole.values() if isinstance(value, dict)]
    sections += [value for part in sections for value in part.values() if isinstance(value, dict)]
    rows = [*_rows(plan, record.run.wildcards).values()]
    values: dict[str, list] = {}
    for part in [whole, *sections, *rows]:
        for name, value in part.items():
            if not isinstance(value, dict):
                values.setdefault(name.replace("_", "-"), []).append(value)
    steps = values.get("scan-step-nm", [])
    # Files have seeds of their own, and so have rules without wildcards or what they are about.
    rule = record.made.rule
    cameras = json.loads(plan.cameras())
    scan = record.run.wildcards.get("scan")
    known = scan in plan.scans.index
    of_scan = [cameras[scan]] if scan in cameras else []
    wildcards = [*record.run.wildcards.values(), rule, rule.partition("_")[2]]
    values |= {
        "step": ["nan" if step is None or math.isnan(step) else step for step in steps],
        "seed": [plan.seed_of(name) for name in wildcards],
        "links": [json.loads(plan.links())],
        "camera": of_scan,
        "states": [json.loads(plan.states_on_log(log)) for log in plan.logs.index],
    }
    # A rule is given an instrument without its camera, and cameras apart from it.
    sections += [json.loads(plan.instrument(name)) for name in experiment.instruments]
    sections += [cameras, *(camera for camera in of_scan if camera is not None)]
    sections += [json.loads(plan.layout_of(scan))] if known else []
    return [*sections, *rows], values


def of_name(name: str, values: dict[str, list], like: object) -> list:
    """Values of that name, or of one that ends in it: positions is confusion-positions.

    A list is compared with lists only, anything else with anything else.
    """
    names = [name] if name in values else [key for key in values if key.endswith(f"-{name}")]
    found = [value for key in names for value in values[key]]
    return [value for value in found if isinstance(value, list) == isinstance(like, list)]


def _rows(plan: Plan, wildcards: dict[str, str]) -> dict[str, dict]:
    """Rows of the tables that wildcards name, by the wildcard."""
    tables = {"scan": plan.scans, "log": plan.logs, "pattern": plan.patterns}
    return {
        kind: json.loads(json.dumps(table.loc[wildcards[kind]].to_dict()))
        for kind, table in tables.items()
        if wildcards.get(kind) in table.index
    }


def _other_file(plan: Plan, record: Record) -> str | None:
    """The raw file that a table names, where it is not the one that was read."""
    for kind, row in _rows(plan, record.run.wildcards).items():
        named = Path(row["path"])
        # A raw file has no record, unless it is of a virtual experiment.
        raw = [e for e in record.made.inputs if not e.record or Path(e.path).parent.name == "raw"]
        read = [entry.path for entry in raw if entry.role == kind]
        # An absolute path is another in every copy of the project.
        if read and not named.is_absolute() and named not in map(Path, read):
            return f"the {kind} is {named}, not {read[0]}"
    return None


def _unlike(one: dict, other: dict) -> int:
    """How many values differ under the same keys."""
    return sum(other[key] != value for key, value in one.items())


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
