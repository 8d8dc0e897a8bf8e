"""Bad input ends in one sentence and exit code 2, by the command lines that a run uses."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from rsciio import blockfile, hspy
from skimage.io import imsave

from phasefront.experiment.load import load

ROOT = Path(__file__).resolve().parents[2]
DEMO = load(ROOT / "config/demo.yaml")
ASTAR = DEMO.instruments["astar"].model_dump_json(exclude={"camera"})
PLUGINS = {
    ".blo": (
        blockfile,
        {"intensity_scaling": None, "navigator": None, "show_progressbar": False},
    ),
    ".hspy": (hspy, {}),
}
NAMES = DEMO.section("material.names")
PHASES = {
    name: DEMO.section(f"material.{name}") for name in ("names", "ion_contents", "formula_units")
}
CIFS = [str(ROOT / phase.cif) for phase in DEMO.material.phases]


def write_scan(path: Path, data: np.ndarray) -> Path:
    """A scan as an ASTAR block file or as HyperSpy's, by its suffix."""
    axes = [
        {"name": name, "size": size, "scale": 5.0, "offset": 0.0, "units": unit,
         "navigate": i < 2, "index_in_array": i, "_type": "UniformDataAxis"}
        for i, (name, size, unit) in enumerate(
            zip(("y", "x", "ky", "kx"), data.shape, ("nm", "nm", "cm", "cm"), strict=True)
        )
    ]  # fmt: skip
    signal = {
        "data": data,
        "axes": axes,
        "metadata": {"General": {"title": "a scan"}, "Signal": {"signal_type": ""}},
        "original_metadata": {},
        "attributes": {"_lazy": False, "ragged": False},
        "learning_results": {},
        "models": {},
        "tmp_parameters": {},
        "package_info": {},
    }
    plugin, options = PLUGINS[path.suffix]
    plugin.file_writer(str(path), signal, **options)
    return path


def noise(dtype: str) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, (3, 4, 16, 16)).astype(dtype)


def truncated_scan(folder: Path, shared_data) -> Path:
    path = write_scan(folder / "cut.blo", noise("uint8"))
    path.write_bytes(path.read_bytes()[:-700])
    return path


def single_image(folder: Path, shared_data) -> Path:
    return shared_data("scans/gatan_bismuth_single.dm4")


def constant_scan(folder: Path, shared_data) -> Path:
    return write_scan(folder / "zeros.blo", np.zeros((3, 4, 16, 16), np.uint8))


def scan_with_nan(folder: Path, shared_data) -> Path:
    data = noise("float32")
    data[2, 1, 5, 5:8] = np.nan
    return write_scan(folder / "nan.hspy", data)


def missing_scan(folder: Path, shared_data) -> Path:
    return folder / "gone.blo"


def refusal(command: list[str], folder: Path, output: Path) -> str:
    """The one sentence that a command ends with, after leaving nothing where it would write."""
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert not list(output.rglob("*"))
    # File, then what is wrong, then what to do about it.
    problem, _, remedy = done.stderr.rpartition("; ")
    assert problem
    assert remedy.endswith(".\n")
    return done.stderr


def refused_by_script(script: str, output: Path, /, **arguments) -> str:
    """The same for a script; its one output goes into the folder `output`."""
    command = [f"scripts/{script}.py"]
    for key, value in arguments.items():
        values = value if isinstance(value, list) else [value]
        command += [f"--{key.replace('_', '-')}", *map(str, values)]
    return refusal(command, ROOT, output)


DESCRIBED = {
    "truncated": (
        truncated_scan,
        "the file is truncated: its header promises 12 patterns of 16x16 pixels, 9 are there",
    ),
    "single image": (single_image, "it holds no scan of diffraction patterns but one image of"),
    "constant": (constant_scan, "every pixel of every pattern is 0"),
    "NaN": (scan_with_nan, "position y=2, x=1: 3 values of the pattern are NaN or infinite"),
    "missing": (missing_scan, "there is no such file"),
}


