"""A sweep on a finished run: what runs, and what comes out."""

import sys

import pandas as pd
import pytest
import xarray as xr
import yaml
from test_run import digests

from phasefront.audit import number
from phasefront.experiment.variants import column


def add_config(project, **sections) -> str:
    """A config file of these sections, beside the experiment's."""
    name = f"config/{'-'.join(sections)}.yaml"
    (project.folder / name).write_text(yaml.safe_dump(sections))
    return name


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        (
            # Three by three around the run's own 4 and 0.95: eight variants of two scans.
            {
                "orientations.resolution_deg": [3, 4, 5], "phases.decide_above": [0.9, 0.95, 0.99]
            },
            {
                "simulate_templates": 2, "find_orientations": 4, "decide_phases": 16,
                "find_grains": 16, "simulate_confusion": 16, "count_fractions": 16,
                "pool_fractions": 16, "compare_sources": 8, "summarise_sweep": 1,
                "pack_supplement": 1,
            },
        ),
        (
            {"powder.background_terms": [8, 10], "comparison.margin": [0.1, 0.2]},
            {
                "fit_pattern": 4, "compare_sources": 4, "summarise_sweep": 1, "pack_supplement": 1
            },
        ),
    ],
    ids=["indexing and decision", "powder and comparison"],
)  # fmt: skip
def test_a_sweep_runs_what_its_settings_reach_and_no_more(
    finished_project, tmp_path, grid, expected
):
    project = finished_project.copy(tmp_path / "copy")
    assert project.planned(add_config(project, sweep={"grid": grid})) == expected


def assert_traced_within_its_variant(project, table: pd.DataFrame, variant: str) -> None:
    """A fraction of the sweep's table goes back to the comparison and the scan of its variant."""
    row = {"variant": variant, "state": "x2.5", "quantity": "fraction", "source": "stem",
           "phase": "Na3"}  # fmt: skip
    value = table[(table[list(row)] == pd.Series(row)).all(axis=1)]["value"].item()
    found = number.trace(project.results / "sweep.csv", f"{value:.12f}")
    where = f"row {', '.join(row.values())}; column value"
    (traced,) = (one for one in found.traces if one.place.where == where)
    setting, _, label = variant.partition("=")
    folder = f"results/small/sweep/{column(setting)}~{label}"
    # Other variants may have found the very same.
    assert {place.path for place in traced.before} >= {
        f"{folder}/comparison.nc", f"{folder}/fractions/grains-x2.5.nc"
    }  # fmt: skip


@pytest.mark.slow
def test_a_variant_has_the_results_of_a_run_with_its_settings(finished_project, tmp_path):
    project = finished_project.copy(tmp_path / "swept")
    wanted = [{"phases.decide_above": 0.6}, {"grains.misorientation_deg": 8}]
    sweep = add_config(project, sweep={"combinations": wanted})
    before = digests(project)
    done = project.run(sweep)
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.planned(sweep) == {}
    after = digests(project)
    # The supplement packs the sweep too.
    assert {path for path in before if after[path] != before[path]} == {
        "results/small/supplement.zip"
    }
    verified = project.command("verify", "results/small")
    assert verified.returncode == 0, verified.stderr

    table = pd.read_csv(project.results / "sweep.csv")
    assert list(dict.fromkeys(table["variant"])) == [
        "run", "phases.decide_above=0.6", "grains.misorientation_deg=8"
    ]  # fmt: skip
    undecided = table[table["quantity"] == "undecided"].set_index(["variant", "state"])["value"]
    for state in ("x3.0", "x2.5"):
        assert undecided["phases.decide_above=0.6", state] <= undecided["run", state]
    assert_traced_within_its_variant(project, table, "phases.decide_above=0.6")

    changed = finished_project.copy(tmp_path / "changed")
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "results/small/comparison.nc"]
    config = add_config(changed, phases={"decide_above": 0.6})
    done = changed.call([*command, "--configfile", changed.config, config])
    assert done.returncode == 0, done.stderr
    variant = project.results / "sweep/phases__decide_above~0.6"
    for name in ("comparison.nc", "fractions/grains-x2.5.nc"):
        one, other = (xr.load_dataset(folder / name) for folder in (variant, changed.results))
        xr.testing.assert_equal(one, other)
