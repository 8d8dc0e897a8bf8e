"""What a raw scan is."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.layouts.dimensions import Y_X

SCAN = Layout(
    "What a raw scan is",
    {
        "mean_pattern": Variable(("ky", "kx"), "f4", "count", "mean pattern"),
        "max_pattern": Variable(("ky", "kx"), "f4", "count", "maximum over all patterns"),
        "bright_field": Variable(Y_X, "f4", "count", "virtual bright field"),
        "dark_field": Variable(Y_X, "f4", "count", "virtual annular dark field"),
        "diffuse": Variable(
            Y_X, "f4", "count", "typical pixel between the spots, in a ring around the beam"
        ),
        "position_time": Variable(
            Y_X, "f8", "s", "time since the start at which the position began, NaN where not known"
        ),
    },
    # scan_step is NaN where neither table nor file says; header is JSON. start and end are ISO
    # 8601, with the offset where the zone is known, and empty where nothing says them; dwell_s and
    # row_s are from a position and a row to the next, NaN where not known; clock is what they are
    # from.
    (
        "scan",
        "file",
        "sha256",
        "dtype",
        "scan_step_nm",
        "bright_field_radius_px",
        "header",
        "start",
        "end",
        "dwell_s",
        "row_s",
        "clock",
    ),
)
