"""Phases decided in two virtual worlds that share no code: are the numbers those of one program?

The first world is that of the demo: Bloch waves, ASTAR's screen of 8 bits. The second
(`second_world`) has intensities by multislice, other orientations, other particles and another
camera. Each scan goes through calibration, spots, orientations and decisions with the settings of
its config, as a run does it. No constant of the analysis was ever fitted on the second world, and
none may be. Writes `results/bench/worlds.json`; docs/decisions.md shows it. Names of groups as
arguments measure these only, and leave the others' numbers as they are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import xarray as xr

from benchmarks import parts, second_world
from benchmarks.assumptions import with_affine
from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.experiment.config import Experiment
from phasefront.experiment.load import load
from phasefront.layouts.phases import MIXED, UNANSWERED, VACUUM
from phasefront.layouts.truth import TRUTH
from phasefront.virtual.orientation_errors import orientation_errors, sure_orientations
from phasefront.virtual.reliability import RELIABILITY_EDGES, bins, expected_calibration_error
from phasefront.virtual.truth import CLEAR, TRACE

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "results" / "bench" / "worlds.json"
CONFIGS = {"nvpf": "decisions", "lfp": "lfp"}
DOSES = (2e4, 1e5, 3e6)  # electrons a pattern
THICKNESS_NM = (14.0, 48.0)  # of both worlds
SHAPE = (32, 32)
STANDARD_ERROR = 0.002  # relative, of scale and ellipse by a standard, as the analysis is told
NEAR_DEG = 5.0  # nearer to the truth than half turns and variants are
# First seed of a line, and the ion contents in turn of the first world's scans, about which their
# two phases lie.
SEEDS = {"nvpf": 90101, "lfp": 90301}
CONTENTS = {"nvpf": (2.5, 1.5, 2.0), "lfp": (0.7, 0.5, 0.3)}
# Scans of a line. At the fewest electrons scans differ: the calibration error of the first three is
# 0.034, of all 0.021.
SCANS, SCANS_OF_FEWEST = 3, 9


@dataclass(frozen=True)
class Group:
    """Scans that are scored together."""

    material: str
    world: str  # first, second
    dose: float
    stop: bool = False
    steady: bool = False  # the beam does not sway

    @property
    def scans(self) -> int:
        return SCANS_OF_FEWEST if self.dose == min(DOSES) else SCANS

    @property
    def name(self) -> str:
        stop = " behind a beam stop" if self.stop else ""
        stop += ", steady beam" if self.steady else ""
        return f"{self.material}, {self.world} world, {self.dose:.0e}{stop}"


GROUPS = tuple(
    Group("nvpf", world, dose, **kind)
    for world, kind in (
        ("first", {}), ("second", {}), ("second", {"stop": True}),
        ("second", {"stop": True, "steady": True}),
    )
    for dose in (DOSES[1:] if kind else DOSES)
) + tuple(
    Group("lfp", world, dose) for world in ("first", "second") for dose in DOSES
)  # fmt: skip


@cache
def experiment_of(material: str) -> Experiment:
    return load(ROOT / "config" / f"{CONFIGS[material]}.yaml")


@cache
def candidates_of(material: str) -> CandidatePhases:
    own = experiment_of(material).material
    return CandidatePhases.read(
        [ROOT / phase.cif for phase in own.phases], own.names,
        parent_axes=[phase.parent_axes for phase in own.phases],
        ion_contents=[phase.ion_content for phase in own.phases],
    )  # fmt: skip


@cache
def templates_of(material: str, resolution_deg: float) -> xr.Dataset:
    from phasefront.diffraction.templates import simulate_templates

    experiment = experiment_of(material)
    optics = experiment.instruments["astar"]
    return simulate_templates(
        candidates_of(material).crystals, voltage_kv=optics.voltage_kv,
        precession_deg=optics.precession_deg, resolution_deg=resolution_deg,
        max_radius=experiment.spots.max_radius,
    )  # fmt: skip


def films(group: Group, folder: Path, shape: tuple[int, int]) -> Iterator[tuple[Path, xr.Dataset]]:
    """Each scan of a group, written, and its TRUTH."""
    make = _film_first if group.world == "first" else _film_second
    contents = CONTENTS[group.material]
    for number in range(group.scans):
        content = contents[number % len(contents)]
        yield make(group, SEEDS[group.material] + number, content, folder, shape)


def _film_first(group, seed, content, folder, shape):
    from phasefront.virtual import camera, specimen
    from phasefront.virtual.particles import VirtualPhase

    phases = [
        VirtualPhase.of_cif(phase.name, ROOT / phase.cif, phase.ion_content)
        for phase in experiment_of(group.material).material.phases
    ]
    grown = specimen.make_specimen(
        scan="first", material=group.material, phases=phases, ion_content=content,
        insertion_model="straight-front", seed=seed, shape=shape, grains=12,
        thickness_nm=THICKNESS_NM,
    )  # fmt: skip
    scale = experiment_of(group.material).instruments["astar"].scale
    path = folder / f"{seed}.blo"
    return path, camera.simulate_scan(path, grown, scale_nominal=scale, dose=group.dose)


def _film_second(group, seed, content, folder, shape):
    film = second_world.Film(
        group.material, seed, group.dose, stop=group.stop, shape=shape, thickness_nm=THICKNESS_NM,
        **({"wobble": 0.0} if group.steady else {}),
    )  # fmt: skip
    own = experiment_of(group.material).material
    path = folder / f"{seed}.hspy"
    structures = [Path(phase.cif).stem for phase in own.phases]
    return path, truth_of(second_world.make_scan(path, film, structures), own.names, seed)


def truth_of(truth: second_world.Truth, names: Sequence[str], seed: int) -> xr.Dataset:
    """The TRUTH of a scan of the second world."""
    return netcdf.build(
        TRUTH,
        {
            "phase": list(names), "weight": truth.weight, "thickness": truth.thickness,
            "grain": truth.particle, "overlap": truth.second >= 0, "rotation": truth.rotation,
            "second_rotation": truth.second_rotation, "second_weight": truth.second_weight,
            "centre_y": truth.centre[..., 0], "centre_x": truth.centre[..., 1],
            "affine": truth.affine,
        },
        {"scan": "second", "seed": seed, "insertion_model": "straight-front"},
    )  # fmt: skip


def calibrated(scan, material: str, scale_nominal: float) -> xr.Dataset:
    """CALIBRATION of a scan by its own spots."""
    from phasefront.calibration.geometry import calibrate

    experiment = experiment_of(material)
    return calibrate(
        scan, name="scan", crystals=candidates_of(material).crystals,
        templates=templates_of(material, experiment.calibration.resolution_deg),
        scale_nominal=scale_nominal, scale_search=experiment.calibration.scale_search,
        patterns=experiment.calibration.patterns, false_alarms=experiment.spots.false_alarms,
    )  # fmt: skip


def calibrated_by_standard(scan, affine: np.ndarray) -> xr.Dataset:
    """CALIBRATION with the true scale and ellipse, as a perfect standard gives them."""
    from phasefront.calibration.geometry import calibrate_centres

    scale = float(np.sqrt(np.linalg.det(affine)))
    geometry = calibrate_centres(
        scan, name="scan", scale_nominal=scale, scale_search=STANDARD_ERROR
    )
    return with_affine(geometry, affine)


def decide(scan, geometry: xr.Dataset, material: str) -> xr.Dataset:
    """PHASES of a calibrated scan, by the same calls as the workflow's scripts."""
    from phasefront.orientations import indexing
    from phasefront.phases import decisions
    from phasefront.spots import vectors

    experiment, candidates = experiment_of(material), candidates_of(material)
    found = vectors.find_spots(
        scan.blocks(), geometry, false_alarms=experiment.spots.false_alarms,
        max_radius=experiment.spots.max_radius, scan="scan", scan_step_nm=10.0,
    )  # fmt: skip
    templates = templates_of(material, experiment.orientations.resolution_deg)
    indexed = indexing.find_orientations(
        found, templates, candidates.crystals, n_best=experiment.orientations.n_best,
        min_spots=experiment.orientations.min_spots,
        position_sigma=experiment.spots.position_sigma,
    )  # fmt: skip
    return decisions.decide_phases(
        found, indexed, templates, candidates, raw=(scan, geometry),
        position_sigma=experiment.spots.position_sigma, **experiment.phases.model_dump(),
    )  # fmt: skip


