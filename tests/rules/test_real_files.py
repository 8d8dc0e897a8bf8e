"""Files from real instruments, by the command lines that a run uses."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from phasefront.core import netcdf
from phasefront.experiment.load import load
from phasefront.experiment.settings.instruments import Instrument
from phasefront.experiment.settings.scans import ScanLayout
from phasefront.layouts.calibration import CALIBRATION
from phasefront.layouts.cycling import CYCLING
from phasefront.layouts.phases import PHASES
from phasefront.layouts.scans import SCAN
from phasefront.layouts.spots import SPOTS
from phasefront.powder.files import read_pattern

ROOT = Path(__file__).resolve().parents[2]
DEMO = load(ROOT / "config/demo.yaml")
LIMNO_FILES = {
    "braggdisks_cali.h5": "peaks/limno_particle_80x58.h5",
    "LCO.cif": "structures/LCO.cif",
    "LiMn2O4.cif": "structures/LiMn2O4.cif",
    "Li2MnO3.cif": "structures/Li2MnO3.cif",
}


def run_script(script: str, /, **arguments) -> None:
    command = [sys.executable, f"scripts/{script}.py"]
    for key, value in arguments.items():
        command += [f"--{key}", str(value)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_spots_of_an_astar_scan_of_unknown_phases(tmp_path, shared_data):
    path = shared_data("scans/astar_3x2.blo")
    given = {"scan": path, "name": "astar", "settings": "{}"}
    files = {name: tmp_path / f"{name}.nc" for name in ("description", "calibration", "spots")}

    run_script("describe_scan", **given, description=files["description"])
    described = netcdf.read(files["description"], SCAN)
    # Independent reading: header of 4112 bytes, then 6 bytes before each pattern.
    raw = np.fromfile(path, np.uint8)[4112:].reshape(3, 2, 6 + 144 * 144)[:, :, 6:]
    total = described["bright_field"] + described["dark_field"]
    np.testing.assert_array_equal(total, raw.sum(axis=-1))
    np.testing.assert_array_equal(described["max_pattern"].values.ravel(), raw.max(axis=(0, 1)))
    assert described.attrs["scan_step_nm"] == 12.8

    instrument = Instrument(voltage_kv=200, scale=0.0175).model_dump_json()
    run_script(
        "calibrate_scan", **given | {"settings": '{"method": "nominal"}'}, spots="{}",
        names=DEMO.section("material.names"), instrument=instrument,
        calibration=files["calibration"],
    )  # fmt: skip
    calibrated = netcdf.read(files["calibration"], CALIBRATION)
    # The disk in the mean pattern, read off by eye.
    assert calibrated["centre_y"].values == pytest.approx(72.1, abs=0.5)
    assert calibrated["centre_x"].values == pytest.approx(73.3, abs=0.5)
    assert calibrated["centre_stderr"].item() < 0.1
    np.testing.assert_array_equal(calibrated["affine"], 0.0175 * np.eye(2))
    np.testing.assert_allclose(calibrated["affine_stderr"].values[0, 1], 0.01 * 0.0175)

    run_script(
        "find_spots", **given, calibration=files["calibration"], step="nan", spots=files["spots"]
    )
    spots = netcdf.read(files["spots"], SPOTS)
    assert spots.attrs["scan_step_nm"] == 12.8
    # The six patterns are of one crystal.
    assert ((spots["count"] >= 20) & (spots["count"] <= 33)).all()
    q = np.hypot(spots["qx"], spots["qy"])
    assert q.max() <= DEMO.spots.max_radius
    assert q.min() > 0.0175 * calibrated["beam_radius"].item()
    # No spot is weaker than its noise allows.
    assert (spots["intensity"] / np.sqrt(spots["variance"])).min() > 2


def test_a_merlin_scan_whose_shape_the_table_gives(tmp_path, shared_data):
    path = shared_data("scans/merlin_4x2_6bit.mib")
    given = {"scan": path, "name": "merlin", "settings": "{}"}
    layout = ScanLayout(scan_shape=(2, 4)).model_dump_json()
    run_script("describe_scan", **given, layout=layout, description=tmp_path / "a.nc")
    described = netcdf.read(tmp_path / "a.nc", SCAN)
    raw = np.fromfile(path, np.uint8).reshape(2, 4, -1)[:, :, 384:]
    total = described["bright_field"] + described["dark_field"]
    np.testing.assert_array_equal(total, raw.sum(axis=-1))


def test_charge_of_a_lithium_iron_phosphate_cell(tmp_path, shared_data):
    log = shared_data("cycling/lfp_half_cell_c10.mpr")
    row = {"log": "lfp", "path": str(log), "mass_mg": 3.42, "mass_error_mg": 0.03}
    states = [
        {"name": "half", "log": "lfp", "capacity_mah_g": 80, "half_cycle": 1},
        {"name": "charged", "log": "lfp", "voltage_v": 4.19, "half_cycle": 1},
    ]
    weighed = {"molar_mass": 157.76, "ion_content": 1, "ion_error": 0}
    run_script(
        "analyse_log", log=log, row=json.dumps(row), states=json.dumps(states),
        weighed=json.dumps(weighed), cycling=tmp_path / "lfp.nc", table=tmp_path / "lfp.csv",
    )  # fmt: skip
    analysed = netcdf.read(tmp_path / "lfp.nc", CYCLING)
    charge = analysed["capacity"].values[analysed["half_cycle"].values == 1]
    assert charge.max() - charge.min() == pytest.approx(159, abs=0.5)

    assert list(analysed["state"].values) == ["half", "charged"]
    header, *records = (tmp_path / "lfp.csv").read_text().splitlines()
    assert header.startswith("Test Time / s,Voltage / V,Current / A,Cycle Count / 1,")
    assert len(records) == 11399
    assert sum(",rest," in record for record in records) == 1031
    run_script(
        "draw_log", cycling=tmp_path / "lfp.nc", ion="Li",
        figure=tmp_path / "lfp.png",
    )  # fmt: skip
    assert (tmp_path / "lfp.png").stat().st_size > 1e5
    half, charged = analysed["state_ion_content"].values
    # 80 and 156.8 mAh/g net of 169.9 mAh/g, one lithium for each formula unit.
    assert half == pytest.approx(1 - 80 / 169.9, abs=0.001)
    assert charged == pytest.approx(1 - 156.8 / 169.9, abs=0.005)
    assert analysed["state_voltage"].values[0] == pytest.approx(3.53, abs=0.02)
    assert (analysed["state_ion_content_low"] < analysed["state_ion_content"]).all()
    assert (analysed["state_ion_content_high"] > analysed["state_ion_content"]).all()


def analyse_lfp(tmp_path, shared_data, states=(), **row):
    log = shared_data("cycling/lfp_half_cell_c10.mpr")
    weighed = {"molar_mass": 157.76, "ion_content": 1, "ion_error": 0}
    run_script(
        "analyse_log", log=log, row=json.dumps({"log": "lfp", "path": str(log)} | row),
        states=json.dumps(states), weighed=json.dumps(weighed), cycling=tmp_path / "lfp.nc",
        table=tmp_path / "lfp.csv",
    )  # fmt: skip
    return netcdf.read(tmp_path / "lfp.nc", CYCLING)


def test_an_electrode_of_unknown_mass_has_charge_but_no_ion_content(tmp_path, shared_data):
    states = [{"name": "half", "log": "lfp", "fraction": 0.5, "half_cycle": 1}]
    found = analyse_lfp(tmp_path, shared_data, states, timezone="Europe/Zurich")
    charge = found["charge"].values[found["half_cycle"].values == 1]
    assert np.ptp(charge) == pytest.approx(0.545, abs=0.001)
    assert found["state_charge"].item() == pytest.approx((charge[0] + charge[-1]) / 2, abs=0.001)
    without = ("ion_content", "capacity", "half_capacity", "charge_per_voltage", "state_capacity")
    assert all(np.isnan(found[name].values).all() for name in without)
    assert found["plateau_voltage"].values[0] == pytest.approx(3.5, abs=0.1)
    assert "mass of active material is not known" in found.attrs["warnings"]
    assert found.attrs["started"] == "2024-07-02T10:18:08.932000+02:00"
    assert found.attrs["started_from"].endswith("in Europe/Zurich by the table of logs")
    run_script("draw_log", cycling=tmp_path / "lfp.nc", ion="Li", figure=tmp_path / "lfp.png")
    assert (tmp_path / "lfp.png").stat().st_size > 5e4


def test_the_table_says_when_a_log_began(tmp_path, shared_data):
    found = analyse_lfp(tmp_path, shared_data, mass_mg=3.42, start="2024-07-02T08:18:00+00:00")
    assert found.attrs["started"] == "2024-07-02T08:18:00+00:00"
    assert found.attrs["started_from"] == "the table of logs"


def test_every_setting_of_a_log_reaches_the_analysis(tmp_path):
    """10 h at 1 mA, as text of another kind: each setting by what it adds to the ion content."""
    log = tmp_path / "log.txt"
    log.write_text(
        "t;E;I\n" + "".join(f"{hour};{3.4 + hour / 100:.2f};-1,0\n" for hour in range(11))
    )
    row = {
        "log": "a", "path": str(log), "mass_mg": 100,
        "columns": {"time": ["t", "h"], "voltage": ["E", "V"], "current": ["I", "-mA"]},
        "mass_error_mg": 1, "ions_per_electron": 0.5, "irreversible_mah_g": 5,
        "irreversible_error_mah_g": 2, "leakage_ma": 0.1, "leakage_error_ma": 0.02,
        "inactive_share": 0.1, "inactive_error": 0.03,
    }  # fmt: skip
    states = [{"name": "end", "log": "a", "fraction": 1}]
    run_script(
        "analyse_log", log=log, row=json.dumps(row), states=json.dumps(states),
        weighed=DEMO.section("material.weighed"), cycling=tmp_path / "a.nc",
        table=tmp_path / "a.csv",
    )  # fmt: skip
    found = netcdf.read(tmp_path / "a.nc", CYCLING)
    scale = 0.5 * 417.79 / 26801.48
    change = scale * (90 - 5)
    assert found["state_ion_content"].item() == pytest.approx(3 - change, rel=1e-6)
    assert found["state_active_ion_content"].item() == pytest.approx(3 - change / 0.9, rel=1e-6)
    error = scale * np.sqrt((90 * 0.01) ** 2 + 2**2 + (10 * 0.02 / 0.1) ** 2)
    mean = np.hypot(0.01, error)
    active = np.sqrt(0.01**2 + (error / 0.9) ** 2 + (change * 0.03 / 0.9**2) ** 2)
    for name, expected in (("state_ion_content", mean), ("state_active_ion_content", active)):
        half_width = found[f"{name}_high"].item() - found[name].item()
        assert half_width == pytest.approx(1.96 * expected, rel=1e-4)


def test_pattern_of_a_synchrotron_beamline(shared_data):
    path = shared_data("powder/aps11bm_example.xye")
    pattern = read_pattern(path)
    assert len(pattern) == 575
    angle = pattern["two_theta"].to_numpy()
    assert (angle[0], angle[-1]) == (pytest.approx(0.5), pytest.approx(1.0731, abs=1e-4))
    assert np.diff(angle) == pytest.approx(np.full(574, 0.001), abs=1e-5)
    assert (pattern["sigma"] > 0).all()


@pytest.mark.slow
def test_the_lithium_manganese_oxide_particle(fresh_project, tmp_path, shared_data):
    sources = {name: shared_data(source) for name, source in LIMNO_FILES.items()}
    project = fresh_project.copy(tmp_path / "limno")
    (project.folder / "data/limno").mkdir(parents=True)
    for name, source in sources.items():
        shutil.copy(source, project.folder / "data/limno" / name)
    done = project.command("run", "config/limno.yaml", "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr

    results = project.folder / "results/limno"
    summary = json.loads((results / "summary.json").read_text())
    (scan,) = summary["scans"]
    assert scan["patterns"] == 80 * 58
    assert 1000 < scan["decided"] < 3000
    (state,) = summary["states"]
    fractions = {name: value["value"] for name, value in state["fractions"]["stem"].items()}
    assert sum(fractions.values()) == pytest.approx(1, abs=1e-6)

    phases = netcdf.read(results / "phases/particle.nc", PHASES)
    decision = phases["decision"].values
    names = list(phases["phase"].values)
    assert (decision >= 0).sum() == scan["decided"]
    second = phases["second_phase"].values >= 0
    assert np.isfinite(phases["second_rotation"].values[second]).all()
    # The core: the middle half of the field, rows and columns.
    rows, columns = (slice(size // 4, 3 * size // 4) for size in decision.shape)
    core = np.bincount(decision[rows, columns][decision[rows, columns] >= 0], minlength=3)
    assert names[core.argmax()] == "spinel"
