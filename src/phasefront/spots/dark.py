"""What a camera shows without electrons, as far as the patterns of a scan tell."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from phasefront.spots.afterglow import Afterglow

# Chosen, in standard deviations of the camera's own noise: a pixel that stands out, what all but
# few single electrons reach at least, and what a pixel without one does not.
_STANDS_OUT, _CLEAR, _REACH = 6.0, 10.0, 4.0
_EVENTS = 100  # of which this is told at least; chosen
_ALIKE = 2.5  # upper over lower quartile of single electrons at most; spots differ more; chosen
_BESIDE, _PIXELS = 9, 20  # rows that one is compared with, and pixels that tell; chosen
_SURE = 5.0  # standard errors that a row stands off by; chosen
_LEAST = 0.1  # of a pixel's noise: under a filter of 30 pixels a fifth of its noise
_PATTERNS = 64  # that are asked, for time's sake


class Dark(NamedTuple):
    """Counts of a pixel that no electron hit, row and column added up.

    Of a camera that shows single electrons over its own noise without counting them, `reach` is how
    far noise takes such a pixel, and `electron` what one adds to all pixels that it hits; else 0.
    `afterglow` is of the frame before, and taken off where that is at hand (`without_afterglow`).
    """

    rows: np.ndarray  # (ky,)
    columns: np.ndarray  # (kx,)
    reach: float = 0.0
    electron: float = 0.0
    afterglow: Afterglow = Afterglow()


def as_counted(camera: tuple[int, int]) -> Dark:
    """A camera (ky, kx) whose counts are taken as they are."""
    return Dark(np.zeros(camera[0]), np.zeros(camera[1]))


def measure_dark(patterns: np.ndarray, mean: np.ndarray, usable: np.ndarray) -> Dark:
    """What pixels show without an electron.

    Rows and columns that stand off from those beside them do so by what the camera adds to them.

    A camera that shows single electrons has a gap between its own noise and one electron, and
    electrons are alike. Spots over a dense background have neither: the weaker, the more of them.
    Where most pixels are hit, or the camera counts and writes zeros, the level stays 0.

    Parameters
    ----------
    patterns
        Counts (n, ky, kx), spread over the scan.
    mean
        Mean counts of these and more, (ky, kx).
    usable
        True where a pixel counts, (ky, kx): not in the direct beam, nor hot.
    """
    few = patterns[:: -(-len(patterns) // _PATTERNS)].astype(np.float32)
    if not usable.any():
        return as_counted(mean.shape)
    scatter = float(np.median(few.std(axis=0)[usable]))
    dark = Dark(_offsets(mean, usable, scatter), _offsets(mean.T, usable.T, scatter))
    few -= (dark.rows[:, None] + dark.columns).astype(np.float32)
    counts = few[:, usable].astype(float)
    level = float(np.median(counts))
    noise = 1.4826 * float(np.median(np.abs(counts - level)))
    if noise == 0:
        return dark
    # From here on in standard deviations above an empty pixel.
    few -= np.float32(level)
    few /= np.float32(noise)
    few[:, ~usable] = 0
    pattern, row, column = np.nonzero(few[:, 2:-2, 2:-2] >= _STANDS_OUT)
    # A pixel and two around it either way, of which the inner ones hold an electron alone.
    y, x = np.indices((5, 5))
    patch = few[pattern[:, None, None], row[:, None, None] + y, column[:, None, None] + x]
    inside = (np.abs(y - 2) < 2) & (np.abs(x - 2) < 2)
    alone = (patch[:, ~inside] < _REACH).all(axis=1)
    patch = patch[alone & (patch[:, inside].max(axis=1) == patch[:, 2, 2])]
    if len(patch) < _EVENTS:
        return dark
    lower, middle, upper = np.quantile(patch[:, inside].sum(axis=1), [0.25, 0.5, 0.75])
    if np.quantile(patch[:, 2, 2], 0.05) < _CLEAR or upper > _ALIKE * lower:
        return dark
    return Dark(dark.rows + level, dark.columns, _REACH * noise, noise * float(middle))


def _offsets(mean: np.ndarray, usable: np.ndarray, noise: float) -> np.ndarray:
    """How far rows (n,) of a mean pattern stand off from those beside them; 0 where they do not for
    sure, or by so little of a pixel's noise that no spot is found or lost by it."""
    from scipy import ndimage

    off = mean - ndimage.median_filter(mean, (_BESIDE, 1))
    rows = np.zeros(len(mean))
    for row, (own, used) in enumerate(zip(off, usable, strict=True)):
        if np.count_nonzero(used) < _PIXELS:
            continue
        middle = np.median(own[used])
        scatter = np.median(np.abs(own[used] - middle))
        error = 1.8582 * scatter / np.sqrt(np.count_nonzero(used))
        # What is added is the same along a row; what a dead row lacks is not.
        if abs(middle) > max(_SURE * error, _LEAST * noise, scatter):
            rows[row] = middle
    return rows
