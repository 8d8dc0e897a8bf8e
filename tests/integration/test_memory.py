"""Scans far larger than memory: a scan four times larger needs no more of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from examples import example
from projects import ROOT

from phasefront.core import netcdf
from phasefront.experiment.load import load
from phasefront.layouts.calibration import CALIBRATION

PIXELS = 144
DEMO = load(ROOT / "config" / "demo.yaml")
CIFS = [ROOT / phase.cif for phase in DEMO.material.phases]
ALLOWED_MB = 48  # a block of 32 MB may lie elsewhere in memory; the raw scans differ by 260 MB


def write_scan(path: Path, side: int) -> None:
    """Patterns with Gaussian spots at random places, one row of them again and again."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:PIXELS, :PIXELS]
    row = rng.poisson(8.0, (side, PIXELS, PIXELS)).astype(np.uint8)
    for pattern in row:
        pattern += (200 * np.exp(-((y - 71.5) ** 2 + (x - 71.5) ** 2) / 8)).astype(np.uint8)
        for spot_y, spot_x in rng.uniform(8, PIXELS - 8, (20, 2)):
            spot = 40 * np.exp(-((y - spot_y) ** 2 + (x - spot_x) ** 2) / 4)
            pattern += spot.astype(np.uint8)
    with h5py.File(path, "w") as file:
        group = file.create_group("scan")
        data = group.create_dataset("data", (side, side, PIXELS, PIXELS), "u1")
        for index, name in enumerate(("y", "x", "qy", "qx")):
            vector = group.create_dataset(f"dim{index}", data=np.arange(data.shape[index]))
            vector.attrs["name"] = name
        for index in range(side):
            data[index] = row


def write_calibration(path: Path, side: int) -> None:
    calibration = example(
        CALIBRATION, y=side, x=side, ky=PIXELS, kx=PIXELS, centre_y=71.5, centre_x=71.5,
        affine=0.0175 * np.eye(2), affine_stderr=0.0, scale=0.0175, scale_stderr=0.0,
        probe_radius=4.0, spot_radius=2.8, beam_radius=8.0, outward_shift=0, scan="s",
        dark_rows=0, dark_columns=0, dark_reach=0, electron=0, afterglow=0,
        method="given",
    )  # fmt: skip
    netcdf.write(calibration, path, CALIBRATION)


def peak_mb(script: str, **arguments) -> float:
    """Run a script and return the most memory that its process held."""
    options = [[f"--{name.replace('_', '-')}", value] for name, value in arguments.items()]
    flat = [str(part) for name, value in options for part in (name, *np.atleast_1d(value))]
    process = subprocess.Popen(
        [sys.executable, ROOT / "scripts" / f"{script}.py", *flat], cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 1024


@pytest.mark.slow
def test_memory_does_not_grow_with_the_scan(tmp_path):
    optics = {"voltage_kv": 200, "precession_deg": 0.8, "scale": 0.0175}
    names = DEMO.section("material.names")
    templates, coarse = tmp_path / "t.nc", json.dumps({"resolution_deg": 4.0})
    peak_mb(
        "simulate_templates", cifs=CIFS, names=names, settings=coarse,
        instrument=json.dumps(optics), templates=templates,
    )  # fmt: skip
    peaks = []
    for side in (64, 128):
        scan, calibration = tmp_path / f"{side}.h5", tmp_path / f"c{side}.nc"
        spots = tmp_path / f"s{side}.nc"
        write_scan(scan, side)
        write_calibration(calibration, side)
        found = peak_mb(
            "find_spots", scan=scan, name="s", step=10, calibration=calibration,
            settings=DEMO.section("spots"), spots=spots,
        )  # fmt: skip
        indexed = peak_mb(
            "find_orientations", spots=spots, templates=templates, cifs=CIFS, names=names,
            settings=coarse, position_sigma=0.005, orientations=tmp_path / f"o{side}.nc",
        )  # fmt: skip
        peaks.append((found, indexed))
    print(f"peak memory in MB, spots and orientations: {peaks}")
    assert np.max(peaks) < 2000
    for small, large in zip(*peaks, strict=True):
        assert large < small + ALLOWED_MB
