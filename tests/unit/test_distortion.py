"""Scale and ellipse that all grains ask for are believed, what they do not agree about is not."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from phasefront.phases.distortion import common_distortion, contradiction

NONE, GRAINS, PATTERNS = np.eye(2), 12, 20
# Of one pattern: 20 spots at 0.7 1/angstrom with errors of 0.0025 1/angstrom.
INFORMATION = 20 * 0.7**2 / 0.0025**2


def asked_by(each, seed=0):
    """Equations and grains of patterns that ask for what their grain does, (GRAINS, 3), and for
    what their spots' errors make of it."""
    random = np.random.default_rng(seed)
    grain = np.repeat(np.arange(GRAINS), PATTERNS)
    information = np.tile(INFORMATION * np.eye(3), (len(grain), 1, 1))
    asked = each[grain] + random.normal(0, INFORMATION**-0.5, (len(grain), 3))
    return information, np.einsum("nij,nj->ni", information, asked), grain


def parts(distortion):
    scale = 0.5 * np.trace(distortion) - 1
    return np.array([scale, 0.5 * (distortion[0, 0] - distortion[1, 1]), distortion[0, 1]])


@pytest.mark.parametrize("error", [1e-4, 3e-4, 1e-3])
@pytest.mark.parametrize("wrong", [(0.01, 0, 0), (0, 0.005, 0.014), (-0.01, 0.003, 0)])
def test_a_calibration_that_all_grains_contradict_gives_way(error, wrong):
    information, right, grain = asked_by(np.tile(wrong, (GRAINS, 1)))
    found, covariance = common_distortion(information, right, grain, NONE, np.full(3, error))
    np.testing.assert_allclose(parts(found), wrong, atol=2e-4)
    assert np.sqrt(np.diag(covariance)).max() < 2e-4


@pytest.mark.parametrize("seed", range(5))
def test_a_calibration_stands_that_grains_do_not_agree_about(seed):
    random = np.random.default_rng(seed)
    each = np.array([-0.002, 0.001, 0.0]) + random.normal(0, 0.006, (GRAINS, 3))
    equations = asked_by(each, seed)
    found, covariance = common_distortion(*equations, NONE, np.full(3, 2.5e-4))
    assert np.abs(parts(found)).max() < 4e-4
    assert 2e-4 < np.sqrt(covariance[0, 0]) < 6e-4
    # Spots that were independent would tell another scale, for sure.
    alike, sure = common_distortion(*equations[:2], None, NONE, np.full(3, 2.5e-4))
    assert np.abs(parts(alike)).max() > 8e-4 and np.sqrt(sure[0, 0]) < 1e-4


@settings(max_examples=30, deadline=None)
@given(
    share=st.floats(0, 1), error=st.floats(1e-5, 1e-2), scatter=st.floats(0, 0.01),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_what_was_removed_before_does_not_matter(share, error, scatter, seed):
    each = np.random.default_rng(seed).normal(0.002, scatter, (GRAINS, 3))
    information, right, grain = asked_by(each, seed)
    errors = np.full(3, error)
    whole, covariance = common_distortion(information, right, grain, NONE, errors)
    before = share * parts(whole)
    removed = np.eye(2) + np.array(
        [[before[0] + before[1], before[2]], [before[2], before[0] - before[1]]]
    )
    left = right - np.einsum("nij,j->ni", information, before)
    rest, again = common_distortion(information, left, grain, removed, errors)
    np.testing.assert_allclose(parts(rest) + before, parts(whole), atol=1e-7)
    np.testing.assert_allclose(again, covariance, atol=1e-3 * covariance.max())


def matrix(scale, stretch, shear):
    return np.array([[1 + scale + stretch, shear], [shear, 1 + scale - stretch]])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ((0.01, 0, 0), ["a scale 0.99 % smaller", "(33 of the"]),
        ((-0.01, 0, 0), ["a scale 1 % larger", "(33 of the"]),
        ((0, 0.003, -0.004), ["axes differ by 1 % more", "(17 of the"]),
        ((0.002, 0.0016, 0), ["a scale 0.2 % smaller", "axes differ by 0.32 % more"]),
    ],
)
def test_a_calibration_that_gave_way_is_told(wrong, words):
    text = contradiction(matrix(*wrong), np.full(3, 3e-4))
    assert all(word in text for word in words)
    assert "where a phase is missing" in text and "calibrate the scan again" in text
    assert ("a scale" in text, "an ellipse" in text) == (wrong[0] != 0, any(wrong[1:]))


@pytest.mark.parametrize("error", [3e-4, 3e-3])
def test_a_calibration_within_its_errors_is_not(error):
    assert not contradiction(matrix(4 * error, 2 * error, -3 * error), np.full(3, error))


def test_neither_is_one_without_errors_which_never_gives_way():
    equations = asked_by(np.tile([0.01, 0.0, 0.0], (GRAINS, 1)))
    found, _ = common_distortion(*equations, NONE, np.zeros(3))
    assert not contradiction(found, np.zeros(3))


@settings(max_examples=30, deadline=None)
@given(share=st.floats(-0.02, 0.02), error=st.floats(1e-4, 1e-2))
def test_what_is_told_of_a_scale_hangs_on_its_size_in_stated_errors_alone(share, error):
    assume(abs(abs(share / error) - 5) > 1e-6)
    told = contradiction(matrix(share, 0, 0), np.full(3, error))
    assert bool(told) == (abs(share / error) > 5)


def test_without_spots_nothing_is_asked_for():
    found, covariance = common_distortion(
        np.zeros((0, 3, 3)), np.zeros((0, 3)), np.zeros(0, dtype=int), NONE, np.full(3, 3e-4)
    )
    np.testing.assert_allclose(found, NONE, atol=1e-12)
    np.testing.assert_allclose(covariance, 9e-8 * np.eye(3), atol=1e-9)
