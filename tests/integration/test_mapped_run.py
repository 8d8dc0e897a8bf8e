"""A whole run of maps that other programs made, beside a log and powder patterns."""

import csv
import json
import shutil

import numpy as np
import pytest
import yaml

from phasefront.core import netcdf
from phasefront.layouts.phases import PHASES

pytestmark = pytest.mark.slow


def test_maps_go_through_grains_fractions_and_comparison(finished_project, tmp_path):
    project = finished_project.copy(tmp_path / "project")
    small = yaml.safe_load((project.folder / project.config).read_text())
    del small["virtual"]
    folder = project.folder / "data"
    shutil.copytree(project.results / "raw", folder)
    for name in ("cycling", "powder"):
        path = project.folder / small["tables"][name]
        text = path.read_text().replace("results/small/raw", "data")
        (project.folder / f"config/mapped-{name}.tsv").write_text(text)
    table = project.folder / small["tables"]["scans"]
    scans = list(csv.DictReader(table.read_text().splitlines(), delimiter="\t"))
    rows = ["scan\tstate\tpath\tkind\tinstrument"]
    for row, suffix in zip(scans, ("ang", "ctf"), strict=True):
        shutil.copy(project.results / f"maps/{row['scan']}.{suffix}", folder)
        rows.append(f"{row['scan']}\t{row['state']}\tdata/{row['scan']}.{suffix}\tmap\tastar")
    (project.folder / "config/mapped-scans.tsv").write_text("\n".join(rows) + "\n")
    tables = {name: f"config/mapped-{name}.tsv" for name in ("scans", "cycling", "powder")}
    config = "config/mapped.yaml"
    (project.folder / config).write_text(
        yaml.safe_dump(small | {"run": "mapped", "tables": tables})
    )

    checked = project.command("check", config)
    assert checked.returncode == 0, checked.stderr
    assert "map grains-x2.5 by " in checked.stdout
    done = project.command("run", config, "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.command("verify", "results/mapped").stdout.endswith(" 0 problems\n")
    again = project.command("run", config, "--cores", "2")
    assert (again.returncode, again.stderr) == (0, "")

    summary = json.loads((project.folder / "results/mapped/summary.json").read_text())
    assert {state["state"] for state in summary["states"]} == {row["state"] for row in scans}
    for state in summary["states"]:
        assert all(state["x"].values())
    for row in scans:
        own = netcdf.read(project.results / f"phases/{row['scan']}.nc", PHASES)["decision"].values
        of_map = netcdf.read(project.folder / f"results/mapped/phases/{row['scan']}.nc", PHASES)[
            "decision"
        ].values
        np.testing.assert_array_equal(of_map[own >= 0], own[own >= 0])
    assert not (project.folder / "results/mapped/confusion").exists()
