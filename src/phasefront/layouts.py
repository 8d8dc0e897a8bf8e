"""What passes between the stages: one netCDF layout a stage.

Frame of all patterns: x along the columns of the camera, y along its rows (downwards),
z = x cross y. Electrons travel along -z, as in diffsims. Orientations are orix rotations from this
frame to the crystal's (v_crystal = O v_frame); crystals have e1 along a and e3 along c*, so a
reflection g of the crystal lies at ~O g in the pattern. Spatial frequencies are 1/d in
1/angstrom, without 2 pi. Rows and columns of the scan (y, x) have a frame of their own:
`phasefront.frames` says how the two lie to each other, and turns orientations to the scan's.
"""

from __future__ import annotations

import numpy as np

from phasefront.netcdf import Layout, Variable

UNINDEXED = -4
MIXED = -3
VACUUM = -2
UNDECIDED = -1
UNANSWERED = (UNDECIDED, UNINDEXED)

_Y_X = ("y", "x")
_PER_PHASE = ("y", "x", "phase")
_PHASE_NAME = Variable(("phase",), "str", "", "candidate phase")

SCAN = Layout(
    "What a raw scan is",
    {
        "mean_pattern": Variable(("ky", "kx"), "f4", "count", "mean pattern"),
        "max_pattern": Variable(("ky", "kx"), "f4", "count", "maximum over all patterns"),
        "bright_field": Variable(_Y_X, "f4", "count", "virtual bright field"),
        "dark_field": Variable(_Y_X, "f4", "count", "virtual annular dark field"),
        "diffuse": Variable(
            _Y_X, "f4", "count", "typical pixel between the spots, in a ring around the beam"
        ),
    },
    # scan_step is NaN where the file does not say; header is JSON.
    ("scan", "file", "sha256", "dtype", "scan_step_nm", "bright_field_radius_px", "header"),
)

CALIBRATION = Layout(
    "Geometry of a scan: q = affine (pixel - centre)",
    {
        "centre_y": Variable(_Y_X, "f4", "pixel", "row of the direct beam, fitted descan surface"),
        "centre_x": Variable(_Y_X, "f4", "pixel", "column of the direct beam, fitted surface"),
        "centre_residual": Variable(_Y_X, "f4", "pixel", "measured minus fitted centre, distance"),
        "centre_stderr": Variable((), "f8", "pixel", "standard error of the fitted centre"),
        "affine": Variable(
            ("q_axis", "pixel_axis"),
            "f8",
            "angstrom-1 pixel-1",
            "spatial frequency (x, y) for a step of one pixel (x, y); symmetric",
        ),
        "affine_stderr": Variable(
            ("q_axis", "pixel_axis"), "f8", "angstrom-1 pixel-1", "standard error of affine"
        ),
        "scale": Variable(
            (), "f8", "angstrom-1 pixel-1", "square root of the affine's determinant"
        ),
        "scale_stderr": Variable((), "f8", "angstrom-1 pixel-1", "standard error of the scale"),
        "ellipse_ratio": Variable((), "f8", "1", "long over short axis of a ring on the camera"),
        "ellipse_ratio_stderr": Variable((), "f8", "1", "standard error of ellipse_ratio"),
        "ellipse_angle": Variable((), "f8", "degree", "long axis of the ring, from x towards y"),
        "probe_radius": Variable((), "f8", "pixel", "radius of the direct beam's disk"),
        "spot_radius": Variable((), "f8", "pixel", "twice the rms width of a Bragg spot"),
        "beam_radius": Variable((), "f8", "pixel", "no spots are looked for inside it"),
        "mask": Variable(("ky", "kx"), "i1", "1", "1 where a pixel of the camera can be used"),
        "outward_shift": Variable(
            (),
            "f8",
            "pixel2",
            "how far spots lie too far out times their distance from the beam, by the slope of the "
            "background under a camera that is not linear; taken off before affine",
        ),
        "outward_shift_stderr": Variable((), "f8", "pixel2", "standard error of outward_shift"),
        "bin_y": Variable(("bin_y",), "f4", "pixel", "middle of a square, rows from the beam"),
        "bin_x": Variable(("bin_x",), "f4", "pixel", "middle of a square, columns from the beam"),
        "residual_y": Variable(
            ("bin_y", "bin_x"), "f4", "pixel", "mean of measured minus fitted rows of the spots"
        ),
        "residual_x": Variable(
            ("bin_y", "bin_x"), "f4", "pixel", "mean of measured minus fitted columns of the spots"
        ),
        "residual_count": Variable(
            ("bin_y", "bin_x"), "i4", "1", "spots in the square, or pixels on a standard's rings"
        ),
    },
    ("scan", "method", "spots_used", "residual_rms"),
)

