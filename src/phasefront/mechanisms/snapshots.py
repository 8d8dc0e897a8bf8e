"""The file of snapshots that morphologies are learned from: features, and what each is of.

`python -m benchmarks.snapshots` makes it.
"""

from __future__ import annotations

from pathlib import Path

from phasefront.core.netcdf import Layout, Variable

DATA_FILE = Path(__file__).with_name("snapshots.nc")

_SNAPSHOT = ("snapshot",)
SNAPSHOTS = Layout(
    "Snapshots of simulated grains as scans see them",
    {
        "feature": Variable(("feature",), "str", "", "name of a feature"),
        "morphology": Variable(("morphology",), "str", "", "name of a morphology"),
        "regime": Variable(("regime",), "str", "", "regime that grains are made under"),
        "part": Variable(("regime",), "str", "", "what the regime is for"),
        "features": Variable(
            ("snapshot", "feature"), "f4", "1", "what of the grain's interfaces tells its "
            "morphology; NaN what it does not show",
        ),
        "morphology_of_state": Variable(
            _SNAPSHOT, "i1", "1", "number of the morphology that the grain has in this state, in "
            "its own plane; none of these where it was drawn as none of them",
        ),
        "morphology_of_history": Variable(
            _SNAPSHOT, "i1", "1", "whole where the state is, else number of the morphology of the "
            "grain's whole history",
        ),
        "grain": Variable(_SNAPSHOT, "i4", "1", "number among the simulated grains"),
        "state": Variable(
            _SNAPSHOT, "i1", "1", "number of the state, -1 before the first, the number of states "
            "after the last",
        ),
        "snapshot_regime": Variable(_SNAPSHOT, "i2", "1", "number of the grain's regime"),
        "positions": Variable(_SNAPSHOT, "i4", "1", "number of positions of the grain"),
        "tilt": Variable(
            _SNAPSHOT, "f4", "degree", "angle of the beam with the axis along which the grain is "
            "the same",
        ),
    },
    ("seed",),
)  # fmt: skip
