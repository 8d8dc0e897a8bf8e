"""Where a scan's shape comes from, and headers that lie: the exact data, or one sentence."""

import struct
import tracemalloc

import h5py
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_scans import patterns, refusal, signal, whole, write, write_blo, write_dm4, write_emd

from phasefront.core.errors import InputError
from phasefront.experiment import values
from phasefront.experiment.settings.instruments import Instrument
from phasefront.experiment.settings.scans import ScanLayout, ScanRow
from phasefront.experiment.tables import read_table
from phasefront.scans.files import check_instrument, open_scan, step_of
from phasefront.scans.formats.scan import BLOCK_BYTES

MILLISECOND = 1_000_000


def merlin_frames(data, gaps=None, first=1, kind=None):
    """Bytes of a .mib with the patterns (frames, ky, kx), `gaps` ns between them."""
    moments = np.datetime64("2024-01-01T12:00:00.000000000") + np.concatenate(
        [[0], np.cumsum(MILLISECOND * np.ones(len(data) - 1, int) if gaps is None else gaps)]
    ).astype("timedelta64[ns]")
    kind = kind or f"U{8 * data.itemsize:02d}"
    content = []
    for i, (pattern, moment) in enumerate(zip(data, moments, strict=True)):
        ky, kx = pattern.shape
        head = (
            f"MQ1,{first + i:06d},00384,01,{kx:04d},{ky:04d},{kind},   1x1,01,"
            f"2024-01-01T12:00:00.000000,0.001000,0,0,0,1.2E+2,0,3RX,MQ1A,{moment}Z,1000000ns,6,"
        )
        content.append(head.encode().ljust(384) + pattern.astype(f">u{data.itemsize}").tobytes())
    return b"".join(content)


def write_merlin(path, data, hdr=None, **options):
    path.write_bytes(merlin_frames(data, **options))
    if hdr is not None:
        lines = [f"{key}:\t{value}" for key, value in hdr.items()]
        path.with_suffix(".hdr").write_text("\n".join(["HDR,\t", *lines, "End\t"]))
    return path


def refused(path, **layout):
    with pytest.raises(InputError) as caught:
        open_scan(path, ScanLayout(**layout))
    return str(caught.value)


# -------------------------------------------------------------------------- files of real kinds

SAID = {
    "merlin-shape/late_frame.mib": "nothing says how its 24 frames make rows and columns",
    "merlin-shape/late_frame_scanxy.mib": (4, 6),
    "merlin-shape/regular.mib": (4, 6),
    "merlin-shape/rounding.mib": (4, 6),
    "merlin-one/one.mib": "it holds one pattern of 8 x 8 pixels, no scan",
    "merlin-raw/raw.mib": "it was saved in raw mode (R64), as the chips send it; convert it",
    "merlin-hdr/blank_line.mib": (4, 6),
    "merlin-hdr/end_without_tab.mib": (4, 6),
    "merlin-hdr/micro_sign.mib": (4, 6),
    "tvips-header/short_000.tvips": "headers of 12 bytes, too short for a scan index",
    "tvips-header/wild_000.tvips": "its scan index runs to 4000000000",
    "hdf5-hspy/scan.hdf5": (3, 4, 12, 10),
}


@pytest.mark.parametrize("name", SAID)
def test_files_that_were_misread_are_read_or_refused(shared_data, name):
    path, said = shared_data(f"cases/{name}"), SAID[name]
    if isinstance(said, str):
        assert said in refusal(path)
        return
    scan = open_scan(path)
    assert scan.shape[: len(said)] == said
    if path.suffix == ".mib":
        frames = np.fromfile(path, np.uint8).reshape(24, -1)[:, 384:].reshape(4, 6, 8, 8)
        np.testing.assert_array_equal(whole(scan, rows=3), frames[..., ::-1, :])
    else:
        with h5py.File(path) as file:
            np.testing.assert_array_equal(whole(scan), file["Experiments/a scan/data"][()])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("insitu/dm/dp.dm3", "no scan of diffraction patterns but one image of 87 x 87"),
        ("insitu/dm/haadf_DE.dm3", "one image of 4 x 16"),
        ("insitu/dm/stack.dm3", "it holds images, not diffraction patterns"),
        ("modalities/eels/EELS_SI.dm4", "it holds spectra, not diffraction patterns"),
        ("modalities/eels/test-EELS_spectrum.dm3", "but one spectrum of 2048 channels"),
        ("modalities/eels/LSMO_linescan.hspy", "but 40 spectra of 586 channels"),
        ("modalities/eels_ti/TiO2_EELS Spectrum Image (low-loss).dm4", "it holds spectra"),
        ("modalities/stxm/Hermes_HDF5_small_OK.hdf5", "is no scan of EMD or py4DSTEM"),
    ],
)
def test_files_of_other_kinds_are_refused_by_what_they_are(shared_data, name, said):
    assert said in refusal(shared_data(name))


