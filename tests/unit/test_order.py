"""Which grains go first: effects as they are, nulls as often as they say, and their reach."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from phasefront.mechanisms import order


def grains(rng, number, effect, *, states=2):
    """Grains that are all or none, with log odds by size and a level for each state."""
    state = np.arange(number) % states
    size = rng.normal(size=number)
    converted = (rng.random(number) < expit(effect * size + state - states / 2.0)).astype(float)
    return converted, size, state


def test_an_effect_is_found_with_its_size():
    converted, size, state = grains(np.random.default_rng(1), 2000, 1.0)
    found = order.effects(converted, pd.DataFrame({"size": size}), state, seed=1, draws=199)
    assert found.log_odds[0] == pytest.approx(1.0, abs=0.15)
    assert found.low[0] < 1.0 < found.high[0]
    assert found.p[0] == 1 / 200


def test_the_slope_is_that_of_statsmodels():
    import statsmodels.api as sm

    converted, size, state = grains(np.random.default_rng(2), 4000, 0.7)
    found = order.effects(converted, pd.DataFrame({"size": size}), state, seed=1, draws=9)
    inside = size - np.where(state == 1, size[state == 1].mean(), size[state == 0].mean())
    design = np.column_stack([inside / inside.std(), state == 0, state == 1])
    fit = sm.GLM(converted, design.astype(float), family=sm.families.Binomial()).fit()
    assert found.log_odds[0] == pytest.approx(fit.params[0], rel=2e-3)


def test_states_of_charge_are_not_taken_for_an_effect():
    """Small grains in the charged state, large ones in the other: within states nothing shows."""
    rng = np.random.default_rng(3)
    state = np.repeat([0, 1], 40)
    size = rng.normal(size=80) + 5.0 * state
    converted = (rng.random(80) < np.where(state == 1, 0.9, 0.1)).astype(float)
    found = order.effects(converted, pd.DataFrame({"size": size}), state, seed=1)
    assert found.p[0] > 0.01
    assert abs(found.log_odds[0]) < 1.0


@pytest.mark.slow
def test_no_effect_is_seldom_called_one():
    smallest = []
    for seed in range(40):
        rng = np.random.default_rng(100 + seed)
        converted, _, state = grains(rng, 30, 0.0)
        covariates = pd.DataFrame(rng.normal(size=(30, 4)))
        found = order.effects(converted, covariates, state, seed=seed, draws=99)
        smallest.append(found.p_holm.min())
    # At 5 % for the whole family: more than 6 of 40 have a chance of 0.003.
    assert np.sum(np.array(smallest) <= 0.05) <= 6


@pytest.mark.slow
def test_the_smallest_detectable_effect_is_detected_four_times_in_five():
    rng = np.random.default_rng(4)
    converted, _, state = grains(rng, 60, 0.0, states=1)
    covariate = pd.DataFrame({"size": rng.normal(size=60)})
    smallest = order.effects(converted, covariate, state, seed=1, draws=99).smallest_detectable[0]
    found = []
    for seed in range(50):
        converted, size, state = grains(np.random.default_rng(200 + seed), 60, smallest, states=1)
        table = order.effects(converted, pd.DataFrame({"size": size}), state, seed=1, draws=99)
        found.append(table.p[0] <= 0.05)
    assert 0.65 <= np.mean(found) <= 0.95


def test_parted_grains_have_a_finite_effect():
    size = np.linspace(-1.0, 1.0, 20)
    found = order.effects(
        (size > 0).astype(float), pd.DataFrame({"size": size}), np.zeros(20), seed=1, draws=199
    )
    assert 1.0 < found.log_odds[0] < 20.0
    assert np.isfinite([found.low[0], found.high[0]]).all()


def test_what_is_not_known_or_does_not_vary_is_left_open():
    converted, size, state = grains(np.random.default_rng(5), 20, 1.0)
    covariates = pd.DataFrame(
        {"size": size, "same": 3.0, "rare": np.where(np.arange(20) < 7, size, np.nan)}
    )
    found = order.effects(converted, covariates, state, seed=1, draws=99).set_index("covariate")
    assert found.grains.to_dict() == {"size": 20, "same": 20, "rare": 7}
    left_open = found.drop(columns="grains")
    assert left_open.loc["same"].isna().all()
    assert left_open.loc["rare"].isna().all()
    assert left_open.loc["size"].notna().all()


@pytest.mark.parametrize(("number", "shift"), [(64_000, 0.006), (450, 0.08), (30, 0.30)])
def test_what_size_would_have_shown_in_the_literature(number, shift):
    """Robert 2013 counted 64,000 particles, Chueh 2013 some 450; half of them converted."""
    assert order.smallest_shift(number, 0.5) == pytest.approx(shift, rel=0.08)


def test_neighbours_that_are_alike_are_told_from_chance():
    rng = np.random.default_rng(6)
    first = np.arange(39)
    runs = (np.arange(40) // 8 % 2).astype(float)
    alike, chance = order.neighbours_alike(runs, first, first + 1, np.zeros(40), seed=1)
    assert alike > 0.7
    assert chance < 0.01
    apart, chance = order.neighbours_alike(
        np.arange(40) % 2.0, first, first + 1, np.zeros(40), seed=1
    )
    assert apart == pytest.approx(-1.0, abs=0.05)
    assert chance < 0.01
    chances = [
        order.neighbours_alike(
            rng.random(40), first, first + 1, np.zeros(40), seed=seed, draws=199
        )[1]
        for seed in range(40)
    ]
    assert np.sum(np.array(chances) <= 0.05) <= 7
    nobody = order.neighbours_alike(np.ones(40), first, first + 1, np.zeros(40), seed=1)
    assert np.isnan(nobody).all()
