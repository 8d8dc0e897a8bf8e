"""Templates and matching against diffsims under known rotations, plain NumPy, and symmetry."""

from itertools import pairwise

import numba
import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from phasefront import layouts, matching, netcdf
from phasefront.crystals import read_crystal
from phasefront.refinement import spot_arrays

# diffsims' sources hold such sequences; Python says so when it first compiles them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")

NAMES = ("Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3")
CRYSTALS = [read_crystal(ROOT / "config" / "structures" / f"{name}.cif") for name in NAMES]
OPTICS = {"voltage_kv": 200.0, "precession_deg": 0.8}


@pytest.fixture(scope="module")
def templates():
    return matching.simulate_templates(CRYSTALS, resolution_deg=3.0, **OPTICS)


def quaternion(rotation):
    return rotation.as_quat(canonical=True, scalar_first=True)


def spots_of(patterns):
    """SPOTS of one row of positions from (qx, qy, intensity) each."""
    count = np.array([[len(pattern[0]) for pattern in patterns]])
    columns = [
        np.concatenate([np.asarray(pattern[i], dtype=float) for pattern in patterns])
        for i in range(3)
    ]
    return netcdf.build(
        layouts.SPOTS,
        {
            "count": count, "offset": np.concatenate([[0], count.ravel().cumsum()]),
            "qx": columns[0], "qy": columns[1], "intensity": columns[2], "variance": columns[2],
        },
        {"scan": "test", "scan_step_nm": 1.0},
    )  # fmt: skip


def diffsims_patterns(crystal, rotations, number=25):
    """The strongest spots that diffsims gives for orientations, frame to crystal."""
    from diffsims.generators.simulation_generator import SimulationGenerator
    from orix.quaternion import Rotation as OrixRotation

    generator = SimulationGenerator(200, precession_angle=0.8)
    simulated = generator.calculate_diffraction2d(
        crystal.orix_phase(), OrixRotation(quaternion(rotations)), reciprocal_radius=1.15,
        with_direct_beam=False, max_excitation_error=0.01,
    )  # fmt: skip
    patterns = []
    simulated = simulated.coordinates if len(rotations) > 1 else [simulated.coordinates]
    for vectors in simulated:
        strongest = np.argsort(-vectors.intensity)[:number]
        strongest = strongest[np.linalg.norm(vectors.data[strongest, :2], axis=1) > 0.1]
        patterns.append((*vectors.data[strongest, :2].T, 1e4 * vectors.intensity[strongest]))
    return patterns


def misorientation_deg(crystal, first, second):
    """Smallest angle between two orientations (frame to crystal) that symmetry allows."""
    operators = Rotation.from_quat(crystal.symmetry, scalar_first=True)
    return np.degrees((operators * (first * second.inv())).magnitude().min())


def turned_in_plane(degrees):
    return Rotation.from_rotvec(np.deg2rad(degrees)[:, None] * [0, 0, 1])


def octant_rotations():
    """Orientations whose beam directions lie in all eight octants, with angles in the plane."""
    signs = np.array(np.meshgrid([1, -1], [1, -1], [1, -1])).reshape(3, -1).T
    directions = (signs * np.array([[0.42, 0.61, 0.67], [0.71, 0.22, 0.67]])[:, None]).reshape(
        -1, 3
    )
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    to_direction = Rotation.from_quat(matching._shortest_rotations(directions), scalar_first=True)
    return to_direction * turned_in_plane(17.0 + 23.0 * np.arange(16))


@pytest.mark.parametrize("phase", range(3))
def test_orientations_of_diffsims_patterns_in_all_octants(templates, phase):
    """Kinematic patterns without noise: within half a step of the grid becomes a few hundredths."""
    crystal, rotations = CRYSTALS[phase], octant_rotations()
    patterns = diffsims_patterns(crystal, rotations)
    found = matching.find_orientations(spots_of(patterns), templates, CRYSTALS)
    for index, rotation in enumerate(rotations):
        candidates = found["rotation"].values[0, index, phase]
        errors = [
            misorientation_deg(crystal, Rotation.from_quat(candidate, scalar_first=True), rotation)
            for candidate in candidates
        ]
        assert min(errors) < 0.4
        assert found["score"].values[0, index, phase, int(np.argmin(errors))] > 0.75


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
    found = matching.find_orientations(spots_of(turned), templates, CRYSTALS)
    for index, angle in enumerate(angles):
        expected = rotation * Rotation.from_euler("z", -angle, degrees=True)
        first = Rotation.from_quat(found["rotation"].values[0, index, phase, 0], scalar_first=True)
        assert misorientation_deg(crystal, first, expected) < 0.4


