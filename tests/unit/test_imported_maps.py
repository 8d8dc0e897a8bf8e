"""Maps of other programs as phases of a scan: what they say, and nothing else."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from projects import ROOT
from test_orientation_maps import exported, make_crystal

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.fractions.estimation import phase_fractions
from phasefront.grains.segmentation import find_grains
from phasefront.layouts.phases import PHASES, UNDECIDED, UNINDEXED
from phasefront.maps.formats import read_map
from phasefront.maps.imported import import_map
from phasefront.report.figures import maps

# diffsims' sources hold such sequences; Python says so when it first compiles them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")
CELLS = {
    "Rich": (10.3, 6.0, 4.7, 90, 90, 90, "P n m a"), "Poor": (9.8, 5.8, 4.8, 90, 90, 90, "P n m a")
}  # fmt: skip
QUALITY = {"h5": "reliability", "ang": "reliability", "ctf": "BS"}


@pytest.fixture(scope="module")
def crystals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifs")
    return [make_crystal(folder, name, cell) for name, cell in CELLS.items()]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ny=st.integers(1, 6), nx=st.integers(1, 6), seed=st.integers(0, 999))
def test_what_was_exported_is_decided_as_it_was(tmp_path, crystals, ny, nx, seed):
    paths, phase, rotation = exported(
        tmp_path, crystals, shape=(ny, nx), seed=seed, step_nm=10.0
    )  # fmt: skip
    for path in paths.values():
        found = import_map(read_map(path), crystals, name="s", scan_step_nm=10.0)
        PHASES.check(found, path)
        np.testing.assert_array_equal(found["decision"], np.where(phase < 0, UNINDEXED, phase))
        decided = phase >= 0
        share = found["share"].values
        assert np.isnan(share[~decided]).all()
        np.testing.assert_array_equal(share[decided], np.eye(2)[phase[decided]])
        own = found["rotation"].values[decided, phase[decided]]
        cosine = np.abs(np.sum(own * rotation[decided], axis=-1))
        np.testing.assert_allclose(cosine, 1, atol=1e-6)
        assert np.isnan(found["rotation"].values[decided, 1 - phase[decided]]).all()


def test_nothing_is_made_up(tmp_path, crystals):
    paths, *_ = exported(tmp_path, crystals, shape=(4, 5), seed=1, step_nm=10.0)
    found = import_map(read_map(paths["ang"]), crystals, name="s")
    said = {"decision", "share", "rotation", "second_phase", "phase"}
    for name in set(PHASES.variables) - said:
        assert np.isnan(found[name].values).all(), name
    assert (found["second_phase"] == -1).all()
    assert found.attrs["map_by"] == "phasefront"
    assert np.isnan(found.attrs["decide_above"])


@pytest.mark.parametrize("suffix", ["ang", "h5"])
def test_what_is_less_sure_than_asked_for_is_undecided(tmp_path, crystals, suffix):
    paths, phase, _ = exported(tmp_path, crystals, shape=(6, 6), seed=2, step_nm=10.0)
    everything = import_map(
        read_map(paths[suffix]), crystals, name="s", least={QUALITY[suffix]: 0.0}
    )
    half = import_map(read_map(paths[suffix]), crystals, name="s", least={QUALITY[suffix]: 0.5})
    none = import_map(read_map(paths[suffix]), crystals, name="s", least={QUALITY[suffix]: 2.0})
    assert (everything["decision"].values[phase >= 0] >= 0).all()
    undecided = (half["decision"] == UNDECIDED).values
    assert 0 < undecided.sum() < (phase >= 0).sum()
    assert np.isnan(half["share"].values[undecided]).all()
    np.testing.assert_array_equal(
        none["decision"], np.where(phase < 0, UNINDEXED, UNDECIDED)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given_too", "sentence"),
    [
        ({"least": {"luck": 1}}, "maps.least: has no quality 'luck'; name some of 'image quality'"),
        ({"scan_step_nm": 20.0}, "its step along y is 10 nm, that of the table 20 nm; correct"),
        ({"given": {"Rich": "Other"}}, "'Other' is no phase of the experiment, which has Rich"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, crystals, given_too, sentence):
    paths, *_ = exported(tmp_path, crystals, shape=(3, 4), seed=3, step_nm=10.0)
    with pytest.raises(InputError) as refused:
        import_map(read_map(paths["ang"]), crystals, name="s", **given_too)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("in_file", "in_table", "step"),
    [(10.0, np.nan, 10.0), (10.0, 10.05, 10.05), (np.nan, 7.0, 7.0)],
)
@pytest.mark.parametrize("kind", ["ang", "ctf"])
def test_the_step_is_the_tables_else_the_files(tmp_path, crystals, kind, in_file, in_table, step):
    paths, *_ = exported(tmp_path, crystals, shape=(3, 4), seed=3, step_nm=in_file)
    found = import_map(read_map(paths[kind]), crystals, name="s", scan_step_nm=in_table)
    assert found.attrs["scan_step_nm"] == pytest.approx(step, rel=1e-6)


def test_phases_may_change_names(tmp_path, crystals):
    paths, phase, _ = exported(tmp_path, crystals, shape=(3, 4), seed=4, step_nm=10.0)
    renamed = [make_crystal(tmp_path, f"{c.name}Phase", CELLS[c.name]) for c in crystals]
    with pytest.raises(InputError, match="say in the config which phase of the experiment"):
        import_map(read_map(paths["ang"]), renamed, name="s")
    found = import_map(
        read_map(paths["ang"]), renamed, name="s", given={"Rich": "RichPhase", "2": "PoorPhase"}
    )
    np.testing.assert_array_equal(found["decision"], np.where(phase < 0, UNINDEXED, phase))


def test_grains_and_fractions_follow_without_confusion(tmp_path, crystals):
    paths, phase, _ = exported(tmp_path, crystals, shape=(6, 6), seed=5, step_nm=10.0)
    found = import_map(read_map(paths["h5"]), crystals, name="s")
    grains = find_grains(
        found, CandidatePhases(crystals), misorientation_deg=5.0, min_positions=1, scan_step_nm=10.0
    )
    counted = phase_fractions(
        found, grains, ion_contents=[1, 0], formula_volumes=[72.0, 68.0], draws=100, seed=1
    )
    area = counted.sel(kind="area")
    expected = np.bincount(phase[phase >= 0], minlength=2) / (phase >= 0).sum()
    np.testing.assert_allclose(area["found"], expected, atol=1e-12)
    assert counted["unindexed"] == (phase < 0).sum()
    assert counted["vacuum"] == 0
    assert np.isnan(counted["condition_number"])
    assert np.isfinite(counted["threshold"]).all()


def test_pictures_say_whose_map_it_is(tmp_path, crystals):
    paths, *_ = exported(tmp_path, crystals, shape=(5, 5), seed=6, step_nm=10.0)
    found = import_map(read_map(paths["h5"]), crystals, name="s")
    grains = find_grains(
        found, CandidatePhases(crystals), misorientation_deg=5.0, min_positions=1, scan_step_nm=10.0
    )
    by_name = {crystal.name: crystal for crystal in crystals}
    for figure, text in (
        (maps.draw_phase_map(found), "a map by phasefront"),
        (
            maps.draw_orientation_map(found, grains, by_name, camera=None),
            "Directions are those of the file",
        ),
        (maps.draw_reliability(found, grains, None), "This map was made by phasefront"),
    ):
        figure.canvas.draw()
        words = [t.get_text() for t in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
        assert any(text in word for word in words), words


def test_import_by_its_command_line(tmp_path, crystals):
    paths, phase, _ = exported(tmp_path, crystals, shape=(3, 4), seed=7, step_nm=10.0)

    def run(*options: str) -> subprocess.CompletedProcess:
        command = [sys.executable, ROOT / "scripts/import_map.py", "--map", paths["ang"]]
        command += [
            "--cifs",
            *[crystal.path for crystal in crystals],
            "--names",
            '["Rich", "Poor"]',
        ]
        command += ["--name", "s", "--phases", tmp_path / "phases.nc", *options]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    done = run("--step", "nan", "--settings", '{"least": {"luck": 1}}')
    assert done.returncode == 2
    assert "own.ang: maps.least: has no quality" in done.stderr, done.stderr
    assert not (tmp_path / "phases.nc").exists()
    done = run("--step", "10", "--settings", "{}")
    assert done.returncode == 0, done.stderr
    found = netcdf.read(tmp_path / "phases.nc", PHASES)
    np.testing.assert_array_equal(found["decision"], np.where(phase < 0, UNINDEXED, phase))
