"""How far the analysis of a virtual scan is from its truth.

Accuracy is counted where the truth has one answer: no overlap of grains, and one phase with at
least `CLEAR` of the thickness. Overlaps and mixed positions are reported apart; where such a
position is decided for one phase, that with the largest share is right.

Where two phases lie in one column, no share is the one at which "mixed" becomes the right answer.
It is asked for where no phase has `CLEAR` of the thickness, wrong where the second phase has less
than `TRACE`, and right, yet not asked for, between the two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront.core.errors import InputError
from phasefront.core.statistics import NORMAL_95
from phasefront.diffraction.crystals import Crystal
from phasefront.layouts.phases import MIXED, UNANSWERED, UNDECIDED, UNINDEXED, VACUUM
from phasefront.virtual.orientation_errors import (
    lattice_symmetries,
    orientation_errors,
    second_lattices_right,
    sure_orientations,
)
from phasefront.virtual.reliability import (
    CALIBRATION_BINS,
    RELIABILITY_EDGES,
    bins,
    expected_calibration_error,
)
from phasefront.virtual.settled import HALF_TURNED_DEG, settled_grains
from phasefront.virtual.zones import zone_regions

# By definition, see above; that of `phases.lattices` is the same.
CLEAR = 0.75
TRACE = 0.05  # share of a second phase from which a column holds two


def check_scan(
    truth: xr.Dataset,
    phases: xr.Dataset,
    grains: xr.Dataset,
    fractions: xr.Dataset,
    crystals: Sequence[Crystal],
    *,
    parents: Sequence[Sequence[Sequence[float]] | None] | None = None,
    parent_point_group: str | None = None,
) -> dict:
    """Compare a scan's PHASES, GRAINS and FRACTIONS with its TRUTH.

    `crystals` are the phases in the order of `phases`; `parents` and `parent_point_group` say what
    lattice they share, as for `grains.find_grains`.

    Returns
    -------
    Numbers ready for `json.dumps`, None where nothing was decided:

    - phase_accuracy_decided: share of clear, decided positions with the right phase;
      phase_accuracy_overlap and phase_accuracy_mixed: the same where grains overlap, and where
      phases share the thickness;
    - undecided: share of positions with a crystal that are left undecided; mixed: share of them
      that are decided to be mixed;
    - mixed_right: share of mixed positions that hold two phases in truth, in one grain or in two;
      mixed_found: share of positions where no phase has `CLEAR` of the thickness that are mixed;
      mixed_wrong: share of positions of one phase and grain that are mixed (a clear position that
      is mixed is not decided, so it counts neither for nor against the accuracy);
    - share_error_rms: rms error of the phases' shares against those of the thickness, where there
      are two phases in truth and shares were found (half the sum over phases of |error|, which is
      the error of either of two);
    - ion_content_error_rms, and ion_content_covering: error of the ion content of a position
      against the mean over the formula units in the column, without overlaps, and the share of its
      95 % intervals (1.96 standard errors) that hold the truth;
    - second_lattice_right: share of overlaps where a second lattice is found and is, within 3
      degrees, the symmetry of the lattice that phases share, or half a turn about the beam, that
      of the grain which the first lattice is not (variants of a phase are one lattice);
      second_lattice_found: share of overlaps with a second lattice; second_lattice_false: the
      same where there is one grain;
    - vacuum_missed, crystal_missed: share of the vacuum that is not called so, of crystal that is;
    - expected_calibration_error: mean |accuracy - confidence| of the likeliest phase at clear
      positions that are not called vacuum and have the spots that a lattice needs, over 15 bins of
      equal width weighted by their positions (Naeini, Cooper and Hauskrecht, AAAI 2015);
    - orientation_error_deg_median, orientation_error_deg_p90: misorientation of the decided phase
      to the truth described as that phase, under its Laue group's rotations, without overlaps;
      orientation_error_deg_p90_sure: the same where the orientation is sure, and orientation_sure:
      the share of these positions (see `orientation_errors.sure_orientations`);
    - orientation_half_turned: share of these positions that come at least 5 degrees nearer to the
      truth by half a turn about the beam, which zero-order Laue zones hardly tell;
    - settled_grains: by kind (half turn, variant) and phase, the grains of which it is a question,
      how many are sure of it, beyond what a decision needs, and how many of these are wrong;
    - fraction_error_max: largest error of an area fraction against the scanned area's own, where
      each position with a crystal counts once, shared between its phases by thickness;
      fraction_error_max_found: the same before it is unfolded; fraction_error_max_thickness,
      fraction_error_max_molar: the same for shares of the volume and of formula units, positions
      weighed as the fractions' are;
    - fraction_intervals_covering: share of the area fractions' 95 % intervals that hold the truth
      of the scanned area (they are made for the population of grains, so nearly all should);
    - fractions_true: that truth, by phase;
    - confusion: positions by true phase (clear positions), then by decision, with "mixed",
      "undecided" and "vacuum"; confusion_by_zone: the same by region of the beam's direction in the
      lattice (`zone_regions`), with mean and largest angle to the zone axis that names the region;
    - reliability: by phase, bins of its posterior at the positions of expected_calibration_error,
      each with `from`, `to`, `count`, mean `posterior`, and `frequency`, the share of its
      positions that have the phase; confidence: the bins of expected_calibration_error;
    - positions: how many positions (phases, of fraction_intervals_covering) each of the shares
      and rms errors above is taken over.

    Raises
    ------
    InputError
        Truth and analysis have different phases or shapes.
    """
    _check_same(truth, phases)
    names = [str(name) for name in phases["phase"].values]
    weight = truth["weight"].values.astype("f8")
    decision = phases["decision"].values
    crystal = weight.sum(axis=-1) > 0
    true_phase = weight.argmax(axis=-1)
    overlap = crystal & (truth["overlap"].values == 1)
    pure = weight.max(axis=-1) >= CLEAR
    clear = crystal & ~overlap & pure
    two_phases = crystal & (np.sort(weight, axis=-1)[..., :-1].sum(axis=-1) >= TRACE)
    mixed = decision == MIXED
    decided = decision >= 0
    right = decision == true_phase
    angle, turned_angle = orientation_errors(truth, phases, grains, crystals)[:, crystal & ~overlap]
    sure = sure_orientations(phases, grains)[crystal & ~overlap]
    area = weight[crystal].mean(axis=0) if crystal.any() else np.full(len(names), np.nan)
    volume = _thickness_weighted(weight, truth["thickness"].values.astype("f8"))
    weighed = volume if fractions.attrs["molar_weight"] == "thickness" else area
    molar = weighed / fractions["formula_volume"].values
    low, high = (fractions[name].sel(kind="area").values for name in ("low", "high"))
    # Of too few spots there is no posterior but the prior.
    judged = clear & (decision != VACUUM) & np.isfinite(phases["explained"].values)
    posterior, true_judged = phases["posterior"].values[judged].astype("f8"), true_phase[judged]
    confidence, correct = posterior.max(axis=-1), posterior.argmax(axis=-1) == true_judged
    ion_error, ion_stderr = _ion_content_errors(weight, phases, fractions)[:, crystal & ~overlap]
    known = np.isfinite(ion_error)
    ion_error, ion_stderr = ion_error[known], ion_stderr[known]
    symmetries = lattice_symmetries(crystals, parents, parent_point_group)
    second_right = second_lattices_right(truth, phases, symmetries)
    shares = {
        "phase_accuracy_decided": right[clear & decided],
        "phase_accuracy_overlap": right[overlap & decided],
        "phase_accuracy_mixed": right[crystal & ~overlap & ~pure & decided],
        "undecided": np.isin(decision[crystal], UNANSWERED),
        "mixed": mixed[crystal],
        "mixed_right": two_phases[mixed],
        "mixed_found": mixed[crystal & ~pure],
        "mixed_wrong": mixed[clear & ~two_phases],
        "vacuum_missed": decision[~crystal] != VACUUM,
        "crystal_missed": decision[crystal] == VACUUM,
        "orientation_half_turned": (angle - turned_angle >= HALF_TURNED_DEG)[np.isfinite(angle)],
        "orientation_sure": sure[np.isfinite(angle)],
        "fraction_intervals_covering": (low <= area) & (area <= high),
        "ion_content_covering": np.abs(ion_error) <= NORMAL_95 * ion_stderr,
        "second_lattice_right": second_right[overlap],
        "second_lattice_found": (phases["second_phase"].values >= 0)[overlap],
        "second_lattice_false": (phases["second_phase"].values >= 0)[crystal & ~overlap],
    }
    errors = {
        "share_error_rms": _share_errors(phases["share"].values, weight)[two_phases],
        "ion_content_error_rms": ion_error,
    }
    errors = {name: values[np.isfinite(values)] for name, values in errors.items()}
    return {
        **{name: _mean(values) for name, values in shares.items()},
        **{name: _root_mean_square(values) for name, values in errors.items()},
        "expected_calibration_error": (
            expected_calibration_error(confidence, correct) if len(confidence) else None
        ),
        "orientation_error_deg_median": _quantile(angle, 0.5),
        "orientation_error_deg_p90": _quantile(angle, 0.9),
        "orientation_error_deg_p90_sure": _quantile(angle[sure], 0.9),
        "fraction_error_max": _fraction_error(fractions, "value", "area", area),
        "fraction_error_max_found": _fraction_error(fractions, "found", "area", area),
        "fraction_error_max_thickness": _fraction_error(fractions, "value", "thickness", volume),
        "fraction_error_max_molar": _fraction_error(
            fractions, "value", "molar", molar / molar.sum()
        ),
        "settled_grains": settled_grains(
            truth, phases, grains, crystals, symmetries, parents, clear & right
        ),
        "fractions_true": {name: _number(a) for name, a in zip(names, area, strict=True)},
        "confusion": _confusion(true_phase[clear], decision[clear], names),
        "confusion_by_zone": _confusion_by_zone(
            truth["rotation"].values[clear, 0], true_phase[clear], decision[clear], names,
            crystals[0],
        ),
        "reliability": {
            name: bins(posterior[:, number], true_judged == number, RELIABILITY_EDGES)
            for number, name in enumerate(names)
        },
        "confidence": bins(confidence, correct, np.linspace(0, 1, CALIBRATION_BINS + 1)),
        "positions": {name: int(values.size) for name, values in (shares | errors).items()},
    }  # fmt: skip


def _check_same(truth: xr.Dataset, phases: xr.Dataset) -> None:
    if list(truth["phase"].values) != list(phases["phase"].values):
        raise InputError(
            truth.attrs["scan"], "truth and analysis have different phases", field="phase",
            remedy="make the virtual scan and analyse it with one config",
        )  # fmt: skip
    if truth["weight"].shape != phases["posterior"].shape:
        raise InputError(
            truth.attrs["scan"],
            f"truth has {truth['weight'].shape[:2]} positions, the analysis "
            f"{phases['posterior'].shape[:2]}", remedy="make both from one scan",
        )  # fmt: skip


def _thickness_weighted(weight: np.ndarray, thickness: np.ndarray) -> np.ndarray:
    """Share of each phase in the volume (phase,); NaN without a crystal."""
    volume = thickness.ravel() @ weight.reshape(-1, weight.shape[-1])
    return volume / volume.sum() if volume.sum() > 0 else np.full(len(volume), np.nan)


def _fraction_error(fractions: xr.Dataset, name: str, kind: str, true: np.ndarray) -> float | None:
    return _number(np.abs(fractions[name].sel(kind=kind).values - true).max())


def _share_errors(found: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Share of the crystal given to wrong phases (y, x); NaN where nothing was decided."""
    return 0.5 * np.abs(found.astype("f8") - weight).sum(axis=-1)


