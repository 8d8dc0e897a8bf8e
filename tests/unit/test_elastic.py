"""What coherent fronts cost beside the plane that was found: LiFePO4's numbers derived again."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orix.quaternion import symmetry
from pydantic import ValidationError

from phasefront.core.errors import InputError
from phasefront.diffraction import elasticity
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.experiment.load import load
from phasefront.experiment.settings.elasticity import Elasticity
from phasefront.mechanisms import sphere
from phasefront.mechanisms.elastic import ElasticEnergy, misfit, of_pair
from phasefront.mechanisms.habit_plane import HabitPlane

STRUCTURES = Path(__file__).resolve().parents[2] / "config" / "structures"
MMM, TETRAGONAL = symmetry.D2.to_matrix(), symmetry.D4.to_matrix()
STIFFNESS = [157.4, 175.8, 154, 37.8, 49.05, 51.6, 53.35, 51.2, 32.7]
PUBLISHED = np.diag([0.0517, 0.0359, -0.0186])
OTHER = np.diag([0.05, 0.028, -0.025])
IDENTITY = np.eye(3).tolist()
A, C = 10.3244, 4.6901


def lfp(strain=PUBLISHED):
    return ElasticEnergy(elasticity.of_constants(STIFFNESS), strain)


def lfp_and_fp(second=IDENTITY):
    return CandidatePhases.read(
        [STRUCTURES / "LiFePO4.cif", STRUCTURES / "FePO4.cif"], ["LFP", "FP"],
        ion_contents=[1.0, 0.0], parent_axes=[IDENTITY, second],
        parent_point_group="mmm",
    )  # fmt: skip


def plane(normal, region_deg, operations=MMM):
    """A habit plane as traces would give it, its probability even within an angle."""
    normal = np.array(normal, float) / np.linalg.norm(normal)
    planes = sphere.planes(1.0, operations)
    within = sphere.apart_deg(planes, normal, operations) <= region_deg
    return HabitPlane(normal, region_deg, planes, within / within.sum(), 10.0, 12)


@pytest.mark.parametrize(("strain", "angle"), [(PUBLISHED, 26.0), (OTHER, 31.0)])
def test_the_softest_plane_lies_between_a_and_c(strain, angle):
    normal = np.abs(lfp(strain).softest)
    assert normal[1] < 1e-3
    assert np.degrees(np.arctan2(normal[2], normal[0])) == pytest.approx(angle, abs=0.6)


def test_planes_of_lfp_cost_what_is_known():
    energy = lfp()
    assert energy.least == pytest.approx(0.20, abs=0.005)
    assert energy.near_share == pytest.approx(0.28, abs=0.015)
    of_101 = energy.beside(plane([1 / A, 0, 1 / C], 2.0), MMM)
    assert of_101.over_least == pytest.approx(2.65, abs=0.02)
    assert of_101.from_softest_deg == pytest.approx(65.6 - 25.8, abs=0.3)
    of_100 = energy.beside(plane([1, 0, 0], 2.0), MMM)
    assert of_100.over_least == pytest.approx(1.14, abs=0.01)
    assert of_100.low < of_100.over_least <= of_100.high < of_101.low


def test_a_wide_region_holds_the_softest_plane_and_others():
    energy = lfp()
    beside = energy.beside(plane(energy.softest, 30.0), MMM)
    assert beside.low == pytest.approx(1.0, abs=1e-3)
    assert beside.over_least == pytest.approx(1.0, abs=1e-6)
    assert beside.from_softest_deg == pytest.approx(0.0, abs=1e-4)
    assert beside.high > 1.3


def test_axes_that_are_not_told_apart_stand_for_the_softer_variant():
    along_b = lfp().beside(plane([0, 1, 0], 2.0, TETRAGONAL), TETRAGONAL)
    along_a = lfp().beside(plane([1, 0, 0], 2.0, TETRAGONAL), TETRAGONAL)
    assert along_b.over_least == pytest.approx(along_a.over_least)
    assert lfp().beside(plane([0, 1, 0], 2.0), MMM).over_least > 1.5 * along_b.over_least


def test_one_misfit_in_all_directions_prefers_no_plane():
    energy = ElasticEnergy(elasticity.isotropic(150, 0.25), 0.02 * np.eye(3))
    assert energy.near_share == 1.0
    assert energy.most == pytest.approx(energy.least)
    assert energy.rotation_deg(np.eye(3)) == pytest.approx(0.0, abs=1e-9)


def test_a_front_that_costs_nothing_makes_others_infinitely_dear():
    shear = np.array([[0, 0.01, 0], [0.01, 0, 0], [0, 0, 0]])
    energy = ElasticEnergy(elasticity.isotropic(150, 0.25), shear)
    assert energy.beside(plane([0, 0, 1], 2.0), MMM).over_least == np.inf


def test_the_misfit_of_the_cells_is_near_the_published_one():
    found = misfit(lfp_and_fp(), 0, 1)
    assert found == pytest.approx(PUBLISHED, abs=0.0015)
    assert misfit(lfp_and_fp(), 1, 0) == pytest.approx(-found)
    softest = np.abs(lfp(found).softest)
    assert np.degrees(np.arctan2(softest[2], softest[0])) == pytest.approx(26.4, abs=0.3)


def test_phases_of_no_common_lattice_have_no_misfit():
    with pytest.raises(ValueError, match="LFP and FP share no lattice"):
        misfit(lfp_and_fp(None), 0, 1)


def test_lattices_turn_across_an_inclined_front_alone():
    energy = lfp()
    assert energy.rotation_deg(np.eye(3)) == pytest.approx(0.0, abs=1e-9)
    # An isotropic crystal shears freely across its front: it turns by the misfit's shear there.
    angle = np.deg2rad(26.0)
    normal = np.array([np.cos(angle), 0.0, np.sin(angle)])
    free = ElasticEnergy(elasticity.isotropic(150, 0.25), PUBLISHED)
    shear = (0.0517 + 0.0186) * np.sin(angle) * np.cos(angle)
    assert free.rotation_deg(normal) == pytest.approx(np.degrees(shear), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_lamella_moves_so_that_its_energy_is_the_least(seed):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(6, 6))
    stiffness, strain = factor @ factor.T + np.eye(6), rng.normal(size=(3, 3))
    strain = strain + strain.T
    normal = rng.normal(size=3)
    normal /= np.linalg.norm(normal)
    tensor = elasticity.stiffness_tensor(stiffness)
    best = elasticity.coherency_energy(stiffness, strain, normal)
    for move in rng.normal(size=(5, 3)):
        rest = (np.outer(move, normal) + np.outer(normal, move)) / 2 - strain
        assert np.einsum("ij,ijkl,kl", rest, tensor, rest) >= best - 1e-9
    energy = ElasticEnergy(stiffness, strain)
    assert energy.rotation_deg(-normal) == pytest.approx(energy.rotation_deg(normal))


@pytest.mark.parametrize("constants", [[150, 0.25], [150, 120, 40, 50, 60, 55], STIFFNESS])
def test_a_config_states_constants_of_three_systems(constants):
    stated = Elasticity(phases=["LFP", "FP"], stiffness_gpa=constants)
    matrix = elasticity.of_constants(stated.stiffness_gpa)
    if len(constants) == 9:
        assert matrix == pytest.approx(elasticity.orthorhombic(*STIFFNESS))
    else:  # a quarter turn about c changes nothing
        quarter = [1, 0, 2, 4, 3, 5]
        assert matrix[np.ix_(quarter, quarter)] == pytest.approx(matrix)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"stiffness_gpa": [150]}, "1 elastic constants; give 2"),
        ({"stiffness_gpa": [150, 0.5]}, "no stable crystal"),
        ({"stiffness_gpa": [-150, 0.2]}, "no stable crystal"),
        ({"stiffness_gpa": [-1, *STIFFNESS[1:]]}, "no stable crystal"),
        ({"misfit": [5.17, 3.59, -1.86]}, "not percent"),
        ({"misfit": [0, 0, 0]}, "not percent"),
        ({"phases": ["LFP", "LFP"]}, "named twice"),
    ],
)
def test_what_no_crystal_has_is_refused_in_a_sentence(given, said):
    with pytest.raises(ValidationError, match=said):
        Elasticity(**{"phases": ["LFP", "FP"], "stiffness_gpa": STIFFNESS} | given)


def test_the_energy_of_a_pair_is_of_what_the_config_states():
    candidates = lfp_and_fp()
    given = {"phases": ["FP", "LFP"], "stiffness_gpa": STIFFNESS}
    stated = Elasticity(**given, misfit=np.diag(PUBLISHED).tolist())
    assert of_pair([stated], candidates, 0, 1).least == pytest.approx(lfp().least)
    of_cells = of_pair([Elasticity(**given)], candidates, 0, 1)
    assert of_cells.misfit == pytest.approx(misfit(candidates, 0, 1))
    other = Elasticity(phases=["LFP", "X"], stiffness_gpa=STIFFNESS)
    assert of_pair([other], candidates, 0, 1) is None


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([["LFP", "X"]], "names X, which is none of"),
        ([["LFP", "FP"], ["FP", "LFP"]], "a pair of phases twice"),
    ],
)
def test_a_config_names_pairs_of_its_phases_once(tmp_path, pairs, said):
    above = tmp_path / "above.yaml"
    rows = ", ".join(
        f"{{phases: [{', '.join(pair)}], stiffness_gpa: [150, 0.25]}}" for pair in pairs
    )
    above.write_text(f"mechanisms: {{elasticity: [{rows}]}}\n")
    with pytest.raises(InputError, match=said):
        load(STRUCTURES.parent / "lfp.yaml", above)