def test_two_phases_of_another_material(shared_data):
    crystals = [
        read_crystal(shared_data("structures/LiFePO4_COD4001848.cif"), name="LiFePO4"),
        read_crystal(shared_data("structures/FePO4_heterosite_lab_cell.cif"), name="FePO4"),
    ]
    templates = matching.simulate_templates(crystals, resolution_deg=3.0, **OPTICS)
    for phase, crystal in enumerate(crystals):
        rotations = octant_rotations()
        patterns = diffsims_patterns(crystal, rotations)
        found = matching.find_orientations(spots_of(patterns), templates, crystals)
        score = found["score"].values[0, :, :, 0]
        assert (score.argmax(axis=1) == phase).all()
        first = found["rotation"].values[0, :, phase, 0]
        errors = [
            misorientation_deg(crystal, Rotation.from_quat(q, scalar_first=True), rotation)
            for q, rotation in zip(first, rotations, strict=True)
        ]
        assert np.median(errors) < 0.2
        assert max(errors) < 0.5


def test_half_a_turn_about_a_zone_axis_is_reported_as_the_other_orientation(templates):
    """On a zone axis a pattern is the same after half a turn: both orientations must be kept."""
    crystal = CRYSTALS[0]
    zone = np.array([2.0, 1.0, 3.0]) * crystal.cell[:3]
    zone /= np.linalg.norm(zone)
    rotation = Rotation.from_quat(matching._shortest_rotations(zone[None]), scalar_first=True)[0]
    half_turn = rotation * Rotation.from_euler("z", 180, degrees=True)
    assert misorientation_deg(crystal, rotation, half_turn) > 20
    patterns = diffsims_patterns(crystal, Rotation.concatenate([rotation]), number=40)
    found = matching.find_orientations(spots_of(patterns), templates, CRYSTALS)
    kept = Rotation.from_quat(found["rotation"].values[0, 0, 0], scalar_first=True)
    errors = np.array(
        [[misorientation_deg(crystal, k, r) for r in (rotation, half_turn)] for k in kept]
    )
    assert sorted(errors.argmin(axis=1)) == [0, 1]
    assert (errors.min(axis=1) < 0.5).all()
    score = found["score"].values[0, 0, 0]
    assert score[0] == pytest.approx(score[1], abs=0.02)


def test_template_spots_are_those_of_diffsims(templates):
    from diffsims.generators.simulation_generator import SimulationGenerator
    from orix.quaternion import Rotation as OrixRotation

    offset, qx, qy, intensity = spot_arrays(templates)
    generator = SimulationGenerator(200, precession_angle=0.8)
    for phase, crystal in enumerate(CRYSTALS):
        chosen = np.flatnonzero(templates["phase_index"].values == phase)[17]
        simulated = generator.calculate_diffraction2d(
            crystal.orix_phase(), OrixRotation(templates["rotation"].values[chosen]),
            reciprocal_radius=1.2, with_direct_beam=False,
            max_excitation_error=matching.TEMPLATE_WIDTH,
        )  # fmt: skip
        theirs, strength = simulated.coordinates.data[:, :2], simulated.coordinates.intensity
        ours = slice(offset[chosen], offset[chosen + 1])
        strong = np.argsort(-strength)[:30]
        strong = strong[np.linalg.norm(theirs[strong], axis=1) > 0.1]
        distance = np.hypot(theirs[strong, 0, None] - qx[ours], theirs[strong, 1, None] - qy[ours])
        assert distance.min(axis=1).max() < 1e-5
        nearest = distance.argmin(axis=1)
        # They know no displacement of the atoms unless told: a smooth factor over the radius.
        radius = np.linalg.norm(theirs[strong], axis=1)
        ratio = np.log(intensity[ours][nearest] / strength[strong])
        slope, constant = np.polyfit(radius**2, ratio, 1)
        assert np.std(ratio - slope * radius**2 - constant) < 0.25


