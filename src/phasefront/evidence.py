"""Which phase: evidence of each candidate at every position, posterior, decision.

Correlation cannot tell phases apart whose spacings differ by 1 %; the positions of some twenty
spots can. Each phase is refined for itself, within the errors of scale and centre; its evidence is
the likelihood of the spots under all reflections that it should show (see `refinement`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront import layouts, netcdf
from phasefront.crystals import Crystal
from phasefront.refinement import (
    Experiment,
    observed_window,
    refine,
    reflection_table,
    spot_arrays,
)

# Spots of a pattern share errors (ellipse, dynamical intensities), so the plain posterior is
# over-confident. Fitted by maximum likelihood of the true phase on simulated NVPF patterns.
TEMPERATURE = 0.55


def decide_phases(
    spots: xr.Dataset,
    orientations: xr.Dataset,
    crystals: Sequence[Crystal],
    *,
    voltage_kv: float,
    precession_deg: float,
    min_spots: int = 5,
    position_sigma: float = 0.005,
    scale_sigma: float = 0.003,
    centre_sigma: float = 0.001,
    decide_above: float = 0.95,
    min_explained: float = 0.6,
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
    position_sigma, centre_sigma
        Standard errors of a spot's position and of the pattern's centre, 1/angstrom.
    scale_sigma
        Relative standard error of the calibrated scale.
    decide_above
        The posterior that a decision needs; otherwise the position is `undecided`.
    min_explained
        Share of the spots that the decided phase must index; otherwise the position is
        `undecided`, because none of the candidates may be what is there.
    temperature
        Factor on the logarithm of the evidence, fitted so that posteriors are calibrated.
    prior
        Probability of each phase before the pattern is seen; equal where None.

    Returns a PHASES dataset. Reliability is 1 - next best / best score of two phases.
    """
    ny, nx = spots["count"].shape
    phases = len(crystals)
    experiment = Experiment(
        voltage_kv=voltage_kv,
        precession_deg=precession_deg,
        window=observed_window(spots),
        position_sigma=position_sigma,
        scale_sigma=scale_sigma,
        centre_sigma=centre_sigma,
    )
    count = spots["count"].values.ravel()
    rotation, log_evidence, explained = _evidence(spots, orientations, crystals, experiment)
    posterior = _posterior(log_evidence, temperature, prior)
    decision = np.where(
        (posterior.max(axis=1) > decide_above)
        & (np.take_along_axis(explained, posterior.argmax(axis=1)[:, None], axis=1)[:, 0]
           >= min_explained),
        posterior.argmax(axis=1),
        layouts.UNDECIDED,
    )  # fmt: skip
    decision[count < min_spots] = layouts.VACUUM
    shape = (ny, nx, phases)
    return netcdf.build(
        layouts.PHASES,
        {
            "phase": [crystal.name for crystal in crystals],
            "rotation": rotation.reshape(*shape, 4),
            "log_evidence": log_evidence.reshape(shape),
            "posterior": posterior.reshape(shape),
            "decision": decision.reshape(ny, nx),
            "reliability": _reliability(orientations["score"].values),
        },
        {"scan": spots.attrs["scan"], "decide_above": float(decide_above)},
    )


def _evidence(
    spots: xr.Dataset, orientations: xr.Dataset, crystals: Sequence[Crystal], experiment: Experiment
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each position and phase: rotation, log-evidence and share of spots indexed.

    The best of the ranks counts. Where there is no orientation, the log-evidence is that of spots
    that are strays, and the rotation NaN.
    """
    arrays = spot_arrays(spots)
    starts = orientations["rotation"].values
    starts = starts.reshape(-1, *starts.shape[2:])
    position, phase, rank = np.nonzero(np.isfinite(starts[..., 0]))
    table = reflection_table(crystals, max_radius=experiment.window[1])
    refined = refine(
        arrays, position, phase, starts[position, phase, rank], table, experiment, coarse=False
    )
    count = np.diff(arrays[0])
    low, high = experiment.window
    nothing = -count * np.log(np.pi * (high**2 - low**2))
    rotation = np.full((*starts.shape[:2], 4), np.nan)
    log_evidence = np.repeat(nothing[:, None], len(crystals), axis=1)
    explained = np.zeros(starts.shape[:2])
    # Ascending likelihood: what is written last is the best.
    order = np.argsort(refined.log_likelihood, kind="stable")
    at = (position[order], phase[order])
    rotation[at] = refined.rotation[order]
    log_evidence[at] = refined.log_likelihood[order]
    explained[at] = refined.indexed[order] / count[position[order]]
    return rotation, log_evidence, explained


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
