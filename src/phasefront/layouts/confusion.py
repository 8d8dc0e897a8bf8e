"""What becomes of simulated patterns of each phase."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.layouts.dimensions import PHASE_NAME

CONFUSION = Layout(
    "What becomes of simulated patterns of each phase, in the grains of a scan",
    {
        "phase": PHASE_NAME,
        "grain": Variable(("grain",), "i4", "1", "grain of the scan, as its label in GRAINS"),
        "decided": Variable(
            ("grain", "true_phase", "phase"),
            "f8",
            "1",
            "positions of a true phase that are given to each phase, mixed ones by their shares",
        ),
        "undecided": Variable(
            ("grain", "true_phase"), "f8", "1", "positions that are left undecided"
        ),
        "simulated": Variable(("grain", "true_phase"), "f8", "1", "positions simulated"),
    },
    ("scan", "seed"),
)
