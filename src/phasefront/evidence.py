"""Which phase: evidence of each candidate at every position, posterior, decision.

Correlation cannot tell phases apart whose spacings differ by 1 %; the positions of some twenty
spots can, once scale and ellipse are known well enough. These are the same over a scan, so they are
refined on all of it, within the errors of its calibration; after that each phase is refined at each
position, and its evidence is the likelihood of the spots under all reflections that it should show
there (see `refinement`), and of the intensities in the raw pattern where phases differ (see
`forced`). A second lattice is looked for in the spots that the first leaves over (see `overlaps`),
and the refined cell tells what lies between two phases (see `cells`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from scipy.special import ndtr

from phasefront import cells, forced, layouts, netcdf, overlaps, rotations, vacuum
from phasefront.crystals import Crystal
from phasefront.matching import Library
from phasefront.orientations import COARSE_DEG
from phasefront.refinement import (
    LOCAL_SCALE_SIGMA,
    Experiment,
    Refined,
    ReflectionTable,
    assign,
    common_distortion,
    observed_window,
    owner,
    refine,
    reflection_table,
    spot_arrays,
    without,
)

# Spots of a pattern share errors (dynamical intensities above all), and so do intensities, so the
# plain posterior would be over-confident on patterns that break an assumption. On Bloch-wave
# patterns of NVPF, with lattice orientations and seeds other than those of the packaged ones, the
# likelihood of the true phase is best at 0.8 or more, and at 0.2; 0.4 leaves a margin.
TEMPERATURE = 0.4
FORCED_TEMPERATURE = 0.2
# A position is mixed where no phase has this share of it.
CLEAR = 0.75
_ROUNDS = 3  # of deciding and refining the distortion
_SAMPLE = 1024  # positions, evenly spread, on which the distortion is refined
_SURE, _RICH = 0.9, 8  # posterior and indexed spots of the positions that show the spots' error
_ALIKE_DEG = 5.0  # misorientation within which neighbours are one lattice
_BLIND = 0.005  # standard error of a strain above which a region does not show the whole cell
_FALSE_ALARMS = 0.1  # spots a pattern that noise makes, where the spots do not say
_MARGIN = 1.2  # on that error: weak spots have a larger one than most

_Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def decide_phases(
    spots: xr.Dataset,
    orientations: xr.Dataset,
    templates: xr.Dataset,
    crystals: Sequence[Crystal],
    *,
    raw: tuple | None = None,
    path: cells.Path | None = None,
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
    candidates = _Candidates.of(orientations)
    distortion, experiment = _fit_scan(
        arrays, candidates, table, experiment, crystals, local_scale_sigma, prior
    )
    freed = _undistorted(arrays, distortion)
    evidence = _weigh(freed, candidates, table, experiment)
    intensities = np.zeros(evidence.log_evidence.shape)
    empty = spots["count"].values < min_spots
    if raw is not None:
        intensities, level = _force(freed, evidence, table, experiment, distortion, *raw)
        empty = vacuum.find_vacuum(
            spots["count"].values, level, min_spots=min_spots,
            false_alarms=spots.attrs.get("false_alarms", _FALSE_ALARMS),
        )  # fmt: skip
    posterior = _posterior(evidence.log_evidence, intensities, prior)
    found = _Lattices.of(freed, evidence, posterior, crystals, table, experiment)
    second = overlaps.find_second(
        freed, found.explained, Library.prepare(templates, crystals, COARSE_DEG), table, experiment,
        min_spots=min_spots,
    )  # fmt: skip
    # Without the spots of the second lattice the first one is weighed, and its cell refined, again.
    alone = without(freed, second.claimed)
    again = np.flatnonzero(second.phase[candidates.position] >= 0)
    refined = _replaced(
        evidence.refined, again, _refine(alone, candidates.taken(again), table, experiment)
    )
    evidence = _Evidence.of(alone, candidates, refined, experiment)
    posterior = _posterior(evidence.log_evidence, intensities, prior)
    found = _Lattices.of(alone, evidence, posterior, crystals, table, experiment)
    cell = _Cell.of(shape, found, crystals, path, cell_tolerance, mixed_prior)

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
        second_share, _posterior(second.log_evidence, 0.0, prior), decide_above,
    )  # fmt: skip
    few = count < min_spots
    decision[(decision == layouts.UNDECIDED) & (explained < min_explained)] = layouts.UNINDEXED
    decision[few], share[few] = layouts.UNINDEXED, np.nan
    decision[empty.ravel()] = layouts.VACUUM

    def on_map(values: np.ndarray) -> np.ndarray:
        return np.where(few.reshape(-1, *[1] * (values.ndim - 1)), np.nan, values).reshape(
            *shape, *values.shape[1:]
        )

    return netcdf.build(
        layouts.PHASES,
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
    freed: _Arrays, evidence: _Evidence, table: ReflectionTable, experiment: Experiment,
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


@dataclass(frozen=True)
class _Lattices:
    """The likeliest phase's best lattice at each position, its cell refined."""

    phase: np.ndarray  # (positions,)
    rotation: np.ndarray  # (positions, 4)
    position: np.ndarray  # (n,) positions that have one
    cells: cells.Cells  # of these
    explained: np.ndarray  # (spots,)
    residual: np.ndarray  # (positions,) rms distance of indexed spots, 1/angstrom
    count: np.ndarray  # (positions,) spots indexed

    @classmethod
    def of(
        cls, arrays: _Arrays, evidence: _Evidence, posterior: np.ndarray,
        crystals: Sequence[Crystal], table: ReflectionTable, experiment: Experiment,
    ) -> _Lattices:  # fmt: skip
        phase = posterior.argmax(axis=1)
        best = evidence.best[np.arange(len(phase)), phase]
        position = np.flatnonzero(best >= 0)
        own = evidence.refined.taken(best[position])
        bases = [cells.strain_basis(crystal) for crystal in crystals]
        found = cells.refine_cells(arrays, position, phase[position], own, table, experiment, bases)
        assignment = assign(
            arrays, position, phase[position], own, table, experiment,
            strain=cells.strain_tensors(found.strain, phase[position], bases),
        )  # fmt: skip
        explained = np.zeros(len(arrays[1]), dtype=bool)
        explained[assignment.spot] = True
        residual = np.full(len(phase), np.inf)
        residual[position] = found.residual
        return cls(
            phase, evidence.rotation[np.arange(len(phase)), phase], position, found, explained,
            residual, np.bincount(owner(arrays[0])[explained], minlength=len(phase)),
        )  # fmt: skip


