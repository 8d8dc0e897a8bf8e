"""Ion content against the distance from a grain's outline."""

from __future__ import annotations

import numpy as np

from phasefront.layouts.interfaces import Beyond, Side

_SIDES = {
    Side.ALL: None,
    Side.VACUUM: (Beyond.VACUUM, Beyond.CRACK),
    Side.GRAIN: (Beyond.GRAIN,),
}


def depth_profile(
    depth: np.ndarray, beyond: np.ndarray, content: np.ndarray, error: np.ndarray
) -> list[tuple[int, float, float, float, int]]:
    """Rows of side, mean depth, mean ion content, its standard error, and number of positions.

    Parameters
    ----------
    depth
        Distance of each position from the outline, positions, (n,).
    beyond
        What lies beyond the nearest part of the outline (Beyond), (n,).
    content, error
        Ions per formula unit and standard error of each position, (n,); NaN where not known.

    Bins are one position deep. The mean is weighted by the errors; its standard error is that of
    the weights or, where it is larger and there are three positions or more, that of the scatter.
    """
    rows = []
    known = np.isfinite(depth) & np.isfinite(content) & (error > 0)
    for side, kinds in _SIDES.items():
        own = known if kinds is None else known & np.isin(beyond, kinds)
        bins = np.floor(depth[own]).astype(int)
        for place in np.unique(bins):
            here = np.flatnonzero(own)[bins == place]
            weight = 1 / error[here] ** 2
            mean = float(np.average(content[here], weights=weight))
            stderr = weight.sum() ** -0.5
            if len(here) >= 3:
                spread = np.average((content[here] - mean) ** 2, weights=weight)
                stderr = max(stderr, np.sqrt(spread / (len(here) - 1)))
            rows.append((int(side), float(depth[here].mean()), mean, float(stderr), len(here)))
    return rows
