"""Histories of positions: against all paths, and on made series whose course is known."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from phasefront.series import histories
from phasefront.series.histories import Chain, Gaps

ENDS = (1.25, -1.25)
CHARGE = np.concatenate([np.zeros(4), np.linspace(0, 1, 16)])


def fit(score, gaps):
    """Scores are contents whose standard errors are all 1."""
    return histories.fit(score, np.ones_like(score), gaps, ENDS)


def told(chain, score, gaps):
    return histories.histories(chain, score, np.ones_like(score), gaps)


def series(repeated, *, seed, positions=900, still=0.2):
    """Scores of columns, a fifth of which never change, with an error of 1 and one that repeats."""
    rng = np.random.default_rng(seed)
    change = rng.uniform(0, 1, positions)
    never = rng.random(positions) < still
    share = np.clip((change[:, None] - CHARGE) / 0.05 + 0.5, 0, 1)
    share[never] = rng.integers(0, 2, never.sum())[:, None]
    score = 2.5 * (share - 0.5) + rng.normal(size=share.shape)
    score += repeated * rng.normal(size=(positions, 1))
    state = np.where(share > 0.98, 0, np.where(share < 0.02, 2, 1))
    return score, state, never


def test_the_passes_are_sums_over_all_paths():
    chain = Chain(np.array([0.5, 0.2, 0.3]), 0.1, 1.2, 0.7, 0.5, 0.4, 0.0)
    gaps = Gaps(np.array([1.0, 0.3]), np.array([0.0, 0.2]))
    score = np.array([[1.0, np.nan, -0.4], [-1.0, 0.3, 0.2]])
    found = told(chain, score, gaps)
    rates = [chain.rate * np.array(pair) for pair in zip(gaps.onward, gaps.back, strict=True)]
    nodes = norm.ppf((np.arange(4000) + 0.5) / 4000)  # the repeated error, finely
    for place in range(2):
        weight = np.zeros((3, 3))
        for path in itertools.product(range(3), repeat=3):
            chance = chain.start[path[0]]
            for (onward, back), one, other in zip(rates, path[:-1], path[1:], strict=True):
                way = {+1: onward / max(2 - one, 1), -1: back / max(one, 1), 0: 0.0}
                leaving = sum(way[int(np.sign(to - one))] for to in range(3))
                stays = np.exp(-leaving)
                step = way[int(np.sign(other - one))]
                chance *= stays if one == other else (1 - stays) * step / leaving if leaving else 0
            seen = np.ones_like(nodes)
            for scan, state in enumerate(path):
                if np.isfinite(score[place, scan]):
                    mean = chain.mean[state] + chain.repeated * nodes
                    seen *= norm.pdf(score[place, scan], mean, chain.spread(chain.error)[state])
            for scan, state in enumerate(path):
                weight[scan, state] += chance * seen.mean()
        expected = weight / weight.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found.smooth[place], expected, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("repeated", [0.0, 0.7, 1.5])
def test_what_is_sure_is_right_where_errors_repeat(repeated):
    """Taken for independent, repeats make 0.03, 3 and 15 % of what is sure wrong."""
    score, state, never = series(repeated, seed=[7, int(10 * repeated)])
    gaps = Gaps.of_charge(CHARGE)
    chain = fit(score, gaps)
    found = told(chain, score, gaps)
    sure = found.smooth.max(axis=-1) > 0.99
    assert sure.mean() > 0.2
    assert (found.smooth.argmax(axis=-1) != state)[sure].mean() < 0.015
    alone = (found.single.argmax(axis=-1) == state).mean()
    assert (found.smooth.argmax(axis=-1) == state).mean() > alone + 0.03
    changed = (found.left[never] > 0.95).any(axis=1) | (found.reached[never] > 0.95).any(axis=1)
    assert changed.mean() <= 0.01
    assert chain.repeated == pytest.approx(repeated, abs=0.45)
    assert chain.error == pytest.approx(1.0, abs=0.05)
    assert 2 * chain.reach == pytest.approx(2.5, abs=0.35)


def test_errors_go_with_the_stated_ones():
    """Half of the positions lie along a zone axis that tells the cell four times worse."""
    score, state, _ = series(0.7, seed=11)
    truth = 2.5 * np.clip((state == 0) + 0.5 * (state == 1), 0, 1) - 1.25
    stated = np.where(np.arange(len(score)) % 2, 4.0, 1.0)[:, None] * np.ones_like(score)
    score = truth + (score - truth) * stated
    gaps = Gaps.of_charge(CHARGE)
    chain = histories.fit(score, stated, gaps, ENDS)
    assert chain.error == pytest.approx(1.0, abs=0.1)
    assert chain.repeated == pytest.approx(0.7, abs=0.35)
    found = histories.histories(chain, score, stated, gaps)
    sure = found.smooth.max(axis=-1) > 0.99
    assert (found.smooth.argmax(axis=-1) != state)[sure].mean() < 0.015
    assert sure[0::2].mean() > 2 * sure[1::2].mean()


@pytest.mark.parametrize("at", [1.25, -1.25])
def test_one_phase_alone_has_no_second_one(at):
    """Errors that repeat and errors that are new, of scans in which nothing happens."""
    rng = np.random.default_rng(4)
    score = at + 0.1 * (0.5 * rng.normal(size=(500, 1)) + rng.normal(size=(500, 2)))
    gaps = Gaps.open(1)
    stated = 0.1 * np.ones_like(score)
    found = histories.histories(histories.fit(score, stated, gaps, ENDS), score, stated, gaps)
    state = 0 if at > 0 else 2
    assert (found.smooth[..., state] > 0.9).all()
    assert np.abs(found.left + found.reached).max() < 0.1


def test_on_charge_nothing_comes_back_and_before_it_nothing_changes():
    score, _, _ = series(0.5, seed=3, positions=200)
    gaps = Gaps.of_charge(CHARGE)
    found = told(fit(score, gaps), score, gaps)
    rich, poor = found.smooth[..., 0], found.smooth[..., 2]
    assert (np.diff(rich, axis=1) <= 1e-9).all() and (np.diff(poor, axis=1) >= -1e-9).all()
    np.testing.assert_allclose(found.smooth[:, 0], found.smooth[:, 3], atol=1e-9)
    assert np.abs(found.left[:, :3]).max() < 1e-9
    np.testing.assert_allclose(found.left.sum(axis=1), rich[:, 0] - rich[:, -1], atol=1e-9)
    np.testing.assert_allclose(found.reached.sum(axis=1), poor[:, -1] - poor[:, 0], atol=1e-9)


def test_the_direction_of_the_current_is_the_direction_of_change():
    score, state, _ = series(0.3, seed=5, positions=300)
    gaps = Gaps.of_charge(CHARGE)
    out = told(fit(score, gaps), score, gaps)
    turned = Gaps.of_charge(-CHARGE)
    into = told(fit(-score, turned), -score, turned)
    np.testing.assert_allclose(out.smooth, into.smooth[..., ::-1], atol=0.02)
    assert (into.smooth.argmax(axis=-1) == 2 - state).mean() > 0.85


def test_scans_that_miss_a_position_leave_it_open():
    score, _, _ = series(0.3, seed=6, positions=300)
    gaps = Gaps.of_charge(CHARGE)
    chain = fit(score, gaps)
    unseen = told(chain, np.full((1, 20), np.nan), gaps)
    np.testing.assert_allclose(unseen.smooth, unseen.single, atol=1e-6)
    assert unseen.smooth[0, 0] == pytest.approx(chain.start, abs=1e-6)


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(2, 6),
    st.sampled_from(["out", "in", "rest"]),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_any_series_has_probabilities(seed, positions, scans, way):
    rng = np.random.default_rng(seed)
    score = rng.normal(size=(positions, scans)) * 10.0 ** rng.uniform(-3, 3)
    score[rng.random(score.shape) < 0.3] = np.nan
    score[0, 0] = 1.0
    charge = {"out": 1.0, "in": -1.0, "rest": 0.0}[way] * np.arange(scans)
    gaps = Gaps.of_charge(charge)
    found = told(fit(score, gaps), score, gaps)
    for states in (found.single, found.smooth):
        assert np.isfinite(states).all() and (states >= 0).all()
        np.testing.assert_allclose(states.sum(axis=-1), 1.0, atol=1e-6)


@pytest.mark.parametrize("score", [np.zeros((3, 1)), np.full((3, 4), np.nan), np.zeros(4)])
def test_what_is_no_series_is_refused(score):
    with pytest.raises(ValueError, match="two scans or more"):
        fit(score, Gaps(np.zeros(3), np.zeros(3)))
