"""Orientations and directions in the axes of the lattice that phases share."""

from __future__ import annotations

import numpy as np
import xarray as xr

from phasefront.diffraction import rotations
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.experiment.settings.instruments import Camera
from phasefront.grains.lattices import Lattice, lattices_of
from phasefront.grains.segmentation import nearest_either_way
from phasefront.maps import frames

_SQUARE = 4  # positions a side; chosen


def parent_axes(candidates: CandidatePhases) -> np.ndarray:
    """Axes a, b, c (phase, 3, 3), angstrom, in the Cartesian axes of the lattice that orientations
    of grains refer to: e1 along a, e3 along c*. A phase without `parent_axes` has its own."""
    found = []
    for crystal, parent, lattice in zip(
        candidates.crystals, candidates.parent_axes, lattices_of(candidates), strict=True
    ):
        own = np.linalg.inv(crystal.reciprocal).T
        axes = own if parent is None else np.array(parent, "f8") @ own
        found.append(axes @ rotations.matrices(lattice.to_lattice).T)
    return np.array(found)


def traces(direction_deg: np.ndarray, rotation: np.ndarray, camera: Camera | None) -> np.ndarray:
    """Directions on the map in the crystal's Cartesian axes, unit vectors (n, 3).

    `direction_deg` (n,) counts from the scan's x towards its y, `rotation` (n, 4) takes the frame
    of the patterns to the crystal. NaN where it is not known how the camera stands to the scan.
    A trace has no sign, and half a turn about the beam only takes it to the other one.
    """
    if camera is None:
        return np.full((len(direction_deg), 3), np.nan)
    angle = np.deg2rad(direction_deg)
    on_map = np.stack([np.cos(angle), np.sin(angle), np.zeros(len(angle))], axis=-1)
    turned = frames.on_scan(np.asarray(rotation, "f8"), camera)
    return np.einsum("nij,nj->ni", rotations.matrices(turned), on_map)


def beams(rotation: np.ndarray) -> np.ndarray:
    """The beam's axis z in the crystal's Cartesian axes, unit vectors (n, 3)."""
    return rotations.matrices(np.asarray(rotation, "f8").reshape(-1, 4))[..., 2]


def across_interface(
    phases: xr.Dataset, at: tuple[np.ndarray, np.ndarray], rich_there: np.ndarray,
    pair: tuple[int, int], mean: np.ndarray, lattices: list[Lattice],
) -> tuple[float, float, np.ndarray]:  # fmt: skip
    """Misorientation of the rich against the poor phase's lattice in a grain.

    Parameters
    ----------
    at
        Rows and columns of the positions of one phase.
    rich_there
        Whether (n,) that is the rich one.
    pair
        Indices of the rich and of the poor phase.
    mean
        The grain's orientation (4,), which picks the equivalents.

    Returns the angle and its standard error in degrees, and the axis (3,) in the parent's Cartesian
    axes; NaN where either side has fewer than three positions. A side's orientation is the mean of
    those within three median distances of it; its error is their scatter over the root of the
    number of squares of `_SQUARE` positions that they fill, for neighbours' errors are alike.
    """
    means, variance = [], 0.0
    for phase, own in zip(pair, (rich_there, ~rich_there), strict=True):
        y, x = at[0][own], at[1][own]
        rotation = phases["rotation"].values[y, x, phase].astype("f8")
        known = np.isfinite(rotation).all(axis=1)
        rotation, square = rotation[known], (y[known] // _SQUARE, x[known] // _SQUARE)
        if len(rotation) < 3:
            return np.nan, np.nan, np.full(3, np.nan)
        rotation /= np.linalg.norm(rotation, axis=1, keepdims=True)
        lattice = lattices[phase]
        rotation = rotations.multiply(lattice.to_lattice, rotation)
        rotation = nearest_either_way(rotation, mean, lattice.symmetry)[0]
        kept = np.ones(len(rotation), dtype=bool)
        for _ in range(3):
            outer = np.einsum("ni,nj->ij", rotation[kept], rotation[kept])
            average = np.linalg.eigh(outer)[1][:, -1]
            off = np.degrees(2 * np.arccos(np.clip(np.abs(rotation @ average), 0, 1)))
            kept = off <= max(3 * np.median(off), 1e-6)
        average *= 1 if average @ mean >= 0 else -1
        filled = len(np.unique(np.stack(square)[:, kept], axis=1)[0])
        variance += float(np.mean(off[kept] ** 2)) / filled
        means.append(average)
    turn = rotations.multiply(means[0], means[1] * [1, -1, -1, -1])
    turn *= 1 if turn[0] >= 0 else -1
    sine = np.linalg.norm(turn[1:])
    angle = float(np.degrees(2 * np.arctan2(sine, turn[0])))
    axis = turn[1:] / sine if sine > 1e-12 else np.full(3, np.nan)
    return angle, float(np.sqrt(variance)), axis
