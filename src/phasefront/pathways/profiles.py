"""The ion content of a grain along a direction on the map, with its error."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Fewer positions have no mean in a profile; chosen.
_FEWEST = 3


class Profile(NamedTuple):
    """Mean ion content of positions across a direction, at places along it."""

    place: np.ndarray  # (place,) in positions, from the grain's middle
    value: np.ndarray  # (place,) NaN where few positions lie
    low: np.ndarray  # 95 % interval by draws
    high: np.ndarray


def profile(value: np.ndarray, draws: np.ndarray, direction: float, places: np.ndarray) -> Profile:
    """Profile of a grain, whose other positions are NaN.

    `value` (y, x), `draws` (draw, y, x), `direction` in degrees from x towards y; `places` are the
    middles of bins, even, in positions from the grain's middle.
    """
    y, x = np.nonzero(np.isfinite(value))
    angle = np.radians(direction)
    ahead = (x - x.mean()) * np.cos(angle) + (y - y.mean()) * np.sin(angle)
    step = places[1] - places[0]
    of_bin = np.rint((ahead - places[0]) / step).astype(int)
    kept = (of_bin >= 0) & (of_bin < len(places))
    count = np.bincount(of_bin[kept], minlength=len(places))

    def mean(field: np.ndarray) -> np.ndarray:
        total = np.bincount(of_bin[kept], field[y[kept], x[kept]], len(places))
        few = np.full(len(places), np.nan)
        return np.divide(total, count, out=few, where=count >= _FEWEST)

    best = mean(value)
    off = np.array([mean(one) for one in draws]) - best
    return Profile(places, best, *(best + np.quantile(off, (0.025, 0.975), axis=0)))
