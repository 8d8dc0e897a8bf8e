"""The positions of a scan on its log: time, voltage, current and charge."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.times import TIMES
from phasefront.series.clocks import start_of_log, start_of_scan
from phasefront.series.course import Course


def place_on_log(
    scan: xr.Dataset,
    cycling: xr.Dataset,
    *,
    series: str,
    dose: float,
    clock_offset_s: float = 0.0,
    clock_offset_error_s: float | None = None,
) -> xr.Dataset:
    """TIMES data set of a scan: when each position was taken, and what the log says of that moment.

    Both clocks are counted from absolute moments, so zones and summer time do not matter. Voltage
    and charge are interpolated between records. So is current within a step; the interval before a
    step's first record belongs to that step and has its current, as cyclers write at an interval's
    end.

    Parameters
    ----------
    scan, cycling
        SCAN and CYCLING data sets.
    series
        Name of the series.
    dose
        Electrons per square angstrom so far, `dose_so_far`.
    clock_offset_s, clock_offset_error_s
        What is added to the scan's clock to have the log's, s, and its standard error, None where
        none is declared.

    Raises
    ------
    InputError
        It is not known when scan, log or positions were taken; or the log has no records of then.
    """
    began, zero = start_of_scan(scan), start_of_log(cycling)
    positions = scan["position_time"].to_numpy()
    if np.isnan(positions).any():
        raise InputError(
            scan.attrs["file"], f"it is not known when the positions of the scan"
            f" {scan.attrs['scan']!r} were taken: {scan.attrs['clock']}", field="position_time",
            remedy="give dwell_ms, or end, in the table of scans",
        )  # fmt: skip
    time = (began - zero).total_seconds() + clock_offset_s + positions
    course = Course.of(cycling)
    _refuse(course, time, scan, cycling)
    return netcdf.build(
        TIMES,
        {
            "time": time,
            **course.at(time),
            "dose": np.full(time.shape, dose),
        },
        {
            "scan": scan.attrs["scan"],
            "series": series,
            "log": cycling.attrs["log"],
            "scan_start": scan.attrs["start"],
            "log_start": cycling.attrs["started"],
            "clock_offset_s": float(clock_offset_s),
            "clock_offset_error_s": math.nan
            if clock_offset_error_s is None
            else float(clock_offset_error_s),
        },
    )


def _refuse(course: Course, time: np.ndarray, scan: xr.Dataset, cycling: xr.Dataset) -> None:
    """Raise InputError where the log has no records of the moment of a position."""
    if why_not := course.why_not(time, time):
        raise InputError(
            scan.attrs["file"], f"the scan {scan.attrs['scan']!r} was taken from {time.min():.6g}"
            f" to {time.max():.6g} s of the log {cycling.attrs['log']!r}, which {why_not}",
            field="start",
            remedy="name the log of that time, or correct start, timezone or clock_offset_s in the"
            " tables",
        )  # fmt: skip
