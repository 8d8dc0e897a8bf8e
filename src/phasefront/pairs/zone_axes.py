"""Zone axes of lowest indices."""

from __future__ import annotations

from itertools import product

import numpy as np

from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import Crystal

_LARGEST_INDEX = 3  # of a zone axis; enough for the eight lowest ones


def lowest_zone_axes(crystal: Crystal, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices [uvw] (n, 3) of the lowest zone axes, one of each orbit of the Laue group.

    Lowest are those with the smallest sum of squares; of equivalent ones that with the fewest
    negative indices. Also their directions (n, 3), unit vectors in the crystal's axes.
    """
    indices = np.array(list(product(range(-_LARGEST_INDEX, _LARGEST_INDEX + 1), repeat=3)))
    indices = indices[np.gcd.reduce(indices, axis=1) == 1]
    order = np.lexsort((*-indices.T[::-1], (indices < 0).sum(axis=1), (indices**2).sum(axis=1)))
    direct = np.linalg.inv(crystal.reciprocal).T
    operations = rotations.matrices(crystal.symmetry)
    uvw: list[np.ndarray] = []
    axes: list[np.ndarray] = []
    for row in indices[order]:
        if len(axes) == number:
            break
        axis = row @ direct
        axis = axis / np.linalg.norm(axis)
        images = operations @ axis
        if any(np.abs(images @ other).max() > 1 - 1e-9 for other in axes):
            continue
        uvw.append(row)
        axes.append(axis)
    return np.array(uvw).reshape(-1, 3), np.array(axes).reshape(-1, 3)
