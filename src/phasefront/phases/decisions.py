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

from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.diffraction import cell_path
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.likelihood import (
    LOCAL_SCALE_SIGMA,
)
from phasefront.diffraction.optics import Experiment
from phasefront.diffraction.reflections import ReflectionTable, reflection_table
from phasefront.diffraction.spot_lists import observed_window, owner, spot_arrays, without
from phasefront.diffraction.template_library import COARSE_DEG, Library
from phasefront.layouts.phases import MIXED, PHASES, UNDECIDED, UNINDEXED, VACUUM
from phasefront.phases import forced, overlaps, vacuum
from phasefront.phases.distortion import fit_distortion, undistorted
from phasefront.phases.evidence import (
    Candidates,
    Evidence,
    SpotArrays,
    posterior_of,
    refine_candidates,
    replaced,
    weigh,
)
from phasefront.phases.lattices import CLEAR, Lattices, RefinedCells

_FALSE_ALARMS = 0.1  # spots a pattern that noise makes, where the spots do not say


def decide_phases(
    spots: xr.Dataset,
    orientations: xr.Dataset,
    templates: xr.Dataset,
    crystals: Sequence[Crystal],
    *,
    raw: tuple | None = None,
    path: cell_path.Path | None = None,
    min_spots: int = 5,
    position_sigma: float = 0.005,
    distortion_sigma: float = 0.003,
    local_scale_sigma: float = LOCAL_SCALE_SIGMA,
    centre_sigma: float = 0.001,
    decide_above: float = 0.95,
    min_explained: float = 0.5,
    max_residual: float = 1.1,
    mixed_prior: float = 0.2,
    cell_tolerance: float = 0.002,
    max_misfit: float = 4.0,
    prior: Sequence[float] | None = None,
) -> xr.Dataset:
    """Evidence, posterior and decision at every position.

    Parameters
    ----------
    spots, orientations, templates
        SPOTS, ORIENTATIONS and TEMPLATES datasets of one scan.
    crystals
        The phases, in the orientations' order.
    raw
        The scan (see `scans.open_scan`) and its CALIBRATION dataset, to measure intensities in the
        patterns; None where there are peaks only.
    path
        How the cell of the lattice that phases share changes with the ion content.
    min_spots
        A position with fewer spots is `vacuum` where its background is that of the scan's empty
        places (see `vacuum.find_vacuum`), else `unindexed`. A list of peaks tells no background:
        there all are taken for vacuum.
    position_sigma
        Largest standard error of a spot's position, 1/angstrom; the scan's own is measured on it.
    centre_sigma
        Standard error of a pattern's centre, 1/angstrom.
    distortion_sigma, local_scale_sigma
        Relative standard errors of what the calibration says of the scan's scale and ellipse, and
        of one pattern's scale about the scan's (height, local strain).
    decide_above
        The posterior that a decision needs; otherwise the position is `undecided`.
    min_explained, max_residual
        The lattices must index this share of the spots, otherwise the position is `unindexed`, with
        an rms distance of at most this many standard errors, otherwise it is `undecided`, because
        what is there may be none of the candidates.
    mixed_prior
        Share of positions, beforehand, whose cell lies anywhere between two phases'.
    cell_tolerance, max_misfit
        Relative error of the CIFs' cells, and how many standard errors, with it, a refined cell may
        be away from the candidates' and from what lies between them, and the mean cell of a
        position's region (neighbours of one phase and orientation) from that phase's; otherwise
        `undecided`. So a missing phase shows, although one position tells little of a cell 1 % off.
    prior
        Probability of each phase before the pattern is seen; equal where None.

    Returns a PHASES dataset. Its attributes `scale`, `stretch` and `shear` say what distortion was
    found on top of the calibration, `position_sigma` the error of spots that remained. Reliability
    is 1 - next best / best score of two phases.
    """
    shape = spots["count"].shape
    experiment = Experiment(
        voltage_kv=templates.attrs["voltage_kv"],
        precession_deg=templates.attrs["precession_deg"],
        window=observed_window(spots),
        position_sigma=position_sigma,
        scale_sigma=distortion_sigma,
        centre_sigma=centre_sigma,
    )
    arrays = spot_arrays(spots)
    table = reflection_table(crystals, max_radius=experiment.window[1])
    candidates = Candidates.of(orientations)
    distortion, experiment = fit_distortion(
        arrays, candidates, table, experiment, crystals, local_scale_sigma, prior
    )
    freed = undistorted(arrays, distortion)
    evidence = weigh(freed, candidates, table, experiment)
    intensities = np.zeros(evidence.log_evidence.shape)
    empty = spots["count"].values < min_spots
    if raw is not None:
        intensities, level = _force(freed, evidence, table, experiment, distortion, *raw)
        empty = vacuum.find_vacuum(
            spots["count"].values, level, min_spots=min_spots,
            false_alarms=spots.attrs.get("false_alarms", _FALSE_ALARMS),
        )  # fmt: skip
    posterior = posterior_of(evidence.log_evidence, intensities, prior)
    found = Lattices.of(freed, evidence, posterior, crystals, table, experiment)
    second = overlaps.find_second(
        freed, found.explained, Library.prepare(templates, crystals, COARSE_DEG), table, experiment,
        min_spots=min_spots,
    )  # fmt: skip
    # Without the spots of the second lattice the first one is weighed, and its cell refined, again.
    alone = without(freed, second.claimed)
    again = np.flatnonzero(second.phase[candidates.position] >= 0)
    refined = replaced(
        evidence.refined,
        again,
        refine_candidates(alone, candidates.taken(again), table, experiment),
    )
    evidence = Evidence.of(alone, candidates, refined, experiment)
    posterior = posterior_of(evidence.log_evidence, intensities, prior)
    found = Lattices.of(alone, evidence, posterior, crystals, table, experiment)
    cell = RefinedCells.of(shape, found, crystals, path, cell_tolerance, mixed_prior)

    count = np.diff(arrays[0])
    indexed = found.count + np.bincount(owner(arrays[0])[second.claimed], minlength=len(count))
    explained = indexed / np.maximum(count, 1)
    fits = (
        (explained >= min_explained)
        & (found.residual <= max_residual * experiment.position_sigma * np.sqrt(2))
        & (cell.misfit <= max_misfit)
    )
    of_second = _amplitude(freed, second.claimed)
    second_share = of_second / np.maximum(of_second + _amplitude(alone, found.explained), 1e-300)
    decision, share = _decide(
        posterior, fits, fits & (cell.phase_misfit <= max_misfit), cell, second,
        second_share, posterior_of(second.log_evidence, 0.0, prior), decide_above,
    )  # fmt: skip
    few = count < min_spots
    decision[(decision == UNDECIDED) & (explained < min_explained)] = UNINDEXED
    decision[few], share[few] = UNINDEXED, np.nan
    decision[empty.ravel()] = VACUUM

    def on_map(values: np.ndarray) -> np.ndarray:
        return np.where(few.reshape(-1, *[1] * (values.ndim - 1)), np.nan, values).reshape(
            *shape, *values.shape[1:]
        )

    return netcdf.build(
        PHASES,
        {
            "phase": [crystal.name for crystal in crystals],
            "rotation": evidence.rotation.reshape(*shape, -1, 4),
            "log_evidence": evidence.log_evidence.reshape(*shape, -1),
            "forced_evidence": intensities.reshape(*shape, -1),
            "posterior": posterior.reshape(*shape, -1),
            "decision": decision.reshape(shape),
            "share": share.reshape(*shape, -1),
            "reliability": _reliability(orientations["score"].values),
            "explained": on_map(explained),
            "cell": on_map(cell.parameters),
            "cell_covariance": on_map(cell.covariance),
            "cell_misfit": on_map(cell.misfit),
            "phase_misfit": on_map(cell.phase_misfit),
            "axial_ratio": on_map(cell.axial_ratio),
            "axial_ratio_stderr": on_map(cell.axial_ratio_stderr),
            "ion_content": on_map(cell.ion_content),
            "ion_content_stderr": on_map(cell.ion_content_stderr),
            "second_phase": second.phase.reshape(shape),
            "second_rotation": second.rotation.reshape(*shape, 4),
            "second_share": second_share.reshape(shape),
        },
        {
            "scan": spots.attrs["scan"],
            "map_by": "",
            "decide_above": float(decide_above),
            "min_explained": float(min_explained),
            "max_misfit": float(max_misfit),
            "position_sigma": experiment.position_sigma,
            "scale": float(0.5 * (distortion[0, 0] + distortion[1, 1])),
            "stretch": float(0.5 * (distortion[0, 0] - distortion[1, 1])),
            "shear": float(distortion[0, 1]),
        },
    )


