"""How grains convert: morphologies, populations, habit planes, and what conversion goes with."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.core.tables import Column, Table
from phasefront.layouts.dimensions import PHASE_NAME, with_ends

_GRAIN, _POPULATION, _FIELD = ("grain",), ("population",), ("field",)
_OF_COVARIATE, _PER_MORPHOLOGY = ("field", "covariate"), ("population", "morphology")
# Number that stands for no field, or for all states of a field together.
NONE = ALL = -1

MECHANISMS = Layout(
    "How grains convert, by state and two-phase field",
    {
        "phase": PHASE_NAME,
        "state": Variable(("state",), "str", "", "state of charge that has scans"),
        "direction": Variable(
            ("state",), "str", "", "whether ions enter (insertion) or leave (extraction); unknown"
        ),
        "direction_from": Variable(("state",), "str", "", "what says so: log, config or nothing"),
        "morphology": Variable(("morphology",), "str", "", "how phases lie in a grain"),
        # Grains of all scans, in the order of scans and of their grains.
        "scan": Variable(_GRAIN, "str", "", "scan of the grain"),
        "number": Variable(_GRAIN, "i4", "1", "number of the grain in its scan"),
        "grain_state": Variable(_GRAIN, "i4", "1", "index of its state"),
        "grain_field": Variable(_GRAIN, "i4", "1", "index of its two-phase field, -1 none"),
        "size": Variable(_GRAIN, "i4", "1", "positions"),
        "area": Variable(_GRAIN, "f8", "nm2", "projected area; NaN without a scan step"),
        "cut": Variable(_GRAIN, "i1", "1", "1 where the scan's edge cuts it"),
        "counted": Variable(
            _GRAIN, "i1", "1", "1 where it counts in populations: whole in the scan, large enough,"
            " of the field"
        ),
        "converted": Variable(
            _GRAIN, "f8", "1", "share that is the new phase; the poor one where the direction is"
            " unknown"
        ),
        "ion_content": Variable(_GRAIN, "f8", "1", "ions per formula unit, by the field's ends"),
        "caught": Variable(_GRAIN, "i1", "1", "1 where it is seen on the way between the phases"),
        "fronts": Variable(
            _GRAIN, "i4", "1", "straight pieces of its interface with a trace in the crystal"
        ),
        "posterior": Variable(
            ("grain", "morphology"), "f8", "1", "probability of each morphology, of the grain by"
            " itself; NaN where it cannot be told"
        ),
        "posterior_in_population": Variable(
            ("grain", "morphology"), "f8", "1", "the same given the other caught grains of its"
            " field and state; NaN where it is not one of them"
        ),
        # Populations: grains of a field in one state, or in all states that lie inside it.
        "population_field": Variable(_POPULATION, "i4", "1", "index of the field"),
        "population_state": Variable(
            _POPULATION, "i4", "1", "index of the state; -1 for those inside the field together"
        ),
        "grains": Variable(_POPULATION, "i4", "1", "grains that count"),
        "caught_grains": Variable(_POPULATION, "i4", "1", "those seen on the way"),
        "cut_grains": Variable(_POPULATION, "i4", "1", "left out: cut by the scan's edge"),
        "small_grains": Variable(_POPULATION, "i4", "1", "left out: of too few positions"),
        "mean_converted": Variable(_POPULATION, "f8", "1", "mean share converted of the grains"),
        **with_ends("caught_share", _POPULATION, "share of grains on the way"),
        "log_bayes_factor": Variable(
            _POPULATION, "f8", "1", "natural logarithm, one by one against concurrent"
        ),
        "verdict": Variable(
            _POPULATION, "str", "", "one by one, concurrent or cannot be told"
        ),
        "why_untold": Variable(
            _POPULATION, "str", "", "why it cannot be told and what would suffice; empty if told"
        ),
        **with_ends("proportion", _PER_MORPHOLOGY, "share of the caught grains"),
        # Fields, each with its ion-rich and its ion-poor phase.
        "rich": Variable(_FIELD, "i4", "1", "index of the ion-rich phase"),
        "poor": Variable(_FIELD, "i4", "1", "index of the ion-poor phase"),
        "habit_fronts": Variable(_FIELD, "i4", "1", "straight pieces that the plane is found from"),
        "habit_grains": Variable(_FIELD, "i4", "1", "grains that they are in"),
        "tilts_used": Variable(_FIELD, "i4", "1", "pieces whose tilt to the beam is known"),
        "normal": Variable(
            ("field", "axis"), "f8", "1", "likeliest habit plane, unit vector in the parent's"
            " Cartesian axes, e1 along a, e3 along c*; NaN where it cannot be told"
        ),
        "normal_reciprocal": Variable(
            ("field", "lattice_axis"), "f8", "1", "the same as u a* + v b* + w c* of the parent, "
            "the largest 1"
        ),
        "region_deg": Variable(
            _FIELD, "f8", "degree", "angle about it that holds 95 % of the posterior"
        ),
        "habit_log_bayes_factor": Variable(
            _FIELD, "f8", "1", "natural logarithm, one plane against every front its own"
        ),
        "against_random_p": Variable(
            _FIELD, "f8", "1", "how often traces of random directions point to a plane as well"
        ),
        "against_outline_p": Variable(
            _FIELD, "f8", "1", "how often edges of the grains' own outlines do; NaN without edges"
        ),
        "why_no_plane": Variable(
            _FIELD, "str", "", "why it cannot be told and what would suffice; empty if told"
        ),
        "plane_normal": Variable(
            ("plane", "axis"), "f8", "1", "planes tried, one of each set that symmetry makes"
        ),
        "plane_probability": Variable(
            ("field", "plane"), "f8", "1", "posterior of each; NaN where no plane can be told"
        ),
        "operation": Variable(
            ("operation", "axis", "other_axis"), "f8", "1", "rotations of the parent's symmetry, "
            "which make all equivalent planes of one"
        ),
        # Fronts that planes are found from, for stereograms.
        "front_field": Variable(("front",), "i4", "1", "index of its field"),
        "front_grain": Variable(("front",), "i4", "1", "its grain, counted over all scans"),
        "front_trace": Variable(
            ("front", "axis"), "f8", "1", "unit vector along it in the parent's Cartesian axes"
        ),
        "front_beam": Variable(("front", "axis"), "f8", "1", "unit vector along the beam there"),
        "front_error": Variable(("front",), "f8", "degree", "standard error of its direction"),
        "front_tilt": Variable(
            ("front",), "f8", "degree", "angle of the plane with the beam, of either sign"
        ),
        "front_tilt_error": Variable(("front",), "f8", "degree", "its standard error"),
        # What the share converted goes with.
        "covariate": Variable(("covariate",), "str", "", "what it may go with"),
        **with_ends(
            "effect", _OF_COVARIATE, "log odds of conversion per standard deviation within states; "
            "Moran's I for neighbours"
        ),
        "p": Variable(_OF_COVARIATE, "f8", "1", "by permutation within states"),
        "p_holm": Variable(_OF_COVARIATE, "f8", "1", "the same after Holm over all of a field"),
        "smallest_detectable": Variable(
            _OF_COVARIATE, "f8", "1", "effect that these grains show with a power of 0.8"
        ),
        "covariate_grains": Variable(_OF_COVARIATE, "i4", "1", "grains that know it"),
    },
    ("recall", "false_alarm", "min_positions", "min_grains", "sentence"),
)  # fmt: skip

GRAIN_MECHANISMS_TABLE = Table(
    "tables/mechanisms.csv",
    "Grains of all scans: how each converts.",
    {
        "scan": Column("str", "", "scan"),
        "grain": Column("i8", "1", "number of the grain in it"),
        "state": Column("str", "", "state of charge"),
        "rich": Column("str", "", "ion-rich phase of its two-phase field; empty without one"),
        "poor": Column("str", "", "ion-poor phase"),
        "size": Column("i8", "1", "positions"),
        "area_nm2": Column("f8", "nm2", "projected area"),
        "cut": Column("bool", "", "whether the scan's edge cuts it"),
        "counted": Column("bool", "", "whether it counts in populations"),
        "converted": Column("f8", "1", "share that is the new phase"),
        "ion_content": Column("f8", "1", "ions per formula unit"),
        "caught": Column("bool", "", "whether it is seen on the way between the phases"),
        "fronts": Column("i8", "1", "straight pieces of its interface with a trace in the crystal"),
        "p_*": Column("f8", "1", "probability of a morphology, of the grain by itself"),
        "in_population_*": Column("f8", "1", "the same given the other caught grains"),
    },
)  # fmt: skip
