"""The direct beam of a scan: its place in every pattern, its size, and the pixels beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from phasefront.calibration import friedel

# Chosen on virtual scans with stops and bars, of other seeds than docs/assumptions.md reports.
# Shares of a ring's level in the mean and in the low pattern: sure shadow, and what belongs to it.
_DARK, _LOW_DARK = (0.4, 0.7), (0.6, 0.8)
_NEAR_BEAM = 12.0  # pixels
# Of the scatter around, that of a dead pixel, and how far off four in ten neighbours are where it
# is known; patterns that tell it, up to twice as many. Chosen.
_UNMOVED, _ALIKE, _PATTERNS_TO_SCATTER = 0.5, 0.12, 100
_SHARP = 3.0  # times as far above its surroundings as a neighbour is a pixel that is hot; chosen


class Beam(NamedTuple):
    """Row, column and radius (pixels) of the direct beam; of a stop's shadow where it is hidden."""

    row: float
    column: float
    radius: float
    hidden: bool = False


@dataclass(frozen=True)
class Overview:
    """Some patterns of a scan, spread over it: `counts` (n, ky, kx)."""

    counts: np.ndarray

    @cached_property
    def low(self) -> np.ndarray:
        """The 10 % quantile of each pixel: what all have, without the spots of some."""
        place = len(self.counts) // 10
        return np.partition(self.counts, place, axis=0)[place].astype(float)

    @cached_property
    def unmoved(self) -> np.ndarray:
        """Pixels that scatter far less from pattern to pattern than those around them do: dead
        ones, whatever the camera adds to all pixels; and rows and columns of which a quarter is."""
        from scipy import ndimage

        if len(self.counts) < _PATTERNS_TO_SCATTER:
            return np.zeros(self.counts.shape[1:], bool)
        # Without the quarter that moves most: spots of crystals differ from pixel to pixel.
        some = self.counts[:: len(self.counts) // _PATTERNS_TO_SCATTER]
        most = 3 * len(some) // 4
        scatter = np.empty(some.shape[1:], np.float32)
        for row in range(len(scatter)):  # one by one, for memory's sake
            own = some[:, row].astype(np.float32)
            moved = np.abs(own - np.median(own, axis=0))
            scatter[row] = np.partition(moved, most, axis=0)[:most].mean(axis=0)
        around = ndimage.median_filter(scatter, 5)
        # Of few electrons a pixel may see none by chance, and its neighbours differ as much.
        lower, upper = (ndimage.percentile_filter(scatter, share, 7) for share in (30, 70))
        alike = (lower > (1 - _ALIKE) * around) & (upper < (1 + _ALIKE) * around)
        dead = (scatter < _UNMOVED * around) & alike
        rows, columns = (dead.mean(axis=axis, keepdims=True) > 0.25 for axis in (1, 0))
        return dead | rows | columns


def find_beam(pattern: np.ndarray) -> Beam:
    """The direct beam in a mean pattern.

    The beam is the region over half the maximum around it. A beam stop hides it if the region is
    broken up or has a hole, or if the pattern is dark where its inversion symmetry has its centre;
    see `covered`.
    """
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(np.asarray(pattern, dtype=float), 1.0)
    floor = np.median(smooth)
    peak = np.unravel_index(smooth.argmax(), smooth.shape)
    labels, _ = ndimage.label(smooth > floor + 0.5 * (smooth.max() - floor))
    over = labels == labels[peak]
    region = ndimage.binary_fill_holes(over)
    y, x = np.nonzero(region)
    row, column, radius = y.mean(), x.mean(), math.sqrt(region.sum() / np.pi)
    reach = np.hypot(y - row, x - column).max()
    centre = friedel.inversion_centre(smooth)[:2]
    whole = over.sum() > 0.95 * region.sum() and reach < 1.5 * radius + 1
    if whole and not _in_shadow(smooth, centre):
        return Beam(float(row), float(column), float(radius))
    return covered(pattern)


def covered(pattern: np.ndarray, near: tuple[float, float] | None = None) -> Beam:
    """A beam that a stop hides: centre of inversion symmetry, radius of the shadow there.

    With a centre `near`, the symmetry is that of the pixels outside the shadow as seen from there.
    """
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(np.asarray(pattern, dtype=float), 1.0)
    mask = None if near is None else usable_pixels(pattern, near, hidden=True)
    row, column, _ = friedel.inversion_centre(smooth, mask)
    return Beam(row, column, _shadow_radius(smooth, row, column), hidden=True)


def likeliest(pattern: np.ndarray, candidates: np.ndarray) -> Beam:
    """Of hidden beams near candidates (n, 2) the one about which the pattern is most symmetric."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(np.asarray(pattern, dtype=float), 1.0)
    found = [covered(pattern, tuple(near)) for near in candidates]
    likeness = [
        friedel.inversion_centre(smooth, usable_pixels(pattern, one[:2], hidden=True))[2]
        for one in found
    ]
    return found[int(np.argmax(likeness))]


def is_seen_through(mask: np.ndarray, found: Beam) -> bool:
    """Whether a stop's shadow, False in `mask` (ky, kx), is a third or more of what is around the
    beam: then it is seen, if at all, through the stop."""
    y, x = np.indices(mask.shape)
    beyond = np.hypot(y - found.row, x - found.column) - found.radius
    around = (beyond > 2) & (beyond < 6)
    return bool(around.any() and mask[around].mean() < 2 / 3)


def _in_shadow(pattern: np.ndarray, centre: tuple[float, float]) -> bool:
    """Whether a centre is dark, by upper quartiles, against the brightest ring around it."""
    y, x = np.indices(pattern.shape)
    radius = np.hypot(y - centre[0], x - centre[1])
    ring = radius.astype(int)
    farther = range(4, max(pattern.shape) // 3)
    upper = [np.quantile(pattern[ring == r], 0.75) for r in farther if (ring == r).any()]
    return bool(np.quantile(pattern[radius <= 3], 0.75) < 0.5 * max(upper))


def _shadow_radius(pattern: np.ndarray, row: float, column: float) -> float:
    y, x = np.indices(pattern.shape)
    ring = np.hypot(y - row, x - column).astype(int)
    profile = np.bincount(ring.ravel(), pattern.ravel()) / np.bincount(ring.ravel())
    return float(max(2, profile[: min(pattern.shape) // 2].argmax()))


def usable_pixels(
    mean_pattern: np.ndarray,
    centre: tuple[float, float],
    *,
    patterns: Overview | None = None,
    hidden: bool = False,
) -> np.ndarray:
    """Mask (ky, kx) without a beam stop's shadow and without hot or dead pixels.

    Parameters
    ----------
    mean_pattern
        Mean counts over positions spread over the scan, (ky, kx).
    centre
        Row and column of the direct beam.
    patterns
        Some of these. Spots of few grains are not in the low quantile of their counts, the low
        pattern, which is the mean where None.
    hidden
        Whether the stop covers the direct beam. The background then rises inwards under it.

    The shadow is what stays below 0.4 of its ring's upper quartile in the mean, and below 0.6 of
    its median in the low pattern, 30 pixels or more, and what is connected to that and below 0.7
    and 0.8; it reaches the camera's edge or the beam. A hot pixel stands three times as far above
    the median around it as its second highest neighbour, which no spot as wide as a pixel does, a
    dead one is a tenth of the median or does not change from pattern to pattern. Where spots of
    crystals lie over a hot pixel it does so in the low pattern, and in most of the patterns as far
    above its highest neighbour.
    """
    from scipy import ndimage

    pattern = np.asarray(mean_pattern, dtype=float)
    low = pattern if patterns is None else patterns.low
    y, x = np.indices(pattern.shape)
    radius = np.hypot(y - centre[0], x - centre[1])
    ring = radius.astype(int) // 2
    smooth, low_smooth = (ndimage.median_filter(counts, 3) for counts in (pattern, low))
    level = _ring_level(pattern, ring, 0.75, hidden)
    low_level = _ring_level(low, ring, 0.5, hidden)
    dark, dim = (
        (smooth < share * level) & (low_smooth < low_share * low_level)
        for share, low_share in zip(_DARK, _LOW_DARK, strict=True)
    )
    scatter = 1.2533 * np.abs(pattern - smooth)[level <= np.median(level)].mean()
    lit = level > 10 * scatter
    shadow = _of_stop(ndimage.binary_opening(dark & lit), dim & lit, radius)
    shadow = ndimage.binary_dilation(shadow, iterations=2)
    neighbours = np.ones((3, 3), bool)
    neighbours[1, 1] = False
    sharp = []
    for counts in (low, pattern):
        around = ndimage.median_filter(counts, 5)
        highest = ndimage.rank_filter(counts, -2, footprint=neighbours)
        stands_out = counts - around > _SHARP * (highest - around)
        sharp.append(stands_out & (counts - highest > 10 * scatter))
    hot, in_mean = sharp
    covered = np.argwhere(hot & ~in_mean)
    if len(covered):  # none without patterns, whose low pattern is the mean
        in_mean[tuple(covered.T)] = _stand_out(patterns.counts, covered)
    hot &= in_mean
    dead = (pattern < 0.1 * smooth) & (smooth - pattern > 10 * scatter)
    if patterns is not None:
        dead |= patterns.unmoved
    return ~(shadow | hot | dead)


def _stand_out(patterns: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Whether pixels (m, 2) stand out from all around them in most patterns (n, ky, kx)."""
    step = np.arange(-2, 3)
    rows, columns = (
        last - np.abs(last - np.abs(at[:, None] + step))  # mirrored at the edges
        for at, last in zip(pixels.T, np.subtract(patterns.shape[1:], 1), strict=True)
    )
    patch = patterns[:, rows[:, :, None], columns[:, None, :]].astype(float)
    around = np.median(patch, axis=(2, 3))
    here = patch[:, :, 2, 2].copy()
    patch[:, :, 2, 2] = -np.inf
    highest = patch[:, :, 1:4, 1:4].max(axis=(2, 3))
    return np.mean(here - around > _SHARP * (highest - around), axis=0) > 0.5


def _ring_level(counts, ring, quantile: float, hidden: bool) -> np.ndarray:
    """Quantile of each pixel's ring; under a stop over the beam at least that of rings outside."""
    from scipy import ndimage

    rings = np.arange(ring.max() + 1)
    of_ring = ndimage.labeled_comprehension(
        counts, ring, rings, lambda inside: np.quantile(inside, quantile), float, 0
    )
    return (np.maximum.accumulate(of_ring[::-1])[::-1] if hidden else of_ring)[ring]


def _of_stop(dark: np.ndarray, dim: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Dim patches that a stop can make: with 30 dark pixels, reaching the edge or the beam."""
    from scipy import ndimage

    labels, number = ndimage.label(dark | ndimage.binary_opening(dim))
    size = np.bincount(labels[dark], minlength=number + 1)
    edge = np.zeros(dark.shape, bool)
    edge[[0, -1]] = edge[:, [0, -1]] = True
    held = edge | (radius < _NEAR_BEAM)
    kept = (size >= 30) & np.isin(np.arange(number + 1), labels[held])
    kept[0] = False
    return kept[labels]
