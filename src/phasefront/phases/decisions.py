"""Which phase at every position: evidence, posterior, decision.

Correlation cannot tell phases apart whose spacings differ by 1 %; the positions of some twenty
spots can, once scale and ellipse are known well enough. These are the same over a scan, so they are
refined on all of it, within the errors of its calibration (see `distortion`); after that each phase
is refined at each position, and its evidence is the likelihood of the spots under all reflections
that it should show there (see `evidence`), and of the intensities in the raw pattern where phases
differ (see `forced`). A second lattice is looked for in the spots that the first leaves over (see
`overlaps`), and the refined cell tells what lies between two phases (see `lattices`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.diffraction import cell_path
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.optics import Optics, distortion_errors
from phasefront.diffraction.orientation_errors import orientation_stderr
from phasefront.diffraction.reflections import ReflectionTable, reflection_table
from phasefront.diffraction.spot_lists import Spots
from phasefront.diffraction.template_library import COARSE_DEG, Library
from phasefront.layouts.phases import PHASES
from phasefront.phases import kinship, overlaps
from phasefront.phases.alternatives import Alternatives
from phasefront.phases.distortion import contradiction, fit_distortion
from phasefront.phases.evidence import (
    Evidence,
    Starts,
    of_strays,
    posterior_of,
    weigh,
    weigh_more,
)
from phasefront.phases.lattices import Lattices, RefinedCells
from phasefront.phases.pairs import price
from phasefront.phases.raw_patterns import RawPatterns
from phasefront.phases.verdict import Limits, Verdict


def decide_phases(
    spots: xr.Dataset,
    orientations: xr.Dataset,
    templates: xr.Dataset,
    candidates: CandidatePhases,
    *,
    raw: tuple | None = None,
    min_spots: int = 5,
    position_sigma: float = 0.005,
    centre_sigma: float = 0.001,
    decide_above: float = 0.95,
    min_explained: float = 0.5,
    max_residual: float = 1.1,
    mixed_prior: float = 0.2,
    cell_tolerance: float = 0.002,
    max_misfit: float = 4.0,
    prior: Sequence[float] | None = None,
    candidate_cells: Mapping[str, xr.Dataset] | None = None,
) -> xr.Dataset:
    """Evidence, posterior and decision at every position.

    Parameters
    ----------
    spots, orientations, templates
        SPOTS, ORIENTATIONS and TEMPLATES datasets of one scan. What SPOTS say of the errors of
        scale and ellipse is what these may differ from the calibration's by.
    candidates
        The phases, in the orientations' order. If they share a lattice, and their ion contents are
        known, the refined cells are read on the path from one to the next (see `cell_path`).
    raw
        The scan (see `scans.open_scan`) and its CALIBRATION dataset, to measure intensities in the
        patterns; None where there are peaks only.
    min_spots
        A position with fewer spots is `vacuum` where its background is that of the scan's empty
        places (see `vacuum.find_vacuum`), else `unindexed`. A list of peaks tells no background:
        there all are taken for vacuum.
    position_sigma
        Largest standard error of a spot's position, 1/angstrom; the scan's own is measured on it.
    centre_sigma
        Standard error of a pattern's centre, 1/angstrom.
    decide_above
        The posterior that a decision needs; otherwise the position is `undecided`.
    min_explained, max_residual
        The lattices must index this share of the spots, otherwise the position is `unindexed`, with
        an rms distance of at most this many standard errors, otherwise it is `undecided`, because
        what is there may be none of the candidates. Their lattice must be likelier than strays, at
        odds of `pairs.ODDS`, for having been chosen among all orientations of all phases.
    mixed_prior
        Share of positions, beforehand, whose cell lies anywhere between two phases', or that hold
        two phases of one grain.
    cell_tolerance, max_misfit
        Relative error of the CIFs' cells, and how many standard errors, with it, a refined cell may
        be away from the candidates' and from what lies between them, and the mean cell of a
        position's region (neighbours of one phase and orientation) from that phase's; otherwise
        `undecided`. So a missing phase shows, although one position tells little of a cell 1 % off.
    prior
        Probability of each phase before the pattern is seen; equal where None.
    candidate_cells
        CANDIDATE_CELL datasets of those phases whose cell has other errors than `cell_tolerance`.

    Returns a PHASES dataset; `notes` says where the scan's grains contradict its calibration.
    Reliability is 1 - next best / best score of two phases.
    """
    crystals, path = candidates.crystals, cell_path.Path.of(candidates)
    library = Library.prepare(templates, crystals, COARSE_DEG)
    limits = Limits(min_spots, decide_above, min_explained, max_residual, max_misfit)
    optics = Optics.of(templates, spots, position_sigma=position_sigma, centre_sigma=centre_sigma)
    table = reflection_table(crystals, max_radius=optics.window[1])
    measured, starts = Spots.of(spots), Starts.of(orientations)

    # 1, 2. Scale and ellipse of the scan; then each candidate phase at each position.
    distortion, distortion_covariance, optics = fit_distortion(
        measured, starts, table, optics, crystals, distortion_errors(spots), prior
    )
    every = measured.undistorted(distortion)
    evidence = weigh(every, starts, table, optics)
    lent = kinship.missing_starts(evidence, candidates)
    evidence, starts = weigh_more(evidence, every, starts, lent, table, optics)
    # 3, 4. Where phases promise different intensities and no spot was found, the raw pattern.
    # The same tells between orientations that a pattern hardly tells apart.
    alternatives = Alternatives.of(evidence.likeliest, evidence, every, candidates, table, optics)
    patterns = RawPatterns.measure(
        raw, every, (evidence, alternatives.open()), table, optics, distortion
    )
    forced, forced_of_alternatives = patterns.forced_evidence
    alternatives = alternatives.weighed(forced_of_alternatives)
    evidence = alternatives.chosen(evidence)
    posterior = posterior_of(evidence.log_evidence, forced, prior)
    alternatives = alternatives.of_others(
        posterior.argmax(axis=1), False, evidence, every, candidates, table, optics
    )
    evidence = alternatives.chosen(evidence)
    starts = starts.refined(evidence.refined)
    # 5, 6. The likeliest phase's lattice; what it leaves over is indexed by itself. Without those
    # spots the first lattice is weighed, and its cell refined, again.
    first = Lattices.of(every, evidence, posterior, crystals, table, optics)
    over_strays = _over_strays(every, evidence, posterior, library, optics)
    pairs = overlaps.find_pairs(
        every, first, starts, evidence, library, candidates, table, optics, min_spots=min_spots,
        mixed_prior=mixed_prior,
    )  # fmt: skip
    second, evidence = overlaps.settle(
        pairs, every, first, starts, evidence, candidates, table, optics
    )
    alone, two = every.without(second.claimed), second.phase >= 0
    alone_forced = np.where(second.turned[:, None], 0.0, forced)
    posterior = posterior_of(evidence.log_evidence, alone_forced, prior)
    alternatives = alternatives.of_others(
        posterior.argmax(axis=1), two, evidence, alone, candidates, table, optics
    )
    evidence = alternatives.chosen(evidence)
    anew = Lattices.of(
        alone, evidence, posterior, crystals, table, optics, two, second.shared[~second.claimed]
    )
    first = first.renewed(anew, two, second.claimed)
    stderr = _orientation_stderr(alone, evidence, posterior, table, optics)
    errors = [_cell_errors((candidate_cells or {}).get(c.name), cell_tolerance) for c in crystals]
    cell = RefinedCells.of(
        spots["count"].shape, first, crystals, path, errors, distortion_covariance, mixed_prior
    )
    # 7. The decision, or none.
    posterior = pairs.best().doubted(posterior, two)
    verdict = Verdict.of(
        every, alone, posterior, first, cell, second,
        posterior_of(second.log_evidence, 0.0, prior),
        patterns.find_vacuum(spots, min_spots).ravel(), over_strays, limits,
        optics.position_sigma,
    )  # fmt: skip
    return _on_map(
        spots, orientations, candidates, limits, distortion, optics, evidence,
        forced, posterior, cell, second, verdict, alternatives, stderr, over_strays,
    )  # fmt: skip


def _over_strays(
    spots: Spots, evidence: Evidence, posterior: np.ndarray, library: Library, optics: Optics
) -> np.ndarray:
    """Log-odds (positions,) of the likeliest phase's lattice against strays, of which chance gives
    the best of all templates and azimuths as many (a Bonferroni correction)."""
    gained = evidence.log_evidence - of_strays(spots.numbers[:, None], optics)
    likeliest = posterior.argmax(axis=1)
    return gained[np.arange(len(likeliest)), likeliest] - price(library)


def _orientation_stderr(
    spots: Spots, evidence: Evidence, posterior: np.ndarray, table: ReflectionTable, optics: Optics
) -> np.ndarray:
    """Of the likeliest phase at each position, degrees; NaN where it has no orientation."""
    phase = posterior.argmax(axis=1)
    best = evidence.best_of(phase)
    at, out = np.flatnonzero(best >= 0), np.full(len(phase), np.nan)
    refined = evidence.refined.taken(best[at])
    out[at] = orientation_stderr(spots, at, phase[at], refined, table, optics)
    return out


def _cell_errors(candidate: xr.Dataset | None, tolerance: float) -> np.ndarray:
    """Covariance (6, 6) of the strain that a candidate's own cell is off by."""
    errors = tolerance**2 * np.eye(6)
    if candidate is not None:
        known = candidate["strain_covariance"].to_numpy()
        errors[: len(known), : len(known)] = known
    return errors


