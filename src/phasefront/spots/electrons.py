"""Cameras that show single electrons above their own noise, without counting them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Chosen, in standard deviations of the camera's own noise: a pixel that stands out, what all but
# few single electrons reach at least, and what a pixel without one does not.
_STANDS_OUT, _CLEAR, _REACH = 6.0, 10.0, 4.0
_EVENTS = 100  # of which this is told at least; chosen
_ALIKE = 2.5  # upper over lower quartile of single electrons at most; spots differ more; chosen
_PATTERNS = 64  # that are asked, for time's sake


class Empty(NamedTuple):
    """Counts of a pixel that no electron hit, how far noise takes them from there, and what one
    electron adds to all that it hits."""

    level: float
    reach: float
    electron: float


AS_COUNTED = Empty(0.0, 0.0, 0.0)  # a camera's counts as they are


def empty_pixels(patterns: np.ndarray, usable: np.ndarray) -> Empty:
    """What pixels show without an electron, of a camera that shows single ones.

    Such a camera has a gap between its own noise and one electron, and electrons are alike. Spots
    over a dense background have neither: the weaker, the more of them. Where most pixels are hit,
    or the camera counts and writes zeros, its counts are taken as they are.

    Parameters
    ----------
    patterns
        Counts (n, ky, kx), spread over the scan.
    usable
        True where a pixel counts, (ky, kx): not in the direct beam, nor hot.
    """
    few = patterns[:: max(1, len(patterns) // _PATTERNS)].astype(float)
    counts = few[:, usable]
    if not counts.size:
        return AS_COUNTED
    level = float(np.median(counts))
    noise = 1.4826 * float(np.median(np.abs(counts - level)))
    if noise == 0:
        return AS_COUNTED
    above = np.where(usable, few - level, 0) / noise
    pattern, row, column = np.nonzero(above[:, 2:-2, 2:-2] >= _STANDS_OUT)
    # A pixel and two around it either way, of which the inner ones hold an electron alone.
    y, x = np.indices((5, 5))
    patch = above[pattern[:, None, None], row[:, None, None] + y, column[:, None, None] + x]
    inside = (np.abs(y - 2) < 2) & (np.abs(x - 2) < 2)
    alone = (patch[:, ~inside] < _REACH).all(axis=1)
    patch = patch[alone & (patch[:, inside].max(axis=1) == patch[:, 2, 2])]
    if len(patch) < _EVENTS:
        return AS_COUNTED
    lower, middle, upper = np.quantile(patch[:, inside].sum(axis=1), [0.25, 0.5, 0.75])
    if np.quantile(patch[:, 2, 2], 0.05) < _CLEAR or upper > _ALIKE * lower:
        return AS_COUNTED
    return Empty(level, _REACH * noise, noise * float(middle))
