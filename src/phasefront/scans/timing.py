"""The time of every position of a scan, by its file and the table of scans."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from phasefront.core.errors import InputError
from phasefront.core.moments import Stamp, settled
from phasefront.experiment.settings.scans import ScanClock
from phasefront.scans.formats.scan import Scan
from phasefront.scans.formats.timing import Timing

_TABLE = "the table of scans"
# Dwell times are given to three digits or so.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class PositionTimes:
    """Times of a scan's positions.

    Attributes
    ----------
    positions_s
        Time since the start at which each position began, (ny, nx), s; NaN where it is not known.
    start, end
        ISO 8601, with the offset where the zone is known; empty where not known.
    dwell_s, row_s
        From a position to the next, and from a row to the next, s; NaN where not known.
    clock
        What says so.
    """

    positions_s: np.ndarray
    start: str
    end: str
    dwell_s: float
    row_s: float
    clock: str


def position_times(scan: Scan, stated: ScanClock | None = None) -> PositionTimes:
    """When each position of a scan was taken.

    By the stamps of its frames where they have any. Else t = y row + x dwell, where rows share the
    time from start to end evenly: row = (end - start) / ny. A dwell time that neither file nor
    table gives is what is left of the row, without the flyback, over its positions. Without an end
    a row takes `row_ms`, or its positions' dwell times and the flyback.

    Parameters
    ----------
    stated
        What the table of scans says, which overrides the file.

    Raises
    ------
    InputError
        Table and file contradict each other, a local time falls into an hour that clocks were
        changed, or the end is not after the start.
    """
    stated = stated or ScanClock()
    timing = scan.read_timing()
    if timing.positions_s is not None:
        return _by_stamps(scan, timing, stated)
    start, end = _ends(scan, timing, stated)
    lasted = _lasted(scan, start, end)
    ny, nx = scan.shape[:2]
    dwell = stated.dwell_ms * 1e-3 if stated.dwell_ms else timing.dwell_s
    row = lasted / ny
    if math.isnan(lasted):
        row = stated.row_ms * 1e-3 if stated.row_ms else nx * dwell + timing.flyback_s
    elif stated.row_ms:
        raise _contradiction(scan, "row_ms", "the rows share the time from start to end")
    if stated.dwell_ms and nx * dwell > row * (1 + _ROUNDING):
        raise _contradiction(
            scan, "dwell_ms", f"{nx} positions of {dwell:g} s do not fit into a row of {row:g} s"
        )
    # A dwell time of the file that does not fit is nominal: the rows were measured.
    if not nx * dwell <= row * (1 + _ROUNDING):
        dwell = (row - timing.flyback_s) / nx
    if end.moment is None and start.moment is not None and math.isfinite(row):
        end = Stamp(start.moment + timedelta(seconds=ny * row), "its rows")
    y, x = np.indices((ny, nx))
    return PositionTimes(y * row + x * dwell, start.text, end.text, dwell, row, _said(start, end))


def _by_stamps(scan: Scan, timing: Timing, stated: ScanClock) -> PositionTimes:
    for name in ("end", "dwell_ms", "row_ms"):
        if getattr(stated, name) is not None:
            raise _contradiction(scan, name, "its frames have times of their own")
    start = _settled(scan, timing.start, stated.start, stated.timezone, "start")
    lasted = timing.end.moment - timing.start.moment
    end = Stamp(start.moment + lasted, start.source)
    rows = np.diff(timing.positions_s[:, 0])
    row = float(np.median(rows)) if rows.size else math.nan
    return PositionTimes(
        timing.positions_s, start.text, end.text, timing.dwell_s, row,
        f"{timing.start.source}; start by {start.source}" if stated.start else start.source,
    )  # fmt: skip


def _ends(scan: Scan, timing: Timing, stated: ScanClock) -> tuple[Stamp, Stamp]:
    """Start and end, of which the table may state one or both."""
    start = _settled(scan, timing.start, stated.start, stated.timezone, "start")
    end = _settled(scan, timing.end, stated.end, stated.timezone, "end")
    if None in (start.moment, end.moment) or start.is_absolute == end.is_absolute:
        return start, end
    # One is stated, and the other of an unknown zone: how long it took is known all the same.
    if stated.start and timing.start.moment is not None:
        return start, Stamp(start.moment + (end.moment - timing.start.moment), end.source)
    if stated.end and timing.end.moment is not None:
        return Stamp(end.moment - (timing.end.moment - start.moment), start.source), end
    raise _contradiction(
        scan, "timezone", "the table states start or end with its offset, and the file the other"
        " without",
    )  # fmt: skip


def _settled(scan: Scan, stamp: Stamp, stated: str | None, zone: str | None, field: str) -> Stamp:
    return settled(stamp, stated=stated, zone=zone, path=scan.path, field=field, table=_TABLE)


def _lasted(scan: Scan, start: Stamp, end: Stamp) -> float:
    """Seconds from start to end; NaN where one of them is not known."""
    if not (isinstance(start.moment, datetime) and isinstance(end.moment, datetime)):
        return math.nan
    lasted = (end.moment - start.moment).total_seconds()
    if lasted <= 0:
        raise InputError(
            scan.path, f"its end, {end.text} by {end.source}, is not after its start, {start.text}"
            f" by {start.source}", field="end",
            remedy="give start and end in the table of scans, as ISO 8601 with their offset",
        )  # fmt: skip
    return lasted


def _contradiction(scan: Scan, field: str, problem: str) -> InputError:
    return InputError(
        scan.path, problem, field=field, remedy=f"correct or leave out {field} in {_TABLE}"
    )


def _said(start: Stamp, end: Stamp) -> str:
    return start.source if start.source == end.source else f"{start.source}; end: {end.source}"
