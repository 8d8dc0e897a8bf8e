"""The truth of a virtual scan."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.layouts.dimensions import PER_PHASE, PHASE_NAME, Y_X

TRUTH = Layout(
    "Truth of a virtual scan; no rule of the analysis reads it",
    {
        "phase": PHASE_NAME,
        "weight": Variable(
            PER_PHASE, "f4", "1", "share of the phase in the thickness; 0 in vacuum"
        ),
        "thickness": Variable(Y_X, "f4", "nm", "thickness, 0 in vacuum"),
        "grain": Variable(Y_X, "i4", "1", "topmost grain, -1 in vacuum"),
        "overlap": Variable(Y_X, "i1", "1", "1 where two grains lie over each other"),
        "rotation": Variable(
            ("y", "x", "phase", "quaternion"),
            "f4",
            "1",
            "orientation of the thickest grain described as each phase, frame of patterns to "
            "crystal; NaN in vacuum",
        ),
        "second_rotation": Variable(
            ("y", "x", "phase", "quaternion"),
            "f4",
            "1",
            "that of the second thickest grain; NaN where there is none",
        ),
        "second_weight": Variable(
            PER_PHASE, "f4", "1", "share of the phase of the second grain in the thickness"
        ),
        "centre_y": Variable(Y_X, "f4", "pixel", "row of the direct beam"),
        "centre_x": Variable(Y_X, "f4", "pixel", "column of the direct beam"),
        "affine": Variable(
            ("q_axis", "pixel_axis"), "f8", "angstrom-1 pixel-1", "q = affine (pixel - centre)"
        ),
    },
    ("scan", "seed", "insertion_model"),
    optional=(
        "dose",
        "ellipse_angle_deg",
        "ellipse_ratio",
        "gamma",
        "ion_content",
        "phase_formula_volume",
        "phase_ion_content",
        "scale_error",
        "scan_step_nm",
    ),
)