def _amplitude(arrays: _Arrays, chosen: np.ndarray) -> np.ndarray:
    """Summed amplitude (positions,) of the chosen spots (spots,): it grows with the thickness.

    Intensities grow with its square where scattering is kinematic; on Bloch-wave patterns shares by
    amplitude are nearer to those of the thickness (rms 0.10 to 0.16, by intensity 0.11 to 0.21).
    """
    offset, _, _, intensity = arrays
    amplitude = np.sqrt(intensity[chosen])
    return np.bincount(owner(offset)[chosen], amplitude, minlength=len(offset) - 1)


@dataclass(frozen=True)
class _Cell:
    """What the refined cells say; NaN where there is no lattice, or none that phases share."""

    parameters: np.ndarray  # (positions, 6) angstrom, degree
    covariance: np.ndarray  # (positions, 6, 6)
    misfit: np.ndarray  # (positions,) standard errors from the candidates and between; inf for none
    axial_ratio: np.ndarray
    axial_ratio_stderr: np.ndarray
    ion_content: np.ndarray
    ion_content_stderr: np.ndarray
    mixed: np.ndarray  # (positions,) probability that no phase has the share CLEAR
    share: np.ndarray  # (positions, phases)
    phase_misfit: np.ndarray  # (positions,) see `_phase_misfit`; 0 between phases

    @classmethod
    def of(
        cls, shape: tuple[int, int], found: _Lattices, crystals: Sequence[Crystal],
        path: cells.Path | None, tolerance: float, mixed_prior: float,
    ) -> _Cell:  # fmt: skip
        positions = len(found.phase)
        out = cls(
            np.full((positions, 6), np.nan), np.full((positions, 6, 6), np.nan),
            np.full(positions, np.inf), *(np.full(positions, np.nan) for _ in range(4)),
            np.zeros(positions), np.zeros((positions, len(crystals))), np.zeros(positions),
        )  # fmt: skip
        for phase, crystal in enumerate(crystals):
            own = found.phase[found.position] == phase
            at = found.position[own]
            if not own.any():
                continue
            strain, covariance = found.cells.strain[own], found.cells.covariance[own]
            out.parameters[at] = cells.cell_parameters(crystal, strain)
            out.covariance[at] = cells.propagated(
                lambda strain, crystal=crystal: cells.cell_parameters(crystal, strain), strain,
                covariance,
            )  # fmt: skip
            if path is None:
                out.misfit[at] = _chi(strain, covariance, tolerance)
                continue
            out.axial_ratio[at] = path.axial_ratio(phase, strain)[:, 0]
            spread = cells.propagated(
                lambda strain, phase=phase: path.axial_ratio(phase, strain), strain, covariance
            )
            out.axial_ratio_stderr[at] = np.sqrt(spread[:, 0, 0])
            out.misfit[at] = path.distance(phase, strain, covariance + tolerance**2 * np.eye(6))
            out.ion_content[at], out.ion_content_stderr[at] = path.locate(phase, strain, covariance)
        if path is not None:
            out.mixed[:], out.share[:] = _between(
                out.ion_content, out.ion_content_stderr, path.ion_contents, mixed_prior
            )
        plain = out.mixed[found.position] <= 0.5
        region = _regions(shape, found, found.position[plain], crystals)
        for phase, crystal in enumerate(crystals):
            own = plain & (found.phase[found.position] == phase)
            used = len(cells.strain_basis(crystal))
            out.phase_misfit[found.position[own]] = _phase_misfit(
                region[found.position[own]], found.cells.strain[own, :used],
                found.cells.covariance[own, :used, :used], tolerance,
            )  # fmt: skip
        return out


