"""Quaternions (w, x, y, z) of rotations, and angles between orientations under symmetry."""

from __future__ import annotations

import numpy as np

# Half a turn about the beam, applied before an orientation: multiply(orientation, HALF_TURN).
HALF_TURN = np.array([0.0, 0.0, 0.0, 1.0])


def multiply(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Hamilton product: the rotation `second`, then `first`. Shapes (..., 4), broadcast."""
    a, b, c, d = np.moveaxis(first, -1, 0)
    w, x, y, z = np.moveaxis(second, -1, 0)
    parts = (
        a * w - b * x - c * y - d * z,
        a * x + b * w + c * z - d * y,
        a * y - b * z + c * w + d * x,
        a * z + b * y - c * x + d * w,
    )
    return np.stack(parts, axis=-1)


def nearest_equivalent(
    rotation: np.ndarray, reference: np.ndarray, symmetry: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The symmetric equivalent of `rotation` that is nearest to `reference`, and their angle.

    Parameters
    ----------
    rotation, reference
        Orientations, frame to crystal, unit quaternions (..., 4), broadcast against each other.
    symmetry
        Proper rotations of the crystal's Laue group, (n, 4).

    Returns
    -------
    The equivalent, (..., 4), its sign chosen so that it lies on the reference's side, and the angle
    between the two in degrees, (...). NaN where either is NaN.

    Orientations O and S O describe the same crystal for every S of its group, so the
    disorientation is the smallest angle of S O R^-1 (Morawiec, Orientations and Rotations, 2004).
    """
    shape = np.broadcast_shapes(rotation.shape, reference.shape)
    nearest = np.full(shape, np.nan)
    cosine = np.full(shape[:-1], -1.0)
    for operation in symmetry:
        equivalent = np.broadcast_to(multiply(operation, rotation), shape)
        overlap = np.sum(equivalent * reference, axis=-1)
        closer = np.abs(overlap) > cosine
        cosine[closer] = np.abs(overlap[closer])
        nearest[closer] = equivalent[closer] * np.where(overlap[closer] < 0, -1, 1)[:, None]
    cosine[cosine < 0] = np.nan
    return nearest, np.degrees(2 * np.arccos(np.minimum(cosine, 1.0)))


def misorientation(first: np.ndarray, second: np.ndarray, symmetry: np.ndarray) -> np.ndarray:
    """Smallest angle between orientations of crystals of one symmetry, degrees, (...)."""
    return nearest_equivalent(second, first, symmetry)[1]


def matrices(quaternions: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of quaternions (..., 4)."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_quat(quaternions, scalar_first=True).as_matrix()


def unit(quaternions: np.ndarray) -> np.ndarray:
    """Quaternions (..., 4) of length 1: those stored in single precision are so only nearly."""
    return quaternions / np.linalg.norm(quaternions, axis=-1, keepdims=True)
