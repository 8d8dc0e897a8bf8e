"""How often the 95 % intervals of phase fractions hold the truth, on many small virtual scans.

Each scan shows a few grains of a population whose phase fractions are known, and goes through the
same steps as a real one, from spot lists on. Grains react independently of each other and of their
size, so the fraction of the population is what the fractions of a scan are drawn around:

- by volume it is the share that grains are drawn with (`particles.draw_shares`), and formula units
  follow from it;
- by area it is the same where whole grains react. Cores and fronts lie in thicker parts of a grain
  than shells do, so there the area that a volume share covers is measured on grains of the same
  population (`covered_area`) and averaged over the shares.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from phasefront.confusion import simulation
from phasefront.core import netcdf
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.experiment.settings.candidates import Candidates
from phasefront.experiment.settings.coverage import SCANS_IN_A_PART, CoverageSettings
from phasefront.experiment.settings.fractions import FractionSettings
from phasefront.experiment.settings.grains import GrainSettings
from phasefront.experiment.settings.instruments import Instrument
from phasefront.experiment.settings.orientations import OrientationSettings
from phasefront.experiment.settings.phases import PhaseSettings
from phasefront.experiment.settings.spots import SpotSettings
from phasefront.experiment.settings.virtual import Virtual
from phasefront.fractions import estimation
from phasefront.grains import segmentation
from phasefront.layouts.templates import TEMPLATES
from phasefront.orientations.indexing import find_orientations
from phasefront.phases import decisions
from phasefront.virtual import particles, specimen, spot_lists

# Volume shares, and fields of grains at each, at which the covered area is measured.
_SHARES = np.array([0, 0.01, 0.03, 0.07, 0.15, 0.3, 0.5, 0.7, 0.85, 0.93, 0.97, 0.99, 1])
_FIELDS = 32  # at each share
_STEP_NM = 10.0  # as in the demo


@dataclass(frozen=True)
class Study:
    """What all scans of a study share: sections of the config, and files."""

    material: Candidates
    virtual: Virtual
    instrument: Instrument
    spots: SpotSettings
    orientations: OrientationSettings
    phases: PhaseSettings
    grains: GrainSettings
    fractions: FractionSettings
    coverage: CoverageSettings
    cifs: Sequence[Path]  # of the phases
    templates: Path  # TEMPLATES of the instrument
    intensities: Path  # table of Bloch waves
    seed: int


def plan_scans(settings: CoverageSettings, contents: Sequence[float], seed: int):
    """One row a scan: ion_content, insertion_model, grains, dose, seed.

    Every value of each of these comes in equally many scans, in an order of its own; doses are
    uniform on a logarithmic scale. `contents` are the ions per formula unit of the phases.
    """
    rng = np.random.default_rng([seed, 0])
    ordered = np.sort(contents)

    def balanced(values: Sequence) -> np.ndarray:
        return rng.permutation(np.resize(np.asarray(values), settings.scans))

    pair, rich = balanced(range(len(ordered) - 1)), balanced(settings.rich)
    return pd.DataFrame(
        {
            "scan": np.arange(1, settings.scans + 1),
            "ion_content": ordered[pair] + rich * (ordered[pair + 1] - ordered[pair]),
            "insertion_model": balanced(particles.INSERTION_MODELS),
            "grains": balanced(settings.grains),
            "dose": np.exp(rng.uniform(*np.log(settings.dose), settings.scans)),
            "seed": rng.integers(2**31, size=settings.scans),
        }
    )


def run(
    study: Study, part: int, *, report: Callable[[str], None] = lambda line: None
) -> pd.DataFrame:
    """One row for each scan of a part of the plan, kind of fraction and phase.

    Columns: those of `plan_scans`; kind; phase; role (rich or poor in ions, or absent);
    the fraction of the population and of the scanned area; found and unfolded; low and
    high; share of the crystal that is undecided; effective grains. `report`
    gets a line after each scan. A part has `SCANS_IN_A_PART` scans, whatever others do.
    """
    prepared = _prepare(study)
    plan = plan_scans(study.coverage, study.material.ion_contents, study.seed)
    plan = plan.iloc[part * SCANS_IN_A_PART : (part + 1) * SCANS_IN_A_PART]
    shape, thickness = study.coverage.shape, study.virtual.thickness_nm
    area_of = cache(lambda model, grains: covered_area(model, grains, shape, thickness, study.seed))
    rows, started = [], time.monotonic()
    for number, one in enumerate(plan.to_dict("records"), start=1):
        curve = area_of(one["insertion_model"], one["grains"])
        rows.extend(_rows(prepared, one, _analyse(prepared, one), curve))
        report(f"{number} of {len(plan)} scans, {time.monotonic() - started:.0f} s")
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Prepared:
    """What is the same for all scans."""

    study: Study
    candidates: CandidatePhases
    templates: xr.Dataset


def _prepare(study: Study) -> _Prepared:
    return _Prepared(
        study,
        CandidatePhases.read(
            study.cifs,
            study.material.names,
            parent_axes=study.material.shared_lattice.axes,
            ion_contents=study.material.ion_contents,
            formula_units=study.material.formula_units,
            parent_point_group=study.material.parent_point_group,
        ),
        netcdf.read(study.templates, TEMPLATES),
    )


def covered_area(
    model: str,
    count: int,
    shape: tuple[int, int],
    thickness_nm: tuple[float, float],
    seed: int,
) -> np.ndarray:
    """Share of the area that the ion-rich phase covers if all grains have one of `_SHARES` by
    volume, mean over `_FIELDS` fields of `count` grains; columns count by their shares."""
    if model == "all-or-none":
        return _SHARES
    rng = np.random.default_rng([seed, 1, count, particles.INSERTION_MODELS.index(model)])
    covered, area = np.zeros(len(_SHARES)), 0
    for _ in range(_FIELDS):
        shapes = particles.make_grains(
            shape, count=count, scan_step_nm=_STEP_NM, thickness_nm=thickness_nm, rng=rng
        )
        fronts = rng.normal(size=(count, 3))
        fronts /= np.linalg.norm(fronts, axis=1, keepdims=True)
        total = shapes.thickness.sum(axis=0)
        crystal = total > 0
        for number, share in enumerate(_SHARES):
            rich = particles.react(
                shapes, np.full(count, share), model=model, front_directions=fronts,
                scan_step_nm=_STEP_NM,
            )  # fmt: skip
            amount = (rich * shapes.thickness).sum(axis=0)
            covered[number] += np.sum(amount[crystal] / total[crystal])
        area += crystal.sum()
    return covered / area


@dataclass(frozen=True)
class _Analysed:
    """A scan's truth, and what the analysis makes of it up to its fractions."""

    grown: specimen.Specimen
    truth: xr.Dataset
    diffuse: np.ndarray  # (y, x)
    phases: xr.Dataset
    grains: xr.Dataset
    confusion: xr.Dataset


