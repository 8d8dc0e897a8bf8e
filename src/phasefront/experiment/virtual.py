"""Whether a virtual run makes what its tables name, and knows what is true of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from phasefront.core.errors import InputError
from phasefront.experiment.settings.virtual_series import VirtualMember
from phasefront.experiment.virtual_maps import check_virtual_maps

if TYPE_CHECKING:
    from phasefront.experiment.plan import Plan


def check_virtual(plan: Plan) -> None:
    """A virtual run makes all scans, and what else the tables name among its raw files.

    Raises InputError for a file that is not made where it is looked for, and for a state, a series
    or a log of which it is not said what is true.
    """
    if plan.experiment.virtual is None:
        return
    _check_paths(plan)
    _check_logs(plan)
    for series in plan.experiment.virtual.series:
        _check_series(plan, series)
    check_virtual_maps(plan)
    _check_states(plan)


def virtual_scans(plan: Plan) -> list[str]:
    """Identifiers of the scans of virtual series."""
    virtual = plan.experiment.virtual
    return [
        scan for name in (virtual.series if virtual else ()) for scan in plan.scans_of_series(name)
    ]


def _folder(plan: Plan) -> str:
    return f"results/{plan.experiment.run}/raw/"


def _check_paths(plan: Plan) -> None:
    tables, made, folder = plan.experiment.tables, plan.made(), _folder(plan)
    if not set(plan.raw_files()) & set(made):
        raise InputError(
            plan.source,
            f"it says what virtual files to make, but the tables name none of {folder}",
            field="virtual",
            remedy="leave the section out where the files are real",
        )
    rows = [
        (source, identifier, path)
        for source, table in (
            (tables.scans, plan.scans),
            (tables.cycling, plan.logs),
            (tables.powder, plan.patterns),
        )
        for identifier, path in table["path"].items()
    ]
    for source, identifier, path in rows:
        wanted = [name for name in made if Path(name).stem == identifier]
        real = path not in made and (path.startswith(folder) or source == tables.scans)
        if real or (path in made and path not in wanted):
            raise InputError(
                source,
                f"{path!r} is not what the virtual run makes, {wanted[0]!r}"
                if wanted
                else f"{path!r} is real, while the config has a virtual section",
                field=f"{identifier}.path",
                remedy="correct the path, or leave the virtual section out",
            )


def _check_logs(plan: Plan) -> None:
    tables, made, pulsed = plan.experiment.tables, plan.made(), plan.experiment.virtual.logs
    for log in pulsed:
        if log not in plan.logs.index or plan.logs.loc[log, "path"] not in made:
            raise InputError(
                plan.source,
                f"no log {log!r} of the cycling table is made by the virtual run",
                field=f"virtual.logs.{log}",
                remedy=f"add it there, with the path {_folder(plan)}{log}.mpt",
            )
    for log in plan.logs.index[plan.logs["path"].isin(list(made))]:
        known = not pd.isna(plan.logs.loc[log, "mass_mg"])
        if known == (log in pulsed):
            raise InputError(
                tables.cycling,
                "a virtual log of pulses is of an electrode whose mass is not known"
                if known
                else "a virtual log is of an electrode whose mass is known",
                field=f"{log}.mass_mg",
                remedy="leave it out" if known else "give the mass of active material",
            )


def _check_series(plan: Plan, series: str) -> None:
    """All that a series needs stands in the tables, and its log is one of pulses."""
    virtual, tables = plan.experiment.virtual, plan.experiment.tables
    scans = plan.scans.loc[plan.scans_of_series(series)]
    if not len(scans) or series in plan.scans.index:
        raise InputError(
            plan.source,
            f"a scan has the name of the series {series!r}"
            if len(scans)
            else f"no scan is of the series {series!r}",
            field=f"virtual.series.{series}",
            remedy="give one of them another name"
            if len(scans)
            else "name it in the column series of the table of scans",
        )
    unknown = set(virtual.series[series].phases) - set(plan.experiment.material.names)
    if unknown:
        raise InputError(
            plan.source,
            f"there is no phase {min(unknown)!r} in the material",
            field=f"virtual.series.{series}.phases",
            remedy=f"name two of {plan.experiment.material.names}",
        )
    logs = set(scans["log"])
    if len(logs) > 1 or not logs <= set(virtual.logs):
        raise InputError(
            plan.source,
            f"the scans of the virtual series {series!r} are on {', '.join(sorted(logs))}",
            field="virtual.logs",
            remedy="put them on one log, and say there of which pulses it is",
        )
    for scan, row in scans.iterrows():
        for column in VirtualMember.model_fields:
            if column != "scan" and pd.isna(row[column]):
                raise InputError(
                    tables.scans,
                    f"the virtual series {series!r} does not know {column} of a scan",
                    field=f"{scan}.{column}",
                    remedy="state it for each of its scans",
                )


def _check_states(plan: Plan) -> None:
    """States of scans that are in no virtual series, and of logs that rest at each."""
    virtual, made = plan.experiment.virtual, plan.made()
    states = {state.name for state in plan.experiment.states}
    of_series = {plan.scans.loc[scan, "path"] for scan in virtual_scans(plan)}
    needed = {made[path] for path in (set(plan.raw_files()) & set(made)) - of_series} - {None}
    needed |= {
        state.name
        for state in plan.experiment.states
        if state.log is not None
        and state.log not in virtual.logs
        and plan.logs.loc[state.log, "path"] == f"{_folder(plan)}{state.log}.mpt"
    }
    for missing, remedy in (
        (needed - set(virtual.states), "say what is true of it, as of the others"),
        (set(virtual.states) - states, f"name some of {sorted(states)}"),
    ):
        if missing:
            raise InputError(
                plan.source,
                f"the state {min(missing)!r} is not in both, states and virtual.states",
                field="virtual.states",
                remedy=remedy,
            )
