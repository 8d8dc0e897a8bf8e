"""Where a map of another instrument lies on a scan."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.layouts.dimensions import Y_X

# Attribute `status`, by phasefront.registration.laying.Status.
ACCEPTED = "accepted"

_OPTIMUM, _ROW, _MARK = ("optimum",), ("map_row", "scan_axis"), ("landmark",)
_PLACE = "nm, y and x on the scan from its first position,"
REGISTRATION = Layout(
    "Where a map of another instrument lies on a scan, and draws of where it may lie",
    {
        "row_start": Variable(_ROW, "f8", "nm", f"{_PLACE} of the first pixel of each row"),
        "column_step": Variable(
            ("scan_axis",), "f8", "nm", "from a pixel to the next one of its row, y and x"
        ),
        "draw_row_start": Variable(
            ("draw", *_ROW), "f8", "nm", f"{_PLACE} of the same in equally likely placements"
        ),
        "draw_column_step": Variable(
            ("draw", "scan_axis"), "f8", "nm", "column_step of these placements"
        ),
        "map_thickness": Variable(
            Y_X, "f8", "", "the map's thickness channel, in its own unit; NaN beyond the map"
        ),
        "scan_thickness": Variable(
            Y_X, "f8", "count", "the scan's image that the map was laid by, above its background"
        ),
        "position_stderr": Variable(
            Y_X, "f8", "nm", "root mean square distance of draws there; NaN beyond the map"
        ),
        "optimum_mirrored": Variable(_OPTIMUM, "i1", "1", "1 where the map is turned over"),
        "optimum_angle": Variable(
            _OPTIMUM, "f8", "degree", "turn of the map from the scan's x towards its y"
        ),
        "optimum_scale": Variable(_OPTIMUM, "f8", "1", "true over stated pixel of the map"),
        "optimum_chi_squared": Variable(_OPTIMUM, "f8", "1", "chi squared of a crystal's pixel"),
        "optimum_behind": Variable(
            _OPTIMUM, "f8", "1", "twice the log-likelihood by which it is behind the best"
        ),
        "landmark_off": Variable(
            _MARK, "f8", "nm", "distance of a landmark that was left out from where it is laid"
        ),
        "landmark_expected": Variable(
            _MARK, "f8", "nm", "root mean square of that by draws and the landmark's error"
        ),
        "landmark_held": Variable(_MARK, "i1", "1", "1 where the region of 95 % holds it"),
    },
    (
        "scan", "map", "status", "why", "scan_step_nm", "map_pixel_nm", "map_columns",
        "chi_squared", "inflation", "scale", "scale_stderr", "angle_deg", "mirrored",
        "probe_factor", "drift_walk_nm", "shown",
    ),
)  # fmt: skip