def grains_of(phases: xr.Dataset, material: str) -> xr.Dataset:
    """GRAINS of a decided scan, which settle half turns and variants."""
    from phasefront.grains.segmentation import find_grains

    own = experiment_of(material)
    candidates = replace(
        candidates_of(material), parent_point_group=own.material.parent_point_group
    )
    return find_grains(phases, candidates, scan_step_nm=10.0, **own.grains.model_dump())


def score(truths: Sequence[xr.Dataset], answers: Sequence[xr.Dataset], material: str) -> dict:
    """Numbers of a group, scans pooled; definitions as in `phasefront.virtual.truth.check_scan`.

    `by_phase` counts clear positions of each true phase by what became of them.
    """
    names = candidates_of(material).names

    def pooled(datasets, name, *inner):
        return np.concatenate([one[name].values.reshape(-1, *inner) for one in datasets])

    weight = pooled(truths, "weight", len(names)).astype(float)
    overlap, decision = pooled(truths, "overlap") == 1, pooled(answers, "decision")
    posterior = pooled(answers, "posterior", len(names)).astype(float)
    grains = [grains_of(found, material) for found in answers]
    angles = [
        orientation_errors(truth, found, settled, candidates_of(material).crystals).reshape(2, -1)
        for truth, found, settled in zip(truths, answers, grains, strict=True)
    ]
    angle = np.concatenate(angles, axis=1)
    sure = np.concatenate(
        [sure_orientations(*pair).ravel() for pair in zip(answers, grains, strict=True)]
    )
    crystal, true = weight.sum(axis=1) > 0, weight.argmax(axis=1)
    pure = weight.max(axis=1) >= CLEAR
    single = crystal & ~overlap & (np.sort(weight, axis=1)[:, :-1].sum(axis=1) < TRACE)
    clear, right = crystal & ~overlap & pure, decision == true
    # Of too few spots there is no posterior but the prior, and no lattice (see `truth`).
    judged = clear & (decision != VACUUM) & np.isfinite(pooled(answers, "explained"))
    confidence, correct = posterior[judged].max(axis=1), posterior[judged].argmax(1) == true[judged]
    found, sure = angle[:, clear & right], sure[clear & right]
    return {
        "positions": int(clear.sum()),
        "wrong": int((clear & (decision >= 0) & ~right).sum()),
        "accuracy": _mean(right[clear & (decision >= 0)]),
        "undecided": _mean(np.isin(decision[crystal], UNANSWERED)),
        "mixed_found": _mean((decision == MIXED)[crystal & ~overlap & ~pure]),
        "mixed_wrong": _mean((decision == MIXED)[single]),
        "overlap_accuracy": _mean(right[overlap & crystal & (decision >= 0)]),
        "calibration_error": (
            expected_calibration_error(confidence, correct) if judged.any() else None
        ),
        "confidence": bins(confidence, correct, RELIABILITY_EDGES) if judged.any() else [],
        "orientation_deg": _quantile(found[0], 0.5),
        "orientation_p90_deg": _quantile(found[0], 0.9),
        "orientation_half_turns_apart_p90_deg": _quantile(found.min(axis=0), 0.9),
        "orientation_sure": _mean(sure),
        "orientation_sure_right": _mean(found[0, sure] < NEAR_DEG),
        "orientation_sure_p90_deg": _quantile(found[0, sure], 0.9),
        "crystal_missed": _mean((decision == VACUUM)[crystal]),
        "vacuum_missed": _mean((decision != VACUUM)[~crystal]),
        "by_phase": {
            name: {
                "right": int((own & right).sum()),
                "wrong": int((own & (decision >= 0) & ~right).sum()),
                "mixed": int((own & (decision == MIXED)).sum()),
                "undecided": int((own & np.isin(decision, UNANSWERED)).sum()),
                "vacuum": int((own & (decision == VACUUM)).sum()),
            }
            for number, name in enumerate(names)
            for own in [clear & (true == number)]
        },
    }


