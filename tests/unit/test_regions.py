"""Regions of a phase whose cells are not its own are told from those that fit it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasefront.phases.lattices import _foreign, _phase_misfit

ERRORS = 0.002**2 * np.eye(3)  # of a CIF's cell
OTHER = np.array([0.012, 0.015, -0.02])  # a cell some 2 % off


def regions(centres, blind, seed=0):
    """Mean strains and covariances of regions about their `centres` (n, 3); those that are `blind`
    (n,) to their third axis know it to 1 %."""
    random = np.random.default_rng(seed)
    sigma = np.where(blind[:, None] & (np.arange(3) == 2), 0.01, 0.0005)
    covariance = sigma[:, :, None] ** 2 * np.eye(3) + ERRORS
    mean = centres + random.normal(0, sigma) + random.normal(0, 0.0007, (len(centres), 3))
    return mean, covariance


@pytest.mark.parametrize("seed", range(4))
def test_all_regions_of_a_phase_that_is_there_fit(seed):
    blind = np.arange(20) % 3 == 0
    mean, covariance = regions(np.zeros((20, 3)), blind, seed)
    assert _foreign(mean, covariance, np.full(20, 30), ERRORS).max() < 0.1


@pytest.mark.parametrize("seed", range(4))
def test_regions_of_a_missing_phase_are_foreign_be_they_blind_or_lucky(seed):
    random = np.random.default_rng(seed)
    blind = np.arange(20) % 3 == 0
    # Seen through a wrong scale and ellipse, cells scatter with the direction of view.
    mean, covariance = regions(OTHER + random.normal(0, 0.006, (20, 3)), blind, seed)
    mean[1] = 0.7 * OTHER * [0.3, 0.2, 0.1]
    mean[blind, 2] = 0.0
    foreign = _foreign(mean, covariance, np.full(20, 30), ERRORS)
    assert (foreign[2:] > 0.9).mean() > 0.8


@pytest.mark.parametrize("seed", range(4))
def test_a_candidates_own_cell_may_be_off_for_all_regions(seed):
    off = np.array([0.001, -0.002, 0.003])
    mean, covariance = regions(np.tile(off, (20, 1)), np.zeros(20, dtype=bool), seed)
    assert _foreign(mean, covariance, np.full(20, 30), ERRORS).max() < 0.5


@pytest.mark.parametrize("seed", range(4))
def test_neighbours_of_a_missing_phase_are_kept(seed):
    centres = np.where(np.arange(20)[:, None] < 10, 0.0, OTHER)
    mean, covariance = regions(centres, np.zeros(20, dtype=bool), seed)
    foreign = _foreign(mean, covariance, np.full(20, 30), ERRORS)
    assert foreign[:10].max() < 0.5 < 0.99 < foreign[10:].min()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), number=st.integers(1, 12))
def test_order_and_numbers_of_regions_do_not_matter(seed, number):
    random = np.random.default_rng(seed)
    region = random.integers(0, number, 40)
    centre = random.normal(0, 0.01, (number, 3)) * (random.random((number, 1)) < 0.5)
    strain = centre[region] + random.normal(0, 0.001, (40, 3))
    covariance = np.tile(1e-6 * np.eye(3), (40, 1, 1))
    rest = (covariance, ERRORS, np.zeros((40, 3, 3)), np.zeros((3, 3)))
    misfit = _phase_misfit(region, strain, *rest)
    order = random.permutation(40)
    again = _phase_misfit(7 * (number - region[order]), strain[order], *rest)
    np.testing.assert_allclose(again, misfit[order], rtol=1e-6)


def test_an_error_that_all_positions_share_does_not_average_out():
    region, strain = np.zeros(400, dtype=int), np.tile([0.0, 0.0, 0.03], (400, 1))
    covariance = np.tile(1e-6 * np.eye(3), (400, 1, 1))
    response = np.zeros((400, 3, 3))
    response[:, 2, 1] = 20.0  # an axis that hardly shows: 20 times the ellipse's error
    known = np.diag([0.0, 0.001, 0.0]) ** 2
    blind_to_it = _phase_misfit(region, strain, covariance, ERRORS, response, np.zeros((3, 3)))
    assert (blind_to_it > 10).all()
    misfit = _phase_misfit(region, strain, covariance, ERRORS, response, known)
    # 0.03 over the root of 0.02^2 and 0.002^2.
    np.testing.assert_allclose(misfit, 0.03 / np.hypot(0.02, 0.002), rtol=0.01)


def test_no_regions():
    empty = np.zeros((0, 3))
    found = _phase_misfit(
        np.zeros(0, dtype=int), empty, np.zeros((0, 3, 3)), ERRORS, np.zeros((0, 3, 3)), np.eye(3)
    )
    assert found.shape == (0,)
