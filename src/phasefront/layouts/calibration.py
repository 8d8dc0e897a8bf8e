"""Geometry of a scan."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.core.tables import Column, Table
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
        "dark_rows": Variable(
            ("ky",),
            "f4",
            "count",
            "what a pixel shows without an electron, with dark_columns, as "
            "far as the scan tells: how rows stand off from those beside them, and the level of a "
            "camera that shows single electrons",
        ),
        "dark_columns": Variable(("kx",), "f4", "count", "how columns stand off"),
        "dark_reach": Variable(
            (),
            "f8",
            "count",
            "how far noise takes a pixel from there, up to which it is empty, of "
            "a camera that shows single electrons; else 0",
        ),
        "electron": Variable(
            (), "f8", "count", "what one electron adds to all pixels that it hits, of such a camera"
        ),
        "afterglow": Variable(
            (),
            "f8",
            "1",
            "share of the frame before that the camera still shows, taken off before spots are "
            "looked for; 0 where none is sure",
        ),
        "afterglow_stderr": Variable(
            (), "f8", "1", "standard error of afterglow; NaN where the scan does not tell"
        ),
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
        "series_scale_off",
    ),
)

SERIES_CALIBRATION = Layout(
    "Scale and ellipse that the scans of a series share",
    {
        "parameter": Variable(
            ("parameter",),
            "str",
            "",
            "of what turns nominal frequencies q into true ones: parts xx, xy and yy of a symmetric"
            " matrix, the beam's place x and y in angstrom-1, and the outward shift of spots times"
            " their frequency in angstrom-2",
        ),
        "value": Variable(("parameter",), "f8", "", "best value, in the units of the parameter"),
        "covariance": Variable(
            ("parameter", "other"), "f8", "", "of the values, with grains as independent units"
        ),
    },
    (
        "series",
        "method",
        "scale_nominal",
        "scale_search",
        "spots_used",
        "patterns_used",
        "grains_used",
        "residual_rms",
        "evidence",
    ),
)

DRIFT_TABLE = Table(
    "calibration_drift.csv",
    "Geometry of each scan beside the others of its instrument.",
    {
        "scan": Column("str", "", "scan"),
        "instrument": Column("str", "", "instrument"),
        "scale": Column("f8", "angstrom-1", "of a pixel"),
        "scale_stderr": Column("f8", "angstrom-1", "its standard error"),
        "ellipse_ratio": Column("f8", "1", "long over short axis of a ring on the camera"),
        "ellipse_ratio_stderr": Column("f8", "1", "its standard error"),
        "ellipse_angle": Column("f8", "degree", "long axis, from x towards y"),
        "stretch": Column(
            "f8", "1", "the ellipse's part along x: half of ln(ratio) times the cosine of twice the"
            " angle"
        ),
        "stretch_stderr": Column("f8", "1", "its standard error"),
        "shear": Column("f8", "1", "the ellipse's part between x and y: the same with the sine"),
        "shear_stderr": Column("f8", "1", "its standard error"),
        "centre_y": Column("f8", "pixel", "row of the direct beam, mean of the scan"),
        "centre_x": Column("f8", "pixel", "its column"),
        "centre_stderr": Column("f8", "pixel", "standard error of the centre"),
        "centre_drift": Column("f8", "pixel", "how far the centre moves over the scan"),
        "scale_deviation": Column(
            "f8", "1", "relative, from the weighted mean of the instrument's other scans"
        ),
        "scale_z": Column("f8", "1", "the same over its standard error"),
        "ellipse_deviation": Column("f8", "1", "relative, from the same mean"),
        "ellipse_z": Column("f8", "1", "the same over its standard error"),
        "deviates": Column(
            "bool", "", "whether either is beyond 0.2 % and four standard errors"
        ),
    },
)  # fmt: skip
