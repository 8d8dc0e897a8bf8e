"""Proportions of morphologies: the conjugate answer where grains are sure, and honest intervals."""

import numpy as np
import pytest
from scipy import stats

from phasefront.mechanisms.proportions import dominant, proportions

EVEN = np.full(3, 1.0 / 3.0)


def test_sure_grains_give_dirichlets_own_answer():
    posterior = np.repeat(np.eye(3), [12, 6, 2], axis=0)
    (value, low, high), members = proportions(posterior, EVEN, seed=1)
    exact = [stats.beta(n + 0.5, 21.5 - n - 0.5) for n in (12, 6, 2)]
    assert value == pytest.approx([b.mean() for b in exact], abs=0.01)
    assert low == pytest.approx([b.ppf(0.025) for b in exact], abs=0.02)
    assert high == pytest.approx([b.ppf(0.975) for b in exact], abs=0.02)
    np.testing.assert_array_equal(members, posterior)


def test_grains_that_are_misread_alike_count_for_fewer():
    """Twelve of correlation 1/11 count for six; sure grains then give Dirichlet's own answer."""
    posterior = np.eye(3)[[0] * 8 + [1] * 4]
    (value, low, high), _ = proportions(posterior, EVEN, alike=1 / 11, seed=1, draws=20_000)
    counts = np.array([4.5, 2.5, 0.5])
    assert value == pytest.approx(counts / counts.sum(), abs=0.01)
    ends = stats.beta(counts[0], counts[1:].sum()).ppf([0.025, 0.975])
    assert [low[0], high[0]] == pytest.approx(ends, abs=0.02)
    (_, alone, _), _ = proportions(posterior, EVEN, seed=1)
    assert low[0] < alone[0]


def test_grains_that_say_nothing_leave_the_prior():
    (value, low, high), members = proportions(np.tile(EVEN, (20, 1)), EVEN, seed=1, draws=20_000)
    assert value == pytest.approx(EVEN, abs=0.06)
    assert (low < 0.05).all()
    assert (high > 0.8).all()
    assert members == pytest.approx(np.tile(EVEN, (20, 1)), abs=0.06)


def test_a_population_sharpens_its_grains():
    """What most grains are, an unsure one is more likely, too; the prior is taken out."""
    posterior = np.vstack([np.tile([0.96, 0.03, 0.01], (15, 1)), [0.5, 0.49, 0.01]])
    _, members = proportions(posterior, EVEN, seed=1)
    assert members[-1, 0] > 0.8
    skewed = np.array([0.8, 0.1, 0.1])
    (value, _, _), _ = proportions(np.tile(skewed, (20, 1)), skewed, seed=1, draws=20_000)
    assert value == pytest.approx(EVEN, abs=0.06)


def test_intervals_hold_the_shares_of_grains_seen_through_a_confusion():
    confusion = np.array([[0.8, 0.15, 0.05], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8]])
    truth = np.array([0.6, 0.3, 0.1])
    held = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        seen = [rng.choice(3, p=confusion[m]) for m in rng.choice(3, size=60, p=truth)]
        posterior = confusion[:, seen].T / confusion[:, seen].sum(axis=0)[:, None]
        (_, low, high), _ = proportions(posterior, EVEN, seed=seed, draws=500)
        held.append((low <= truth) & (truth <= high))
    assert np.mean(held) >= 0.88


def test_the_commonest_is_told_as_surely_as_shares_are():
    posterior = np.repeat(np.eye(3), [7, 5, 0], axis=0)
    rng = np.random.default_rng(4)
    shares = rng.dirichlet([7.5, 5.5, 0.5], 40_000)
    exact = np.bincount(shares.argmax(axis=1), minlength=3) / 40_000
    assert dominant(posterior, EVEN, seed=1) == pytest.approx(exact, abs=0.03)
    assert dominant(np.tile(EVEN, (9, 1)), EVEN, seed=1, draws=20_000) == pytest.approx(
        EVEN, abs=0.06
    )
