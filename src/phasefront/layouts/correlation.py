"""Chemistry of a map beside the structure that a scan saw, on the scan's grid."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.core.tables import Column, Table
from phasefront.layouts.dimensions import Y_X, with_ends

# The first part of each: all positions of crystal that both know.
WHOLE = "whole"
_PART = ("part",)

CORRELATION = Layout(
    "Chemistry of a map and ion content by structure, on a scan's grid under one probe",
    {
        "structure": Variable(
            Y_X, "f8", "1", "ions per formula unit by structure, as the map's probe would see; "
            "NaN where not known",
        ),
        "structure_stderr": Variable(Y_X, "f8", "1", "its standard error"),
        "chemistry": Variable(
            Y_X, "f8", "see unit", "the map's quantity where it likeliest lies; NaN where not known"
        ),
        "chemistry_stderr": Variable(Y_X, "f8", "see unit", "its standard error by noise"),
        "chemistry_systematic": Variable(
            Y_X, "f8", "see unit", "its standard error that neighbours share"
        ),
        "registration_stderr": Variable(
            Y_X, "f8", "see unit", "standard deviation of draws: of not knowing where the map lies"
        ),
        "draw_chemistry": Variable(
            ("draw", *Y_X), "f4", "see unit", "the quantity under equally likely placements"
        ),
        "interface_distance": Variable(
            Y_X, "f8", "nm", "distance from the interface in the own grain; NaN without one"
        ),
        "part": Variable(_PART, "str", "", "the whole, and parts by phase and distance"),
        "points": Variable(_PART, "i4", "1", "points, about as far apart as the map's pixels"),
        "effective": Variable(_PART, "f8", "1", "how many of them count, for neighbours are alike"),
        **with_ends("correlation", _PART, "of chemistry with structure"),
        "chance": Variable(_PART, "f8", "1", "chance that unrelated maps correlate as well"),
        "partial": Variable(_PART, "f8", "1", "correlation given thickness"),
        "partial_chance": Variable(_PART, "f8", "1", "chance of that one"),
        **with_ends(
            "slope", _PART, "of chemistry against structure, without systematic errors", "see unit"
        ),
        "slope_lost": Variable(
            _PART, "f8", "see unit", "what misregistration took off the slope, and was put back"
        ),
        **with_ends("difference", _PART, "mean of chemistry - structure", "see unit"),
    },
    # status and registration_why are the registration's, answer and why the verdict's.
    # expected_slope and offset are what agreement means, NaN where nobody says. slope_systematic
    # and mean_systematic are standard errors that all points share. Without an accepted
    # registration there are no numbers.
    (
        "scan", "map", "quantity", "unit", "status", "registration_why", "answer", "why",
        "scan_step_nm", "map_pixel_nm", "expected_slope", "offset",
        "slope_systematic", "mean_systematic",
    ),
)  # fmt: skip

CORRELATION_TABLE = Table(
    "correlations.csv",
    "Chemistry of maps against the structure that scans saw, as a whole and by parts.",
    {
        "stack": Column("str", "", "stack, or map, that was laid on a scan"),
        "scan": Column("str", "", "the scan"),
        "quantity": Column("str", "", "what the chemistry is"),
        "unit": Column("str", "", "its unit"),
        "status": Column("str", "", "whether it is laid: accepted, undecided or refused"),
        "answer": Column("str", "", "does it follow structure: agree, disagree or cannot tell"),
        "part": Column("str", "", "the whole, a phase, or a distance from the interface"),
        "points": Column("i8", "1", "points that are compared"),
        "effective": Column("f8", "1", "how many independent ones they are worth"),
        **{
            f"{name}{end}": Column("f8", unit, said + meaning)
            for name, unit, said in (
                ("correlation", "1", "correlation of chemistry with structure"),
                ("slope", "see unit", "slope of chemistry against ions per formula unit"),
                ("difference", "see unit", "mean of chemistry - structure"),
            )
            for end, meaning in (
                ("", ""), ("_low", ": lower end, 95 %"), ("_high", ": upper end, 95 %"),
            )
        },
        "slope_systematic": Column(
            "f8", "see unit", "standard error of slopes by what all points share, beside their ends"
        ),
        "chance": Column("f8", "1", "chance that unrelated maps correlate as well"),
        "partial": Column("f8", "1", "correlation given thickness"),
        "partial_chance": Column("f8", "1", "chance of that one"),
        "why": Column("str", "", "why this is the answer"),
    },
)  # fmt: skip
