"""When each position of a scan was taken, by its file and the table of scans."""

import json
import os
import struct
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_scan_shapes import write_merlin
from test_scans import patterns, write, write_blo, write_velox

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.core.moments import Stamp
from phasefront.experiment.settings.scans import ScanClock, ScanLayout, ScanRow
from phasefront.experiment.tables import read_table
from phasefront.layouts.scans import SCAN
from phasefront.scans.files import open_scan
from phasefront.scans.formats import gatan
from phasefront.scans.formats.timing import Timing, of_frames
from phasefront.scans.timing import position_times

ROOT = Path(__file__).resolve().parents[2]
few = settings(deadline=None, max_examples=60)
START = datetime(2025, 3, 3, 9, 0, tzinfo=UTC)


def times_of(path, shape=None, **stated):
    return position_times(open_scan(path, ScanLayout(scan_shape=shape)), ScanClock(**stated))


@pytest.fixture
def block_file(tmp_path):
    return write_blo(tmp_path / "a.blo", (3, 4, 8, 8))


# --- formats ---------------------------------------------------------------------------------


def test_merlin_frames_have_their_utc_times(shared_data):
    path = shared_data("scans/merlin_4x2_6bit.mib")
    found = times_of(path, (4, 2))
    assert found.start == "2021-05-07T16:51:10.905801+00:00"
    assert found.positions_s.ravel() == pytest.approx(0.102 * np.arange(8), abs=3e-5)
    assert found.clock == "the UTC times of its frames"
    stated = times_of(path, (4, 2), start="2021-05-07T16:51:09+00:00")
    np.testing.assert_array_equal(stated.positions_s, found.positions_s)
    assert stated.start == "2021-05-07T16:51:09+00:00"
    assert stated.clock == "the UTC times of its frames; start by the table of scans"
    for extra in ({"dwell_ms": 102}, {"row_ms": 300}, {"end": "2021-05-07T16:51:12Z"}):
        with pytest.raises(InputError, match="its frames have times of their own"):
            times_of(path, (4, 2), **extra)


def test_merlin_of_older_software_has_local_times(shared_data, tmp_path):
    content = shared_data("scans/merlin_4x2_6bit.mib").read_bytes()
    (tmp_path / "a.mib").write_bytes(content.replace(b",MQ1A,", b",MQ1X,"))
    found = times_of(tmp_path / "a.mib", (4, 2))
    assert found.start == "2021-05-07T18:51:10.905800"
    assert found.clock == "the local times of its frames"
    zoned = times_of(tmp_path / "a.mib", (4, 2), timezone="Europe/Paris")
    assert zoned.start == "2021-05-07T18:51:10.905800+02:00"


def test_flyback_frames_are_in_the_times(tmp_path):
    gaps = [10_000_000] * 20
    path = write_merlin(tmp_path / "a.mib", patterns((14, 4, 4), "uint8"), gaps=gaps[:13])
    scan = open_scan(path, ScanLayout(scan_shape=(3, 4), flyback=1))
    found = position_times(scan)
    assert found.positions_s[:, 0] == pytest.approx([0, 0.05, 0.10])
    assert (found.dwell_s, found.row_s) == pytest.approx((0.01, 0.05))


def test_times_that_run_backwards_are_none():
    stamp = Stamp(START, "the times of its frames")
    found = of_frames(stamp, np.array([[0, 10], [20, 5]], np.int64))
    assert found.positions_s is None
    assert found.start.source == "the times of its frames run backwards at the position y=1, x=1"


