"""Simulated spots on a grid of beam directions."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.layouts.dimensions import PHASE_NAME

TEMPLATES = Layout(
    "Simulated spots of every phase on a grid of beam directions",
    {
        "phase": PHASE_NAME,
        "phase_index": Variable(("template",), "i4", "1", "candidate phase of the template"),
        "rotation": Variable(
            ("template", "quaternion"), "f8", "1", "orientation, frame to crystal"
        ),
        "offset": Variable(("edge",), "i8", "1", "first spot of each template"),
        "qx": Variable(("spot",), "f4", "angstrom-1", "spatial frequency along x"),
        "qy": Variable(("spot",), "f4", "angstrom-1", "spatial frequency along y"),
        "intensity": Variable(("spot",), "f4", "1", "kinematic intensity under precession"),
    },
    ("voltage_kv", "precession_deg", "resolution_deg", "max_radius"),
)
