"""Cells of particles as a table."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import xarray as xr

_PARAMETERS = ("a", "b", "c", "alpha", "beta", "gamma")
_ENDS = ("", "_low", "_high")


def cell_rows(cells: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """CELL data sets, by their names, as CELL_TABLE has them, a row each."""
    rows = []
    for name, found in cells.items():
        values = found["cell"].to_numpy(), found["cell_error"].to_numpy()
        rows.append(
            {
                "cell": name,
                "particle": found.attrs["particle"],
                "state": found.attrs["state"],
                "phase": found.attrs["phase"],
                "program": found.attrs["program"],
                **{
                    f"{parameter}{end}": float(of[at])
                    for at, parameter in enumerate(_PARAMETERS)
                    for end, of in zip(("", "_error"), values, strict=True)
                },
                **{
                    f"{quantity}{end}": found[f"{quantity}{end}"].item()
                    for quantity in ("ratio", "ion_content")
                    for end in _ENDS
                },
                "breaking": found["breaking"].item(),
                "breaking_freedom": int(found["breaking_freedom"].item()),
                "settings": found.sizes["setting"],
                "refused": found.attrs["refused"],
                "notes": found.attrs["notes"],
            }
        )
    return pd.DataFrame(rows)
