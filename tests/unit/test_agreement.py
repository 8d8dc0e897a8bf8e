"""Tests of difference and equivalence, lines with errors on both axes, limits of agreement."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from phasefront.comparison import agreement
from phasefront.comparison.agreement import AGREE, DISAGREE
from phasefront.core.statistics import NORMAL_95

# Pearson (Phil. Mag. 2, 559, 1901) with York's weights (Can. J. Phys. 44, 1079, 1966).
PEARSON_X = np.array([0.0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4])
PEARSON_Y = np.array([5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5])
YORK_X_WEIGHT = np.array([1000, 1000, 500, 800, 200, 80, 60, 20, 1.8, 1.0])
YORK_Y_WEIGHT = np.array([1, 1.8, 4, 8, 20, 20, 70, 70, 100, 500.0])


def interval(value, error):
    value = np.asarray(value, dtype=float)
    half = NORMAL_95 * np.broadcast_to(error, value.shape)
    return np.stack([value, value - half, value + half])


def independent(count):
    return np.zeros((1, count))


def test_total_least_squares_gives_yorks_line_for_pearsons_data():
    x = interval(PEARSON_X, YORK_X_WEIGHT**-0.5)
    y = interval(PEARSON_Y, YORK_Y_WEIGHT**-0.5)
    line = agreement.fit_line(x, y, independent(10), independent(10))
    assert line.intercept == pytest.approx(5.47991022, abs=2e-6)
    assert line.slope == pytest.approx(-0.480533407, abs=5e-7)
    assert line.chi_squared == pytest.approx(11.8663532, rel=1e-6)
    # York et al. (2004) give 0.2949707 and 0.0579850, without the factor for their scatter.
    scatter = np.sqrt(11.8663532 / 8)
    errors = np.sqrt(np.diag(line.covariance))
    np.testing.assert_allclose(errors, [0.2949707 * scatter, 0.0579850 * scatter], rtol=1e-4)


@pytest.mark.parametrize("mass_error", [0.0, 0.03])
def test_lines_find_the_truth_as_often_as_they_say(mass_error):
    """The mass is off by a common factor: slope and intercept of the truth stay 1 and 0."""
    rng = np.random.default_rng(8)
    truth = np.array([3.0, 2.5, 2.0, 1.5, 1.0])
    passed = 3 - truth
    error = np.hypot(0.02, mass_error * passed)
    loading = np.array([mass_error * passed / error])
    covered, rejected, runs = np.zeros(2), 0, 300
    for _ in range(runs):
        x = truth - mass_error * passed * rng.standard_normal() + 0.02 * rng.standard_normal(5)
        y = truth + 0.05 * rng.standard_normal(5)
        line = agreement.fit_line(interval(x, error), interval(y, 0.05), loading, independent(5))
        found = np.array([line.intercept - 0, line.slope - 1])
        covered += np.abs(found) < NORMAL_95 * np.sqrt(np.diag(line.covariance))
        rejected += line.one_to_one_p() < 0.05
    assert np.all(covered / runs > 0.93)
    assert rejected / runs < 0.07


def test_no_line_through_few_or_crowded_states():
    two, crowded = interval([1.0, 2.0], 0.01), interval([2.0, 2.01, 2.02], 0.05)
    assert agreement.fit_line(two, two, independent(2), independent(2)) is None
    assert agreement.fit_line(crowded, crowded, independent(3), independent(3)) is None
    nothing = np.zeros((3, 0))
    assert agreement.fit_line(nothing, nothing, independent(0), independent(0)) is None


contents = st.lists(st.floats(-0.1, 0.1), min_size=4, max_size=4)


@settings(deadline=None)
@given(contents, contents, st.floats(0.01, 0.05), st.floats(0.01, 0.05))
def test_a_line_departs_from_1_to_1_by_as_much_seen_from_the_other_axis(dx, dy, one, other):
    truth = np.array([1.0, 1.6, 2.3, 3.0])
    x, y = interval(truth + dx, one), interval(truth + dy, other)
    forth = agreement.fit_line(x, y, independent(4), independent(4))
    back = agreement.fit_line(y, x, independent(4), independent(4))
    np.testing.assert_allclose(forth.tilt(), -back.tilt()[[0, 2, 1]], atol=1e-4)
    assert forth.one_to_one_p() == pytest.approx(back.one_to_one_p(), abs=1e-3)


def test_shared_errors_do_not_average_out():
    values = interval(np.full(4, 2.0), 0.1)
    alone = agreement.mean_of_states(values, np.zeros((1, 4)))
    together = agreement.mean_of_states(values, np.ones((1, 4)))
    opposite = agreement.mean_of_states(values, np.array([[1, -1, 1, -1.0]]))
    np.testing.assert_allclose(alone[2] - 2, NORMAL_95 * 0.05)
    np.testing.assert_allclose(together[2] - 2, NORMAL_95 * 0.1)
    np.testing.assert_allclose(opposite[2] - 2, 0, atol=1e-12)


def test_limits_of_agreement_cover_as_they_say():
    rng = np.random.default_rng(3)
    sample = rng.normal(0.02, 0.1, (4000, 5))
    found = np.array([agreement.limits_of_agreement(d) for d in sample])
    upper = 0.02 + NORMAL_95 * 0.1
    share = np.mean((found[:, 1, 1] < upper) & (upper < found[:, 2, 1]))
    assert share == pytest.approx(0.95, abs=0.015)
    np.testing.assert_allclose(found[:, 0].mean(axis=1), sample.mean(axis=1))
    assert np.isnan(agreement.limits_of_agreement(np.array([0.1, 0.2]))).all()


def test_limits_of_agreement_of_a_published_size():
    """Carkeet (2015): for n = 10 the limits' factors are 1.96 with exact 1.39 and 3.06 or so."""
    values = stats.norm.ppf((np.arange(10) + 0.5) / 10)
    values = (values - values.mean()) / values.std(ddof=1)
    found = agreement.limits_of_agreement(values)
    # The chance that a sample's mean + k s exceeds mean + 1.96 sigma is 0.025 and 0.975.
    rng = np.random.default_rng(1)
    sample = rng.standard_normal((40000, 10))
    for factor, share in zip(found[1:, 1], (0.025, 0.975), strict=True):
        reached = sample.mean(axis=1) + factor * sample.std(axis=1, ddof=1)
        assert np.mean(reached > NORMAL_95) == pytest.approx(share, abs=0.004)


