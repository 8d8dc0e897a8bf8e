"""One ion content of all that was measured of a grain, with equally likely versions of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Content:
    """Ions per formula unit (y, x), and equally likely ones (draw, y, x); NaN where not known.

    Draws differ by noise, by what neighbours and all positions of a map share, and by where a map
    may lie.
    """

    value: np.ndarray
    draws: np.ndarray


def combine(
    structure: np.ndarray,
    structure_stderr: np.ndarray,
    chemistry: np.ndarray,
    chemistry_stderr: np.ndarray,
    placed: np.ndarray,
    *,
    resolution: float,
    seed: int,
    offset: float = 0.0,
    factor: float = 0.0,
) -> Content:
    """Mean of two measurements of one ion content, weighted by their errors at each position.

    Parameters
    ----------
    structure, structure_stderr
        (y, x) ion content by structure and its standard error; NaN where not known.
    chemistry, chemistry_stderr
        The same by chemistry, where the map likeliest lies, its error by noise.
    placed
        (draw, y, x) chemistry under equally likely placements of its map.
    resolution
        Full width at half maximum, in positions, of the probe that both are seen under, within
        which their noise is alike.
    seed
        Of the noise of draws.
    offset, factor
        Standard errors that all positions of the chemistry share: of its mean, in ions, and of the
        factor by which it differs from its mean. Each draw has one of either.

    Where one is not known the other stands alone.
    """
    known = [np.isfinite(one) & (error > 0) for one, error in
             ((structure, structure_stderr), (chemistry, chemistry_stderr))]  # fmt: skip
    weight = [
        np.where(there, 1.0 / np.where(there, error, 1.0) ** 2, 0.0)
        for there, error in zip(known, (structure_stderr, chemistry_stderr), strict=True)
    ]
    total = weight[0] + weight[1]

    def mean(of_structure: np.ndarray, of_chemistry: np.ndarray) -> np.ndarray:
        summed = weight[0] * np.where(known[0], of_structure, 0.0)
        summed = summed + weight[1] * np.where(known[1], of_chemistry, 0.0)
        return np.divide(summed, total, out=np.full_like(summed, np.nan), where=total > 0)

    rng = np.random.default_rng(seed)
    value, draws = mean(structure, chemistry), np.empty(placed.shape)
    middle = float(chemistry[known[1]].mean()) if known[1].any() else 0.0
    offsets, factors = rng.normal(0.0, (offset, factor), (len(placed), 2)).T
    for number, moved in enumerate(placed):
        noise = [_alike(rng, structure.shape, resolution) for _ in known]
        seen = np.where(np.isfinite(moved), moved, chemistry)
        seen = seen + offsets[number] + factors[number] * (seen - middle)
        draws[number] = mean(
            structure + structure_stderr * noise[0], seen + chemistry_stderr * noise[1]
        )
    return Content(value, draws)


def _alike(rng: np.random.Generator, shape: tuple[int, int], width: float) -> np.ndarray:
    """Noise of unit variance that is alike within `width` (full width at half maximum)."""
    noise = rng.normal(size=shape)
    sigma = width / (2.0 * np.sqrt(2.0 * np.log(2.0)))
    if sigma < 0.3:  # less than neighbours are apart
        return noise
    smooth = ndimage.gaussian_filter(noise, sigma, mode="wrap")
    return smooth / smooth.std()
