"""The patterns of a batch on their log: when each was measured, and what the cell was at then."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.core.moments import from_text, settled
from phasefront.experiment.settings.powder_series import PatternClock
from phasefront.layouts.powder_series import BATCH_TIMES
from phasefront.powder import headers
from phasefront.powder.files import read_header
from phasefront.powder.headers import Measured
from phasefront.series.clocks import start_of_log
from phasefront.series.course import Course

_TABLE = "the table of powder patterns"
_REMEDY = (
    "name a table of times in the column times of the powder table, with path, start (ISO 8601"
    " with its offset) and exposure_s of each pattern"
)
# Moments in headers are often of whole seconds, so that one may seem to begin before another ends.
_RESOLUTION_S = 1.0
# Relative: an exposure that header and powder table both give is one.
_SAME_EXPOSURE = 0.01
_UNTESTED = (
    "not identifiable: fractions follow the log's charge with a delay of their own, so the data do"
    " not tell a wrong offset from a slow reaction"
)


class Span(NamedTuple):
    """When a pattern was measured: its file, start (with its offset) and exposure (s)."""

    file: str
    start: datetime
    exposure_s: float
    start_from: str
    exposure_from: str


def spans(
    files: Sequence[str | Path], clock: PatternClock, times: pd.DataFrame | None = None
) -> list[Span]:
    """When each pattern of a batch was measured, in the order of time.

    Parameters
    ----------
    files
        Paths of the patterns.
    clock
        What the table of powder patterns says: the zone of local times, and the exposure where
        nothing else does.
    times
        Of `pattern_times.read_times`, in place of what the files say.

    Raises
    ------
    InputError
        It is not known when a pattern began, in which zone or how long it took; two were measured
        at one time; or the exposure of a file is not that of the table.
    """
    if times is None:
        found = [read_header(path) for path in files]
        others = [date for header in found for date in headers.dates_in_numbers(header)]
        stamps = [headers.measured(header, others=others) for header in found]
    else:
        stated = times.set_index(times["path"].map(lambda path: str(Path(path))))
        stamps = [_stated(stated.loc[str(Path(path))]) for path in files]
    known = [_span(str(path), one, clock) for path, one in zip(files, stamps, strict=True)]
    known.sort(key=lambda span: (span.start, span.file))
    refuse_overlaps(known)
    return known


def _stated(row: pd.Series) -> Measured:
    start = from_text(row["start"], "the table of times")
    exposure, source = math.nan, "the table of times gives no exposure_s"
    if row["exposure_s"]:
        try:
            exposure, source = float(row["exposure_s"]), "the table of times"
        except ValueError:
            source = f"exposure_s of the table of times, {row['exposure_s']!r}, is no number"
    return Measured(start, exposure, source)


def _span(path: str, found: Measured, clock: PatternClock) -> Span:
    start = settled(
        found.start, stated=None, zone=clock.timezone, path=path, field="start", table=_TABLE
    )
    if start.moment is None:
        raise InputError(
            path, f"it is not known when the pattern was measured: {start.source}", field="start",
            remedy=_REMEDY,
        )  # fmt: skip
    if not start.is_absolute:
        raise InputError(
            path, f"the pattern's start, {start.text} by {start.source}, is of an unknown zone",
            field="start", remedy=f"give timezone in {_TABLE}",
        )  # fmt: skip
    exposure, exposure_from = _exposure(path, found, clock)
    return Span(path, start.moment, exposure, start.source, exposure_from)


def _exposure(path: str, found: Measured, clock: PatternClock) -> tuple[float, str]:
    exposure, source = found.exposure_s, found.exposure_from
    if math.isnan(exposure) and clock.exposure_s:
        return clock.exposure_s, _TABLE
    if not (exposure > 0 and math.isfinite(exposure)):
        raise InputError(
            path, f"it is not known how long the pattern was measured: {source}"
            if math.isnan(exposure)
            else f"the exposure is {exposure:g} s by {source}", field="exposure_s",
            remedy=f"give exposure_s in {_TABLE}, or in a table of times",
        )  # fmt: skip
    if clock.exposure_s and abs(clock.exposure_s / exposure - 1) > _SAME_EXPOSURE:
        raise InputError(
            path, f"the exposure is {exposure:g} s by {source}, {clock.exposure_s:g} s by {_TABLE}",
            field="exposure_s", remedy="correct the one that is wrong",
        )  # fmt: skip
    return exposure, source


def refuse_overlaps(ordered: Sequence[Span]) -> None:
    """Raise InputError where two patterns, given in the order of time, were measured at one."""
    for one, other in itertools.pairwise(ordered):
        apart = (other.start - one.start).total_seconds()
        if apart == 0 or apart < one.exposure_s - _RESOLUTION_S:
            raise InputError(
                other.file, f"it was measured from {other.start.isoformat()}, while {one.file} was,"
                f" for {one.exposure_s:g} s from {one.start.isoformat()}", field="start",
                remedy="correct start or exposure of one of them, or give it a series of its own",
            )  # fmt: skip


def place_patterns(
    measured: Sequence[Span], cycling: xr.Dataset, clock: PatternClock, *, batch: str
) -> xr.Dataset:
    """BATCH_TIMES data set: what the log says of each pattern, as the mean over its exposure.

    Parameters
    ----------
    measured
        Of `spans`.
    cycling
        CYCLING data set of the batch's log.

    Raises
    ------
    InputError
        It is not known when the log began, or it has no records of a pattern's time.
    """
    zero, course = start_of_log(cycling), Course.of(cycling)
    time = np.array([(span.start - zero).total_seconds() for span in measured])
    time = time + clock.clock_offset_s
    exposure = np.array([span.exposure_s for span in measured])
    for span, first, last in zip(measured, time, time + exposure, strict=True):
        if why_not := course.why_not(np.array([first]), np.array([last])):
            raise InputError(
                span.file, f"the pattern was measured from {first:.6g} to {last:.6g} s of the log"
                f" {cycling.attrs['log']!r}, which {why_not}", field="start",
                remedy="name the log of that time, leave the pattern out, or correct timezone or"
                " clock_offset_s in the tables",
            )  # fmt: skip
    error = clock.clock_offset_error_s
    return netcdf.build(
        BATCH_TIMES,
        {
            "pattern": [span.file for span in measured],
            "start": [span.start.isoformat() for span in measured],
            "time": time,
            "exposure": exposure,
            **course.mean(time, time + exposure),
        },
        {
            "batch": batch,
            "series": clock.series,
            "log": cycling.attrs["log"],
            "log_start": cycling.attrs["started"],
            "clock_offset_s": float(clock.clock_offset_s),
            "clock_offset_error_s": math.nan if error is None else float(error),
            "clock_test": _UNTESTED,
            "started_from": _each(span.start_from for span in measured),
            "exposure_from": _each(span.exposure_from for span in measured),
        },
    )


def _each(said: Iterable[str]) -> str:
    """What says it, each once."""
    return "; ".join(dict.fromkeys(said))
