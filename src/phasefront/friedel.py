"""The centre of patterns whose beam is hidden: symmetry of the background, pairs of spots."""

from __future__ import annotations

import numpy as np

from phasefront import spots

_LEAST_PAIRS = 3
_START_ERROR = 2.0  # pixels that a pattern's centre may be off its start
# Shares of the camera's shorter side: window in which a shadow is dark, width of the background
# that is taken off (glare, which has a centre of its own), reach of the search by pairs.
_WINDOW, _WIDE, _REACH = 1 / 3, 1 / 6, 1 / 14
_DARK, _LEAST_CONTRAST = 0.35, -0.2
_OVERLAP = 0.5  # of the pattern and itself turned, at least
_COARSE = 128  # pixels a side on which symmetry is looked for
_ALIKE = 0.5  # standard deviation of the logarithm of the ratio of a pair's intensities
_STEP = 0.25  # pixels of the map of votes


def inversion_centre(pattern: np.ndarray) -> tuple[float, float]:
    """Centre about which the pattern matches itself turned by 180 degrees, to a pixel of 128.

    Masked normalised correlation (Padfield, IEEE Trans. Image Process. 21, 2706, 2012) of the
    logarithm less its wide mean, without what is much darker than its surroundings.
    """
    from scipy import ndimage
    from skimage.measure import block_reduce
    from skimage.registration import phase_cross_correlation

    side = min(pattern.shape)
    factor = max(1, side // _COARSE)
    coarse = block_reduce(pattern, factor, np.mean, cval=float(np.median(pattern)))
    side = min(coarse.shape)
    around = ndimage.percentile_filter(coarse[::2, ::2], 75, max(3, int(_WINDOW * side) // 2))
    around = np.kron(around, np.ones((2, 2)))[: coarse.shape[0], : coarse.shape[1]]
    mask = ndimage.binary_erosion(coarse > _DARK * around, iterations=2, border_value=1)
    contrast = np.log(np.maximum(coarse, max(1e-3 * coarse.max(), 1e-30)))
    weight = ndimage.gaussian_filter(mask.astype(float), _WIDE * side)
    wide = ndimage.gaussian_filter(np.where(mask, contrast, 0), _WIDE * side)
    # An arm that is not dark enough to be masked has a symmetry of its own.
    contrast = np.maximum(contrast - wide / np.maximum(weight, 1e-3), _LEAST_CONTRAST)
    shift = phase_cross_correlation(
        contrast, contrast[::-1, ::-1], reference_mask=mask, moving_mask=mask[::-1, ::-1],
        overlap_ratio=_OVERLAP,
    )[0]  # fmt: skip
    row, column = ((np.subtract(coarse.shape, 1) + shift) / 2 + 0.5) * factor - 0.5
    return float(row), float(column)


def vote_centre(
    patterns: np.ndarray,
    start: tuple[float, float],
    *,
    spot_radius: float,
    beam_radius: float,
    mask: np.ndarray,
) -> np.ndarray:
    """Row and column (2,) near `start` where most pairs of spots of all patterns have their middle.

    Each pair votes by how alike its intensities are, and each pattern as much as any other. The
    middles of other pairs than Friedel's lie on half the reciprocal lattice, which grains turn.
    """
    from scipy import ndimage

    at_start = np.tile(np.asarray(start, float), (len(patterns), 1))
    found = spots.find_pixel_spots(
        patterns, at_start, spot_radius=spot_radius, beam_radius=beam_radius, mask=mask
    )
    reach = _REACH * min(mask.shape)
    edges = np.arange(-reach, reach + _STEP, _STEP)
    votes = np.zeros((len(edges) - 1, len(edges) - 1))
    for first, last in zip(found.offset[:-1], found.offset[1:], strict=True):
        y, x = found.y[first:last], found.x[first:last]
        strength = np.log(np.maximum(found.intensity[first:last], 1e-30))
        one, other = np.triu_indices(last - first, 1)
        middle = np.stack([y[one] + y[other], x[one] + x[other]]) / 2 - np.array(start)[:, None]
        weight = np.exp(-0.5 * ((strength[one] - strength[other]) / _ALIKE) ** 2)
        of_pattern = np.histogram2d(*middle, [edges, edges], weights=weight)[0]
        votes += of_pattern / max(of_pattern.sum(), 1e-30)
    smooth = ndimage.gaussian_filter(votes, 0.25 * spot_radius / _STEP)
    row, column = np.unravel_index(smooth.argmax(), smooth.shape)
    return np.array(start) + edges[[row, column]] + _STEP / 2


def find_centres(
    patterns: np.ndarray,
    start: np.ndarray,
    *,
    spot_radius: float,
    beam_radius: float,
    mask: np.ndarray,
) -> np.ndarray:
    """Row and column (n, 2) of the hidden beam: the median middle of Friedel pairs of spots.

    Parameters
    ----------
    patterns
        Counts, (n, ky, kx).
    start
        Row and column in each pattern, (n, 2), right to a quarter of the distance of neighbouring
        spots: half a reciprocal vector away lie the middles of other pairs.
    spot_radius, beam_radius
        Of a spot, and of the disk in which none are looked for, pixels.
    mask
        True where a pixel can be used, (ky, kx).

    Returns
    -------
    NaN where fewer than three pairs are found, or the pairs do not agree.
    """
    found = spots.find_pixel_spots(
        patterns, start, spot_radius=spot_radius, beam_radius=beam_radius, mask=mask
    )
    centres = np.full((len(patterns), 2), np.nan)
    for i, (first, last) in enumerate(zip(found.offset[:-1], found.offset[1:], strict=True)):
        at = np.stack([found.y[first:last], found.x[first:last]], axis=1).astype(float)
        centres[i] = _centre_of_pairs(at, np.asarray(start[i], float), spot_radius)
    return centres


def _centre_of_pairs(at: np.ndarray, start: np.ndarray, spot_radius: float) -> np.ndarray:
    """Median middle (2,) of the spots `at` (n, 2) that lie opposite each other; NaN without."""
    from scipy.spatial import cKDTree

    unknown = np.full(2, np.nan)
    if len(at) < 2 * _LEAST_PAIRS:
        return unknown
    tree = cKDTree(at)
    apart = float(np.median(tree.query(at, k=2)[0][:, 1]))
    centre = start
    for tolerance in (min(apart / 4, _START_ERROR), 0.3 * spot_radius, 0.3 * spot_radius):
        distance, mate = tree.query(2 * centre - at)
        own = np.arange(len(at))
        pair = (distance < 2 * tolerance) & (own < mate) & (mate[mate] == own)
        if pair.sum() < _LEAST_PAIRS:
            return unknown
        centre = np.median((at[pair] + at[mate[pair]]) / 2, axis=0)
    return centre
