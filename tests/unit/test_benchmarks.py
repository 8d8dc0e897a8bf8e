"""The benchmark's own parts: its truth, its scores, and a small run of it all."""

import json
import sys

import numpy as np
import pytest
from matplotlib.image import imread
from projects import ROOT
from scipy.spatial.transform import Rotation

from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import read_crystal
from phasefront.records.record import SUFFIX
from phasefront.report.figures import style

sys.path.insert(0, str(ROOT))

from benchmarks import camera_figure, indexing, scan, systems, whole_run
from benchmarks.score import score

NAMES = ["LiFePO4", "FePO4"]
CRYSTALS = [read_crystal(ROOT / "config" / "structures" / f"{name}.cif") for name in NAMES]
SYMMETRIES = [crystal.symmetry for crystal in CRYSTALS]


@pytest.fixture
def truth():
    phase = np.random.default_rng(3).integers(2, size=60)
    rotation = Rotation.random(60, random_state=4).as_quat(canonical=True, scalar_first=True)
    return scan.Truth(phase, rotation)


def test_a_perfect_answer_has_no_error(truth):
    found = score(truth.phase, truth.rotation, truth.phase, truth.rotation, SYMMETRIES)
    assert found["phase_accuracy"] == found["phase_accuracy_answered"] == 1
    assert found["unanswered"] == found["half_turned"] == 0
    assert found["orientation_error_deg"]["p90"] == pytest.approx(0, abs=1e-5)


def test_symmetric_equivalents_are_right(truth):
    operators = SYMMETRIES[0][np.arange(60) % len(SYMMETRIES[0])]
    equivalent = rotations.multiply(operators, truth.rotation)
    found = score(truth.phase, equivalent, truth.phase, truth.rotation, SYMMETRIES)
    assert found["orientation_error_deg"]["p90"] == pytest.approx(0, abs=1e-5)


def test_errors_are_the_angle_that_was_put_in(truth):
    tilt = np.array([np.cos(np.deg2rad(1.5)), np.sin(np.deg2rad(1.5)), 0, 0])
    tilted = rotations.multiply(truth.rotation, tilt)
    found = score(truth.phase, tilted, truth.phase, truth.rotation, SYMMETRIES)
    assert found["orientation_error_deg"]["median"] == pytest.approx(3, abs=1e-4)


def test_a_wrong_phase_is_wrong_and_no_answer_too(truth):
    phase = truth.phase.copy()
    phase[:6] = 1 - phase[:6]
    phase[6:15] = -1
    found = score(phase, truth.rotation, truth.phase, truth.rotation, SYMMETRIES)
    assert found["phase_accuracy"] == pytest.approx(45 / 60)
    assert found["phase_accuracy_answered"] == pytest.approx(45 / 51)
    assert found["unanswered"] == pytest.approx(9 / 60)


def test_half_turns_about_the_beam_are_counted(truth):
    rotation = truth.rotation.copy()
    rotation[:15] = rotations.multiply(rotation[:15], rotations.HALF_TURN)
    found = score(truth.phase, rotation, truth.phase, truth.rotation, SYMMETRIES)
    assert found["half_turned"] == pytest.approx(15 / 60)


def test_nothing_right_leaves_no_error_to_tell(truth):
    found = score(1 - truth.phase, truth.rotation, truth.phase, truth.rotation, SYMMETRIES)
    assert found["orientation_error_deg"] == {"median": None, "p90": None}


def test_the_synthetic_scan_repeats(tmp_path):
    def make(name, rows):
        path = tmp_path / name
        truth = scan.make_scan(path, material="lfp", phases=NAMES, rows=rows, seed=5)
        return path.read_bytes(), truth

    first, truth = make("first.blo", 4)
    again, same = make("again.blo", 4)
    assert first == again
    np.testing.assert_array_equal(truth.rotation, same.rotation)
    _, longer = make("longer.blo", 8)
    np.testing.assert_array_equal(longer.phase[: truth.phase.size], truth.phase)
    assert set(longer.phase) == {0, 1}


