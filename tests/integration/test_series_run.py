"""A series of two scans on a log whose electrode has an unknown mass, through a whole run."""

import json
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from phasefront.cli import running

# Of the virtual series: before, during and after the current, and a region without any.
KEPT = ("charging-01", "charging-08", "charging-12", "charging-20", "static-01", "static-02")


def edit(table, columns):
    """Set columns of a table, by the name in its first one."""
    frame = pd.read_csv(table, sep="\t", dtype=str, keep_default_na=False)
    for name, cells in columns.items():
        for column, cell in cells.items():
            frame.loc[frame.iloc[:, 0] == name, column] = cell
    frame.to_csv(table, sep="\t", index=False)


def in_situ(project):
    """The project with small scans of the virtual in situ series instead of the small run's."""
    experiment = yaml.safe_load((project.folder / "config/insitu.yaml").read_text())
    experiment |= {"run": "small", "orientations": {"resolution_deg": 4.0}}
    experiment["tables"] = {name: f"config/small/{name}.tsv" for name in ("scans", "cycling")}
    experiment["virtual"]["shape"] = [32, 32]
    del experiment["virtual"]["series"]["control"]
    for series in experiment["virtual"]["series"].values():
        # Scans so small have too few spots to be calibrated through a liquid.
        series |= {"grains": 3, "liquid_nm": 0}
    experiment["virtual"]["series"]["charging"]["fronts"] = {"pictured": 0}
    (project.folder / project.config).write_text(yaml.safe_dump(experiment))
    for name in experiment["tables"]:
        lines = (project.folder / f"config/insitu/{name}.tsv").read_text().splitlines()
        kept = [line for line in lines[1:] if name == "cycling" or line.startswith(KEPT)]
        text = "\n".join([lines[0], *kept]).replace("results/insitu", "results/small") + "\n"
        (project.folder / f"config/small/{name}.tsv").write_text(text)
    return project


