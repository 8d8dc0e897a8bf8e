"""Moments as files state them: with their zone or without, and never by the reader's own clock."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from phasefront.core.errors import InputError

_SERIAL_ZERO = datetime(1899, 12, 30)  # of OLE, Excel and LabVIEW's database days
_FILETIME_ZERO = datetime(1601, 1, 1, tzinfo=UTC)  # of Windows, which counts 100 ns
_UNIX_ZERO = datetime(1970, 1, 1, tzinfo=UTC)
# Files of electron microscopes and cyclers were not written outside these years: a number that
# says so is a damaged one, or no time at all.
_YEARS = range(1980, 2101)
_DATE = re.compile(r"(\d{1,4})([/.-])(\d{1,2})\2(\d{1,4})", re.ASCII)
_CLOCK = re.compile(
    r"(\d{1,2}):(\d\d):(\d\d)(?:[.,:](\d{1,9}))?(?:\s*([AP])\.?M\.?)?", re.ASCII | re.IGNORECASE
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?"
# As C's ctime, SPEC and EPICS write them, in English whatever the language of the computer.
_NAMED = [
    re.compile(rf"(?:[a-z]{{3,9}},?\s+)?{date}", re.IGNORECASE)
    for date in (
        rf"{_MONTH}\s+(?P<day>\d{{1,2}})\s+(?P<clock>\d+:\S+)\s+(?P<year>\d{{4}})",
        rf"{_MONTH}\s+(?P<day>\d{{1,2}}),?\s+(?P<year>\d{{4}}),?\s+(?P<clock>\d+:.+)",
        rf"(?P<day>\d{{1,2}})[\s-]{_MONTH}[\s-](?P<year>\d{{4}}),?\s+(?P<clock>\d+:.+)",
    )
]
_NUMBERED = re.compile(r"(\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4})[,\s]+(\d+:.+)", re.ASCII)
_MONTH_FIRST, _DAY_FIRST = "month first", "day first"


class Stamp(NamedTuple):
    """A moment (without zone where none is known, None where it is not known) and what says so."""

    moment: datetime | None
    source: str

    @property
    def text(self) -> str:
        """ISO 8601, with the offset where there is one; empty where the moment is not known."""
        return "" if self.moment is None else self.moment.isoformat()

    @property
    def is_absolute(self) -> bool:
        """Whether the moment is known on every clock of the world."""
        return self.moment is not None and self.moment.tzinfo is not None


def from_serial(days: float, source: str) -> Stamp:
    """A moment of days since 1899-12-30, which bear no zone; to the millisecond."""
    return _counted(_SERIAL_ZERO, 86400 * float(days), source, digits=3)


def from_unix(seconds: float, source: str) -> Stamp:
    """A moment of seconds since 1970-01-01 UTC."""
    return _counted(_UNIX_ZERO, float(seconds), source, digits=6)


def from_filetime(ticks: float, source: str) -> Stamp:
    """A moment of 100 ns since 1601-01-01 UTC; to the millisecond, since it may be a double."""
    return _counted(_FILETIME_ZERO, 1e-7 * float(ticks), source, digits=3)


def _counted(zero: datetime, seconds: float, source: str, *, digits: int) -> Stamp:
    try:
        whole = math.floor(seconds)
        moment = zero + timedelta(seconds=whole, microseconds=round(1e6 * (seconds - whole)))
    except (OverflowError, ValueError):  # beyond the calendar, or no number
        return Stamp(None, f"{source} is no time")
    step = 10 ** (6 - digits)
    moment += timedelta(microseconds=round(moment.microsecond / step) * step - moment.microsecond)
    return Stamp(moment, source) if moment.year in _YEARS else Stamp(None, f"{source} is no time")


def from_iso(text: str, source: str) -> Stamp:
    """A moment of ISO 8601, with or without an offset."""
    try:
        return Stamp(datetime.fromisoformat(text), source)
    except ValueError:
        return Stamp(None, f"{source}, {text[:40]!r}, is no time")


def from_text(text: str, source: str, *, others: Sequence[str] = ()) -> Stamp:
    """A moment of a date and a clock in one text: ISO 8601, with an English month, or in numbers.

    Only ISO 8601 may bear a zone. Dates in numbers are read as `from_numbers` does.
    """
    text = text.strip()
    if found := _NUMBERED.fullmatch(text):
        if not _year_first(found[1]):
            return from_numbers(found[1], found[2], source, others=others)
        text = text.replace("/", "-")
    for form in _NAMED:
        if found := form.fullmatch(text):
            time = clock_of(found["clock"])
            month = _MONTHS.index(found["month"][:3].lower()) + 1
            day = _day(f"{found['year']}-{month}-{found['day']}", _DAY_FIRST)
            if time is None or day is None:
                return Stamp(None, f"{source}, {text[:40]!r}, is no time")
            return Stamp(day + time, source)
    stamp = from_iso(text, source)
    if ":" not in text or (stamp.moment and stamp.moment.year not in _YEARS):
        return Stamp(None, f"{source}, {text[:40]!r}, is no time")
    return stamp


def date_in_numbers(text: str) -> str | None:
    """The date, such as 01/10/2024, of a text that `from_text` takes; None without one."""
    found = _NUMBERED.fullmatch(text.strip())
    return found[1] if found and not _year_first(found[1]) else None


def _year_first(date: str) -> bool:
    return re.match(r"\d{4}", date) is not None


def from_numbers(
    date: str, clock: str, source: str, *, others: Sequence[str] = (), order: str | None = None
) -> Stamp:
    """A moment of a date in numbers, such as 01/10/2024, and a clock, such as 5:46:42 PM.

    A date with the year last may have the month or the day first. The order is that which makes
    dates of it and of `others`, dates that the same program wrote; where both do, the moment is
    not known, unless `order` states it.
    """
    given = f"{date} {clock}".strip()
    time = clock_of(clock)
    if time is None or not _DATE.fullmatch(date.strip()):
        return Stamp(None, f"{source}, {given[:40]!r}, is no time")
    readings = {}
    for possible in (order,) if order else (_MONTH_FIRST, _DAY_FIRST):
        days = [_day(text, possible) for text in (date, *others) if _DATE.fullmatch(text.strip())]
        if None not in days:
            readings[days[0]] = possible
    if len(readings) > 1:
        first, second = (f"{day:%Y-%m-%d}" for day in readings)
        return Stamp(None, f"{source}, {given!r}, may be {first} or {second}")
    if not readings:
        return Stamp(None, f"{source}, {given!r}, is no time")
    (day,) = readings
    return Stamp(day + time, source)


def month_first(date: str, clock: str, source: str) -> Stamp:
    """`from_numbers` of a program that always writes the month first."""
    return from_numbers(date, clock, source, order=_MONTH_FIRST)


def _day(text: str, order: str) -> datetime | None:
    first, _, second, third = _DATE.fullmatch(text.strip()).groups()
    if len(first) == 4:
        year, month, day = first, second, third
    elif len(third) == 4:
        month, day = (first, second) if order == _MONTH_FIRST else (second, first)
        year = third
    else:  # a year of two digits does not say of which three numbers it is
        return None
    try:
        moment = datetime(int(year), int(month), int(day))
    except ValueError:
        return None
    return moment if moment.year in _YEARS else None


def clock_of(text: str) -> timedelta | None:
    """Time since midnight of a clock such as 17:46:42.5 or 5:46:42 PM; None where it is none."""
    clock = _CLOCK.fullmatch(text.strip())
    if not clock:
        return None
    hour, minute, second = (int(part) for part in clock.groups()[:3])
    if half := clock[5]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half.upper() == "P")
    if hour > 23 or minute > 59 or second > 59:
        return None
    fraction = round(1e6 * float(f"0.{clock[4] or 0}"))
    return timedelta(hours=hour, minutes=minute, seconds=second, microseconds=fraction)


def in_zone(moment: datetime, zone: str, path: str | Path, field: str) -> datetime:
    """A local moment with the offset that an IANA zone had then.

    Raises
    ------
    InputError
        Clocks were put forward over the moment, so that it did not exist, or back, so that it was
        twice.
    """
    local = moment.replace(tzinfo=ZoneInfo(zone))
    early, late = (local.replace(fold=fold).utcoffset() for fold in (0, 1))
    if early != late:
        # Of two offsets the larger one comes first where clocks go back.
        problem = "does not exist" if early < late else "is there twice"
        raise InputError(
            path, f"{moment.isoformat(sep=' ')} {problem} in {zone}, where clocks were changed",
            field=field, remedy="give start in the table, as ISO 8601 with its offset",
        )  # fmt: skip
    return moment.replace(tzinfo=timezone(early))


def settled(
    stamp: Stamp, *, stated: str | None, zone: str | None, path: str | Path, field: str, table: str
) -> Stamp:
    """A file's stamp, or what a table says in its place: a moment, or the zone of the file's.

    Parameters
    ----------
    stated
        ISO 8601 with its offset, which overrides the file.
    zone
        IANA name, which counts where the file gives a local time.
    field
        What the moment is, for messages.
    table
        What the table is called, for the source.

    Raises InputError as `in_zone` does.
    """
    if stated is not None:
        return Stamp(datetime.fromisoformat(stated), table)
    if zone is None or stamp.moment is None or stamp.is_absolute:
        return stamp
    local = in_zone(stamp.moment, zone, path, field)
    return Stamp(local, f"{stamp.source}, in {zone} by {table}")
