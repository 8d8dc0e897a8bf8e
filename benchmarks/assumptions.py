"""What becomes of phases, orientations and probabilities where the analysis assumes wrong things.

Virtual scans of Na3V2(PO4)2F3 with dynamical intensities go through calibration, spots,
orientations and decisions as the workflow runs them, with one assumption wrong at a time. Writes
`results/bench/assumptions.json` and draws `docs/assumptions.png`; docs/assumptions.md says what the
numbers mean. Nothing in the analysis was fitted on these scans. Names of parts (cases, missing,
conditions) as arguments measure these only, and leave the others' numbers as they are.

The packaged table has perfect crystals only. `mosaic.nc` beside this file has crystals of seven
blocks, tilted by 2 degrees rms about each axis in the plane of the pattern; it was made in
config/structures, with abTEM, by

    python -m phasefront.virtual.bloch_waves ../../benchmarks/mosaic.nc \\
        --grains 12 --mosaic-deg 2 --blocks 7 --seed 71000 \\
        --crystal nvpf Na3V2PO42F3.cif 4 a,b,c \\
        --crystal nvpf Na2V2PO42F3.cif 2 a/2-b/2,a/2+b/2,c \\
        --crystal nvpf NaV2PO42F3.cif 4 a,b,c
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from benchmarks import machine
from phasefront.calibration.geometry import calibrate, calibrate_centres
from phasefront.core import netcdf, threads
from phasefront.core.errors import InputError
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.crystals import Crystal, read_crystal
from phasefront.diffraction.rotations import misorientation
from phasefront.diffraction.spot_lists import observed_window
from phasefront.diffraction.templates import simulate_templates
from phasefront.layouts.phases import MIXED, UNANSWERED, UNINDEXED, VACUUM
from phasefront.orientations import indexing
from phasefront.phases import decisions
from phasefront.scans import files
from phasefront.spots import vectors
from phasefront.virtual import bloch_waves, camera, specimen
from phasefront.virtual.conditions import Conditions, Stop
from phasefront.virtual.particles import VirtualPhase
from phasefront.virtual.reliability import expected_calibration_error
from phasefront.virtual.truth import CLEAR

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "results" / "bench" / "assumptions.json"
FIGURE = ROOT / "docs" / "assumptions.png"
STRUCTURES = ROOT / "config" / "structures"
MOSAIC = Path(__file__).with_name("mosaic.nc")
SCALE, VOLTAGE_KV, PRECESSION_DEG, MAX_RADIUS = 0.0175, 200.0, 0.8, 1.2
MIN_SPOTS, POSITION_SIGMA, FALSE_ALARMS = 5, 0.005, 0.1
MOSAIC_DEG = 2.0
WORKERS = 2


@dataclass(frozen=True)
class Phase:
    """A phase of the virtual experiment, as a config file describes it."""

    name: str
    cif: str
    ion_content: float
    parent_axes: tuple[tuple[float, ...], ...]


_SAME = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
PHASES = (
    Phase("Na3", "Na3V2PO42F3", 3, _SAME),
    Phase("Na2", "Na2V2PO42F3", 2, ((1, 1, 0), (-1, 1, 0), (0, 0, 1))),
    Phase("Na1", "NaV2PO42F3", 1, _SAME),
)
NAMES = tuple(phase.name for phase in PHASES)


@dataclass(frozen=True)
class Film:
    """A virtual scan: what is there, and how it was recorded."""

    ion_content: float
    seed: int
    dose: float = 1e7
    ellipse_ratio: float = 1.01
    mosaic: str = "none"  # none, turned, tilted, both
    conditions: Conditions = field(default_factory=Conditions)
    grains: int | None = None  # as many as the study has


@dataclass(frozen=True)
class Assumed:
    """What the analysis takes for true."""

    candidates: tuple[str, ...] = NAMES
    precession_deg: float = PRECESSION_DEG
    # Scale to start the search from, relative to the true one; and what the scale found is
    # multiplied by.
    scale_nominal: float = 1.0
    scale_factor: float = 1.0
    round_rings: bool = False  # no ellipse
    # Relative error of c/a, by phase, in its CIF.
    axial_error: tuple[tuple[str, float], ...] = ()
    calibrated: str = "itself"  # or by the truth, as a perfect standard would


FILMS = (Film(3.0, 71001), Film(2.5, 71002), Film(1.5, 71003))


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    name: str
    assumed: Assumed = field(default_factory=Assumed)
    films: tuple[Film, ...] = FILMS


def _filmed(**changes) -> tuple[Film, ...]:
    return tuple(replace(film, **changes) for film in FILMS)


def _without(name: str) -> tuple[str, ...]:
    return tuple(other for other in NAMES if other != name)


# Each phase by itself too: a scan of nothing but what is missing.
PURE = {"Na3": FILMS[0], "Na2": Film(2.0, 71004), "Na1": Film(1.0, 71005)}
_MIXTURES = {"Na3": FILMS[1:2], "Na2": FILMS[1:], "Na1": FILMS[2:]}

CASES = (
    Case("right assumptions"),
    Case("scale 1 % too large, believed", Assumed(scale_factor=1.01)),
    Case("scale 1 % too small, believed", Assumed(scale_factor=0.99)),
    Case("scale 1 % off, calibrated", Assumed(scale_nominal=0.99)),
    Case("ellipse of 1 % ignored", Assumed(round_rings=True)),
    Case("ellipse of 3 % ignored", Assumed(round_rings=True), _filmed(ellipse_ratio=1.03)),
    Case("ellipse of 3 %, calibrated", Assumed(), _filmed(ellipse_ratio=1.03)),
    *(
        Case(f"precession told as {told:g} degree", Assumed(precession_deg=told))
        for told in (0.0, 0.4, 1.2)
    ),
    *(
        Case(f"mosaic, {how}", Assumed(), _filmed(mosaic=kind))
        for kind, how in (
            ("turned", "2 degrees in the plane"),
            ("tilted", "2 degrees out of the plane"),
            ("both", "2 degrees about all axes"),
        )
    ),
    Case("half the dose", Assumed(), _filmed(dose=5e6)),
    Case("a tenth of the dose", Assumed(), _filmed(dose=1e6)),
    *(
        Case(f"c/a of {name} 0.3 % too large", Assumed(axial_error=((name, 0.003),)))
        for name in ("Na2", "Na1")
    ),
)
MISSING = tuple(
    Case(f"{name} missing, {where}", Assumed(_without(name), calibrated=how), films)
    for name in NAMES
    for where, how, films in (
        ("in a mixture", "itself", _MIXTURES[name]),
        ("nothing else there", "itself", (PURE[name],)),
        ("nothing else there, standard", "truth", (PURE[name],)),
    )
)


# The beam is within 4 pixels of the camera's middle (71.5, 71.5).
_DISK = Stop(71.0, 73.0, radius=9.0, arm_width=7.0, arm_deg=20.0)
_BAR = Stop(69.0, 71.0, radius=11.0, arm_width=22.0, arm_deg=90.0)
_BESIDE = Stop(80.0, 88.0, radius=8.0, arm_width=8.0, arm_deg=0.0)
_BAD = {"hot": 0.002, "dead": 0.002, "seed": 1}
_SCANS = tuple(Film(content, 71011 + number) for number, content in enumerate((3.0, 2.5, 1.5)))
CONDITIONS = tuple(
    Case(name, Assumed(), tuple(replace(film, **changes) for film in _SCANS))
    for name, changes in (
        ("nothing in the way", {}),
        ("beam stop over the beam", {"conditions": Conditions(stop=_DISK)}),
        ("wide bar over the beam", {"conditions": Conditions(stop=_BAR)}),
        ("beam stop beside the beam", {"conditions": Conditions(stop=_BESIDE)}),
        ("hot and dead pixels, 0.2 % each", {"conditions": Conditions(**_BAD)}),
        *(
            (f"liquid's ring, {times} times the counts", {"conditions": Conditions(liquid=times)})
            for times in (1, 3, 5)
        ),
        ("two grains in all", {"grains": 2}),
        ("stop over the beam, ring 3 times, bad pixels, two grains", {
            "conditions": Conditions(stop=_DISK, liquid=3, **_BAD), "grains": 2,
        }),
    )
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """Answers at the positions of one scan, (n,) unless stated; phases as in PHASES."""

    weight: np.ndarray  # (n, phases) share of the thickness
    overlap: np.ndarray
    decision: np.ndarray  # with UNDECIDED, VACUUM and MIXED
    share: np.ndarray  # (n, phases)
    posterior: np.ndarray  # (n, phases), 0 for what is no candidate
    angle: np.ndarray  # degrees from the truth under the likeliest phase; NaN where it is another
    explained: np.ndarray
    misfit: np.ndarray
    evidence: np.ndarray  # log-evidence of the likeliest phase over that of strays, a spot
    scale_error: float  # relative, after all corrections
    position_sigma: float  # error of a spot's position that the analysis found, 1/angstrom
    centre_error: float = np.nan  # rms distance of the beam from its true place, pixels


class Decided(NamedTuple):
    """A virtual scan with its truth, and what each stage made of it."""

    truth: xr.Dataset
    geometry: xr.Dataset
    crystals: list[Crystal]
    templates: xr.Dataset
    spots: xr.Dataset
    orientations: xr.Dataset
    phases: xr.Dataset


class Study:
    """Films, templates and calibrations, each made once; files are kept in a folder."""

    def __init__(self, folder: Path, shape: tuple[int, int] = (32, 32), grains: int = 10):
        self.folder, self.shape, self.grains = folder, shape, grains
        self._made: dict = {}

    def film(self, film: Film) -> tuple[Path, xr.Dataset]:
        """The block file and its truth."""
        return self._once(("film", film), lambda: self._film(film))

    def templates(self, assumed: Assumed) -> tuple[list[Crystal], xr.Dataset]:
        """Candidates as their CIFs have them, or with a wrong axial ratio; their TEMPLATES."""
        key = ("templates", assumed.candidates, assumed.axial_error, assumed.precession_deg)
        return self._once(key, lambda: self._templates(assumed))

    def geometry(self, film: Film, assumed: Assumed) -> xr.Dataset:
        """CALIBRATION dataset, before anything in it is made wrong."""
        right = replace(assumed, scale_factor=1.0, round_rings=False)
        return self._once(("geometry", film, right), lambda: self._geometry(film, right))

    def decide(self, film: Film, assumed: Assumed) -> Decided:
        """All stages from the raw scan to decisions."""
        path, truth = self.film(film)
        scan = files.open_scan(path)
        crystals, templates = self.templates(assumed)
        geometry = self.geometry(film, assumed)
        affine = geometry["affine"].values * assumed.scale_factor
        if assumed.round_rings:
            affine = np.sqrt(np.linalg.det(affine)) * np.eye(2)
        geometry = with_affine(geometry, affine)
        found = vectors.find_spots(
            scan.blocks(), geometry, false_alarms=FALSE_ALARMS, max_radius=MAX_RADIUS,
            scan="virtual", scan_step_nm=10.0,
        )  # fmt: skip
        indexed = indexing.find_orientations(
            found, templates, crystals, n_best=2, min_spots=MIN_SPOTS,
            position_sigma=POSITION_SIGMA,
        )  # fmt: skip
        own = [phase for phase in PHASES if phase.name in assumed.candidates]
        phases = decisions.decide_phases(
            found, indexed, templates,
            CandidatePhases(
                crystals, [phase.parent_axes for phase in own],
                [phase.ion_content for phase in own],
            ),
            raw=(scan, geometry),
            min_spots=MIN_SPOTS, position_sigma=POSITION_SIGMA,
        )  # fmt: skip
        return Decided(truth, geometry, crystals, templates, found, indexed, phases)

    def analyse(self, film: Film, assumed: Assumed) -> Outcome:
        """What the decisions of a film are worth, beside its truth."""
        made = self.decide(film, assumed)
        geometry, truth = made.geometry, made.truth
        scale = np.sqrt(np.linalg.det(geometry["affine"]) / np.linalg.det(truth["affine"]))
        beyond = 0.5 * np.trace(made.phases["distortion"].values)
        off = [geometry[name].values - truth[name].values for name in ("centre_y", "centre_x")]
        return replace(
            gather(truth, made.phases, made.spots, made.crystals, scale / beyond - 1),
            centre_error=float(np.sqrt(np.mean(np.square(off).sum(axis=0)))),
        )

    def _once(self, key: tuple, make: Callable):
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _film(self, film: Film) -> tuple[Path, xr.Dataset]:
        name = hashlib.sha256(repr(film).encode()).hexdigest()[:16]
        path = self.folder / f"{name}.blo"
        grown = specimen.make_specimen(
            scan="virtual", material="nvpf",
            phases=[
                VirtualPhase.of_cif(phase.name, STRUCTURES / f"{phase.cif}.cif", phase.ion_content)
                for phase in PHASES
            ],
            ion_content=film.ion_content, insertion_model="all-or-none", seed=film.seed,
            shape=self.shape, grains=film.grains or self.grains,
            intensities=self._intensities(film, name),
        )  # fmt: skip
        truth = camera.simulate_scan(
            path, grown, scale_nominal=SCALE, scale_error=0.0, ellipse_ratio=film.ellipse_ratio,
            dose=film.dose, conditions=film.conditions,
        )  # fmt: skip
        return path, truth

    def _intensities(self, film: Film, name: str) -> Path:
        """The table of spots for a kind of mosaic."""
        source = MOSAIC if film.mosaic in ("tilted", "both") else bloch_waves.DATA_FILE
        if film.mosaic in ("none", "tilted"):
            return source
        path = self.folder / f"{name}.nc"
        table = turned(netcdf.read(source, bloch_waves.BLOCH_WAVES), MOSAIC_DEG)
        netcdf.write(table, path, bloch_waves.BLOCH_WAVES)
        return path

    def _templates(self, assumed: Assumed) -> tuple[list[Crystal], xr.Dataset]:
        wrong = dict(assumed.axial_error)
        crystals = [
            self._crystal(phase, wrong.get(phase.name, 0.0))
            for phase in PHASES
            if phase.name in assumed.candidates
        ]
        return crystals, simulate_templates(
            crystals, voltage_kv=VOLTAGE_KV, precession_deg=assumed.precession_deg,
            resolution_deg=2.0, max_radius=MAX_RADIUS,
        )  # fmt: skip

    def _crystal(self, phase: Phase, axial_error: float) -> Crystal:
        path = STRUCTURES / f"{phase.cif}.cif"
        if axial_error:
            text = stretched(path.read_text(), axial_error)
            path = self.folder / f"{phase.cif}_{axial_error:g}.cif"
            path.write_text(text)
        return read_crystal(path, name=phase.name)

    def _geometry(self, film: Film, assumed: Assumed) -> xr.Dataset:
        path, truth = self.film(film)
        scan = files.open_scan(path)
        if assumed.calibrated == "truth":
            geometry = calibrate_centres(
                scan, name="virtual", scale_nominal=SCALE, scale_search=0.0
            )
            return with_affine(geometry, truth["affine"].values)
        crystals, templates = self.templates(assumed)
        return calibrate(
            scan, name="virtual", crystals=crystals, templates=templates,
            scale_nominal=SCALE * assumed.scale_nominal, false_alarms=FALSE_ALARMS,
        )  # fmt: skip


def with_affine(geometry: xr.Dataset, affine: np.ndarray) -> xr.Dataset:
    """A CALIBRATION dataset with another matrix, and the scale that goes with it."""
    scale = np.sqrt(np.linalg.det(affine))
    return geometry.assign(
        affine=(geometry["affine"].dims, affine, geometry["affine"].attrs),
        scale=((), scale, geometry["scale"].attrs),
    )


def stretched(cif: str, axial_error: float) -> str:
    """The text of a CIF whose c/a, and c/b, is wrong by this share at the right volume."""
    import gemmi

    block = gemmi.cif.read_string(cif).sole_block()
    for axis, power in (("a", -1 / 3), ("b", -1 / 3), ("c", 2 / 3)):
        tag = f"_cell_length_{axis}"
        length = gemmi.cif.as_number(block.find_value(tag)) * (1 + axial_error) ** power
        block.set_pair(tag, f"{length:.6f}")
    return block.as_string()


def turned(table: xr.Dataset, rms_deg: float, copies: int = 9) -> xr.Dataset:
    """A BLOCH_WAVES dataset of crystals whose blocks are turned about the beam, rms_deg rms.

    Each spot becomes `copies` spots at the quantiles of a normal distribution of turns.
    """
    from scipy.stats import norm

    angle = norm.ppf((np.arange(copies) + 0.5) / copies)
    angle *= np.deg2rad(rms_deg) / np.sqrt(np.mean(angle**2))
    q = np.array([table["qx"].values, table["qy"].values], dtype=float)[..., None]
    names = [name for name in table.variables if name not in ("qx", "qy", "offset")]
    columns = {name: table[name].values for name in names}
    for name in ("hkl", "intensity"):
        columns[name] = np.repeat(columns[name], copies, axis=0)
    columns["intensity"] = columns["intensity"] / copies
    columns["qx"] = (q[0] * np.cos(angle) - q[1] * np.sin(angle)).ravel()
    columns["qy"] = (q[0] * np.sin(angle) + q[1] * np.cos(angle)).ravel()
    columns["offset"] = table["offset"].values * copies
    return netcdf.build(bloch_waves.BLOCH_WAVES, columns, table.attrs)


def gather(
    truth: xr.Dataset,
    phases: xr.Dataset,
    found: xr.Dataset,
    crystals: Sequence[Crystal],
    scale_error: float,
) -> Outcome:
    """Truth and answers side by side, the phases of both as in PHASES."""
    column = np.array([NAMES.index(name) for name in phases["phase"].values])
    count = found["count"].values.ravel()
    weight = truth["weight"].values.reshape(len(count), -1).astype(float)

    def widened(name: str, missing: float) -> np.ndarray:
        values = phases[name].values.reshape(len(count), len(column)).astype(float)
        wide = np.full((len(count), len(NAMES)), missing)
        wide[:, column] = values
        return np.where(np.isnan(values).all(axis=1, keepdims=True), np.nan, wide)

    decision = phases["decision"].values.ravel().astype(int)
    posterior = widened("posterior", 0.0)
    likeliest = np.nan_to_num(phases["posterior"].values.reshape(len(count), -1)).argmax(axis=1)
    low, high = observed_window(found)
    strays = -np.log(np.pi * (high**2 - low**2))
    best = phases["log_evidence"].values.reshape(len(count), -1)[np.arange(len(count)), likeliest]
    return Outcome(
        weight=weight,
        overlap=truth["overlap"].values.ravel() == 1,
        decision=np.where(decision >= 0, column[np.maximum(decision, 0)], decision),
        share=widened("share", 0.0),
        posterior=posterior,
        angle=_angles(truth, phases, likeliest, column, crystals),
        explained=phases["explained"].values.ravel(),
        misfit=phases["cell_misfit"].values.ravel(),
        evidence=best / np.maximum(count, 1) - strays,
        scale_error=float(scale_error),
        position_sigma=phases["position_sigma"].item(),
    )


def _angles(truth, phases, likeliest, column, crystals) -> np.ndarray:
    angle = np.full(len(likeliest), np.nan)
    for number, crystal in enumerate(crystals):
        own = likeliest == number
        found = phases["rotation"].values[:, :, number].reshape(-1, 4)[own].astype(float)
        true = truth["rotation"].values[:, :, column[number]].reshape(-1, 4)[own].astype(float)
        angle[own] = misorientation(true, found, crystal.symmetry)
    return angle


def summarise(outcomes: Sequence[Outcome], missing: str | None = None) -> dict:
    """Numbers of one case, its scans pooled; None where there is nothing to count.

    Shares are those of clear positions: no overlap, and one phase with at least 0.75 of the
    thickness; with a phase `missing` from the candidates, of those that hold it.

    Returns
    -------
    - positions: how many these are; right, wrong, mixed, undecided, vacuum: the share of each
      decision among them; accuracy_decided: right / (right + wrong);
    - right_others: right among the clear positions of the other phases;
    - expected_calibration_error of the likeliest phase, as `check_scan` has it, and
      posterior_true, the mean posterior of the true phase;
    - orientation_error_deg: median where the likeliest phase is the true one;
    - fraction_error_max: largest error of an area fraction among decided and mixed positions, over
      phases and scans;
    - explained, cell_misfit, evidence_per_spot, confidence: medians of the share of spots indexed,
      the refined cell's distance from the candidates', the log-evidence of the likeliest phase
      over that of strays, a spot, and the likeliest phase's posterior;
    - scale_error, position_sigma, centre_error: of the scan where each is largest;
    - vacuum_found, vacuum_false: share of the positions without a crystal, and of all with one,
      that are called vacuum; unindexed: share of clear positions.
    """
    pooled = {
        name: np.concatenate([getattr(outcome, name) for outcome in outcomes])
        for name in (
            "weight", "overlap", "decision", "posterior", "angle", "explained", "misfit",
            "evidence",
        )
    }  # fmt: skip
    weight, decision = pooled["weight"], pooled["decision"]
    true = weight.argmax(axis=1)
    clear = (weight.max(axis=1) >= CLEAR) & ~pooled["overlap"]
    asked = clear if missing is None else clear & (true == NAMES.index(missing))
    right = decision == true
    seen = asked & (decision != VACUUM)
    posterior = pooled["posterior"][seen]
    confidence, likeliest = posterior.max(axis=1), posterior.argmax(axis=1)
    crystal = weight.sum(axis=1) > 0
    scale_errors = [outcome.scale_error for outcome in outcomes]
    return {
        "positions": int(asked.sum()),
        "right": _mean(right[asked]),
        "wrong": _mean(((decision >= 0) & ~right)[asked]),
        "mixed": _mean((decision == MIXED)[asked]),
        "undecided": _mean(np.isin(decision, UNANSWERED)[asked]),
        "vacuum": _mean((decision == VACUUM)[asked]),
        "accuracy_decided": _mean(right[asked & (decision >= 0)]),
        "right_others": _mean(right[clear & ~asked]),
        "expected_calibration_error": (
            expected_calibration_error(confidence, likeliest == true[seen]) if seen.any() else None
        ),
        "posterior_true": _mean(posterior[np.arange(len(posterior)), true[seen]]),
        "orientation_error_deg": _median(pooled["angle"][seen][likeliest == true[seen]]),
        "fraction_error_max": max(fraction_error(outcome) for outcome in outcomes),
        "explained": _median(pooled["explained"][seen]),
        "cell_misfit": _median(pooled["misfit"][seen]),
        "evidence_per_spot": _median(pooled["evidence"][seen]),
        "confidence": _median(confidence),
        "scale_error": max(scale_errors, key=abs),
        "position_sigma": max(outcome.position_sigma for outcome in outcomes),
        "centre_error": max(outcome.centre_error for outcome in outcomes),
        "vacuum_found": _mean((decision == VACUUM)[~crystal]),
        "vacuum_false": _mean((decision == VACUUM)[crystal]),
        "unindexed": _mean((decision == UNINDEXED)[asked]),
    }


def fraction_error(outcome: Outcome) -> float:
    """Largest error of a phase's share of the area; 1 where nothing was decided."""
    crystal = outcome.weight.sum(axis=1) > 0
    known = np.isfinite(outcome.share).all(axis=1)
    if not known.any():
        return 1.0
    found, true = outcome.share[known].mean(axis=0), outcome.weight[crystal].mean(axis=0)
    return float(np.abs(found - true).max())


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def _median(values: np.ndarray) -> float | None:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else None