@pytest.mark.parametrize(("make", "problem"), DESCRIBED.values(), ids=DESCRIBED)
def test_unusable_scan(tmp_path, shared_data, make, problem):
    scan = make(tmp_path, shared_data)
    out = tmp_path / "out"
    sentence = refused_by_script(
        "describe_scan", out, scan=scan, name="s", settings="{}", description=out / "s.nc"
    )
    assert sentence.startswith(f"{scan}: {problem}")


# A run may calibrate a scan before it describes it.
CALIBRATED = {
    "constant": (constant_scan, "every pixel"),
    "NaN": (scan_with_nan, "NaN"),
}


@pytest.mark.parametrize(("make", "problem"), CALIBRATED.values(), ids=CALIBRATED)
def test_unusable_scan_is_not_calibrated(tmp_path, shared_data, make, problem):
    scan = make(tmp_path, shared_data)
    out = tmp_path / "out"
    sentence = refused_by_script(
        "calibrate_scan", out, scan=scan, name="s", settings='{"method": "nominal"}', spots="{}",
        names=NAMES, instrument=ASTAR, calibration=out / "s.nc",
    )  # fmt: skip
    assert sentence.startswith(f"{scan}: ")
    assert problem in sentence


def refused_log(log: Path) -> str:
    """What the script says of a log that it cannot use."""
    out = log.parent / "out"
    return refused_by_script(
        "analyse_log", out, log=log,
        row=json.dumps({"log": "charge", "path": str(log), "mass_mg": 3.42}),
        states=json.dumps([{"name": "x3.0", "log": "charge", "time_h": 0.1}]),
        weighed=DEMO.section("material.weighed"), cycling=out / "charge.nc",
        table=out / "charge.csv",
    )  # fmt: skip


def test_log_whose_time_runs_backwards(tmp_path):
    log = tmp_path / "back.csv"
    time = np.arange(0.0, 1000.0, 10.0)
    time[60:] -= 100
    table = {"Test Time / s": time, "Voltage / V": 3 + time / 1e4, "Current / A": 1e-4}
    pd.DataFrame(table).to_csv(log, index=False)
    sentence = refused_log(log)
    assert sentence.startswith(f"{log}: time_s, record 61: time runs backwards")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("7200,inf,0.001,0.002", "Voltage / V, record 3: 'inf' is no number"),
        ("7200,nan,0.001,0.002", "Voltage / V, record 3: 'nan' is no number"),
        ("8.7e9,3.7,0.001,0.002", "time_s, record 3: the log lasts 276 years"),
        ("7200,3.7,0.001,0.02", "half cycle 0: the instrument counts 20 mAh"),
    ],
)
def test_a_log_that_lies_is_refused_in_one_sentence(tmp_path, row, words):
    log = tmp_path / "log.csv"
    header = "Test Time / s,Voltage / V,Current / A,Net Capacity / Ah\n"
    log.write_text(f"{header}0,3.5,0.001,0\n3600,3.6,0.001,0.001\n{row}\n")
    sentence = refused_log(log)
    assert sentence.startswith(f"{log}: {words}")


@pytest.mark.parametrize(
    ("content", "words"), [(b"no picture", "not a readable picture"), (None, "not one picture")]
)
def test_a_standard_that_is_no_picture_in_grey(tmp_path, content, words):
    image = tmp_path / "rings.tif"
    if content is None:
        imsave(image, np.zeros((8, 8, 3), np.uint8), check_contrast=False)
    else:
        image.write_bytes(content)
    out = tmp_path / "out"
    sentence = refused_by_script(
        "calibrate_standard", out, image=image, calibration=out / "standard.nc",
        settings=json.dumps({"image": str(image), "d_spacings": [2.0, 1.0], "scale": 0.01}),
    )  # fmt: skip
    assert sentence.startswith(f"{image}: {words}")


