"""The file of simulated and drawn grains: states of each on its way, and what its history was.

`phasefront.virtual.insertion.library` makes it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from phasefront.core.netcdf import Layout, Variable

DATA_FILE = Path(__file__).with_name("grains.nc")
CELLS = 40  # side of the grid that all grains are kept on
FULL = 255  # a share of 1

INSERTION = Layout(
    "Grains while ions enter or leave them",
    {
        "regime": Variable(("regime",), "str", "", "regime that grains are made under"),
        "part": Variable(("regime",), "str", "", "what the regime is for"),
        "family": Variable(("regime",), "str", "", "phase field or drawn"),
        "morphology": Variable(("morphology",), "str", "", "name of a morphology"),
        "converted": Variable(
            ("state",), "f8", "1", "converted share that a state is near: of the grain, or of all "
            "grains at its potential",
        ),
        "grain_regime": Variable(("grain",), "i2", "1", "number of the grain's regime"),
        "circuit": Variable(
            ("grain",), "i2", "1", "number of the potential, which grains may share"
        ),
        "inserting": Variable(("grain",), "i1", "1", "1 while ions enter, 0 while they leave"),
        "history": Variable(
            ("grain", "morphology"), "f4", "1", "share of the grain's history with a morphology"
        ),
        "label": Variable(
            ("grain",), "i1", "1", "number of the morphology of the grain's whole history"
        ),
        "appearance": Variable(
            ("grain", "state"), "i1", "1", "number of the morphology of the state alone"
        ),
        "inside": Variable(("grain", "row", "column"), "i1", "1", "1 where the grain is"),
        "share": Variable(
            ("grain", "state", "row", "column"), "u1", "1",
            "share of the rich phase by the lever rule, times 255",
        ),
    },
    ("seed",),
)  # fmt: skip


# Grids lie in the plane of the crystal's Cartesian x (columns) and z (rows), along which grains are
# extruded in the third direction: rows of this matrix, in crystal axes. For LiFePO4 that is the
# channels' direction b, and a and c lie in the plane.
PLANE = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