def test_structures_are_those_of_the_bloch_waves():
    from phasefront.core import netcdf
    from phasefront.virtual.bloch_waves import BLOCH_WAVES, DATA_FILE

    table = netcdf.read(DATA_FILE, BLOCH_WAVES)
    for crystal in CRYSTALS:
        own = table["formula_volume"].values[table["phase"].values == crystal.name]
        np.testing.assert_allclose(own, crystal.volume / 4)


def test_a_system_without_its_environment_is_skipped_with_the_reason(tmp_path):
    nowhere = systems.System("gone", "index_py4dstem", {}, tmp_path / "venv" / "bin" / "python")
    case = indexing.Comparison("lfp", 8.0, {nowhere: 1})
    found = indexing.compare(case, tmp_path, report=lambda line: None)
    assert found["skipped"] == {"gone": "its environment venv is not there"}
    assert found["patterns_per_s"] == {}


# diffsims' sources hold such sequences; Python says so when it first compiles them.
@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@pytest.mark.slow
def test_phasefront_and_pyxem_side_by_side():
    case = indexing.Comparison("lfp", 2.0, {indexing.PHASEFRONT: 1, indexing.PYXEM: 2})
    alone = indexing.Comparison("nvpf", 4.0, {indexing.PHASEFRONT: 1}, phases=2)
    result = indexing.measure(case, {"other": alone}, {"phases": [alone]})
    json.dumps(result)
    expected = {"phasefront", "phasefront, decided", "pyxem, frac_keep 0.1"}
    for key in ("patterns_per_s", "phase_accuracy", "orientation_error_deg", "peak_memory_mb"):
        assert set(result[key]) == expected
    assert result["ratio_pyxem"] > 1 and result["ratio_py4dstem"] is None
    assert result["patterns"]["phasefront"] == scan.COLUMNS
    assert result["orientation_error_deg"]["phasefront"].keys() == {"median", "p90"}
    assert result["orientation_error_deg"]["pyxem, frac_keep 0.1"]["median"] < 3
    assert result["settings"]["other"]["phases"] == ["Na3V2PO42F3", "Na2V2PO42F3"]
    assert result["scaling"]["phases"][0]["phases"] == 2
    assert 0 < result["matrix_products"]["share_of_peak"] < 1.5


def test_the_docs_drawing_of_a_camera_is_that_of_the_convention(tmp_path):
    style.save(camera_figure.draw(), tmp_path / "camera.png")
    drawn, shown = (imread(path) for path in (tmp_path / "camera.png", camera_figure.FIGURE))
    assert drawn.shape == shown.shape
    assert np.abs(drawn - shown).mean() < 1e-3


def test_rules_of_a_run_are_summed_over_jobs_not_over_outputs(tmp_path):
    def job(name, rule, started, wall, memory):
        record = {
            "made": {"rule": rule},
            "run": {
                "started": started, "wall_seconds": wall, "work_seconds": wall - 1,
                "peak_memory_mb": memory,
            },
        }  # fmt: skip
        (tmp_path / f"{name}{SUFFIX}").write_text(json.dumps(record))

    job("a.nc", "find_spots", "10:00", 4.0, 300)
    job("a.csv", "find_spots", "10:00", 4.0, 300)  # another output of that job
    job("b.nc", "find_spots", "10:05", 3.0, 500)
    job("c.nc", "draw_maps", "10:06", 2.0, 100)
    assert whole_run.of_rules(tmp_path) == {
        "find_spots": {"jobs": 2, "wall_s": 7.0, "work_s": 5.0, "peak_memory_mb": 500},
        "draw_maps": {"jobs": 1, "wall_s": 2.0, "work_s": 1.0, "peak_memory_mb": 100},
    }
    assert next(iter(whole_run.of_rules(tmp_path))) == "find_spots"
