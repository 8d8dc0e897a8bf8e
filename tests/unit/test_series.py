"""Positions of scans on the log that was recorded meanwhile."""

import json
import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from examples import example
from hypothesis import given, settings
from hypothesis import strategies as st

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.experiment.settings.series import SeriesMember
from phasefront.layouts.cycling import CYCLING
from phasefront.layouts.scans import SCAN
from phasefront.layouts.times import TIMES
from phasefront.series.doses import dose_so_far
from phasefront.series.times import place_on_log

ROOT = Path(__file__).resolve().parents[2]
ZERO = datetime(2025, 3, 30, 0, 0, tzinfo=UTC)
few = settings(deadline=None, max_examples=60)


def make_scan(name="a", *, begins=100.0, shape=(3, 4), dwell=1.0, offset=UTC, **attrs):
    y, x = np.indices(shape)
    start = (ZERO + timedelta(seconds=begins)).astimezone(offset).isoformat()
    return example(
        SCAN, scan=name, file=f"{name}.mib", position_time=dwell * (y * shape[1] + x),
        **{"start": start, "scan_step_nm": 10.0} | attrs,
    )  # fmt: skip


def make_log(*, time=None, elapsed=None, step=None, current=None, **attrs):
    """A log of a record each 10 s, whose voltage and charge are straight lines in time."""
    time = 10.0 * np.arange(101) if time is None else time
    return example(
        CYCLING, log="cell", file="cell.mpt", time=time,
        elapsed=time if elapsed is None else elapsed, voltage=3 + 1e-3 * time,
        charge=2e-3 * time, current=np.ones(len(time)) if current is None else current,
        step=np.zeros(len(time), int) if step is None else step,
        **{"started": ZERO.isoformat()} | attrs,
    )  # fmt: skip


def place(scan, log, **options):
    return place_on_log(scan, log, **{"series": "s", "dose": 1.0} | options)


@given(
    begins=st.floats(0, 900), hours=st.sampled_from([-9.5, 0, 2, 5.75]), dwell=st.floats(0.01, 8),
    offset=st.floats(-50, 50),
)  # fmt: skip
@few
def test_a_position_has_what_the_log_says_of_its_moment(begins, hours, dwell, offset):
    begins = round(begins, 3)
    zone = timezone(timedelta(hours=hours))
    scan = make_scan(begins=begins, dwell=dwell, offset=zone)
    time = begins + offset + dwell * np.arange(12).reshape(3, 4)
    if time.min() < 0 or time.max() > 1000:
        with pytest.raises(InputError, match="which has records of 0 to 1000 s; name the log of"):
            place(scan, make_log(), clock_offset_s=offset)
        return
    found = place(scan, make_log(), clock_offset_s=offset, clock_offset_error_s=2.0)
    np.testing.assert_allclose(found["time"], time, atol=2e-6)
    np.testing.assert_allclose(found["voltage"], 3 + 1e-3 * time, atol=1e-8)
    np.testing.assert_allclose(found["charge"], 2e-3 * time, atol=1e-8)
    np.testing.assert_array_equal(found["current"], 1)
    assert found.attrs["clock_offset_error_s"] == 2.0


def test_clocks_of_two_zones_agree_over_a_change_of_clocks():
    # On 30 March 2025, clocks of Paris went from 2 to 3 o'clock, 3600 s after the log began.
    time = 100.0 * np.arange(101)
    log = make_log(time=time, started="2025-03-30T01:00:00+01:00")
    scan = make_scan(start="2025-03-30T03:10:00+02:00")
    assert place(scan, log)["time"].values[0, 0] == 4200


def test_the_interval_before_a_step_has_its_current():
    step = np.repeat([0, 1], [51, 50])
    log = make_log(step=step, current=np.where(step == 0, 0.0, 2.0))
    found = place(make_scan(begins=496, shape=(1, 12)), log)
    assert found["current"].values.tolist() == [[0.0] * 5 + [2.0] * 7]
    assert (np.diff(found["voltage"]) > 0).all()


def test_current_within_a_step_is_interpolated():
    log = make_log(current=np.linspace(0, 10, 101))
    found = place(make_scan(begins=505, shape=(1, 2)), log)
    assert found["current"].values[0] == pytest.approx([5.05, 5.06])


def test_pauses_of_the_log_are_in_its_absolute_times():
    time = 10.0 * np.arange(101)
    elapsed = time + np.where(time > 500, 3600, 0)
    log = make_log(time=time, elapsed=elapsed)
    assert place(make_scan(begins=4200), log)["charge"].values[0, 0] == pytest.approx(1.2)
    for begins in (495, 2000, 4105):
        with pytest.raises(InputError, match="'cell', which was paused from 500 to 4110 s"):
            place(make_scan(begins=begins), log)
    unknown = make_log(time=time, elapsed=np.where(time > 500, np.nan, time))
    with pytest.raises(InputError, match="which has records of 0 to 500 s"):
        place(make_scan(begins=600), unknown)


