"""Moments of files: formats, zones, hours that were changed, and what cannot be known."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasefront.core import moments
from phasefront.core.errors import InputError

few = settings(deadline=None, max_examples=100)
local_moments = st.datetimes(datetime(1981, 1, 1), datetime(2099, 12, 31))
zones = st.sampled_from(
    ["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
)


def written(moment, order):
    return f"{moment:%m/%d/%Y}" if order == "month" else f"{moment:%d/%m/%Y}"


@given(moment=local_moments, order=st.sampled_from(["month", "day"]))
@few
def test_a_date_in_numbers_is_right_or_not_known(moment, order):
    found = moments.from_numbers(written(moment, order), f"{moment:%H:%M:%S}", "start")
    if found.moment is None:
        assert moment.day <= 12 and moment.day != moment.month
        assert "may be" in found.source and f"{moment:%Y-%m-%d}" in found.source
    else:
        assert found.moment == moment.replace(microsecond=0)


@given(moment=local_moments, days=st.integers(13, 28), order=st.sampled_from(["month", "day"]))
@few
def test_other_dates_of_the_file_tell_the_order(moment, days, order):
    other = written(moment.replace(day=days), order)
    found = moments.from_numbers(
        written(moment, order), f"{moment:%H:%M:%S}", "start", others=[other]
    )
    assert found.moment == moment.replace(microsecond=0)


@given(moment=local_moments)
@few
def test_programs_that_write_the_month_first_are_taken_at_their_word(moment):
    found = moments.month_first(f"{moment:%m/%d/%Y}", f"{moment:%H:%M:%S}", "start")
    assert found.moment == moment.replace(microsecond=0)


@pytest.mark.parametrize(
    ("date", "clock", "expected"),
    [
        ("2014.10.08", "16:26:51.738", "2014-10-08T16:26:51.738000"),
        ("2/21/2018", "5:46:42 PM", "2018-02-21T17:46:42"),
        ("2/21/2018", "12:00:00 AM", "2018-02-21T00:00:00"),
        ("27.08.2016", "20:54:33", "2016-08-27T20:54:33"),
        ("03/03/2025", "09:00:00,5", "2025-03-03T09:00:00.500000"),
    ],
)
def test_dates_as_programs_write_them(date, clock, expected):
    assert moments.from_numbers(date, clock, "start").text == expected


@pytest.mark.parametrize(
    ("date", "clock"),
    [
        ("13/13/2020", "1:00:00"), ("02/30/2020", "1:00:00"), ("2020/13/01", "1:00:00"),
        ("21/02/18", "1:00:00"), ("1/1/2020", "25:00:00"), ("1/1/2020", "13:00:00 PM"),
        ("1/1/2020", "1:60:00"), ("1.1/2020", "1:00:00"), ("1/1/0001", "1:00:00"),
        ("1/1/3020", "1:00:00"), ("", ""), ("today", "noon"), ("1/1/2020", ""),
    ],
)  # fmt: skip
def test_what_is_no_date_is_not_known(date, clock):
    found = moments.from_numbers(date, clock, "start")
    assert found.moment is None and found.text == "" and "is no time" in found.source


@given(value=st.floats() | st.integers(-(2**70), 2**70))
@few
def test_any_number_is_a_moment_of_our_time_or_none(value):
    for read in (moments.from_serial, moments.from_unix, moments.from_filetime):
        found = read(value, "a number")
        assert (found.moment is None) == ("is no time" in found.source)
        assert found.moment is None or 1980 <= found.moment.year <= 2100


@given(moment=local_moments)
@few
def test_counts_of_days_seconds_and_ticks_are_the_moment(moment):
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    passed = moment - datetime(1899, 12, 30)
    assert moments.from_serial(passed / timedelta(days=1), "").moment == moment
    aware = moment.replace(tzinfo=UTC)
    assert moments.from_unix(aware.timestamp(), "").moment == aware
    ticks = (aware - datetime(1601, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1) * 10
    assert moments.from_filetime(ticks, "").moment == aware


@given(moment=local_moments, zone=zones)
@few
def test_a_local_moment_has_one_offset_or_is_refused(moment, zone):
    both = [moment.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1)]
    there = {m.utcoffset() for m in both if m.astimezone(UTC).astimezone(m.tzinfo) == m}
    try:
        found = moments.in_zone(moment, zone, "a.mpr", "start")
    except InputError:
        assert len({m.utcoffset() for m in both}) == 2
    else:
        assert there == {found.utcoffset()}
        assert found.replace(tzinfo=None) == moment


@pytest.mark.parametrize(
    ("moment", "problem"),
    [
        ("2024-03-31T02:30:00", "2024-03-31 02:30:00 does not exist in Europe/Paris"),
        ("2024-10-27T02:30:00", "2024-10-27 02:30:00 is there twice in Europe/Paris"),
    ],
)
def test_hours_at_which_clocks_are_changed_are_refused(moment, problem):
    stamp = moments.from_iso(moment, "the header")
    with pytest.raises(InputError, match=f"a.mpr: start: {problem}.*as ISO 8601 with its offset"):
        moments.settled(
            stamp, stated=None, zone="Europe/Paris", path="a.mpr", field="start", table="t"
        )
    said = moments.settled(
        stamp, stated=f"{moment}+02:00", zone="Europe/Paris", path="a.mpr", field="start", table="t"
    )
    assert said == (datetime.fromisoformat(f"{moment}+02:00"), "t")


def test_a_zone_counts_for_local_times_alone():
    names = {"stated": None, "zone": "Europe/Paris", "path": "a", "field": "start", "table": "t"}
    local = moments.from_iso("2024-07-02T10:18:08", "the header")
    assert moments.settled(local, **names).text == "2024-07-02T10:18:08+02:00"
    assert moments.settled(local, **names).source == "the header, in Europe/Paris by t"
    for other in (moments.from_unix(1.4e9, "the header"), moments.Stamp(None, "no start")):
        assert moments.settled(other, **names) is other


READ = """
import sys
from phasefront.core import moments
print(moments.from_serial(45131.784, "").text, moments.from_unix(1585135010.25, "").text)
local = moments.from_serial(45131.784, "").moment
print(moments.in_zone(local, "Asia/Kolkata", "", "").isoformat())
print(moments.from_filetime(1.311680127385445e17, "").text)
print(moments.from_numbers("2/21/2018", "5:46:42 PM", "").text)
"""


def test_moments_do_not_depend_on_the_computers_zone():
    texts = {
        subprocess.run(
            [sys.executable, "-c", READ], env=os.environ | {"TZ": zone}, capture_output=True,
            check=True, text=True,
        ).stdout
        for zone in ("UTC", "America/Los_Angeles", "Asia/Tokyo")
    }  # fmt: skip
    (text,) = texts
    assert "2020-03-25T11:16:50.250000+00:00" in text and "+05:30" in text
