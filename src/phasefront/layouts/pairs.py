"""Which phases can be told apart."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.core.tables import Column, Table
from phasefront.layouts.dimensions import PHASE_NAME

PAIRS = Layout(
    "Which phases can be told apart, along which directions, with how many electrons",
    {
        "phase": PHASE_NAME,
        "true_phase": Variable(("pair",), "i4", "1", "index of the phase that is there"),
        "rival": Variable(("pair",), "i4", "1", "index of the phase that it is decided against"),
        "pair_index": Variable(("direction",), "i4", "1", "pair that the direction is rated for"),
        "beam": Variable(
            ("direction", "axis"), "f8", "1", "beam, unit vector in the true phase's axes"
        ),
        "zone_axis": Variable(
            ("direction", "index"), "i4", "1", "indices [uvw]; 0 0 0 of a direction of the grid"
        ),
        "electrons": Variable(
            ("direction",), "f8", "1", "electrons in a pattern that decide; inf where none do"
        ),
        "evidence_limit": Variable(
            ("direction",), "f8", "1", "expected log-evidence of infinitely many electrons"
        ),
        "direction_index": Variable(
            ("reflection",), "i4", "1", "direction, a zone axis, that the reflection is seen along"
        ),
        "kind": Variable(("reflection",), "str", "", "shifted, only A (true) or only B (rival)"),
        "hkl": Variable(
            ("reflection", "index"), "i4", "1", "indices in the true phase; 0 0 0 for only B"
        ),
        "rival_hkl": Variable(
            ("reflection", "index"), "i4", "1", "indices in the rival; 0 0 0 where it has none"
        ),
        "spacing": Variable(("reflection",), "f8", "angstrom", "interplanar spacing"),
        "shift": Variable(
            ("reflection",), "f8", "angstrom-1", "to the rival's reflection, both as they lie"
        ),
        "relative_intensity": Variable(
            ("reflection",), "f8", "1", "kinematic, over the strongest spot's of the pattern"
        ),
        "evidence": Variable(
            ("reflection",), "f8", "1", "expected log-evidence at the electrons needed"
        ),
    },
    # Errors in 1/angstrom or relative; shares of the beam.
    (
        "decide_above", "evidence_needed", "position_sigma", "scale_sigma", "voltage_kv",
        "precession_deg", "diffracted", "diffuse",
    ),
)  # fmt: skip

PAIRS_TABLE = Table(
    "pairs/*.csv",
    "What tells each phase from each rival for an instrument, from the crystals alone.",
    {
        "phase": Column("str", "", "phase that is there"),
        "rival": Column("str", "", "phase that it is decided against"),
        "zone_axis": Column(
            "str", "", "[uvw] along the beam, in the phase's axes; `all`: the median direction"
        ),
        "electrons": Column("f8", "1", "electrons in a pattern that a decision needs"),
        "share_impossible": Column(
            "f8", "1", "share of directions along which no number of electrons decides"
        ),
        "kind": Column(
            "str",
            "",
            "why a reflection tells: `shifted`, or `only A` (the phase), `only B` (rival)",
        ),
        "hkl": Column("str", "", "its indices in the phase"),
        "rival_hkl": Column("str", "", "its indices in the rival"),
        "spacing_angstrom": Column("f8", "angstrom", "interplanar spacing"),
        "shift_per_angstrom": Column("f8", "angstrom-1", "distance to the rival's reflection"),
        "relative_intensity": Column("f8", "1", "kinematic, over that of the strongest spot"),
        "evidence": Column("f8", "1", "expected natural logarithm of the likelihood ratio"),
    },
    float_format="%.4g",
)