def _analyse(prepared: _Prepared, planned: dict) -> _Analysed:
    """Simulate a scan and take it through the run's own steps with the run's own settings."""
    study, candidates, templates = prepared.study, prepared.candidates, prepared.templates
    material = study.material
    grown = specimen.make_specimen(
        scan=f"scan {planned['scan']}",
        material=study.virtual.material,
        phases=[
            particles.VirtualPhase.of_cif(phase.name, phase.cif, phase.ion_content)
            for phase in material.phases
        ],
        ion_content=planned["ion_content"],
        insertion_model=planned["insertion_model"],
        seed=planned["seed"],
        shape=study.coverage.shape,
        scan_step_nm=_STEP_NM,
        grains=planned["grains"],
        thickness_nm=study.virtual.thickness_nm,
        independent=True,
        intensities=study.intensities,
    )
    spots, truth = spot_lists.simulate_spots(
        grown, scale=study.instrument.scale, dose=planned["dose"], seed=planned["seed"],
        max_radius=study.spots.max_radius,
    )  # fmt: skip
    indexing = {
        "n_best": study.orientations.n_best, "min_spots": study.orientations.min_spots,
        "position_sigma": study.spots.position_sigma,
    }  # fmt: skip
    deciding = {"position_sigma": study.spots.position_sigma, **study.phases.model_dump()}
    oriented = find_orientations(spots, templates, candidates.crystals, **indexing)
    phases = decisions.decide_phases(spots, oriented, templates, candidates, **deciding)
    found = segmentation.find_grains(
        phases, candidates, scan_step_nm=_STEP_NM, **study.grains.model_dump()
    )
    confused = simulation.simulate_confusion(
        spots, phases, found, templates, candidates,
        positions=study.coverage.simulated, orientation_settings=indexing,
        phase_settings=deciding, seed=planned["seed"],
    )  # fmt: skip
    diffuse = spot_lists.simulate_diffuse(grown, seed=planned["seed"])
    return _Analysed(grown, truth, diffuse, phases, found, confused)