SPOTS = Layout(
    "Bragg vectors of every pattern, direct beam left out",
    {
        "count": Variable(_Y_X, "i4", "1", "number of spots of the position"),
        "offset": Variable(("edge",), "i8", "1", "first spot of each position, rows first"),
        "qx": Variable(("spot",), "f4", "angstrom-1", "spatial frequency along x"),
        "qy": Variable(("spot",), "f4", "angstrom-1", "spatial frequency along y"),
        "intensity": Variable(("spot",), "f4", "count", "integrated above the local background"),
        "variance": Variable(("spot",), "f4", "count2", "variance of the intensity"),
    },
    ("scan", "scan_step_nm"),
    grows=("y", "edge", "spot"),
)

TEMPLATES = Layout(
    "Simulated spots of every phase on a grid of beam directions",
    {
        "phase": _PHASE_NAME,
        "phase_index": Variable(("template",), "i4", "1", "candidate phase of the template"),
        "rotation": Variable(
            ("template", "quaternion"), "f8", "1", "orientation, frame to crystal"
        ),
        "offset": Variable(("edge",), "i8", "1", "first spot of each template"),
        "qx": Variable(("spot",), "f4", "angstrom-1", "spatial frequency along x"),
        "qy": Variable(("spot",), "f4", "angstrom-1", "spatial frequency along y"),
        "intensity": Variable(("spot",), "f4", "1", "kinematic intensity under precession"),
    },
    ("voltage_kv", "precession_deg", "resolution_deg", "max_radius"),
)

