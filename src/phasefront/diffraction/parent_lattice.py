"""The lattice that phases share: its frame, and the turns that leave it nearly as it is."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from phasefront.core.errors import InputError
from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import Crystal

# Relative change of a metric below which a lattice is nearly as it was: what sets a phase's apart
# from its parent's, or a from b, is 1 to 3 %.
_NEARLY = 0.05


def to_parent(crystal: Crystal, parent: Sequence[Sequence[float]]) -> np.ndarray:
    """Quaternion from the crystal's Cartesian frame to its parent's (e1 || a, e3 || c*).

    Rows of `parent` (3, 3) are the parent's axes in the crystal's. Raises InputError where they are
    not three right-handed, independent axes.
    """
    matrix = np.array(parent, dtype="f8")
    if matrix.shape != (3, 3) or np.linalg.det(matrix) <= 1e-6:
        raise InputError(
            crystal.name, "its parent axes are not three right-handed, independent axes",
            field="parent_axes", remedy="give the parent's a, b, c in the phase's axes, a row each",
        )  # fmt: skip
    a, b, _ = matrix @ np.linalg.inv(crystal.reciprocal).T
    e1 = a / np.linalg.norm(a)
    e3 = np.cross(a, b) / np.linalg.norm(np.cross(a, b))
    turn = Rotation.from_matrix([e1, np.cross(e3, e1), e3])
    return turn.as_quat(canonical=True, scalar_first=True)


def variants(crystal: Crystal, parent: Sequence[Sequence[float]]) -> np.ndarray:
    """Turns (n, 4), in the crystal's frame, that bring the parent's axes onto each other, or nearly
    so, one of those that the crystal's own symmetry makes the same; none first.

    Rows of `parent` as in `to_parent`. An orthorhombic phase with a nearly tetragonal parent has
    two: a and b may change places.
    """
    axes = np.array(parent, dtype="f8") @ np.linalg.inv(crystal.reciprocal).T
    metric = axes @ axes.T
    found = [np.array([1.0, 0.0, 0.0, 0.0])]
    for order, signs in itertools.product(
        itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)
    ):
        operation = np.diag(signs) @ np.eye(3)[list(order)]
        if np.linalg.det(operation) < 0:
            continue
        if np.abs(operation @ metric @ operation.T - metric).max() > _NEARLY * metric.max():
            continue
        turn, _ = Rotation.align_vectors(operation @ axes, axes)
        turn = turn.as_quat(canonical=True, scalar_first=True)
        angle = rotations.misorientation(turn, np.array(found), crystal.symmetry)
        # Further from all others than strain turns a lattice: these are multiples of 60 or 90.
        if angle.min() > 30.0:
            found.append(turn)
    return np.array(found)
