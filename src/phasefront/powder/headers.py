"""When a powder pattern was measured, by the header of its file.

Text files of patterns have no standard, so a line counts only where its words say that it is the
start, the end or the exposure: a date alone may be of the file, and of either end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from phasefront.core import moments
from phasefront.core.moments import Stamp
from phasefront.powder.text_columns import COMMENT

_STARTS = {"start", "started", "begin", "began", "begun"}
_ENDS = {"end", "ended", "stop", "stopped", "finish", "finished"}
# Words that may stand beside those, and say nothing else.
_BESIDE = {
    "scan", "exposure", "acquisition", "measurement", "collection", "pattern", "time", "date",
    "timestamp", "stamp", "datetime", "at", "on", "iso", "utc", "gmt",
}  # fmt: skip
_EXPOSURES = {"exposure", "counting", "count", "acquisition", "integration", "measurement"}
# Of each unit that an exposure may have.
_SECONDS = {
    "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3,
    "min": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0,
}  # fmt: skip
_ENTRY = re.compile(r"\s*([^:=]*?[^:=\s])\s*[:=]\s*(\S.*?)\s*")
_MEASURED = re.compile(r"(\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)\s*[(\[]?([A-Za-z]*)[)\]]?")
_HAS_CLOCK = re.compile(r"\d:\d\d")
# SPEC writes the date (#D) as a scan begins, and its counting time (#T): "Standard Data File
# Format" in SPEC's manual, certif.com.
_SPEC_DATE = re.compile(r"#D\s+(\S.*)")
_SPEC_TIME = re.compile(r"#T\s+(\d+\.?\d*|\.\d+)\s+\(Seconds\)")


class Measured(NamedTuple):
    """When a pattern was measured: its start, how long (s, NaN where not known), and what says it.

    `exposure_from` says why the exposure is not known where it is not.
    """

    start: Stamp
    exposure_s: float
    exposure_from: str


def measured(header: Sequence[str], *, others: Sequence[str] = ()) -> Measured:
    """When a pattern was measured, as its header says.

    Parameters
    ----------
    header
        Lines of the header, as `files.read_header` gives them.
    others
        Dates in numbers that the same program wrote (`dates_in_numbers`), which may tell the day
        from the month.

    Notes
    -----
    Read are entries with `:` or `=` whose words are of a start, an end or an exposure with its
    unit; SPEC's `#D` and `#T`; and the `Scan time` of 11-BM (APS), where steps times the time of a
    step are the exposure. A start and an end give the exposure, frames and pauses included.
    """
    starts, ends, exposures, notes = [], [], [], []
    steps = step_s = math.nan
    for line in header:
        if found := _SPEC_DATE.match(line.strip()):
            starts.append(moments.from_text(found[1], "#D in its header", others=others))
        elif found := _SPEC_TIME.match(line.strip()):
            exposures.append((float(found[1]), "#T in its header"))
    for name, words, value in _entries(header):
        source = f"{name!r} in its header"
        if _is_moment(words, value, _STARTS) or _is_scan_time(words, value):
            starts.append(_moment(words, value, source, others))
        elif _is_moment(words, value, _ENDS):
            ends.append(_moment(words, value, source, others))
        elif words == ["no", "steps"] and value.isdecimal():
            steps = int(value)
        elif words == ["time", "per", "step", "sec"]:
            step_s = _seconds(words, value) or math.nan
        elif _is_exposure(words):
            seconds = _seconds(words, value)
            if seconds is None:
                notes.append(f"{source} has no unit")
            else:
                exposures.append((seconds, source))
    if math.isfinite(steps * step_s):
        exposures.append((steps * step_s, "steps times the time of a step in its header"))
    start, end = _only(starts, "start"), _only(ends, "end")
    return Measured(start, *_exposure(start, end, exposures, notes))


def dates_in_numbers(header: Sequence[str]) -> list[str]:
    """Dates in numbers, such as 01/10/2024, of a header's starts and ends."""
    values = [
        value
        for _, words, value in _entries(header)
        if any(_is_moment(words, value, ends) for ends in (_STARTS, _ENDS))
    ]
    return [date for value in values if (date := moments.date_in_numbers(value))]


def _entries(header: Iterable[str]) -> Iterator[tuple[str, list[str], str]]:
    """Names, their words in small letters, and values of a header's entries."""
    for line in header:
        found = _ENTRY.fullmatch(COMMENT.sub("", line))
        if found:
            apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", found[1])  # startTime
            yield found[1], re.findall(r"[^\W_]+", apart.lower()), found[2].strip("\"'")


def _is_moment(words: list[str], value: str, of: set[str]) -> bool:
    known = bool(of & set(words)) and set(words) <= of | _BESIDE
    return known and _HAS_CLOCK.search(value) is not None


def _is_scan_time(words: list[str], value: str) -> bool:
    """11-BM's name of the start; elsewhere it may be how long a scan took."""
    return words == ["scan", "time"] and re.search(r"[A-Za-z]{3}.*\d:\d\d:\d\d", value) is not None


def _is_exposure(words: list[str]) -> bool:
    of = set(words) - set(_SECONDS)
    return of == {"exposure"} or (bool(of & _EXPOSURES) and of <= _EXPOSURES | {"time", "total"}
                                  and "time" in of)  # fmt: skip


def _moment(words: list[str], value: str, source: str, others: Sequence[str]) -> Stamp:
    stamp = moments.from_text(value, source, others=others)
    if stamp.moment is not None and not stamp.is_absolute and {"utc", "gmt"} & set(words):
        return Stamp(stamp.moment.replace(tzinfo=UTC), source)
    return stamp


def _seconds(words: list[str], value: str) -> float | None:
    """Seconds of an exposure whose unit stands behind the value or in the name; else None."""
    found = _MEASURED.fullmatch(value)
    units = [word for word in words if word in _SECONDS]
    if found is None:
        return None
    unit = found[2].lower() or (units[0] if len(units) == 1 else "")
    return float(found[1]) * _SECONDS[unit] if unit in _SECONDS else None


def _only(stamps: Sequence[Stamp], what: str) -> Stamp:
    known = {stamp.moment: stamp for stamp in stamps if stamp.moment is not None}
    if len(known) > 1:
        return Stamp(None, f"its header has several moments of its {what}")
    if known:
        return next(iter(known.values()))
    return stamps[0] if stamps else Stamp(None, f"its header says nothing of its {what}")


def _exposure(start: Stamp, end: Stamp, exposures: list, notes: list[str]) -> tuple[float, str]:
    lasted = _lasted(start.moment, end.moment)
    if lasted is not None:
        return lasted, f"{start.source} and {end.source}"
    if len({seconds for seconds, _ in exposures}) > 1:
        return math.nan, "its header has several exposures"
    if exposures:
        return exposures[0]
    return math.nan, notes[0] if notes else "its header says nothing of its exposure"


def _lasted(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None or (start.tzinfo is None) != (end.tzinfo is None):
        return None
    return (end - start).total_seconds()
