"""What a rule may be given of an experiment: values by dotted paths.

A path leads to one of these:

- a section of the config, or a value in it: `grains`, `spots.position_sigma`, `material.names`;
- what tables and config together say of a scan, a series of them, a log, a powder pattern, a batch
  of them, a cell, a stack or an instrument, as `scan.grains-x2.5.layout` or `log.charge.row`;
- `virtual_series.NAME.plan`, all that a virtual in situ series is made from;
- what they say of all of them: `links`, `cameras`, `raw_paths`, `instruments_of_raw_scans`,
  `explored_scans`;
- `seed_of.NAME`, a seed of its own for each file or step;
- `variants`, all settings that the sweep varies, of each variant.

Rules are given values by their paths, records name the paths, and an audit looks there again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import JsonValue
from pydantic_core import to_jsonable_python

from phasefront.core.errors import InputError
from phasefront.experiment.settings.cycling import LogRow
from phasefront.experiment.settings.instruments import Instrument
from phasefront.experiment.settings.losses import RepeatDoses
from phasefront.experiment.settings.powder import PatternRow
from phasefront.experiment.settings.powder_series import PatternClock, PatternReading
from phasefront.experiment.settings.scans import ScanClock, ScanLayout
from phasefront.experiment.settings.series import ScanInSeries, SeriesMember
from phasefront.experiment.settings.stacks import StackLaying, StackRow
from phasefront.experiment.settings.tomography import CellRow
from phasefront.experiment.settings.virtual_series import VirtualMember
from phasefront.experiment.stacks import (
    electrons_before,
    first_of,
    mapped,
    particle_of,
    repeats,
)

if TYPE_CHECKING:
    import pandas as pd

    from phasefront.experiment.plan import Plan
    from phasefront.experiment.settings.base import Model


def value(plan: Plan, path: str, variant: str = "") -> JsonValue:
    """The value at a path, for a variant of the sweep (its folder) or for the run itself.

    Raises InputError where the path leads to nothing.
    """
    kind, _, rest = path.partition(".")
    try:
        if kind == "seed_of":
            return plan.seed_of(rest)
        if path in _OF_ALL:
            return _OF_ALL[path](plan)
        if kind in _OF_ONE:
            name, _, what = rest.rpartition(".")
            return _OF_ONE[kind][what](plan, name)
        return plan.sweep.experiment_of(variant).value(path)
    except (KeyError, AttributeError):
        raise InputError(
            plan.source, f"nothing stands at {path}", remedy="correct the config or its tables"
        ) from None


def text(value: JsonValue) -> str:
    """A value as an argument of a script: text as it is, anything else as canonical JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def links(plan: Plan) -> list[dict]:
    """What belongs to each state: its scans, its log, its powder patterns, cells and maps."""
    return [
        {
            "state": state.name,
            "scans": plan.scans_of(state.name),
            "log": state.log,
            "patterns": list(plan.patterns.index[plan.patterns["state"] == state.name]),
            "cells": list(plan.cells.index[plan.cells["state"] == state.name]),
            "maps": {
                name: particle_of(plan.stacks, name)
                for name in mapped(plan.stacks)
                if plan.stacks.loc[name, "state"] == state.name
            },
        }
        for state in plan.experiment.states
    ]


def _row(table: pd.DataFrame, name: str, model: type[Model], **more: object) -> dict:
    """A row of a table, or those of its columns that a model has; empty cells as by default.

    `more` are values of the model that no column holds.
    """
    row = table.loc[name]
    columns = [column for column in model.model_fields if column not in more]
    given = {column: row[column] for column in columns if not _is_empty(row[column])}
    return model.model_validate(given | more).model_dump(mode="json")


def _is_empty(cell: object) -> bool:
    return cell is None or cell != cell


def _optics(plan: Plan, instrument: str) -> dict:
    """An instrument without its camera's place to the scan: few rules need that."""
    known = set(Instrument.model_fields)
    return plan.experiment.instruments[instrument].model_dump(mode="json", include=known)


def _cameras(plan: Plan, scans: Iterable[str]) -> dict[str, dict | None]:
    """How the camera stands to each scan; None where the config does not say."""
    stated = {
        scan: plan.experiment.instruments[plan.scans.loc[scan, "instrument"]].camera
        for scan in scans
    }
    return {scan: camera and camera.model_dump(mode="json") for scan, camera in stated.items()}


def _camera_of_laid(plan: Plan, stack: str) -> dict | None:
    """How the camera stands to the scan that a stack's map is laid on."""
    scan = plan.stacks.loc[stack, "scan"]
    return _cameras(plan, [scan])[scan] if isinstance(scan, str) else None


def _explored_scans(plan: Plan) -> list[dict]:
    """Of each scan what a page in which it can be looked at has to know."""
    return [
        {
            "scan": scan,
            "state": row["state"],
            "path": row["path"],
            "kind": row["kind"],
            "instrument": _optics(plan, row["instrument"]),
            "layout": _row(plan.scans, scan, ScanLayout),
        }
        for scan, row in plan.scans.iterrows()
    ]