def _force(
    freed: SpotArrays, evidence: Evidence, table: ReflectionTable, experiment: Experiment,
    distortion: np.ndarray, scan, calibration: xr.Dataset,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Log-likelihood (positions, phases) of intensities in the raw patterns where phases differ,
    and the background (y, x, zone) between the spots."""
    radius = calibration["spot_radius"].item()
    places = forced.find_places(
        freed, evidence.refined, evidence.best, table, experiment,
        spot_radius=radius * calibration["scale"].item(),
    )  # fmt: skip
    pixel = places.q @ (np.linalg.inv(calibration["affine"].values) @ distortion).T
    x = pixel[:, 0] + calibration["centre_x"].values.ravel()[places.position]
    y = pixel[:, 1] + calibration["centre_y"].values.ravel()[places.position]
    mask = calibration["mask"].values
    measured = np.empty((len(x), 2))
    columns = scan.shape[1]
    centres = np.stack([calibration[name].values.ravel() for name in ("centre_y", "centre_x")], 1)
    background = vacuum.Background(
        mask.astype(bool), centres.mean(axis=0), calibration["beam_radius"].item(), radius
    )
    level = []
    for rows, block in scan.blocks():
        own = slice(*np.searchsorted(places.position, [rows.start * columns, rows.stop * columns]))
        patterns = block.reshape(-1, *block.shape[2:])
        of_block = slice(rows.start * columns, rows.stop * columns)
        level.append(background.levels(patterns, centres[of_block]))
        measured[own] = forced.measure(
            patterns, places.position[own] - rows.start * columns,
            x[own], y[own], radius, mask,
        )  # fmt: skip
    level = np.concatenate(level).reshape(*scan.shape[:2], -1)
    return forced.weigh(places, measured, len(freed[0]) - 1), level


def _amplitude(arrays: SpotArrays, chosen: np.ndarray) -> np.ndarray:
    """Summed amplitude (positions,) of the chosen spots (spots,): it grows with the thickness.

    Intensities grow with its square where scattering is kinematic; on Bloch-wave patterns shares by
    amplitude are nearer to those of the thickness (rms 0.10 to 0.16, by intensity 0.11 to 0.21).
    """
    offset, _, _, intensity = arrays
    amplitude = np.sqrt(intensity[chosen])
    return np.bincount(owner(offset)[chosen], amplitude, minlength=len(offset) - 1)


def _decide(
    posterior: np.ndarray, fits: np.ndarray, fits_phase: np.ndarray, cell: RefinedCells,
    second: overlaps.Second, second_share: np.ndarray, second_posterior: np.ndarray,
    decide_above: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Decision (positions,) and shares (positions, phases), NaN where undecided.

    One lattice: its phase, if sure and if its cell `fits_phase` (positions,); mixed, if the cell
    lies between two phases. Two lattices: their phase, if it is the same for sure; mixed, if they
    are of two phases for sure; the first one's alone, if the second is weak.
    """
    every, one_of = np.arange(len(posterior)), np.eye(posterior.shape[1])
    phase = posterior.argmax(axis=1)
    sure = fits_phase & (posterior[every, phase] > decide_above)
    mixed = fits & (cell.mixed > 0.5)
    share = np.where(mixed[:, None], cell.share, one_of[phase])
    known = sure | mixed

    two = second.phase >= 0
    sure_of_second = second_posterior[every, second.phase] > decide_above
    known &= ~two | sure_of_second | (second_share <= 1 - CLEAR)
    both = two & sure_of_second
    weight = np.where(both, second_share, 0.0)[:, None]
    share = (1 - weight) * share + weight * one_of[second.phase]
    mixed = np.where(two, share.max(axis=1) < CLEAR, mixed)
    decision = np.where(mixed, MIXED, share.argmax(axis=1))
    # What is decided counts whole; what is mixed, by its shares.
    share = np.where(mixed[:, None], share, one_of[share.argmax(axis=1)])
    return np.where(known, decision, UNDECIDED), np.where(known[:, None], share, np.nan)


def _reliability(score: np.ndarray) -> np.ndarray:
    """1 - next best / best score of two phases (y, x); 1 where there is one phase, 0 where none."""
    best = np.sort(np.nan_to_num(score[..., 0]), axis=-1)
    next_best = best[..., -2] if best.shape[-1] > 1 else np.zeros(best.shape[:-1])
    top = best[..., -1]
    return np.where(top > 0, 1.0 - next_best / np.where(top > 0, top, 1.0), 0.0)
