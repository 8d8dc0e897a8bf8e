"""Coherency energy of planes against closed forms and the published plane of LiFePO4."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasefront.diffraction import elasticity
from phasefront.diffraction.elasticity import coherency_energy, isotropic, orthorhombic
from phasefront.virtual.insertion.regimes import LFP

DIRECTIONS = np.random.default_rng(2).normal(size=(200, 3))


@given(young=st.floats(1, 500), poisson=st.floats(-0.5, 0.45), strain=st.floats(-0.1, 0.1))
def test_dilatation_of_an_isotropic_crystal_costs_the_same_on_every_plane(young, poisson, strain):
    energy = coherency_energy(isotropic(young, poisson), strain * np.eye(3), DIRECTIONS)
    # A lamella is free across its plane and held along it: a biaxial stress.
    assert energy == pytest.approx(2 * young / (1 - poisson) * strain**2, rel=1e-9, abs=1e-15)


def test_isotropic_lamella_across_an_axis_is_in_plane_stress():
    young, poisson, first, second = 120.0, 0.3, 0.02, -0.01
    energy = coherency_energy(isotropic(young, poisson), np.diag([first, second, 0.05]), [0, 0, 1])
    expected = young / (1 - poisson**2) * (first**2 + second**2 + 2 * poisson * first * second)
    assert energy == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(normal=st.tuples(*3 * [st.floats(-1, 1)]).filter(lambda n: np.linalg.norm(n) > 0.1))
def test_a_misfit_that_a_plane_can_share_costs_nothing_there(normal):
    unit = np.array(normal) / np.linalg.norm(normal)
    other = np.cross(unit, [0.3, 0.5, 0.8])
    misfit = np.outer(unit, other) + np.outer(other, unit)  # invariant plane strain
    assert coherency_energy(LFP.stiffness, misfit, unit) == pytest.approx(0, abs=1e-9)
    everywhere = coherency_energy(LFP.stiffness, misfit, DIRECTIONS)
    assert everywhere.min() > -1e-9 * everywhere.max()


def test_energy_has_the_symmetry_of_the_crystal_and_turns_with_it():
    from scipy.spatial.transform import Rotation

    energy = coherency_energy(LFP.stiffness, LFP.misfit, DIRECTIONS)
    for signs in ([-1, 1, 1], [1, -1, 1], [1, 1, -1], [-1, -1, -1]):
        mirrored = coherency_energy(LFP.stiffness, LFP.misfit, 7.5 * DIRECTIONS * signs)
        assert mirrored == pytest.approx(energy)
    turn = Rotation.random(random_state=1).as_matrix()
    tensor = elasticity.stiffness_tensor(LFP.stiffness)
    turned = np.einsum("ai,bj,ck,dl,ijkl", turn, turn, turn, turn, tensor)
    pairs = elasticity.VOIGT
    voigt = np.array([[turned[i, j, k, l] for k, l in pairs] for i, j in pairs])  # noqa: E741
    elsewhere = coherency_energy(voigt, turn @ LFP.misfit @ turn.T, DIRECTIONS @ turn.T)
    assert elsewhere == pytest.approx(energy)


def test_softest_plane_of_lfp_is_the_published_one():
    normal = elasticity.softest_normal(LFP.stiffness, LFP.misfit)
    softest = coherency_energy(LFP.stiffness, LFP.misfit, normal)
    assert softest == pytest.approx(0.20, abs=0.005)  # GPa
    assert abs(normal[1]) < 1e-3
    assert np.degrees(np.arctan2(abs(normal[2]), abs(normal[0]))) == pytest.approx(26, abs=0.5)
    of_101 = coherency_energy(LFP.stiffness, LFP.misfit, [1 / 10.3244, 0, 1 / 4.6901])
    assert of_101 / softest == pytest.approx(2.6, abs=0.06)
    of_100 = coherency_energy(LFP.stiffness, LFP.misfit, [1, 0, 0])
    assert of_100 / softest == pytest.approx(1.14, abs=0.01)


def test_no_direction_is_softer_than_the_softest():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        factor = rng.normal(size=(6, 6))
        stiffness, misfit = factor @ factor.T + np.eye(6), rng.normal(size=(3, 3))
        misfit = misfit + misfit.T
        best = elasticity.softest_normal(stiffness, misfit)
        assert np.linalg.norm(best) == pytest.approx(1) and best[2] >= 0
        least = coherency_energy(stiffness, misfit, best)
        assert least <= coherency_energy(stiffness, misfit, DIRECTIONS).min() + 1e-9


@pytest.mark.parametrize(
    "stiffness",
    [
        orthorhombic(100, 100, 100, 30, 30, 30, 120, 50, 50),
        orthorhombic(100, 100, 100, -3, 30, 30, 20, 20, 20),
        np.triu(isotropic(100, 0.3)),
    ],
)
def test_a_stiffness_that_no_crystal_has_is_refused(stiffness):
    with pytest.raises(ValueError, match="symmetric, positive definite"):
        coherency_energy(stiffness, np.eye(3), [1, 0, 0])
