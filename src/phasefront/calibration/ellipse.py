"""Scale and ellipse that an affine map stands for."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np


def shape_of(affine: np.ndarray) -> tuple[float, float, float]:
    """Scale, long over short axis of a ring on the camera, and direction of the long one (degrees).

    A ring is long where a pixel is worth little: along the smaller eigenvalue.
    """
    values, vectors = np.linalg.eigh(affine)
    x, y = vectors[:, 0]
    return (
        math.sqrt(values[0] * values[1]),
        float(values[1] / values[0]),
        math.degrees(math.atan2(y, x)) % 180.0,
    )


def scale_of(affine: np.ndarray) -> float:
    """The first of `shape_of`."""
    return shape_of(affine)[0]


def ratio_of(affine: np.ndarray) -> float:
    """The second of `shape_of`."""
    return shape_of(affine)[1]


def propagate(
    quantity: Callable[[np.ndarray], float], affine: np.ndarray, covariance: np.ndarray
) -> float:
    """Standard error of a quantity of the affine, by first-order propagation.

    A ratio of nearly 1 has no derivative where it is 1: the mean over both signs of a step of one
    standard error stands for it.
    """
    if not np.isfinite(covariance).all():
        return math.nan
    steps = np.linalg.cholesky(covariance + 1e-30 * np.eye(3)).T
    spread = 0.0
    for xx, xy, yy in steps:
        step = np.array([[xx, xy], [xy, yy]])
        spread += (0.5 * (quantity(affine + step) - quantity(affine - step))) ** 2
    return math.sqrt(spread)
