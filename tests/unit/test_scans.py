"""open_scan and describe_scan on real files, and on files written here in the other formats."""

import json
import math
import os
import struct
import tracemalloc
import warnings
import zlib
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.experiment.settings.scans import ScanLayout
from phasefront.layouts.scans import SCAN
from phasefront.records.digests import Hashing
from phasefront.scans import descriptions
from phasefront.scans.descriptions import describe_scan, find_direct_beam
from phasefront.scans.files import open_scan
from phasefront.scans.formats import scan as blocks_of_scans
from phasefront.scans.formats.headers import plain
from phasefront.scans.formats.tvips import scan_index


def patterns(shape=(3, 4, 12, 10), dtype="uint16", seed=0):
    """A scan with a bright disk of radius 2 around row 6, column 4, no two pixels alike."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape[-2:])
    disk = np.hypot(y - 6, x - 4) <= 2
    return (rng.integers(0, 9, shape) + 100 * disk).astype(dtype)


def signal(data, units=("nm", "nm", "1/nm", "1/nm"), scales=(5.0, 5.0, 0.1, 0.1), navigate=None):
    """What rosettasciio's writers take."""
    names = ("y", "x", "ky", "kx")[-data.ndim :]
    navigate = navigate or [True] * (data.ndim - 2) + [False, False]
    axes = [
        {"name": name, "size": size, "scale": scale, "offset": 0.0, "units": unit,
         "navigate": nav, "index_in_array": i, "_type": "UniformDataAxis"}
        for i, (name, size, scale, unit, nav) in enumerate(
            zip(names, data.shape, scales[-data.ndim :], units[-data.ndim :], navigate, strict=True)
        )
    ]  # fmt: skip
    instrument = {"TEM": {"beam_energy": 200.0}}
    return {
        "data": data,
        "axes": axes,
        "metadata": {
            "General": {"title": "one scan"},
            "Signal": {"signal_type": "electron_diffraction"},
            "Acquisition_instrument": instrument,
        },
        "original_metadata": {},
        "attributes": {"_lazy": False, "ragged": False},
        "learning_results": {},
        "models": {},
        "tmp_parameters": {},
        "package_info": {"package": "test", "package_version": "0"},
    }


def write(path, plugin, data, *, description=None, **options):
    writer = import_module(f"rsciio.{plugin}").file_writer
    with warnings.catch_warnings():
        # rosettasciio writes .zspy with a store that zarr means to drop.
        warnings.filterwarnings("ignore", "The NestedDirectoryStore is deprecated", FutureWarning)
        writer(str(path), description or signal(data), **options)
    return path


def whole(scan, rows=None):
    return np.concatenate([block for _, block in scan.blocks(rows=rows)])


