"""What the columns of a run's tables are, with their units, for who has nothing else."""

from __future__ import annotations

from phasefront.comparison.sources import registry

_LOW_HIGH = {"low": "lower end of its 95 % interval", "high": "upper end of its 95 % interval"}
_AREA = "share of the area, 0 to 1"
_SOURCES = ", ".join(f"`{source.name}` ({source.phrase})" for source in registry.SOURCES)

TABLES: dict[str, tuple[str, dict[str, str]]] = {
    "comparison.csv": (
        "Ion contents and phase fractions by every source, and their differences.",
        {
            "state": "state of charge; `all states` are means over states",
            "quantity": "`ion_content` (ions per formula unit), `fraction` (share of the formula "
            "units, 0 to 1), `_difference` of either between two sources; over all states also the "
            "limits of agreement (ions per formula unit), and `intercept` (ions per formula unit) "
            "and `slope` of the line through the states",
            "source": f"{_SOURCES}; `a - b`: a minus b; of a line: a = intercept + slope b",
            "phase": "phase that a fraction is of",
            "value": "the quantity",
            **_LOW_HIGH,
            "z_score": "difference over its standard error",
            "p": "p-value of no difference; of fractions adjusted for the number of phases (Holm), "
            "of the slope that of the line 1:1",
            "equivalence_p": "p-value of a difference beyond the margin (two one-sided tests)",
            "verdict": "agree, disagree or cannot tell",
            "note": "what was left out, because a cell was refined from it; what is no result, "
            "with the reason; what no phase explains, such as a powder pattern's lines",
        },
    ),
    "comparison_table.csv": (
        "The same as a paper prints it (also as `comparison.tex`): in round brackets the standard "
        "error in units of the last digit, in square ones the 95 % interval; a difference is "
        "marked = (agree), ! (disagree) or ? (cannot tell).",
        {
            "state": "state of charge",
            "quantity": "`x`, ions per formula unit, or the name of a phase, its share of the "
            "formula units",
            **{source.name: f"by {source.phrase}" for source in registry.SOURCES},
            **{registry.pair_name(pair): "difference" for pair in registry.pairs()},
        },
    ),
    "fractions.csv": (
        "Phase fractions by 4D-STEM: of each scan, each state and all scans together.",
        {
            "level": "what is counted: `scan`, `state` or `experiment`",
            "name": "its name",
            "kind": "`area`: share of the positions; `thickness`: of the volume; `molar`: of the "
            "formula units",
            "phase": "phase",
            "found": "share of what is decided or mixed, 0 to 1, before any correction",
            "value": "the same freed of wrong and of missing decisions",
            "low": "lower end of its 95 % interval, whole grains resampled",
            "high": "upper end of its 95 % interval, whole grains resampled",
            "block_low": "lower end, square blocks of the scan resampled",
            "block_high": "upper end, square blocks of the scan resampled",
            "bound_low": "found, if no position without an answer had the phase",
            "bound_high": "found, if every position without an answer had it",
            "efficiency": "share of the phase's positions that is decided, from simulated patterns",
            "patterns": "number of positions",
            "decided": "positions given to one phase",
            "mixed": "positions that hold two phases",
            "undecided": "positions indexed, but left undecided",
            "unindexed": "positions of too few spots that are not vacuum, or whose spots no phase"
            " explains",
            "vacuum": "positions without a crystal",
            "effective_grains": "equally large grains that the area amounts to",
            "condition_number": "of the matrix of confusion that was inverted; 1 is best",
            "molar_weight": "what molar fractions weigh positions by: thickness or area",
        },
    ),
    "calibration_drift.csv": (
        "Geometry of each scan beside the others of its instrument.",
        {
            "scan": "scan",
            "instrument": "instrument",
            "scale": "1/angstrom per pixel",
            "scale_stderr": "its standard error",
            "ellipse_ratio": "long over short axis of a ring on the camera",
            "ellipse_ratio_stderr": "its standard error",
            "ellipse_angle": "long axis, from x towards y, degrees",
            "stretch": "the ellipse's part along x: half of ln(ratio) times the cosine of "
            "twice the angle",
            "stretch_stderr": "its standard error",
            "shear": "the ellipse's part between x and y: the same with the sine",
            "shear_stderr": "its standard error",
            "centre_y": "row of the direct beam, mean of the scan, pixels",
            "centre_x": "its column, pixels",
            "centre_stderr": "standard error of the centre, pixels",
            "centre_drift": "how far the centre moves over the scan, pixels",
            "scale_deviation": "relative, from the weighted mean of the instrument's other scans",
            "scale_z": "the same over its standard error",
            "ellipse_deviation": "relative, from the same mean",
            "ellipse_z": "the same over its standard error",
            "deviates": "whether either is beyond 0.2 % and four standard errors",
        },
    ),
    "cycling/*.csv": (
        "A galvanostatic log, under the names of the Battery Data Format; units are in the heads.",
        {
            "Test Time / s": "since the start",
            "Voltage / V": "of the cell",
            "Current / A": "positive on charge",
            "Cycle Count / 1": "charges with the discharge after each, from 0",
            "Half Cycle Count / 1": "runs of one sign of the current, from 0",
            "Step Count / 1": "steps of one type, from 0",
            "Step Type": "rest, charge, discharge or constant_voltage",
            "Net Capacity / Ah": "net charge passed, positive on charge",
            "Net Specific Capacity / mAh/g": "the same per gram of active material",
            "Ion Content / 1": "ions per formula unit, mean of all grains",
            "Ion Content Low / 1": "lower end of its 95 % interval",
            "Ion Content High / 1": "upper end of its 95 % interval",
        },
    ),
    "pairs/*.csv": (
        "What tells each phase from each rival for an instrument, from the crystals alone.",
        {
            "phase": "phase that is there",
            "rival": "phase that it is decided against",
            "zone_axis": "[uvw] along the beam, in the phase's axes; `all`: the median direction",
            "electrons": "electrons in a pattern that a decision needs",
            "share_impossible": "share of directions along which no number of electrons decides",
            "kind": "why a reflection tells: `shifted`, or `only A` (the phase), `only B` (rival)",
            "hkl": "its indices in the phase",
            "rival_hkl": "its indices in the rival",
            "spacing_angstrom": "interplanar spacing, angstrom",
            "shift_per_angstrom": "distance to the rival's reflection, 1/angstrom",
            "relative_intensity": "kinematic, over that of the strongest spot",
            "evidence": "expected natural logarithm of the likelihood ratio",
        },
    ),
    "truth_check.csv": (
        "How far the analysis of virtual scans is from their truth; `all scans` are means.",
        {
            "scan": "scan",
            "phase_accuracy_decided": "share of decided positions of one phase and grain that are "
            "right",
            "phase_accuracy_overlap": "the same where grains overlap (the larger share is right)",
            "phase_accuracy_mixed": "the same where phases share the thickness",
            "undecided": "share of the crystal's positions left undecided",
            "mixed": "share of the crystal's positions called mixed",
            "mixed_right": "share of those that hold two phases",
            "mixed_found": "share of positions without a phase of 75 % of the thickness that are",
            "mixed_wrong": "share of positions of one phase and grain called mixed",
            "vacuum_missed": "share of the vacuum that is not called so",
            "crystal_missed": "share of the crystal that is called vacuum",
            "orientation_half_turned": "share of orientations nearer to the truth by half a turn",
            "fraction_intervals_covering": "share of 95 % intervals of area fractions that hold "
            "the truth",
            "ion_content_covering": "the same for the ion content of single positions",
            "second_lattice_right": "share of overlaps whose second lattice is the other grain's",
            "second_lattice_found": "share of overlaps with a second lattice",
            "second_lattice_false": "share of single grains' positions with a second lattice",
            "share_error_rms": "rms error of the phases' shares where there are two",
            "ion_content_error_rms": "rms error of single positions, ions per formula unit",
            "expected_calibration_error": "mean difference of probability and frequency, 0 to 1",
            "orientation_error_deg_median": "median misorientation to the truth, degrees",
            "orientation_error_deg_p90": "its 90th percentile, degrees",
            "fraction_error_max": "largest error of an area fraction, 0 to 1",
            "fraction_error_max_found": "the same before the correction",
            "fraction_error_max_thickness": "the same of volume fractions",
            "fraction_error_max_molar": "the same of molar fractions",
        },
    ),
    "sweep.csv": (
        "`comparison.csv` for each variant of the analysis. Between `variant` and `state` each "
        "setting that was varied has a column, headed by its path in the config; `quantity` may "
        "also be `undecided`, the share of the crystal's positions left undecided.",
        {"variant": "what differs from the run's own settings; `run` is the run itself"},
    ),
}  # fmt: skip

