"""How the grains of a scan turned since the first one, together and each by itself."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from phasefront.diffraction import rotations
from phasefront.grains.segmentation import nearest_either_way
from phasefront.series.images import Picture

# A grain may turn and tilt by so much from scan to scan, beyond all grains' common turn, and still
# be taken for itself. Chosen.
_SAME_DEG = 8.0
# Turns about the beam, common to all grains, that are tried: grains with a fourfold axis along it
# look alike 90 degrees on, so that no more than 45 could be told.
_COMMON_DEG = np.arange(-30.0, 30.1, 2.0)
# Grains, the largest ones, that tell a common turn: more tell it no better.
_TELLING = 60


def kin(first: np.ndarray, other: np.ndarray, symmetry: np.ndarray, turn: float = 0) -> np.ndarray:
    """How well each grain may be another one, (grain, other grain), 0 to 1.

    Orientations are (grain, 4); `symmetry` (n, 4) are the parent's proper rotations, and `turn`, in
    degrees about the beam, is what all grains have turned by.
    """
    if not (len(first) and len(other)):
        return np.zeros((len(first), len(other)))
    one = np.repeat(rotations.unit(first.astype("f8")), len(other), axis=0)
    two = np.tile(rotations.unit(_turned_back(other, turn)), (len(first), 1))
    angle = nearest_either_way(two, one, symmetry)[1].reshape(len(first), len(other))
    return np.where(angle < _SAME_DEG, 1.0 - (angle / _SAME_DEG) ** 2, 0.0)


def common_turn(first: Picture, other: Picture, symmetry: np.ndarray) -> float:
    """Degrees about the beam by which the grains of another scan have turned together.

    That one after which most of the first scan's area finds its orientation in the other; the
    smallest of those that do as well.
    """
    size = np.bincount(first.label[first.label >= 0], minlength=len(first.rotation))
    most = np.argsort(-size, kind="stable")[:_TELLING]
    beside = np.bincount(other.label[other.label >= 0], minlength=len(other.rotation))
    there = other.rotation[np.argsort(-beside, kind="stable")[:_TELLING]]
    if not (len(most) and len(there)):
        return 0.0
    tried = _COMMON_DEG[np.argsort(np.abs(_COMMON_DEG), kind="stable")]
    found = [
        size[most] @ kin(first.rotation[most], there, symmetry, turn).max(axis=1) for turn in tried
    ]
    return float(tried[int(np.argmax(found))])


def turns_of_grains(
    first: Picture, other: Picture, partner: np.ndarray, symmetry: np.ndarray
) -> np.ndarray:
    """How each grain turned since the first scan: rotation vectors (grain, 3), degrees.

    In the frame of the patterns: x and y are a tilt, z a turn about the beam. NaN where the grain
    is not found. Half a turn about the beam, which patterns of one zone hardly tell, is left out.
    """
    found = np.full((len(partner), 3), np.nan)
    here = np.flatnonzero(partner >= 0)
    if here.size:
        before = rotations.unit(first.rotation[here].astype("f8"))
        after = rotations.unit(other.rotation[partner[here]].astype("f8"))
        after = nearest_either_way(after, before, symmetry)[0]
        turn = Rotation.from_quat(after, scalar_first=True).inv() * Rotation.from_quat(
            before, scalar_first=True
        )
        found[here] = turn.as_rotvec(degrees=True)
    return found


def _turned_back(orientation: np.ndarray, turn: float) -> np.ndarray:
    own = Rotation.from_quat(orientation.astype("f8"), scalar_first=True)
    back = Rotation.from_rotvec([0.0, 0.0, turn], degrees=True)
    return (own * back).as_quat(scalar_first=True)
