"""When places convert: times with intervals, from the histories of their states."""

from __future__ import annotations

import numpy as np

from phasefront.core.statistics import Interval
from phasefront.series.histories import Histories

# A place converts if that is likelier than not.
_HALF = 0.5
# Quantiles of the time of change: median and the ends of the 95 % interval.
_QUANTILES = (0.5, 0.025, 0.975)


def converted(states: np.ndarray) -> np.ndarray:
    """Share converted (...), of posteriors (..., state): poor, and half of mixed."""
    return states[..., 2] + 0.5 * states[..., 1]


def moves(found: Histories) -> np.ndarray:
    """Net share (place, gap) that converts between scans, towards poor: half on leaving the first
    state, half on reaching the last."""
    return 0.5 * (found.left + found.reached)


def change_times(move: np.ndarray, time: np.ndarray) -> Interval:
    """Time (3, place) at which each place converts, median and 95 %; NaN where it does not.

    Parameters
    ----------
    move
        (place, gap) probability that it converts between two scans, towards the end of the series.
    time
        (place, scan) s. Within a gap all times are as likely.
    """
    move = np.maximum(move, 0.0)
    total = move.sum(axis=1)
    below = np.concatenate([np.zeros((len(move), 1)), move.cumsum(axis=1)], axis=1)
    found = np.full((3, len(move)), np.nan)
    for place in np.flatnonzero(total > _HALF):
        share = below[place] / total[place]
        # Where nothing happens the share stands still; the last of equal ones begins the next gap.
        found[:, place] = [_crossing(share, time[place], level) for level in _QUANTILES]
    return found


def _crossing(share: np.ndarray, time: np.ndarray, level: float) -> float:
    after = int(np.searchsorted(share, level, side="left"))
    after = min(max(after, 1), len(share) - 1)
    rise = share[after] - share[after - 1]
    part = (level - share[after - 1]) / rise if rise > 0 else 0.0
    return float(time[after - 1] + min(max(part, 0.0), 1.0) * (time[after] - time[after - 1]))
