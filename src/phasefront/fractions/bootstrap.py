"""Resampling of grains and blocks, as far as the data show how alike their positions are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

QUANTILES = (0.025, 0.975)  # of a 95 % interval
# Shape of the grains' gamma weights never falls below this: smaller ones add no coverage
# (docs/coverage.md).
_SMALLEST_SHAPE = 0.25
# Times the rate simulated, which is as sure as a factor of two: see `unfolding._RATE_SPREAD`.
_LARGEST_ERROR_RATE = 2.0


def resample(
    populations: Sequence[np.ndarray],
    *,
    response: np.ndarray,
    draws: int,
    seed: int | np.random.SeedSequence,
) -> np.ndarray:
    """Draws (draw, phase) of what is found of each phase in the population grains were taken from.

    Parameters
    ----------
    populations
        Amount decided for each phase in each grain, (grain, phase), any unit: one array, or several
        that are equally likely (other weights of positions, other blocks); draws go round them.
    response
        Share of each phase (row) that is decided for each phase, (phase, phase).
    draws, seed
        Number of draws, seed of the generator.

    Grain i gets a weight from a gamma distribution of shape c, each phase k that of its prior half
    grain from one of shape 1/2. A prior grain of phase k has the area of a mean grain (weighted by
    area) and the composition R + sqrt(rho) (e_k - R), with R the fractions found and rho the
    variance between grains over that of pure ones: all-or-none grains get pure prior grains,
    grains that agree get a prior like themselves.
    """
    rng = np.random.default_rng(seed)
    total = gamma(rng, 0.5, (draws, populations[0].shape[1]))
    for number, amount in enumerate(populations):
        own = slice(number, None, len(populations))
        total[own] = _reweighted(rng, amount[amount.sum(axis=1) > 0], total[own], response)
    return normalised(total)


def _reweighted(
    rng: np.random.Generator, amount: np.ndarray, prior: np.ndarray, response: np.ndarray
) -> np.ndarray:
    if not len(amount) or not len(prior):
        return prior
    size = amount.sum(axis=1)
    count = size.sum() ** 2 / np.sum(size**2)
    share = amount.sum(axis=0) / size.sum()
    rho = heterogeneity(amount, share, count, response)
    own, common = np.sqrt(rho) * prior, (1 - np.sqrt(rho)) * prior.sum(axis=1, keepdims=True)
    shape = weight_shape(rho, count)
    weight = gamma(rng, shape, (len(prior), len(size))) / shape
    return own + common * share + weight @ (amount / (size.sum() / count))


def uniform(rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Uniform variates that are never 0."""
    return np.maximum(rng.random(size), 1e-16)


def gamma(rng: np.random.Generator, shape: float, size: tuple[int, int]) -> np.ndarray:
    """Gamma variates by inversion: rejection would turn a rounding of `shape` into other draws."""
    return special.gammaincinv(shape, rng.random(size))


def heterogeneity(
    amount: np.ndarray, share: np.ndarray, count: float, response: np.ndarray
) -> float:
    """Variance of composition between grains over that of pure grains.

    One grain counted as pure is added, and so is the impurity that mistakes give to pure grains,
    twice: grains that are all alike but for mistakes must not pass for a mixture.
    """
    size = amount.sum(axis=1)
    mistakes = _LARGEST_ERROR_RATE * (1 - np.sum(response[share.argmax()] ** 2))
    pure = 1 - np.sum(share**2)
    if pure + mistakes < 1e-12:
        return 1.0
    composition = amount / size[:, None]
    between = size @ np.sum((composition - share) ** 2, axis=1) / size.sum()
    added = (pure - between) / count + mistakes
    return float(min(1.0, (between + added) / (pure + mistakes)))


def weight_shape(rho: float, count: float) -> float:
    """Gamma shape of the weights: 1 for pure grains, less for mixed ones that are few.

    With shape c the variance of a mean over n equal grains is s^2 / (c n + 1), which is to be
    s^2 / (n - 1) times the squared ratio of Student's to the normal quantile. The prior grains
    have that effect already where grains are pure.
    """
    freedom = max(count - 1, 1.0)
    ratio = special.ndtri(QUANTILES[1]) / special.stdtrit(freedom, QUANTILES[1])
    mixed = np.clip(((count - 1) * ratio**2 - 1) / count, _SMALLEST_SHAPE, 1.0)
    return float(rho + (1 - rho) * mixed)


def normalised(amount: np.ndarray) -> np.ndarray:
    """Shares along the last axis; NaN where there is nothing."""
    total = amount.sum(axis=-1, keepdims=True)
    return np.divide(amount, total, out=np.full(amount.shape, np.nan), where=total > 0)
