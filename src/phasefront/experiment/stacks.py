"""What stacks of an experiment need: their files, references, low losses, repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from phasefront.core.errors import InputError

if TYPE_CHECKING:
    from phasefront.experiment.config import Experiment


def beside_stacks(stacks: pd.DataFrame) -> list[str]:
    """Files that the table of stacks names beside the stacks themselves."""
    columns = ("i0", "error_map", "thickness_map", "landmarks")
    return [path for column in columns for path in stacks[column] if not pd.isna(path)]


def spectra_of(experiment: Experiment) -> list[str]:
    """Files of reference spectra and cross sections."""
    references = [reference.path for reference in experiment.chemistry.references]
    return references + [edge.path for edge in experiment.losses.edges]


def mapped(stacks: pd.DataFrame) -> list[str]:
    """Stacks, and maps, from which a map of chemistry comes: all but low losses and repeats."""
    return list(stacks.index[(stacks["kind"] != "low-loss") & stacks["repeat_of"].isna()])


def laid(stacks: pd.DataFrame) -> list[str]:
    """Stacks whose map is laid on a scan."""
    return list(stacks.index[stacks["scan"].notna()])


def particle_of(stacks: pd.DataFrame, stack: str) -> str | None:
    """What a stack is of as a whole, where the table says so."""
    named = stacks.loc[stack, "particle"]
    return None if pd.isna(named) else str(named)


def repeats(stacks: pd.DataFrame, stack: str) -> list[str]:
    """A stack of losses and those that take its positions once more, in the table's order."""
    return [stack, *stacks.index[stacks["repeat_of"] == stack]]


def first_of(stacks: pd.DataFrame, stack: str) -> str:
    """The stack whose map one is for: itself, what it repeats, or what it is the low loss of."""
    row = stacks.loc[stack]
    if row["kind"] == "low-loss":
        users = stacks.index[stacks["low_loss"] == stack]
        return first_of(stacks, users[0]) if len(users) else stack
    return stack if pd.isna(row["repeat_of"]) else row["repeat_of"]


def electrons_before(stacks: pd.DataFrame, stack: str) -> float:
    """Electrons per nm2 that a stack's positions had taken when half of its own had come."""
    if stacks.loc[stack, "kind"] != "eels":
        return 0.0
    group = repeats(stacks, first_of(stacks, stack))
    doses = stacks.loc[group[: group.index(stack) + 1], "electrons_per_nm2"].fillna(0.0).to_numpy()
    return float(doses.astype("f8").sum() - doses[-1] / 2)


def check_stacks(experiment: Experiment, stacks: pd.DataFrame, source: str) -> None:
    """Raise InputError where a stack lacks what its chemistry is worked out with."""
    fitted = list(stacks.index[stacks["kind"] == "xray"])
    if fitted and not experiment.chemistry.references:
        raise InputError(
            source, f"stack {fitted[0]!r} has no reference spectra", field="chemistry.references",
            remedy="name two or more, each with its valence and source",
        )  # fmt: skip
    losses = stacks[stacks["kind"] == "eels"]
    if len(losses) and experiment.losses.ratio is None:
        raise InputError(
            source, f"stack {losses.index[0]!r} is of energy losses, and no ratio is asked for",
            field="losses.ratio", remedy="name two elements, and a cross section of each edge",
        )  # fmt: skip
    table = experiment.tables.stacks
    low = set(stacks.index[stacks["kind"] == "low-loss"])
    first = set(losses.index[losses["repeat_of"].isna()])
    for name, row in losses.iterrows():
        for column, known in (("low_loss", low), ("repeat_of", first)):
            if not pd.isna(row[column]) and row[column] not in known:
                raise InputError(
                    table, f"{row[column]!r} is no stack of the kind that {column} names",
                    field=f"{name}.{column}", remedy=f"name one of {sorted(known)}",
                )  # fmt: skip
        group = repeats(stacks, name)
        if len(group) > 1 and losses.loc[group, "electrons_per_nm2"].isna().any():
            raise InputError(
                table, "repeats are extrapolated to no dose, and a dose is not given",
                field=f"{name}.electrons_per_nm2", remedy="give it for the stack and its repeats",
            )  # fmt: skip


def check_laid(
    experiment: Experiment, stacks: pd.DataFrame, scans: pd.DataFrame, source: str
) -> None:
    """Raise InputError where a map of chemistry cannot be laid on the scan that is named for it,
    or its ratio is none of the ions that move."""
    for name in laid(stacks):
        scan, problem = stacks.loc[name, "scan"], None
        if scan not in scans.index:
            problem, remedy = "is not in the table of scans", f"name one of {sorted(scans.index)}"
        elif scans.loc[scan, "kind"] != "scan":
            problem = "has no raw patterns, whose diffuse level shows how thick the grains are"
            remedy = "name a raw scan, or leave the cell empty"
        elif scans.loc[scan, "state"] != stacks.loc[name, "state"]:
            problem = f"is of the state {scans.loc[scan, 'state']}, the stack of another"
            remedy = "name a scan of the same grain in the same state"
        if problem:
            raise InputError(
                experiment.tables.stacks, f"the scan {scan!r} {problem}", field=f"{name}.scan",
                remedy=remedy,
            )  # fmt: skip
    losses, ion = experiment.losses, experiment.material.ion
    if losses.formula_atoms and losses.ratio and losses.ratio[0] != ion:
        raise InputError(
            source, f"ion content is asked for, and the ratio is of {losses.ratio[0]}, not of"
            f" {ion}", field="losses.formula_atoms",
            remedy=f"name {ion} first in losses.ratio, or leave formula_atoms out",
        )  # fmt: skip
