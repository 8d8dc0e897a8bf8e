"""One by one or concurrent: from counts of the literature, with power, and never by guess."""

import numpy as np
import pytest
from scipy import integrate, stats

from phasefront.mechanisms import population
from phasefront.mechanisms.population import Detection

PUBLISHED = Detection()
SCANS = Detection(recall=0.8, false_alarm=0.02)


def test_chuehs_particles_react_one_by_one():
    """About 450 particles, 2 % of them intermediate (Chueh 2013)."""
    share, low, high = population.caught_share(9, 450, PUBLISHED)
    assert share == pytest.approx(0.02)
    assert (low, high) == pytest.approx((0.0105, 0.0376), abs=2e-4)
    (factor,) = population.log_bayes_factor(9, 450, PUBLISHED)
    assert population.verdict(factor) == "one by one"
    assert factor > 20.0


def test_counts_far_from_either_name_keep_their_digits():
    factors = population.log_bayes_factor(np.array([0, 450, 64_000]), 64_000, PUBLISHED)
    assert np.isfinite(factors[:2]).all()
    assert factors[0] > 100.0
    assert factors[2] < -100.0


@pytest.mark.parametrize("caught", [0, 3, 11, 30])
def test_the_bayes_factor_is_the_ratio_of_integrals(caught):
    def evidence(low, high):
        return integrate.quad(
            lambda s: stats.binom.pmf(caught, 30, 0.02 + 0.78 * s) / (high - low), low, high
        )[0]

    (factor,) = population.log_bayes_factor(caught, 30, SCANS)
    assert factor == pytest.approx(np.log(evidence(0.0, 0.1) / evidence(0.2, 1.0)), rel=1e-6)


@pytest.mark.parametrize(
    ("grains", "one_by_one", "concurrent"), [(10, 0.70, 0.64), (20, 0.97, 0.89), (30, 0.98, 0.92)]
)
def test_the_power_is_that_of_the_design(grains, one_by_one, concurrent):
    """Caught 2 % and 50 %, seen in four of five; wrong never in a hundred."""
    few = population.power(0.02, grains, SCANS)
    many = population.power(0.5, grains, SCANS)
    assert few["one by one"] >= one_by_one - 0.005
    assert many["concurrent"] >= concurrent - 0.005
    assert few["concurrent"] <= 0.01
    assert many["one by one"] <= 0.01
    assert sum(few.values()) == pytest.approx(1.0)


def test_power_is_what_drawn_populations_show():
    rng = np.random.default_rng(1)
    caught = rng.binomial(25, SCANS.seen(0.3), size=4000)
    factors = population.log_bayes_factor(caught, 25, SCANS)
    called = np.mean([population.verdict(f) == "concurrent" for f in factors])
    assert called == pytest.approx(population.power(0.3, 25, SCANS)["concurrent"], abs=0.03)


def test_few_grains_and_shares_between_are_not_called():
    assert population.verdict(population.log_bayes_factor(0, 3, PUBLISHED)[0]) == "cannot be told"
    assert population.power(0.14, 20, SCANS)["cannot be told"] > 0.4


def test_the_grains_that_are_needed_suffice_and_fewer_do_not():
    needed = population.grains_needed(0.5, "concurrent", 0.9, SCANS)
    for number in range(needed, needed + 20):
        assert population.power(0.5, number, SCANS)["concurrent"] >= 0.9
    before = [population.power(0.5, n, SCANS)["concurrent"] for n in range(needed - 6, needed)]
    assert min(before) < 0.9
    assert population.grains_needed(0.5, "one by one", 0.9, SCANS) is None


def test_intervals_of_the_caught_share_hold_it():
    rng = np.random.default_rng(2)
    for share in (0.05, 0.3, 0.8):
        held = []
        for caught in rng.binomial(40, SCANS.seen(share), size=1000):
            _, low, high = population.caught_share(int(caught), 40, SCANS)
            held.append(low <= share <= high)
        assert 0.92 <= np.mean(held) <= 0.99


def test_a_detection_that_sees_nothing_is_refused():
    with pytest.raises(ValueError, match="must be seen more often"):
        Detection(recall=0.1, false_alarm=0.2)
