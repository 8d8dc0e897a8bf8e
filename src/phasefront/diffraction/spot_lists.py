"""Spots of many positions as ragged arrays."""

from __future__ import annotations

import numpy as np
import xarray as xr

_MANY_SPOTS = 1_000_000


def spot_arrays(
    spots: xr.Dataset, positions: slice = slice(None)
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """offset, qx, qy and intensity (not negative) of a SPOTS or TEMPLATES dataset, as f8.

    `positions`: those wanted, rows first; only their spots are read.
    """
    first, last, _ = positions.indices(spots.sizes["edge"] - 1)
    offset = spots["offset"][first : last + 1].values
    own = slice(offset[0], offset[-1])
    qx, qy, intensity = (
        spots[name][own].values.astype(np.float64) for name in ("qx", "qy", "intensity")
    )
    return offset - offset[0], qx, qy, np.maximum(intensity, 0.0)


def owner(offset: np.ndarray) -> np.ndarray:
    """The position of every spot (spots,), from where each position's begin (positions + 1,)."""
    return np.repeat(np.arange(len(offset) - 1), np.diff(offset))


def without(
    spots: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], left_out: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """offset, qx, qy and intensity of the spots that are not left out (spots,)."""
    offset, *values = spots
    count = np.bincount(owner(offset)[~left_out], minlength=len(offset) - 1)
    return (np.concatenate([[0], np.cumsum(count)]), *(value[~left_out] for value in values))


def observed_window(spots: xr.Dataset) -> tuple[float, float]:
    """Radii (1/angstrom) between which a scan's spots lie, but for one in a thousand.

    At least 0.25 to 0.5, for scans with hardly any spots. Of many spots a share is looked at.
    """
    some = slice(None, None, 1 + spots.sizes["spot"] // _MANY_SPOTS)
    radius = np.hypot(spots["qx"][some].values, spots["qy"][some].values)
    if not len(radius):
        return 0.0, 1.0
    low, high = np.quantile(radius, [0.001, 0.999])
    high = max(float(high), 0.5)
    return min(float(low), 0.5 * high), high
