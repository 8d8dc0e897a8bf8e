"""Compiled: the log-likelihood of many fronts at once. `shapes.share_behind` is its plain form."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def log_likelihoods(
    table: np.ndarray, x: np.ndarray, y: np.ndarray, fronts: np.ndarray, inverted: bool
) -> np.ndarray:
    """Log-likelihood (m,) of fronts (m, 5): angle, curvature, width, first and second offset.

    `table` (n, k) has the log-likelihood of each position's share at k shares from 0 to 1; between
    them it is interpolated. See `shapes.share_behind` for what the columns of `fronts` mean.
    """
    last = table.shape[1] - 1
    found = np.empty(len(fronts))
    for m in range(len(fronts)):
        cosine, sine = np.cos(fronts[m, 0]), np.sin(fronts[m, 0])
        bend, width = 0.5 * fronts[m, 1], fronts[m, 2]
        total = 0.0
        for i in range(len(x)):
            along = y[i] * cosine - x[i] * sine
            across = x[i] * cosine + y[i] * sine - bend * along * along
            share = _ramp(across - fronts[m, 3], width) - _ramp(across - fronts[m, 4], width)
            if inverted:
                share = 1.0 - share
            place = min(max(share, 0.0), 1.0) * last
            lower = min(int(place), last - 1)
            step = table[i, lower + 1] - table[i, lower]
            total += table[i, lower] + (place - lower) * step
        found[m] = total
    return found


@numba.njit(cache=True, nogil=True)
def _ramp(across: float, width: float) -> float:
    """Mean over a position (one wide) of a linear ramp from 0 to 1 about 0."""
    outer, inner = 0.5 * (width + 1.0), 0.5 * (width - 1.0)
    if across <= -outer:
        return 0.0
    if across >= outer:
        return 1.0
    total = 0.5 * (across + outer) ** 2
    total -= 0.5 * max(across + inner, 0.0) ** 2
    total -= 0.5 * max(across - inner, 0.0) ** 2
    return total / width
