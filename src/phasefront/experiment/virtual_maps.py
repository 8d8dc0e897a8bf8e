"""Whether a virtual run knows what is true of the maps of chemistry that it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from phasefront.core.errors import InputError
from phasefront.experiment.stacks import first_of, laid

if TYPE_CHECKING:
    from phasefront.experiment.plan import Plan

# Of the files that are made, by kind of stack: HERMES's, and HyperSpy's.
SUFFIXES = {"xray": "hdf5", "eels": "hspy", "low-loss": "hspy"}


def virtual_stacks(plan: Plan) -> dict[str, str]:
    """Raw files of virtual maps, repeats and low losses included, each with its state."""
    asked, folder = plan.experiment.virtual.maps, f"results/{plan.experiment.run}/raw"
    return {
        f"{folder}/{stack}.{SUFFIXES[kind]}": plan.stacks.loc[stack, "state"]
        for stack, kind in plan.stacks["kind"].items()
        if kind in SUFFIXES and first_of(plan.stacks, stack) in asked
    }


def check_virtual_maps(plan: Plan) -> None:
    """Raise InputError for a virtual map that no stack is laid by, and a stack in the folder of
    virtual files that none is made for, under the name of a scan, or without what it needs."""
    virtual, source, table = plan.experiment.virtual, plan.source, plan.experiment.tables.stacks
    fit_for_it = [
        name for name in laid(plan.stacks) if plan.stacks.loc[name, "kind"] in SUFFIXES
    ]  # fmt: skip
    for name in virtual.maps:
        if name not in fit_for_it:
            raise InputError(
                source, f"no stack {name!r} of X-rays or losses is laid on a scan",
                field=f"virtual.maps.{name}", remedy="name its scan in the table of stacks",
            )  # fmt: skip
    made, folder = virtual_stacks(plan), f"results/{plan.experiment.run}/raw/"
    for name, row in plan.stacks.iterrows():
        expected = f"{folder}{name}.{SUFFIXES.get(row['kind'], '')}"
        if (row["path"] != expected) if expected in made else row["path"].startswith(folder):
            raise InputError(
                table, f"{row['path']!r} is not what the virtual run makes"
                + (f", {expected!r}" if expected in made else ""), field=f"{name}.path",
                remedy="correct the path, or say under virtual.maps what is true of it",
            )  # fmt: skip
        if expected not in made:
            continue
        if row["kind"] != "xray" and pd.isna(row["beam_kev"]):
            raise InputError(
                table, "a virtual file of losses does not know its beam", field=f"{name}.beam_kev",
                remedy="give it",
            )  # fmt: skip
        if name in plan.scans.index or name in plan.patterns.index or name in plan.logs.index:
            raise InputError(
                table, f"{name!r} is the name of another virtual file", field=name,
                remedy="give the stack another name",
            )  # fmt: skip
