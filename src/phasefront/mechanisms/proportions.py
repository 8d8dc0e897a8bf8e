"""Proportions of morphologies in a population, from what each grain leaves open."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from phasefront.core.statistics import Interval

# Jeffreys' prior of proportions: half a grain of each.
_PRIOR_GRAINS = 0.5


def proportions(
    posterior: np.ndarray, prior: np.ndarray, *, alike: float = 0.0, seed: int, draws: int = 4000
) -> tuple[Interval, np.ndarray]:
    """Shares of the grains that have each morphology, and the grains' own posteriors given these.

    A mixture with Dirichlet prior, by Gibbs sampling (Diebolt and Robert 1994): what each grain is
    and what the shares are, in turn.

    Parameters
    ----------
    posterior
        Of each grain by itself (grain, morphology), calibrated; rows sum to 1.
    prior
        Under which these posteriors were found (morphology,), all above 0.
    alike
        Correlation of errors of posteriors of one population (0 to 1): what grains do under one
        physics is misread alike. So many grains count for n / (1 + (n - 1) alike) (Kish 1965).
    seed, draws
        Of the sampler; a fifth as many go before.

    Returns
    -------
    Shares (value, low, high; morphology) with 95 % intervals, and posteriors (grain, morphology) of
    grains that come from this population.
    """
    kept, members = [], np.zeros_like(posterior)
    for shares, chances in _sampled(posterior, prior, alike, seed, draws):
        kept.append(shares)
        members += chances
    low, high = np.quantile(kept, [0.025, 0.975], axis=0)
    return np.stack([np.mean(kept, axis=0), low, high]), members / draws


def dominant(
    posterior: np.ndarray, prior: np.ndarray, *, alike: float = 0.0, seed: int, draws: int = 4000
) -> np.ndarray:
    """Probability (morphology,) that each is the commonest in the population; see `proportions`."""
    counts = np.zeros(posterior.shape[1])
    for shares, _ in _sampled(posterior, prior, alike, seed, draws):
        counts[shares.argmax()] += 1
    return counts / draws


def _sampled(
    posterior: np.ndarray, prior: np.ndarray, alike: float, seed: int, draws: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draws of the shares (morphology,), each with the grains' chances (grain, morphology)."""
    rng = np.random.default_rng(seed)
    likelihood = posterior / prior
    shares = np.full(posterior.shape[1], 1.0 / posterior.shape[1])
    weight = 1.0 / (1.0 + (len(posterior) - 1) * alike)
    for step in range(-(draws // 5), draws):
        chances = likelihood * shares
        chances /= chances.sum(axis=1, keepdims=True)
        below = np.cumsum(chances, axis=1) < rng.random((len(chances), 1))
        drawn = np.minimum(below.sum(axis=1), posterior.shape[1] - 1)
        counts = np.bincount(drawn, minlength=posterior.shape[1])
        shares = rng.dirichlet(weight * counts + _PRIOR_GRAINS)
        if step >= 0:
            yield shares, chances
