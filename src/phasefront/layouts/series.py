"""In situ series: how scans lie on the first, and what each place and grain went through."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.core.tables import Column, Table
from phasefront.layouts.dimensions import Y_X, with_ends

_SCAN, _GRAIN = ("scan",), ("grain",)
_SCAN_NAME = Variable(_SCAN, "str", "", "scans of the series, in the order of their times")
ALIGNMENT = Layout(
    "How the scans of a series lie on the first",
    {
        "scan": _SCAN_NAME,
        "matrix": Variable(
            ("scan", "map_axis", "other_map_axis"), "f8", "1",
            "place in the scan (row, column) about the middle = matrix (place in the first scan "
            "about its middle) + shift; NaN where not aligned",
        ),
        "shift": Variable(("scan", "map_axis"), "f8", "1", "shift in positions (row, column)"),
        "covariance": Variable(
            ("scan", "map_parameter", "other_map_parameter"), "f8", "1",
            "covariance of the matrix, row by row, and the shift",
        ),
        "stderr": Variable(
            _SCAN, "f8", "1",
            "standard error of a place along one axis in positions, rms over the first scan",
        ),
        "turn": Variable(_SCAN, "f8", "degree", "turn on the first scan, from rows to columns"),
        "scale": Variable(_SCAN, "f8", "1", "step over that of the first scan"),
        "drift": Variable(
            ("scan", "map_axis"), "f8", "1",
            "drift (row, column) from one row to the next, in positions, beyond the first scan's",
        ),
        "covered": Variable(_SCAN, "f8", "1", "share of the first scan's positions that it covers"),
        "new": Variable(_SCAN, "f8", "1", "share of its own positions outside the first scan"),
        "agreeing": Variable(_SCAN, "f8", "1", "share of common positions in the same grain"),
        "problem": Variable(_SCAN, "str", "", "why it is not aligned; empty where it is"),
        "partner": Variable(
            ("scan", "grain"), "i4", "1", "number in the scan of each grain of the first, -1 none"
        ),
        "grain_turn": Variable(
            ("scan", "grain", "frame_axis"), "f8", "degree",
            "rotation of the grain since the first scan, as a vector in the frame of the patterns: "
            "x and y a tilt, z a turn about the beam",
        ),
        "intensity_exponent": Variable(
            _SCAN, "f8", "1", "exponent of its counts against the first scan's, by quantiles"
        ),
        "intensity_factor": Variable(_SCAN, "f8", "1", "and their factor at the median"),
    },
    ("series",),
)  # fmt: skip


_PLACE_SCAN = ("scan", "y", "x")
_SCAN_GRAIN = ("scan", "grain")
SERIES = Layout(
    "What the places and grains of a series went through, on the first scan's positions",
    {
        "scan": _SCAN_NAME,
        "state": Variable(("state",), "str", "", "rich in ions, mixed, poor"),
        "way": Variable(("way",), "str", "", "way in which a grain may convert"),
        "law": Variable(("law",), "str", "", "law by which a front may advance"),
        "label": Variable(Y_X, "i4", "1", "grain of the first scan, -1 none"),
        "time": Variable(
            _PLACE_SCAN, "f8", "s", "on the log's time; NaN where the scan did not see the place"
        ),
        "ion_content": Variable(
            _PLACE_SCAN, "f4", "1", "ions per formula unit, from the cell; NaN where not told"
        ),
        "ion_content_stderr": Variable(_PLACE_SCAN, "f4", "1", "its standard error"),
        "single": Variable(
            ("scan", "y", "x", "state"), "f4", "1",
            "posterior of each state from the scan alone (unsmoothed); NaN outside grains",
        ),
        "smooth": Variable(
            ("scan", "y", "x", "state"), "f4", "1",
            "posterior of each state from all scans (smoothed); NaN outside grains",
        ),
        **with_ends("change", Y_X, "time at which the place converts; NaN where it does not", "s"),
        "mean_time": Variable(_SCAN, "f8", "s", "mean time of the scan on the log"),
        "voltage": Variable(_SCAN, "f8", "V", "mean cell voltage"),
        "current": Variable(_SCAN, "f8", "mA", "mean current, positive on charge"),
        "charge": Variable(_SCAN, "f8", "mA h", "mean net charge passed by the electrode"),
        "dose": Variable(_SCAN, "f8", "angstrom-2", "electrons per area so far; NaN if not stated"),
        **with_ends("converted_share", _SCAN, "share of the grains' area that has converted"),
        **with_ends("caught_share", _SCAN, "share of grains between both phases"),
        "converted": Variable(
            _SCAN_GRAIN, "f8", "1", "share of each grain that has converted, smoothed"
        ),
        "converted_single": Variable(_SCAN_GRAIN, "f8", "1", "the same from the scan alone"),
        "moved": Variable(
            ("gap", "grain"), "f8", "1",
            "share of the grain that converts between a scan and the next, whatever the current",
        ),
        "at_risk": Variable(("gap", "grain"), "f8", "1", "share that could still convert"),
        "converts": Variable(_GRAIN, "i1", "1", "1 where most of the grain converts"),
        "size": Variable(_GRAIN, "i4", "1", "number of positions that say something"),
        **with_ends(
            "begin", _GRAIN, "time at which the front enters the grain, or what is seen of it "
            "where begin_seen is 0", "s",
        ),
        "begin_seen": Variable(
            _GRAIN, "i1", "1", "1 where it enters from bare support; 0 where another grain or the "
            "scan's edge hides what lies before, so that the grain may have begun earlier",
        ),
        "end": Variable(_GRAIN, "f8", "s", "time at which 0.95 of what converts has"),
        **with_ends(
            "speed", _GRAIN, "speed of a straight front, of its likeliest law; while current flows "
            "where it goes with charge", "nm s-1",
        ),
        **with_ends(
            "advance", _GRAIN, "way of a straight front for the charge passed by the electrode; "
            "NaN where ions do not go one way", "nm mA-1 h-1",
        ),
        **with_ends(
            "direction", _GRAIN, "direction of its advance on the first scan, from columns towards "
            "rows; ends may pass 0 or 360", "degree",
        ),
        "entry": Variable(
            ("grain", "map_axis"), "f8", "1", "row and column that the front reaches first"
        ),
        "log_evidence_way": Variable(
            ("grain", "way"), "f8", "1", "natural logarithm of the evidence of each way"
        ),
        "log_evidence_law": Variable(
            ("grain", "law"), "f8", "1", "natural logarithm of the evidence of each law of a "
            "straight front: with time, its square root, or the charge passed",
        ),
        **with_ends("overlap", (), "0 where grains convert one by one, 1 where all at once"),
        **with_ends(
            "balance_slope", (), "share converted for the charge passed during the series"
        ),
        **with_ends("balance_lag", (), "time by which conversion follows the charge", "s"),
        **with_ends(
            "offset", (), "clock offset that changes and current together ask for", "s"
        ),
        "chain": Variable(
            ("chain_parameter",), "f8", "1", "middle, half distance, new error, repeated error, "
            "rate and log-likelihood of the fitted chain",
        ),
    },
    # rich and poor name the field's phases; ions go out, in, both ways or none; offset_test and
    # population are sentences.
    (
        "series", "log", "rich", "poor", "flow", "scan_step_nm", "declared_offset_s",
        "declared_offset_error_s", "offset_test", "population",
    ),
)  # fmt: skip

SERIES_TABLE = Table(
    "series.csv",
    "Grains of in situ series, and when and how they convert.",
    {
        "series": Column("str", "", "series"),
        "grain": Column("i8", "1", "the grain's number in the first scan"),
        "positions": Column("i8", "1", "number of positions that say something"),
        "converts": Column("bool", "", "whether most of it converts"),
        "begin": Column("f8", "s", "time at which the front enters it, or what is seen of it"),
        "begin_low": Column("f8", "s", "lower end, 95 %"),
        "begin_high": Column("f8", "s", "upper end, 95 %"),
        "begin_seen": Column("bool", "", "whether it enters from bare support, not out of hiding"),
        "end": Column("f8", "s", "time at which 0.95 of what converts has"),
        "way": Column("str", "", "way of converting, or cannot be told"),
        "law": Column("str", "", "law of a straight front, or cannot be told"),
        "speed": Column(
            "f8",
            "nm s-1",
            "speed of a straight front; while current flows where it goes with charge",
        ),
        "speed_low": Column("f8", "nm s-1", "lower end, 95 %"),
        "speed_high": Column("f8", "nm s-1", "upper end, 95 %"),
        "direction": Column("f8", "degree", "direction of its advance on the first scan"),
        "direction_low": Column("f8", "degree", "lower end, 95 %"),
        "direction_high": Column("f8", "degree", "upper end, 95 %"),
    },
)