def _regions(
    shape: tuple[int, int], found: _Lattices, position: np.ndarray, crystals: Sequence[Crystal]
) -> np.ndarray:
    """Region (positions,) that each of the positions given is in: neighbours of one phase, less
    than _ALIKE_DEG apart; -1 elsewhere."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    number = shape[0] * shape[1]
    counted = np.zeros(number, dtype=bool)
    counted[position] = True
    grid = np.arange(number).reshape(shape)
    one = np.concatenate([grid[:, :-1].ravel(), grid[:-1].ravel()])
    other = np.concatenate([grid[:, 1:].ravel(), grid[1:].ravel()])
    alike = counted[one] & counted[other] & (found.phase[one] == found.phase[other])
    one, other = one[alike], other[alike]
    angle = np.empty(len(one))
    for phase, crystal in enumerate(crystals):
        own = found.phase[one] == phase
        angle[own] = rotations.misorientation(
            found.rotation[one[own]], found.rotation[other[own]], crystal.symmetry
        )
    one, other = one[angle < _ALIKE_DEG], other[angle < _ALIKE_DEG]
    edges = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=(number, number))
    region = connected_components(edges, directed=False)[1]
    return np.where(counted, region, -1)


def _phase_misfit(
    region: np.ndarray, strain: np.ndarray, covariance: np.ndarray, tolerance: float
) -> np.ndarray:
    """Standard errors, with that of the CIF, that the mean cell of each position's region is off
    its phase's (n,).

    One position tells little of a phase that is missing and has a cell near a candidate's; a region
    tells more. One whose direction does not show the whole cell takes the misfit that half of the
    positions in all other regions of the phase exceed, where that is larger.
    """
    _, region, size = np.unique(region, return_inverse=True, return_counts=True)
    mean, spread = cells.pooled_strain(region, strain, covariance)
    misfit = _chi(mean, spread, tolerance)
    blind = np.linalg.eigvalsh(spread)[:, -1] > _BLIND**2
    if blind.any() and not blind.all():
        typical = np.median(np.repeat(misfit[~blind], size[~blind]))
        misfit[blind] = np.maximum(misfit[blind], typical)
    return misfit[region]


def _chi(strain: np.ndarray, covariance: np.ndarray, tolerance: float) -> np.ndarray:
    """How far strains (n, m) are from none, in standard errors, with that of the CIFs (n,)."""
    within = covariance + tolerance**2 * np.eye(strain.shape[1])
    solved = np.linalg.solve(within, strain[..., None])[..., 0]
    return np.sqrt(np.sum(strain * solved, axis=1))


def _between(
    content: np.ndarray, error: np.ndarray, contents: np.ndarray, prior: float
) -> tuple[np.ndarray, np.ndarray]:
    """Probability (n,) that a column holds no phase to the share CLEAR, and shares (n, phases).

    The share of the ion-rich one of two neighbouring phases is 0 or 1 beforehand, or, with
    probability `prior`, anything between; it is seen with a normal error. Bayes' rule.
    """
    order = np.argsort(contents)
    ordered = contents[order]
    known = np.isfinite(content)
    lower = np.clip(np.searchsorted(ordered, content) - 1, 0, len(ordered) - 2)
    width = (ordered[1:] - ordered[:-1])[lower]
    rich, sigma = (content - ordered[lower]) / width, error / width
    pure = 0.5 * (1 - prior) * (_normal(rich, sigma) + _normal(rich - 1, sigma))
    anything = prior * (ndtr((1 - rich) / sigma) - ndtr(-rich / sigma))
    middle = prior * (ndtr((CLEAR - rich) / sigma) - ndtr((1 - CLEAR - rich) / sigma))
    mixed = np.where(known, middle / np.maximum(pure + anything, 1e-300), 0.0)
    rich = np.clip(np.where(known, rich, 0.0), 0, 1)
    share = np.zeros((len(content), len(contents)))
    every = np.arange(len(content))
    share[every, order[lower]] = 1 - rich
    share[every, order[lower + 1]] = rich
    return mixed, share


def _normal(value: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * (value / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))


def _decide(
    posterior: np.ndarray, fits: np.ndarray, fits_phase: np.ndarray, cell: _Cell,
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
    decision = np.where(mixed, layouts.MIXED, share.argmax(axis=1))
    # What is decided counts whole; what is mixed, by its shares.
    share = np.where(mixed[:, None], share, one_of[share.argmax(axis=1)])
    return np.where(known, decision, layouts.UNDECIDED), np.where(known[:, None], share, np.nan)


@dataclass(frozen=True)
class _Candidates:
    """Orientations to try, one entry each, of all positions and phases."""

    position: np.ndarray  # (n,)
    phase: np.ndarray  # (n,)
    rotation: np.ndarray  # (n, 4)
    shape: tuple[int, int]  # positions, phases

    @classmethod
    def of(cls, orientations: xr.Dataset) -> _Candidates:
        starts = orientations["rotation"].values
        starts = starts.reshape(-1, *starts.shape[2:])
        position, phase, rank = np.nonzero(np.isfinite(starts[..., 0]))
        return cls(position, phase, starts[position, phase, rank], starts.shape[:2])

    def sampled(self, number: int) -> _Candidates:
        """Those of at most `number` positions, evenly spread over the positions that have any."""
        positions = np.unique(self.position)
        step = max(1, -(-len(positions) // number))
        return self.taken(np.isin(self.position, positions[::step]))

    def taken(self, chosen: np.ndarray) -> _Candidates:
        return replace(
            self, position=self.position[chosen], phase=self.phase[chosen],
            rotation=self.rotation[chosen],
        )  # fmt: skip


@dataclass(frozen=True)
class _Evidence:
    """Of each position and phase, the best candidate's."""

    rotation: np.ndarray  # (positions, phases, 4); NaN where there is no candidate
    log_evidence: np.ndarray  # (positions, phases)
    refined: Refined  # of every candidate
    best: np.ndarray  # (positions, phases), the candidate; -1 where there is none

    @classmethod
    def of(
        cls, arrays: _Arrays, candidates: _Candidates, refined: Refined, experiment: Experiment
    ) -> _Evidence:
        best = np.full(candidates.shape, -1)
        # Ascending likelihood: what is written last is the best.
        order = np.argsort(refined.log_likelihood, kind="stable")
        best[candidates.position[order], candidates.phase[order]] = order
        found = best >= 0

        def of_best(values: np.ndarray, missing: float) -> np.ndarray:
            out = np.full((*best.shape, *values.shape[1:]), missing)
            out[found] = values[best[found]]
            return out

        count = np.diff(arrays[0])[:, None]
        # Without an orientation every spot is a stray.
        low, high = experiment.window
        strays = -count * np.log(np.pi * (high**2 - low**2))
        return cls(
            rotation=of_best(refined.rotation, np.nan),
            log_evidence=np.where(found, of_best(refined.log_likelihood, 0.0), strays),
            refined=refined,
            best=best,
        )


