"""Fractions of scans as a table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import xarray as xr

from phasefront.fractions.estimation import COUNTS


def fraction_table(pooled: Sequence[tuple[str, str, xr.Dataset]]) -> pd.DataFrame:
    """FRACTIONS as one tidy table, a row for each kind and phase.

    `pooled` holds (level, name, FRACTIONS), level being scan, state or experiment.
    """
    columns = (
        "found", "value", "low", "high", "bound_low", "bound_high",
    )  # fmt: skip
    alike = (*COUNTS, "effective_grains", "condition_number")
    return pd.DataFrame(
        [
            {
                "level": level, "name": name, "kind": str(kind), "phase": str(phase),
                **{column: found[column].to_numpy()[i, k] for column in columns},
                "efficiency": found["efficiency"].to_numpy()[k],
                **{column: found[column].item() for column in alike},
                "molar_weight": found.attrs["molar_weight"],
            }
            for level, name, found in pooled
            for i, kind in enumerate(found["kind"].to_numpy())
            for k, phase in enumerate(found["phase"].to_numpy())
        ]
    )  # fmt: skip
