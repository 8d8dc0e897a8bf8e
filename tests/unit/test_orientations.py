"""Orientations of patterns whose rotations are known, their order, and what they depend on."""

import numpy as np
import pytest
from kinematic import (
    CRYSTALS,
    OPTICS,
    diffsims_patterns,
    misorientation_deg,
    octant_rotations,
    spots_of,
)
from scipy.spatial.transform import Rotation

from phasefront.core import netcdf
from phasefront.core.threads import VARIABLE
from phasefront.diffraction.crystals import read_crystal
from phasefront.diffraction.templates import shortest_rotations, simulate_templates
from phasefront.layouts.orientations import ORIENTATIONS
from phasefront.layouts.spots import SPOTS
from phasefront.orientations import indexing
from phasefront.orientations.indexing import find_orientations

# diffsims' sources hold such sequences; Python says so when it first compiles them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")


@pytest.fixture(scope="module")
def templates():
    return simulate_templates(CRYSTALS, resolution_deg=3.0, **OPTICS)


@pytest.mark.parametrize("phase", range(3))
def test_orientations_of_diffsims_patterns_in_all_octants(templates, phase):
    """Kinematic patterns without noise: within half a step of the grid becomes a few hundredths."""
    crystal, rotations = CRYSTALS[phase], octant_rotations()
    patterns = diffsims_patterns(crystal, rotations)
    found = find_orientations(spots_of(patterns), templates, CRYSTALS)
    for index, rotation in enumerate(rotations):
        candidates = found["rotation"].values[0, index, phase]
        errors = [
            misorientation_deg(crystal, Rotation.from_quat(candidate, scalar_first=True), rotation)
            for candidate in candidates
        ]
        assert min(errors) < 0.4
        assert found["score"].values[0, index, phase, int(np.argmin(errors))] > 0.75


@pytest.mark.parametrize("phase", range(3))
def test_a_coarse_search_first_loses_nothing(templates, phase):
    """Against every template of the grid, for spots with dynamical intensities' scatter."""
    rng = np.random.default_rng(phase)
    patterns = [
        (*(q + rng.normal(0, 0.0015, q.shape) for q in (x, y)), i * rng.lognormal(0, 1, i.shape))
        for x, y, i in diffsims_patterns(CRYSTALS[phase], Rotation.random(60, random_state=phase))
    ]
    likelihood = [
        find_orientations(spots_of(patterns), templates, CRYSTALS, coarse_deg=coarse_deg)[
            "log_likelihood"
        ].values[0, :, phase, 0]
        for coarse_deg in (5.0, 0.0)
    ]
    assert (likelihood[0] > likelihood[1] - 1).mean() >= 0.95
    assert likelihood[0].mean() > likelihood[1].mean() - 0.5


@pytest.mark.parametrize("phase", range(3))
def test_a_pattern_turned_by_known_angles_turns_the_orientation(templates, phase):
    crystal = CRYSTALS[phase]
    rotation = octant_rotations()[5]
    ((qx, qy, intensity),) = diffsims_patterns(crystal, Rotation.concatenate([rotation]))
    angles = np.arange(0.0, 360.0, 40.0)
    turned = []
    for angle in np.deg2rad(angles):
        cosine, sine = np.cos(angle), np.sin(angle)
        turned.append((cosine * qx - sine * qy, sine * qx + cosine * qy, intensity))
    found = find_orientations(spots_of(turned), templates, CRYSTALS)
    for index, angle in enumerate(angles):
        expected = rotation * Rotation.from_euler("z", -angle, degrees=True)
        first = Rotation.from_quat(found["rotation"].values[0, index, phase, 0], scalar_first=True)
        assert misorientation_deg(crystal, first, expected) < 0.4


def test_two_phases_of_another_material(shared_data):
    crystals = [
        read_crystal(shared_data("structures/LiFePO4_COD4001848.cif"), name="LiFePO4"),
        read_crystal(shared_data("structures/FePO4_heterosite_lab_cell.cif"), name="FePO4"),
    ]
    templates = simulate_templates(crystals, resolution_deg=3.0, **OPTICS)
    for phase, crystal in enumerate(crystals):
        rotations = octant_rotations()
        patterns = diffsims_patterns(crystal, rotations)
        found = find_orientations(spots_of(patterns), templates, crystals)
        score = found["score"].values[0, :, :, 0]
        assert (score.argmax(axis=1) == phase).all()
        first = found["rotation"].values[0, :, phase, 0]
        errors = [
            misorientation_deg(crystal, Rotation.from_quat(q, scalar_first=True), rotation)
            for q, rotation in zip(first, rotations, strict=True)
        ]
        assert np.median(errors) < 0.2
        assert max(errors) < 0.5


def along_a_zone():
    """A crystal, the direction of its [213] and an orientation in which it is along the beam."""
    crystal = CRYSTALS[0]
    zone = np.array([2.0, 1.0, 3.0]) * crystal.cell[:3]
    zone /= np.linalg.norm(zone)
    return crystal, zone, Rotation.from_quat(shortest_rotations(zone[None]), scalar_first=True)[0]