def test_holm_leaves_untested_ones_alone():
    p = np.array([[0.01, np.nan, 0.04], [np.nan, np.nan, np.nan]])
    np.testing.assert_allclose(agreement.holm(p)[0], [0.02, np.nan, 0.04])
    assert np.isnan(agreement.holm(p)[1]).all()


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_that_of_statsmodels(p):
    with mock.patch("gc.collect"):  # in every call of statsmodels: slow late in a session
        expected = multipletests(p, method="holm")[1]
    np.testing.assert_allclose(agreement.holm(np.array(p)), expected)


values, sides = st.floats(-2, 2), st.floats(0, 1)


def verdict_of(apart, margin):
    z, equivalence_p = agreement.z_and_equivalence(apart, margin)
    return str(agreement.verdict(agreement.material_p(apart, z, margin), equivalence_p))


@settings(deadline=None)
@given(values, sides, sides, st.floats(0.01, 1))
def test_verdicts_do_not_depend_on_the_order_of_the_pair(value, down, up, margin):
    assume(np.hypot(down, value) > 1e-9)
    forth = np.array([value, value - down, value + up])
    assert verdict_of(forth, margin) == verdict_of(-forth[[0, 2, 1]], margin)


@settings(deadline=None)
@given(values, sides, sides, st.floats(0.01, 1), st.floats(1, 3))
def test_a_wider_margin_never_makes_sources_agree_less(value, down, up, margin, factor):
    order = [DISAGREE, "cannot tell", AGREE]
    apart = np.array([value, value - down, value + up])
    narrow, wide = verdict_of(apart, margin), verdict_of(apart, margin * factor)
    assert order.index(narrow) <= order.index(wide)


@pytest.mark.parametrize(("true", "word"), [(0.0, DISAGREE), (0.1, AGREE), (-0.1, AGREE)])
def test_wrong_verdicts_are_rare(true, word):
    """Sources that do not differ, and sources that differ by the margin."""
    rng = np.random.default_rng(5)
    for error in (0.02, 0.05, 0.2):
        apart = interval(true + error * rng.standard_normal(4000), error)
        z, equivalence_p = agreement.z_and_equivalence(apart, 0.1)
        found = agreement.verdict(agreement.material_p(apart, z, 0.1), equivalence_p)
        assert np.mean(found == word) < 0.06