UNKNOWN = {
    "no start of the scan": (
        make_scan(start="", clock="the header"), make_log(),
        "a.mib: start: it is not known when the scan 'a' began: the header; give start in the tab",
    ),
    "no zone of the scan": (
        make_scan(start="2025-03-30T00:10:00", clock="the header"), make_log(),
        "'a', 2025-03-30T00:10:00 by the header, is of an unknown zone; give the file's timezone",
    ),
    "no start of the log": (
        make_scan(), make_log(started="", started_from="no log module"),
        "cell.mpt: start: it is not known when the log 'cell' began: no log module",
    ),
    "no zone of the log": (
        make_scan(), make_log(started="2025-03-30T00:10:00"), "unknown zone.*in the table of logs",
    ),
    "no zone of either": (
        make_scan(start="2025-03-30T00:10:00"), make_log(started="2025-03-30T00:10:00"),
        "unknown zone",
    ),
    "no times of positions": (
        make_scan(dwell=np.nan), make_log(), "positions of the scan 'a' were taken.*dwell_ms",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_is_refused(name):
    scan, log, message = UNKNOWN[name]
    with pytest.raises(InputError, match=message):
        place(scan, log)


# --- doses -----------------------------------------------------------------------------------


@given(
    electrons=st.lists(st.floats(1e3, 1e7), min_size=1, max_size=5), step=st.floats(1, 50),
    order=st.randoms(),
)  # fmt: skip
@few
def test_doses_add_up_in_the_order_of_the_scans(electrons, step, order):
    names = [f"s{number}" for number in range(len(electrons))]
    scans = {name: make_scan(name, begins=100.0 * number) for number, name in enumerate(names)}
    members = [
        SeriesMember(scan=name, electrons_per_position=n, scan_step_nm=step)
        for name, n in zip(names, electrons, strict=True)
    ]
    order.shuffle(members)
    found = [dose_so_far(name, members, scans) for name in names]
    assert found == pytest.approx(np.cumsum(electrons) / (10 * step) ** 2)


def test_a_dose_that_is_not_stated_is_not_known():
    scans = {"a": make_scan("a"), "b": make_scan("b", begins=200.0)}
    members = [SeriesMember(scan="a", electrons_per_position=1e6), SeriesMember(scan="b")]
    # 1e6 electrons at a step of 10 nm.
    assert dose_so_far("a", members, scans) == pytest.approx(100)
    assert math.isnan(dose_so_far("b", members, scans))
    scans["a"].attrs["scan_step_nm"] = math.nan
    assert math.isnan(dose_so_far("a", members, scans))


@pytest.mark.parametrize("begins", [100.0, 105.0])
def test_two_scans_at_the_same_time_are_refused(begins):
    scans = {"a": make_scan("a"), "b": make_scan("b", begins=begins)}
    members = [SeriesMember(scan=name) for name in scans]
    with pytest.raises(InputError, match=r"'b' began at .*, before 'a', begun at .*, had ended"):
        dose_so_far("a", members, scans)


# --- the script ------------------------------------------------------------------------------


def run_script(tmp_path, placing):
    command = [
        sys.executable, "scripts/place_on_log.py", "--scan", "b", "--scans", tmp_path / "a.nc",
        tmp_path / "b.nc", "--cycling", tmp_path / "cell.nc", "--placing", json.dumps(placing),
        "--times", tmp_path / "out" / "b.nc",
    ]  # fmt: skip
    return subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)


def test_the_script_places_a_scan_or_refuses_it_in_a_sentence(tmp_path):
    scans = [make_scan("a"), make_scan("b", begins=200.0, shape=(2, 5))]
    for scan in scans:
        netcdf.write(scan, tmp_path / f"{scan.attrs['scan']}.nc", SCAN)
    netcdf.write(make_log(), tmp_path / "cell.nc", CYCLING)
    members = [{"scan": name, "electrons_per_position": 1e6} for name in "ab"]
    placing = {"series": "s", "log": "cell", "clock_offset_s": 1.5, "members": members}
    done = run_script(tmp_path, placing)
    assert (done.returncode, done.stderr) == (0, "")
    found = netcdf.read(tmp_path / "out/b.nc", TIMES)
    assert found["time"].values[1, 4] == pytest.approx(210.5)
    np.testing.assert_allclose(found["dose"], 200)
    assert math.isnan(found.attrs["clock_offset_error_s"])
    (tmp_path / "out/b.nc").unlink()
    done = run_script(tmp_path, placing | {"clock_offset_s": 3600})
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "was taken from 3800 to 3809 s of the log 'cell'" in done.stderr
    assert not (tmp_path / "out/b.nc").exists()