@pytest.mark.parametrize("phase", range(3))
def test_templates_cover_every_direction(templates, phase):
    crystal = CRYSTALS[phase]
    own = templates["phase_index"].values == phase
    grid = matching._matrices(templates["rotation"].values[own])[:, :, 2]
    operators = matching._matrices(crystal.symmetry)
    images = np.einsum("sij,nj->nsi", np.concatenate([operators, -operators]), grid).reshape(-1, 3)
    directions = Rotation.random(300, random_state=1).apply([0, 0, 1])
    nearest = np.degrees(np.arccos(np.clip((directions @ images.T).max(axis=1), -1, 1)))
    assert nearest.max() < 0.75 * 3.0
    # One of each orbit, but for the sector's boundary.
    share = 1 / (2 * len(operators))
    whole = len(matching._beam_directions(CRYSTALS[0], 3.0)) * 8
    assert share * whole <= own.sum() < 1.25 * share * whole


def test_correlation_is_that_of_a_plain_fourier_sum(templates):
    """Kernels against the definition: shells and azimuths summed in NumPy, every angle tried."""
    library = matching._Library.prepare(templates, 4.0)
    patterns = diffsims_patterns(CRYSTALS[0], octant_rotations()[:4])
    offset, qx, qy, intensity = spot_arrays(spots_of(patterns))
    shape = (4, 2, len(matching._ORDERS), len(library.shells))
    harmonics = np.zeros(shape, dtype=np.float32)
    amplitude = intensity**matching.PATTERN_POWER
    matching._transform(offset, qx, qy, amplitude, np.arange(4), library.shells, harmonics)
    plain = np.array(
        [
            plain_harmonics(qx[a:b], qy[a:b], amplitude[a:b], library.shells)
            for a, b in pairwise(offset)
        ]
    )
    np.testing.assert_allclose(harmonics[:, 0] + 1j * harmonics[:, 1], plain, atol=2e-6)

    score, angle = library.correlate(harmonics)
    of_templates = library.harmonics[:, 0] + 1j * library.harmonics[:, 1]
    lower = matching._COARSE_ORDERS - 1
    for pattern in range(4):
        for mirrored in range(2):
            for coarse in range(0, len(library.coarse), 97):
                template = of_templates[library.coarse[coarse]]
                template = template if mirrored else template.conj()
                product = (plain[pattern] * template).sum(axis=1)
                grid = np.arange(matching._COARSE_ANGLES) / matching._COARSE_ANGLES * 2 * np.pi
                turned = np.exp(1j * np.outer(grid, matching._COARSE_ORDERS))
                expected = 2 * (turned @ product[lower]).real
                assert score[mirrored, pattern, coarse] == pytest.approx(expected.max(), abs=1e-5)
                at = angle[mirrored, pattern, coarse]
                assert expected[at] == pytest.approx(expected.max(), abs=1e-5)

                start = round(int(at) * matching._ANGLES / matching._COARSE_ANGLES)
                value, best = matching._best_near(
                    harmonics[pattern], library.harmonics[library.coarse[coarse]], mirrored, start
                )
                dense = best + np.linspace(-0.03, 0.03, 61)
                turned = np.exp(1j * np.outer(dense, matching._ORDERS))
                assert value == pytest.approx(2 * (turned @ product).real.max(), abs=0.02)


def plain_harmonics(qx, qy, amplitude, shells):
    radius, azimuth = np.hypot(qx, qy), np.arctan2(qy, qx)
    triangle = np.maximum(0, 1 - np.abs(radius[:, None] - shells) / (shells[1] - shells[0]))
    wave = np.exp(
        -1j * np.outer(azimuth, matching._ORDERS)
        - 0.5 * (matching._ORDERS * matching._AZIMUTHAL_SIGMA / radius[:, None]) ** 2
    )
    total = np.einsum("n,nk,ns->ks", amplitude, wave, triangle)
    return total / np.sqrt(2 * (np.abs(total) ** 2).sum())


