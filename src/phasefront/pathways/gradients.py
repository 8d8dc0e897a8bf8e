"""Along which axis the ion content of a grain changes, and how much more than across it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from phasefront.core.statistics import Interval
from phasefront.correlation.autocorrelation import fit_covariance, surrogates

# Fewer positions away from a grain's rim than this say nothing of gradients. Chosen.
_FEWEST = 25
# Maps without any axis that a grain's own is held against.
_SURROGATES = 200
_ENDS = (0.5, 0.025, 0.975)  # median, and the 95 % interval


@dataclass(frozen=True)
class Axis:
    """Of a grain: in which direction its ion content changes, from x towards y, without a sense.

    `anisotropy` is 0 where it changes as much across the axis, 1 where it does not change there at
    all; `chance` that of a map without any axis, on the same outline, being as anisotropic.
    `draws` (draw,) are equally likely directions. NaN where too little is known.
    """

    direction: Interval  # degrees, value 0 to 180; its ends may pass them
    anisotropy: Interval
    chance: float
    draws: np.ndarray


def axis_of(value: np.ndarray, draws: np.ndarray, *, seed: int) -> Axis:
    """The axis of the mean gradient tensor (structure tensor) of a grain.

    Parameters
    ----------
    value
        (y, x) ion content of the grain, NaN outside.
    draws
        (draw, y, x) equally likely versions.

    Noise adds to all directions alike, and would make any grain look isotropic: the tensor of the
    draws' deviations is taken off. A field that is smooth over the whole grain has one gradient,
    whatever made it; so `chance` comes from Gaussian fields of the same variogram (`surrogates`).
    """
    inside = ndimage.binary_erosion(np.isfinite(value), np.ones((3, 3)))
    if inside.sum() < _FEWEST:
        nothing = np.full(3, np.nan)
        return Axis(nothing, nothing, np.nan, np.full(len(draws), np.nan))
    noise = np.mean([_tensor(one - value, inside) for one in draws], axis=0)
    best = _of_tensor(_tensor(value, inside) - noise)
    # A draw has the noise of the value and its own.
    drawn = np.array([_of_tensor(_tensor(one, inside) - 2.0 * noise) for one in draws])
    off = (drawn[:, 0] - best[0] + 90.0) % 180.0 - 90.0
    return Axis(
        best[0] + np.quantile(off, _ENDS) * np.array([0.0, 1.0, 1.0]),
        np.append(best[1], np.quantile(drawn[:, 1], _ENDS[1:])),
        _chance(value, inside, np.random.default_rng(seed)),
        (best[0] + off) % 180.0,
    )


def _chance(value: np.ndarray, inside: np.ndarray, rng: np.random.Generator) -> float:
    """Share of Gaussian fields of the same variogram that are as anisotropic.

    Both are smoothed by the variogram's reach first, for its model is rough where a probe's map is
    smooth, and roughness has no axis.
    """
    covariance = fit_covariance(value)
    known = np.isfinite(value)
    width = max(covariance.reach, 1.0)
    share = ndimage.gaussian_filter(known.astype("f8"), width, mode="constant")

    def anisotropy(field: np.ndarray) -> float:
        about = np.where(known, field - field[known].mean(), 0.0)
        smooth = ndimage.gaussian_filter(about, width, mode="constant") / np.maximum(share, 1e-9)
        return _of_tensor(_tensor(smooth, inside))[1]

    made = surrogates(known, covariance, _SURROGATES, rng)
    own = anisotropy(value)
    return float((1 + sum(anisotropy(one) >= own for one in made)) / (1 + len(made)))


def _tensor(field: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Mean (xx, xy, yy) of products of the gradient's parts, where all neighbours are known."""
    along_y, along_x = np.gradient(field)
    x, y = along_x[inside], along_y[inside]
    return np.array([np.mean(x * x), np.mean(x * y), np.mean(y * y)])


def _of_tensor(tensor: np.ndarray) -> tuple[float, float]:
    """Direction in degrees (0 to 180) of the larger eigenvalue, and the anisotropy."""
    xx, xy, yy = tensor
    split = np.hypot(xx - yy, 2.0 * xy)
    direction = 0.5 * np.degrees(np.arctan2(2.0 * xy, xx - yy)) % 180.0
    # Where noise is more than what is seen across the axis, nothing changes there.
    return float(direction), float(np.clip(split / max(xx + yy, 1e-300), 0.0, 1.0))
