"""What a record says, and that its schema and its hashes are what anyone can check."""

import ast
import hashlib
import json
from importlib import metadata
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasefront.provenance import environment, record
from phasefront.provenance.code import imported_names
from phasefront.provenance.context import Context
from phasefront.provenance.logical import logical_digest

ROOT = Path(__file__).resolve().parents[2]


def test_the_published_schema_is_that_of_the_models():
    published = json.loads((ROOT / "workflow/schemas/record.schema.json").read_text())
    assert published == record.schema()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=30)
@given(st.dictionaries(st.text(), json_values, max_size=3))
def test_canonical_form_does_not_depend_on_order_and_survives_a_file(value):
    shuffled = dict(reversed(value.items()))
    assert record.canonical(shuffled) == record.canonical(value)
    assert record.canonical(json.loads(json.dumps(value, indent=1))) == record.canonical(value)


def test_imports_are_those_that_the_syntax_tree_has():
    folders = (ROOT / "scripts", ROOT / "src", ROOT / "benchmarks")
    sources = [path.read_text() for folder in folders for path in folder.rglob("*.py")]
    assert len(sources) > 80
    for source in sources:
        expected = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                expected.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                expected.update([node.module, *(f"{node.module}.{a.name}" for a in node.names)])
        assert imported_names(source) == expected


def test_versions_are_those_that_importlib_maps():
    found = environment.imported_distributions()
    assert found["numpy"] == np.__version__
    assert found["pytest"] == pytest.__version__
    owners = metadata.packages_distributions()
    expected = {owners[name][0] for name in ("numpy", "h5py", "netCDF4", "hypothesis", "pydantic")}
    assert expected <= set(found)
    assert all(metadata.version(name) == version for name, version in found.items())


@pytest.mark.parametrize(
    ("path", "wildcards"),
    [
        ("results/r/spots/a-1.5.nc", {"variant": "", "scan": "a-1.5"}),
        ("results/r/sweep/x~1/y~2..3/spots/a.nc", {"variant": "sweep/x~1/y~2..3/", "scan": "a"}),
        ("results/r/spots/standard.nc", {"variant": ""}),
        ("elsewhere/spots/a.nc", {}),
    ],
)
def test_wildcards_follow_from_the_path(path, wildcards):
    outputs = ["results/r/{variant}spots/{scan}.nc", "results/r/{variant}spots/standard.nc"]
    context = Context(outputs=outputs, constraints={"variant": "(?:sweep/.*/)?"})
    assert context.wildcards(path) == wildcards


def write_netcdf(path, *, packed: bool, value=3.0, units="K", endian="little"):
    with netCDF4.Dataset(path, "w") as file:
        file.title = "a test"
        file.createDimension("x", None if packed else 5)
        file.createDimension("y", 3)
        names = ["t", "n"] if packed else ["n", "t"]
        for name in names:
            kind = {"t": "f8", "n": "i2"}[name]
            options = {"zlib": True, "complevel": 9, "chunksizes": (1, 3)} if packed else {}
            order = {"little": "<", "big": ">"}[endian]
            file.createVariable(name, order + kind, ("x", "y"), endian=endian, **options)
        file["t"].units = units
        file["t"].valid_range = np.array([0.0, 9.0])
        file["t"][:] = np.arange(15.0).reshape(5, 3)
        file["t"][4, 2] = value
        file["n"][:] = np.arange(15).reshape(5, 3)
        file.createVariable("s", str, ("y",))[:] = np.array(["a", "", "µ"], dtype=object)
        file.createVariable("one", "f4", ())[...] = 2.5
        group = file.createGroup("g")
        group.createDimension("z", 2)
        group.createVariable("c", "S1", ("z",))[:] = np.array([b"a", b"b"])
    return path


def test_the_logical_digest_is_of_content_alone(tmp_path):
    plain = write_netcdf(tmp_path / "plain.nc", packed=False)
    packed = write_netcdf(tmp_path / "packed.nc", packed=True, endian="big")
    assert plain.read_bytes() != packed.read_bytes()
    assert logical_digest(plain) == logical_digest(packed)


def test_the_logical_digest_sees_every_change(tmp_path):
    changes = [{}, {"value": 4.0}, {"value": np.nan}, {"units": "k"}]
    digests = [
        logical_digest(write_netcdf(tmp_path / f"{i}.nc", packed=False, **change))
        for i, change in enumerate(changes)
    ]
    edits = {
        "text": lambda f: f["s"].__setitem__(1, "b"),
        "group": lambda f: f["g/c"].__setitem__(1, b"c"),
        "scalar": lambda f: f["one"].__setitem__(..., 2.0),
        "attribute": lambda f: f.setncattr("title", "a Test"),
        "number's type": lambda f: f["t"].setncattr("valid_range", np.array([0, 9], "f4")),
        "new attribute": lambda f: f["n"].setncattr("comment", ""),
        "new dimension": lambda f: f.createDimension("w", 1),
        "variable's name": lambda f: f.renameVariable("n", "m"),
        "dimension's name": lambda f: f.renameDimension("y", "q"),
    }
    for name, edit in edits.items():
        path = write_netcdf(tmp_path / f"{name}.nc", packed=False)
        with netCDF4.Dataset(path, "a") as file:
            edit(file)
        digests.append(logical_digest(path))
    assert len(set(digests)) == len(changes) + len(edits)


def test_the_logical_digest_can_be_made_without_netcdf4(tmp_path):
    """By the documented recipe, with h5py."""
    path = tmp_path / "small.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.title = "é"
        file.createDimension("x", 2)
        variable = file.createVariable("v", "f4", ("x",))
        variable.offset = 1.5
        variable[:] = [1, 2]
    with h5py.File(path) as file:
        values = file["v"][...].astype("<f4").tobytes()
    lines = [
        ("group", "/"),
        ("dimension", "x", 2),
        ("attribute", "title", "text", "é"),
        ("variable", "v", "f4", ("x",)),
        ("attribute", "offset", "f8", np.array([1.5], "<f8").tobytes().hex()),
    ]
    stream = b"".join(json.dumps(line).encode() + b"\n" for line in lines) + values
    assert logical_digest(path) == hashlib.sha256(stream).hexdigest()
