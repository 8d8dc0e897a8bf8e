"""Grains of a scan."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.layouts.dimensions import PHASE_NAME, Y_X

GRAINS = Layout(
    "Grains: contiguous, one crystal orientation, whatever phases they hold",
    {
        "phase": PHASE_NAME,
        "label": Variable(Y_X, "i4", "1", "grain of the position, -1 none"),
        "size": Variable(("grain",), "i4", "1", "number of positions"),
        "phase_count": Variable(("grain", "phase"), "i4", "1", "positions decided for each phase"),
        "mixed_count": Variable(("grain",), "i4", "1", "positions that hold two phases"),
        "undecided_count": Variable(("grain",), "i4", "1", "positions left undecided"),
        "rotation": Variable(
            ("grain", "quaternion"), "f4", "1", "mean orientation, frame of patterns to parent cell"
        ),
        "spread": Variable(("grain",), "f4", "degree", "rms misorientation to the mean"),
        "half_turn_gap": Variable(
            ("grain",),
            "f4",
            "1",
            "log-odds by which a position speaks for the orientation against its half turn about "
            "the zone axis, mean; NaN unknown, or one by symmetry",
        ),
        "half_turn_probability": Variable(
            ("grain",),
            "f4",
            "1",
            "probability that the true orientation is half a turn off; NaN unknown",
        ),
        "variant_probability": Variable(
            ("grain", "phase"),
            "f4",
            "1",
            "probability of the variant in which the grain's positions of the phase lie on the "
            "shared lattice; 1 where there is no other, NaN unknown or without positions",
        ),
        "orientation": Variable(
            ("y", "x", "quaternion"),
            "f4",
            "1",
            "orientation under the decided or likeliest phase, as the position or its grain "
            "settles half turn and variant, frame of patterns to crystal",
        ),
        "orientation_probability": Variable(
            Y_X, "f4", "1", "probability that neither half turn nor variant is wrong; NaN unknown"
        ),
        "axes_probability": Variable(
            Y_X,
            "f4",
            "1",
            "probability that the variant is right, which directions in the crystal depend on, "
            "whatever the half turn; NaN unknown",
        ),
        "centroid_y": Variable(("grain",), "f4", "1", "row of the centroid in positions"),
        "centroid_x": Variable(("grain",), "f4", "1", "column of the centroid in positions"),
        "outline_offset": Variable(("grain_edge",), "i8", "1", "first outline vertex of a grain"),
        "outline_y": Variable(("vertex",), "f4", "1", "outline, row in positions"),
        "outline_x": Variable(("vertex",), "f4", "1", "outline, column in positions"),
        "pair_a": Variable(("pair",), "i4", "1", "first of two neighbouring grains"),
        "pair_b": Variable(("pair",), "i4", "1", "second of two neighbouring grains"),
        "pair_length": Variable(("pair",), "i4", "1", "position edges they share"),
        "pair_misorientation": Variable(("pair",), "f4", "degree", "misorientation of the means"),
        "pair_misorientation_turned": Variable(
            ("pair",), "f4", "degree", "the same where one of the two is half a turn off"
        ),
        "pair_turned_probability": Variable(
            ("pair",), "f4", "1", "probability that one of the two is, and not the other"
        ),
    },
    ("scan", "scan_step_nm", "misorientation_deg"),
)
