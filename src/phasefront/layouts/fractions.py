"""Phase fractions with intervals."""

from __future__ import annotations

import dataclasses

from phasefront.core.netcdf import Layout, Variable
from phasefront.core.tables import Column, Table
from phasefront.layouts.dimensions import PHASE_NAME

_KIND_PHASE = ("kind", "phase")
_LOWER, _UPPER = "lower end of the 95 % interval", "upper end of the 95 % interval"
FRACTIONS = Layout(
    "Phase fractions of one scan, or of several together, with 95 % intervals",
    {
        "phase": PHASE_NAME,
        "kind": Variable(
            ("kind",),
            "str",
            "",
            "share of the area, of the volume (thickness), or of the formula units (molar)",
        ),
        "found": Variable(_KIND_PHASE, "f8", "1", "fraction of what is decided or mixed"),
        "value": Variable(_KIND_PHASE, "f8", "1", "fraction freed of wrong and of missing answers"),
        "low": Variable(_KIND_PHASE, "f8", "1", _LOWER),
        "high": Variable(_KIND_PHASE, "f8", "1", _UPPER),
        "bound_low": Variable(
            _KIND_PHASE, "f8", "1", "found, if no undecided or unindexed position has the phase"
        ),
        "bound_high": Variable(
            _KIND_PHASE, "f8", "1", "found, if every undecided or unindexed position has it"
        ),
        "sample": Variable(("kind", "draw", "phase"), "f4", "1", "draws of the electrode"),
        "ion_content": Variable((), "f8", "1", "ions per formula unit, mean over molar fractions"),
        "ion_content_low": Variable((), "f8", "1", _LOWER),
        "ion_content_high": Variable((), "f8", "1", _UPPER),
        "patterns": Variable((), "i8", "1", "positions of the scan"),
        "decided": Variable((), "i8", "1", "positions decided for one phase"),
        "mixed": Variable((), "i8", "1", "positions that hold two phases"),
        "undecided": Variable((), "i8", "1", "positions indexed, but left undecided"),
        "unindexed": Variable(
            (),
            "i8",
            "1",
            "positions of too few spots that are not vacuum, or with spots "
            "that no candidate explains",
        ),
        "vacuum": Variable((), "i8", "1", "positions without a crystal"),
        "effective_grains": Variable(
            (), "f8", "1", "grains that the area amounts to, (sum n)^2/sum n^2"
        ),
        "response": Variable(
            ("true_phase", "phase"), "f8", "1", "share of the decided that goes to each phase"
        ),
        "efficiency": Variable(("true_phase",), "f8", "1", "share that is decided at all"),
        "condition_number": Variable((), "f8", "1", "of response; NaN where nothing was simulated"),
        "threshold": Variable(("threshold",), "f8", "1", "posterior that a decision needs"),
        "swept_area": Variable(
            ("threshold", "phase"), "f8", "1", "positions of each phase at the threshold"
        ),
        "swept_undecided": Variable(
            ("threshold",), "f8", "1", "positions undecided or unindexed at the threshold"
        ),
        # What follows is what scans are pooled from.
        "exponent": Variable(
            ("exponent",), "f8", "1", "power of the diffuse excess that weighs positions; 0 area"
        ),
        "unit_amount": Variable(
            ("exponent", "unit", "phase"),
            "f8",
            "1",
            "of each phase, mixed positions by their shares, in each grain or patch outside grains",
        ),
        "unknown_amount": Variable(
            ("exponent",), "f8", "1", "of undecided and unindexed positions"
        ),
        "simulated_weight": Variable(
            ("simulated_grain", "true_phase"), "f8", "1", "area that a simulated grain stands for"
        ),
        "simulated_decided": Variable(
            ("simulated_grain", "true_phase", "phase"), "f8", "1", "decided of CONFUSION"
        ),
        "simulated": Variable(
            ("simulated_grain", "true_phase"), "f8", "1", "simulated of CONFUSION"
        ),
        "formula_volume": Variable(("phase",), "f8", "angstrom3", "volume of a formula unit"),
        "phase_ion_content": Variable(("phase",), "f8", "1", "ions per formula unit of the phase"),
    },
    # Scans of one state are pooled with their positions weighted by scan_step_nm squared.
    # molar_weight says what molar fractions weigh positions by: thickness or area. notes are those
    # of PHASES, of several scans each after its name.
    ("scan", "scan_step_nm", "molar_weight", "decide_above", "notes"),
)
STATE_FRACTIONS = dataclasses.replace(
    FRACTIONS,
    title="Phase fractions of a state, its scans pooled, with 95 % intervals",
    attributes=(*FRACTIONS.attributes, "state"),
)

FRACTION_TABLE = Table(
    "fractions.csv",
    "Phase fractions by 4D-STEM: of each scan, each state and all scans together.",
    {
        "level": Column("str", "", "what is counted: `scan`, `state` or `experiment`"),
        "name": Column("str", "", "its name"),
        "kind": Column(
            "str", "", "`area`: share of the positions; `thickness`: of the volume; `molar`: of the"
            " formula units"
        ),
        "phase": Column("str", "", "phase"),
        "found": Column("f8", "1", "share of what is decided or mixed, before any correction"),
        "value": Column("f8", "1", "the same freed of wrong and of missing decisions"),
        "low": Column("f8", "1", "lower end of its 95 % interval for the electrode"),
        "high": Column("f8", "1", "upper end of its 95 % interval for the electrode"),
        "bound_low": Column("f8", "1", "found, if no position without an answer had the phase"),
        "bound_high": Column("f8", "1", "found, if every position without an answer had it"),
        "efficiency": Column(
            "f8", "1", "share of the phase's positions that is decided, from simulated patterns"
        ),
        "patterns": Column("i8", "1", "number of positions"),
        "decided": Column("i8", "1", "positions given to one phase"),
        "mixed": Column("i8", "1", "positions that hold two phases"),
        "undecided": Column("i8", "1", "positions indexed, but left undecided"),
        "unindexed": Column(
            "i8", "1", "positions of too few spots that are not vacuum, or whose spots no phase"
            " explains"
        ),
        "vacuum": Column("i8", "1", "positions without a crystal"),
        "effective_grains": Column("f8", "1", "equally large grains that the area amounts to"),
        "condition_number": Column(
            "f8", "1", "of the matrix of confusion that was inverted; 1 is best"
        ),
        "molar_weight": Column("str", "", "what molar fractions weigh positions by: thickness or"
            " area"),
    },
)  # fmt: skip
