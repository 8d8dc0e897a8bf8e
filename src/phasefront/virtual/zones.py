"""Regions of the beam's direction in a lattice, named by their zone axes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import Crystal


def zone_regions(
    rotation: np.ndarray, crystal: Crystal
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Low-index zone axis nearest to the beam.

    The axes are all lattice directions with indices -1, 0 and 1, one of each set that the Laue
    group makes equivalent: these are the corners of its fundamental sector, and the middles of its
    edges or faces.

    Parameters
    ----------
    rotation
        Orientations, frame to crystal, (n, 4).

    Returns
    -------
    Names of the axes, as [101]; the number of the nearest one (n,), and the angle between it, or
    one equivalent, and the beam in either direction, degrees (n,).
    """
    names, families = [], []
    turns = rotations.matrices(crystal.symmetry)
    direct = np.linalg.inv(crystal.reciprocal).T
    indices = [index for index in itertools.product((1, 0, -1), repeat=3) if any(index)]
    for index in sorted(indices, key=axis_order):
        axis = np.array(index) @ direct
        axis /= np.linalg.norm(axis)
        if all(np.abs(family @ axis).max() < 1 - 1e-6 for family in families):
            names.append(f"[{''.join(map(str, index))}]")
            families.append(turns @ axis)
    beam = rotations.matrices(rotations.unit(rotation.astype("f8")))[:, :, 2]
    cosine = np.stack([np.abs(beam @ family.T).max(axis=1) for family in families], axis=1)
    return names, cosine.argmax(axis=1), np.degrees(np.arccos(np.minimum(cosine.max(axis=1), 1)))


def axis_order(index: Sequence[int]) -> tuple:
    """Sorts axes without negative indices first, then short ones."""
    return min(index) < 0, sum(map(abs, index)), *(-i for i in index)