def test_half_a_turn_about_a_zone_axis_is_reported_as_the_other_orientation(templates):
    """On a zone axis a pattern is the same after half a turn: both orientations must be kept."""
    crystal, _, rotation = along_a_zone()
    half_turn = rotation * Rotation.from_euler("z", 180, degrees=True)
    assert misorientation_deg(crystal, rotation, half_turn) > 20
    patterns = diffsims_patterns(crystal, Rotation.concatenate([rotation]), number=40)
    found = find_orientations(spots_of(patterns), templates, CRYSTALS)
    kept = Rotation.from_quat(found["rotation"].values[0, 0, 0], scalar_first=True)
    errors = np.array(
        [[misorientation_deg(crystal, k, r) for r in (rotation, half_turn)] for k in kept]
    )
    assert sorted(errors.argmin(axis=1)) == [0, 1]
    assert (errors.min(axis=1) < 0.5).all()
    score = found["score"].values[0, 0, 0]
    # The outermost spot, on the edge of the window, may count for one of them only.
    assert score[0] == pytest.approx(score[1], abs=0.05)
    likelihood = found["log_likelihood"].values[0, 0, 0]
    assert likelihood[0] == pytest.approx(likelihood[1], abs=0.1)


def test_bytes_depend_neither_on_threads_nor_on_blocks(templates, monkeypatch):
    rng = np.random.default_rng(0)
    patterns = diffsims_patterns(CRYSTALS[1], Rotation.random(60, random_state=3))
    patterns = [(x + 0.002 * rng.standard_normal(len(x)), y, i) for x, y, i in patterns]
    spots = spots_of(patterns, shape=(12, 5))
    results = []
    for threads, block in ((1, 8192), (2, 15)):
        monkeypatch.setenv(VARIABLE, str(threads))
        monkeypatch.setattr(indexing, "BLOCK", block)
        results.append(find_orientations(spots, templates, CRYSTALS))
    for name in ORIENTATIONS.variables:
        assert results[0][name].values.tobytes() == results[1][name].values.tobytes()


def test_a_scan_on_disk_is_read_and_written_in_parts(templates, monkeypatch, tmp_path):
    patterns = diffsims_patterns(CRYSTALS[0], Rotation.random(12, random_state=5))
    spots = spots_of(patterns, shape=(4, 3))
    netcdf.write(spots, tmp_path / "spots.nc", SPOTS)
    monkeypatch.setattr(indexing, "BLOCK", 3)
    with netcdf.opened(tmp_path / "spots.nc", SPOTS) as stored:
        parts = list(indexing.stream_orientations(stored, templates, CRYSTALS))
        constants = indexing.constants(stored, CRYSTALS)
        netcdf.write_parts(parts, tmp_path / "found.nc", ORIENTATIONS, *constants)
    assert len(parts) == 4
    back = netcdf.read(tmp_path / "found.nc", ORIENTATIONS)
    assert back.identical(
        find_orientations(spots, templates, CRYSTALS).assign_attrs(Conventions="CF-1.11")
    )


def test_half_a_turn_costs_nothing_on_a_zone_axis_and_much_away_from_it(templates):
    crystal = CRYSTALS[0]
    zone = np.array([2.0, 1.0, 3.0]) * crystal.cell[:3]
    on = Rotation.from_quat(
        shortest_rotations(zone[None] / np.linalg.norm(zone)), scalar_first=True
    )[0]
    off = on * Rotation.from_euler("x", 4, degrees=True)
    found = find_orientations(
        spots_of(diffsims_patterns(crystal, Rotation.concatenate([on, off]), 40)),
        templates, CRYSTALS,
    )  # fmt: skip
    likelihood = found["log_likelihood"].values[0, :, 0]
    gap = likelihood[:, 0] - likelihood[:, 1]
    assert 0 <= gap[0] < 2
    assert gap[1] > 20


def test_a_zone_that_is_tilted_is_found_half_a_turn_on_with_its_tilt(templates):
    """About the beam, half a turn would tilt the zone the other way, and another arc be excited."""
    crystal, zone, on = along_a_zone()
    off = on * Rotation.from_euler("x", 1.5, degrees=True)
    other = Rotation.from_rotvec(np.pi * zone) * off
    patterns = diffsims_patterns(crystal, Rotation.concatenate([off]), 30)
    found = find_orientations(spots_of(patterns), templates, CRYSTALS)
    kept = Rotation.from_quat(found["rotation"].values[0, 0, 0], scalar_first=True)
    angle = np.array([[misorientation_deg(crystal, k, r) for r in (off, other)] for k in kept])
    assert sorted(angle.argmin(axis=1)) == [0, 1]
    assert (angle.min(axis=1) < 0.7).all()


def test_few_spots_and_none_give_nan(templates):
    patterns = diffsims_patterns(CRYSTALS[0], octant_rotations()[:1])
    few = tuple(column[:4] for column in patterns[0])
    none = (np.zeros(0), np.zeros(0), np.zeros(0))
    found = find_orientations(spots_of([few, *patterns, none]), templates, CRYSTALS)
    assert np.isnan(found["rotation"].values[0, [0, 2]]).all()
    assert np.isfinite(found["rotation"].values[0, 1, :, 0]).all()
    empty = find_orientations(spots_of([none, none]), templates, CRYSTALS)
    assert np.isnan(empty["score"].values).all()
    ORIENTATIONS.check(empty, "empty")


def test_next_best_orientation_is_distinct_under_symmetry(templates):
    patterns = diffsims_patterns(CRYSTALS[1], Rotation.random(12, random_state=8))
    found = find_orientations(spots_of(patterns), templates, CRYSTALS, distinct_deg=6.0)
    for phase, crystal in enumerate(CRYSTALS):
        for first, second in found["rotation"].values[0, :, phase]:
            if np.isfinite(second).all():
                pair = [Rotation.from_quat(q, scalar_first=True) for q in (first, second)]
                assert misorientation_deg(crystal, *pair) > 5.9
