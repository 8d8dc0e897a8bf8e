"""The centre of patterns whose beam is hidden: symmetry of the background, pairs of spots."""

from __future__ import annotations

import numpy as np

from phasefront.spots import detection
from phasefront.spots.dark import Dark

# All chosen on virtual scans with stops and bars, of other seeds than docs/assumptions.md reports.
_LEAST_PAIRS = 3
_CLEARLY = 0.75  # of a pattern's best votes, the most that another centre may have
# Shares of the camera's side: window in which a shadow is dark, width of the background that is
# taken off (glare, which has a centre of its own), reach of the search by pairs from the middle.
_WINDOW, _WIDE, _REACH = 1 / 3, 1 / 6, 1 / 4
# Share of the level around, below which is shadow; logarithm of a contrast that is as dark as any.
_DARK, _LEAST_CONTRAST = 0.35, -0.2
_OVERLAP = 0.5  # of the pattern and itself turned, at least
_COARSE = 128  # pixels a side on which symmetry is looked for
_ALIKE = 0.5  # standard deviation of the logarithm of the ratio of a pair's intensities
_STEP = 0.25  # pixels of the map of votes


def inversion_centre(
    pattern: np.ndarray, mask: np.ndarray | None = None
) -> tuple[float, float, float]:
    """Centre about which the pattern matches itself turned by 180 degrees, to a pixel of 128.

    Masked normalised correlation (Padfield, IEEE Trans. Image Process. 21, 2706, 2012) of the
    logarithm less its wide mean.

    Parameters
    ----------
    pattern
        Counts, (ky, kx).
    mask
        True where a pixel can be used, (ky, kx); by default where it is not in a shadow.

    Returns
    -------
    Row, column, and the correlation of the pattern with itself turned about them.
    """
    from scipy import ndimage
    from skimage.measure import block_reduce
    from skimage.registration import phase_cross_correlation

    factor = max(1, min(pattern.shape) // _COARSE)
    coarse = block_reduce(pattern, factor, np.mean, cval=float(np.median(pattern)))
    side = min(coarse.shape)
    if mask is None:
        around = ndimage.percentile_filter(coarse[::2, ::2], 75, max(3, int(_WINDOW * side) // 2))
        around = np.kron(around, np.ones((2, 2)))[: coarse.shape[0], : coarse.shape[1]]
        used = ndimage.binary_erosion(coarse > _DARK * around, iterations=2, border_value=1)
    else:
        used = block_reduce(mask, factor, np.all, cval=True)
    contrast = np.log(np.maximum(coarse, max(1e-3 * coarse.max(), 1e-30)))
    weight = ndimage.gaussian_filter(used.astype(float), _WIDE * side)
    wide = ndimage.gaussian_filter(np.where(used, contrast, 0), _WIDE * side)
    # An arm that is not dark enough to be masked has a symmetry of its own.
    contrast = np.maximum(contrast - wide / np.maximum(weight, 1e-3), _LEAST_CONTRAST)
    shift = phase_cross_correlation(
        contrast, contrast[::-1, ::-1], reference_mask=used, moving_mask=used[::-1, ::-1],
        overlap_ratio=_OVERLAP,
    )[0].astype(int)  # fmt: skip
    row, column = ((np.subtract(coarse.shape, 1) + shift) / 2 + 0.5) * factor - 0.5
    return float(row), float(column), _likeness(contrast, used, shift)


def _likeness(contrast: np.ndarray, used: np.ndarray, shift: np.ndarray) -> float:
    """Correlation of an image with itself turned and then shifted by whole pixels (2,)."""
    own = tuple(slice(max(s, 0), n + min(s, 0)) for s, n in zip(shift, used.shape, strict=True))
    other = tuple(slice(max(-s, 0), n - max(s, 0)) for s, n in zip(shift, used.shape, strict=True))
    both = used[own] & used[::-1, ::-1][other]
    if both.sum() < 10:
        return -1.0
    return float(np.corrcoef(contrast[own][both], contrast[::-1, ::-1][other][both])[0, 1])


def vote_centres(
    patterns: np.ndarray,
    start: tuple[float, float],
    *,
    spot_radius: float,
    beam_radius: float,
    mask: np.ndarray,
    dark: Dark,
) -> np.ndarray:
    """Rows and columns (3, 2) where most pairs of spots of all patterns have their middle.

    Each pair votes by how alike its intensities are, and each pattern as much as any other. The
    middles of other pairs than Friedel's lie on half the reciprocal lattice, which grains turn; a
    wide mean of the votes is taken off. `start` is where the beam is hidden, roughly.
    """
    from scipy import ndimage

    at_start = np.tile(np.asarray(start, float), (len(patterns), 1))
    found = detection.find_pixel_spots(
        patterns,
        at_start,
        spot_radius=spot_radius,
        beam_radius=beam_radius,
        mask=mask,
        dark=dark,
    )
    middle = (np.array(mask.shape) - 1) / 2
    edges = [np.arange(-_REACH * n, _REACH * n + _STEP, _STEP) for n in mask.shape]
    votes = np.zeros([len(one) - 1 for one in edges])
    for first, last in zip(found.offset[:-1], found.offset[1:], strict=True):
        at = np.stack([found.y[first:last], found.x[first:last]], axis=1)
        middles, weight = _middles(at, found.intensity[first:last])
        middles = middles - middle
        votes += np.histogram2d(*middles.T, edges, weights=weight)[0] / max(last - first, 1)
    near, wide = (ndimage.gaussian_filter(votes, w * spot_radius / _STEP) for w in (1 / 3, 2))
    peaks = near - wide
    centres = []
    for _ in range(3):
        at = np.unravel_index(peaks.argmax(), peaks.shape)
        centres.append([one[k] + _STEP / 2 for one, k in zip(edges, at, strict=True)] + middle)
        y, x = np.indices(peaks.shape)
        peaks[np.hypot(y - at[0], x - at[1]) * _STEP < spot_radius] = -np.inf
    return np.array(centres)


def _middles(at: np.ndarray, intensity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middles (pairs, 2) of all pairs of spots (n, 2), and how alike they are, up to 1."""
    strength = np.log(np.maximum(intensity, 1e-30))
    one, other = np.triu_indices(len(at), 1)
    alike = np.exp(-0.5 * ((strength[one] - strength[other]) / _ALIKE) ** 2)
    return (at[one].astype(float) + at[other]) / 2, alike


def find_centres(
    patterns: np.ndarray,
    start: np.ndarray,
    *,
    spot_radius: float,
    beam_radius: float,
    mask: np.ndarray,
    dark: Dark,
    reach: float,
) -> np.ndarray:
    """Row and column (n, 2) of the hidden beam: the median middle of Friedel pairs of spots.

    The pairs are those around the place within `reach` pixels that most pairs of like intensity
    have for their middle, those near the start before others: half a reciprocal vector away pairs
    are as many, but not as alike.

    Parameters
    ----------
    patterns
        Counts, (n, ky, kx).
    start
        Row and column in each pattern, (n, 2), right to `reach`.
    spot_radius, beam_radius
        Of a spot, and of the disk in which none are looked for, pixels.
    mask
        True where a pixel can be used, (ky, kx).
    dark
        What pixels show without an electron.

    Returns
    -------
    NaN where fewer than three pairs are found, or the pairs do not agree.
    """
    found = detection.find_pixel_spots(
        patterns, start, spot_radius=spot_radius, beam_radius=beam_radius, mask=mask, dark=dark
    )
    centres = np.full((len(patterns), 2), np.nan)
    for i, (first, last) in enumerate(zip(found.offset[:-1], found.offset[1:], strict=True)):
        at = np.stack([found.y[first:last], found.x[first:last]], axis=1).astype(float)
        centres[i] = centre_of_pairs(
            at, found.intensity[first:last], np.asarray(start[i], float), spot_radius, reach
        )
    return centres


def centre_of_pairs(
    at: np.ndarray, intensity: np.ndarray, start: np.ndarray, spot_radius: float, reach: float
) -> np.ndarray:
    """Median middle (2,) of the spots `at` (n, 2) that lie opposite each other; NaN without."""
    from scipy.spatial import cKDTree

    unknown = np.full(2, np.nan)
    if len(at) < 2 * _LEAST_PAIRS:
        return unknown
    middles, alike = _middles(at, intensity)
    close = np.hypot(*(middles - start).T) < reach
    middles, alike = middles[close], alike[close]
    alike *= np.exp(-2 * np.sum((middles - start) ** 2, axis=1) / reach**2)
    if len(middles) < _LEAST_PAIRS:
        return unknown
    around = cKDTree(middles).query_ball_point(middles, 0.3 * spot_radius)
    votes = np.array([alike[one].sum() for one in around])
    best = middles[votes.argmax()]
    rival = votes[np.hypot(*(middles - best).T) > spot_radius].max(initial=0.0)
    if rival > _CLEARLY * votes.max():
        return unknown
    tree, own = cKDTree(at), np.arange(len(at))
    centre = np.mean(middles[around[votes.argmax()]], axis=0)
    for _ in range(2):
        distance, mate = tree.query(2 * centre - at)
        pair = (distance < 0.6 * spot_radius) & (own < mate) & (mate[mate] == own)
        if pair.sum() < _LEAST_PAIRS:
            return unknown
        centre = np.median((at[pair] + at[mate[pair]]) / 2, axis=0)
    return centre
