"""An operando powder series on a log, through a whole run: no scan, no pattern of a state."""

import zipfile

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from benchmarks import powder_series as virtual
from phasefront.core import netcdf
from phasefront.experiment.batches import PATTERNS_IN_A_PART
from phasefront.layouts.powder_series import POWDER_SERIES

pytestmark = pytest.mark.slow

PATTERNS = PATTERNS_IN_A_PART + 4
TABLE = (
    "pattern\tseries\tlog\tpath\twavelength\tclock_offset_s\n"
    f"frames\tcharging\tcell\tdata/frame_*.xye\t{virtual.WAVELENGTH}\t\n"
)
COLUMNS = '{"time": ["time", "s"], "voltage": ["E", "V"], "current": ["I", "mA"]}'


def write_experiment(project, patterns: int = PATTERNS):
    data, config = project.folder / "data", project.folder / "config"
    data.mkdir()
    virtual.write_series(data, patterns)
    time = np.arange(0.0, virtual.APART_S * patterns + 121, 10)
    current = np.where(time < time[-1] / 2, 0.5, -0.5)
    log = pd.DataFrame({"time": time, "E": 3.4 + 1e-5 * time, "I": current})
    log.to_csv(data / "cell.csv", index=False)
    # A minute before the patterns, on another clock of the world.
    (config / "small/cycling.tsv").write_text(
        f"log\tpath\tcolumns\tstart\ncell\tdata/cell.csv\t{COLUMNS}\t2025-03-03T08:59:00+01:00\n"
    )
    (config / "small/powder.tsv").write_text(TABLE)
    lfp = yaml.safe_load((config / "lfp.yaml").read_text())
    experiment = {
        "run": "small", "material": lfp["material"],
        "tables": {name: f"config/small/{name}.tsv" for name in ("cycling", "powder")},
        "states": [{"name": "rich", "log": "cell", "time_h": 0}],
    }  # fmt: skip
    (project.folder / project.config).write_text(yaml.safe_dump(experiment))


def test_a_series_goes_from_files_to_curves_on_its_log(fresh_project, tmp_path):
    project = fresh_project.copy(tmp_path / "operando")
    write_experiment(project)
    checked = project.command("check", project.config)
    assert checked.returncode == 0, checked.stderr
    assert f"batch frames of the series charging, {PATTERNS} patterns, 0 of them" in checked.stdout
    done = project.run()
    assert done.returncode == 0, done.stdout + done.stderr

    found = netcdf.read(project.results / "powder_series/charging.nc", POWDER_SERIES)
    np.testing.assert_allclose(found["time"], 60 + virtual.APART_S * np.arange(PATTERNS))
    log = xr.load_dataset(project.results / "cycling/cell.nc", decode_times=False)
    # Voltage is straight in time: its mean is that of the middle.
    middle = found["time"] + virtual.EXPOSURE_S / 2
    np.testing.assert_allclose(found["voltage"], 3.4 + 1e-5 * middle, rtol=1e-9)
    along = np.interp(middle, log["elapsed"], log["charge"])
    np.testing.assert_allclose(found["charge"], along, atol=1e-3)
    truth = virtual.rich_share(PATTERNS)
    share, esd = (found[f"molar_fraction{end}"].to_numpy()[:, 0] for end in ("", "_esd"))
    assert (np.abs(share - truth) < 5 * esd + 1e-3).all()
    table = pd.read_csv(project.results / "powder_series/charging.csv")
    assert len(table) == 2 * PATTERNS
    with zipfile.ZipFile(project.results / "supplement.zip") as archive:
        texts = {name.rpartition("/")[2]: name for name in archive.namelist()}
        methods = archive.read(texts["METHODS.md"]).decode()
        columns = archive.read(texts["COLUMNS.md"]).decode()
    assert f"{PATTERNS} powder patterns of the operando series `charging`" in methods
    assert "after an offset of 0 s of the patterns' clock whose error is not known" in methods
    assert "## powder_series/*.csv" in columns
    verified = project.command("verify", "results/small")
    assert verified.stdout.endswith(" 0 problems\n"), verified.stdout
    more = project.folder / f"data/frame_{PATTERNS}.xye"
    more.write_bytes((project.folder / "data/frame_0.xye").read_bytes())
    verified = project.command("verify", "results/small")
    assert (
        f"{more.relative_to(project.folder)} is now of the batch frames"
        in verified.stdout + verified.stderr
    )
    more.unlink()

    assert project.planned() == {}
    after_times = {"gather_powder_series": 1, "draw_powder_series": 1, "pack_supplement": 1}
    powder = project.folder / "config/small/powder.tsv"
    powder.write_text(TABLE[:-1] + "1.5\n")
    assert project.planned() == after_times | {"place_patterns": 1}
    powder.write_text(TABLE.replace("0.4127", "0.4128"))
    assert project.planned() == after_times | {"fit_batch": 2}
    powder.write_text(TABLE)
    frame = project.folder / f"data/frame_{PATTERNS - 1}.xye"
    frame.write_text(frame.read_text().replace(" s\n", " s \n"))
    assert project.planned() == after_times | {"fit_batch": 1, "place_patterns": 1}


def test_a_series_that_is_not_on_its_log_is_refused_in_a_sentence(fresh_project, tmp_path):
    project = fresh_project.copy(tmp_path / "late")
    write_experiment(project, patterns=2)  # the first one is refused, however many follow
    powder = project.folder / "config/small/powder.tsv"
    powder.write_text(TABLE[:-1] + "7200\n")
    done = project.run()
    assert done.returncode != 0
    said = "data/frame_0.xye: start: the pattern was measured from 7260 to 7290 s of the log 'cell'"
    assert said in done.stdout + done.stderr
    assert not (project.results / "powder_series/charging.nc").exists()