def measure(
    cases: Sequence[Case] = CASES,
    missing: Sequence[Case] = MISSING,
    conditions: Sequence[Case] = (),
    *,
    shape: tuple[int, int] = (32, 32),
    grains: int = 10,
    report: Callable[[str], None] = print,
) -> dict:
    """What the JSON file holds: `summarise` of every case, by its name.

    Each scan is filmed and analysed under all its cases by one process, on one thread.
    """
    tasks: dict[Film, list[Assumed]] = {}
    for case in (*cases, *missing, *conditions):
        for film in case.films:
            tasks.setdefault(film, []).append(case.assumed)
    with tempfile.TemporaryDirectory() as folder, _workers() as pool:
        done = pool.map(
            _analyse_all, [Path(folder)] * len(tasks), [shape] * len(tasks),
            [grains] * len(tasks), tasks.keys(), tasks.values(),
        )  # fmt: skip
        outcomes = {
            (film, assumed): outcome
            for (film, assumptions), found in zip(tasks.items(), done, strict=True)
            for assumed, outcome in zip(assumptions, found, strict=True)
        }
    result = {"cases": {}, "missing": {}, "conditions": {}}
    for key, of_kind in (("cases", cases), ("missing", missing), ("conditions", conditions)):
        for case in of_kind:
            lost = next((name for name in NAMES if name not in case.assumed.candidates), None)
            found = [outcomes[film, case.assumed] for film in case.films]
            answered = [outcome for outcome in found if outcome is not None]
            numbers = summarise(answered, lost) if answered else {}
            numbers["refused"] = len(found) - len(answered)
            result[key][case.name] = numbers
            report(f"{case.name}: {_told(numbers)}")
    return result