def _on_map(
    spots: xr.Dataset, orientations: xr.Dataset, candidates: CandidatePhases, limits: Limits,
    distortion: np.ndarray, optics: Optics, evidence: Evidence, forced: np.ndarray,
    posterior: np.ndarray, cell: RefinedCells, second: overlaps.Second, verdict: Verdict,
    alternatives: Alternatives, stderr: np.ndarray, over_strays: np.ndarray,
) -> xr.Dataset:  # fmt: skip
    """PHASES; what rests on spots alone is NaN where there are too few."""
    shape = spots["count"].shape
    everywhere = {
        "rotation": evidence.rotation, "orientation_stderr": stderr,
        "scale_factor": evidence.scale_factor, "centre": evidence.centre,
        "log_evidence": evidence.log_evidence,
        "forced_evidence": forced, "posterior": posterior,
        "decision": verdict.decision, "share": verdict.share,
        "second_phase": second.phase, "second_rotation": second.rotation,
        "second_share": verdict.second_share, "second_probability": second.probability,
        **alternatives.variables(
            np.where(verdict.decision >= 0, verdict.decision, posterior.argmax(axis=1))
        ),
    }  # fmt: skip
    few = spots["count"].values.ravel() < limits.min_spots
    of_spots = {"explained": verdict.explained, "over_strays": over_strays, **cell.variables()}
    for name, values in of_spots.items():
        everywhere[name] = np.where(few.reshape(-1, *[1] * (values.ndim - 1)), np.nan, values)
    return netcdf.build(
        PHASES,
        {
            "phase": candidates.names,
            "distortion": distortion,
            "position_sigma": optics.position_sigma,
            "reliability": reliability_of(orientations["score"].values),
            **{
                name: values.reshape(*shape, *values.shape[1:])
                for name, values in everywhere.items()
            },
        },
        {
            "scan": spots.attrs["scan"],
            "scan_step_nm": spots.attrs["scan_step_nm"],
            "map_by": "",
            "decide_above": float(limits.decide_above),
            "min_explained": float(limits.min_explained),
            "max_misfit": float(limits.max_misfit),
            "notes": contradiction(distortion, distortion_errors(spots)),
        },
    )


def reliability_of(score: np.ndarray) -> np.ndarray:
    """1 - next best / best score of two phases (y, x); 1 where there is one phase, 0 where none."""
    best = np.sort(np.nan_to_num(score[..., 0]), axis=-1)
    next_best = best[..., -2] if best.shape[-1] > 1 else np.zeros(best.shape[:-1])
    top = best[..., -1]
    return np.where(top > 0, 1.0 - next_best / np.where(top > 0, top, 1.0), 0.0)