def _weigh(
    arrays: _Arrays, candidates: _Candidates, table: ReflectionTable, experiment: Experiment
) -> _Evidence:
    refined = _refine(arrays, candidates, table, experiment)
    return _Evidence.of(arrays, candidates, refined, experiment)


def _refine(
    arrays: _Arrays, candidates: _Candidates, table: ReflectionTable, experiment: Experiment
) -> Refined:
    return refine(
        arrays, candidates.position, candidates.phase, candidates.rotation, table, experiment,
        coarse=False,
    )  # fmt: skip


def _replaced(refined: Refined, at: np.ndarray, anew: Refined) -> Refined:
    """`refined` with other outcomes at some candidates."""
    columns = {name: values.copy() for name, values in vars(refined).items()}
    for name, values in columns.items():
        values[at] = getattr(anew, name)
    return Refined(**columns)


def _fit_scan(
    arrays: _Arrays, candidates: _Candidates, table: ReflectionTable, experiment: Experiment,
    crystals: Sequence[Crystal], local_scale_sigma: float, prior: Sequence[float] | None,
) -> tuple[np.ndarray, Experiment]:  # fmt: skip
    """Scale and ellipse (2, 2) of the scan beyond its calibration, and the errors that remain.

    Expectation and maximisation in turn: the posterior of the phases weighs their reflections in a
    least-squares fit of the distortion; the spots freed of it give the next posterior. The error
    of a spot's position is what the indexed spots of most positions show.
    """
    distortion = np.eye(2)
    candidates = candidates.sampled(_SAMPLE)
    now = experiment
    for _ in range(_ROUNDS):
        freed = _undistorted(arrays, distortion)
        evidence = _weigh(freed, candidates, table, now)
        posterior = _posterior(evidence.log_evidence, 0.0, prior)
        found = evidence.best >= 0
        weight = np.zeros(len(candidates.position))
        weight[evidence.best[found]] = posterior[found]
        rest = common_distortion(
            freed, candidates.position, candidates.phase, evidence.refined, weight, table, now,
            distortion_sigma=experiment.scale_sigma,
        )  # fmt: skip
        # Symmetric: the rotation in a product of two stretches is an orientation's business.
        distortion = 0.5 * (rest @ distortion + distortion @ rest)
        now = replace(
            experiment,
            scale_sigma=local_scale_sigma,
            position_sigma=_position_sigma(
                freed,
                candidates,
                evidence.refined,
                weight > _SURE,
                crystals,
                table,
                now,
                experiment.position_sigma,
            ),
        )
        candidates = replace(candidates, rotation=evidence.refined.rotation)
    return distortion, now


