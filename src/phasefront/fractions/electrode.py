"""Fractions of the electrode that a scan's grains were drawn from.

A model of its grains in two layers. A share of the grains is whole: each has one phase, the others
show in it by overlaps and mistakes only. The rest is partial: what they hold of each phase has a
mean and a spread of their own. A grain counts by its area, all of them together as the grains of
equal area that they amount to, (sum a)^2 / sum a^2. Beforehand

- the share of whole grains has a beta distribution of shapes `_EITHER`: most likely nearly all or
  nearly none;
- whole grains have one more grain, divided among the phases (a Dirichlet distribution of shapes
  1/K; Jeffreys' prior of a binomial for two phases);
- partial grains have `_PRIOR_GRAINS` more, whose logarithms scatter by `_PRIOR_SPREAD`.

Which grains are whole is told from what each holds beside its most frequent phase, e: exponential
in whole grains, uniform up to a half in partial ones, with the share of whole ones by expectation
maximisation. A position more or less of another phase moves that probability a little, so intervals
do not jump.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

# Chosen on simulated grains (docs/coverage.md), as the other numbers here were: mean share of other
# phases in a whole grain, by overlaps at its edge.
_STRAY = 0.02
# Wrong answers are rarer than this times their simulated rate, which is as sure as a factor of two:
# see `unfolding._RATE_SPREAD`.
_LARGEST_ERROR_RATE = 2.0
# Of what is beside the most frequent phase in partial grains: the rarer of two has at most a half.
_PARTIAL_DENSITY = 2.0
# Shapes of the share of whole grains; chosen. A larger one makes intervals of a scan of partial
# grains too wide, by whole ones that it has not shown.
_EITHER = 0.003
# Grains of either kind that count as seen when kinds are told apart; chosen, so few that grains
# which are all alike are taken for one kind.
_EITHER_SEEN = 0.1
# Chosen: so few and so much alike that grains say how they scatter, be it by as little as in a
# solid solution, and so many that one or two leave a fraction no more open than it is.
_PRIOR_GRAINS = 1.0
_PRIOR_SPREAD = 0.1  # of the logarithm of a share
_ROUNDS = 100  # of expectation maximisation, which ends long before
_MISSED = 0.05  # what a 95 % interval leaves out
_FARTHEST = 50.0  # logarithm of what is no longer told from all or nothing


def draw_fractions(
    populations: Sequence[np.ndarray],
    *,
    response: np.ndarray,
    draws: int,
    seed: int | np.random.SeedSequence,
) -> np.ndarray:
    """Draws (draw, phase) of what would be found of each phase in the whole electrode.

    Parameters
    ----------
    populations
        Amount found of each phase in each grain, (grain, phase), any unit: one array, or several
        that are equally likely (other weights of positions); draws go round them.
    response
        Share of each phase (row) that is decided for each phase, (phase, phase).
    draws, seed
        Number of draws, seed of the generator.
    """
    rng = np.random.default_rng(seed)
    out = np.empty((draws, populations[0].shape[1]))
    for number, amount in enumerate(populations):
        own = slice(number, None, len(populations))
        out[own] = _of_grains(rng, amount[amount.sum(axis=1) > 0], response, len(out[own]))
    return out


def _of_grains(
    rng: np.random.Generator, amount: np.ndarray, response: np.ndarray, draws: int
) -> np.ndarray:
    area = amount.sum(axis=1)
    composition = normalised(amount)
    weight = area * _ratio(area.sum(), np.sum(area**2))
    whole = uniform(rng, (draws, len(area))) < whole_probability(composition, weight, response)
    share = _gamma(rng, _EITHER + whole @ weight)
    other = _gamma(rng, _EITHER + ~whole @ weight)
    share = (share / np.maximum(share + other, np.finfo(float).tiny))[:, None]
    return share * _whole_mean(rng, composition, weight * whole) + (1 - share) * _partial_mean(
        rng, composition, weight * ~whole
    )


def whole_probability(
    composition: np.ndarray, weight: np.ndarray, response: np.ndarray
) -> np.ndarray:
    """Probability (grain,) that grains are whole, of their composition (grain, phase) and weight.

    `response` (phase, phase) is the share of each phase (row) decided for each.
    """
    beside = 1 - composition.max(axis=1)
    mistakes = 1 - np.diag(response)[composition.argmax(axis=1)]
    mean = _STRAY + _LARGEST_ERROR_RATE * mistakes
    density = np.exp(-beside / mean) / mean
    share = 0.5
    for _ in range(_ROUNDS):
        whole = share * density / (share * density + (1 - share) * _PARTIAL_DENSITY)
        share = (weight @ whole + _EITHER_SEEN) / (weight.sum() + 2 * _EITHER_SEEN)
    return whole


def _whole_mean(rng: np.random.Generator, composition: np.ndarray, weight: np.ndarray):
    """Draws (draw, phase) of the mean of whole grains that have weight (draw, grain): a Bayesian
    bootstrap (Rubin, Ann. Statist. 9, 130, 1981) with the prior grain."""
    count = composition.shape[1]
    prior = _gamma(rng, np.full((len(weight), count), 1 / count))
    return normalised(prior + _gamma(rng, weight) @ composition)


def _partial_mean(rng: np.random.Generator, composition: np.ndarray, weight: np.ndarray):
    """Draws (draw, phase) of the mean of partial grains that have weight (draw, grain).

    The logarithms of a phase's shares in a population are off those found by Student's t, of the
    grains' relative deviations from their mean; any mean is as likely where no grain is partial.
    """
    total = weight.sum(axis=1, keepdims=True)
    any_mean = normalised(_gamma(rng, np.ones((len(weight), composition.shape[1]))))
    part = weight / np.maximum(total, np.finfo(float).tiny)
    count = _ratio(np.ones(len(part)), np.sum(part**2, axis=1))[:, None]
    mean = part @ composition
    seen = mean > 0
    deviation = np.sqrt(part) * special.ndtri(uniform(rng, part.shape))
    relative = _ratio(deviation @ composition, mean) - deviation.sum(axis=1, keepdims=True) * seen
    prior = np.sqrt(_PRIOR_GRAINS) * _PRIOR_SPREAD * special.ndtri(uniform(rng, mean.shape))
    freedom = _PRIOR_GRAINS + np.maximum(count - 1, 0)
    chi_squared = 2 * _gamma(rng, freedom / 2)
    off = (np.sqrt(count) * relative + prior) / np.sqrt(chi_squared * np.maximum(count, 1))
    off = np.where(seen, np.clip(off, -_FARTHEST, _FARTHEST), 0.0)
    drawn = mean * np.where(off > 0, 1 + off, np.exp(off))
    return np.where(total > 0, normalised(drawn), any_mean)


def interval(draws: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends (...) of the 95 % interval of draws (draw, ...).

    The tails are as the roots of the distances of `place` (...), from 0 to 1, to both its limits:
    half of what is missed lies on either side of a place in the middle, and nothing below 0 or over
    1. Equal tails leave out fractions near a limit, where draws come closest to the truth. NaN
    counts as the middle.
    """
    place = np.clip(np.where(np.isfinite(place), place, 0.5), 0, 1)
    lower = _MISSED * np.sqrt(place) / (np.sqrt(place) + np.sqrt(1 - place))
    ordered = np.sort(draws, axis=0)

    def quantile(at: np.ndarray) -> np.ndarray:
        at = at * (len(ordered) - 1)
        first = np.minimum(at.astype(int), len(ordered) - 1)
        last = np.minimum(first + 1, len(ordered) - 1)
        low, high = (np.take_along_axis(ordered, n[None], axis=0)[0] for n in (first, last))
        return low + (at - first) * (high - low)

    return quantile(lower), quantile(1 - _MISSED + lower)


def uniform(rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Uniform variates that are neither 0 nor 1."""
    return np.clip(rng.random(size), 1e-16, 1 - 1e-16)


def _gamma(rng: np.random.Generator, shape: np.ndarray) -> np.ndarray:
    """Gamma variates by inversion: rejection would turn a rounding of `shape` into other draws."""
    positive = np.where(shape > 0, shape, 1.0)
    return np.where(shape > 0, special.gammaincinv(positive, uniform(rng, shape.shape)), 0.0)


def _ratio(numerator, denominator):
    """Quotient; 0 where the denominator is."""
    denominator = np.asarray(denominator)
    out = np.zeros(np.broadcast_shapes(np.shape(numerator), denominator.shape))
    return np.divide(numerator, denominator, out=out, where=denominator > 0)


def normalised(amount: np.ndarray) -> np.ndarray:
    """Shares along the last axis; NaN where there is nothing."""
    total = amount.sum(axis=-1, keepdims=True)
    return np.divide(amount, total, out=np.full(amount.shape, np.nan), where=total > 0)