def _placing(plan: Plan, scan: str) -> dict | None:
    """A scan in a series, with what doses depend on of all scans of that; None for another."""
    if scan not in plan.scans_in_series:
        return None
    members = [_row(plan.scans, name, SeriesMember) for name in plan.series_of(scan)]
    return _row(plan.scans, scan, ScanInSeries, members=members)


def _virtual_series(plan: Plan, series: str) -> dict:
    """All that a virtual series is made from: a `SeriesPlan`."""
    virtual, scans = plan.experiment.virtual, plan.scans_of_series(series)
    log = plan.scans.loc[scans[0], "log"]
    return {
        "series": series,
        "log": log,
        "asked": virtual.series[series].model_dump(mode="json"),
        "pulses": virtual.logs[log].model_dump(mode="json"),
        "members": [_row(plan.scans, scan, VirtualMember) for scan in scans],
        "shape": list(virtual.shape),
        "simulated": virtual.simulated.model_dump(mode="json"),
        "seed": plan.seed_of(series),
    }


def _virtual_stack(plan: Plan, stack: str) -> dict:
    """All that a file of a virtual map is made from: a `VirtualStackPlan`."""
    first = first_of(plan.stacks, stack)
    row = _row(plan.stacks, stack, StackRow)
    return {
        "stack": stack,
        "scan": plan.stacks.loc[first, "scan"],
        "kind": row["kind"],
        "asked": plan.experiment.virtual.maps[first].model_dump(mode="json"),
        "resolution_nm": float(plan.stacks.loc[first, "resolution_nm"]),
        "beam_kev": row["beam_kev"],
        "dark_counts": row["dark_counts"],
        "electrons_before": electrons_before(plan.stacks, stack),
        "map_seed": plan.seed_of(first),
        "shift_seed": plan.seed_of(row["low_loss"] or stack),
        "seed": plan.seed_of(stack),
    }


def _states_on(plan: Plan, log: str) -> list[dict]:
    states = [state for state in plan.experiment.states if state.log == log]
    return [state.model_dump(mode="json") for state in states]


_OF_ONE = {
    "scan": {
        "state": lambda plan, scan: plan.scans.loc[scan, "state"],
        "step": lambda plan, scan: plan.step_of(scan),
        "layout": lambda plan, scan: _row(plan.scans, scan, ScanLayout),
        "placing": _placing,
        "clock": lambda plan, scan: _row(plan.scans, scan, ScanClock),
        "virtual_series": lambda plan, scan: _virtual_series(plan, plan.scans.loc[scan, "series"]),
        "optics": lambda plan, scan: _optics(plan, plan.scans.loc[scan, "instrument"]),
        "camera": lambda plan, scan: _cameras(plan, [scan])[scan],
    },
    "log": {
        "row": lambda plan, log: _row(plan.logs, log, LogRow),
        "states": _states_on,
    },
    "pattern": {
        "state": lambda plan, pattern: plan.patterns.loc[pattern, "state"],
        "wavelength": lambda plan, pattern: float(plan.patterns.loc[pattern, "wavelength"]),
        "row": lambda plan, pattern: _row(plan.patterns, pattern, PatternRow),
    },
    "batch": {
        "clock": lambda plan, batch: _row(plan.batches.table, batch, PatternClock),
        "reading": lambda plan, batch: _row(plan.batches.table, batch, PatternReading),
    },
    "cell": {"row": lambda plan, cell: _row(plan.cells, cell, CellRow)},
    "instrument": {"optics": _optics},
    "stack": {
        "row": lambda plan, stack: _row(plan.stacks, stack, StackRow),
        "virtual": _virtual_stack,
        "laying": lambda plan, stack: _row(plan.stacks, stack, StackLaying),
        "camera": lambda plan, stack: _camera_of_laid(plan, stack),
        "doses": lambda plan, stack: [
            _row(plan.stacks, name, RepeatDoses) for name in repeats(plan.stacks, stack)
        ],
    },
    "series": {
        "layouts": lambda plan, series: {
            scan: _row(plan.scans, scan, ScanLayout) for scan in plan.raw_scans_of_series(series)
        },
        "optics": lambda plan, series: _optics(
            plan, plan.scans.loc[plan.scans_of_series(series)[0], "instrument"]
        ),
    },
    "virtual_series": {"plan": _virtual_series},
}
_OF_ALL = {
    "links": links,
    "cameras": lambda plan: _cameras(plan, plan.scans.index),
    "raw_paths": lambda plan: [*plan.scans["path"], *plan.stacks["path"]],
    "instruments_of_raw_scans": lambda plan: list(
        plan.scans.loc[plan.scans_of_kind("scan"), "instrument"]
    ),
    "explored_scans": _explored_scans,
    "variants": lambda plan: to_jsonable_python(plan.sweep.settings),
}
