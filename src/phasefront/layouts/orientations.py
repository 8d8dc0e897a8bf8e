"""Best orientations of every phase at every position."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.layouts.dimensions import PHASE_NAME

ORIENTATIONS = Layout(
    "Best orientations of every phase at every position",
    {
        "phase": PHASE_NAME,
        "rotation": Variable(
            ("y", "x", "phase", "rank", "quaternion"),
            "f4",
            "1",
            "refined orientation, frame to crystal; NaN where there are too few spots",
        ),
        "log_likelihood": Variable(
            ("y", "x", "phase", "rank"),
            "f4",
            "1",
            "natural logarithm of the likelihood of the spots, priors of scale and centre included",
        ),
        "score": Variable(
            ("y", "x", "phase", "rank"),
            "f4",
            "1",
            "normalised correlation with the template, 0 to 1",
        ),
        "residual": Variable(
            ("y", "x", "phase", "rank"), "f4", "angstrom-1", "rms distance of indexed spots"
        ),
        "indexed": Variable(("y", "x", "phase", "rank"), "i2", "1", "number of spots indexed"),
    },
    ("scan",),
    grows=("y",),
)
