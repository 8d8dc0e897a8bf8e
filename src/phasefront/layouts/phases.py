"""Evidence for each phase at every position, and the decision."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.layouts.dimensions import PER_PHASE, PHASE_NAME, Y_X

UNINDEXED, MIXED, VACUUM, UNDECIDED = -4, -3, -2, -1  # codes beside the phases' numbers
UNANSWERED = (UNDECIDED, UNINDEXED)

PHASES = Layout(
    "Evidence for each phase at every position, and the decision",
    {
        "phase": PHASE_NAME,
        "rotation": Variable(
            ("y", "x", "phase", "quaternion"),
            "f4",
            "1",
            "orientation under each phase, frame of patterns to crystal",
        ),
        "scale_factor": Variable(
            PER_PHASE, "f4", "1", "scale of the pattern under each phase, relative to the scan's"
        ),
        "centre": Variable(
            ("y", "x", "phase", "q_axis"),
            "f4",
            "angstrom-1",
            "centre (x, y) of the pattern under each phase, off that of the calibration",
        ),
        "distortion": Variable(
            ("q_axis", "other_q_axis"),
            "f8",
            "1",
            "symmetric matrix from true spatial frequencies (x, y) to the scan's: scale and "
            "ellipse beyond the calibration",
        ),
        "position_sigma": Variable(
            (), "f8", "angstrom-1", "standard error of a spot's position along one axis"
        ),
        "log_evidence": Variable(PER_PHASE, "f4", "1", "natural logarithm of the evidence"),
        "forced_evidence": Variable(
            PER_PHASE,
            "f4",
            "1",
            "log-likelihood of raw intensities where phases differ; best is 0",
        ),
        "posterior": Variable(
            PER_PHASE, "f4", "1", "posterior probability of the phase, of the first lattice"
        ),
        "decision": Variable(
            Y_X,
            "i1",
            "1",
            "index of the decided phase, -1 undecided, -2 vacuum, -3 mixed, -4 unindexed: too few "
            "spots on a background that is not vacuum's, or most spots unexplained",
        ),
        "share": Variable(
            PER_PHASE, "f4", "1", "share of the crystal there; NaN without an answer and in vacuum"
        ),
        "reliability": Variable(Y_X, "f4", "1", "1 - next best over best score of two phases"),
        "explained": Variable(Y_X, "f4", "1", "share of the spots that one or two lattices index"),
        "over_strays": Variable(
            Y_X,
            "f4",
            "1",
            "log-odds of the likeliest phase's lattice against stray spots, of which "
            "chance gives the best of all orientations as many",
        ),
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
            Y_X, "f4", "1", "standard errors from the candidates' cells and those between them"
        ),
        "phase_misfit": Variable(
            Y_X,
            "f4",
            "1",
            "standard errors that the mean cell of the position's region, neighbours of one phase "
            "and orientation, is off the phase's own; inf where it is likelier one of the scan's "
            "cells that are not the phase's; 0 between phases",
        ),
        "axial_ratio": Variable(
            Y_X, "f4", "1", "c over the mean of a and b of the lattice that phases share"
        ),
        "axial_ratio_stderr": Variable(Y_X, "f4", "1", "its standard error"),
        "ion_content": Variable(
            Y_X, "f4", "1", "ions per formula unit, from the cell between those of the phases"
        ),
        "ion_content_stderr": Variable(Y_X, "f4", "1", "its standard error"),
        "orientation_stderr": Variable(
            Y_X,
            "f4",
            "degree",
            "standard error of the orientation of the likeliest phase by its spots, rms angle, "
            "where half turn and variant are right",
        ),
        "alternative_rotation": Variable(
            ("y", "x", "alternative", "quaternion"),
            "f4",
            "1",
            "other orientations of the likeliest phase that a pattern hardly tells from the one "
            "given, likeliest first: variants of the shared lattice, half turns about the zone "
            "axis, and both; NaN where there is none, or symmetry makes them one",
        ),
        "alternative_log_odds": Variable(
            ("y", "x", "alternative"),
            "f4",
            "1",
            "natural logarithm of the odds of each against the orientation given",
        ),
        "second_phase": Variable(Y_X, "i1", "1", "likeliest phase of a second lattice, -1 none"),
        "second_rotation": Variable(
            ("y", "x", "quaternion"), "f4", "1", "its orientation, frame to crystal"
        ),
        "second_share": Variable(Y_X, "f4", "1", "its share of the spots' amplitude"),
        "second_probability": Variable(
            Y_X,
            "f4",
            "1",
            "probability that two lattices are there rather than one; a second one is given above "
            "20 in 21, and nothing can be told down to 1 in 21; two phases of one grain are given "
            "above 1 in 2",
        ),
    },
    # map_by names the program whose map it is, "" where decided here; then there are limits.
    # notes are what the scan's reader has to know of it, "" where there is nothing.
    # scan_step_nm is NaN where neither table nor file has it.
    ("scan", "scan_step_nm", "map_by", "decide_above", "min_explained", "max_misfit", "notes"),
)