# Columns of the table, and variables of FRACTIONS that they come from.
_COLUMNS = {
    "found": "found", "unfolded": "value", "low": "low", "high": "high",
}  # fmt: skip


def _rows(prepared: _Prepared, planned: dict, analysed: _Analysed, curve: np.ndarray) -> list[dict]:
    """What the scan's fractions are and should be."""
    study, material = prepared.study, prepared.study.material
    grown, truth = analysed.grown, analysed.truth
    found = estimation.phase_fractions(
        analysed.phases, analysed.grains, analysed.confusion, diffuse=analysed.diffuse,
        ion_contents=material.ion_contents,
        formula_volumes=prepared.candidates.formula_volumes,
        thickness_exponent=study.fractions.thickness_exponent, draws=study.fractions.draws,
        seed=planned["seed"],
    )  # fmt: skip
    volumes = np.array(truth.attrs["phase_formula_volume"])
    population = of_population(grown, curve, volumes)
    scanned = of_area(truth, volumes)
    crystal = int(np.sum(truth["thickness"].to_numpy() > 0))
    role = np.full(len(material.phases), "absent", dtype=object)
    role[grown.poor], role[grown.rich] = "poor", "rich"
    return [
        {
            **planned, "kind": kind, "phase": name, "role": role[number],
            "population": population[kind][number], "scanned": scanned[kind][number],
            **{
                column: float(found[variable].sel(kind=kind, phase=name))
                for column, variable in _COLUMNS.items()
            },
            "undecided": int(found["undecided"] + found["unindexed"]) / crystal,
            "effective_grains": float(found["effective_grains"]),
        }
        for kind in found["kind"].to_numpy()
        for number, name in enumerate(material.names)
    ]  # fmt: skip


def of_population(grown: specimen.Specimen, curve: np.ndarray, volumes: np.ndarray) -> dict:
    """Fractions (phase,) of the population that the grains were drawn from, by kind."""
    model = grown.attributes["insertion_model"]
    by_area = grown.rich_share
    if model != "all-or-none":
        shares, weights = particles.population_shares(grown.rich_share)
        by_area = np.interp(shares, _SHARES, curve) @ weights

    def both(rich: float) -> np.ndarray:
        out = np.zeros(len(volumes))
        out[grown.poor] += 1 - rich
        out[grown.rich] += rich
        return out

    return _with_molar(both(by_area), both(grown.rich_share), volumes)


def of_area(truth: xr.Dataset, volumes: np.ndarray) -> dict:
    """Fractions (phase,) of the scanned area itself, by kind."""
    weight, thickness = (truth[name].to_numpy().astype("f8") for name in ("weight", "thickness"))
    return _with_molar(
        weight[thickness > 0].mean(axis=0), np.average(
            weight.reshape(-1, len(volumes)), axis=0, weights=thickness.ravel()
        ), volumes,
    )  # fmt: skip


def _with_molar(area: np.ndarray, volume: np.ndarray, formula_volumes: np.ndarray) -> dict:
    amount = volume / formula_volumes
    return {"area": area, "thickness": volume, "molar": amount / amount.sum()}
