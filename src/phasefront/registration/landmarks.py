"""Points that a person found in both images: half of them help to lay the map, half test it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasefront.core.errors import InputError
from phasefront.registration.laying import Laid

# Squared distance, in standard errors, within which 95 % of a normal error in two dimensions lies.
_WITHIN_95 = -2 * np.log(0.05)


@dataclass(frozen=True)
class Tested:
    """What landmarks that were left out say of a placement.

    `off_nm` (n,) is how far each lies from where the draws put it on average, `expected_nm` (n,)
    the root mean square of that by the draws and the landmark's own error, `held` (n,) whether the
    region of 95 % holds it.
    """

    off_nm: np.ndarray
    expected_nm: np.ndarray
    held: np.ndarray


def split(landmarks: np.ndarray, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks (n, 5) to be used, every other one from the first, and those that test.

    Raises InputError for errors that are not positive, and what is not known.
    """
    given = np.asarray(landmarks, "f8").reshape(-1, 5)
    if not np.isfinite(given).all() or (given[:, 4] <= 0).any():
        raise InputError(
            source, "a landmark lacks a place or has no positive error", field="landmarks",
            remedy="give row and column in the map, y and x in nm on the scan, and an error in nm",
        )  # fmt: skip
    return given[::2], given[1::2]


def examine(laid: Laid, left_out: np.ndarray) -> Tested:
    """How far landmarks (n, 5) that were not used lie from where the map was laid."""
    places = np.array([one.at(left_out[:, :2]) for one in laid.draws])
    mean = places.mean(axis=0)
    spread = places - mean
    covariance = np.einsum("dni,dnj->nij", spread, spread) / (len(places) - 1)
    covariance = covariance + left_out[:, 4, None, None] ** 2 * np.eye(2)
    off = left_out[:, 2:4] - mean
    inverse = np.linalg.inv(covariance)
    distance = np.einsum("ni,nij,nj->n", off, inverse, off)
    return Tested(
        np.hypot(*off.T), np.sqrt(np.trace(covariance, axis1=1, axis2=2)), distance <= _WITHIN_95
    )
