"""What `check` says of each file: a wrong unit is seen before an hour of computing."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from projects import ROOT
from rsciio import blockfile

from phasefront.cli.inspection import inspect
from phasefront.core.errors import InputError
from phasefront.experiment.plan import Plan

SCAN, LOG, PATTERN = "scan.blo", "charge.csv", "p.xye"


def write_scan(path, step_nm, pixels=64):
    axes = [
        {"name": name, "size": size, "scale": step_nm, "offset": 0.0, "units": unit,
         "navigate": i < 2, "index_in_array": i, "_type": "UniformDataAxis"}
        for i, (name, size, unit) in enumerate(
            zip(("y", "x", "ky", "kx"), (3, 4, pixels, pixels), ("nm", "nm", "cm", "cm"),
                strict=True)
        )
    ]  # fmt: skip
    data = np.random.default_rng(0).integers(0, 200, (3, 4, pixels, pixels)).astype("uint8")
    blockfile.file_writer(
        str(path),
        {"data": data, "axes": axes, "metadata": {}, "original_metadata": {},
         "attributes": {"_lazy": False}},
        intensity_scaling=None, navigator=None, show_progressbar=False,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An experiment with one real file of each kind, made here; the working folder."""
    monkeypatch.chdir(tmp_path)
    write_scan(tmp_path / SCAN, 5.0)
    time = np.arange(0.0, 7200.1, 10.0)
    log = {"Test Time / s": time, "Voltage / V": 3.4 + time / 1e4, "Current / A": 1e-4}
    pd.DataFrame(log).to_csv(tmp_path / LOG, index=False)
    angle = np.arange(4.0, 12.0, 0.05)
    (tmp_path / PATTERN).write_text("".join(f"{a:.4f} 1000 31.6\n" for a in angle))
    demo = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    del demo["virtual"]
    demo["instruments"]["astar"]["scale"] = 0.04
    demo["states"] = [{"name": "x3.0", "log": "charge", "fraction": 1}]
    demo["tables"] = {name: f"{name}.tsv" for name in demo["tables"]}
    for phase in demo["material"]["phases"]:
        phase["cif"] = str(ROOT / phase["cif"])
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(demo))
    tables = {
        "scans": f"scan\tstate\tpath\tinstrument\tscan_step_nm\ns\tx3.0\t{SCAN}\tastar\t5\n",
        "cycling": f"log\tpath\tmass_mg\ncharge\t{LOG}\t2\n",
        "powder": f"pattern\tstate\tpath\twavelength\np\tx3.0\t{PATTERN}\t0.4127\n",
    }
    for name, text in tables.items():
        (tmp_path / f"{name}.tsv").write_text(text)
    return tmp_path


def lines():
    """What is said of each file, by its name."""
    return {str(line).partition(": ")[0].rpartition("/")[2]: str(line)
            for line in inspect(Plan.load("mine.yaml"))}  # fmt: skip


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_each_file_is_opened_and_described(folder):
    said = lines()
    assert "phase Na2, F6 Na4 O16 P4 V4 in the cell, as 2 formula units" in said["Na2V2PO42F3.cif"]
    assert "I 4/m m m, a = 6.3000, b = 6.3000, c = 10.8500" in said["Na2V2PO42F3.cif"]
    scan = said[SCAN]
    assert "scan s, 3 x 4 positions by the file, camera of 64 x 64 pixels, uint8, step 5 nm" in scan
    assert "voltage 200 kV by the config" in scan
    assert "1.28 1/angstrom from centre to edge" in scan
    assert "BUT" not in scan
    assert said[LOG].startswith(
        f"{LOG}: log charge, 721 records in 2 h, 1 half cycles, 0.2 mAh between its most and least"
        " charged, 100 mAh/g of 2 mg or 52 % of all its Na, 3.4 to 4.12 V, 0.1 to 0.1 mA"
    )
    assert said[PATTERN].startswith(
        f"{PATTERN}: pattern p, 160 points, 4 to 11.95 degrees at 0.4127 angstrom, d from 5.913 to"
        " 1.982 angstrom, intensity to 1000"
    )


def test_what_a_header_and_the_config_say_otherwise_stands_out(folder):
    write_scan(folder / SCAN, 6.0)
    assert "step 6 nm in it, BUT 5 nm by the table, which is used" in lines()[SCAN]
    write_scan(folder / SCAN, 12.0)
    assert "its header says a step of 12 nm, the table of scans 5 nm" in lines()[SCAN]


@pytest.mark.parametrize(
    ("amperes", "stands_out"), [(1e-7, True), (1e-4, False), (1.4e-4, False), (1e-1, True)]
)
def test_a_charge_that_no_electrode_has_stands_out(folder, amperes, stands_out):
    """Milliampere in a column of ampere, and the other way round: 128 mAh/g are all its Na."""
    replace(folder / "cycling.tsv", f"{LOG}\t2", f"{LOG}\t1.56")
    log = pd.read_csv(folder / LOG).assign(**{"Current / A": amperes})
    log.to_csv(folder / LOG, index=False)
    assert ("BUT no electrode gives" in lines()[LOG]) == stands_out


def test_check_says_where_each_state_is_or_that_it_is_not_on_the_log(folder):
    assert lines()[LOG].endswith("; state x3.0 at 2 h, 4.12 V")
    replace(folder / "mine.yaml", "fraction: 1", "time_h: 2.5")
    assert "state x3.0: time_h = 2.5 is not reached, the log has 2 h" in lines()[LOG]


