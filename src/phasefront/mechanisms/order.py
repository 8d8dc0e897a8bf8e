"""Which grains go first: what the share converted goes with, and what would have been seen.

Each covariate stands by itself: a few dozen grains do not bear more. States are compared within
themselves only, since the cell sets how far each is charged.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtri

# Prior of log odds per standard deviation: Cauchy's scale of Gelman et al. 2008
# (10.1214/08-AOAS191) as a normal's, which keeps perfectly parted grains finite.
_PRIOR_LOG_ODDS = 2.5
# Of fewer grains no regression says anything; chosen.
_FEWEST_GRAINS = 8
# Of tests and of what they would have shown: custom.
_LEVEL, _POWER = 0.05, 0.8
# A stronger effect parts the grains.
_MOST_LOG_ODDS = 10.0


def effects(
    converted: np.ndarray,
    covariates: pd.DataFrame,
    state: np.ndarray,
    *,
    seed: int,
    draws: int = 1999,
) -> pd.DataFrame:
    """How the share converted goes with each covariate.

    Parameters
    ----------
    converted
        Share (grain,) of each grain that is the product, 0 to 1.
    covariates
        One column each, one row a grain; NaN where it is not known.
    state
        Which state (grain,) each grain was seen in.
    seed, draws
        Of bootstrap and permutations, both of grains within their states.

    Returns
    -------
    A row a covariate: `log_odds` of conversion per standard deviation of it within states, with
    `low` and `high` (95 %, bootstrap); `p` (permutation of the score statistic), `p_holm` over all
    covariates; `smallest_detectable`, the log odds that this many grains show at 5 % after Holm's
    first step with a power of 0.8, infinite where none would; `grains`. NaN where fewer than eight
    grains know it or it does not vary.
    """
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(seed)
    rows = [
        _effect(
            converted, covariates[name].to_numpy(float), state, len(covariates.columns), rng, draws
        )
        for name in covariates
    ]
    table = pd.DataFrame(
        rows, columns=["log_odds", "low", "high", "p", "smallest_detectable", "grains"]
    )
    table.insert(0, "covariate", list(covariates))
    table.insert(5, "p_holm", np.nan)
    known = table.p.notna()
    if known.any():
        table.loc[known, "p_holm"] = multipletests(table.p[known], method="holm")[1]
    return table


def _effect(converted, covariate, state, tests, rng, draws) -> tuple:
    known = np.isfinite(covariate) & np.isfinite(converted)
    if known.sum() < _FEWEST_GRAINS:
        return (*[np.nan] * 5, int(known.sum()))
    _, strata = np.unique(state[known], return_inverse=True)
    share, inside = converted[known], covariate[known]
    inside = inside - _mean_within(inside, strata)
    rest = share - _mean_within(share, strata)
    spread = inside.std()
    if not spread > 1e-9 * np.abs(covariate[known]).max():
        return (*[np.nan] * 5, int(known.sum()))
    inside = inside / spread

    order = np.array([_shuffled(strata, rng) for _ in range(draws)])
    score, drawn = inside @ rest, inside[order] @ rest
    chance = (1 + np.sum(np.abs(drawn) >= np.abs(score) * (1.0 - 1e-12))) / (1 + draws)

    again = np.array([_drawn_again(strata, rng) for _ in range(draws)])
    (log_odds,) = _log_odds(inside[None], share[None], strata[None])
    low, high = np.quantile(_log_odds(inside[again], share[again], strata[again]), [0.025, 0.975])

    # The score's variance under no effect, with the shares' own spread: shares between 0 and 1
    # scatter less than coins do.
    mean = _mean_within(share, strata)
    smallest = _smallest(inside, mean, np.sum(rest**2 * inside**2), tests)
    return log_odds, low, high, chance, smallest, int(known.sum())


def _log_odds(covariate: np.ndarray, share: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Slope (draw,) of a logistic regression of shares (draw, grain), a level for each stratum.

    Maximum of the fractional likelihood (Papke and Wooldridge 1996) with the slope's prior, by
    Newton's steps on all draws at once. Levels have a prior ten times as wide.
    """
    levels = strata[..., None] == np.arange(strata.max() + 1)
    design = np.concatenate([covariate[..., None], levels], axis=-1)
    precision = np.diag(
        [_PRIOR_LOG_ODDS**-2.0] + [(10.0 * _PRIOR_LOG_ODDS) ** -2.0] * levels.shape[-1]
    )
    across = np.swapaxes(design, -1, -2)
    slopes = np.zeros((len(design), design.shape[-1]))
    for _ in range(30):
        fitted = expit((design @ slopes[..., None])[..., 0])
        gradient = (across @ (share - fitted)[..., None])[..., 0] - slopes @ precision
        hessian = across @ (design * (fitted * (1.0 - fitted))[..., None]) + precision
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        # Newton's full step may overshoot where grains are parted.
        slopes += step / np.maximum(1.0, np.abs(step).max(axis=1, keepdims=True))
        if np.abs(step).max() < 1e-6:
            break
    return slopes[:, 0]


