"""The orientation that a pattern of one Laue zone hardly tells from the one found.

Half a turn about the zone axis takes every reflection g of the zone to -g, and leaves the tilt of
the crystal as it is, so that the same spots are excited: by Friedel's law the pattern is the same,
and only upper zones tell. Half a turn about the beam is off by twice the tilt of the zone axis to
it: there the other side of the zone is excited, and a search for the likeliest orientation nearby
may not find back.
"""

from __future__ import annotations

import numpy as np

from phasefront.diffraction import rotations
from phasefront.diffraction.likelihood import Refined, assign
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots

# By how much less than across it, relative, reflections may spread along the axis for the beam to
# take its place: one row of spots has no axis of its own. Chosen: a fiftieth of what two rows of
# a pattern 30 spots wide spread.
_FLAT = 1e-3


def half_turned(
    spots: Spots, position: np.ndarray, phase: np.ndarray, refined: Refined,
    table: ReflectionTable, optics: Optics,
) -> np.ndarray:  # fmt: skip
    """Orientations (n, 4) half a turn about the zone axis from those of the candidates (n).

    The axis is the normal of the plane that fits the reflections of the spots best; where they lie
    in a row, that of the planes through it which is nearest to the beam.
    """
    assignment = assign(spots, position, phase, refined, table, optics)
    g = table.g[:, assignment.reflection]
    spread = np.empty((len(position), 3, 3))
    for i in range(3):
        for j in range(3):
            spread[:, i, j] = np.bincount(
                assignment.candidate, g[i] * g[j], minlength=len(position)
            )
    beam = rotations.matrices(refined.rotation)[:, :, 2]
    total = np.trace(spread, axis1=1, axis2=2)[:, None, None] + 1.0
    off_beam = np.eye(3) - beam[:, :, None] * beam[:, None, :]
    axis = np.linalg.eigh(spread + _FLAT * total * off_beam)[1][..., 0]
    turn = np.concatenate([np.zeros((len(axis), 1)), axis], axis=1)
    return rotations.multiply(turn, refined.rotation)