@pytest.mark.slow
def test_a_series_on_an_electrode_of_unknown_mass(fresh_project, tmp_path):
    project = in_situ(fresh_project.copy(tmp_path / "series"))
    done = project.run()
    assert done.returncode == 0, done.stdout + done.stderr

    log = xr.load_dataset(project.results / "cycling/cell.nc", decode_times=False)
    # The log began at 9 o'clock in Paris, in summer; the microscope's clock is at winter time.
    assert log.attrs["started"] == "2025-07-14T09:00:00+02:00"
    for name, begins, dose in (("charging-01", 1500, 100), ("charging-20", 7559, 400)):
        placed = xr.load_dataset(project.results / f"times/{name}.nc", decode_times=False)
        y, x = np.indices((32, 32))
        time = begins + 30 + 2.2 * y + 0.03 * x
        np.testing.assert_allclose(placed["time"], time)
        for quantity in ("voltage", "charge"):
            along = np.interp(time, log["elapsed"], log[quantity])
            np.testing.assert_allclose(placed[quantity], along, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(placed["dose"], dose)
        assert placed.attrs["clock_offset_error_s"] == 10

    # Under a liquid the diffuse level is no thickness.
    fractions = xr.load_dataset(project.results / "fractions/charging-01.nc")
    assert fractions.attrs["molar_weight"] == "area"
    told = json.loads((project.results / "series.json").read_text())["series"]
    by_name = {one["series"]: one for one in told}
    assert by_name["static"]["cause"]["verdict"] == "nothing converts"
    assert by_name["charging"]["grains"]["converting"] >= 1
    assert by_name["charging"]["cause"]["verdict"] == "cannot be told"
    assert not any(scan["notes"] for scan in by_name["charging"]["scans"])
    mechanisms = json.loads((project.results / "mechanisms.json").read_text())
    assert mechanisms["series"] == [one["sentence"] for one in told]
    assert "Series charging" in (project.results / "explorer.html").read_text()
    for picture in ("filmstrip.png", "film.gif", "fronts.png", "cell.png"):
        assert (project.results / "figures/series/charging" / picture).stat().st_size > 5000

    compared = pd.read_csv(project.results / "comparison.csv")
    of_charge = compared[compared["source"] == "cycling"]
    assert of_charge[["value", "low", "high"]].isna().all(axis=None)
    with zipfile.ZipFile(project.results / "supplement.zip") as archive:
        names = archive.namelist()
        (name,) = [name for name in names if name.endswith("METHODS.md")]
        methods = archive.read(name).decode()
    assert any(name.endswith("series/charging.nc") for name in names)
    assert any(name.endswith("film.gif") for name in names)
    assert "The mass of active material of the galvanostatic log `cell` is not known" in methods
    assert "after an offset of 30 s of the scan's clock (± 10 s)" in methods
    assert "hidden Markov chain" in methods
    verified = project.command("verify", "results/small")
    assert verified.returncode == 0, verified.stdout + verified.stderr

    assert project.planned() == {}
    table = project.folder / "config/small/scans.tsv"
    after = {"follow_series": 1, "judge_series": 1, "draw_series": 1, "tabulate_mechanisms": 1,
             "draw_explorer": 1, "pack_supplement": 1}  # fmt: skip
    edit(table, {"charging-08": {"clock_offset_s": "31"}})
    planned = project.planned()
    assert {rule: planned[rule] for rule in after} == after
    assert planned["place_on_log"] == 1 and "align_series" not in planned
    edit(table, {"charging-08": {"clock_offset_s": "30", "electrons_per_position": "3e6"}})
    assert project.planned()["place_on_log"] == 4


def test_real_scans_are_placed_on_a_real_log(fresh_project, tmp_path, shared_data):
    project = fresh_project.copy(tmp_path / "real")
    (project.folder / "data").mkdir()
    for name, source in (
        ("a.blo", "scans/astar_3x2.blo"), ("b.mib", "scans/merlin_4x2_6bit.mib"),
        ("cell.mpr", "cycling/lfp_half_cell_c10.mpr"),
    ):  # fmt: skip
        shutil.copy(shared_data(source), project.folder / "data" / name)
    experiment = yaml.safe_load((project.folder / project.config).read_text())
    del experiment["virtual"]
    experiment["tables"] = {name: f"config/small/{name}.tsv" for name in ("scans", "cycling")}
    experiment["states"] = [{"name": "during", "log": "cell", "fraction": 0.5, "half_cycle": 1}]
    (project.folder / project.config).write_text(yaml.safe_dump(experiment))
    (project.folder / "config/small/cycling.tsv").write_text(
        "log\tpath\ttimezone\ncell\tdata/cell.mpr\tEurope/Zurich\n"
    )
    # The Merlin's frames have their times, of another year: its start is stated.
    columns = {"state": "during", "instrument": "astar", "series": "s", "log": "cell"}
    rows = [
        {"scan": "a", "path": "data/a.blo", "start": "2024-07-02T15:00:00+00:00", "dwell_ms": "40"},
        {"scan": "b", "path": "data/b.mib", "start": "2024-07-02T18:30:00+02:00",
         "scan_shape": "4 x 2"},
    ]  # fmt: skip
    pd.DataFrame([row | columns for row in rows]).to_csv(
        project.folder / "config/small/scans.tsv", sep="\t", index=False
    )
    wanted = [f"results/small/times/{scan}.nc" for scan in "ab"]
    done = project.call(running.snakemake([project.config], "--cores", "2", *wanted))
    assert done.returncode == 0, done.stderr
    log = xr.load_dataset(project.results / "cycling/cell.nc", decode_times=False)
    # From 10:18:08.932 in Zurich, which is 8:18:08.932 in UTC.
    for scan, hours in (("a", 15), ("b", 16.5)):
        placed = xr.load_dataset(project.results / f"times/{scan}.nc", decode_times=False)
        first = 3600 * hours - (8 * 3600 + 18 * 60 + 8.932)
        assert placed["time"].to_numpy()[0, 0] == pytest.approx(first, abs=1e-5)
        assert placed["charge"].to_numpy()[0, 0] == pytest.approx(
            np.interp(first, log["time"], log["charge"]), abs=1e-9
        )
        assert np.isnan(placed["dose"]).all()
    assert placed["time"].to_numpy()[3, 1] - first == pytest.approx(0.714, abs=1e-3)