def measure(group: Group, folder: Path, shape: tuple[int, int] = SHAPE) -> dict:
    """What the JSON file holds of a group.

    Where a scan's own calibration is refused, that is counted, and a standard takes its place, as
    the refusal advises; where that is refused, too, the scan is lost.
    """
    from phasefront.scans import files

    truths, answers, geometry_errors, refused, lost = [], [], [], [], []
    nominal = experiment_of(group.material).instruments["astar"].scale
    for path, truth in films(group, folder, shape):
        scan = files.open_scan(path)
        try:
            geometry = calibrated(
                scan, group.material, nominal if group.world == "first" else second_world.SCALE
            )
        except InputError as refusal:
            refused.append(str(refusal))
            try:
                geometry = calibrated_by_standard(scan, truth["affine"].values)
            except InputError as again:
                lost.append(str(again))
                continue
        phases = decide(scan, geometry, group.material)
        path.unlink()
        truths.append(truth)
        answers.append(phases)
        geometry_errors.append(_geometry_errors(truth, geometry, phases))
    scored = score(truths, answers, group.material) if answers else {}
    return scored | {
        "scans": len(answers), "refused": refused, "lost": lost,
        "scale_error": max((one[0] for one in geometry_errors), key=abs, default=None),
        "centre_error_px": max((one[1] for one in geometry_errors), default=None),
    }  # fmt: skip


def _geometry_errors(truth, geometry, phases) -> tuple[float, float]:
    """Relative error of the scale after all corrections, rms error of the beam's place, pixels."""
    scale = np.sqrt(np.linalg.det(geometry["affine"]) / np.linalg.det(truth["affine"]))
    beyond = 0.5 * np.trace(phases["distortion"].values)
    off = [geometry[name].values - truth[name].values for name in ("centre_y", "centre_x")]
    return float(scale / beyond - 1), float(np.sqrt(np.mean(np.square(off).sum(axis=0))))


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def _quantile(values: np.ndarray, share: float) -> float | None:
    values = values[np.isfinite(values)]
    return float(np.quantile(values, share)) if values.size else None


def _measured(group: Group) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        found = measure(group, Path(folder))
    told = ("positions", "wrong", "undecided", "mixed_found", "calibration_error")
    print(group.name, *(f"{key} {found.get(key)}" for key in told), *found["refused"], flush=True)
    return found


if __name__ == "__main__":
    parts.run(
        __doc__.splitlines()[0], {group.name: partial(_measured, group) for group in GROUPS}, OUT
    )
