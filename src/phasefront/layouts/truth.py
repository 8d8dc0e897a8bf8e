"""The truth of a virtual scan."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.core.tables import Column, Table
from phasefront.layouts.dimensions import PER_PHASE, PHASE_NAME, Y_X

TRUTH = Layout(
    "Truth of a virtual scan; no rule of the analysis reads it",
    {
        "phase": PHASE_NAME,
        "weight": Variable(
            PER_PHASE, "f4", "1", "share of the phase in the thickness; 0 in vacuum"
        ),
        "thickness": Variable(Y_X, "f4", "nm", "thickness, 0 in vacuum"),
        "grain": Variable(Y_X, "i4", "1", "topmost grain, -1 in vacuum"),
        "overlap": Variable(Y_X, "i1", "1", "1 where two grains lie over each other"),
        "rotation": Variable(
            ("y", "x", "phase", "quaternion"),
            "f4",
            "1",
            "orientation of the thickest grain described as each phase, frame of patterns to "
            "crystal; NaN in vacuum",
        ),
        "second_rotation": Variable(
            ("y", "x", "phase", "quaternion"),
            "f4",
            "1",
            "that of the second thickest grain; NaN where there is none",
        ),
        "second_weight": Variable(
            PER_PHASE, "f4", "1", "share of the phase of the second grain in the thickness"
        ),
        "centre_y": Variable(Y_X, "f4", "pixel", "row of the direct beam"),
        "centre_x": Variable(Y_X, "f4", "pixel", "column of the direct beam"),
        "affine": Variable(
            ("q_axis", "pixel_axis"), "f8", "angstrom-1 pixel-1", "q = affine (pixel - centre)"
        ),
    },
    ("scan", "seed", "insertion_model"),
    optional=(
        "dose",
        "ellipse_angle_deg",
        "ellipse_ratio",
        "gamma",
        "ion_content",
        "phase_formula_volume",
        "phase_ion_content",
        "scale_error",
        "scan_step_nm",
        "simulated_grain",  # of the file of simulated grains, one a grain,
        "simulated_state",  # and its state there: -1 before all of them, their number after all
    ),
)

_SCANNED = ("scan", "y", "x")
_GRAIN = ("grain",)

SERIES_TRUTH = Layout(
    "Truth of a virtual in situ series; no rule of the analysis reads it",
    {
        "scan": Variable(("scan",), "str", "", "scan, in the order of time"),
        "time": Variable(_SCANNED, "f8", "s", "true time on the log's clock"),
        "charge": Variable(_SCANNED, "f8", "mA h", "charge that the electrode had passed then"),
        "row": Variable(
            _SCANNED, "f8", "1", "row of what a position saw, in the frame of the first scan"
        ),
        "column": Variable(_SCANNED, "f8", "1", "its column there"),
        "label": Variable(_SCANNED, "i4", "1", "topmost grain there, -1 in vacuum"),
        "thickness": Variable(_SCANNED, "f4", "nm", "thickness there, 0 in vacuum"),
        "rich": Variable(
            _SCANNED, "f4", "1", "share of the ion-rich phase in that; NaN in vacuum"
        ),
        "ion_content": Variable(
            _SCANNED, "f4", "1", "ions per formula unit in the column; NaN in vacuum"
        ),
        "dose": Variable(
            _SCANNED, "f8", "angstrom-2", "electrons per area that the place had got, this scan's "
            "included",
        ),
        "offset_row": Variable(
            ("scan",), "f8", "1", "rows by which what was seen had moved from its place in the "
            "first scan, when the scan began, beside the turn about the field's middle",
        ),
        "offset_column": Variable(("scan",), "f8", "1", "columns by which it had moved"),
        "drift_row": Variable(("scan",), "f8", "1", "rows by which it moved during the scan"),
        "drift_column": Variable(("scan",), "f8", "1", "columns by which it moved meanwhile"),
        "rotation": Variable(
            ("scan",), "f8", "degree", "turn of map and patterns, from x towards y"
        ),
        "gamma": Variable(("scan",), "f8", "1", "exponent by which counts were stored"),
        "course": Variable(_GRAIN, "str", "", "straight, pictured or still"),
        "cause": Variable(_GRAIN, "str", "", "of what converts: charge, beam, both or none"),
        "begins": Variable(
            _GRAIN, "f8", "s", "time of nucleation on the log's clock; NaN of still grains"
        ),
        "ends": Variable(_GRAIN, "f8", "s", "time at which the last column has converted"),
        "begins_charge": Variable(_GRAIN, "f8", "mA h", "charge at nucleation"),
        "ends_charge": Variable(_GRAIN, "f8", "mA h", "charge at the end"),
        "normal": Variable(
            _GRAIN, "f8", "degree", "direction of a straight front, from x towards y in the first "
            "scan; NaN of others",
        ),
        "speed": Variable(
            _GRAIN, "f8", "nm mA-1 h-1", "of a straight front: way per charge"
        ),
        "speed_under_current": Variable(
            _GRAIN, "f8", "nm s-1", "the same while the log's current flows"
        ),
        "origin": Variable(
            _GRAIN, "f8", "1", "coordinate x cos(normal) + y sin(normal), in positions of the first"
            " scan, of the middle of a straight front's band at nucleation",
        ),
        "entry_row": Variable(
            _GRAIN, "f8", "1", "row at which a straight front enters, in the first scan"
        ),
        "entry_column": Variable(_GRAIN, "f8", "1", "its column"),
        "area": Variable(_GRAIN, "f8", "nm2", "area of the grain, in and beside the field"),
        "tilt": Variable(_GRAIN, "f8", "degree", "angle by which the grain tilts once"),
        "tilt_axis": Variable(
            _GRAIN, "f8", "degree", "axis of that in the plane of the first scan, from x towards y"
        ),
        "tilt_before": Variable(_GRAIN, "i4", "1", "number of the first scan after the tilt"),
    },
    # Starts and offset are of the true clock: clock_offset_s is to be added to the scans' own.
    ("series", "log", "log_start", "clock_offset_s", "rich_phase", "poor_phase", "scan_step_nm",
     "front_width_nm", "seed"),
)  # fmt: skip

TRUTH_TABLE = Table(
    "truth_check.csv",
    "How far the analysis of virtual scans is from their truth; `all scans` are means.",
    {
        "scan": Column("str", "", "scan"),
        "phase_accuracy_decided": Column(
            "f8", "1", "share of decided positions of one phase and grain that are right"
        ),
        "phase_accuracy_overlap": Column(
            "f8", "1", "the same where grains overlap (the larger share is right)"
        ),
        "phase_accuracy_mixed": Column("f8", "1", "the same where phases share the thickness"),
        "undecided": Column("f8", "1", "share of the crystal's positions left undecided"),
        "mixed": Column("f8", "1", "share of the crystal's positions called mixed"),
        "mixed_right": Column("f8", "1", "share of those that hold two phases"),
        "mixed_found": Column(
            "f8", "1", "share of positions without a phase of 75 % of the thickness that are"
        ),
        "mixed_wrong": Column("f8", "1", "share of positions of one phase and grain called mixed"),
        "vacuum_missed": Column("f8", "1", "share of the vacuum that is not called so"),
        "crystal_missed": Column("f8", "1", "share of the crystal that is called vacuum"),
        "orientation_half_turned": Column(
            "f8", "1", "share of orientations nearer to the truth by half a turn"
        ),
        "orientation_sure": Column(
            "f8", "1", "share of orientations that are sure in half turn and variant"
        ),
        "fraction_intervals_covering": Column(
            "f8", "1", "share of 95 % intervals of area fractions that hold the truth"
        ),
        "ion_content_covering": Column(
            "f8", "1", "the same for the ion content of single positions"
        ),
        "second_lattice_right": Column(
            "f8", "1", "share of overlaps whose second lattice is the other grain's"
        ),
        "second_lattice_found": Column("f8", "1", "share of overlaps with a second lattice"),
        "second_lattice_false": Column(
            "f8", "1", "share of single grains' positions with a second lattice"
        ),
        "share_error_rms": Column("f8", "1", "rms error of the phases' shares where there are two"),
        "ion_content_error_rms": Column(
            "f8", "1", "rms error of single positions, ions per formula unit"
        ),
        "expected_calibration_error": Column(
            "f8", "1", "mean difference of probability and frequency, 0 to 1"
        ),
        "orientation_error_deg_median": Column(
            "f8", "degree", "median misorientation to the truth"
        ),
        "orientation_error_deg_p90": Column("f8", "degree", "its 90th percentile"),
        "orientation_error_deg_p90_sure": Column(
            "f8", "degree", "the same where half turn and variant are sure"
        ),
        "fraction_error_max": Column("f8", "1", "largest error of an area fraction, 0 to 1"),
        "fraction_error_max_found": Column("f8", "1", "the same before the correction"),
        "fraction_error_max_thickness": Column("f8", "1", "the same of volume fractions"),
        "fraction_error_max_molar": Column("f8", "1", "the same of molar fractions"),
    },
)
