"""The step of a scan, which its table or its header may say, reaches what has lengths."""

import json
import subprocess
import sys

import numpy as np
import pytest
from examples import example
from projects import ROOT
from stages import build_phases

from phasefront.core import netcdf
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.orientations import ORIENTATIONS
from phasefront.layouts.phases import PHASES
from phasefront.maps.formats import read_map

CIFS = [str(ROOT / f"config/structures/{name}.cif") for name in ("LiFePO4", "FePO4")]
NAMES = ["LFP", "FP"]
SHAPE = (6, 8)


def run_script(name, **arguments):
    command = [sys.executable, f"scripts/{name}.py"]
    for key, value in arguments.items():
        values = value if isinstance(value, list) else [value]
        command += [f"--{key}", *map(str, values)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_step_reaches_grains_and_maps(tmp_path):
    """The phases have what the table says, or the header."""
    rotation = np.zeros((*SHAPE, 2, 4))
    rotation[..., 0] = 1
    phases = build_phases(
        NAMES, np.zeros(SHAPE, int), scan="s", rotation=rotation, scan_step_nm=12.8
    )
    orientations = example(
        ORIENTATIONS, phase=NAMES, rotation=rotation[:, :, :, None], scan="s",
        score=np.ones((*SHAPE, 2, 1)), indexed=np.full((*SHAPE, 2, 1), 9),
    )  # fmt: skip
    files = {}
    for name, dataset, layout in (
        ("phases", phases, PHASES), ("orientations", orientations, ORIENTATIONS)
    ):  # fmt: skip
        files[name] = tmp_path / f"{name}.nc"
        netcdf.write(dataset, files[name], layout)
    given = {"cifs": CIFS, "names": json.dumps(NAMES), "phases": files["phases"]}
    lattice = json.dumps({"axes": [None, None], "point_group": None})
    grains = tmp_path / "grains.nc"
    run_script(
        "find_grains", **given | {"shared-lattice": lattice}, settings="{}", grains=grains
    )  # fmt: skip
    assert netcdf.read(grains, GRAINS).attrs["scan_step_nm"] == 12.8
    maps = {suffix: tmp_path / f"s.{suffix}" for suffix in ("h5", "ang", "ctf")}
    run_script(
        "export_maps", **given, orientations=files["orientations"], grains=grains, camera="null",
        **maps,
    )  # fmt: skip
    assert read_map(maps["ctf"]).step_nm == pytest.approx((12.8, 12.8))
