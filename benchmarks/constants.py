"""The constants that were fitted: each again, on scans that no accuracy is reported for.

It takes some five minutes of one core.

Virtual scans of NVPF in dynamical scattering, seeds 81001 to 81003, true geometry, positions of one
phase and one grain. Of each constant the value in the code is set beside the best of a range, and
beside the range that is as good: within 0.01 of the best score. Scores are mean log-probabilities
of the true phase, or of matching the share of positions with the right phase and an orientation
within 3 degrees. Writes `results/bench/constants.json` and prints the same. Where an optimum is
wide, what the code has leaves a margin on its safe side; the code says why.

Those of the fit of scale and ellipse follow, on scans of their own (see `affine_constants`). Its
errors are put to the test by `benchmarks.calibration`, the margins of a decision by
`benchmarks.assumptions`.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import log_softmax

from benchmarks import affine_constants, assumptions
from benchmarks.assumptions import MIN_SPOTS, Assumed, Decided, Film, Study
from benchmarks.refit import Constant, refit, set_to
from phasefront.diffraction import excitation, matching, template_library
from phasefront.diffraction.crystals import laue_rotations
from phasefront.diffraction.excitation import LorentzianRod
from phasefront.diffraction.likelihood import refine
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import reflection_table
from phasefront.diffraction.rotations import misorientation
from phasefront.diffraction.spot_lists import Spots
from phasefront.phases import evidence

OUT = assumptions.ROOT / "results" / "bench" / "constants.json"
FILMS = (Film(3.0, 81001), Film(1.5, 81002), Film(2.0, 81003, dose=1e6))
SHAPE, GRAINS = (20, 20), 10
AS_GOOD = 0.01
RIGHT_DEG = 3.0


@dataclass(frozen=True)
class Scan:
    """A virtual scan, indexed and decided, with the truth of its clear positions."""

    made: Decided
    clear: np.ndarray  # (n,) positions of one phase and one grain that have an orientation
    true: np.ndarray  # (n,) their phase
    rotation: np.ndarray  # (n, 4)

    @classmethod
    def of(cls, made: Decided) -> Scan:
        truth, starts = made.truth, made.orientations["rotation"].values
        weight = truth["weight"].values.reshape(-1, len(made.crystals))
        indexed = np.isfinite(starts[:, :, :, 0, 0]).all(axis=-1).ravel()
        single = (weight.max(axis=1) == 1) & (truth["overlap"].values.ravel() == 0)
        clear = np.flatnonzero(single & indexed)
        true = weight[clear].argmax(axis=1)
        rotation = truth["rotation"].values.reshape(len(weight), -1, 4)[clear, true]
        return cls(made, clear, true, rotation)


def score(scan: Scan, logits: np.ndarray) -> float:
    """Mean log-probability of the true phase, from logits (positions, phases)."""
    return float(log_softmax(logits, axis=1)[np.arange(len(scan.true)), scan.true].mean())


def of_phases(scan: Scan, name: str) -> np.ndarray:
    return scan.made.phases[name].values.reshape(-1, len(scan.made.crystals))[scan.clear]


def of_likelihood(scan: Scan, *, power: float = 0.25, **changes: float) -> float:
    """Score of the likelihood alone, refined with another setting from the same starts."""
    made = scan.made
    sigma = float(made.phases["position_sigma"])
    optics = replace(Optics.of(made.templates, made.spots, position_sigma=sigma), **changes)
    table = reflection_table(made.crystals, max_radius=optics.window[1])
    number = len(made.crystals)
    starts = made.orientations["rotation"].values[:, :, :, 0].reshape(-1, number, 4)[scan.clear]
    refined = refine(
        Spots.of(made.spots), np.repeat(scan.clear, number), np.tile(range(number), len(starts)),
        starts.reshape(-1, 4), table, optics, intensity_power=power, coarse=False,
    )  # fmt: skip
    return score(scan, evidence.TEMPERATURE * refined.log_likelihood.reshape(-1, number))


def of_matching(scan: Scan) -> float:
    """Share of positions whose best match is of the right phase and orientation."""
    library = template_library.Library.prepare(
        scan.made.templates, scan.made.crystals, template_library.COARSE_DEG
    )
    found = matching.match(Spots.of(scan.made.spots), library, n_best=1, min_spots=MIN_SPOTS)
    best, turned = found.score[scan.clear, :, 0], found.rotation[scan.clear, :, 0]
    right = np.nan_to_num(best, nan=-1).argmax(axis=1) == scan.true
    for phase, crystal in enumerate(scan.made.crystals):
        own = scan.true == phase
        # A pattern shows the crystal's Laue group, and hardly tells half a turn about the beam.
        symmetry = laue_rotations(crystal.point_group)
        off = misorientation(turned[own, phase], scan.rotation[own], symmetry)
        right[own] &= np.minimum(off, np.abs(180 - off)) < RIGHT_DEG
    return float(right.mean())


CONSTANTS = (
    Constant(
        "phases.evidence.TEMPERATURE", evidence.TEMPERATURE,
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.3),
        lambda scan, value: score(scan, value * of_phases(scan, "log_evidence")),
    ),
    Constant(
        "phases.evidence.FORCED_TEMPERATURE", evidence.FORCED_TEMPERATURE,
        (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2),
        lambda scan, value: score(
            scan, evidence.TEMPERATURE * of_phases(scan, "log_evidence")
            + value * of_phases(scan, "forced_evidence")
        ),
    ),
    Constant(
        "diffraction.likelihood intensity_power", 0.25, (0.0, 0.1, 0.25, 0.4, 0.6),
        lambda scan, value: of_likelihood(scan, power=value),
    ),
    Constant(
        "diffraction.optics stray_share", Optics.stray_share, (0.01, 0.03, 0.07, 0.12, 0.2),
        lambda scan, value: of_likelihood(scan, stray_share=value),
    ),
    Constant(
        "diffraction.excitation.REFINED", excitation.REFINED.width,
        (0.005, 0.007, 0.01, 0.014, 0.02),
        set_to(excitation, "REFINED", of_likelihood, LorentzianRod),
    ),
    Constant(
        "diffraction.matching.PATTERN_POWER", matching.PATTERN_POWER,
        (0.05, 0.15, 0.25, 0.5), set_to(matching, "PATTERN_POWER", of_matching),
    ),
    Constant(
        "diffraction.template_library.TEMPLATE_POWER", template_library.TEMPLATE_POWER,
        (0.1, 0.25, 0.4, 0.5), set_to(template_library, "TEMPLATE_POWER", of_matching),
    ),
)  # fmt: skip


def main(shape: tuple[int, int] = SHAPE, out: Path = OUT) -> None:
    with tempfile.TemporaryDirectory() as folder:
        study = Study(Path(folder), shape, GRAINS)
        scans = [Scan.of(study.decide(film, Assumed(calibrated="truth"))) for film in FILMS]
        rows = refit(CONSTANTS, scans, np.array([len(scan.clear) for scan in scans]), AS_GOOD)
    rows += affine_constants.rows()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        json.dumps(
            {"seeds": [*(film.seed for film in FILMS), *affine_constants.SEEDS], "constants": rows},
            indent=1,
        )
    )
    print(f"{'constant':46} {'code':>6} {'best':>6} {'as good':>14} {'score':>8} {'gain':>8}")
    for row in rows:
        low, high = row["as_good"]
        print(
            f"{row['constant']:46} {row['value']:6g} {row['best']:6g} {low:6g} to {high:<5g}"
            f" {row['score']:8.4f} {row['gain']:8.4f} +- {row['gain_stderr']:.4f}"
        )


if __name__ == "__main__":
    main()