def refusal(path):
    with pytest.raises(InputError) as caught:
        open_scan(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def describe(scan, radius=2.0):
    return describe_scan(scan, name="s", hashing=Hashing(scan.path), bright_field_radius_px=radius)


# ------------------------------------------------------------------------------- real files


def test_astar_block_file(shared_data):
    path = shared_data("scans/astar_3x2.blo")
    scan = open_scan(path)
    assert scan.shape == (3, 2, 144, 144)
    assert scan.dtype == np.uint8
    assert scan.scan_step_nm == 12.8
    assert scan.scale == (pytest.approx(0.0160617, rel=1e-5), "cm")
    assert scan.files == (path,)
    assert scan.header["original"]["blockfile_header"]["Beam_energy"] == 200000
    assert scan.header["metadata"]["Acquisition_instrument"]["TEM"]["beam_energy"] == 200.0
    # Independent reading: header of 4112 bytes, then 6 bytes before each pattern.
    raw = np.fromfile(path, np.uint8)[4112:].reshape(6, 6 + 144 * 144)
    expected = raw[:, 6:].reshape(scan.shape)
    assert np.array_equal(whole(scan), expected)
    assert int(expected[2, 1].sum()) == int(whole(scan, rows=2)[2, 1].sum())


def test_merlin(shared_data):
    path = shared_data("scans/merlin_4x2_6bit.mib")
    assert "nothing says how its 8 frames make rows and columns" in refusal(path)
    scan = open_scan(path, ScanLayout(scan_shape=(2, 4)))
    assert scan.shape == (2, 4, 256, 256)
    assert scan.dtype == np.uint8
    assert math.isnan(scan.scan_step_nm)
    assert scan.scale is None
    assert [file.name for file in scan.files] == ["merlin_4x2_6bit.mib", "merlin_4x2_6bit.hdr"]
    header = scan.header["original"]["hdr_file"]
    assert header["Chip Mode  (SPM, CSM, CM, CSCM)"] == "SPM"
    assert header["Software Version"] == "0.76.1.101"
    # rosettasciio turns Merlin's images upside up; each frame has a header of 384 bytes.
    raw = np.fromfile(path, np.uint8).reshape(8, 384 + 256 * 256)[:, 384:]
    expected = raw.reshape(2, 4, 256, 256)[:, :, ::-1]
    assert np.array_equal(whole(scan, rows=1), expected)


def test_topspin(shared_data):
    from rsciio.topspin import file_reader

    path = shared_data("scans/topspin_3x7.app5")
    scan = open_scan(path)
    expected = next(
        s for s in file_reader(str(path), show_progressbar=False) if s["data"].ndim == 4
    )
    assert scan.shape == expected["data"].shape == (2, 5, 14, 12)
    assert scan.dtype == np.float32
    assert np.array_equal(whole(scan, rows=1), expected["data"])
    assert scan.scan_step_nm == pytest.approx(expected["axes"][1]["scale"])
    assert scan.scale == (expected["axes"][3]["scale"], "rad")
    assert scan.header["original"]["SystemName"] == "Talos 200keV"
    assert describe(scan, 1.5).mean_pattern.sum() == pytest.approx(
        expected["data"].sum(dtype=float) / 10
    )


def test_single_gatan_image_is_refused(shared_data):
    path = shared_data("scans/gatan_bismuth_single.dm4")
    assert refusal(path) == (
        f"{path}: it holds no scan of diffraction patterns but one image of 256 x 256; "
        "name the file with the scan itself."
    )


def test_py4dstem_datacube(shared_data):
    path = shared_data("scans/py4dstem_2x2_datacube.h5")
    scan = open_scan(path)
    assert scan.shape == (2, 2, 4, 4)
    assert scan.dtype == np.float32
    assert scan.scan_step_nm == pytest.approx(0.25)
    assert scan.scale == (pytest.approx(0.0125), "1/Å")
    assert scan.header["original"]["calibration"][0]["theta"] == 0.35
    with h5py.File(path) as file:
        assert np.array_equal(whole(scan), file["datacube_root/datacube/data"][()])


@pytest.mark.parametrize(
    ("name", "shape"),
    [("astar_3x2.blo", None), ("merlin_4x2_6bit.mib", (2, 4)), ("topspin_3x7.app5", None)],
)
def test_real_scans_can_be_described_and_stored(shared_data, tmp_path, name, shape):
    scan = open_scan(shared_data(f"scans/{name}"), ScanLayout(scan_shape=shape))
    described = describe(scan, radius=5.0)
    netcdf.write(described, tmp_path / "scan.nc", SCAN)
    again = netcdf.read(tmp_path / "scan.nc", SCAN)
    assert again.identical(described.assign_attrs(Conventions="CF-1.11"))
    assert json.loads(again.header) == scan.header
    data = whole(scan).astype(float)
    np.testing.assert_allclose(again.mean_pattern, data.mean(axis=(0, 1)), rtol=1e-6)
    np.testing.assert_array_equal(again.max_pattern, data.max(axis=(0, 1)))
    np.testing.assert_allclose(
        again.bright_field + again.dark_field, data.sum(axis=(2, 3)), rtol=1e-6
    )


# ----------------------------------------------------------------- formats written by others


@pytest.mark.parametrize("suffix", ["hspy", "zspy"])
def test_hyperspy_formats(tmp_path, suffix):
    data = patterns()
    path = write(tmp_path / f"a.{suffix}", suffix, data)
    scan = open_scan(path)
    assert (scan.shape, scan.dtype, scan.title) == (data.shape, data.dtype, "one scan")
    assert (scan.scan_step_nm, scan.scale) == (5.0, (0.1, "1/nm"))
    assert scan.header["metadata"]["Acquisition_instrument"]["TEM"]["beam_energy"] == 200.0
    assert np.array_equal(whole(scan, rows=2), data)
    assert all(file.is_file() for file in scan.files)


def test_tvips_stream_in_several_files(tmp_path):
    data = patterns((4, 4, 12, 10))
    one_frame = 60 + data[0, 0].nbytes
    write(tmp_path / "a_000.tvips", "tvips", data, max_file_size=256 + 5 * one_frame)
    scan = open_scan(tmp_path / "a_000.tvips", ScanLayout(scan_shape=(4, 4)))
    assert len(scan.files) == 4
    assert scan.shape == data.shape
    assert scan.header["original"]["tvips_header"]["ht"] == 200
    assert np.array_equal(whole(scan, rows=3), data)
    assert math.isnan(scan.scan_step_nm)
    assert scan.scale is None


def test_tvips_stream_without_a_shape_is_refused(tmp_path):
    """16 positions may be 4 x 4, 2 x 8 or 8 x 2."""
    path = write(tmp_path / "a_000.tvips", "tvips", patterns((2, 8, 12, 10)))
    assert "does not store the shape of its scan, here of 16 positions; give scan_shape" in refusal(
        path
    )
    assert open_scan(path, ScanLayout(scan_shape=(2, 8))).shape == (2, 8, 12, 10)


def test_tvips_stream_that_is_cut_or_starts_later_is_refused(tmp_path):
    path = write(tmp_path / "a_000.tvips", "tvips", patterns((4, 4, 12, 10)))
    (tmp_path / "a_001.TVIPS").write_bytes(path.read_bytes())
    assert "it is not the first file of a TVIPS stream" in refusal(tmp_path / "a_001.TVIPS")
    os.truncate(path, path.stat().st_size - 1)
    assert "the file ends within a frame" in refusal(path)
    os.truncate(path, 20)
    assert "the file is truncated within its header" in refusal(path)


@pytest.mark.parametrize(
    ("rotator", "frames"),
    [
        ([0, 0, 1, 2, 3, 4], [2, 3, 4, 5]),
        ([0, 1, 2, 4, 4, 4], [1, 2, 2, 3]),  # position 3 has no frame
        ([1, 1, 3, 4, 4], [0, 1, 2, 3]),  # the repeated frame stands for position 2
        ([1, 2, 3, 4, 0, 0], [0, 1, 2, 3]),
        ([2, 3], [0, 0, 1]),
        ([0, 0], []),
    ],
)
def test_scan_index(rotator, frames):
    assert scan_index(np.array(rotator, np.uint32)).tolist() == frames


def test_emd_of_hyperspy_is_stored_in_reverse(tmp_path):
    data = patterns()
    path = write(tmp_path / "a.emd", "emd", data)
    with h5py.File(path) as file:
        assert file["signals/one scan/data"].shape == data.shape[::-1]
    scan = open_scan(path)
    assert [axis.name for axis in scan.axes] == ["y", "x", "ky", "kx"]
    assert (scan.scan_step_nm, scan.scale) == (5.0, (0.1, "1/nm"))
    assert np.array_equal(whole(scan, rows=2), data)


def write_emd(path, data, names, units, *, first=0, group="root/cube"):
    """EMD as NCEM specifies it, dimension vectors from dim`first` in the order of the data."""
    with h5py.File(path, "w") as file:
        place = file.create_group(group)
        place.attrs["emd_group_type"] = 1
        place["data"] = data
        for i, (name, unit) in enumerate(zip(names, units, strict=True)):
            place[f"dim{first + i}"] = np.arange(2) * 0.5
            place[f"dim{first + i}"].attrs.update(name=name, units=unit)
    return path


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize(
    ("names", "units"),
    [
        (("Rx", "Ry", "Qx", "Qy"), ("A", "A", "A^-1", "A^-1")),
        (("R_x", "R_y", "Q_x", "Q_y"), ("pixels",) * 4),
        (("y", "x", "a", "b"), ("[n_m]", "[n_m]", "[1_/_n_m]", "[1_/_n_m]")),
    ],
)
def test_emd_of_py4dstem_and_others_is_stored_rows_first(tmp_path, names, units, first):
    data = patterns()
    scan = open_scan(write_emd(tmp_path / "a.h5", data, names, units, first=first))
    assert np.array_equal(whole(scan, rows=2), data)
    assert scan.scale == (None if units[3] == "pixels" else (0.5, scan.axes[3].unit))


def test_emd_without_names_is_refused(tmp_path):
    path = write_emd(tmp_path / "a.h5", patterns(), [""] * 4, [""] * 4)
    assert "do not tell which are the camera's" in refusal(path)


def write_velox(path, stack, pixel_size, unit):
    """Velox's EMD with one series of camera frames, which are its last axis."""
    metadata = {
        "BinaryResult": {
            "PixelSize": {"width": str(pixel_size), "height": str(pixel_size)},
            "PixelUnitX": unit,
            "DetectorIndex": "0",
        },
        "Scan": {"FrameTime": "1"},
        "Detectors": {"Detector-0": {"DetectorName": "BM-Ceta"}},
        "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "1481271258"}},
        "CustomProperties": "",
    }
    text = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    version = np.array([b'{"format": "Velox", "version": "1"}'], object)
    with h5py.File(path, "w") as file:
        file.create_dataset("Version", data=version, dtype=h5py.string_dtype())
        image = file.create_group("Data/Image/0")
        data = np.moveaxis(stack, 0, -1)
        image.create_dataset("Data", data=data, chunks=(*data.shape[:2], 1))
        image["Metadata"] = np.repeat(text[:, np.newaxis], len(stack), axis=1)
    return path


def test_velox_series_of_patterns_is_a_line_scan(tmp_path):
    data = patterns((6, 12, 10))
    scan = open_scan(write_velox(tmp_path / "a.emd", data, 1e8, "1/m"))
    assert scan.shape == (1, 6, 12, 10)
    value, unit = scan.scale
    assert value * {"1/nm": 1.0, "1/µm": 1e-3}[unit] == pytest.approx(0.1)
    assert np.array_equal(whole(scan), data[np.newaxis])


def test_velox_series_of_images_is_refused(tmp_path):
    path = write_velox(tmp_path / "a.emd", patterns((6, 12, 10)), 5e-9, "m")
    assert "it holds images, not diffraction patterns" in refusal(path)


def write_dm4(path, data, scales, units):
    """Gatan's DM4 with one image: tag groups (20) and data (21), big-endian but for the values."""

    def tag(kind, name, content):
        return struct.pack(">BH", kind, len(name)) + name.encode() + content

    def group(name, *tags):
        body = struct.pack(">BBQ", 0, 0, len(tags)) + b"".join(tags)
        return tag(20, name, body[:2] + struct.pack(">Q", len(body)) + body[2:])

    def value(name, info, raw):
        body = b"%%%%" + struct.pack(f">Q{len(info)}Q", len(info), *info) + raw
        return tag(21, name, struct.pack(">Q", len(body)) + body)

    def real(name, number):
        return value(name, [6], struct.pack("<f", number))

    def integer(name, number):
        return value(name, [5], struct.pack("<L", number))

    def string(name, text):
        return value(name, [20, 4, len(text)], text.encode("utf-16-le"))

    def calibration(name, scale, unit):
        return group(name, real("Origin", 0), real("Scale", scale), string("Units", unit))

    fastest_first = list(zip(data.shape, scales, units, strict=True))[::-1]
    image = group(
        "",
        group(
            "ImageData",
            group(
                "Calibrations",
                calibration("Brightness", 1, ""),
                group("Dimension", *(calibration("", s, u) for _, s, u in fastest_first)),
            ),
            value("Data", [20, 4, data.size], data.astype("<u2").tobytes()),
            integer("DataType", 10),
            group("Dimensions", *(integer("", size) for size, _, _ in fastest_first)),
        ),
        group("ImageTags", group("Microscope Info", real("Voltage", 2e5))),
        string("Name", "gatan"),
    )
    root = struct.pack(">BBQ", 0, 0, 1) + group("ImageList", image)
    path.write_bytes(struct.pack(">LQL", 4, len(root), 1) + root)
    return path


def test_gatan_scan(tmp_path):
    data = patterns()
    path = write_dm4(tmp_path / "a.dm4", data, (5, 5, 0.1, 0.1), ("nm", "nm", "1/nm", "1/nm"))
    scan = open_scan(path)
    assert (scan.shape, scan.dtype, scan.title) == (data.shape, data.dtype, "gatan")
    assert (scan.scan_step_nm, scan.scale[1]) == (5.0, "1/nm")
    assert scan.header["metadata"]["Acquisition_instrument"]["TEM"]["beam_energy"] == 200.0
    assert np.array_equal(whole(scan, rows=2), data)


def test_gatan_scan_with_the_camera_axes_first(tmp_path):
    data = patterns()
    path = write_dm4(
        tmp_path / "a.dm4",
        data.transpose(2, 3, 0, 1),
        (0.1, 0.1, 5, 5),
        ("1/nm", "1/nm", "nm", "nm"),
    )
    scan = open_scan(path)
    assert scan.shape == data.shape
    assert (scan.scan_step_nm, scan.scale[1]) == (5.0, "1/nm")
    assert np.array_equal(whole(scan, rows=2), data)


def test_stack_of_images_is_no_line_scan(tmp_path):
    path = write_dm4(tmp_path / "a.dm4", patterns()[0], (1, 5, 5), ("s", "nm", "nm"))
    assert "it holds images, not diffraction patterns" in refusal(path)


def test_line_scan_has_one_row(tmp_path):
    data = patterns((6, 12, 10))
    scan = open_scan(write(tmp_path / "a.hspy", "hspy", data))
    assert scan.shape == (1, 6, 12, 10)
    assert scan.scan_step_nm == 5.0
    assert np.array_equal(whole(scan), data[np.newaxis])
    assert describe(scan).bright_field.shape == (1, 6)


def test_a_scan_of_one_position_is_one_where_its_file_says_so(tmp_path):
    data = patterns((1, 1, 12, 10))
    scan = open_scan(write(tmp_path / "a.hspy", "hspy", data))
    assert scan.shape == (1, 1, 12, 10)
    assert np.array_equal(whole(scan), data)


def test_spectra_are_no_scan(tmp_path):
    data = patterns()
    description = signal(data, navigate=[True, True, True, False])
    path = write(tmp_path / "a.hspy", "hspy", data, description=description)
    assert "has no two camera axes" in refusal(path)


def test_scan_is_chosen_among_signals(tmp_path):
    data = patterns()
    path = write(tmp_path / "a.hspy", "hspy", data)
    image = write(tmp_path / "b.hspy", "hspy", data[0, 0])
    with h5py.File(path, "a") as file, h5py.File(image) as other:
        other.copy("Experiments/one scan", file["Experiments"], "an image")
    two = tmp_path / "two.hspy"
    two.write_bytes(path.read_bytes())
    with h5py.File(two, "a") as file:
        file.copy("Experiments/one scan", file["Experiments"], "second")
    assert np.array_equal(whole(open_scan(path)), data)
    assert "it holds 2 scans (one scan, one scan) of diffraction patterns" in refusal(two)


@pytest.mark.parametrize("suffix", ["hspy", "zspy"])
@pytest.mark.filterwarnings("ignore:The NestedDirectoryStore is deprecated:FutureWarning")
def test_plain_array_that_hyperspy_saved(tmp_path, suffix):
    """Its axes have no name, no unit and no index."""
    import hyperspy.api as hs

    data = patterns()
    path = tmp_path / f"a.{suffix}"
    hs.signals.Signal2D(data).save(path)
    scan = open_scan(path)
    assert scan.shape == data.shape
    assert math.isnan(scan.scan_step_nm)
    assert scan.scale is None
    assert np.array_equal(whole(scan, rows=2), data)


# ------------------------------------------------------------------------------- bad input


def write_blo(path, shape=(3, 4, 10, 10)):
    """A block file by its own structure, so that it can also be sparse."""
    from rsciio.blockfile import file_writer

    ny, nx, size, _ = shape
    description = signal(patterns((1, 1, size, size), "uint8"), units=("nm", "nm", "cm", "cm"))
    file_writer(str(path), description, navigator=None, show_progressbar=False)
    header = bytearray(path.read_bytes()[:4096])
    header[24:28] = struct.pack("<HH", nx, ny)
    first = 4096 + nx * ny
    header[12:16] = struct.pack("<I", first)
    path.write_bytes(header)
    frame = 6 + size**2
    with path.open("r+b") as file:
        for number in {0, 1, nx, nx * ny - 1}:
            file.seek(first + number * frame)
            file.write(struct.pack("<HI", 0x55AA, number))
    os.truncate(path, first + nx * ny * frame)
    return path


def test_truncated_block_file_is_refused(tmp_path, shared_data):
    whole_file = shared_data("scans/astar_3x2.blo").read_bytes()
    path = tmp_path / "cut.blo"
    path.write_bytes(whole_file[:-1])
    assert refusal(path) == (
        f"{path}: the file is truncated: its header promises 6 patterns of 144x144 pixels, 5 are "
        "there; copy the file again from the microscope and check that it is complete."
    )
    path.write_bytes(whole_file[:100])
    assert "the file is truncated within its header" in refusal(path)


def test_block_file_of_another_format_is_refused(tmp_path):
    path = tmp_path / "a.blo"
    for content in (b"", b"PK\x03\x04" + bytes(9000)):
        path.write_bytes(content)
        assert "it is no ASTAR block file" in refusal(path)


def test_truncated_merlin_file_is_refused(tmp_path, shared_data):
    path = tmp_path / "cut.mib"
    frame = 384 + 256 * 256
    path.write_bytes(shared_data("scans/merlin_4x2_6bit.mib").read_bytes()[: -2 * frame])
    header = shared_data("scans/merlin_4x2_6bit.hdr").read_bytes()
    path.with_suffix(".hdr").write_bytes(header)
    assert "8 frames are expected, 6 are there" in refusal(path)
    os.truncate(path, path.stat().st_size - 1)
    assert "the file ends within a frame" in refusal(path)


@pytest.mark.parametrize(
    "suffix", ["blo", "dm3", "dm4", "mib", "app5", "hspy", "zspy", "h5", "emd"]
)
def test_rubbish_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(bytes(range(256)) * 40)
    message = refusal(path)
    assert "cannot be read" in message or "no ASTAR block file" in message


def test_damaged_data_are_found_while_streaming(tmp_path):
    path = write_dm4(tmp_path / "a.dm4", patterns(), (5, 5, 1, 1), ("nm", "nm", "1/nm", "1/nm"))
    scan = open_scan(path)
    os.truncate(path, 2000)
    with pytest.raises(InputError, match="rows 0 to 2 of positions: cannot be read"):
        whole(scan)


def test_unknown_suffix_and_missing_file(tmp_path):
    assert "'.tif' cannot be read; use one of .blo, .app5," in refusal(tmp_path / "a.tif")
    assert "there is no such file" in refusal(tmp_path / "a.blo")


def test_complex_values_are_refused(tmp_path):
    path = write(tmp_path / "a.hspy", "hspy", patterns().astype("complex64"))
    assert "its values are complex64, not real numbers" in refusal(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path, bad):
    data = patterns(dtype="float32")
    data[1, 2, 5, :3] = bad
    scan = open_scan(write(tmp_path / "a.hspy", "hspy", data))
    with pytest.raises(InputError, match=r"y=1, x=2: 3 values of the pattern are NaN or inf"):
        describe(scan)


@pytest.mark.parametrize(("dtype", "value"), [("uint8", 0), ("float32", 0), ("int16", -7)])
def test_constant_scan_is_refused(tmp_path, dtype, value):
    data = np.full((3, 4, 12, 10), value, dtype)
    scan = open_scan(write(tmp_path / "a.hspy", "hspy", data))
    with pytest.raises(InputError, match=f"every pixel of every pattern is {value};"):
        describe(scan)


# ---------------------------------------------------------------------------- streaming


def _write_alike_chunks(group, shape, chunks):
    """An array of zeros of which every chunk is written, each as one compressed kilobyte."""
    array = group.create_dataset("data", shape, "u1", chunks=chunks, compression="gzip")
    content = zlib.compress(bytes(math.prod(chunks)))
    for rows in range(0, shape[0], chunks[0]):
        for columns in range(0, shape[1], chunks[1]):
            array.id.write_direct_chunk((rows, columns, 0, 0), content)


@pytest.mark.parametrize("suffix", ["blo", "hspy"])
def test_memory_does_not_grow_with_the_scan(tmp_path, suffix):
    """A scan of 16 GB, sparse or compressed on disk, is read in blocks of about 32 MB."""
    shape = (1024, 1024, 128, 128)
    if suffix == "blo":
        path = write_blo(tmp_path / "big.blo", shape)
    else:
        path = write(tmp_path / "big.hspy", "hspy", patterns((2, 2, 128, 128), "uint8"))
        with h5py.File(path, "a") as file:
            group = file["Experiments/one scan"]
            del group["data"]
            _write_alike_chunks(group, shape, (8, 8, 128, 128))
            for axis in ("axis-0", "axis-1"):
                group[axis].attrs["size"] = 1024
    tracemalloc.start()
    try:
        scan = open_scan(path)
        assert scan.shape == shape
        blocks = scan.blocks()
        sizes = [next(blocks)[1].nbytes for _ in range(2)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert max(sizes) <= 4 * blocks_of_scans.BLOCK_BYTES
    assert peak < 12 * blocks_of_scans.BLOCK_BYTES


def test_blocks_follow_the_chunks_of_the_file(tmp_path):
    path = write(tmp_path / "a.hspy", "hspy", patterns((9, 4, 12, 10)), chunks=(4, 4, 12, 10))
    scan = open_scan(path)
    assert scan.rows_together == 4
    assert [rows for rows, _ in scan.blocks(rows=4)] == [slice(0, 4), slice(4, 8), slice(8, 9)]


def test_blocks_are_contiguous_writable_and_native(tmp_path):
    scan = open_scan(write(tmp_path / "a.emd", "emd", patterns(dtype=">u2")))
    for rows, block in scan.blocks(rows=2):
        assert block.flags.c_contiguous
        assert block.flags.writeable
        assert block.dtype.isnative
        assert block.shape == (rows.stop - rows.start, *scan.shape[1:])


@pytest.mark.parametrize("dtype", ["uint8", "uint32", "int16", "float32", "float64", "float16"])
def test_bytes_do_not_depend_on_the_blocks(tmp_path, dtype, monkeypatch):
    data = patterns((7, 4, 12, 10), dtype)
    if data.dtype.kind == "f":
        data = (data * np.random.default_rng(1).random(data.shape)).astype(dtype)
    scan = open_scan(write(tmp_path / "a.hspy", "hspy", data, chunks=(1, 4, 12, 10)))
    written = []
    for target in (1, 10**9):
        monkeypatch.setattr(blocks_of_scans, "BLOCK_BYTES", target)
        netcdf.write(describe(scan), tmp_path / "a.nc", SCAN)
        written.append((tmp_path / "a.nc").read_bytes())
    assert written[0] == written[1]


@settings(deadline=None, max_examples=25)
@given(
    shape=st.tuples(*[st.integers(1, 5)] * 4),
    dtype=st.sampled_from(["uint8", "int8", "uint16", "int32", "float32"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_accumulate_agrees_with_numpy(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    rows, nx, ky, kx = shape
    block = rng.integers(-100, 100, (rows, nx, ky * kx)).astype(dtype)
    disk = np.flatnonzero(rng.random(ky * kx) < 0.4)
    kind = np.float64 if dtype == "float32" else np.int64
    results = []
    for accumulate in (descriptions.accumulate, descriptions.accumulate_numpy):
        total = np.ones(ky * kx, kind)
        maximum = np.zeros(ky * kx, dtype)
        bright, dark = np.zeros((rows, nx)), np.zeros((rows, nx))
        accumulate(block, disk, total, maximum, bright, dark)
        results.append((total, maximum, bright, dark))
    for compiled, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(compiled, expected)


# ------------------------------------------------------------------------- virtual images


def test_virtual_images_are_sums_in_and_out_of_the_disk(tmp_path):
    data = patterns()
    # A radius between two distances of pixels, for the centre is found to 0.1 pixel only.
    described = describe(open_scan(write(tmp_path / "a.hspy", "hspy", data)), radius=2.1)
    y, x = np.indices(data.shape[2:])
    disk = np.hypot(y - 6, x - 4) <= 2
    np.testing.assert_array_equal(described.bright_field, data[..., disk].sum(axis=-1))
    np.testing.assert_array_equal(described.dark_field, data[..., ~disk].sum(axis=-1))
    np.testing.assert_array_equal(described.max_pattern, data.max(axis=(0, 1)))
    np.testing.assert_allclose(described.mean_pattern, data.mean(axis=(0, 1)), rtol=1e-6)
    assert described.attrs["scan"] == "s"
    assert described.attrs["dtype"] == "uint16"
    SCAN.check(described, "description")


@pytest.mark.parametrize("camera", [(40, 40), (64, 96), (200, 160)])
def test_diffuse_is_the_level_between_the_spots_on_any_camera(tmp_path, camera):
    rng = np.random.default_rng(4)
    level = np.array([[20.0, 24.5, 31.0], [20.0, 50.0, 27.0]])
    y, x = np.indices(camera)
    beam = np.hypot(y - camera[0] / 2, x - camera[1] / 2)
    data = np.maximum(rng.poisson(level[..., None, None], (2, 3, *camera)), 300 * (beam < 3))
    # Three pixels in ten are spots, one in twenty is dead.
    data[rng.random(data.shape) < 0.3] += 90
    data[rng.random(data.shape) < 0.05] = 0
    described = describe(open_scan(write(tmp_path / "a.hspy", "hspy", data.astype("u2"))))
    found = described["diffuse"].values
    # A quantile lies below the mean by a share of the noise: ratios are what counts.
    np.testing.assert_allclose(found / found[0, 0], level / level[0, 0], rtol=0.06)


def test_the_step_of_a_description_is_the_table_s_before_the_header_s(tmp_path):
    scan = open_scan(write(tmp_path / "a.hspy", "hspy", patterns()))
    for table, step in ((np.nan, 5.0), (4.6, 4.6)):
        described = describe_scan(
            scan, name="s", hashing=Hashing(scan.path), bright_field_radius_px=2, step_nm=table
        )
        assert described.attrs["scan_step_nm"] == pytest.approx(step)
    with pytest.raises(InputError, match="scan_step_nm"):
        describe_scan(
            scan, name="s", hashing=Hashing(scan.path), bright_field_radius_px=2, step_nm=50.0
        )


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f4"])
def test_diffuse_is_the_same_of_any_kind_of_counts(dtype):
    counts = np.random.default_rng(2).poisson(9, (2, 3, 50))
    ring = np.arange(3, 43)
    expected = np.sort(counts[..., ring], axis=-1)[..., 8:17].mean(axis=-1)
    np.testing.assert_array_equal(descriptions._diffuse(counts.astype(dtype), ring), expected)


def test_diffuse_of_a_camera_without_room_for_a_ring(tmp_path):
    data = np.arange(2 * 2 * 2 * 1, dtype="u2").reshape(2, 2, 2, 1) + 1
    described = describe(open_scan(write(tmp_path / "a.hspy", "hspy", data)), radius=0.5)
    assert np.isfinite(described["diffuse"]).all()


@settings(deadline=None, max_examples=40)
@given(
    row=st.floats(15, 45),
    column=st.floats(15, 45),
    radius=st.floats(3, 6),
    background=st.floats(0, 20),
)
def test_direct_beam_is_found(row, column, radius, background):
    y, x = np.indices((60, 60))
    edge = np.clip(radius - np.hypot(y - row, x - column) + 0.5, 0, 1)
    spot = np.clip(3 - np.hypot(y - 8, x - 52), 0, 1)
    found = find_direct_beam(background + 200 * edge + 150 * spot, radius_px=radius + 1)
    assert found == pytest.approx((row, column), abs=0.15)


def test_steps_that_differ_are_no_step(tmp_path):
    description = signal(patterns(), scales=(5.0, 6.0, 0.1, 0.1))
    path = write(tmp_path / "a.hspy", "hspy", patterns(), description=description)
    assert math.isnan(open_scan(path).scan_step_nm)


def test_header_holds_plain_values_only():
    found = plain(
        {"a": np.float32(1.5), 2: b"x", "n": float("nan"), "t": (1, np.int8(2)), "p": Path("q"),
         "l": list(range(100)), "big": np.zeros(1000), "small": np.arange(2)}
    )  # fmt: skip
    assert found == {
        "a": 1.5, "2": "x", "n": "nan", "t": [1, 2], "p": "q",
        "l": "100 values", "big": "1000 values", "small": [0, 1],
    }  # fmt: skip
    assert json.loads(json.dumps(found, allow_nan=False)) == found
