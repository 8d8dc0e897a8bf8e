"""When powder patterns were measured, by their headers."""

import math
import os
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasefront.core import moments
from phasefront.powder import files, headers

few = settings(deadline=None, max_examples=80)
START = datetime(2025, 3, 13, 9, 5, 7)


@given(
    moment=st.datetimes(datetime(1981, 1, 1), datetime(2099, 12, 31)),
    hours=st.sampled_from([None, -9.5, 0, 1, 5.75]),
    name=st.sampled_from(
        ["start_time", "startTime", "StartDateTime", "Acquisition started", "Scan start", "begin"]
    ),
    between=st.sampled_from([": ", "=", " = "]),
    mark=st.sampled_from(["# ", "! ", "; ", "", "#   "]),
)
@few
def test_a_start_in_iso_8601_is_read_whatever_it_is_called(moment, hours, name, between, mark):
    zone = None if hours is None else timezone(timedelta(hours=hours))
    moment = moment.replace(tzinfo=zone)
    found = headers.measured([f"{mark}{name}{between}{moment.isoformat()}"]).start
    assert (found.moment, found.is_absolute) == (moment, hours is not None)
    assert found.source == f"{name!r} in its header"


@given(moment=st.datetimes(datetime(1981, 1, 1), datetime(2099, 12, 31)))
@few
def test_english_months_are_read_in_any_order(moment):
    moment = moment.replace(microsecond=0)
    for form in (
        "%a %b %d %H:%M:%S %Y", "%b %d, %Y %H:%M:%S", "%d-%b-%Y %H:%M:%S", "%d %B %Y, %H:%M:%S",
        "%B %d %Y %I:%M:%S %p",
    ):  # fmt: skip
        assert moments.from_text(f"{moment:{form}}", "x").moment == moment


@pytest.mark.parametrize(
    "text",
    ["2025-02-30T10:00:00", "Feb 30 10:00:00 2025", "2025-03-03", "25:00:00", "Mon Sep 29 2014",
     "0001-01-01T10:00:00", "10:00", "32 Jan 2025 10:00:00", "Foo 3, 2025 10:00:00",
     "Thu Mar 14 15:09:26 CET 2019"],
)  # fmt: skip
def test_what_is_no_moment_is_not_known(text):
    found = moments.from_text(text, "the start")
    assert found.moment is None and found.source.startswith("the start, ")


def test_dates_in_numbers_are_told_by_the_other_files_of_a_batch():
    first, second = (
        [f"# start_time: {day}/10/2024 09:00:00", "# exposure (s): 30"] for day in ("01", "13")
    )
    assert "may be 2024-01-10 or 2024-10-01" in headers.measured(first).start.source
    others = [date for header in (first, second) for date in headers.dates_in_numbers(header)]
    assert headers.measured(first, others=others).start.moment == datetime(2024, 10, 1, 9)


def test_years_that_come_first_are_no_numbers_to_guess():
    assert headers.dates_in_numbers(["# start: 2024/10/13 09:00:00"]) == []
    found = headers.measured(["# start: 2024/10/01 09:00:00"])
    assert found.start.moment == datetime(2024, 10, 1, 9)


EXPOSURES = {
    "unit behind": (["# exposure_time = 12.5 s"], 12.5),
    "milliseconds": (["# Exposure: 250 ms"], 0.25),
    "unit in the name": (["# exposure_time_s: 2e1"], 20.0),
    "unit in brackets": (["# counting time (min) = 2"], 120.0),
    "SPEC": (["#D Thu Mar 13 09:05:07 2025", "#T 10 (Seconds)"], 10.0),
    "to the end": (
        ["# start: 2025-03-13T09:05:07", "# end time: 2025-03-13T09:06:07", "# exposure: 1 s"], 60.0
    ),
    "twice the same": (["# exposure: 1 s", "# exposure_time: 1000 ms"], 1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPOSURES)
def test_an_exposure_has_its_unit(name):
    header, seconds = EXPOSURES[name]
    assert headers.measured(header).exposure_s == pytest.approx(seconds)


NOT_EXPOSURES = {
    "no unit": (["# exposure_time = 12"], "'exposure_time' in its header has no unit"),
    "two": (["# exposure: 1 s", "# total exposure time: 9 s"], "its header has several exposures"),
    "of a step": (["# Time per step (sec) = 0.1"], "its header says nothing of its exposure"),
    "nothing": (["# end 2theta (deg) = 28"], "its header says nothing of its exposure"),
    "end of another clock": (
        ["# start: 2025-03-13T09:05:07Z", "# end: 2025-03-13T09:06:07"],
        "its header says nothing of its exposure",
    ),
}


@pytest.mark.parametrize("name", NOT_EXPOSURES)
def test_an_exposure_that_is_not_said_is_not_known(name):
    header, why = NOT_EXPOSURES[name]
    found = headers.measured(header)
    assert math.isnan(found.exposure_s)
    assert found.exposure_from == why


NOT_STARTS = {
    "of the file": ["# Date: 2025-03-13T09:05:07+01:00"],
    "an angle": ["# Start 2theta (deg) = -6.0"],
    "a number": ["# start: 5.0"],
    "a duration": ["# Scan time = 0:05:07"],
    "of something else": ["# start of shutdown: 2025-03-13T09:05:07+01:00"],
}


@pytest.mark.parametrize("name", NOT_STARTS)
def test_what_is_not_said_to_be_a_start_is_none(name):
    found = headers.measured(NOT_STARTS[name]).start
    assert found == (None, "its header says nothing of its start")


def test_two_starts_are_none():
    header = ["# start: 2025-03-13T09:05:07Z", "# scan start: 2025-03-13T10:05:07+01:00"]
    assert headers.measured(header).start.moment == START.replace(tzinfo=UTC)
    header = ["# start: 2025-03-13T09:05:07Z", "# scan start: 2025-03-13T10:05:08+01:00"]
    assert headers.measured(header).start == (None, "its header has several moments of its start")


def test_utc_in_the_name_is_the_zone():
    found = headers.measured(["# start_time_utc = 2025-03-13 09:05:07"]).start
    assert found.moment == START.replace(tzinfo=UTC)


def test_the_readers_own_zone_does_not_count(monkeypatch):
    header = ["#D Thu Mar 13 09:05:07 2025", "#T 10 (Seconds)"]
    found = []
    for zone in ("Asia/Kolkata", "America/New_York"):
        monkeypatch.setitem(os.environ, "TZ", zone)
        time.tzset()
        found.append(headers.measured(header))
    monkeypatch.undo()
    time.tzset()
    assert found[0] == found[1]
    assert found[0].start.moment == START


def test_a_pattern_of_11_bm_says_when_it_was_measured(shared_data):
    header = files.read_header(shared_data("powder/aps11bm_example.xye"))
    found = headers.measured(header)
    assert found.start.moment == datetime(2017, 4, 12, 1, 23, 16, 472073)
    assert found.exposure_s == pytest.approx(34053 * 0.1)
    other = headers.measured(files.read_header(shared_data("powder/mac_example.xye")))
    assert other.start.moment is None
