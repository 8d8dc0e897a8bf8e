"""Pairs of lattices against one: twins whose spots coincide, and what the weighing stands on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kinematic import CRYSTALS, misorientation_deg, quaternion, spots_of
from scipy.spatial.transform import Rotation

from benchmarks import twins
from phasefront.diffraction import parent_lattice
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.crystals import read_crystal
from phasefront.diffraction.likelihood import Refined, promised_reflections
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import reflection_table
from phasefront.diffraction.spot_lists import Spots
from phasefront.diffraction.templates import simulate_templates
from phasefront.orientations.indexing import find_orientations
from phasefront.phases import brightness, decisions, pairs

MICROSCOPE = Optics(200.0, 0.8, (0.1, 1.15), position_sigma=0.003)
# A crystal along [101], and its twin, 60 degrees about [111], which is along [114].
ALONG_101 = Rotation.align_vectors(
    np.array([[1, 0, 1], [0, 1, 0]]) / [[2**0.5], [1]], np.eye(3)[[2, 1]]
)[0]
TWIN = Rotation.from_rotvec(np.pi * np.ones(3) / np.sqrt(3)) * ALONG_101
NUMBER = 12  # patterns of each kind


@pytest.fixture(scope="module")
def silver(tmp_path_factory):
    path = tmp_path_factory.mktemp("silver") / "Ag.cif"
    path.write_text(twins.SILVER)
    return read_crystal(path)


@pytest.fixture(scope="module")
def answers(silver):
    """PHASES of patterns of the crystal alone, then with a bright twin, then of others alone."""
    rng = np.random.default_rng(4)
    alone = [[(ALONG_101, 1.0, 30)] for _ in range(NUMBER)]
    both = [[(ALONG_101, 0.1, 30), (TWIN, 0.9, 6)] for _ in range(NUMBER)]
    others = [[(one, 1.0, 30)] for one in Rotation.random(2 * NUMBER, rng=5)]
    spots = spots_of([twins.film(silver, one, rng, scatter=0.3) for one in alone + both + others])
    templates = simulate_templates(
        [silver], voltage_kv=200, precession_deg=0.8, resolution_deg=2.0, max_radius=1.2
    )
    found = find_orientations(spots, templates, [silver])
    return decisions.decide_phases(spots, found, templates, CandidatePhases([silver]))


def test_a_bright_twin_over_its_dark_neighbour_is_found_and_first(silver, answers):
    two = slice(NUMBER, 2 * NUMBER)
    assert (answers["second_phase"].values[0, two] == 0).mean() >= 0.9
    assert (answers["second_probability"].values[0, two] > 20 / 21).mean() >= 0.9
    for name, true in (("rotation", TWIN), ("second_rotation", ALONG_101)):
        for rotation in answers[name].values[0, two].reshape(NUMBER, 4):
            if np.isfinite(rotation).all():
                found = Rotation.from_quat(rotation, scalar_first=True)
                half = found * Rotation.from_rotvec([0, 0, np.pi])
                off = min(misorientation_deg(silver, one, true) for one in (found, half))
                assert off < 2.0


def test_one_crystal_has_no_second_lattice(answers):
    alone = np.r_[:NUMBER, 2 * NUMBER : 4 * NUMBER]
    assert (answers["second_phase"].values[0, alone] == -1).all()
    assert (answers["second_probability"].values[0, alone] < 20 / 21).all()


def test_what_is_expected_of_spots_is_the_sum_over_promised_reflections():
    rotation = Rotation.random(3, rng=8)
    first = Refined.placed(quaternion(rotation), np.array([1, 1.002, 0.999]), np.full((3, 2), 5e-4))
    table = reflection_table(CRYSTALS, max_radius=1.15)
    rng = np.random.default_rng(9)
    spots = Spots(np.array([0, 40, 60]), *rng.uniform(-0.8, 0.8, (2, 60)), np.ones(60))
    position, phase = np.array([0, 1, 1]), np.array([0, 1, 2])
    intensity, density = brightness.expected(spots, position, phase, first, table, MICROSCOPE)
    candidate, spot = brightness.listed(spots, position)
    promise = promised_reflections(phase, first, table, MICROSCOPE)
    off = np.stack([spots.qx, spots.qy], 1)[spot][:, None] - promise.q
    square = (off**2).sum(axis=2) / MICROSCOPE.position_sigma**2
    own = candidate[:, None] == promise.crystal
    plain = np.sum(own * (square < 9) * promise.share**2, axis=1)
    np.testing.assert_allclose(intensity, plain, rtol=1e-9)
    blur = np.exp(-0.5 * square) / (2 * np.pi * MICROSCOPE.position_sigma**2)
    np.testing.assert_allclose(density, np.sum(own * blur * promise.share, axis=1), atol=1e-6)


@given(st.floats(0.05, 20.0), st.integers(0, 1000))
def test_intensities_of_two_lattices_are_shared_as_they_were_added(factor, seed):
    rng = np.random.default_rng(seed)
    expected = rng.exponential(1.0, (2, 24)) * (rng.random((2, 24)) < 0.6)
    expected[:, :2] = np.eye(2)  # either alone explains a spot
    intensity = expected[0] + factor * expected[1]
    part = pairs.shared_out(expected, np.zeros(24, dtype=int), intensity, 1)
    true = factor * expected[1] / np.maximum(intensity, 1e-300)
    np.testing.assert_allclose(part, true, atol=0.02)


def test_the_curve_of_a_scan_is_found_and_its_scatter():
    rng = np.random.default_rng(10)
    expected, entry = np.exp(rng.uniform(-5, 0, 6000)), np.repeat(np.arange(200), 30)
    brightest = np.zeros(200)
    np.maximum.at(brightest, entry, expected)
    curve = (expected / brightest[entry] + 0.01) ** 0.7
    intensity = np.exp(rng.normal(3, 1, 200))[entry] * curve
    intensity *= np.exp(2 * 0.6 * rng.standard_normal(6000))
    found = brightness.Curve.fitted(expected, intensity, entry, 200)
    assert abs(found.power - 0.7) < 0.11 and 0.003 <= found.floor <= 0.03
    assert found.scatter == pytest.approx(0.6, rel=0.1)
    error, counts = found.errors(expected, intensity, entry, 200)
    np.testing.assert_allclose(counts * np.exp(2 * error), intensity)
    middle = brightness.median_of_each(entry, error, 201)
    np.testing.assert_allclose(middle[:200], 0, atol=1e-12)
    assert np.isnan(middle[200])


def test_a_second_lattice_gains_less_where_many_spots_are_strays():
    density = np.zeros((2, 40))
    density[0, :20], density[1, 20:25] = 900.0, 900.0
    number = np.arange(40)
    gains = []
    for kept in (number < 25, number < 40):
        at = np.zeros(kept.sum(), dtype=int), np.ones(kept.sum()), 1, MICROSCOPE
        gain = pairs.likelihood_of_both(density[:, kept], *at)
        gains.append((gain - pairs.likelihood_of_places(density[0, kept], *at))[0])
    assert gains[0] > gains[1] + 1 > 1


def test_a_pair_that_is_not_sure_leaves_the_phase_in_doubt():
    nothing = Refined.placed(np.zeros((2, 4)), np.ones(2), np.zeros((2, 2)))
    unsure = pairs.Pairs(
        np.array([1, 2]), np.array([[1, 0], [1, 0]]), (nothing, nothing), np.zeros(2),
        np.array([0.3, 0.3]),
    )  # fmt: skip
    posterior = np.array([[0.99, 0.01], [0.9, 0.1], [1.0, 0.0]])
    found = unsure.doubted(posterior, np.zeros(3, dtype=bool))
    np.testing.assert_allclose(found, [[0.99, 0.01], [0.63, 0.37], [1.0, 0.0]])
    strong = pairs.Pairs(
        np.array([0]), np.array([[1], [1]]), (nothing.taken([0]), nothing.taken([0])),
        np.zeros(1), np.array([0.9]),
    )  # fmt: skip
    np.testing.assert_allclose(strong.doubted(posterior, np.zeros(3, dtype=bool))[0], [0.5, 0.5])
    settled = np.array([False, True, False])
    np.testing.assert_array_equal(unsure.doubted(posterior, settled)[1], posterior[1])


def test_a_and_b_of_a_nearly_tetragonal_parent_may_change_places():
    amam, tetragonal, _ = CRYSTALS
    found = parent_lattice.variants(amam, np.eye(3))
    assert len(found) == 2
    turned = Rotation.from_quat(found[1], scalar_first=True)
    assert misorientation_deg(amam, turned, Rotation.from_rotvec([0, 0, np.pi / 2])) < 1e-3
    assert len(parent_lattice.variants(tetragonal, [[1, 1, 0], [-1, 1, 0], [0, 0, 1]])) == 1
