"""What stacks of an experiment need, held together: their files, and references to fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from phasefront.core.errors import InputError

if TYPE_CHECKING:
    from phasefront.experiment.config import Experiment


def beside_stacks(stacks: pd.DataFrame) -> list[str]:
    """Files that the table of stacks names beside the stacks themselves."""
    return [
        path for column in ("i0", "error_map", "thickness_map") for path in stacks[column]
        if not pd.isna(path)
    ]  # fmt: skip


def check_chemistry(experiment: Experiment, stacks: pd.DataFrame, source: str) -> None:
    """Raise InputError where a stack has no references to be fitted by."""
    fitted = list(stacks.index[stacks["kind"] == "xray"])
    if fitted and not experiment.chemistry.references:
        raise InputError(
            source, f"stack {fitted[0]!r} has no reference spectra", field="chemistry.references",
            remedy="name two or more, each with its valence and source",
        )  # fmt: skip
