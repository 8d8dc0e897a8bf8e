"""Bragg vectors of every pattern."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.layouts.dimensions import Y_X

# Relative errors of scale and ellipse, which are those of the calibration.
DISTORTION_ERRORS = ("scale_stderr", "stretch_stderr", "shear_stderr")

SPOTS = Layout(
    "Bragg vectors of every pattern, direct beam left out",
    {
        "count": Variable(Y_X, "i4", "1", "number of spots of the position"),
        "offset": Variable(("edge",), "i8", "1", "first spot of each position, rows first"),
        "qx": Variable(("spot",), "f4", "angstrom-1", "spatial frequency along x"),
        "qy": Variable(("spot",), "f4", "angstrom-1", "spatial frequency along y"),
        "intensity": Variable(("spot",), "f4", "count", "integrated above the local background"),
        "variance": Variable(("spot",), "f4", "count2", "variance of the intensity"),
        "scale_stderr": Variable((), "f8", "1", "relative standard error of the scale of qx, qy"),
        "stretch_stderr": Variable(
            (), "f8", "1", "standard error of their ellipse's part along x, half of ln(x over y)"
        ),
        "shear_stderr": Variable(
            (), "f8", "1", "standard error of their ellipse's part between x and y"
        ),
    },
    ("scan", "scan_step_nm"),
    grows=("y", "edge", "spot"),
    # False alarms a pattern, of spots found in raw patterns; the rest of imported lists of peaks.
    optional=("false_alarms", "file", "direct_beam_radius", "frame", "variance_origin"),
)
