"""Which phase: evidence of each candidate at every position, posterior, decision.

Correlation cannot tell phases apart whose spacings differ by 1 %; the positions of some twenty
spots can, once scale and ellipse are known well enough. These are the same over a scan, so they are
refined on all of it, within the errors of its calibration; after that each phase is refined at each
position, and its evidence is the likelihood of the spots under all reflections that it should show
there (see `refinement`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from phasefront import layouts, netcdf
from phasefront.crystals import Crystal
from phasefront.refinement import (
    Experiment,
    Refined,
    ReflectionTable,
    common_distortion,
    observed_window,
    refine,
    reflection_table,
    spot_arrays,
)

# Spots of a pattern share errors (dynamical intensities above all), so the plain posterior is
# over-confident. Fitted by the likelihood of the true phase on Bloch-wave patterns of NVPF.
TEMPERATURE = 0.4
_ROUNDS = 3  # of deciding and refining the distortion
_SAMPLE = 1024  # positions, evenly spread, on which the distortion is refined
_SURE, _RICH = 0.9, 8  # posterior and indexed spots of the positions that show the spots' error
_MARGIN = 1.2  # on that error: weak spots have a larger one than most

_Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def decide_phases(
    spots: xr.Dataset,
    orientations: xr.Dataset,
    crystals: Sequence[Crystal],
    *,
    voltage_kv: float,
    precession_deg: float,
    min_spots: int = 5,
    position_sigma: float = 0.005,
    distortion_sigma: float = 0.003,
    local_scale_sigma: float = 0.001,
    centre_sigma: float = 0.001,
    decide_above: float = 0.95,
    min_explained: float = 0.5,
    max_residual: float = 1.1,
    temperature: float = TEMPERATURE,
    prior: Sequence[float] | None = None,
) -> xr.Dataset:
    """Evidence, posterior and decision at every position.

    Parameters
    ----------
    spots, orientations
        SPOTS and ORIENTATIONS datasets of one scan.
    crystals
        The phases, in the orientations' order.
    min_spots
        A position with fewer spots is `vacuum`.
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
        The decided phase must index this share of the spots, with an rms distance of at most this
        many standard errors; otherwise the position is `undecided`, because what is there may be
        none of the candidates.
    temperature
        Factor on the logarithm of the evidence that makes posteriors calibrated.
    prior
        Probability of each phase before the pattern is seen; equal where None.

    Returns a PHASES dataset. Its attributes `scale`, `stretch` and `shear` say what distortion was
    found on top of the calibration, `position_sigma` the error of spots that remained. Reliability
    is 1 - next best / best score of two phases.
    """
    ny, nx = spots["count"].shape
    experiment = Experiment(
        voltage_kv=voltage_kv,
        precession_deg=precession_deg,
        window=observed_window(spots),
        position_sigma=position_sigma,
        scale_sigma=distortion_sigma,
        centre_sigma=centre_sigma,
    )
    arrays = spot_arrays(spots)
    table = reflection_table(crystals, max_radius=experiment.window[1])
    candidates = _Candidates.of(orientations)
    distortion, experiment = _fit_scan(
        arrays, candidates, table, experiment, local_scale_sigma, temperature, prior
    )
    evidence = _weigh(_undistorted(arrays, distortion), candidates, table, experiment)
    posterior = _posterior(evidence.log_evidence, temperature, prior)
    fits = (evidence.explained >= min_explained) & (
        evidence.residual <= max_residual * experiment.position_sigma * np.sqrt(2)
    )
    best = posterior.argmax(axis=1)[:, None]
    sure = np.take_along_axis((posterior > decide_above) & fits, best, axis=1)
    decision = np.where(sure, best, layouts.UNDECIDED)[:, 0]
    decision[np.diff(arrays[0]) < min_spots] = layouts.VACUUM
    shape = (ny, nx, len(crystals))
    return netcdf.build(
        layouts.PHASES,
        {
            "phase": [crystal.name for crystal in crystals],
            "rotation": evidence.rotation.reshape(*shape, 4),
            "log_evidence": evidence.log_evidence.reshape(shape),
            "posterior": posterior.reshape(shape),
            "decision": decision.reshape(ny, nx),
            "reliability": _reliability(orientations["score"].values),
        },
        {
            "scan": spots.attrs["scan"],
            "decide_above": float(decide_above),
            "position_sigma": experiment.position_sigma,
            "scale": float(0.5 * (distortion[0, 0] + distortion[1, 1])),
            "stretch": float(0.5 * (distortion[0, 0] - distortion[1, 1])),
            "shear": float(distortion[0, 1]),
        },
    )


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
        kept = np.isin(self.position, positions[::step])
        return replace(
            self, position=self.position[kept], phase=self.phase[kept], rotation=self.rotation[kept]
        )


@dataclass(frozen=True)
class _Evidence:
    """Of each position and phase, the best candidate's."""

    rotation: np.ndarray  # (positions, phases, 4); NaN where there is no candidate
    log_evidence: np.ndarray  # (positions, phases)
    explained: np.ndarray  # (positions, phases), share of the spots that are indexed
    residual: np.ndarray  # (positions, phases), rms distance of these, 1/angstrom
    refined: Refined  # of every candidate
    best: np.ndarray  # (positions, phases), the candidate; -1 where there is none


def _weigh(
    arrays: _Arrays, candidates: _Candidates, table: ReflectionTable, experiment: Experiment
) -> _Evidence:
    refined = refine(
        arrays, candidates.position, candidates.phase, candidates.rotation, table, experiment,
        coarse=False,
    )  # fmt: skip
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
    return _Evidence(
        rotation=of_best(refined.rotation, np.nan),
        log_evidence=np.where(found, of_best(refined.log_likelihood, 0.0), strays),
        explained=of_best(refined.indexed.astype(float), 0.0) / np.maximum(count, 1),
        residual=of_best(refined.residual, np.inf),
        refined=refined,
        best=best,
    )


def _fit_scan(
    arrays: _Arrays, candidates: _Candidates, table: ReflectionTable, experiment: Experiment,
    local_scale_sigma: float, temperature: float, prior: Sequence[float] | None,
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
        posterior = _posterior(evidence.log_evidence, temperature, prior)
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
            position_sigma=_position_sigma(evidence, weight > _SURE, experiment.position_sigma),
        )
        candidates = replace(candidates, rotation=evidence.refined.rotation)
    return distortion, now


def _position_sigma(evidence: _Evidence, sure: np.ndarray, largest: float) -> float:
    """Error of a spot's position (1/angstrom) along one axis, at most `largest`."""
    residual, indexed = evidence.refined.residual, evidence.refined.indexed.astype(float)
    rich = sure & (indexed >= _RICH)
    if not rich.any():
        return largest
    # Two coordinates a spot, less the parameters that they determine: rotation, scale, one tilt.
    freedom = 2 * indexed[rich] / (2 * indexed[rich] - 5)
    typical = np.median(residual[rich] * np.sqrt(freedom / 2))
    return float(np.clip(_MARGIN * typical, largest / 4, largest))


def _undistorted(arrays: _Arrays, distortion: np.ndarray) -> _Arrays:
    offset, qx, qy, intensity = arrays
    qx, qy = np.linalg.inv(distortion) @ np.stack([qx, qy])
    return offset, qx, qy, intensity


def _posterior(
    log_evidence: np.ndarray, temperature: float, prior: Sequence[float] | None
) -> np.ndarray:
    """Probabilities (positions, phases) by Bayes' rule."""
    logits = temperature * log_evidence
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
