"""How far orientations found in a virtual scan are from its truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import Crystal, laue_rotations
from phasefront.diffraction.parent_lattice import to_parent

# A second lattice is the other grain's within this angle, degrees.
SAME_LATTICE_DEG = 3.0


# Standard error of an orientation, degrees, up to which it is called sure. Chosen: what 90 % of
# orientations called sure are to be right to.
SURE_TO_DEG = 0.5


def sure_orientations(phases: xr.Dataset, grains: xr.Dataset) -> np.ndarray:
    """Whether half turn and variant (y, x) are surer than a decision has to be, and the standard
    error of the orientation is up to SURE_TO_DEG."""
    probability = grains["orientation_probability"].values
    known = phases["orientation_stderr"].values <= SURE_TO_DEG
    return (probability > float(phases.attrs["decide_above"])) & known


def orientation_errors(
    truth: xr.Dataset, phases: xr.Dataset, grains: xr.Dataset, crystals: Sequence[Crystal]
) -> np.ndarray:
    """Misorientation to the truth under the decided phase, degrees, as grains settle it and half a
    turn on, (2, y, x); NaN elsewhere."""
    decision = phases["decision"].values
    angle = np.full((2, *decision.shape), np.nan)
    for number, crystal in enumerate(crystals):
        own = decision == number
        found = rotations.unit(grains["orientation"].values[own].astype("f8"))
        true = rotations.unit(truth["rotation"].values[own, number].astype("f8"))
        either = np.stack([found, rotations.multiply(found, rotations.HALF_TURN)])
        angle[:, own] = rotations.misorientation(true, either, crystal.symmetry)
    return angle


def lattice_symmetries(
    crystals: Sequence[Crystal], parents: Sequence | None, point_group: str | None
) -> list[np.ndarray]:
    """Rotations (n, 4), in each phase's axes, of its parent lattice, or of its own Laue group."""
    symmetries = []
    for crystal, parent in zip(crystals, parents or [None] * len(crystals), strict=True):
        symmetry = crystal.symmetry
        if parent is not None:
            there = to_parent(crystal, parent)
            back = there * [1, -1, -1, -1]
            shared = laue_rotations(point_group)
            symmetry = rotations.multiply(back, rotations.multiply(shared, there))
        symmetries.append(symmetry)
    return symmetries


def second_lattices_right(
    truth: xr.Dataset, phases: xr.Dataset, symmetries: Sequence[np.ndarray]
) -> np.ndarray:
    """Whether the second lattice is that of the grain which the first is not, (y, x)."""
    likeliest = phases["posterior"].fillna(-1).argmax("phase").values
    first = np.take_along_axis(phases["rotation"].values, likeliest[..., None, None], axis=2)
    second, second_phase = phases["second_rotation"].values, phases["second_phase"].values
    true = np.stack([truth[name].values for name in ("rotation", "second_rotation")])
    to_first = _angles_to(true, first[:, :, 0], likeliest, symmetries)
    to_second = _angles_to(true, second, second_phase, symmetries)
    other = np.where(to_first[0] <= to_first[1], to_second[1], to_second[0])
    return other <= SAME_LATTICE_DEG


def _angles_to(
    true: np.ndarray, found: np.ndarray, phase: np.ndarray, symmetries: Sequence[np.ndarray]
) -> np.ndarray:
    """Angle (n, y, x), degrees, between true orientations (n, y, x, phase, 4) and those found
    (y, x, 4) under a phase (y, x), as found or half a turn on; NaN where there is no phase."""
    angle = np.full(true.shape[:3], np.nan)
    for number, symmetry in enumerate(symmetries):
        own = phase == number
        own_found = rotations.unit(found[own].astype("f8"))
        own_true = rotations.unit(true[:, own, number].astype("f8"))
        either = np.stack([own_found, rotations.multiply(own_found, rotations.HALF_TURN)])
        angles = rotations.misorientation(own_true[:, None], either, symmetry)
        angle[:, own] = angles.min(axis=1)
    return angle