@given(data=st.data(), ny=st.integers(1, 5), nx=st.integers(1, 6))
@few
def test_tvips_frames_have_seconds_and_milliseconds(tmp_path_factory, data, ny, nx):
    if ny * nx < 2:
        return
    path = write(
        tmp_path_factory.mktemp("t") / "a_000.tvips", "tvips", patterns((ny, nx, 4, 4), "uint16")
    )
    gaps = data.draw(st.lists(st.integers(0, 5000), min_size=ny * nx, max_size=ny * nx))
    clock = 1_741_000_000_000 + np.cumsum(gaps)
    content = bytearray(path.read_bytes())
    size, frame = struct.unpack_from("<I", content)[0], 60 + 4 * 4 * 2
    for number, moment in enumerate(clock.tolist()):
        struct.pack_into("<II", content, size + frame * number + 4, moment // 1000, moment % 1000)
    path.write_bytes(content)
    found = times_of(path, (ny, nx))
    passed = (clock - clock[0]).reshape(ny, nx) / 1000
    np.testing.assert_allclose(found.positions_s, passed, atol=1e-9)
    assert datetime.fromisoformat(found.start).timestamp() == pytest.approx(clock[0] / 1000)


def test_topspin_rows_share_the_time_from_start_to_end(shared_data):
    path = shared_data("scans/topspin_3x7.app5")
    found = times_of(path)
    assert (found.start, found.end) == ("2025-05-12T12:27:54", "2025-05-12T12:33:35")
    ny, nx = found.positions_s.shape
    row = 341 / ny
    assert found.positions_s[:, 0] == pytest.approx(row * np.arange(ny))
    # Between the rows the beam flies back for 0.08 s.
    assert found.dwell_s == pytest.approx((row - 0.08) / nx)
    local = times_of(path, timezone="America/Denver")
    assert local.start == "2025-05-12T12:27:54-06:00"
    moved = times_of(path, start="2025-05-12T20:00:00+00:00")
    assert moved.end == "2025-05-12T20:05:41+00:00"
    np.testing.assert_array_equal(moved.positions_s, found.positions_s)
    ended = times_of(path, end="2025-05-12T20:05:41+00:00")
    assert ended.start == "2025-05-12T20:00:00+00:00"


def test_a_block_file_has_a_moment_but_no_start(shared_data):
    found = times_of(shared_data("scans/astar_3x2.blo"))
    assert found.start == found.end == "" and np.isnan(found.positions_s).all()
    assert "2015-12-01T15:40:59.812000, is of the scan's start or its end" in found.clock


# --- Gatan -----------------------------------------------------------------------------------

FILETIME_ZERO = datetime(1601, 1, 1, tzinfo=UTC)


def gatan_signal(**tags):
    return {"original_metadata": {"ImageList": {"TagGroup0": {"ImageTags": tags}}}}


def filetime(moment):
    return (moment - FILETIME_ZERO) / timedelta(microseconds=1) * 10


@given(
    saved=st.datetimes(datetime(2000, 1, 1), datetime(2050, 1, 1)),
    offset=st.sampled_from([-570, -300, 0, 60, 120, 330, 345, 570]), lasted=st.integers(1, 80_000),
    late=st.integers(-20, 20),
)  # fmt: skip
@few
def test_gatan_times_of_day_are_of_the_day_and_zone_of_the_pair(saved, offset, lasted, late):
    saved = saved.replace(microsecond=0, tzinfo=UTC)
    end = saved - timedelta(seconds=120)
    start = end - timedelta(seconds=lasted)
    shift = timedelta(minutes=offset)

    def shown(moment):
        return f"{(moment + shift):%I:%M:%S %p}"

    bar = {
        "Acquisition Date": "14/05/2019",
        "Acquisition Time": shown(saved + timedelta(seconds=late)),
        "Acquisition Time (OS)": filetime(saved),
    }
    stack = {"Start time": shown(start), "End time": shown(end), "Pixel time (s)": 0.01}
    found = gatan._timing(gatan_signal(DataBar=bar, SI={"Acquisition": stack}))
    assert found.start.moment == start and found.end.moment == end
    assert found.start.moment.utcoffset() == shift
    assert found.dwell_s == 0.01


@pytest.mark.parametrize(
    ("bar", "why"),
    [
        ({}, "nothing says of which day and zone Start time, '9:00:00 AM'"),
        ({"Acquisition Time": "9:05:00"}, "nothing says"),
        ({"Acquisition Time (OS)": filetime(START)}, "nothing says"),
        ({"Acquisition Time (OS)": filetime(START), "Acquisition Time": "9:07:30"}, "nothing says"),
        (
            {"Acquisition Time (OS)": filetime(START), "Acquisition Time": "22:00:00"},
            "nothing says",
        ),
        ({"Acquisition Time (OS)": "soon", "Acquisition Time": 3}, "nothing says"),
    ],
)
def test_gatan_times_of_day_without_their_zone_are_none(bar, why):
    stack = {"Acquisition": {"Start time": "9:00:00 AM"}}
    found = gatan._timing(gatan_signal(DataBar=bar, SI=stack))
    assert found.start.moment is None and why in found.start.source


def test_real_gatan_clocks(shared_data):
    from rsciio.digitalmicrograph import file_reader

    def timing(name):
        (signal,) = file_reader(str(shared_data(f"insitu/dm/{name}")), lazy=True)
        return gatan._timing(signal), gatan._tag(
            *signal["original_metadata"]["ImageList"].values(), "ImageTags", "DataBar"
        )

    found, _ = timing("dp.dm3")
    assert found.start.text == "2014-07-09T16:56:34.906000+00:00"
    found, bar = timing("haadf_DE.dm3")
    assert found.start.moment is None
    saved = gatan.from_filetime(bar["Acquisition Time (OS)"], "")
    assert saved.text == "2016-08-27T19:54:33.854000+00:00"
    assert gatan._offset(saved, bar["Acquisition Time"]) == timedelta(hours=1)


# --- the table -------------------------------------------------------------------------------


@given(
    ny=st.integers(1, 6), nx=st.integers(1, 6), dwell=st.floats(1, 1000), flyback=st.floats(0, 500)
)
@few
def test_start_dwell_and_row_place_the_positions(tmp_path_factory, ny, nx, dwell, flyback):
    path = write_blo(tmp_path_factory.mktemp("b") / "a.blo", (ny, nx, 4, 4))
    row = nx * dwell + flyback
    start = START.isoformat()
    found = times_of(path, start=start, dwell_ms=dwell, row_ms=row)
    y, x = np.indices((ny, nx))
    np.testing.assert_allclose(found.positions_s, 1e-3 * (y * row + x * dwell))
    assert found.start == start
    lasted = datetime.fromisoformat(found.end) - START
    assert lasted.total_seconds() == pytest.approx(1e-3 * ny * row, abs=2e-6)
    again = times_of(path, start=start, end=found.end, dwell_ms=dwell)
    np.testing.assert_allclose(again.positions_s, found.positions_s, atol=1e-5)
    even = times_of(path, start=start, end=found.end)
    assert even.dwell_s == pytest.approx(1e-3 * row / nx, abs=1e-5)


def test_dwell_alone_places_positions_after_an_unknown_start(block_file):
    found = times_of(block_file, dwell_ms=10)
    assert found.start == "" and found.positions_s[2, 3] == pytest.approx(0.11)


IMPOSSIBLE = {
    "dwell": ({"start": "2025-03-03T09:00:00Z", "end": "2025-03-03T09:00:01Z", "dwell_ms": 100},
              "dwell_ms: 4 positions of 0.1 s do not fit into a row of 0.333333 s"),
    "row": ({"start": "2025-03-03T09:00:00Z", "end": "2025-03-03T09:00:01Z", "row_ms": 100},
            "row_ms: the rows share the time from start to end"),
    "row alone": ({"dwell_ms": 100, "row_ms": 399}, "do not fit into a row of 0.399 s"),
}  # fmt: skip


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_times_that_cannot_be_are_refused(block_file, name):
    stated, message = IMPOSSIBLE[name]
    with pytest.raises(InputError, match=message):
        times_of(block_file, **stated)


def test_a_file_whose_end_is_before_its_start_is_refused(block_file):
    from dataclasses import replace

    scan = open_scan(block_file)
    ends = (Stamp(datetime(2025, 1, 1, hour), "the header") for hour in (9, 8))
    timing = Timing(*ends)
    scan = replace(scan, _timing=lambda: timing)
    with pytest.raises(InputError, match="end: its end, 2025-01-01T08:00:00 by the header, is not"):
        position_times(scan)
    stated = ScanClock(start="2025-01-01T07:00:00Z", end="2025-01-01T08:00:00Z")
    assert position_times(scan, stated).row_s == 1200


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"start": "2025-03-03T09:00:00"}, "has no offset"),
        ({"start": "2025-03-03T09:00:00Z", "end": "2025-03-03T10:00:00+01:00"}, "not after the st"),
        ({"dwell_ms": "0"}, "dwell_ms"),
        ({"kind": "peaks", "dwell_ms": "10"}, "times of a list of peaks or of a map are not used"),
    ],
)
def test_times_in_the_table_are_checked(tmp_path, cells, message):
    row = {"scan": "a", "state": "s", "path": "a.blo", "instrument": "i"} | cells
    path = tmp_path / "scans.tsv"
    path.write_text("\t".join(row) + "\n" + "\t".join(row.values()) + "\n")
    with pytest.raises(InputError, match=message):
        read_table(path, ScanRow)


