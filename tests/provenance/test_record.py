"""What a record says, and that its schema and its hashes are what anyone can check."""

import ast
import hashlib
import json
import re
from importlib import metadata
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from phasefront.core.errors import InputError
from phasefront.records import environment, record
from phasefront.records.code import imported_names
from phasefront.records.context import Context
from phasefront.records.logical import logical_digest

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


def test_the_published_schema_says_of_every_field_what_it_is():
    published = json.loads((ROOT / "workflow/schemas/record.schema.json").read_text())
    for name, part in {**published["$defs"], "Record": published}.items():
        assert part["description"], name
        for key, field in part["properties"].items():
            referred = published["$defs"].get(field.get("$ref", "").rpartition("/")[2], {})
            said = field.get("description") or referred.get("description")
            assert said and len(said) > 4, f"{name}.{key}"


def test_no_script_and_no_rule_writes_a_record():
    """One place does: the job."""
    writers = [
        path.relative_to(ROOT).as_posix()
        for folder in ("scripts", "src", "workflow", "benchmarks")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".smk") and re.search(r"record\.write\(", path.read_text())
    ]
    assert writers == ["src/phasefront/records/job.py"]
    for path in (ROOT / "scripts").glob("*.py"):
        assert "prov.json" not in path.read_text(), path


@pytest.fixture
def dataset():
    """Numbers of several types, texts, a scalar and an empty variable, as xarray has them."""
    return xr.Dataset(
        {
            "t": (
                ("x", "y"),
                np.array([[0.0, -0.0, np.nan], [1.5, -np.inf, 1e-320]]),
                {"units": "µ"},
            ),
            "n": (("y",), np.array([1, -2, 3], "i2")),
            "u": (("x",), np.array([0, 2**64 - 1], "u8")),
            "s": (("y",), np.array(["a", "", "Å🜁"], object)),
            "one": ((), np.float32(2.5)),
            "none": (("z",), np.zeros(0)),
        },
        attrs={"title": "a test", "numbers": np.array([1, 2], "i4")},
    )


def written(dataset, path, **encoding):
    plain = {name: {"_FillValue": None} for name in dataset if dataset[name].dtype.kind == "f"}
    changed = {name: plain.get(name, {}) | encoding.get(name, {}) for name in dataset}
    dataset.to_netcdf(path, engine="netcdf4", format="NETCDF4", encoding=changed)
    return logical_digest(path)


def test_the_packing_and_the_order_do_not_matter(dataset, tmp_path):
    expected = written(dataset, tmp_path / "plain.nc")
    packings = {
        "shuffled": {"t": {"zlib": True, "shuffle": True, "complevel": 9}},
        "checked": {"n": {"fletcher32": True, "chunksizes": (2,)}},
    }
    for name, packing in packings.items():
        assert written(dataset, tmp_path / f"{name}.nc", **packing) == expected, name
    turned = xr.Dataset(
        {name: dataset[name] for name in reversed(list(dataset))},
        attrs=dict(reversed(dataset.attrs.items())),
    )
    assert written(turned, tmp_path / "turned.nc") == expected


def test_a_file_that_h5py_wrote_is_the_same(tmp_path):
    texts = ["a", "", "µ"]
    with netCDF4.Dataset(tmp_path / "netcdf4.nc", "w") as file:
        file.title = "a test"
        file.createDimension("x", 3)
        file.createVariable("x", "f8", ("x",))[:] = [1, 2, 3]
        file.createVariable("v", "f4", ("x",))[:] = [4, 5, 6]
        file["v"].units, file["v"].range = "K", np.array([0, 9], "i4")
        file.createVariable("s", str, ("x",))[:] = np.array(texts, object)
    with h5py.File(tmp_path / "h5py.nc", "w") as file:
        file["s"] = np.array(texts, h5py.string_dtype())
        file.create_dataset("v", data=np.array([4, 5, 6], ">f4"), chunks=(2,), compression="gzip")
        file["v"].attrs["range"] = np.array([0, 9], ">i4")
        file["v"].attrs["units"] = "K"
        file["x"] = [1.0, 2.0, 3.0]
        file["x"].make_scale("x")
        for name in ("s", "v"):
            file[name].dims[0].attach_scale(file["x"])
        file.attrs["title"] = np.bytes_("a test")
    paths = [tmp_path / name for name in ("netcdf4.nc", "h5py.nc")]
    assert logical_digest(paths[0]) == logical_digest(paths[1])


def test_every_bit_of_a_value_and_every_type_matters(dataset, tmp_path):
    nan = dataset["t"].values.copy()
    nan.view("u8")[0, 2] += 1  # another NaN
    zero = dataset["t"].values.copy()
    zero[0, 1] = 0.0
    changes = {
        "NaN": dataset.assign(t=dataset["t"].copy(data=nan)),
        "zero": dataset.assign(t=dataset["t"].copy(data=zero)),
        "type": dataset.assign(n=dataset["n"].astype("i4")),
        "float": dataset.assign(one=dataset["one"].astype("f8")),
        "transposed": dataset.transpose("y", "x", "z"),
        "characters": dataset.assign(s=dataset["s"].copy(data=np.array([b"a", b"", b"b"]))),
        "text": dataset.assign(s=dataset["s"].copy(data=np.array(["", "a", "Å🜁"], object))),
        "length": dataset.assign(none=(("z",), np.zeros(1))),
        "units": dataset.assign(t=dataset["t"].assign_attrs(units="u")),
        "attribute's type": dataset.assign_attrs(numbers=np.array([1, 2], "i8")),
        "attribute's length": dataset.assign_attrs(numbers=np.array([1], "i4")),
        "fill value": dataset.assign(n=dataset["n"].assign_attrs(_FillValue=np.int16(-9))),
    }
    digests = {name: written(one, tmp_path / f"{name}.nc") for name, one in changes.items()}
    digests["nothing"] = written(dataset, tmp_path / "nothing.nc")
    assert len(set(digests.values())) == len(digests)


def test_groups_and_dimensions_have_their_places(tmp_path):
    def grouped(name, group, *, dimension="/"):
        with netCDF4.Dataset(tmp_path / name, "w") as file:
            file.createGroup("a"), file.createGroup("b")
            places = {"/": file, **file.groups}
            places[dimension].createDimension("x", 2)
            places[group].createVariable("v", "f4", ("x",))[:] = 1
        return logical_digest(tmp_path / name)

    digests = [
        grouped("1.nc", "a"), grouped("2.nc", "b"), grouped("3.nc", "a", dimension="a"),
        grouped("4.nc", "/"),
    ]  # fmt: skip
    assert len(set(digests)) == 4


@pytest.mark.parametrize("format", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF4_CLASSIC"])
def test_older_formats_say_the_same_where_they_can(tmp_path, format):
    def write(name, format):
        with netCDF4.Dataset(tmp_path / name, "w", format=format) as file:
            file.title = "é"
            file.createDimension("x", None)
            variable = file.createVariable("v", "f8", ("x",))
            variable.units, variable.factor = "K", 1.5
            variable[:] = [1, 2]
        return logical_digest(tmp_path / name)

    assert write("old.nc", format) == write("new.nc", "NETCDF4")


def test_a_type_without_a_documented_form_is_refused(tmp_path):
    """Its values would be hashed as places in memory."""
    path = tmp_path / "ragged.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("x", 2)
        ragged = file.createVariable("v", file.createVLType("i4", "ragged"), ("x",))
        ragged[0], ragged[1] = np.array([1, 2], "i4"), np.array([3], "i4")
    with pytest.raises(InputError, match="variable 'v' is of a type of its own"):
        logical_digest(path)
