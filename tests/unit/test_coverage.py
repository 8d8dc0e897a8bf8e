"""The study of intervals: what is simulated, what the truth is, what is counted."""

import json
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from docs.make import coverage as coverage_page
from phasefront.core import netcdf
from phasefront.diffraction.crystals import read_crystals
from phasefront.diffraction.templates import simulate_templates
from phasefront.experiment.load import load
from phasefront.experiment.settings.coverage import CoverageSettings
from phasefront.layouts.templates import TEMPLATES
from phasefront.report.figures import coverage as figures
from phasefront.report.figures import style
from phasefront.virtual import bloch_waves, coverage, intervals, particles, specimen
from phasefront.virtual.particles import VirtualPhase

ROOT = Path(__file__).resolve().parents[2]
PHASES = [
    VirtualPhase("Na3", "Na3V2PO42F3", 3),
    VirtualPhase("Na2", "Na2V2PO42F3", 2),
    VirtualPhase("Na1", "NaV2PO42F3", 1),
]
SHAPE, THICKNESS = (20, 20), (28.0, 85.0)


def test_every_setting_comes_in_equally_many_scans():
    settings = CoverageSettings(scans=180)
    plan = coverage.plan_scans(settings, [3, 2, 1], seed=4)
    for column, values in (("insertion_model", particles.INSERTION_MODELS), ("grains", (5, 9, 14))):
        assert plan[column].value_counts().to_dict() == dict.fromkeys(values, 180 // len(values))
    assert (plan["ion_content"] <= 2).sum() in range(90, 101)  # pure ones belong to both pairs
    rich = plan["ion_content"] % 1
    for fraction in settings.rich[1:-1]:
        assert np.isclose(rich, fraction, atol=1e-9).sum() == 180 / len(settings.rich)
    assert plan["dose"].between(*settings.dose).all() and plan["seed"].is_unique
    # Settings are drawn independently: no model goes with one number of grains.
    both = pd.crosstab(plan["insertion_model"], plan["grains"])
    assert both.to_numpy().min() > 8
    pd.testing.assert_frame_equal(plan, coverage.plan_scans(settings, [3, 2, 1], seed=4))


def test_covered_area_goes_from_none_to_all():
    for model in particles.INSERTION_MODELS:
        covered = coverage.covered_area(model, 6, SHAPE, THICKNESS, 1)
        assert covered[0] == 0 and covered[-1] == 1
        assert (np.diff(covered) > 0).all()
    middle = slice(3, -3)
    shares = coverage.covered_area("all-or-none", 6, SHAPE, THICKNESS, 1)
    # A core is thicker than its shell, so it covers less area than volume.
    core = coverage.covered_area("core-shell", 6, SHAPE, THICKNESS, 1)
    assert (core[middle] < shares[middle] - 0.01).all()


@pytest.mark.parametrize("model", particles.INSERTION_MODELS)
def test_scanned_areas_have_the_populations_fractions_on_average(model):
    """The truth of the population is the expectation of what a scan of it shows."""
    curve = coverage.covered_area(model, 6, SHAPE, THICKNESS, 1)
    errors = []
    for seed in range(60):
        grown = specimen.make_specimen(
            scan="s", material="nvpf", phases=PHASES, ion_content=2.3, insertion_model=model,
            seed=seed, shape=SHAPE, grains=6, thickness_nm=THICKNESS, independent=True,
        )  # fmt: skip
        truth = grown.truth(np.zeros((*SHAPE, 2)), np.eye(2))
        volumes = np.array(truth.attrs["phase_formula_volume"])
        population = coverage.of_population(grown, curve, volumes)
        scanned = coverage.of_area(truth, volumes)
        assert population["molar"] == pytest.approx([0.3, 0.7, 0])
        errors.append([scanned[kind] - population[kind] for kind in ("area", "thickness", "molar")])
        for kind in scanned:
            assert scanned[kind].sum() == pytest.approx(1) == population[kind].sum()
    mean, stderr = np.mean(errors, axis=0), np.std(errors, axis=0) / np.sqrt(len(errors))
    assert (np.abs(mean) <= 3.5 * stderr + 1e-9).all()
    if model != "all-or-none":
        assert stderr.max() < 0.01


def made_up_table(scans=40):
    """Intervals of which every fifth of the rich phase misses, and errors of 0.02 and -0.02."""
    rows = []
    for scan in range(1, scans + 1):
        rich = (0.0, 0.1, 0.5, 0.9, 1.0)[scan % 5]
        for kind in ("area", "molar"):
            for phase, role, truth in (("a", "rich", rich), ("b", "poor", 1 - rich),
                                       ("c", "absent", 0.0)):  # fmt: skip
                error = {"rich": 0.02, "poor": -0.02, "absent": 0.0}[role]
                miss = role == "rich" and scan % 5 == 2
                low, high = (0.55, 0.8) if miss else (0.0, 1.0)
                rows.append({
                    "scan": scan, "ion_content": 2 + rich,
                    "insertion_model": ("core-shell", "all-or-none")[scan % 2],
                    "kind": kind, "phase": phase, "role": role, "population": truth,
                    "scanned": truth + 0.01, "found": truth + error, "unfolded": truth + error / 2,
                    "low": low, "high": high,
                    "effective_grains": 3.0 + scan % 9,
                })  # fmt: skip
    return pd.DataFrame(rows)


def test_shares_and_errors_are_counted_by_group():
    found = intervals.summarise(made_up_table())
    shares = {(one["kind"], one["by"], one["group"]): one for one in found["coverage"]}
    assert shares["area", "all", "all"]["covered"] == pytest.approx(1 - 8 / 120)
    mixture = shares["molar", "truth", "mixture"]
    assert (mixture["scans"], mixture["covered"]) == (24, pytest.approx(1 - 8 / 48))
    assert shares["area", "fraction of the rich phase", "0.2 to 0.8"]["covered"] == 0
    assert shares["area", "role", "poor"]["width"] == 1
    # Wilson's interval of 32 of 40.
    rich = shares["area", "role", "rich"]
    assert rich["scans"] == 40
    share, count, z = 0.8, 40, 1.959964
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    assert (rich["covered_low"], rich["covered_high"]) == pytest.approx(
        (middle - half, middle + half)
    )
    bias = {
        (one["kind"], one["by"], one["group"]): one
        for one in found["bias"]
        if one["estimate"] == "found"
    }
    assert bias["area", "role", "rich"]["bias"] == pytest.approx(0.02)
    assert bias["area", "role", "rich"]["bias_of_area"] == pytest.approx(0.01)
    assert bias["molar", "role", "poor"]["bias"] == pytest.approx(-0.02)
    assert bias["molar", "role", "absent"]["bias_stderr"] == pytest.approx(0)
    unfolded = next(
        one
        for one in found["bias"]
        if (one["estimate"], one["by"], one["group"]) == ("unfolded", "role", "rich")
    )
    assert unfolded["bias"] == pytest.approx(0.01)
    # The errors of all phases cancel: a mean over them says nothing and is not given.
    assert ("area", "all", "all") not in bias


def test_the_page_says_what_was_counted(tmp_path, monkeypatch):
    study, grains = tmp_path / "coverage.json", tmp_path / "electrode.json"
    study.write_text(json.dumps(intervals.summarise(made_up_table())))
    rows = [{"mechanism": "whole", "grains": n, "scans": 7, "covered": c, "width": 0.25}
            for n, c in ((4, 0.95), (8, 0.99))]  # fmt: skip
    grains.write_text(json.dumps({"rows": rows}))
    monkeypatch.setattr(coverage_page, "STUDY", study)
    monkeypatch.setattr(coverage_page, "GRAINS", grains)
    page = coverage_page.page()
    assert "| whole | 0.950, 0.25 | 0.990, 0.25 |" in page
    assert "1 of 2 fields lie in 0.92 to 0.98, all in 0.950 to 0.990." in page
    assert "| **both phases of a mixture** | 24 | 0.833 " in page
    assert "| the ion-rich one | 40 | +0.0000 ± 0.0000 |" in page


def test_figure_shows_every_group(tmp_path):
    table = made_up_table()
    with mpl.rc_context({"font.size": 30}):
        figure = figures.draw_coverage(table, intervals.summarise(table))
    scans, shares, errors = figure.axes
    labels = [label.get_text() for label in shares.get_yticklabels()]
    assert labels[0] == "all" and "core-shell" in labels and "mixture" in labels
    assert len(errors.get_yticks()) == len(labels)
    legend = [text.get_text() for text in scans.get_legend().get_texts()]
    assert legend == ["holds it (16)", "does not (8)", "value"]
    for name in ("a.png", "b.png"):
        style.save(figures.draw_coverage(table, intervals.summarise(table)), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    experiment = load(ROOT / "config/demo.yaml")
    material = experiment.material
    crystals = read_crystals([ROOT / phase.cif for phase in material.phases], material.names)
    path = tmp_path_factory.mktemp("coverage") / "astar.nc"
    made = simulate_templates(crystals, voltage_kv=200, precession_deg=0.8, resolution_deg=4)
    netcdf.write(made, path, TEMPLATES)
    return path


@pytest.mark.slow
def test_study_by_its_command_line(tmp_path, templates):
    """Two small scans, twice: the same bytes; then their summary."""
    experiment = load(ROOT / "config/demo.yaml")
    names = "virtual", "spots", "orientations", "phases", "grains", "fractions"
    sections = {name: experiment.section(name) for name in names}
    sections["material"] = experiment.section("material.candidates")
    sections["instrument"] = experiment.instruments["astar"].model_dump_json(exclude={"camera"})
    settings = CoverageSettings(scans=2, shape=(14, 14), grains=[3], rich=[0.5], simulated=20)
    sections["coverage"] = settings.model_dump_json()
    for name in ("one.csv", "two.csv"):
        done = subprocess.run(
            [
                sys.executable, "scripts/simulate_coverage.py",
                "--intensities", bloch_waves.DATA_FILE, "--templates", templates, "--cifs",
                *(phase.cif for phase in experiment.material.phases), "--part", "0", "--seed", "7",
                *(part for key, text in sections.items() for part in (f"--{key}", text)),
                "--table", tmp_path / name,
            ],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "2 of 2 scans" in done.stdout
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    table = pd.read_csv(tmp_path / "one.csv")
    assert len(table) == 2 * table["kind"].nunique() * 3
    for _, rows in table.groupby(["scan", "kind"]):
        for column in ("population", "scanned", "found"):
            assert rows[column].sum() == pytest.approx(1, abs=1e-6)
        assert (rows["low"] <= rows["found"]).all() and (rows["found"] <= rows["high"]).all()
        assert (rows["found"] - rows["scanned"]).abs().max() < 0.15
    done = subprocess.run(
        [
            sys.executable, "scripts/study_coverage.py", "--parts", tmp_path / "one.csv",
            "--table", tmp_path / "all.csv", "--summary", tmp_path / "summary.json",
            "--figure", tmp_path / "figure.png",
        ],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    whole = next(one for one in summary["coverage"] if one["by"] == "all")
    assert whole["scans"] == 2 and 0 <= whole["covered_low"] <= whole["covered_high"] <= 1
    assert (tmp_path / "figure.png").stat().st_size > 10_000