def test_pattern_with_one_column(tmp_path):
    pattern = tmp_path / "one.xye"
    pattern.write_text("".join(f"{angle:.2f}\n" for angle in np.arange(5, 30, 0.01)))
    out = tmp_path / "out"
    row = {"pattern": "p", "state": "x3.0", "path": str(pattern), "wavelength": 0.4127}
    sentence = refused_by_script(
        "fit_pattern", out, pattern=pattern, row=json.dumps(row), cifs=CIFS,
        **PHASES, settings="{}", powder=out / "p.nc",
    )  # fmt: skip
    assert sentence.startswith(f"{pattern}: only one column")


def test_table_of_refined_fractions_without_the_row(tmp_path):
    table = tmp_path / "seq.csv"
    table.write_text('"name","f","esd-f"\n"x3.0.xye",1.0,0.001\n')
    out = tmp_path / "out"
    row = {"pattern": "p", "state": "x3.0", "path": str(table), "kind": "refined", "row": "x2.0"}
    columns = {
        "program": "GSAS-II", "pattern": "name",
        "phases": {"Na3": {"fraction": "f", "esd": "esd-f"}},
    }  # fmt: skip
    sentence = refused_by_script(
        "import_fractions", out, table=table, row=json.dumps(row), cifs=CIFS,
        **PHASES, settings=json.dumps({"refined": columns}),
        powder=out / "p.nc",
    )  # fmt: skip
    assert sentence.startswith(f"{table}: name: row 'x2.0' is not in the table")


CIF_WITHOUT_SYMMETRY = """data_x
_cell_length_a 9
_cell_length_b 9
_cell_length_c 10.7
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
V1 V 0.25 0.25 0.2
"""


def test_cif_without_symmetry(tmp_path):
    cif = tmp_path / "bare.cif"
    cif.write_text(CIF_WITHOUT_SYMMETRY)
    out = tmp_path / "out"
    sentence = refused_by_script(
        "simulate_templates", out, cifs=[*CIFS[:2], cif], names=NAMES,
        instrument=ASTAR, settings="{}", templates=out / "astar.nc",
    )  # fmt: skip
    assert sentence.startswith(f"{cif}: _space_group_symop_operation_xyz: no symmetry")


# ------------------------------------------------------------------------ a whole experiment


def replace_in(path: str, old: str, new: str):
    """Change of one text in one file of the experiment."""

    def edit(folder: Path) -> None:
        text = (folder / path).read_text()
        assert text.count(old) == 1
        (folder / path).write_text(text.replace(old, new))

    return edit


def same_structure_twice(folder: Path) -> None:
    path = folder / "config/demo.yaml"
    content = yaml.safe_load(path.read_text())
    phases = content["material"]["phases"]
    shutil.copy(folder / phases[0]["cif"], folder / "config/structures/copy.cif")
    phases.append(phases[0] | {"name": "copy", "cif": "config/structures/copy.cif"})
    path.write_text(yaml.safe_dump(content))


CHECKED = {
    "mass missing": (
        replace_in("config/demo/cycling.tsv", "\t3.42\t", "\t\t"),
        "config/demo/cycling.tsv: row 1: mass_error_mg is given without mass_mg; give the mass of "
        "active material, or leave both out.",
    ),
    "misspelt key": (
        replace_in("config/demo.yaml", "precession_deg:", "precesion_deg:"),
        "config/demo.yaml: instruments.astar.precesion_deg: unknown key; write 'precession_deg'.",
    ),
    "same structure": (
        same_structure_twice,
        "config/structures/copy.cif: has the same structure as config/structures/Na3V2PO42F3.cif; "
        "leave one of the two phases out.",
    ),
    "missing file": (
        replace_in("config/demo/powder.tsv", "results/demo/raw/powder-x2.0.xye", "data/gone.xye"),
        "data/gone.xye: there is no such file; check the path in the config and its tables.",
    ),
}


@pytest.mark.parametrize(("edit", "sentence"), CHECKED.values(), ids=CHECKED)
def test_experiment_that_cannot_run(tmp_path, edit, sentence):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    edit(tmp_path)
    command = ["-m", "phasefront", "check", "config/demo.yaml"]
    assert refusal(command, tmp_path, tmp_path / "results") == f"{sentence}\n"
