"""Centre of the beam at every position, and the surface through them."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from phasefront.core.threads import share_out

_CLUSTER = 8  # positions a side over which errors of the centre are taken for dependent; chosen
# Chosen on scans joined from parts or with a descan that turns, whose centres were off by a pixel:
# a surface is given up where this share of the medians over so many positions a side is off by
# this share of the disk's radius. On the demo's scans medians are off by 0.004 of it (rms).
_FOLLOWED, _ASTRAY, _ASTRAY_SHARE = 7, 0.05, 0.15

# Patterns whose counts are made floats at a time; for the cache's sake, a few MB.
_TOGETHER = 32
# Pixels: a window that moves by less has found its place. Chosen, a thousandth of its error.
_STILL = 1e-5


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
    centres = np.empty((len(patterns), 2))
    disk = float(start[0]), float(start[1]), float(radius), np.ascontiguousarray(mask, dtype=bool)

    def work(begin: int, end: int) -> None:
        few = np.ascontiguousarray(patterns[begin:end], dtype=np.float32)
        _centres_of_disks(few, *disk, centres[begin:end])

    share_out(work, len(patterns), share=_TOGETHER)
    return centres


@njit(nogil=True, cache=True)
def _centres_of_disks(patterns, row, column, radius, mask, centres):
    for i in range(len(patterns)):
        centres[i, 0], centres[i, 1] = _centre_of_disk(patterns[i], row, column, radius, mask)


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
            return np.nan, np.nan
        low, high = 0.3 * level / pixels, 0.9 * level / pixels
        for v in range(max(int(y - reach), 0), min(int(y + reach) + 2, ny)):
            for u in range(max(int(x - reach), 0), min(int(x + reach) + 2, nx)):
                if mask[v, u] and (v - y) ** 2 + (u - x) ** 2 <= reach**2:
                    w = min(max((pattern[v, u] - low) / (high - low), 0.0), 1.0)
                    total += w
                    sum_y += w * (v - y)
                    sum_x += w * (u - x)
        if total <= 0:
            return np.nan, np.nan
        dy, dx = sum_y / total, sum_x / total
        y += dy
        x += dx
        if y < 0 or x < 0 or y > ny - 1 or x > nx - 1:
            return np.nan, np.nan
        if turn > 3 and max(abs(dy), abs(dx)) < _STILL:
            break
    return y, x


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
