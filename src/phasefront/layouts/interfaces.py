"""Interfaces between the phases of a grain, facets, and profiles from the outline."""

from __future__ import annotations

from enum import IntEnum

from phasefront.core.netcdf import Layout, Variable
from phasefront.layouts.dimensions import PHASE_NAME, flags


class Found(IntEnum):
    """What there is of two phases in a grain."""

    ONE_PHASE = 0
    INTERFACE = 1
    UNIFORM = 2  # one share in all columns
    NOT_SURE = 3  # positions of a second phase, but no interface is likelier than none
    NO_FIELD = 4  # two phases, which are no two-phase field
    TOO_FEW = 5  # positions that say something


class Shape(IntEnum):
    """Shapes of interfaces that are fitted to a whole grain, and none of them."""

    NONE = -1
    LINE = 0
    BAND = 1
    CURVE = 2
    OUTLINE = 3


class Beyond(IntEnum):
    """What lies beyond an end of an interface, or a facet."""

    UNKNOWN = 0
    VACUUM = 1
    CRACK = 2
    GRAIN = 3
    SCAN_EDGE = 4
    SEGMENT = 5  # the interface goes on


class Side(IntEnum):
    """Part of an outline."""

    ALL = 0
    VACUUM = 1
    GRAIN = 2


_GRAIN, _SEGMENT, _FACET, _ROW = ("grain",), ("segment",), ("facet",), ("profile_row",)
_OF_GRAIN = "first {} of a grain"
INTERFACES = Layout(
    "Interfaces between phases inside grains, facets, and ion content from the outlines",
    {
        "phase": PHASE_NAME,
        "parent_axes": Variable(
            ("phase", "lattice_axis", "axis"),
            "f8",
            "angstrom",
            "a, b, c of the lattice that phases share, in each; Cartesian axes e1 along a, e3 "
            "along c*, as all directions in crystals here",
        ),
        "found": Variable(
            _GRAIN, "i1", "1", "what there is of two phases", flags(Found)
        ),
        "rich": Variable(_GRAIN, "i1", "1", "index of the ion-rich phase of the pair, -1 none"),
        "poor": Variable(_GRAIN, "i1", "1", "index of the ion-poor phase of the pair, -1 none"),
        "rich_share": Variable(
            _GRAIN, "f8", "1", "mean share of the rich phase over the positions of the pair"
        ),
        "measured_count": Variable(
            _GRAIN, "i4", "1", "positions whose share is known from the cell"
        ),
        "posterior_count": Variable(
            _GRAIN, "i4", "1", "positions known by the posterior of the phases"
        ),
        "decision_count": Variable(_GRAIN, "i4", "1", "positions known by a decision only"),
        "other_count": Variable(
            _GRAIN, "i4", "1", "positions decided for a third phase, left out"
        ),
        "cut": Variable(_GRAIN, "i1", "1", "1 where the scan's edge cuts the grain"),
        "noise": Variable(
            _GRAIN, "f8", "1", "factor by which ion contents scatter beyond their errors"
        ),
        "beam": Variable(
            ("grain", "axis"), "f8", "1", "z, against the electrons, in the crystal's axes"
        ),
        "model": Variable(
            ("model",), "str", "", "what is fitted to the whole grain; lines have band widths"
        ),
        "log_evidence": Variable(
            ("grain", "model"),
            "f8",
            "1",
            "highest log-likelihood less half the logarithm of the number of positions for each "
            "parameter (BIC), over that of the likelier whole phase; NaN where not fitted",
        ),
        "shape": Variable(
            _GRAIN,
            "i1",
            "1",
            "likeliest of the models that have an interface; none where no model fits",
            flags(Shape),
        ),
        "misfit_share": Variable(
            _GRAIN, "f8", "1", "share of positions that the likeliest shape does not explain"
        ),
        "curvature": Variable(
            _GRAIN, "f8", "1", "of the fitted curve, 1/positions; + where the rich side is hollow"
        ),
        "curvature_stderr": Variable(_GRAIN, "f8", "1", "its standard error"),
        "depth": Variable(
            _GRAIN, "f8", "1", "distance in positions of a front along the outline from it"
        ),
        "depth_stderr": Variable(_GRAIN, "f8", "1", "its standard error"),
        "rich_domains": Variable(
            _GRAIN, "i4", "1", "domains of the rich phase; -1 where labels are too uncertain"
        ),
        "poor_domains": Variable(_GRAIN, "i4", "1", "domains of the poor phase; -1 likewise"),
        "contacts": Variable(
            _GRAIN, "i4", "1", "places where the interface meets the outline; -1 likewise"
        ),
        "specks": Variable(_GRAIN, "i4", "1", "positions in patches too small to count"),
        "label_error": Variable(_GRAIN, "f8", "1", "expected share of wrong labels"),
        "misorientation": Variable(
            _GRAIN, "f8", "degree", "of the rich phase's lattice against the poor one's"
        ),
        "misorientation_stderr": Variable(_GRAIN, "f8", "degree", "its standard error"),
        "misorientation_axis": Variable(
            ("grain", "axis"), "f8", "1", "axis of that rotation in the crystal's axes"
        ),
        "segment_offset": Variable(("grain_edge",), "i8", "1", _OF_GRAIN.format("segment")),
        "end_y": Variable(("segment", "end"), "f8", "1", "row of both ends in positions"),
        "end_x": Variable(("segment", "end"), "f8", "1", "column of both ends in positions"),
        "length": Variable(_SEGMENT, "f8", "1", "distance of the ends in positions"),
        "stderr_across": Variable(
            _SEGMENT,
            "f8",
            "1",
            "standard error of the place at the middle, across, in positions, with what columns of "
            "both phases may be off alike"
        ),
        "direction": Variable(
            _SEGMENT, "f8", "degree", "trace on the map, from x towards y, 0 to 180"
        ),
        "direction_stderr": Variable(_SEGMENT, "f8", "degree", "its standard error"),
        "rich_side": Variable(
            _SEGMENT, "f8", "degree", "normal on the map towards the rich side, from x towards y"
        ),
        "width": Variable(
            _SEGMENT, "f8", "1", "of the band where both phases lie over each other, in positions"
        ),
        "width_stderr": Variable(_SEGMENT, "f8", "1", "its standard error"),
        "tilt": Variable(
            _SEGMENT,
            "f8",
            "degree",
            "angle of the plane with the beam, of either sign, from width and thickness; NaN where "
            "either is not known in nm",
        ),
        "tilt_stderr": Variable(_SEGMENT, "f8", "degree", "its standard error"),
        "trace": Variable(
            ("segment", "axis"),
            "f8",
            "1",
            "the direction in the crystal's axes, of either sign; NaN where the camera's rotation "
            "is not known",
        ),
        "positions": Variable(_SEGMENT, "i4", "1", "number of positions that it is fitted to"),
        "end_beyond": Variable(
            ("segment", "end"), "i1", "1", "what each end meets", flags(Beyond)
        ),
        "end_grain": Variable(("segment", "end"), "i4", "1", "which grain, -1 none"),
        "end_facet": Variable(
            ("segment", "end"), "i4", "1", "facet of the own grain that the end lies on, -1 none"
        ),
        "facet_offset": Variable(("grain_edge",), "i8", "1", _OF_GRAIN.format("facet")),
        "facet_y": Variable(("facet", "end"), "f8", "1", "row of both ends in positions"),
        "facet_x": Variable(("facet", "end"), "f8", "1", "column of both ends in positions"),
        "facet_length": Variable(_FACET, "f8", "1", "distance of the ends in positions"),
        "facet_direction": Variable(
            _FACET, "f8", "degree", "trace on the map, from x towards y, 0 to 180"
        ),
        "facet_direction_stderr": Variable(_FACET, "f8", "degree", "its standard error"),
        "facet_trace": Variable(
            ("facet", "axis"), "f8", "1", "the direction in the crystal's axes, as `trace`"
        ),
        "facet_beyond": Variable(
            _FACET, "i1", "1", "what lies beyond most of it", flags(Beyond)
        ),
        "facet_grain": Variable(_FACET, "i4", "1", "which grain, -1 none"),
        "profile_offset": Variable(("grain_edge",), "i8", "1", _OF_GRAIN.format("row")),
        "profile_side": Variable(
            _ROW, "i1", "1", "part of the outline that is nearest", flags(Side)
        ),
        "profile_depth": Variable(_ROW, "f8", "1", "mean distance from the outline in positions"),
        "profile_ion_content": Variable(_ROW, "f8", "1", "mean ions per formula unit"),
        "profile_stderr": Variable(_ROW, "f8", "1", "its standard error"),
        "profile_count": Variable(_ROW, "i4", "1", "number of positions"),
    },
    # Lengths are in positions: scan_step_nm, NaN where unknown, turns them into nm. thickness_nm is
    # NaN where not stated. directions says what those in crystals rest on, or why there are none.
    ("scan", "scan_step_nm", "map_by", "outliers", "thickness_nm", "directions", "tilts"),
)  # fmt: skip
