"""What an electrode was at when each position of a scan was taken."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.layouts.dimensions import Y_X

TIMES = Layout(
    "When each position of a scan was taken, on its log",
    {
        "time": Variable(
            Y_X, "f8", "s", "since the log's time was zero, pauses included, when it began"
        ),
        "voltage": Variable(Y_X, "f8", "V", "cell voltage then"),
        "current": Variable(Y_X, "f8", "mA", "current then, positive on charge"),
        "charge": Variable(
            Y_X, "f8", "mA h", "net charge passed by the electrode until then, positive on charge"
        ),
        "dose": Variable(
            Y_X,
            "f8",
            "angstrom-2",
            "electrons per area by all scans of the series so far, this position's included; NaN"
            " where they are not stated",
        ),
    },
    # Starts are ISO 8601 with their offset. clock_offset_s was added to the scan's clock, and its
    # standard error is NaN where none is declared.
    (
        "scan", "series", "log", "scan_start", "log_start", "clock_offset_s",
        "clock_offset_error_s",
    ),
)  # fmt: skip