# ------------------------------------------------------------------------------- Merlin's shape


def test_a_merlin_scan_has_the_shape_of_its_header(tmp_path):
    data = patterns((12, 6, 4), "uint8")
    path = write_merlin(tmp_path / "a.mib", data, {"ScanX": 4, "ScanY": 3})
    scan = open_scan(path)
    assert scan.shape_from == "ScanX and ScanY of the .hdr"
    np.testing.assert_array_equal(whole(scan), data.reshape(3, 4, 6, 4)[:, :, ::-1])
    assert "ScanY 3, ScanX 4; correct the one that is wrong" in refused(path, scan_shape=(4, 3))


def test_what_a_header_says_of_one_axis_is_held_against_the_table(tmp_path):
    path = write_merlin(tmp_path / "a.mib", patterns((12, 6, 4), "uint8"), {"ScanX": 4})
    assert "nothing says how its 12 frames" in refused(path)
    assert open_scan(path, ScanLayout(scan_shape=(3, 4))).shape[:2] == (3, 4)
    assert "the table of scans says 4 x 3" in refused(path, scan_shape=(4, 3))


def test_one_trigger_a_line_gives_the_shape(tmp_path):
    data = patterns((12, 6, 4), "uint16")
    path = write_merlin(tmp_path / "a.mib", data, {"Frames per Trigger (Number)": 4})
    scan = open_scan(path)
    assert (scan.shape, scan.dtype) == ((3, 4, 6, 4), np.uint16)
    np.testing.assert_array_equal(whole(scan, rows=2), data.reshape(3, 4, 6, 4)[:, :, ::-1])
    path = write_merlin(tmp_path / "b.mib", data, {"Frames per Trigger (Number)": 5})
    assert "nothing says how its 12 frames" in refused(path)
    path = write_merlin(tmp_path / "c.mib", data, {"Frames per Trigger (Number)": 12})
    assert "nothing says how its 12 frames" in refused(path)


@settings(deadline=None, max_examples=60)
@given(
    ny=st.integers(2, 4),
    nx=st.integers(2, 4),
    skip=st.integers(0, 3),
    flyback=st.integers(0, 2),
    last=st.booleans(),
    header=st.booleans(),
    dtype=st.sampled_from(["uint8", "uint16", "uint32"]),
)
def test_frames_of_the_flyback_are_no_positions(
    tmp_path_factory, ny, nx, skip, flyback, last, header, dtype
):
    count = skip + ny * (nx + flyback) - (0 if last else flyback)
    data = patterns((count, 3, 2), dtype)
    path = tmp_path_factory.mktemp("m") / "a.mib"
    write_merlin(path, data, {"ScanX": nx, "ScanY": ny} if header else None)
    shape = None if header else (ny, nx)
    scan = open_scan(path, ScanLayout(scan_shape=shape, skip=skip, flyback=flyback))
    found = whole(scan, rows=1)
    for y in range(ny):
        for x in range(nx):
            expected = data[skip + y * (nx + flyback) + x]
            np.testing.assert_array_equal(found[y, x], expected[::-1])
    # A last row without flyback cannot be told from frames skipped in its place.
    for wrong in ({"skip": skip + flyback + 1}, {"skip": skip, "flyback": flyback + 3}):
        asked = {"scan_shape": shape, "flyback": flyback} | wrong
        assert "correct scan_shape, skip and flyback" in refused(path, **asked)


