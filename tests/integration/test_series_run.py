"""A series of two scans on a log whose electrode has an unknown mass, through a whole run."""

import json
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest
import xarray as xr

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
