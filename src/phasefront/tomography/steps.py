"""Derivatives by central differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_STEP = 1e-6  # relative, for central differences


def slope_of(function: Callable[[np.ndarray], np.ndarray], at: np.ndarray) -> np.ndarray:
    """Derivatives (k, n) of `function`, (k,), by the n numbers of `at`: central differences."""
    flat = np.asarray(at, dtype=float).ravel()
    steps = np.diag(np.full(len(flat), _STEP * np.abs(flat).max()))
    return np.stack(
        [(function(flat + s) - function(flat - s)) / (2 * s.max()) for s in steps], axis=1
    )
