"""The comparisons of a sweep's variants under each other: what its settings did to the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from phasefront.experiment.variants import label

if TYPE_CHECKING:
    import xarray as xr

# What a table of a sweep calls the run itself.
RUN = "run"


def tabulate(settings: Sequence[Mapping], tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The tables of all variants under each other, with each variant's name and settings.

    `settings` and `tables` are those of the run itself and then of each variant; `variant` names
    what differs from the run, which is called "run".
    """
    own = settings[0]
    parts = []
    for values, table in zip(settings, tables, strict=True):
        differing = [f"{path}={label(values[path])}" for path in own if values[path] != own[path]]
        part = table.copy()
        for place, path in enumerate(own):
            part.insert(place, path, label(values[path]))
        part.insert(0, "variant", " ".join(differing) or RUN)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def undecided_shares(states: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """Share of the crystal's positions without an answer in each state, as rows of the comparison.

    `states` are STATE_FRACTIONS by state. Those without crystal have no row.
    """
    rows = []
    for state, found in states.items():
        crystal = int(found["patterns"]) - int(found["vacuum"])
        if crystal:
            left = int(found["undecided"]) + int(found["unindexed"])
            rows.append((state, "undecided", "stem", left / crystal))
    return pd.DataFrame(rows, columns=["state", "quantity", "source", "value"])
