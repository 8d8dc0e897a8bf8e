"""How scans of a virtual in situ series are filmed: tilts, turns, fading, liquid; and their log."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from test_virtual_series import ASKED, PULSES, make, members

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.core.moments import Stamp
from phasefront.cycling.logs import read_log
from phasefront.diffraction.crystals import read_crystal
from phasefront.diffraction.optics import electron_wavelength
from phasefront.experiment.settings.virtual_series import VirtualBeam, VirtualMotion
from phasefront.layouts.truth import TRUTH
from phasefront.virtual import bloch_waves, camera
from phasefront.virtual.conditions import LIQUID_RADIUS, Conditions
from phasefront.virtual.insitu import clock
from phasefront.virtual.insitu.filming import specimen_of
from phasefront.virtual.insitu.pulse_log import simulate_pulses
from phasefront.virtual.insitu.tilting import reciprocal_of, tilt
from phasefront.virtual.particles import VirtualPhase
from phasefront.virtual.rendering import CAMERA_PIXELS, diffuse_profile

STRUCTURES = Path(__file__).resolve().parents[2] / "config" / "structures"
PHASES = [VirtualPhase("rich", "Na3V2PO42F3", 3), VirtualPhase("poor", "Na2V2PO42F3", 2)]


def specimen(number, asked=ASKED, seed=7, **changes):
    return specimen_of(make(asked, **changes), number, material="nvpf", phases=PHASES, seed=seed)


@pytest.fixture(scope="module")
def table():
    return netcdf.read(bloch_waves.DATA_FILE, bloch_waves.BLOCH_WAVES)


def rows_of(table, phase):
    return np.flatnonzero(table["phase"].values == phase)


@pytest.mark.parametrize("phase", ["Na3V2PO42F3", "Na2V2PO42F3", "FePO4"])
def test_the_reciprocal_lattice_is_that_of_the_crystal(table, phase):
    found = reciprocal_of(table, rows_of(table, phase)[:12])
    lengths = np.linalg.norm(np.linalg.inv(found), axis=0)
    np.testing.assert_allclose(
        lengths, read_crystal(STRUCTURES / f"{phase}.cif", name=phase).cell[:3], rtol=1e-4
    )


def test_bright_spots_are_near_the_ewald_sphere(table):
    """So that the sign of excitation errors is that of the table."""
    rows = rows_of(table, "Na3V2PO42F3")
    reciprocal, offset = reciprocal_of(table, rows), table["offset"].values
    wavelength = electron_wavelength(table.attrs["voltage_kv"])
    right, wrong = [], []
    for row in rows:
        spots = slice(offset[row], offset[row + 1])
        turn = Rotation.from_quat(table["rotation"].values[row], scalar_first=True).inv()
        g = turn.apply(table["hkl"].values[spots].astype(float) @ reciprocal)
        weight = table["intensity"].values[spots, 4]
        bend = 0.5 * wavelength * (g**2).sum(axis=1)
        right.append(np.average(np.abs(g[:, 2] - bend), weights=weight))
        wrong.append(np.average(np.abs(g[:, 2] + bend), weights=weight))
    assert np.mean(right) < 0.75 * np.mean(wrong)


def test_a_tilt_brightens_what_it_brings_to_the_sphere_and_keeps_the_sum(table):
    row = int(rows_of(table, "Na3V2PO42F3")[3])
    reciprocal = reciprocal_of(table, rows_of(table, "Na3V2PO42F3"))
    same = tilt(table, {row: np.zeros(3)}, reciprocal)
    np.testing.assert_allclose(same["intensity"], table["intensity"], rtol=1e-5)
    np.testing.assert_allclose(same["qx"], table["qx"], atol=1e-5)
    vector = np.deg2rad([0.3, -0.2, 0.0])
    tilted = tilt(table, {row: vector}, reciprocal)
    first, last = table["offset"].values[row : row + 2]
    others = np.r_[:first, last : table.sizes["spot"]]
    np.testing.assert_array_equal(tilted["intensity"][others], table["intensity"][others])
    before, after = (one["intensity"].values[first:last] for one in (table, tilted))
    np.testing.assert_allclose(after.sum(axis=0), before.sum(axis=0), rtol=1e-4)
    turn = Rotation.from_quat(table["rotation"].values[row], scalar_first=True).inv()
    g = turn.apply(table["hkl"].values[first:last].astype(float) @ reciprocal)
    bend = 0.5 * electron_wavelength(table.attrs["voltage_kv"]) * (g**2).sum(axis=1)
    error = np.abs(g[:, 2] - bend)
    nearer = error - np.abs(Rotation.from_rotvec(vector).apply(g)[:, 2] - bend)
    gain = (after / before)[:, 4]
    # Beyond the swing of the precession, within which a spot is on the sphere anyway.
    beyond = error - np.abs(nearer) > np.deg2rad(0.8) * np.linalg.norm(g, axis=1)
    brighter, fainter = gain[beyond & (nearer > 1e-3)], gain[beyond & (nearer < -1e-3)]
    assert min(len(brighter), len(fainter)) >= 8
    assert brighter.min() > fainter.max()


def test_spots_lie_where_the_true_orientation_has_them():
    """Tilts and turns of the frame are in the patterns as they are in the truth."""
    asked = ASKED.model_copy(update={"motion": VirtualMotion(rotation_deg=20, tilt_deg=1)})
    whole = make(asked)
    moved = 0
    for number in (0, 7):
        grown = specimen(number, asked)
        table, columns = grown.table, grown.columns
        offset = table["offset"].values
        grain_of = {}
        for crystal, pattern in enumerate(columns.pattern):
            grain_of.setdefault(int(pattern), crystal)
        for phase, structure in enumerate(PHASES):
            reciprocal = reciprocal_of(
                netcdf.read(bloch_waves.DATA_FILE, bloch_waves.BLOCH_WAVES),
                rows_of(table, structure.structure),
            )
            for pattern, crystal in grain_of.items():
                if table["phase"].values[pattern] != structure.structure:
                    continue
                spots = slice(offset[pattern], offset[pattern + 1])
                cosine, sine = columns.cosine[crystal], columns.sine[crystal]
                qx, qy = (table[name].values[spots].astype(float) for name in ("qx", "qy"))
                drawn = np.stack([cosine * qx - sine * qy, sine * qx + cosine * qy], axis=1)
                hkl = table["hkl"].values[spots].astype(float)
                fits = [
                    Rotation.from_quat(own, scalar_first=True).inv().apply(hkl @ reciprocal)[:, :2]
                    for own in grown.rotations[phase]
                ]
                errors = [np.abs(fit - drawn).max() for fit in fits]
                assert min(errors) < 2e-4
                moved += 1
    assert moved >= 12
    # From the first scan to the last each grain turned by the frame's angle, and tilted.
    first, last = (specimen(number, asked).rotations[0] for number in (0, 7))
    change = Rotation.from_quat(last, scalar_first=True).inv() * Rotation.from_quat(
        first, scalar_first=True
    )
    own = Rotation.from_rotvec([0, 0, -whole.motion.angle[7]]) * change
    np.testing.assert_allclose(np.degrees(own.magnitude()), 1, atol=1e-3)
    axes = own.as_rotvec() / own.magnitude()[:, None]
    expected = np.stack([np.cos(whole.tilts.axis), np.sin(whole.tilts.axis)], axis=1)
    np.testing.assert_allclose(axes[:, :2], expected, atol=1e-3)


def test_a_specimen_has_the_phases_that_the_series_sees():
    whole = make()
    seen, grown = whole.see(4), specimen(4)
    np.testing.assert_allclose(grown.shares[0], seen.rich)
    np.testing.assert_allclose(grown.shares.sum(axis=0), seen.thickness > 0)
    np.testing.assert_array_equal(grown.thickness, seen.thickness)


def test_spots_fade_by_their_radius_times_the_dose():
    steady = {"motion": VirtualMotion(drift_px=0, jump_px=0, rotation_deg=0, tilt_deg=0)}
    fading = ASKED.model_copy(update=steady | {"beam": VirtualBeam(fading=1000.0)})
    one, other = specimen(3, ASKED.model_copy(update=steady)).table, specimen(3, fading).table
    radius = np.hypot(one["qx"], one["qy"]).values
    # Four scans of 100 electrons per square angstrom.
    np.testing.assert_allclose(
        other["intensity"].values,
        one["intensity"].values * np.exp(-radius * 400 / 1000)[:, None],
        rtol=1e-4,
    )


def test_a_layer_of_liquid_scatters_into_its_ring_what_does_not_pass():
    centres, scale = np.array([[71.0, 72.0]]), 0.0175
    light = np.zeros((1, CAMERA_PIXELS, CAMERA_PIXELS), np.float32)
    light[0, 71, 72] = 1
    seen = Conditions(liquid_nm=150).dim(light.copy(), centres, scale, diffuse_profile)[0]
    assert seen.sum() == pytest.approx(1, abs=2e-3)
    assert seen[71, 72] == pytest.approx(np.exp(-0.75), abs=1e-4)
    y, x = np.indices(seen.shape)
    radius = scale * np.hypot(y - 71, x - 72)
    assert radius.flat[np.where(radius > 0, seen, 0).argmax()] == pytest.approx(
        LIQUID_RADIUS, abs=scale
    )


@pytest.mark.slow
def test_scans_are_filmed_the_same_each_time(tmp_path):
    digests = []
    for name, changes in (("a", {}), ("b", {}), ("c", {"seed": 8})):
        grown = specimen(5, scans=members(8), **changes)
        truth = camera.simulate_scan(
            tmp_path / f"{name}.blo", grown, scale_nominal=0.0175, dose=1e6,
            conditions=Conditions(liquid_nm=100),
        )  # fmt: skip
        TRUTH.check(truth, name)
        digests.append(hashlib.sha256((tmp_path / f"{name}.blo").read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]


def test_a_frame_that_left_the_grains_is_refused():
    asked = ASKED.model_copy(update={"motion": VirtualMotion(jump_px=300)})
    with pytest.raises(InputError, match="sees no grain: the frame has moved too far; ask for"):
        specimen(7, asked)


def test_more_grains_than_orientations_are_refused():
    asked = ASKED.model_copy(update={"grains": 60})
    with pytest.raises(InputError, match="48 orientations for 60 grains"):
        specimen(0, asked)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("pulses") / "cell.mpt"
    return path, simulate_pulses(path, PULSES, seed=2), read_log(path)


def test_the_log_of_pulses_reads_back(log):
    _, truth, found = log
    at = np.interp(truth["time_s"], found["time_s"], found["capacity_mAh"])
    np.testing.assert_allclose(at, truth["charge_mAh"], atol=1e-6)
    assert truth["time_s"].tolist() == [0, 900, 1500, 1800, 2400, 2700, 3300, 3900]
    time = found["time_s"].to_numpy()
    charge = clock.charge_at(PULSES, time)
    np.testing.assert_allclose(found["capacity_mAh"], charge, atol=1e-6)
    assert (found["current_mA"].to_numpy()[np.isin(found["step"], [0, 2, 4, 6])] == 0).all()
    voltage = found["voltage_V"].to_numpy()
    assert 3.45 < voltage.min() < voltage.max() < 3.8


def test_the_log_says_local_time_and_no_zone(log):
    path, _, found = log
    text = path.read_text(encoding="latin-1")
    assert "Acquisition started on : 07/14/2025 09:00:00.000" in text
    started = found.attrs["started"]
    assert isinstance(started, Stamp)
    assert started.moment.isoformat() == "2025-07-14T09:00:00"
    assert started.moment.tzinfo is None