_HEAD = f"""# Columns of the tables

An empty cell means that there is no such value.

## summary.json

`x` is the ion content, ions per formula unit, and `fractions` are shares of the formula units, 0 to
1, of each state by source: {_SOURCES}.
Each has its `value` between `low` and `high`, the ends of its 95 % interval. `conclusions` has for
each pair of sources the mean `difference` of ion content (first minus second), `intercept` and
`slope` of the line through the states, p-values, and a sentence. `scans` counts the positions of
each scan as `fractions.csv` does; `seconds` is how long its analysis took."""


def explain(tables: set[str]) -> str:
    """COLUMNS.md: the columns of those of the tables, by paths in the results, that are there.

    A star stands for the name of a log or an instrument.
    """
    parts = [_HEAD]
    for name, (about, columns) in TABLES.items():
        if any(matches(name, table) for table in tables):
            rows = "\n".join(f"| `{column}` | {meaning} |" for column, meaning in columns.items())
            parts.append(f"## {name}\n\n{about}\n\n| column | meaning |\n|---|---|\n{rows}")
    return "\n\n".join(parts) + "\n"


def matches(name: str, table: str) -> bool:
    """Whether a path in the results is of the table called `name`."""
    from fnmatch import fnmatchcase

    return fnmatchcase(table, name) and table.count("/") == name.count("/")
