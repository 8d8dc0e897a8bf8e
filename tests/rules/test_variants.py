"""Where the variants of a sweep find and leave results, told from the rules themselves."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

from phasefront.experiment.sweep import SWEPT
from phasefront.experiment.variants import column
from phasefront.records.context import VARIABLE

ROOT = Path(__file__).resolve().parents[2]
# One setting of each section, with a value that is not the demo's own.
CHANGES = {
    "calibration.patterns": 200,
    "spots.position_sigma": 0.006,
    "orientations.resolution_deg": 3.0,
    "phases.decide_above": 0.9,
    "grains.min_positions": 12,
    "fractions.draws": 1000,
    "powder.background_terms": 10,
    "comparison.margin": 0.2,
}
BEFORE_PHASES = ("calibration", "spots", "orientations")
BEFORE_FRACTIONS = (*BEFORE_PHASES, "phases", "grains")
# Sections that each result depends on, itself and through what it is made of.
DEPENDS = {
    "scans/grains-x2.5.nc": (),
    "truth/grains-x2.5.nc": (),
    "cycling/charge.nc": (),
    "templates/astar.nc": ("orientations",),
    "calibration/grains-x2.5.nc": ("calibration", "spots"),
    "spots/grains-x2.5.nc": ("calibration", "spots"),
    "orientations/grains-x2.5.nc": BEFORE_PHASES,
    "phases/grains-x2.5.nc": (*BEFORE_PHASES, "phases"),
    "maps/grains-x2.5.ang": BEFORE_FRACTIONS,
    "grains/grains-x2.5.nc": BEFORE_FRACTIONS,
    "fractions/grains-x2.5.nc": (*BEFORE_FRACTIONS, "fractions"),
    "states/x2.5.nc": (*BEFORE_FRACTIONS, "fractions"),
    "powder/powder-x2.5.nc": ("powder",),
    "figures/powder/powder-x2.5.png": ("powder",),
    "comparison.nc": SWEPT,
}


@pytest.fixture(scope="module")
def located(tmp_path_factory):
    """`located` of the rules, for the demo with a sweep over every section."""
    swept = tmp_path_factory.mktemp("sweep") / "sweep.yaml"
    swept.write_text(yaml.safe_dump({"sweep": {"combinations": [CHANGES]}}))
    with (
        pytest.MonkeyPatch.context() as patch,
        SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api,
    ):
        patch.chdir(ROOT)
        patch.setenv(VARIABLE, "{}")  # what the rules leave there goes with it
        loaded = api.workflow(
            ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[ROOT / "config/demo.yaml", swept]),
            snakefile=ROOT / "Snakefile",
        )._get_workflow()
        loaded.include(ROOT / "Snakefile", overwrite_default_target=True)
        yield loaded.globals["located"]


def folder(changes):
    """Folder of a variant that changes these settings."""
    parts = [f"{column(path)}~{value:g}/" for path, value in CHANGES.items() if path in changes]
    return f"sweep/{''.join(parts)}" if parts else ""


def test_every_section_is_tried():
    assert {change.partition(".")[0] for change in CHANGES} == set(SWEPT)


@settings(deadline=None)  # rules are looked up, some at first use
@given(changes=st.sets(st.sampled_from(sorted(CHANGES))), path=st.sampled_from(sorted(DEPENDS)))
def test_a_result_lies_under_the_changes_that_it_depends_on(located, changes, path):
    of_it = {change for change in changes if change.partition(".")[0] in DEPENDS[path]}
    assert located(path, folder(changes)) == f"results/demo/{folder(of_it)}{path}"


@settings(deadline=None)  # rules are looked up, some at first use
@given(
    one=st.sets(st.sampled_from(sorted(CHANGES))),
    other=st.sets(st.sampled_from(sorted(CHANGES))),
    path=st.sampled_from(sorted(DEPENDS)),
)
def test_variants_share_a_result_where_they_agree_on_all_it_depends_on(located, one, other, path):
    agree = all(change.partition(".")[0] not in DEPENDS[path] for change in one ^ other)
    assert (located(path, folder(one)) == located(path, folder(other))) == agree


def test_a_sweep_in_a_file_of_its_own_is_refused_by_name(tmp_path):
    swept = tmp_path / "sweep.yaml"
    swept.write_text("sweep: {grid: {phases.decide_above: [0.9, 1.5]}}\n")
    done = subprocess.run(
        [sys.executable, "-m", "phasefront", "check", "config/demo.yaml", swept],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        f"config/demo.yaml {swept}: sweep.phases.decide_above: 1.5 cannot be used: input should be"
        " less than 1; correct the value.\n"
    )


def commands(*configs):
    """Commands of a complete run, as a dry run prints them, and nothing made yet."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--configfile", *map(str, configs), "--dry-run",
         "--forceall", "--printshellcmds"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {line.strip() for line in done.stdout.splitlines() if "python scripts/" in line}


@pytest.mark.slow
def test_a_variant_runs_what_a_run_with_its_settings_would(tmp_path):
    swept, changed = tmp_path / "sweep.yaml", tmp_path / "changed.yaml"
    swept.write_text(yaml.safe_dump({"sweep": {"combinations": [CHANGES]}}))
    sections = {}
    for path, value in CHANGES.items():
        section, _, name = path.partition(".")
        sections[section] = {name: value}
    changed.write_text(yaml.safe_dump(sections))
    expected = commands("config/demo.yaml", changed)
    varied = {line for line in commands("config/demo.yaml", swept) if "/sweep/" in line}
    varied = {line for line in varied if "summarise_sweep" not in line}
    stages = {re.search(r"scripts/(\w+)\.py", line)[1] for line in varied}
    assert stages >= {"calibrate_scan", "find_spots", "simulate_templates", "fit_pattern"}
    assert len(varied) == 5 * 9 + 1 + 1
    assert {re.sub(r"sweep/(\w+~[^/]+/)+", "", line) for line in varied} <= expected


def test_rules_take_what_may_be_swept_from_the_variant():
    """Only `stated(...)` and `experiment_of(...)` know of variants; PLAN is the run's own."""
    allowed = "PLAN.experiment.calibration.standard"  # sections are not swept
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        text = path.read_text().replace(allowed, "")
        assert not re.findall(rf"PLAN\.experiment\.(?:{'|'.join(SWEPT)})\b", text), path
        inputs = re.findall(r"input:(.*?)output:", text, flags=re.DOTALL)
        assert not any("RUN_OR_VARIANT" in part for part in inputs), path