PAIRS = Layout(
    "Which phases can be told apart, along which directions, with how many electrons",
    {
        "phase": _PHASE_NAME,
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

ORIENTATIONS = Layout(
    "Best orientations of every phase at every position",
    {
        "phase": _PHASE_NAME,
        "rotation": Variable(
            ("y", "x", "phase", "rank", "quaternion"),
            "f4",
            "1",
            "refined orientation, frame to crystal; NaN where there are too few spots",
        ),
        "log_likelihood": Variable(
            ("y", "x", "phase", "rank"),
            "f4",
            "1",
            "natural logarithm of the likelihood of the spots, priors of scale and centre included",
        ),
        "half_turn_gap": Variable(
            _PER_PHASE,
            "f4",
            "1",
            "log-likelihood between the best orientation and its half turn about the beam; NaN "
            "where symmetry makes these one",
        ),
        "score": Variable(
            ("y", "x", "phase", "rank"),
            "f4",
            "1",
            "normalised correlation with the template, 0 to 1",
        ),
        "scale_factor": Variable(
            ("y", "x", "phase", "rank"), "f4", "1", "refined scale relative to the calibration"
        ),
        "residual": Variable(
            ("y", "x", "phase", "rank"), "f4", "angstrom-1", "rms distance of indexed spots"
        ),
        "indexed": Variable(("y", "x", "phase", "rank"), "i2", "1", "number of spots indexed"),
    },
    ("scan",),
    grows=("y",),
)

PHASES = Layout(
    "Evidence for each phase at every position, and the decision",
    {
        "phase": _PHASE_NAME,
        "rotation": Variable(
            ("y", "x", "phase", "quaternion"),
            "f4",
            "1",
            "orientation under each phase, frame of patterns to crystal",
        ),
        "log_evidence": Variable(_PER_PHASE, "f4", "1", "natural logarithm of the evidence"),
        "forced_evidence": Variable(
            _PER_PHASE,
            "f4",
            "1",
            "log-likelihood of raw intensities where phases differ; best is 0",
        ),
        "posterior": Variable(
            _PER_PHASE, "f4", "1", "posterior probability of the phase, of the first lattice"
        ),
        "decision": Variable(
            _Y_X,
            "i1",
            "1",
            "index of the decided phase, -1 undecided, -2 vacuum, -3 mixed, -4 unindexed: too few "
            "spots on a background that is not vacuum's, or most spots unexplained",
        ),
        "share": Variable(
            _PER_PHASE, "f4", "1", "share of the crystal there; NaN without an answer and in vacuum"
        ),
        "reliability": Variable(_Y_X, "f4", "1", "1 - next best over best score of two phases"),
        "explained": Variable(_Y_X, "f4", "1", "share of the spots that one or two lattices index"),
        "cell": Variable(
            ("y", "x", "cell_parameter"),
            "f4",
            "angstrom, degree",
            "a b c alpha beta gamma refined under the likeliest phase",
        ),
        "cell_covariance": Variable(
            ("y", "x", "cell_parameter", "other_parameter"),
            "f4",
            "angstrom, degree",
            "its covariance; what the pattern does not show has the error that it had beforehand",
        ),
        "cell_misfit": Variable(
            _Y_X, "f4", "1", "standard errors from the candidates' cells and those between them"
        ),
        "phase_misfit": Variable(
            _Y_X,
            "f4",
            "1",
            "standard errors that the mean cell of the position's region, neighbours of one phase "
            "and orientation, is off the phase's own; 0 between phases",
        ),
        "axial_ratio": Variable(
            _Y_X, "f4", "1", "c over the mean of a and b of the lattice that phases share"
        ),
        "axial_ratio_stderr": Variable(_Y_X, "f4", "1", "its standard error"),
        "ion_content": Variable(
            _Y_X, "f4", "1", "ions per formula unit, from the cell between those of the phases"
        ),
        "ion_content_stderr": Variable(_Y_X, "f4", "1", "its standard error"),
        "second_phase": Variable(_Y_X, "i1", "1", "likeliest phase of a second lattice, -1 none"),
        "second_rotation": Variable(
            ("y", "x", "quaternion"), "f4", "1", "its orientation, frame to crystal"
        ),
        "second_share": Variable(_Y_X, "f4", "1", "its share of the spots' amplitude"),
    },
    ("scan", "decide_above", "min_explained", "max_misfit"),
)

GRAINS = Layout(
    "Grains: contiguous, one crystal orientation, whatever phases they hold",
    {
        "phase": _PHASE_NAME,
        "label": Variable(_Y_X, "i4", "1", "grain of the position, -1 none"),
        "size": Variable(("grain",), "i4", "1", "number of positions"),
        "phase_count": Variable(("grain", "phase"), "i4", "1", "positions decided for each phase"),
        "mixed_count": Variable(("grain",), "i4", "1", "positions that hold two phases"),
        "undecided_count": Variable(("grain",), "i4", "1", "positions left undecided"),
        "rotation": Variable(
            ("grain", "quaternion"), "f4", "1", "mean orientation, frame of patterns to parent cell"
        ),
        "spread": Variable(("grain",), "f4", "degree", "rms misorientation to the mean"),
        "centroid_y": Variable(("grain",), "f4", "1", "row of the centroid in positions"),
        "centroid_x": Variable(("grain",), "f4", "1", "column of the centroid in positions"),
        "outline_offset": Variable(("grain_edge",), "i8", "1", "first outline vertex of a grain"),
        "outline_y": Variable(("vertex",), "f4", "1", "outline, row in positions"),
        "outline_x": Variable(("vertex",), "f4", "1", "outline, column in positions"),
        "pair_a": Variable(("pair",), "i4", "1", "first of two neighbouring grains"),
        "pair_b": Variable(("pair",), "i4", "1", "second of two neighbouring grains"),
        "pair_length": Variable(("pair",), "i4", "1", "position edges they share"),
        "pair_misorientation": Variable(("pair",), "f4", "degree", "misorientation of the means"),
    },
    ("scan", "scan_step_nm", "misorientation_deg"),
)

CONFUSION = Layout(
    "What becomes of simulated patterns of each phase, in the grains of a scan",
    {
        "phase": _PHASE_NAME,
        "grain": Variable(("grain",), "i4", "1", "grain of the scan, as its label in GRAINS"),
        "decided": Variable(
            ("grain", "true_phase", "phase"),
            "f8",
            "1",
            "positions of a true phase that are given to each phase, mixed ones by their shares",
        ),
        "undecided": Variable(
            ("grain", "true_phase"), "f8", "1", "positions that are left undecided"
        ),
        "simulated": Variable(("grain", "true_phase"), "f8", "1", "positions simulated"),
    },
    ("scan", "seed"),
)

_KIND_PHASE = ("kind", "phase")
_LOWER, _UPPER = "lower end of the 95 % interval", "upper end of the 95 % interval"
FRACTIONS = Layout(
    "Phase fractions of one scan, or of several together, with 95 % intervals",
    {
        "phase": _PHASE_NAME,
        "kind": Variable(
            ("kind",),
            "str",
            "",
            "share of the area, of the volume (thickness), or of the formula units (molar)",
        ),
        "found": Variable(_KIND_PHASE, "f8", "1", "fraction of what is decided or mixed"),
        "value": Variable(_KIND_PHASE, "f8", "1", "fraction freed of wrong and of missing answers"),
        "low": Variable(_KIND_PHASE, "f8", "1", f"{_LOWER}, grains resampled"),
        "high": Variable(_KIND_PHASE, "f8", "1", f"{_UPPER}, grains resampled"),
        "block_low": Variable(_KIND_PHASE, "f8", "1", f"{_LOWER}, square blocks resampled"),
        "block_high": Variable(_KIND_PHASE, "f8", "1", f"{_UPPER}, square blocks resampled"),
        "bound_low": Variable(
            _KIND_PHASE, "f8", "1", "found, if no undecided or unindexed position has the phase"
        ),
        "bound_high": Variable(
            _KIND_PHASE, "f8", "1", "found, if every undecided or unindexed position has it"
        ),
        "sample": Variable(("kind", "draw", "phase"), "f4", "1", "draws over grains"),
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
        "block_side": Variable((), "f8", "1", "side of the blocks in positions; mean over scans"),
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
        "block_amount": Variable(
            ("origin", "exponent", "block", "phase"), "f8", "1", "the same in square blocks"
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
    # molar_weight says what molar fractions weigh positions by: thickness or area.
    ("scan", "scan_step_nm", "molar_weight", "decide_above"),
)


def _ion_contents(prefix: str, dims: tuple[str, ...], meaning: str) -> dict[str, Variable]:
    """An ion content with the ends of its interval."""
    return {
        f"{prefix}ion_content": Variable(dims, "f8", "1", meaning),
        f"{prefix}ion_content_low": Variable(dims, "f8", "1", "lower end of the 95 % interval"),
        f"{prefix}ion_content_high": Variable(dims, "f8", "1", "upper end of the 95 % interval"),
    }


CYCLING = Layout(
    "Galvanostatic log with ion content, its plateaus, and the states along it",
    {
        "time": Variable(("time",), "f8", "s", "time since the start"),
        "voltage": Variable(("time",), "f8", "V", "cell voltage"),
        "current": Variable(("time",), "f8", "mA", "current, positive on charge"),
        "capacity": Variable(
            ("time",), "f8", "mA h g-1", "net charge passed per gram, positive on charge"
        ),
        "cycle": Variable(
            ("time",), "i4", "1", "charges with the discharge after each, counted from 0"
        ),
        "half_cycle": Variable(("time",), "i4", "1", "runs of one current sign, counted from 0"),
        "step": Variable(("time",), "i4", "1", "steps of one type, counted from 0"),
        "step_type": Variable(
            ("time",),
            "i1",
            "1",
            "what the instrument did",
            {
                "flag_values": np.arange(4, dtype="i1"),
                "flag_meanings": "rest charge discharge constant_voltage",
            },
        ),
        **_ion_contents("", ("time",), "ions per formula unit, mean of all grains"),
        **_ion_contents("active_", ("time",), "ions per formula unit, grains with contact"),
        "half_capacity": Variable(
            ("half",), "f8", "mA h g-1", "charge passed in each half cycle, negative on discharge"
        ),
        "half_capacity_integrated": Variable(
            ("half",), "f8", "mA h g-1", "the same, integrated over the recorded current"
        ),
        "grid_voltage": Variable(("grid",), "f8", "V", "voltages of charge_per_voltage"),
        "charge_per_voltage": Variable(
            ("half", "grid"), "f4", "mA h g-1 V-1", "smoothed dQ/dV, negative on discharge"
        ),
        "plateau_half_cycle": Variable(("plateau",), "i4", "1", "half cycle of a plateau"),
        "plateau_voltage": Variable(("plateau",), "f8", "V", "voltage where dQ/dV is highest"),
        "plateau_from": Variable(
            ("plateau",), "f8", "mA h g-1", "charge passed in its half cycle where it begins"
        ),
        "plateau_to": Variable(
            ("plateau",), "f8", "mA h g-1", "charge passed in its half cycle where it ends"
        ),
        "state": Variable(("state",), "str", "", "state of charge"),
        "state_time": Variable(("state",), "f8", "s", "moment of the state"),
        "state_voltage": Variable(("state",), "f8", "V", "voltage at the state"),
        "state_capacity": Variable(
            ("state",), "f8", "mA h g-1", "net charge passed per gram at the state"
        ),
        **_ion_contents("state_", ("state",), "ions per formula unit, mean of all grains"),
        **_ion_contents("state_active_", ("state",), "ions per formula unit, grains with contact"),
    },
    # Sentences on what may be wrong with the log are the lines of warnings.
    (
        "log", "file", "mass_mg", "initial_ion_content", "inactive_share", "capacity_difference",
        "warnings",
    ),
)  # fmt: skip

POWDER = Layout(
    "Powder pattern with its Rietveld fit",
    {
        "phase": _PHASE_NAME,
        "two_theta": Variable(("two_theta",), "f8", "degree", "diffraction angle"),
        "observed": Variable(("two_theta",), "f8", "count", "measured intensity"),
        "sigma": Variable(("two_theta",), "f8", "count", "standard uncertainty of observed"),
        "calculated": Variable(("two_theta",), "f8", "count", "fit"),
        "background": Variable(("two_theta",), "f8", "count", "background of the fit"),
        "contribution": Variable(("phase", "two_theta"), "f8", "count", "share of each phase"),
        "weight_fraction": Variable(("phase",), "f8", "1", "weight fraction"),
        "weight_fraction_esd": Variable(("phase",), "f8", "1", "its e.s.d. times goodness of fit"),
        "weight_fraction_shift": Variable(
            ("phase",), "f8", "1", "its change when each phase got Gaussian widths; in the e.s.d."
        ),
        "molar_fraction": Variable(("phase",), "f8", "1", "fraction of formula units"),
        "molar_fraction_esd": Variable(("phase",), "f8", "1", "its e.s.d. times goodness of fit"),
        "cell": Variable(
            ("phase", "cell_parameter"), "f8", "angstrom, degree", "a b c alpha beta gamma"
        ),
        "cell_esd": Variable(
            ("phase", "cell_parameter"), "f8", "angstrom, degree", "e.s.d. of cell"
        ),
        "lorentz_size": Variable(("phase",), "f8", "degree", "Lorentzian width times cos(theta)"),
        "lorentz_strain": Variable(("phase",), "f8", "degree", "Lorentzian width over tan(theta)"),
        "gauss_size": Variable(
            ("phase",), "f8", "degree2", "squared Gaussian width times cos(theta)^2"
        ),
        "gauss_strain": Variable(
            ("phase",), "f8", "degree2", "squared Gaussian width over tan(theta)^2"
        ),
        "gauss_variance": Variable((), "f8", "degree2", "squared Gaussian width of all lines"),
        "zero_error": Variable((), "f8", "degree", "measured minus true angle"),
        "reflection": Variable(("reflection",), "f8", "degree", "angle of each reflection"),
        "reflection_phase": Variable(("reflection",), "i4", "1", "index of its phase"),
        "ion_content": Variable((), "f8", "1", "ions per formula unit, mean over molar fractions"),
        "ion_content_esd": Variable((), "f8", "1", "its e.s.d. times goodness of fit"),
        "rwp": Variable((), "f8", "1", "weighted profile R factor"),
        "goodness_of_fit": Variable((), "f8", "1", "square root of reduced chi squared"),
        "unexplained_two_theta": Variable(
            ("line",), "f8", "degree", "angle of lines that no phase explains, strongest first"
        ),
        "unexplained_d": Variable(("line",), "f8", "angstrom", "their spacing"),
        "unexplained_height": Variable(
            ("line",), "f8", "1", "their height, as a share of the strongest line's"
        ),
    },
    ("pattern", "file", "wavelength", "refined_with", "refused"),
)

_PAIR_STATE = ("pair", "state")
_PAIR_STATE_PHASE = ("pair", "state", "phase")


def _with_ends(
    name: str, dims: tuple[str, ...], long_name: str, units: str = "1"
) -> dict[str, Variable]:
    """A value and the ends of its 95 % interval."""
    return {
        name: Variable(dims, "f8", units, long_name),
        f"{name}_low": Variable(dims, "f8", units, f"{long_name}: lower end, 95 %"),
        f"{name}_high": Variable(dims, "f8", units, f"{long_name}: upper end, 95 %"),
    }


COMPARISON = Layout(
    "STEM, charge and powder side by side, per state and over all states",
    {
        "phase": _PHASE_NAME,
        "state": Variable(("state",), "str", "", "state of charge"),
        "source": Variable(("source",), "str", "", "cycling, stem or powder"),
        "pair": Variable(("pair",), "str", "", "two sources, the first minus the second"),
        "question": Variable(
            ("question",),
            "str",
            "",
            "what may differ: the mean, the tilt of the line, a state, a fraction in a state",
        ),
        "limit": Variable(("limit",), "str", "", "lower or upper limit of agreement"),
        **_with_ends("fraction", ("state", "source", "phase"), "molar phase fraction"),
        **_with_ends("ion_content", ("state", "source"), "ions per formula unit"),
        **_with_ends(
            "mean_fraction",
            ("source", "phase"),
            "mean molar phase fraction over the states that all sources know",
        ),
        **_with_ends(
            "mean_ion_content",
            ("source",),
            "mean ions per formula unit over the states that all sources know",
        ),
        "left_out": Variable(
            ("state",), "str", "", "powder patterns left out, because a cell was refined from them"
        ),
        "refused": Variable(
            ("state",), "str", "", "powder patterns whose fit is no result, each with the reason"
        ),
        "unexplained": Variable(
            ("state",), "str", "", "powder patterns with lines that no phase explains, by spacing"
        ),
        **_with_ends("difference", _PAIR_STATE, "difference of ions per formula unit"),
        "z_score": Variable(_PAIR_STATE, "f8", "1", "difference of ion content over its s.e."),
        "equivalence_p": Variable(
            _PAIR_STATE, "f8", "1", "two one-sided tests: p of a difference beyond the margin"
        ),
        "verdict": Variable(_PAIR_STATE, "str", "", "agree, disagree or cannot tell"),
        **_with_ends("fraction_difference", _PAIR_STATE_PHASE, "difference of phase fraction"),
        "fraction_z_score": Variable(
            _PAIR_STATE_PHASE, "f8", "1", "difference of the fraction over its s.e."
        ),
        "fraction_p": Variable(
            _PAIR_STATE_PHASE,
            "f8",
            "1",
            "p of no difference, adjusted for the number of phases (Holm); 1 within the margin",
        ),
        "fraction_equivalence_p": Variable(
            _PAIR_STATE_PHASE, "f8", "1", "p of a difference of the fraction beyond its margin"
        ),
        "fraction_verdict": Variable(
            _PAIR_STATE_PHASE, "str", "", "agree, disagree or cannot tell"
        ),
        "states_compared": Variable(("pair",), "i4", "1", "states that both sources know"),
        **_with_ends(
            "mean_difference", ("pair",), "mean difference of ions per formula unit over states"
        ),
        "mean_z_score": Variable(("pair",), "f8", "1", "mean difference over its s.e."),
        "mean_equivalence_p": Variable(
            ("pair",), "f8", "1", "p of a mean difference beyond the margin"
        ),
        **_with_ends(
            "mean_fraction_difference",
            ("pair", "phase"),
            "mean difference of the phase fraction over states",
        ),
        "mean_fraction_z_score": Variable(
            ("pair", "phase"), "f8", "1", "mean difference of the fraction over its s.e."
        ),
        "mean_fraction_p": Variable(
            ("pair", "phase"),
            "f8",
            "1",
            "p of no mean difference, adjusted for the number of phases (Holm); 1 within margin",
        ),
        "mean_fraction_equivalence_p": Variable(
            ("pair", "phase"), "f8", "1", "p of a mean difference beyond the fraction's margin"
        ),
        "mean_fraction_verdict": Variable(
            ("pair", "phase"), "str", "", "agree, disagree or cannot tell"
        ),
        "intercept": Variable(("pair",), "f8", "1", "total least squares: first = a + b second"),
        "slope": Variable(("pair",), "f8", "1", "total least squares: b of first = a + b second"),
        "line_covariance": Variable(
            ("pair", "line_parameter", "other_parameter"),
            "f8",
            "1",
            "covariance of intercept and slope, shared errors included",
        ),
        "line_chi_squared": Variable(
            ("pair",), "f8", "1", "squared distances from the line in independent errors"
        ),
        "line_p": Variable(("pair",), "f8", "1", "p of the line 1:1"),
        **_with_ends(
            "tilt",
            ("pair",),
            "change of the line's difference from the middle to the upper end of the range",
        ),
        **_with_ends(
            "limit_of_agreement",
            ("pair", "limit"),
            "limits that 95 % of the states' differences keep",
        ),
        "question_p": Variable(
            ("pair", "question"),
            "f8",
            "1",
            "p of no disagreement, adjusted for tests within and among questions (Holm)",
        ),
        "overall_verdict": Variable(("pair",), "str", "", "agree, disagree or cannot tell"),
    },
    # Margins in ions per formula unit and in fractions; the verdict on all pairs together.
    ("margin", "fraction_margin", "verdict"),
)

TRUTH = Layout(
    "Truth of a virtual scan; no rule of the analysis reads it",
    {
        "phase": _PHASE_NAME,
        "weight": Variable(
            _PER_PHASE, "f4", "1", "share of the phase in the thickness; 0 in vacuum"
        ),
        "thickness": Variable(_Y_X, "f4", "nm", "thickness, 0 in vacuum"),
        "grain": Variable(_Y_X, "i4", "1", "topmost grain, -1 in vacuum"),
        "overlap": Variable(_Y_X, "i1", "1", "1 where two grains lie over each other"),
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
            _PER_PHASE, "f4", "1", "share of the phase of the second grain in the thickness"
        ),
        "centre_y": Variable(_Y_X, "f4", "pixel", "row of the direct beam"),
        "centre_x": Variable(_Y_X, "f4", "pixel", "column of the direct beam"),
        "affine": Variable(
            ("q_axis", "pixel_axis"), "f8", "angstrom-1 pixel-1", "q = affine (pixel - centre)"
        ),
    },
    ("scan", "seed", "insertion_model"),
)