def _workers() -> ProcessPoolExecutor:
    # Spawned, so that each starts with the number of threads that it is told.
    return ProcessPoolExecutor(
        WORKERS, mp_context=multiprocessing.get_context("spawn"), initializer=threads.keep_to_one
    )


def _analyse_all(folder, shape, grains, film, assumptions) -> list[Outcome | None]:
    """What becomes of a film under each assumption; None where the analysis refuses it."""
    study, outcomes = Study(folder, shape, grains), []
    for assumed in assumptions:
        try:
            outcomes.append(study.analyse(film, assumed))
        except InputError as refusal:
            print(f"{film}: {refusal}")
            outcomes.append(None)
    return outcomes


def _told(numbers: dict) -> str:
    shares = ("right", "wrong", "mixed", "undecided")
    told = ", ".join(f"{name} {numbers[name]:.3f}" for name in shares if name in numbers)
    return told + (f", {numbers['refused']} refused" if numbers["refused"] else "")


def main(parts: Sequence[str]) -> None:
    from benchmarks.assumptions_figure import draw
    from phasefront.report.figures.style import save

    every = {"cases": CASES, "missing": MISSING, "conditions": CONDITIONS}
    if unknown := set(parts) - set(every):
        raise SystemExit(f"no such part: {', '.join(sorted(unknown))}; give {', '.join(every)}")
    chosen = {name: own if name in parts or not parts else () for name, own in every.items()}
    start = time.perf_counter()
    measured = measure(**chosen)
    result = json.loads(OUT.read_text()) if parts and OUT.exists() else {}
    result |= {name: measured[name] for name, own in chosen.items() if own}
    result |= {"machine": machine.describe(), "seconds": time.perf_counter() - start}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    unfinished = OUT.with_suffix(".part")
    unfinished.write_text(json.dumps(result, indent=1) + "\n")
    unfinished.replace(OUT)
    print(f"written to {OUT.relative_to(ROOT)}")
    if "cases" in result and "missing" in result:
        save(draw(result), FIGURE)
        print(f"drawn to {FIGURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
