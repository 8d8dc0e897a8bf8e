"""The same grains turned, mirrored and moved at random: maps of the same kind, but unrelated.

Fronts and gradients that cross a whole grain correlate by chance whenever their directions are
near, which no covariance of a stationary field says: of two straight gradients in directions drawn
at random, three in ten correlate by more than 0.9.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

# How far grains are moved, in their own standard deviations along each axis; chosen.
_MOVED = 0.5


def turned(
    values: np.ndarray, grain: np.ndarray, number: int, rng: np.random.Generator
) -> np.ndarray:
    """Maps (number, row, column) in which each grain is a turned, perhaps mirrored and moved copy
    of itself.

    `values` (row, column) are NaN where not known; `grain` (row, column) numbers the grains. A
    copy that does not reach a point has there the value of its nearest point.
    """
    known = np.isfinite(values)
    made = np.full((number, *values.shape), np.nan)
    for one in np.unique(grain[known]):
        own = known & (grain == one)
        nearest = ndimage.distance_transform_edt(~own, return_distances=False, return_indices=True)
        whole = values[tuple(nearest)]
        at = np.argwhere(own).astype("f8")
        middle, extent = at.mean(axis=0), at.std(axis=0)
        angle = rng.uniform(0, 2 * np.pi, number)
        mirror = rng.choice([-1.0, 1.0], number)
        move = rng.uniform(-_MOVED, _MOVED, (number, 2)) * extent
        for place in range(number):
            sine, cosine = np.sin(angle[place]), np.cos(angle[place])
            y, x = (at - middle).T
            x = x * mirror[place]
            source = np.array([cosine * y + sine * x, cosine * x - sine * y])
            source += (middle + move[place])[:, None]
            made[place][own] = ndimage.map_coordinates(whole, source, order=0, mode="nearest")
    return made