def smallest_shift(grains: int, converted: float) -> float:
    """Smallest shift from 1/2 of the probability that a converted grain exceeds another in size.

    That is, of the area under the curve of size against conversion, at 5 % and a power of 0.8 with
    so many grains of which a share is converted (variance of Mann and Whitney 1947).
    """
    first = grains * converted
    second = grains - first
    variance = (grains + 1.0) / (12.0 * first * second)
    return float((ndtri(1.0 - _LEVEL / 2.0) + ndtri(_POWER)) * np.sqrt(variance))


def smallest_log_odds(grains: int, converted: float, tests: int) -> float:
    """Smallest log odds of conversion per standard deviation of a covariate that shows.

    At 5 % after Holm's first step over so many tests, with a power of 0.8, on so many grains of one
    phase each, of which a share is converted, and whose covariate is normal; infinite where no
    effect would show.
    """
    covariate = ndtri((np.arange(grains) + 0.5) / grains)
    covariate /= covariate.std()
    variance = converted * (1.0 - converted) * np.sum(covariate**2)
    return _smallest(covariate, np.full(grains, converted), variance, tests)


def _smallest(covariate: np.ndarray, mean: np.ndarray, variance: float, tests: int) -> float:
    """Smallest log odds whose score is seen with the power wanted; infinite where none is.

    Parameters
    ----------
    covariate
        Of each grain (grain,), of mean 0.
    mean
        Share (grain,) that is the product in the grain's state.
    variance
        Of the score, the sum of covariate times share, under no effect.

    The score grows less than in proportion to the log odds, since a share ends at 0 and 1: near
    these grains tell nothing more, and scatter less.
    """
    reach = ndtri(1.0 - _LEVEL / (2.0 * tests))
    information = np.sum(mean * (1.0 - mean) * covariate**2)
    if not information > 0.0:
        return np.nan
    level = logit(np.clip(mean, 1e-3, 1.0 - 1e-3))

    def power_lacks(log_odds: float) -> float:
        shares = expit(level + log_odds * covariate)
        left = variance * np.sum(shares * (1.0 - shares) * covariate**2) / information
        score = covariate @ (shares - expit(level))
        return reach * np.sqrt(variance) + ndtri(_POWER) * np.sqrt(left) - score

    if power_lacks(_MOST_LOG_ODDS) > 0.0:
        return np.inf
    return float(brentq(power_lacks, 0.0, _MOST_LOG_ODDS))


def neighbours_alike(
    converted: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    state: np.ndarray,
    *,
    seed: int,
    draws: int = 1999,
) -> tuple[float, float]:
    """Moran's I of the share converted over pairs of neighbouring grains, and its p by permutation.

    Parameters
    ----------
    converted, state
        Share (grain,) that is the product; the grain's state, within which shares are exchanged.
    first, second
        Grains (pair,) that touch.

    Returns
    -------
    I (0 where neighbours are no more alike than any, 1 where equal) and a two-sided p; NaN for both
    where there are no pairs or all grains are alike.
    """
    _, strata = np.unique(state, return_inverse=True)
    rest = converted - _mean_within(converted, strata)
    if not len(first) or not rest.any():
        return np.nan, np.nan
    rng = np.random.default_rng(seed)
    scale = len(rest) / len(first) / np.sum(rest**2)
    drawn = rest[np.array([_shuffled(strata, rng) for _ in range(draws)])]
    alike = scale * np.sum(drawn[:, first] * drawn[:, second], axis=1)
    found = float(scale * np.sum(rest[first] * rest[second]))
    above, below = np.sum(alike >= found - 1e-12), np.sum(alike <= found + 1e-12)
    return found, min(1.0, 2.0 * (1 + min(above, below)) / (1 + draws))


def _mean_within(values: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """The mean of each grain's stratum (grain,)."""
    return (np.bincount(strata, values) / np.bincount(strata))[strata]


def _shuffled(strata: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Grains (grain,) in an order that leaves each in its stratum."""
    order = np.empty(len(strata), int)
    order[np.argsort(strata, kind="stable")] = np.lexsort([rng.random(len(strata)), strata])
    return order


def _drawn_again(strata: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Grains (grain,) drawn with replacement, as many of each stratum as there are."""
    start = np.searchsorted(np.sort(strata), strata)
    members = np.argsort(strata, kind="stable")
    return members[start + rng.integers(np.bincount(strata)[strata])]
