"""How far the analysis of a virtual scan is from its truth.

Accuracy is counted where the truth has one answer: no overlap of grains, and one phase with at
least `CLEAR` of the thickness. Overlaps and mixed positions are reported apart; where such a
position is decided for one phase, that with the largest share is right.

Where two phases lie in one column, no share is the one at which "mixed" becomes the right answer.
It is asked for where no phase has `CLEAR` of the thickness, wrong where the second phase has less
than `TRACE`, and right, yet not asked for, between the two.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront.core.errors import InputError
from phasefront.core.statistics import NORMAL_95
from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import Crystal, laue_rotations
from phasefront.grains.segmentation import to_parent
from phasefront.layouts.phases import MIXED, UNANSWERED, UNDECIDED, UNINDEXED, VACUUM

# By definition, see above; that of `phases.lattices` is the same.
CLEAR = 0.75
TRACE = 0.05
# A second lattice is the other grain's within this angle, degrees.
SAME_LATTICE_DEG = 3.0
CALIBRATION_BINS = 15  # Naeini, Cooper and Hauskrecht, AAAI 2015
# Most posteriors are near 0 or 1, so the bins of a reliability diagram are narrow there.
RELIABILITY_EDGES = (0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1)


def check_scan(
    truth: xr.Dataset,
    phases: xr.Dataset,
    fractions: xr.Dataset,
    crystals: Sequence[Crystal],
    *,
    parents: Sequence[Sequence[Sequence[float]] | None] | None = None,
    parent_point_group: str | None = None,
) -> dict:
    """Compare a scan's PHASES and FRACTIONS with its TRUTH.

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
      positions that are not called vacuum, over 15 bins of equal width weighted by their positions
      (Naeini, Cooper and Hauskrecht, AAAI 2015);
    - orientation_error_deg_median, orientation_error_deg_p90: misorientation of the decided phase
      to the truth described as that phase, under its Laue group's rotations, without overlaps;
    - orientation_half_turned: share of these positions that come at least 5 degrees nearer to the
      truth by half a turn about the beam, which zero-order Laue zones hardly tell;
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
    angle, turned_angle = _orientation_errors(truth, phases, crystals)[:, crystal & ~overlap]
    area = weight[crystal].mean(axis=0) if crystal.any() else np.full(len(names), np.nan)
    volume = _thickness_weighted(weight, truth["thickness"].values.astype("f8"))
    weighed = volume if fractions.attrs["molar_weight"] == "thickness" else area
    molar = weighed / fractions["formula_volume"].values
    low, high = (fractions[name].sel(kind="area").values for name in ("low", "high"))
    judged = clear & (decision != VACUUM) & np.isfinite(phases["posterior"].values).all(-1)
    posterior, true_judged = phases["posterior"].values[judged].astype("f8"), true_phase[judged]
    confidence, correct = posterior.max(axis=-1), posterior.argmax(axis=-1) == true_judged
    ion_error, ion_stderr = _ion_content_errors(weight, phases, fractions)[:, crystal & ~overlap]
    known = np.isfinite(ion_error)
    ion_error, ion_stderr = ion_error[known], ion_stderr[known]
    second_right = _second_lattices_right(
        truth, phases, _lattice_symmetries(crystals, parents, parent_point_group)
    )
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
        "orientation_half_turned": (angle - turned_angle >= 5)[np.isfinite(angle)],
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
        "fraction_error_max": _fraction_error(fractions, "value", "area", area),
        "fraction_error_max_found": _fraction_error(fractions, "found", "area", area),
        "fraction_error_max_thickness": _fraction_error(fractions, "value", "thickness", volume),
        "fraction_error_max_molar": _fraction_error(
            fractions, "value", "molar", molar / molar.sum()
        ),
        "fractions_true": {name: _number(a) for name, a in zip(names, area, strict=True)},
        "confusion": _confusion(true_phase[clear], decision[clear], names),
        "confusion_by_zone": _confusion_by_zone(
            truth["rotation"].values[clear, 0], true_phase[clear], decision[clear], names,
            crystals[0],
        ),
        "reliability": {
            name: _bins(posterior[:, number], true_judged == number, RELIABILITY_EDGES)
            for number, name in enumerate(names)
        },
        "confidence": _bins(confidence, correct, np.linspace(0, 1, CALIBRATION_BINS + 1)),
        "positions": {name: int(values.size) for name, values in (shares | errors).items()},
    }  # fmt: skip


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Mean over bins of |accuracy - mean confidence|, weighted by their number of answers.

    Bins are of equal width from 0 to 1 (Naeini, Cooper and Hauskrecht, AAAI 2015); both (n,).
    """
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1]
    of_bin = np.digitize(confidence, edges)
    excess = np.bincount(of_bin, correct - confidence)
    return float(np.abs(excess).sum() / len(confidence))


def zone_regions(
    rotation: np.ndarray, crystal: Crystal
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Low-index zone axis nearest to the beam.

    The axes are all lattice directions with indices -1, 0 and 1, one of each set that the Laue
    group makes equivalent: these are the corners of its fundamental sector, and the middles of its
    edges or faces.

    Parameters
    ----------
    rotation
        Orientations, frame to crystal, (n, 4).

    Returns
    -------
    Names of the axes, as [101]; the number of the nearest one (n,), and the angle between it, or
    one equivalent, and the beam in either direction, degrees (n,).
    """
    names, families = [], []
    turns = rotations.matrices(crystal.symmetry)
    direct = np.linalg.inv(crystal.reciprocal).T
    indices = [index for index in itertools.product((1, 0, -1), repeat=3) if any(index)]
    for index in sorted(indices, key=axis_order):
        axis = np.array(index) @ direct
        axis /= np.linalg.norm(axis)
        if all(np.abs(family @ axis).max() < 1 - 1e-6 for family in families):
            names.append(f"[{''.join(map(str, index))}]")
            families.append(turns @ axis)
    beam = rotations.matrices(_unit(rotation.astype("f8")))[:, :, 2]
    cosine = np.stack([np.abs(beam @ family.T).max(axis=1) for family in families], axis=1)
    return names, cosine.argmax(axis=1), np.degrees(np.arccos(np.minimum(cosine.max(axis=1), 1)))


