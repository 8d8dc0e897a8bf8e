"""The direct beam of a scan: its place in every pattern, its size, and the pixels beside it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from phasefront import friedel, spots

_START_RADIUS = 4.0  # of a spot in pixels, before it is measured
# Shares of a ring's level in the mean and in the low pattern: sure shadow, and what belongs to it.
_DARK, _LOW_DARK = (0.4, 0.7), (0.6, 0.8)
_NEAR_BEAM = 12.0  # pixels
_CLUSTER = 8  # positions a side over which errors of the centre are taken for dependent
_FOLLOWED = 7  # positions a side of the medians that stand for a surface where none fits
_ASTRAY = 0.05  # of the disk's radius; on the demo's scans medians are off by 0.004 of it (rms)
_ASTRAY_SHARE = 0.15


class Beam(NamedTuple):
    """Row, column and radius (pixels) of the direct beam; of a stop's shadow where it is hidden."""

    row: float
    column: float
    radius: float
    hidden: bool = False


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
    low_pattern: np.ndarray | None = None,
    hidden: bool = False,
) -> np.ndarray:
    """Mask (ky, kx) without a beam stop's shadow and without hot or dead pixels.

    Parameters
    ----------
    mean_pattern
        Mean counts over positions spread over the scan, (ky, kx).
    centre
        Row and column of the direct beam.
    low_pattern
        A low quantile of the counts over these positions, (ky, kx): spots of few grains are not in
        it. The mean where None.
    hidden
        Whether the stop covers the direct beam. The background then rises inwards under it.

    The shadow is what stays below 0.4 of its ring's upper quartile in the mean, and below 0.6 of
    its median in the low pattern, 30 pixels or more, and what is connected to that and below 0.7
    and 0.8; it reaches the camera's edge or the beam. A hot pixel is three times its second
    highest neighbour, a dead one a tenth of their median.
    """
    from scipy import ndimage

    pattern = np.asarray(mean_pattern, dtype=float)
    low = pattern if low_pattern is None else np.asarray(low_pattern, dtype=float)
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
    hot = np.ones(pattern.shape, bool)
    for counts in (pattern, low):
        highest = ndimage.rank_filter(counts, -2, footprint=neighbours)
        hot &= (counts > 3 * highest) & (counts - highest > 10 * scatter)
    dead = (pattern < 0.1 * smooth) & (smooth - pattern > 10 * scatter)
    return ~(shadow | hot | dead)


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


def find_centres(
    patterns: np.ndarray, start: tuple[float, float], *, radius: float, mask: np.ndarray
) -> np.ndarray:
    """Row and column of the direct beam in each pattern, (n, 2); NaN where none is seen.

    Parameters
    ----------
    patterns
        Counts, (n, ky, kx).
    start
        Row and column to start from.
    radius
        Of the direct beam's disk, pixels.

    The disk is cut between three and nine tenths of its own mean level, so neither saturation nor
    contrast inside the disk matters, and its centroid is taken in a window that follows it.
    """
    return _centres_of_disks(
        np.ascontiguousarray(patterns, dtype=np.float32), float(start[0]), float(start[1]),
        float(radius), np.ascontiguousarray(mask, dtype=bool),
    )  # fmt: skip


@njit(parallel=True, cache=True)
def _centres_of_disks(patterns, row, column, radius, mask):  # pragma: no cover - compiled
    centres = np.empty((patterns.shape[0], 2))
    for i in prange(patterns.shape[0]):
        centres[i] = _centre_of_disk(patterns[i], row, column, radius, mask)
    return centres


@njit(cache=True)
def _centre_of_disk(pattern, row, column, radius, mask):  # pragma: no cover - compiled
    ny, nx = pattern.shape
    window = 1.5 * radius + 1
    y, x = row, column
    # Wide first, so that a beam that strayed by its own radius is still caught.
    for turn in range(12):
        reach = 2.5 * window if turn < 3 else window
        level, pixels = 0.0, 0
        total, sum_y, sum_x = 0.0, 0.0, 0.0
        for v in range(max(int(y - radius), 0), min(int(y + radius) + 2, ny)):
            for u in range(max(int(x - radius), 0), min(int(x + radius) + 2, nx)):
                if mask[v, u] and (v - y) ** 2 + (u - x) ** 2 <= (0.7 * radius) ** 2:
                    level += pattern[v, u]
                    pixels += 1
        if pixels == 0 or level <= 0:
            return np.array([np.nan, np.nan])
        low, high = 0.3 * level / pixels, 0.9 * level / pixels
        for v in range(max(int(y - reach), 0), min(int(y + reach) + 2, ny)):
            for u in range(max(int(x - reach), 0), min(int(x + reach) + 2, nx)):
                if mask[v, u] and (v - y) ** 2 + (u - x) ** 2 <= reach**2:
                    w = min(max((pattern[v, u] - low) / (high - low), 0.0), 1.0)
                    total += w
                    sum_y += w * (v - y)
                    sum_x += w * (u - x)
        if total <= 0:
            return np.array([np.nan, np.nan])
        y += sum_y / total
        x += sum_x / total
        if y < 0 or x < 0 or y > ny - 1 or x > nx - 1:
            return np.array([np.nan, np.nan])
    return np.array([y, x])


