"""Geometry of a scan."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.layouts.dimensions import Y_X

CALIBRATION = Layout(
    "Geometry of a scan: q = affine (pixel - centre)",
    {
        "centre_y": Variable(Y_X, "f4", "pixel", "row of the direct beam, fitted descan surface"),
        "centre_x": Variable(Y_X, "f4", "pixel", "column of the direct beam, fitted surface"),
        "centre_residual": Variable(Y_X, "f4", "pixel", "measured minus fitted centre, distance"),
        "centre_stderr": Variable((), "f8", "pixel", "standard error of the fitted centre"),
        "affine": Variable(
            ("q_axis", "pixel_axis"),
            "f8",
            "angstrom-1 pixel-1",
            "spatial frequency (x, y) for a step of one pixel (x, y); symmetric",
        ),
        "affine_stderr": Variable(
            ("q_axis", "pixel_axis"), "f8", "angstrom-1 pixel-1", "standard error of affine"
        ),
        "scale": Variable(
            (), "f8", "angstrom-1 pixel-1", "square root of the affine's determinant"
        ),
        "scale_stderr": Variable((), "f8", "angstrom-1 pixel-1", "standard error of the scale"),
        "ellipse_ratio": Variable((), "f8", "1", "long over short axis of a ring on the camera"),
        "ellipse_ratio_stderr": Variable((), "f8", "1", "standard error of ellipse_ratio"),
        "ellipse_angle": Variable((), "f8", "degree", "long axis of the ring, from x towards y"),
        "probe_radius": Variable((), "f8", "pixel", "radius of the direct beam's disk"),
        "spot_radius": Variable((), "f8", "pixel", "twice the rms width of a Bragg spot"),
        "beam_radius": Variable((), "f8", "pixel", "no spots are looked for inside it"),
        "mask": Variable(("ky", "kx"), "i1", "1", "1 where a pixel of the camera can be used"),
        "outward_shift": Variable(
            (),
            "f8",
            "pixel2",
            "how far spots lie too far out times their distance from the beam, by the slope of the "
            "background under a camera that is not linear; taken off before affine",
        ),
        "outward_shift_stderr": Variable((), "f8", "pixel2", "standard error of outward_shift"),
        "bin_y": Variable(("bin_y",), "f4", "pixel", "middle of a square, rows from the beam"),
        "bin_x": Variable(("bin_x",), "f4", "pixel", "middle of a square, columns from the beam"),
        "residual_y": Variable(
            ("bin_y", "bin_x"), "f4", "pixel", "mean of measured minus fitted rows of the spots"
        ),
        "residual_x": Variable(
            ("bin_y", "bin_x"), "f4", "pixel", "mean of measured minus fitted columns of the spots"
        ),
        "residual_count": Variable(
            ("bin_y", "bin_x"), "i4", "1", "spots in the square, or pixels on a standard's rings"
        ),
    },
    ("scan", "method", "spots_used", "residual_rms"),
    optional=(
        "centre_from",
        "error_kind",
        "evidence",
        "grains_used",
        "patterns_used",
        "phase_share",
        "ring_width",
        "scale_nominal",
        "scale_search",
    ),
)
