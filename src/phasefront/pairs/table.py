"""A table of pairs, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    import pandas as pd


_TABULATED = 6  # reflections of a zone axis in the table, for the page's sake


def tabulate(pairs: xr.Dataset) -> pd.DataFrame:
    """What a PAIRS dataset says, one row a discriminating reflection, at most six a zone axis.

    The first row of a pair, `all` directions, has the median over the grid of directions and the
    share of these along which no dose decides. Electrons are those that a pattern needs. Indices
    are space-separated; units are in the columns' names.
    """
    import pandas as pd

    names = pairs["phase"].to_numpy()
    rows = []
    for index, (true, rival) in enumerate(
        zip(pairs["true_phase"].to_numpy(), pairs["rival"].to_numpy(), strict=True)
    ):
        pair = {"phase": names[true], "rival": names[rival]}
        own = pairs["pair_index"].to_numpy() == index
        axis = pairs["zone_axis"].to_numpy().any(axis=1)
        grid = pairs["electrons"].to_numpy()[own & ~axis]
        rows.append(
            pair
            | {
                "zone_axis": "all",
                "electrons": np.quantile(grid, 0.5, method="higher") if len(grid) else np.nan,
                "share_impossible": np.isinf(grid).mean() if len(grid) else np.nan,
            }
        )
        for direction in np.flatnonzero(own & axis):
            here = pair | {
                "zone_axis": _words(pairs["zone_axis"].to_numpy()[direction]),
                "electrons": pairs["electrons"].to_numpy()[direction],
            }
            seen = np.flatnonzero(pairs["direction_index"].to_numpy() == direction)[:_TABULATED]
            rows += [here | _described(pairs, reflection) for reflection in seen] or [here]
    columns = [
        "phase", "rival", "zone_axis", "electrons", "share_impossible", "kind", "hkl", "rival_hkl",
        "spacing_angstrom", "shift_per_angstrom", "relative_intensity", "evidence",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _described(pairs: xr.Dataset, reflection: int) -> dict:
    def value(name: str) -> float:
        return float(pairs[name].to_numpy()[reflection])

    return {
        "kind": str(pairs["kind"].to_numpy()[reflection]),
        "hkl": _words(pairs["hkl"].to_numpy()[reflection]),
        "rival_hkl": _words(pairs["rival_hkl"].to_numpy()[reflection]),
        "spacing_angstrom": value("spacing"),
        "shift_per_angstrom": value("shift"),
        "relative_intensity": value("relative_intensity"),
        "evidence": value("evidence"),
    }


def _words(indices: np.ndarray) -> str:
    return " ".join(map(str, indices)) if indices.any() else ""