def fit_surface(
    measured: np.ndarray, *, radius: float = math.inf
) -> tuple[np.ndarray, np.ndarray, float]:
    """Smooth surface through measured centres (ny, nx, 2), which may hold NaN and outliers.

    A quadratic in both scan directions where each has 5 positions or more, else a plane, else a
    constant; iteratively reweighted least squares with Tukey's biweight (Huber and Ronchetti,
    Robust Statistics, 2009). Where the scan does not keep to it (scans joined from parts, a beam
    that jumped, curved descan), medians over 7 x 7 positions are followed instead. It is held not
    to where more than 15 % of them are off by more than 0.05 of the disk's `radius` in pixels: what
    crystals do to the disk moves its centroid by less.

    Returns
    -------
    Fitted centres (ny, nx, 2), distance of the measured from the fitted ones (ny, nx; NaN where not
    measured), and the standard error of a fitted centre in pixels. It is estimated from means
    over squares of 8 x 8 positions, for neighbours share their errors.
    """
    ny, nx = measured.shape[:2]
    basis = _surface_basis(ny, nx)
    known = np.isfinite(measured).all(axis=-1).ravel()
    if not known.any():
        raise ValueError("no centre was measured")
    if known.sum() < 2 * basis.shape[1]:
        basis = basis[:, :1]
    flat = measured.reshape(-1, 2)
    weight = np.ones(known.sum())
    for _ in range(30):
        root = np.sqrt(weight)[:, None]
        solution = np.linalg.lstsq(root * basis[known], root * flat[known], rcond=None)[0]
        distance = np.linalg.norm(flat[known] - basis[known] @ solution, axis=1)
        # Median distance of a two-dimensional Gaussian is 1.1774 sigma.
        scaled = distance / max(4.685 * np.median(distance) / 1.1774, 1e-6)
        weight = np.clip(1 - scaled**2, 0, None) ** 2
    fitted = (basis @ solution).reshape(ny, nx, 2)
    error = _surface_error(measured - fitted, weight, known, basis)
    followed = _local_medians(measured - fitted)
    off = np.linalg.norm(followed, axis=-1)
    if np.quantile(off, 1 - _ASTRAY_SHARE) > _ASTRAY * radius:
        fitted = fitted + followed
        # A median of n normal values scatters by 1.2533 / sqrt(n) of theirs.
        scatter = np.median(np.linalg.norm((measured - fitted).reshape(-1, 2)[known], axis=1))
        error = 1.2533 * scatter / 1.1774 / _FOLLOWED
    return fitted, np.linalg.norm(measured - fitted, axis=-1), error


def _local_medians(difference: np.ndarray) -> np.ndarray:
    """Medians over squares of positions (ny, nx, 2); what is not known is as its nearest known."""
    from scipy import ndimage

    unknown = np.isnan(difference).any(axis=-1)
    nearest = ndimage.distance_transform_edt(unknown, return_distances=False, return_indices=True)
    filled = difference[tuple(nearest)]
    return np.stack(
        [ndimage.median_filter(filled[..., k], _FOLLOWED, mode="nearest") for k in (0, 1)], axis=-1
    )


def _surface_basis(ny: int, nx: int) -> np.ndarray:
    y, x = np.indices((ny, nx)).reshape(2, -1)
    y, x = y / max(ny - 1, 1) - 0.5, x / max(nx - 1, 1) - 0.5
    columns = [np.ones(ny * nx)]
    columns += [y] if ny > 1 else []
    columns += [x] if nx > 1 else []
    if min(ny, nx) >= 5:
        columns += [y * y, y * x, x * x]
    return np.stack(columns, axis=1)


