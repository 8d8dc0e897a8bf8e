"""Scale and ellipse that all grains ask for are believed, what they do not agree about is not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasefront.phases.distortion import common_distortion

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


def test_without_spots_nothing_is_asked_for():
    found, covariance = common_distortion(
        np.zeros((0, 3, 3)), np.zeros((0, 3)), np.zeros(0, dtype=int), NONE, np.full(3, 3e-4)
    )
    np.testing.assert_allclose(found, NONE, atol=1e-12)
    np.testing.assert_allclose(covariance, 9e-8 * np.eye(3), atol=1e-9)