def test_a_mirrored_template_is_the_crystal_seen_from_behind():
    """Turning the crystal by 180 degrees about y mirrors its pattern in x, exactly."""
    rotation = octant_rotations()[3]
    behind = Rotation.from_matrix(matching._oriented(rotation.as_matrix(), 1, 0.0))
    front, back = diffsims_patterns(CRYSTALS[2], Rotation.concatenate([rotation, behind]), 40)
    order, mirrored = (
        np.lexsort(np.round(front[:2], 4)),
        np.lexsort(np.round([back[0], -back[1]], 4)),
    )
    np.testing.assert_allclose(front[0][order], back[0][mirrored], atol=1e-6)
    np.testing.assert_allclose(front[1][order], -back[1][mirrored], atol=1e-6)
    np.testing.assert_allclose(front[2][order], back[2][mirrored], rtol=1e-4)


def test_bytes_depend_neither_on_threads_nor_on_the_positions_beside(templates):
    rng = np.random.default_rng(0)
    patterns = diffsims_patterns(CRYSTALS[1], Rotation.random(40, random_state=3))
    patterns = [(x + 0.002 * rng.standard_normal(len(x)), y, i) for x, y, i in patterns]
    before = numba.get_num_threads()
    results = []
    try:
        for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(threads)
            results.append(matching.find_orientations(spots_of(patterns), templates, CRYSTALS))
    finally:
        numba.set_num_threads(before)
    for name in layouts.ORIENTATIONS.variables:
        assert results[0][name].values.tobytes() == results[1][name].values.tobytes()
    some = matching.match(spots_of(patterns[7:30]), templates)
    whole = matching.match(spots_of(patterns), templates)
    np.testing.assert_array_equal(some.rotation, whole.rotation[7:30])
    np.testing.assert_allclose(some.score, whole.score[7:30], atol=1e-6)


def test_few_spots_and_none_give_nan(templates):
    patterns = diffsims_patterns(CRYSTALS[0], octant_rotations()[:1])
    few = tuple(column[:4] for column in patterns[0])
    none = (np.zeros(0), np.zeros(0), np.zeros(0))
    found = matching.find_orientations(spots_of([few, *patterns, none]), templates, CRYSTALS)
    assert np.isnan(found["rotation"].values[0, [0, 2]]).all()
    assert np.isfinite(found["rotation"].values[0, 1, :, 0]).all()
    empty = matching.find_orientations(spots_of([none, none]), templates, CRYSTALS)
    assert np.isnan(empty["score"].values).all()
    layouts.ORIENTATIONS.check(empty, "empty")


def test_next_best_orientation_is_distinct_under_symmetry(templates):
    patterns = diffsims_patterns(CRYSTALS[1], Rotation.random(12, random_state=8))
    found = matching.find_orientations(spots_of(patterns), templates, CRYSTALS, distinct_deg=6.0)
    for phase, crystal in enumerate(CRYSTALS):
        for first, second in found["rotation"].values[0, :, phase]:
            if np.isfinite(second).all():
                pair = [Rotation.from_quat(q, scalar_first=True) for q in (first, second)]
                assert misorientation_deg(crystal, *pair) > 5.9


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-1.1, 1.1), st.floats(-1.1, 1.1), st.floats(0, 1e6)),
        min_size=5,
        max_size=40,
    )
)
def test_scores_lie_between_zero_and_one(spots):
    templates = _coarse_templates()
    found = matching.find_orientations(
        spots_of([tuple(zip(*spots, strict=True))]), templates, CRYSTALS
    )
    score = found["score"].values
    assert ((score >= 0) & (score <= 1) | np.isnan(score)).all()
    matched = matching.match(spots_of([tuple(zip(*spots, strict=True))]), templates).score
    assert ((matched >= 0) & (matched <= 1) | np.isnan(matched)).all()


_COARSE = []


def _coarse_templates():
    if not _COARSE:
        _COARSE.append(matching.simulate_templates(CRYSTALS, resolution_deg=8.0, **OPTICS))
    return _COARSE[0]