@settings(deadline=None, max_examples=60)
@given(
    ny=st.integers(3, 5),
    nx=st.integers(2, 5),
    pause=st.integers(4, 20),
    late=st.lists(st.tuples(st.integers(0, 23), st.integers(1, 30 * MILLISECOND)), max_size=2),
)
@example(ny=4, nx=6, pause=5, late=[(2, MILLISECOND * 3 // 2)])
@example(ny=4, nx=6, pause=1, late=[(1, 1000)])
def test_time_stamps_give_the_true_shape_or_none(tmp_path_factory, ny, nx, pause, late):
    gaps = np.full(ny * nx - 1, MILLISECOND)
    gaps[nx - 1 :: nx] *= pause
    for place, more in late:
        gaps[place % len(gaps)] += more
    path = write_merlin(
        tmp_path_factory.mktemp("m") / "a.mib", patterns((ny * nx, 3, 2), "uint8"), gaps=gaps
    )
    try:
        assert open_scan(path).shape[:2] == (ny, nx)
    except InputError as error:
        assert late or pause < 4
        assert "give scan_shape" in str(error)
    assert open_scan(path, ScanLayout(scan_shape=(nx, ny))).shape[:2] == (nx, ny)


def test_lost_merlin_frames_are_noticed_by_their_numbers(tmp_path):
    data = patterns((13, 3, 2), "uint8")
    content = merlin_frames(data)
    frame = len(content) // 13
    (tmp_path / "a.mib").write_bytes(content[: 5 * frame] + content[6 * frame :])
    said = refused(tmp_path / "a.mib", scan_shape=(3, 4))
    assert "its frames are numbered 1 to 13, but 12 are there" in said


@pytest.mark.parametrize("value", ["-8", "nan", "1e9", "eight", "99999999999"])
@pytest.mark.parametrize("key", ["ScanX", "ScanY", "Frames in Acquisition (Number)"])
def test_a_damaged_number_of_a_hdr_is_named(tmp_path, key, value):
    hdr = {"ScanX": 4, "ScanY": 3, key: value}
    path = write_merlin(tmp_path / "a.mib", patterns((12, 3, 2), "uint8"), hdr)
    assert f"a.hdr: {key}: {value!r} is no whole number" in refused(path)


# ------------------------------------------------------------------------------ lies about size


def exact_or_refused(path, expected, layout=None):
    """Open and read: the exact data or an InputError, and memory bounded by the file's size."""
    tracemalloc.start()
    try:
        read = whole(open_scan(path, layout), rows=1)
    except InputError as error:
        read = None
        assert str(path.with_suffix("")) in str(error)
        assert "\n" not in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < BLOCK_BYTES + 4 * path.stat().st_size
    if read is not None:
        np.testing.assert_array_equal(read, expected)


BLO_FIELDS = [(8, "I"), (12, "I"), (20, "H"), (24, "H"), (26, "H"), (30, "d"), (38, "d"),
              (46, "I"), (50, "H"), (52, "I"), (56, "d")]  # fmt: skip
LIES = [0, 1, 2, 3, 5, 7, 100, 4095, 4097, 65535, 2**31, 2**32 - 1]


@settings(deadline=None, max_examples=150)
@given(
    field=st.sampled_from(BLO_FIELDS),
    lie=st.sampled_from(LIES),
    real=st.sampled_from([np.nan, np.inf, -np.inf, -1.0, 0.0, 1e300]),
)
def test_block_file_headers_that_lie(tmp_path_factory, field, lie, real):
    from rsciio.blockfile import file_writer

    data = patterns((2, 3, 8, 8), "uint8")
    path = tmp_path_factory.mktemp("b") / "a.blo"
    description = signal(data, units=("nm", "nm", "cm", "cm"))
    file_writer(str(path), description, navigator=None, show_progressbar=False)
    content = bytearray(path.read_bytes())
    offset, code = field
    value = real if code == "d" else lie % 2 ** (16 if code == "H" else 32)
    struct.pack_into(f"<{code}", content, offset, value)
    path.write_bytes(content)
    exact_or_refused(path, data)


def merlin_lies():
    field = st.sampled_from([1, 2, 4, 5, 6, 7])
    lie = st.sampled_from(
        ["", "0", "-1", "nan", "1", "7", "99999", "1e9", "9999999999999", "U16", "U64", "R64"]
    )
    return field, lie


@settings(deadline=None, max_examples=100)
@given(*merlin_lies())
def test_merlin_headers_that_lie(tmp_path_factory, field, lie):
    data = patterns((6, 8, 6), "uint8")
    path = write_merlin(tmp_path_factory.mktemp("m") / "a.mib", data)
    content = path.read_bytes()
    fields = content[:384].decode().split(",")
    fields[field] = lie
    path.write_bytes(",".join(fields).strip().encode().ljust(384)[:384] + content[384:])
    exact_or_refused(path, data.reshape(2, 3, 8, 6)[:, :, ::-1], ScanLayout(scan_shape=(2, 3)))


@settings(deadline=None, max_examples=120)
@given(
    word=st.sampled_from([0, 1, 2, 3, 4, 12]),
    lie=st.sampled_from([0, 1, 7, 8, 12, 16, 51, 52, 255, 4096, 65535, 2**31, 2**32 - 1]),
)
def test_tvips_headers_that_lie(tmp_path_factory, word, lie):
    data = patterns((2, 3, 8, 6))
    path = write(tmp_path_factory.mktemp("t") / "a_000.tvips", "tvips", data)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, 4 * word, lie)
    path.write_bytes(content)
    exact_or_refused(path, data, ScanLayout(scan_shape=(2, 3)))


@settings(deadline=None, max_examples=60)
@given(frame=st.integers(0, 5), lie=st.sampled_from([0, 1, 2, 4, 6, 8, 100, 2**31, 2**32 - 1]))
def test_a_damaged_scan_index_is_refused(tmp_path_factory, frame, lie):
    data = patterns((2, 3, 8, 6))
    path = write(tmp_path_factory.mktemp("t") / "a_000.tvips", "tvips", data)
    content = bytearray(path.read_bytes())
    size, step = 256, (len(content) - 256) // 6
    place = size + frame * step + 48
    true = struct.unpack_from("<I", content, place)[0]
    struct.pack_into("<I", content, place, lie)
    path.write_bytes(content)
    if lie == true:
        exact_or_refused(path, data, ScanLayout(scan_shape=(2, 3)))
    else:
        said = refused(path, scan_shape=(2, 3))
        assert "scan index" in said or "5 frames are there" in said


@pytest.mark.parametrize("form", ["blo", "mib", "tvips", "dm4", "hspy", "emd"])
@settings(deadline=None, max_examples=25)
@given(share=st.floats(0, 1))
def test_files_cut_anywhere(tmp_path_factory, form, share):
    folder = tmp_path_factory.mktemp("cut")
    data, layout = patterns((2, 3, 8, 8), "uint8"), None
    if form == "mib":
        path = write_merlin(folder / "a.mib", data.reshape(6, 8, 8))
        data, layout = data[:, :, ::-1], ScanLayout(scan_shape=(2, 3))
    elif form == "tvips":
        path, layout = write(folder / "a_000.tvips", "tvips", data), ScanLayout(scan_shape=(2, 3))
    elif form == "dm4":
        path = write_dm4(folder / "a.dm4", data, (5, 5, 1, 1), ("nm", "nm", "1/nm", "1/nm"))
    elif form == "emd":
        path = write_emd(folder / "a.h5", data, ("y", "x", "qy", "qx"), ("nm",) * 2 + ("1/nm",) * 2)
    elif form == "blo":
        path = write_blo(folder / "a.blo", (2, 3, 8, 8))
        data = whole(open_scan(path))
    else:
        path = write(folder / "a.hspy", "hspy", data)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    exact_or_refused(path, data, layout)


def test_a_dm_file_whose_dimensions_are_not_its_data(tmp_path):
    data = patterns((2, 3, 8, 8))
    path = write_dm4(tmp_path / "a.dm4", data, (5, 5, 1, 1), ("nm", "nm", "1/nm", "1/nm"))
    content = path.read_bytes()
    place = content.index(b"Dimensions")
    # The four sizes stand in this group, the fastest axis first, as 32-bit integers.
    found = content.index(struct.pack("<L", 8), place)
    for lie in (0, 4, 16, 2**31, 2**32 - 1):
        path.write_bytes(content[:found] + struct.pack("<L", lie) + content[found + 4 :])
        exact_or_refused(path, data)


def test_an_hdf5_scan_that_was_never_finished_is_refused(tmp_path):
    path = write_emd(
        tmp_path / "a.h5", patterns(), ("y", "x", "qy", "qx"), ("nm", "nm", "1/nm", "1/nm")
    )
    with h5py.File(path, "a") as file:
        del file["root/cube/data"]
        array = file["root/cube"].create_dataset(
            "data", (3, 4, 12, 10), "u2", chunks=(1, 4, 12, 10)
        )
        array[:2] = 1
    assert "of its 3 chunks 2 are written: the recording broke off" in refusal(path)
    with h5py.File(path, "a") as file:
        del file["root/cube/data"]
        file["root/cube"].create_dataset("data", (10**5, 10**5, 100, 100), "u2")
    assert "bytes 0 are written" in refusal(path)


def test_dimension_vectors_that_disagree_with_the_array_are_refused(tmp_path):
    names, units = ("y", "x", "qy", "qx"), ("nm", "nm", "1/nm", "1/nm")
    path = write_emd(tmp_path / "a.h5", patterns(), names, units)
    with h5py.File(path, "a") as file:
        del file["root/cube/dim1"]
        file["root/cube/dim1"] = np.arange(7.0)
        file["root/cube/dim1"].attrs.update(name="x", units="nm")
    assert "dim1: it has 7 entries, and its axis 4" in refusal(path)


# -------------------------------------------------------------------------- table and config


def test_a_shape_in_the_table_is_rows_by_columns():
    row = {"scan": "a", "state": "s", "path": "a.mib", "instrument": "i"}
    for text in ("4 x 6", "4x6", "4 × 6", " 4 X 6 "):
        assert ScanRow(**row, scan_shape=text).scan_shape == (4, 6)
    for text in ("24", "4 x", "4 x 6 x 8", "-4 x 6", "4.0 x 6", "four x six", "0 x 6"):
        with pytest.raises(ValueError, match=r"shape|greater"):
            ScanRow(**row, scan_shape=text)
    with pytest.raises(ValueError, match="a list of peaks and a map say their shape"):
        ScanRow(**row, kind="peaks", skip="1")


def test_the_table_may_not_contradict_a_file_that_says_its_shape(tmp_path):
    path = write(tmp_path / "a.hspy", "hspy", patterns())
    assert open_scan(path, ScanLayout(scan_shape=(3, 4))).shape[:2] == (3, 4)
    for layout in ({"scan_shape": (4, 3)}, {"skip": 1}, {"flyback": 1}):
        assert "the file itself 3 x 4 positions" in refused(path, **layout)


def test_the_layout_reaches_the_plan(tmp_path):
    from phasefront.experiment.plan import Plan

    lines = ["scan state path instrument scan_shape skip", "a s a.mib i 4x6 2", "b s b.blo i  "]
    (tmp_path / "scans.tsv").write_text("\n".join(lines).replace(" ", "\t"))
    table = read_table(tmp_path / "scans.tsv", ScanRow)
    plan = Plan("config", None, table, *[None] * 6)
    assert values.value(plan, "scan.a.layout") == {"flyback": 0, "scan_shape": [4, 6], "skip": 2}
    assert ScanLayout.model_validate(values.value(plan, "scan.b.layout")) == ScanLayout()


def instrument(**changed):
    return Instrument(**{"voltage_kv": 200, "precession_deg": 0.5, "scale": 0.01} | changed)


def test_headers_that_contradict_the_config_are_refused(shared_data, tmp_path):
    scan = open_scan(write(tmp_path / "a.hspy", "hspy", patterns()))  # 200 kV, 0.1 1/nm
    check_instrument(scan, instrument(scale=0.0099))
    with pytest.raises(InputError, match="its header says 200 kV, the config 300 kV"):
        check_instrument(scan, instrument(voltage_kv=300))
    with pytest.raises(InputError, match=r"its header says 0\.01 1/angstrom per pixel"):
        check_instrument(scan, instrument(scale=0.1))
    topspin = open_scan(shared_data("scans/topspin_3x7.app5"))
    check_instrument(topspin, instrument(scale=None))
    for changed in ({"precession_deg": 1.0}, {"precession_deg": 0}, {"voltage_kv": 80}):
        with pytest.raises(InputError, match="its header says"):
            check_instrument(topspin, instrument(scale=None, **changed))
    check_instrument(open_scan(shared_data("scans/astar_3x2.blo")), instrument(precession_deg=0))


def test_the_table_may_calibrate_a_step_but_not_contradict_it(tmp_path):
    scan = open_scan(write(tmp_path / "a.hspy", "hspy", patterns()))
    assert step_of(scan, np.nan) == 5.0
    assert step_of(scan, 5.3) == 5.3
    for wrong in (0.5, 50.0):
        with pytest.raises(InputError, match="its header says a step of 5 nm, the table of scans"):
            step_of(scan, wrong)
    endless = signal(patterns(), scales=(np.inf, np.inf, 0.1, 0.1))
    unknown = open_scan(write(tmp_path / "b.hspy", "hspy", patterns(), description=endless))
    assert np.isnan(step_of(unknown, np.nan))
    assert step_of(unknown, 2.0) == 2.0


@pytest.mark.parametrize("table", [np.nan, 5.0, 10.0])
def test_rows_further_apart_than_columns_are_refused_whatever_the_table_says(tmp_path, table):
    described = signal(patterns(), scales=(10.0, 5.0, 0.1, 0.1))
    scan = open_scan(write(tmp_path / "a.hspy", "hspy", None, description=described))
    with pytest.raises(InputError, match="5 nm along rows and of 10 nm from row to row"):
        step_of(scan, table)


def test_a_folder_is_no_scan(tmp_path):
    (tmp_path / "a.blo").mkdir()
    with pytest.raises(InputError, match="there is no such file"):
        open_scan(tmp_path / "a.blo")


def test_a_zspy_folder_that_lost_a_chunk_is_refused(tmp_path):
    path = write(tmp_path / "a.zspy", "zspy", patterns((4, 4, 12, 10)), chunks=(1, 4, 12, 10))
    (lost,) = path.glob("Experiments/*/data/2/0/0/0")
    lost.unlink()
    assert "of its 4 chunks 3 are there; copy the whole folder again" in refusal(path)


def test_peaks_that_were_never_written_are_refused(tmp_path):
    from phasefront.spots.peaks import read_peaks

    fields = np.dtype([("qx", "f8"), ("qy", "f8"), ("intensity", "f8")])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("lists", (10**5, 10**5), h5py.vlen_dtype(fields))
    with pytest.raises(InputError, match=r"/lists: of its \d+ bytes 0 are written"):
        read_peaks(tmp_path / "a.h5", name="s")


def test_merlin_frames_that_do_not_begin_where_they_should_are_refused(tmp_path):
    """12 frames of 6 x 64 pixels, taken for 8 of 12 x 64."""
    content = merlin_frames(patterns((12, 6, 64), "uint8"))
    path = tmp_path / "a.mib"
    path.write_bytes(content.replace(b",0064,0006,", b",0064,0012,", 1))
    assert "frame 1 does not begin where" in refused(path, scan_shape=(2, 4))


def test_hyperspy_axes_that_are_not_the_array_are_refused(tmp_path):
    path = write(tmp_path / "a.hspy", "hspy", patterns())
    with h5py.File(path, "a") as file:
        file["Experiments/one scan/axis-0"].attrs["size"] = 4
        file["Experiments/one scan/axis-1"].attrs["size"] = 3
    assert "its axes are 4 x 3 x 12 x 10, its array 3 x 4 x 12 x 10" in refusal(path)
