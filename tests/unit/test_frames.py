"""How the camera stands to the scan: the convention, and true directions in what goes out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinematic import CRYSTALS, NAMES, OPTICS, diffsims_patterns, octant_rotations, quaternion
from kinematic import spots_of as build_spots
from orix import io
from orix.plot import DirectionColorKeyTSL
from orix.quaternion import Orientation, Rotation
from orix.vector import Miller, Vector3d
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation as ScipyRotation
from stages import build_grains, build_phases

from phasefront.calibration.geometry import calibrate
from phasefront.diffraction import rotations
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.templates import simulate_templates
from phasefront.experiment.settings.instruments import Camera, StatedCamera
from phasefront.maps import export, frames
from phasefront.orientations.indexing import find_orientations
from phasefront.phases import decisions
from phasefront.report.figures.orientation_colours import direction_colours
from phasefront.scans import files
from phasefront.spots import vectors
from phasefront.virtual.camera import simulate_scan
from phasefront.virtual.particles import VirtualPhase
from phasefront.virtual.specimen import make_specimen

# diffsims' sources hold such sequences; Python says so when it first compiles them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")

SUFFIXES = ("h5", "ang", "ctf")
CAMERAS = [
    StatedCamera(rotation_deg=angle, mirrored=mirrored)
    for angle in (0.0, 37.0, -128.0)
    for mirrored in (False, True)
]
angles = st.floats(-360, 360)
cameras = st.builds(Camera, rotation_deg=angles, mirrored=st.booleans())
unit_quaternions = st.integers(0, 2**32 - 1).map(
    lambda seed: quaternion(ScipyRotation.random(random_state=seed))
)


def seen_by(camera, x, y):
    """Directions of the scan in the pattern, by sines and cosines: mirrored first, then turned."""
    y = -y if camera.mirrored else y
    cosine, sine = np.cos(np.deg2rad(camera.rotation_deg)), np.sin(np.deg2rad(camera.rotation_deg))
    return cosine * x - sine * y, sine * x + cosine * y


@given(cameras, st.floats(-9, 9), st.floats(-9, 9))
def test_directions_are_mirrored_first_and_then_turned_from_x_towards_y(camera, x, y):
    found = frames.plane_matrix(camera) @ [x, y]
    np.testing.assert_allclose(found, seen_by(camera, x, y), atol=1e-12)
    hand = np.linalg.det(frames.plane_matrix(camera))
    assert hand == pytest.approx(-1 if camera.mirrored else 1)


def test_a_quarter_turn_takes_the_rows_direction_down_the_pattern():
    (right, down), left = np.eye(2), [-1, 0]
    plain, mirrored = (Camera(rotation_deg=90, mirrored=m) for m in (False, True))
    np.testing.assert_allclose(frames.plane_matrix(plain) @ right, down, atol=1e-15)
    np.testing.assert_allclose(frames.plane_matrix(plain) @ down, left, atol=1e-15)
    np.testing.assert_allclose(frames.plane_matrix(mirrored) @ right, down, atol=1e-15)
    np.testing.assert_allclose(frames.plane_matrix(mirrored) @ down, right, atol=1e-15)


@given(cameras, unit_quaternions)
def test_an_orientation_comes_back_from_the_pattern(camera, rotation):
    there = frames.in_pattern(rotation, camera)
    assert np.linalg.norm(there) == pytest.approx(1)
    assert abs(frames.on_scan(there, camera) @ rotation) == pytest.approx(1)


@given(unit_quaternions)
def test_orientations_stay_as_they_are_where_the_camera_is_not_stated(rotation):
    np.testing.assert_array_equal(frames.on_scan(rotation, None), rotation)
    np.testing.assert_array_equal(frames.in_pattern(rotation, None), rotation)


@given(cameras, unit_quaternions, st.tuples(*[st.floats(-1, 1)] * 3))
def test_a_lattice_point_is_seen_where_the_turned_lattice_has_it_or_its_inverse(
    camera, rotation, g
):
    """In all three dimensions, so distances from the Ewald sphere are the same, too."""
    x, y, z = rotations.matrices(rotation).T @ g
    seen = np.array([*seen_by(camera, x, y), z])
    there = rotations.matrices(frames.in_pattern(rotation, camera)).T @ g
    np.testing.assert_allclose(there, -seen if camera.mirrored else seen, atol=1e-12)


@given(angles, st.booleans(), st.floats(-180, 180), unit_quaternions)
@settings(max_examples=50)
def test_a_further_turn_of_the_camera_adds_to_its_angle(angle, mirrored, more, rotation):
    first = Camera(rotation_deg=angle / 2, mirrored=mirrored)
    turned = Camera(rotation_deg=angle / 2 + more, mirrored=mirrored)
    about_beam = np.array([np.cos(np.deg2rad(more) / 2), 0, 0, np.sin(np.deg2rad(more) / 2)])
    expected = rotations.multiply(frames.in_pattern(rotation, first), about_beam * [1, 1, 1, -1])
    assert abs(frames.in_pattern(rotation, turned) @ expected) == pytest.approx(1)


@pytest.mark.parametrize("crystal", CRYSTALS, ids=NAMES)
@pytest.mark.parametrize("camera", CAMERAS, ids=str)
def test_diffsims_gives_the_seen_pattern_for_the_turned_crystal(crystal, camera):
    """The third crystal has no centre. Off every zone axis: the pattern tells both tilts."""
    on_scan = octant_rotations()[3:9]
    there = frames.in_pattern(quaternion(on_scan), camera)
    expected = diffsims_patterns(crystal, on_scan, number=60)
    found = diffsims_patterns(crystal, ScipyRotation.from_quat(there, scalar_first=True), number=60)
    for (x, y, intensity), (qx, qy, other) in zip(expected, found, strict=True):
        distance, nearest = cKDTree(np.stack([qx, qy], 1)).query(np.stack(seen_by(camera, x, y), 1))
        # Of equally strong spots at the end of the list one or the other is kept.
        strong = intensity > 1.01 * intensity.min()
        assert strong.sum() > 10
        assert distance[strong].max() < 1e-6
        np.testing.assert_allclose(other[nearest[strong]], intensity[strong], rtol=1e-4)


@pytest.fixture(scope="module")
def templates():
    return simulate_templates(CRYSTALS, resolution_deg=3.0, **OPTICS)


def exported(phases, orientations, crystals, camera, folder):
    """The map as orix reads it from each format."""
    found = export.crystal_map(
        phases, orientations, build_grains(phases), crystals, step_nm=2.0, camera=camera
    )
    for suffix in SUFFIXES:
        path = folder / f"map.{suffix}"
        getattr(export, f"write_{suffix}")(found, path, camera=camera)
        yield io.load(path)


def apart_deg(read, on_scan, number):
    """Angles of the read orientations to the true ones, by orix, and to their half turns."""
    group = read.phases[number].point_group.laue_proper_subgroup
    half_turn = Rotation.from_axes_angles([0, 0, 1], 180, degrees=True)
    true = Rotation(quaternion(on_scan))
    return [
        Orientation(read.rotations, group).angle_with(Orientation(way, group), degrees=True)
        for way in (true, true * half_turn)
    ]


@pytest.mark.parametrize("camera", [CAMERAS[2], CAMERAS[5]], ids=str)
@pytest.mark.parametrize("phase", range(3))
def test_true_orientations_in_the_scan_come_back_from_the_exports(
    templates, tmp_path, camera, phase
):
    crystal, on_scan = CRYSTALS[phase], octant_rotations()
    patterns = [
        (*seen_by(camera, x, y), intensity)
        for x, y, intensity in diffsims_patterns(crystal, on_scan)
    ]
    found = find_orientations(build_spots(patterns), templates, CRYSTALS)
    phases = build_phases(
        [c.name for c in CRYSTALS], np.full((1, 16), phase), scan="test",
        rotation=found["rotation"].values[..., 0, :],
    )  # fmt: skip
    for read in exported(phases, found, CRYSTALS, camera, tmp_path):
        angle, half_turned = apart_deg(read, on_scan, phase + 1)
        assert np.minimum(angle, half_turned).max() < 0.4
        assert (angle < 0.4).mean() >= 0.75
    # Without what is stated of the camera it is another orientation.
    (plain, *_) = exported(phases, found, CRYSTALS, None, tmp_path)
    assert np.median(np.minimum(*apart_deg(plain, on_scan, phase + 1))) > 5


@pytest.mark.parametrize("camera", [CAMERAS[2], CAMERAS[5]], ids=str)
def test_colours_and_indices_along_the_scan_are_those_of_orix(camera):
    crystal, group = CRYSTALS[0], CRYSTALS[0].orix_point_group().laue
    on_scan = octant_rotations()
    there = frames.in_pattern(quaternion(on_scan), camera)
    phases = build_phases([crystal.name], np.zeros((4, 4), int), rotation=there.reshape(4, 4, 1, 4))
    key = DirectionColorKeyTSL(group)
    for direction in (Vector3d.xvector(), Vector3d.yvector(), Vector3d.zvector()):
        true = Orientation(quaternion(on_scan), group) * direction
        colours = direction_colours(phases, {crystal.name: group}, direction, camera=camera)
        np.testing.assert_allclose(
            colours.reshape(-1, 3), np.clip(key.direction2color(true), 0, 1), atol=1e-5
        )
    # [uvw] along the scan's x, up to the sense, which Friedel's law hides.
    uvw = Miller(uvw=[1, 2, 0], phase=crystal.orix_phase())
    along_x = ScipyRotation.align_vectors([uvw.data[0], [0, 0, 1]], [[1, 0, 0], [0, 0, 1]])[0]
    back = Rotation(frames.on_scan(frames.in_pattern(quaternion(along_x), camera), camera))
    found = back * Vector3d.xvector()
    assert abs(found.unit.dot(Vector3d(uvw.data).unit)[0]) == pytest.approx(1)


@pytest.mark.slow
def test_a_virtual_scan_through_a_turned_and_mirrored_camera_gives_true_directions(tmp_path):
    """From raw frames with dynamical intensities, descan and an ellipse to the exports."""
    camera = StatedCamera(rotation_deg=-128, mirrored=True)
    arguments = {
        "scan": "virtual", "material": "nvpf", "ion_content": 2.5,
        "phases": list(map(VirtualPhase, NAMES, NAMES, (3, 2, 1))), "shape": (20, 20),
        "insertion_model": "all-or-none", "grains": 5, "seed": 4,
    }  # fmt: skip
    path = tmp_path / "scan.blo"
    grown = make_specimen(**arguments)
    truth = simulate_scan(path, grown, scale_nominal=0.0175, camera=camera)
    on_scan = simulate_scan(tmp_path / "straight.blo", grown, scale_nominal=0.0175)
    assert path.read_bytes() != (tmp_path / "straight.blo").read_bytes()
    turned = frames.on_scan(truth["rotation"].values.astype(float), camera)
    same = np.abs(np.sum(turned * on_scan["rotation"].values, axis=-1))
    np.testing.assert_allclose(same[np.isfinite(same)], 1, atol=1e-6)

    scan = files.open_scan(path)
    grid = simulate_templates(CRYSTALS, resolution_deg=2.5, **OPTICS)
    geometry = calibrate(
        scan, name="virtual", crystals=CRYSTALS, templates=grid, scale_nominal=0.0175
    )
    found = vectors.find_spots(scan.blocks(), geometry, scan="virtual")
    orientations = find_orientations(found, grid, CRYSTALS)
    phases = decisions.decide_phases(
        found, orientations, grid, CandidatePhases(CRYSTALS), raw=(scan, geometry)
    )
    decided, clear = phases["decision"].values.ravel(), truth["overlap"].values.ravel() == 0
    rotation = on_scan["rotation"].values.reshape(-1, 3, 4)
    for read in exported(phases, orientations, CRYSTALS, camera, tmp_path):
        for phase in np.unique(decided[decided >= 0]):
            here = (decided == phase) & clear
            true = ScipyRotation.from_quat(rotation[here, phase], scalar_first=True)
            angle, half_turned = apart_deg(read[here], true, phase + 1)
            assert here.sum() > 20
            assert np.percentile(np.minimum(angle, half_turned), 90) < 1
