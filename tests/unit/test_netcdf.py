"""What is written and read is what the layout declares, and the bytes depend on the values only."""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.core.netcdf import Layout, Variable

LAYOUT = Layout(
    "A thing",
    {
        "phase": Variable(("phase",), "str", "", "candidate phase"),
        "map": Variable(("y", "x"), "f4", "count", "a map"),
        "scale": Variable((), "f8", "angstrom-1 pixel-1", "a scale"),
    },
    ("scan",),
)


def thing(**changed):
    values = {"phase": ["a", "b"], "map": np.arange(144).reshape(12, 12), "scale": 0.01}
    return netcdf.build(LAYOUT, values | changed, {"scan": "one"})


def test_round_trip_keeps_values_units_and_types(tmp_path):
    netcdf.write(thing(), tmp_path / "a.nc", LAYOUT)
    back = netcdf.read(tmp_path / "a.nc", LAYOUT)
    assert list(back["phase"].values) == ["a", "b"]
    assert back["map"].dtype == np.float32
    assert back["map"].attrs == {"units": "count", "long_name": "a map"}
    assert back["scale"].item() == 0.01
    assert back.attrs["Conventions"] == "CF-1.11"
    assert back.attrs["scan"] == "one"


def test_equal_values_give_equal_bytes(tmp_path):
    for name in ("a.nc", "b.nc"):
        netcdf.write(thing(), tmp_path / name, LAYOUT)
    digests = {hashlib.sha256(p.read_bytes()).digest() for p in tmp_path.iterdir()}
    assert len(digests) == 1


def test_no_phases_at_all_can_be_read_back(tmp_path):
    netcdf.write(thing(phase=[]), tmp_path / "a.nc", LAYOUT)
    assert netcdf.read(tmp_path / "a.nc", LAYOUT).sizes["phase"] == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.drop_vars("scale"), "variable 'scale' of 'A thing' is missing"),
        (lambda d: d.assign(map=d["map"].astype("f8")), "map: dtype is float64, f4 expected"),
        (lambda d: d.rename(y="row"), "map: dimensions are \\('row', 'x'\\)"),
        (lambda d: d.assign(extra=1), "variables \\['extra'\\] are not part of"),
        (lambda d: d.assign_attrs(dose=1), "attributes \\['dose'\\] are not part of 'A thing'"),
        (lambda d: d.drop_attrs(), "attributes \\['scan'\\] of 'A thing' are missing"),
    ],
)
def test_what_does_not_fit_is_neither_written_nor_read(tmp_path, change, sentence):
    path = tmp_path / "a.nc"
    with pytest.raises(InputError, match=sentence):
        netcdf.write(change(thing()), path, LAYOUT)
    assert not path.exists()
    change(thing()).to_netcdf(path)
    with pytest.raises(InputError, match=sentence):
        netcdf.read(path, LAYOUT)


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"a\.nc: there is no such file"):
        netcdf.read(tmp_path / "a.nc", LAYOUT)
    (tmp_path / "b.nc").write_text("no netCDF")
    with pytest.raises(InputError, match=r"b\.nc: not a readable netCDF file"):
        netcdf.read(tmp_path / "b.nc", LAYOUT)


def test_a_layout_is_complete():
    with pytest.raises(KeyError, match="'A thing' needs 'scale'"):
        netcdf.build(LAYOUT, {"phase": [], "map": np.zeros((1, 1))})
    with pytest.raises(KeyError, match="has no"):
        thing(other=1)


def test_files_are_kept_by_an_attribute(tmp_path):
    netcdf.write(thing(), tmp_path / "a.nc", LAYOUT)
    found = netcdf.read_all([tmp_path / "a.nc"], LAYOUT, key="scan")
    assert isinstance(found["one"], xr.Dataset)


GROWING = Layout(
    "A list",
    {
        "error": Variable((), "f8", "1", "of all values"),
        "phase": Variable(("phase",), "str", "", "candidate phase"),
        "count": Variable(("y", "x"), "i4", "1", "number"),
        "value": Variable(("spot",), "f4", "1", "of each"),
    },
    ("scan",),
    grows=("y", "spot"),
)


@pytest.mark.slow
@given(st.lists(st.integers(0, 200), min_size=1, max_size=6))
def test_what_is_written_in_parts_is_what_is_written_at_once(numbers):
    parts = [
        {"count": np.full((2, 3), number), "value": np.arange(number) + 0.5} for number in numbers
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.nc"
        netcdf.write_parts(
            iter(parts), path, GROWING, {"phase": ["a"], "error": 0.5}, {"scan": "one"}
        )
        back = netcdf.read(path, GROWING)
        with netcdf.opened(path, GROWING) as lazy:
            np.testing.assert_array_equal(lazy["value"][3:9].values, back["value"].values[3:9])
    whole = netcdf.join(parts, GROWING, {"phase": ["a"], "error": 0.5}, {"scan": "one"})
    assert back.identical(whole.assign_attrs(Conventions="CF-1.11"))


def test_damage_inside_a_file_is_told_when_it_is_read(tmp_path):
    path = tmp_path / "a.nc"
    numbers = np.random.default_rng(0).random((300, 300))
    netcdf.write(thing(map=numbers), path, LAYOUT)
    damaged = bytearray(path.read_bytes())
    middle = slice(len(damaged) // 2, len(damaged) // 2 + 2000)
    damaged[middle] = bytes(value ^ 0x5A for value in damaged[middle])
    path.write_bytes(damaged)
    with (
        pytest.raises(InputError, match="not a readable netCDF file"),
        netcdf.opened(path, LAYOUT) as lazy,
    ):
        lazy["map"].load()
    with pytest.raises(InputError, match="not a readable netCDF file"):
        netcdf.read(path, LAYOUT)


@pytest.mark.slow
def test_bytes_written_in_parts_are_the_same_in_every_process(tmp_path):
    """Dimensions must not follow the order of a set, which differs between processes."""
    program = (
        "import sys, numpy as np; sys.path[:0] = sys.argv[2:]; import test_netcdf as t;"
        "parts = [{'count': np.ones((2, 3)), 'value': np.arange(9.0)}] * 2;"
        "constants = {'phase': ['a'], 'error': 0.5};"
        "t.netcdf.write_parts(parts, sys.argv[1], t.GROWING, constants, {'scan': 's'})"
    )
    here = Path(__file__).parent
    for seed in "123":
        subprocess.run(
            [sys.executable, "-c", program, tmp_path / seed, here, here.parent], check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        )  # fmt: skip
    assert len({(tmp_path / seed).read_bytes() for seed in "123"}) == 1