def axis_order(index: Sequence[int]) -> tuple:
    """Sorts axes without negative indices first, then short ones."""
    return min(index) < 0, sum(map(abs, index)), *(-i for i in index)


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


def _lattice_symmetries(
    crystals: Sequence[Crystal], parents: Sequence | None, point_group: str | None
) -> list[np.ndarray]:
    """Rotations (n, 4), in each phase's axes, of its parent lattice, or of its own Laue group."""
    symmetries = []
    for crystal, parent in zip(crystals, parents or [None] * len(crystals), strict=True):
        symmetry = crystal.symmetry
        if parent is not None:
            there = to_parent(crystal, parent)
            back = there * [1, -1, -1, -1]
            shared = laue_rotations(point_group)
            symmetry = rotations.multiply(back, rotations.multiply(shared, there))
        symmetries.append(symmetry)
    return symmetries


def _second_lattices_right(
    truth: xr.Dataset, phases: xr.Dataset, symmetries: Sequence[np.ndarray]
) -> np.ndarray:
    """Whether the second lattice is that of the grain which the first is not, (y, x)."""
    likeliest = phases["posterior"].fillna(-1).argmax("phase").values
    first = np.take_along_axis(phases["rotation"].values, likeliest[..., None, None], axis=2)
    second, second_phase = phases["second_rotation"].values, phases["second_phase"].values
    true = np.stack([truth[name].values for name in ("rotation", "second_rotation")])
    to_first = _angles_to(true, first[:, :, 0], likeliest, symmetries)
    to_second = _angles_to(true, second, second_phase, symmetries)
    other = np.where(to_first[0] <= to_first[1], to_second[1], to_second[0])
    return other <= SAME_LATTICE_DEG


def _angles_to(
    true: np.ndarray, found: np.ndarray, phase: np.ndarray, symmetries: Sequence[np.ndarray]
) -> np.ndarray:
    """Angle (n, y, x), degrees, between true orientations (n, y, x, phase, 4) and those found
    (y, x, 4) under a phase (y, x), as found or half a turn on; NaN where there is no phase."""
    angle = np.full(true.shape[:3], np.nan)
    for number, symmetry in enumerate(symmetries):
        own = phase == number
        own_found = _unit(found[own].astype("f8"))
        own_true = _unit(true[:, own, number].astype("f8"))
        either = np.stack([own_found, rotations.multiply(own_found, rotations.HALF_TURN)])
        angles = rotations.misorientation(own_true[:, None], either, symmetry)
        angle[:, own] = angles.min(axis=1)
    return angle


def _unit(rotation: np.ndarray) -> np.ndarray:
    return rotation / np.linalg.norm(rotation, axis=-1, keepdims=True)


def _bins(probability: np.ndarray, came_true: np.ndarray, edges: Sequence[float]) -> list[dict]:
    """What was said and what came true in each bin of probabilities that has any."""
    of_bin = np.digitize(probability, edges[1:-1])
    return [
        {
            "from": float(edges[number]),
            "to": float(edges[number + 1]),
            "count": int(here.sum()),
            "posterior": float(probability[here].mean()),
            "frequency": float(came_true[here].mean()),
        }
        for number in range(len(edges) - 1)
        if (here := of_bin == number).any()
    ]


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
