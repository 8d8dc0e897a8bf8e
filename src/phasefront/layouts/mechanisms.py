"""How the grains of an experiment convert: morphologies, populations, habit planes, order."""

from __future__ import annotations

from enum import IntEnum

from phasefront.core.netcdf import Layout, Variable
from phasefront.core.tables import Column, Table
from phasefront.layouts.dimensions import PHASE_NAME, flags, with_ends


class Counted(IntEnum):
    """Whether a grain is one of a population, or why not."""

    YES = 0
    CUT = 1  # by the scan's edge
    FEW = 2  # too few positions that say something
    NO_FIELD = 3  # its phases are no two-phase field, or not that of its state
    NO_POPULATION = 4  # its state is in no field


class Direction(IntEnum):
    """Where ions went before a state."""

    UNKNOWN = 0
    OUT = 1
    IN = 2


_GRAIN, _FIELD, _POPULATION = ("grain",), ("field",), ("population",)
_EFFECT = ("field", "covariate")
MECHANISMS = Layout(
    "Which way ions go: morphologies of grains, populations, habit planes, order of reaction",
    {
        "phase": PHASE_NAME,
        "scan": Variable(("scan",), "str", "", "scans"),
        "state": Variable(("state",), "str", "", "states that were scanned"),
        "state_direction": Variable(
            ("state",), "i1", "1", "where ions went before the state", flags(Direction)
        ),
        "morphology": Variable(("morphology",), "str", "", "name of a morphology"),
        "scan_of_grain": Variable(_GRAIN, "i4", "1", "index of its scan"),
        "number": Variable(_GRAIN, "i4", "1", "the grain's number in its scan"),
        "state_of_grain": Variable(_GRAIN, "i4", "1", "index of its state"),
        "population_of_grain": Variable(
            _GRAIN, "i4", "1", "index of its population, -1 where it is not counted"
        ),
        "counted": Variable(
            _GRAIN, "i1", "1", "whether it is one of a population, or why not", flags(Counted)
        ),
        "size": Variable(_GRAIN, "i4", "1", "number of positions"),
        "converted": Variable(
            _GRAIN, "f8", "1", "share of its positions that is the product: the ion-poor phase "
            "where ions leave or the direction is not known, else the rich one",
        ),
        "caught": Variable(_GRAIN, "i1", "1", "1 where it is between both phases"),
        "posterior": Variable(
            ("grain", "morphology"), "f8", "1", "probability of each from the grain alone"
        ),
        "posterior_in_population": Variable(
            ("grain", "morphology"), "f8", "1", "the same given the proportions of its field, of "
            "caught grains; NaN for others",
        ),
        "population_field": Variable(_POPULATION, "i4", "1", "index of its two-phase field"),
        "population_state": Variable(_POPULATION, "i4", "1", "index of its state"),
        "population_grains": Variable(_POPULATION, "i4", "1", "number of grains counted"),
        "population_caught": Variable(_POPULATION, "i4", "1", "of which between both phases"),
        "population_converted": Variable(_POPULATION, "f8", "1", "share converted, by area"),
        **with_ends(
            "population_caught_share", _POPULATION, "share of grains between both phases, what is "
            "missed and taken for it allowed for",
        ),
        "population_log_bayes_factor": Variable(
            _POPULATION, "f8", "1", "ln of the evidence of one by one over concurrent"
        ),
        "rich": Variable(_FIELD, "i4", "1", "index of the ion-rich phase of a two-phase field"),
        "poor": Variable(_FIELD, "i4", "1", "index of its ion-poor phase"),
        "grains": Variable(_FIELD, "i4", "1", "number of grains counted"),
        "caught_grains": Variable(_FIELD, "i4", "1", "of which between both phases"),
        **with_ends(
            "caught_share", _FIELD, "share of grains between both phases, over states that are "
            "between a fifth and four fifths converted"
        ),
        "log_bayes_factor": Variable(
            _FIELD, "f8", "1", "ln of the evidence of one by one over concurrent"
        ),
        "verdict": Variable(_FIELD, "str", "", "one by one, concurrent or cannot be told"),
        **with_ends(
            "proportion", ("field", "morphology"), "share of caught grains of each morphology"
        ),
        "traces": Variable(_FIELD, "i4", "1", "straight fronts of known direction in the crystal"),
        "tilts": Variable(_FIELD, "i4", "1", "of which with a known tilt"),
        "normal": Variable(
            ("field", "axis"), "f8", "1", "likeliest habit plane's normal, Cartesian: e1 along a, "
            "e3 along c*; NaN without three grains",
        ),
        "normal_indices": Variable(
            ("field", "axis"), "f8", "1", "the same as h k l in the parent's reciprocal axes, the "
            "largest 1",
        ),
        "region": Variable(
            _FIELD, "f8", "degree", "angle about it that holds 95 % of the posterior"
        ),
        "plane_log_bayes_factor": Variable(
            _FIELD, "f8", "1", "natural logarithm of the evidence of one plane over one a grain"
        ),
        "against_random": Variable(
            _FIELD, "f8", "1", "how often random directions point to a common plane as well"
        ),
        "against_outlines": Variable(
            _FIELD, "f8", "1", "how often straight edges of the grains' own outlines do; NaN where "
            "too few grains have any",
        ),
        "softest": Variable(
            ("field", "axis"), "f8", "1", "normal of the plane that coherency makes softest; NaN "
            "where no stiffness is stated",
        ),
        "softest_energy": Variable(_FIELD, "f8", "GPa", "its elastic energy"),
        "near_softest": Variable(
            _FIELD, "f8", "1", "share of all directions within a tenth of the range above it"
        ),
        **with_ends(
            "energy_over_softest", _FIELD, "elastic energy of the habit plane over it, the "
            "ends over the region",
        ),
        "from_softest": Variable(_FIELD, "f8", "degree", "from the habit plane to the softest"),
        "plane": Variable(
            ("plane", "axis"), "f8", "1", "normals of planes that the parent's symmetry tells apart"
        ),
        "plane_probability": Variable(("field", "plane"), "f8", "1", "posterior of each plane"),
        "trace_field": Variable(("trace",), "i4", "1", "index of a front's field"),
        "trace_grain": Variable(("trace",), "i4", "1", "index of its grain"),
        "trace": Variable(("trace", "axis"), "f8", "1", "its direction on the map, in the crystal"),
        "trace_beam": Variable(("trace", "axis"), "f8", "1", "the beam's direction there"),
        "trace_stderr": Variable(("trace",), "f8", "degree", "its standard error"),
        "covariate": Variable(("covariate",), "str", "", "what the share converted may go with"),
        **with_ends(
            "effect", _EFFECT, "log odds of conversion for one standard deviation more"
        ),
        "effect_p": Variable(_EFFECT, "f8", "1", "p by permutation within states"),
        "effect_p_holm": Variable(_EFFECT, "f8", "1", "the same after Holm, over all covariates"),
        "smallest_detectable": Variable(
            _EFFECT, "f8", "1", "log odds that so many grains show with a power of 0.8"
        ),
        "effect_grains": Variable(_EFFECT, "i4", "1", "grains that know the covariate"),
        "neighbours_alike": Variable(
            _FIELD, "f8", "1", "Moran's I of the share converted over grains that touch"
        ),
        "neighbours_alike_p": Variable(_FIELD, "f8", "1", "its p by permutation within states"),
    },
    # Recall and false alarm of "caught", as simulated; sentences are lines.
    ("recall", "false_alarm", "parent_point_group", "sentence", "caveats"),
)  # fmt: skip

MECHANISM_TABLE = Table(
    "mechanisms.csv",
    "Grains and how they convert.",
    {
        "scan": Column("str", "", "scan"),
        "grain": Column("i8", "1", "the grain's number in the scan"),
        "state": Column("str", "", "state of charge"),
        "field": Column("str", "", "rich and poor phase of its population; empty if not counted"),
        "counted": Column("str", "", "yes, or why it is not one of a population"),
        "positions": Column("i8", "1", "number of positions"),
        "converted": Column("f8", "1", "share of them that is the product"),
        "caught": Column("bool", "", "whether it is between both phases"),
        "likeliest": Column("str", "", "likeliest morphology"),
        "p *": Column("f8", "1", "probability of each morphology"),
    },
)
