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

SCANS = {
    "grains-x3.0": {"start": "2025-03-03T08:10:00+00:00", "electrons_per_position": "1e6"},
    "grains-x2.5": {"start": "2025-03-03T14:00:00+05:30", "electrons_per_position": "2e6"},
}
SERIES = {"series": "charging", "log": "charge", "dwell_ms": "20", "clock_offset_error_s": "2"}


def add_columns(table, columns):
    """Columns of a table, by the name in its first one."""
    frame = pd.read_csv(table, sep="\t", dtype=str, keep_default_na=False)
    for name, cells in columns.items():
        for column, cell in cells.items():
            frame.loc[frame.iloc[:, 0] == name, column] = cell
    frame.to_csv(table, sep="\t", index=False)


@pytest.mark.slow
def test_a_series_on_an_electrode_of_unknown_mass(finished_project, tmp_path):
    project = finished_project.copy(tmp_path / "series")
    (project.folder / "data").mkdir()
    shutil.copy(project.results / "raw/charge.mpt", project.folder / "data")
    (project.folder / "config/small/cycling.tsv").write_text(
        "log\tpath\ttimezone\ncharge\tdata/charge.mpt\tEurope/Paris\n"
    )
    scans = {name: SERIES | cells for name, cells in SCANS.items()}
    add_columns(project.folder / "config/small/scans.tsv", scans)
    done = project.run()
    assert done.returncode == 0, done.stdout + done.stderr

    log = xr.load_dataset(project.results / "cycling/charge.nc", decode_times=False)
    # The log began at 9 o'clock in Paris, in winter.
    assert log.attrs["started"] == "2025-03-03T09:00:00+01:00"
    for name, begins, dose in (("grains-x3.0", 600, 100), ("grains-x2.5", 1800, 300)):
        placed = xr.load_dataset(project.results / f"times/{name}.nc", decode_times=False)
        time = begins + 0.02 * np.arange(24 * 24).reshape(24, 24)
        np.testing.assert_allclose(placed["time"], time)
        for quantity in ("voltage", "charge"):
            along = np.interp(time, log["elapsed"], log[quantity])
            np.testing.assert_allclose(placed[quantity], along, rtol=1e-9)
        np.testing.assert_allclose(placed["dose"], dose)
        assert placed.attrs["clock_offset_error_s"] == 2

    states = json.loads((project.results / "summary.json").read_text())["states"]
    assert [state["x"]["cycling"] for state in states] == [None, None]
    assert all(state["x"]["stem"]["value"] for state in states)
    compared = pd.read_csv(project.results / "comparison.csv")
    of_charge = compared[compared["source"] == "cycling"]
    assert of_charge[["value", "low", "high"]].isna().all(axis=None)
    with zipfile.ZipFile(project.results / "supplement.zip") as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("METHODS.md")]
        methods = archive.read(name).decode()
    assert "The mass of active material of the galvanostatic log `charge` is not known" in methods
    assert "of the series `charging` were placed on the log `charge`" in methods
    assert "after an offset of 0 s of the scan's clock (± 2 s)" in methods

    assert project.planned() == {}
    table = project.folder / "config/small/scans.tsv"
    add_columns(table, {"grains-x3.0": {"clock_offset_s": "1"}})
    planned = project.planned()
    assert planned.pop("place_on_log") == 1 and set(planned) <= {"pack_supplement"}
    add_columns(table, {"grains-x3.0": {"clock_offset_s": "", "electrons_per_position": "3e6"}})
    planned = project.planned()
    assert planned.pop("place_on_log") == 2 and set(planned) <= {"pack_supplement"}
    cells = {"electrons_per_position": "1e6", "start": "2025-03-03T08:11:00+00:00"}
    add_columns(table, {"grains-x3.0": cells})
    planned = project.planned()
    assert (planned["describe_scan"], planned["place_on_log"]) == (1, 2)


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