def _position_sigma(
    arrays: _Arrays, candidates: _Candidates, refined: Refined, sure: np.ndarray,
    crystals: Sequence[Crystal], table: ReflectionTable, experiment: Experiment, largest: float,
) -> float:  # fmt: skip
    """Error of a spot's position (1/angstrom) along one axis, at most `largest`.

    From the distances to lattices whose cells are refined: those of fixed ones would hide a phase
    that is missing in a large error.
    """
    own = np.flatnonzero(sure & (refined.indexed >= _RICH))
    if not len(own):
        return largest
    chosen = candidates.taken(own)
    found = cells.refine_cells(
        arrays, chosen.position, chosen.phase, refined.taken(own), table, experiment,
        [cells.strain_basis(crystal) for crystal in crystals],
    )  # fmt: skip
    # Two coordinates a spot, less the parameters that they determine: turn, centre, cell.
    number = np.maximum(found.assigned, _RICH // 2).astype(float)
    freedom = 2 * number / (2 * number - 6)
    typical = np.median(found.residual * np.sqrt(freedom / 2))
    return float(np.clip(_MARGIN * typical, largest / 4, largest))


def _undistorted(arrays: _Arrays, distortion: np.ndarray) -> _Arrays:
    offset, qx, qy, intensity = arrays
    qx, qy = np.linalg.inv(distortion) @ np.stack([qx, qy])
    return offset, qx, qy, intensity


def _posterior(
    log_evidence: np.ndarray, intensities: np.ndarray | float, prior: Sequence[float] | None
) -> np.ndarray:
    """Probabilities (positions, phases) by Bayes' rule, from spots and forced intensities."""
    logits = TEMPERATURE * log_evidence + FORCED_TEMPERATURE * intensities
    if prior is not None:
        logits = logits + np.log(np.asarray(prior, dtype=float))
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _reliability(score: np.ndarray) -> np.ndarray:
    """1 - next best / best score of two phases (y, x); 1 where there is one phase, 0 where none."""
    best = np.sort(np.nan_to_num(score[..., 0]), axis=-1)
    next_best = best[..., -2] if best.shape[-1] > 1 else np.zeros(best.shape[:-1])
    top = best[..., -1]
    return np.where(top > 0, 1.0 - next_best / np.where(top > 0, top, 1.0), 0.0)