# --- the reading computer --------------------------------------------------------------------


@pytest.mark.slow
def test_what_a_scan_is_does_not_depend_on_the_computers_zone(shared_data, tmp_path):
    astar, merlin = (shared_data(f"scans/{n}") for n in ("astar_3x2.blo", "merlin_4x2_6bit.mib"))
    for scan, layout in ((astar, {}), (merlin, {"scan_shape": [4, 2]})):
        found = set()
        for zone in ("UTC", "Asia/Tokyo"):
            out = tmp_path / "a.nc"
            command = [
                sys.executable, "scripts/describe_scan.py", "--scan", scan, "--name", "a",
                "--settings", "{}", "--layout", json.dumps(layout), "--clock",
                '{"start": "2025-03-03T09:00:00+01:00"}', "--description", out,
            ]  # fmt: skip
            subprocess.run(
                list(map(str, command)), cwd=ROOT, env=os.environ | {"TZ": zone}, check=True
            )
            found.add(out.read_bytes())
        assert len(found) == 1
        described = netcdf.read(out, SCAN)
        assert described.attrs["start"] == "2025-03-03T09:00:00+01:00"
        assert "time_zone" not in described.attrs["header"]


def test_headers_hold_no_time_of_the_computers_zone(tmp_path, block_file):
    velox = write_velox(tmp_path / "a.emd", patterns((6, 12, 10)), 1e8, "1/m")
    for scan in (open_scan(block_file), open_scan(velox)):
        assert not {"date", "time", "time_zone"} & set(scan.header["metadata"]["General"])