def _surface_error(difference, weight, known, basis) -> float:
    """Standard error of a fitted centre, one direction, averaged over the scan: by clusters."""
    ny, nx = difference.shape[:2]
    y, x = np.indices((ny, nx))
    size = _CLUSTER if known.sum() >= 16 * _CLUSTER**2 else 1
    cluster = ((y // size) * (nx // size + 1) + x // size).ravel()[known]
    used = basis[known]
    bread = np.linalg.pinv((weight[:, None] * used).T @ used)
    flat = difference.reshape(-1, 2)[known]
    variance = 0.0
    for axis in range(2):
        scores = np.zeros((cluster.max() + 1, used.shape[1]))
        np.add.at(scores, cluster, (weight * flat[:, axis])[:, None] * used)
        covariance = bread @ (scores.T @ scores) @ bread
        variance += np.einsum("ij,jk,ik->i", basis, covariance, basis).mean() / 2
    return math.sqrt(variance)


def measure_spot_radius(
    patterns: np.ndarray, centres: np.ndarray, *, probe_radius: float, mask: np.ndarray
) -> float:
    """Twice the rms width of the strong spots, pixels: a disk's radius, two sigma of a Gaussian.

    The width is measured under a Gaussian weight as wide as the last estimate and corrected for it
    (adaptive moments: Bernstein and Jarvis, Astron. J. 123, 583, 2002). Without spots, the radius
    of the direct beam stands in, which is the spots' own unless it is saturated.
    """
    radius = min(_START_RADIUS, probe_radius)
    patterns = np.asarray(patterns, dtype=np.float32)
    for _ in range(4):
        found = spots.find_pixel_spots(
            patterns, centres, spot_radius=radius, beam_radius=probe_radius + radius, mask=mask
        )
        if not found.significance.size:
            return probe_radius
        strong = found.significance >= max(12.0, float(np.median(found.significance)))
        if strong.sum() < 5:
            return radius
        of = np.repeat(np.arange(len(patterns)), np.diff(found.offset))
        widths = [
            _adaptive_width(patterns[i], y, x, radius / 2)
            for i, y, x in zip(of[strong], found.y[strong], found.x[strong], strict=True)
        ]
        last, radius = radius, float(np.clip(2 * np.nanmedian(widths), 1.5, 3 * probe_radius + 3))
        if abs(radius - last) < 0.02 * radius:
            break
    return radius


def _adaptive_width(pattern: np.ndarray, row: float, column: float, sigma: float) -> float:
    """Standard deviation of a spot along one axis, pixels; NaN where it cannot be measured."""
    for _ in range(20):
        reach = math.ceil(4 * sigma)
        y0, x0 = round(float(row)) - reach, round(float(column)) - reach
        if y0 < 0 or x0 < 0:
            return np.nan
        window = pattern[y0 : y0 + 2 * reach + 1, x0 : x0 + 2 * reach + 1]
        if window.shape != (2 * reach + 1, 2 * reach + 1):
            return np.nan
        y, x = np.indices(window.shape)
        distance = (y + y0 - row) ** 2 + (x + x0 - column) ** 2
        outer = distance > (3.2 * sigma) ** 2
        weight = np.exp(-0.5 * distance / sigma**2) * (window - np.median(window[outer]))
        if weight.sum() <= 0:
            return np.nan
        measured = (weight * distance).sum() / weight.sum() / 2
        if not 0 < measured < 0.9 * sigma**2:
            return np.nan
        # Product of two Gaussians: 1 / measured = 1 / sigma_spot^2 + 1 / sigma_weight^2.
        spot = 1 / math.sqrt(1 / measured - 1 / sigma**2)
        if abs(spot - sigma) < 1e-3:
            return spot
        sigma = spot
    return sigma


def measure_beam_radius(
    patterns: np.ndarray, centres: np.ndarray, *, probe_radius: float, spot_radius: float,
    mask: np.ndarray,
) -> float:  # fmt: skip
    """Radius around the direct beam inside which no spots should be looked for, pixels.

    At least the beam's and a spot's radius, and as far as the mean radial profile, from the beam
    outwards, falls by more than a quarter over half a spot radius.
    """
    ny, nx = mask.shape
    y, x = np.indices(mask.shape)
    size = math.ceil(math.hypot(ny, nx)) + 1
    total, number = np.zeros(size), np.zeros(size)
    for pattern, (row, column) in zip(patterns, centres, strict=True):
        ring = np.hypot(y - row, x - column)[mask].astype(int)
        total += np.bincount(np.minimum(ring, size - 1), pattern[mask], size)
        number += np.bincount(np.minimum(ring, size - 1), minlength=size)
    profile = total[number > 0] / number[number > 0]
    start = math.ceil(probe_radius)
    fall = -np.diff(np.log(np.maximum(profile, 1e-12 + 1e-9 * profile.max())))
    steep = fall[start:] * spot_radius / 2 > 0.25
    reach = start + (len(steep) if steep.all() else int(np.argmin(steep)))
    return float(max(probe_radius + spot_radius, min(reach, min(ny, nx) / 4)))