def _ion_content_errors(
    weight: np.ndarray, phases: xr.Dataset, fractions: xr.Dataset
) -> np.ndarray:
    """Error of the ion content of each position and its standard error, (2, y, x)."""
    units = weight / fractions["formula_volume"].values
    total = units.sum(axis=-1)
    content = units @ fractions["phase_ion_content"].values
    content = np.divide(content, total, out=np.full(total.shape, np.nan), where=total > 0)
    found, stderr = (phases[name].values for name in ("ion_content", "ion_content_stderr"))
    return np.stack([found.astype("f8") - content, stderr.astype("f8")])


def _confusion_by_zone(rotation, true_phase, decision, names, crystal) -> dict:
    axes, region, angle = zone_regions(rotation, crystal)
    return {
        axis: {
            "angle_deg_mean": float(angle[here].mean()),
            "angle_deg_max": float(angle[here].max()),
            "confusion": _confusion(true_phase[here], decision[here], names),
        }
        for number, axis in enumerate(axes)
        if (here := region == number).any()
    }


def _confusion(true_phase: np.ndarray, decision: np.ndarray, names: Sequence[str]) -> dict:
    answers = {
        **dict(enumerate(names)), MIXED: "mixed", UNDECIDED: "undecided",
        VACUUM: "vacuum", UNINDEXED: "unindexed",
    }  # fmt: skip
    return {
        name: {
            answer: int(np.sum((true_phase == number) & (decision == value)))
            for value, answer in answers.items()
        }
        for number, name in enumerate(names)
    }


def _mean(values: np.ndarray) -> float | None:
    return float(np.mean(values)) if values.size else None


def _root_mean_square(values: np.ndarray) -> float | None:
    return float(np.sqrt(np.mean(values**2))) if values.size else None


def _quantile(values: np.ndarray, share: float) -> float | None:
    values = values[np.isfinite(values)]
    return float(np.quantile(values, share)) if values.size else None


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