def test_two_states_at_one_moment_of_a_log_are_refused(folder):
    """As when a line of the config was copied, and its place was not changed."""
    config = yaml.safe_load((folder / "mine.yaml").read_text())
    config["states"].append(config["states"][0] | {"name": "x2.5"})
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    assert "states x3.0 and x2.5 are both at 2 h; correct where one of them is" in lines()[LOG]


def test_a_pattern_in_which_no_phase_has_a_line_is_refused(folder):
    """Of small angles: spacings of 22 angstrom and more."""
    rows = "".join(f"{a:.4f} 1000 31.6\n" for a in np.arange(0.5, 1.07, 0.001))
    (folder / PATTERN).write_text("# 2theta(deg) counts sigma\n" + rows)
    assert "its spacings are above 22.12 angstrom, where no phase has" in lines()[PATTERN]


@pytest.mark.parametrize("path", [SCAN, f"./{SCAN}", f"other/../{SCAN}"])
def test_one_scan_is_not_two(folder, path):
    (folder / "other").mkdir()
    rows = f"{SCAN}\tastar\t5\n"
    replace(folder / "scans.tsv", rows, f"{rows}t\tx3.0\t{path}\tastar\t5\n")
    with pytest.raises(InputError, match=f"t.path: {path} is the file of 's', too"):
        Plan.load("mine.yaml").check_files()


def test_every_file_that_cannot_be_used_is_named(folder):
    replace(folder / "mine.yaml", "scale: 0.04", "scale: 4.0")
    (folder / LOG).write_text("a,b\n1,2\n")
    (folder / PATTERN).unlink()
    command = [sys.executable, "-m", "phasefront", "check", "mine.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    said = done.stderr.splitlines()
    assert len(said) == 3
    assert said[0].startswith("mine.yaml: instruments.astar.scale: at 4 1/angstrom per pixel the")
    assert said[1].startswith(f"{LOG}: ")
    assert said[2].startswith(f"{PATTERN}: there is no such file")
    assert done.stdout.count("formula units of") == 3  # what is right is said all the same


def test_what_a_virtual_run_makes_is_named_as_such(monkeypatch):
    monkeypatch.chdir(ROOT)
    said = [str(line) for line in inspect(Plan.load("config/demo.yaml"))]
    assert sum(line.endswith(", made by the run") for line in said) == 11
    assert len(said) == 14


def test_real_files_are_described(folder, shared_data):
    real = {
        "scans/astar_3x2.blo": "3 x 2 positions by the file, camera of 144 x 144 pixels, uint8,"
        " step 12.8 nm, voltage 200 kV, scale",
        "peaks/limno_particle_80x58.h5": "80 x 58 positions, 116750 spots",
    }
    rows = [
        f"s{n}\tx3.0\t{shared_data(name)}\tastar\t{'scan' if 'scans' in name else 'peaks'}\n"
        for n, name in enumerate(real)
    ]
    (folder / "scans.tsv").write_text("scan\tstate\tpath\tinstrument\tkind\n" + "".join(rows))
    replace(folder / "mine.yaml", "scale: 0.04", "scale: 0.0175")
    standard = shared_data("calibration/au_xgrating_20cm.tif")
    with (folder / "mine.yaml").open("a") as file:
        file.write(f"calibration: {{method: standard, standard: {{image: {standard},"
                   " d_spacings: [2.355, 2.039, 1.442], scale: 0.01}}\n")  # fmt: skip
    said = lines()
    for name, words in real.items():
        assert words in said[name.rpartition("/")[2]]
    assert "256 x 256 pixels, float32" in said["au_xgrating_20cm.tif"]
    assert "3 of 3 rings inside" in said["au_xgrating_20cm.tif"]
    replace(folder / "mine.yaml", "1.442], scale: 0.01", "1.442], scale: 0.001")
    assert "0 of the rings are inside" in lines()["au_xgrating_20cm.tif"]
    replace(folder / "mine.yaml", "voltage_kv: 200", "voltage_kv: 300")
    assert "its header says 200 kV, the config 300 kV" in lines()["astar_3x2.blo"]


@pytest.mark.parametrize("label", [r"Na$_3$ \$", "odd $", "<b> *a* `c`", "one\ntwo $x$"])
def test_a_label_may_hold_any_sign(folder, label):
    assert "phase Na3" in labelled(folder, label)


@pytest.mark.parametrize("label", [r"Na$\nothing$", "Na$x_$", "one\n$_$"])
def test_a_label_that_no_figure_can_draw_is_refused_before_a_run(folder, label):
    assert labelled(folder, label) == (
        f"mine.yaml: material.phases.Na3.label: what {label!r} has between dollars is no"
        r" mathematics; correct it, or write \$ for a dollar."
    )


def labelled(folder, label):
    """What is said of the first phase, with this label."""
    content = yaml.safe_load((folder / "mine.yaml").read_text())
    content["material"]["phases"][0]["label"] = label
    (folder / "mine.yaml").write_text(yaml.safe_dump(content))
    return str(next(inspect(Plan.load("mine.yaml"))))


def test_when_logs_and_scans_of_a_series_began_is_said(folder):
    assert "; begun at an unknown time (the file gives no start)" in lines()[LOG]
    table = folder / "scans.tsv"
    replace(table, "scan_step_nm\n", "scan_step_nm\tseries\tlog\tstart\tdwell_ms\n")
    replace(table, "astar\t5\n", "astar\t5\ta\tcharge\t2025-03-03T09:00:00Z\t10\n")
    said = lines()[SCAN]
    assert "begun 2025-03-03T09:00:00+00:00 (the table of scans" in said
    assert "its last position 0.11 s later" in said
