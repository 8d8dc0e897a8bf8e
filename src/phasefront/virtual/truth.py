"""How far the analysis of a virtual scan is from its truth.

Accuracy is counted where the truth has one answer: no overlap of grains, and one phase with at
least `CLEAR` of the thickness. Overlaps and mixed positions are reported apart; there the right
answer is the phase with the largest share.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront import layouts, rotations
from phasefront.crystals import Crystal
from phasefront.errors import InputError

CLEAR = 0.75
CALIBRATION_BINS = 15


def check_scan(
    truth: xr.Dataset, phases: xr.Dataset, fractions: xr.Dataset, crystals: Sequence[Crystal]
) -> dict:
    """Compare a scan's PHASES and FRACTIONS with its TRUTH.

    `crystals` are the phases in the order of `phases`.

    Returns
    -------
    Numbers ready for `json.dumps`, None where nothing was decided:

    - phase_accuracy_decided: share of clear, decided positions with the right phase;
      phase_accuracy_overlap and phase_accuracy_mixed: the same where grains overlap, and where
      phases share the thickness;
    - undecided: share of positions with a crystal that are left undecided;
    - vacuum_missed, crystal_missed: share of the vacuum that is not called so, of crystal that is;
    - expected_calibration_error: mean |accuracy - confidence| of the likeliest phase at clear
      positions that are not called vacuum, over 15 bins of equal width weighted by their positions
      (Naeini, Cooper and Hauskrecht, AAAI 2015);
    - orientation_error_deg_median, orientation_error_deg_p90: misorientation of the decided phase
      to the truth described as that phase, under its Laue group's rotations, without overlaps;
    - orientation_half_turned: share of these positions that come at least 5 degrees nearer to the
      truth by half a turn about the beam, which zero-order Laue zones hardly tell;
    - fraction_error_max: largest error of an area fraction against the scanned area's own, where
      each position with a crystal counts once, shared between its phases by thickness;
      fraction_error_max_molar: the same for molar fractions;
    - fraction_intervals_covering: share of the area fractions' 95 % intervals that hold the truth
      of the scanned area (they are made for the population of grains, so nearly all should);
    - fractions_true: that truth, by phase;
    - confusion: positions by true phase (clear positions), then by decision, with "undecided" and
      "vacuum".

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
    decided = decision >= 0
    right = decision == true_phase
    angle, turned_angle = _orientation_errors(truth, phases, crystals)[:, crystal & ~overlap]
    area = weight[crystal].mean(axis=0) if crystal.any() else np.full(len(names), np.nan)
    amount = area / fractions["formula_volume"].values
    found, low, high = (fractions[name].values for name in ("value", "low", "high"))
    return {
        "phase_accuracy_decided": _mean(right[clear & decided]),
        "phase_accuracy_overlap": _mean(right[overlap & decided]),
        "phase_accuracy_mixed": _mean(right[crystal & ~overlap & ~pure & decided]),
        "undecided": _mean(decision[crystal] == layouts.UNDECIDED),
        "vacuum_missed": _mean(decision[~crystal] != layouts.VACUUM),
        "crystal_missed": _mean(decision[crystal] == layouts.VACUUM),
        "expected_calibration_error": _calibration_error(
            phases["posterior"].values, true_phase, clear & (decision != layouts.VACUUM)
        ),
        "orientation_error_deg_median": _quantile(angle, 0.5),
        "orientation_error_deg_p90": _quantile(angle, 0.9),
        "orientation_half_turned": _mean((angle - turned_angle >= 5)[np.isfinite(angle)]),
        "fraction_error_max": _number(np.abs(found[0] - area).max()),
        "fraction_error_max_molar": _number(np.abs(found[1] - amount / amount.sum()).max()),
        "fraction_intervals_covering": _mean((low[0] <= area) & (area <= high[0])),
        "fractions_true": {name: _number(a) for name, a in zip(names, area, strict=True)},
        "confusion": _confusion(true_phase[clear], decision[clear], names),
    }


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Mean over bins of |accuracy - mean confidence|, weighted by their number of answers.

    Bins are of equal width from 0 to 1 (Naeini, Cooper and Hauskrecht, AAAI 2015); both (n,).
    """
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1]
    of_bin = np.digitize(confidence, edges)
    excess = np.bincount(of_bin, correct - confidence)
    return float(np.abs(excess).sum() / len(confidence))


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


def _orientation_errors(
    truth: xr.Dataset, phases: xr.Dataset, crystals: Sequence[Crystal]
) -> np.ndarray:
    """Misorientation to the truth under the decided phase, degrees, as found and half a turn on,
    (2, y, x); NaN elsewhere."""
    decision = phases["decision"].values
    angle = np.full((2, *decision.shape), np.nan)
    for number, crystal in enumerate(crystals):
        own = decision == number
        found, true = (
            _unit(data["rotation"].values[own, number].astype("f8")) for data in (phases, truth)
        )
        either = np.stack([found, rotations.multiply(found, rotations.HALF_TURN)])
        angle[:, own] = rotations.misorientation(true, either, crystal.symmetry)
    return angle


def _unit(rotation: np.ndarray) -> np.ndarray:
    return rotation / np.linalg.norm(rotation, axis=-1, keepdims=True)


def _calibration_error(
    posterior: np.ndarray, true_phase: np.ndarray, where: np.ndarray
) -> float | None:
    """Calibration error of the likeliest phase over the positions given."""
    confidence = posterior.max(axis=-1)[where].astype("f8")
    correct = posterior.argmax(axis=-1)[where] == true_phase[where]
    usable = np.isfinite(confidence)
    if not usable.any():
        return None
    return expected_calibration_error(confidence[usable], correct[usable])


def _confusion(true_phase: np.ndarray, decision: np.ndarray, names: Sequence[str]) -> dict:
    answers = {**dict(enumerate(names)), layouts.UNDECIDED: "undecided", layouts.VACUUM: "vacuum"}
    return {
        name: {
            answer: int(np.sum((true_phase == number) & (decision == value)))
            for value, answer in answers.items()
        }
        for number, name in enumerate(names)
    }


def _mean(values: np.ndarray) -> float | None:
    return float(np.mean(values)) if values.size else None


def _quantile(values: np.ndarray, share: float) -> float | None:
    values = values[np.isfinite(values)]
    return float(np.quantile(values, share)) if values.size else None


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
