"""Evidence of each candidate phase at every position, and the posterior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from phasefront.diffraction.likelihood import (
    Refined,
    refine,
)
from phasefront.diffraction.optics import Experiment
from phasefront.diffraction.reflections import ReflectionTable

# Spots of a pattern share errors (dynamical intensities above all), and so do intensities, so the
# plain posterior would be over-confident on patterns that break an assumption. On Bloch-wave
# patterns of NVPF, with lattice orientations and seeds other than those of the packaged ones, the
# likelihood of the true phase is best at 0.8 or more, and at 0.2; 0.4 leaves a margin.
TEMPERATURE = 0.4
FORCED_TEMPERATURE = 0.2

SpotArrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Candidates:
    """Orientations to try, one entry each, of all positions and phases."""

    position: np.ndarray  # (n,)
    phase: np.ndarray  # (n,)
    rotation: np.ndarray  # (n, 4)
    shape: tuple[int, int]  # positions, phases

    @classmethod
    def of(cls, orientations: xr.Dataset) -> Candidates:
        starts = orientations["rotation"].values
        starts = starts.reshape(-1, *starts.shape[2:])
        position, phase, rank = np.nonzero(np.isfinite(starts[..., 0]))
        return cls(position, phase, starts[position, phase, rank], starts.shape[:2])

    def sampled(self, number: int) -> Candidates:
        """Those of at most `number` positions, evenly spread over the positions that have any."""
        positions = np.unique(self.position)
        step = max(1, -(-len(positions) // number))
        return self.taken(np.isin(self.position, positions[::step]))

    def taken(self, chosen: np.ndarray) -> Candidates:
        return replace(
            self, position=self.position[chosen], phase=self.phase[chosen],
            rotation=self.rotation[chosen],
        )  # fmt: skip


@dataclass(frozen=True)
class Evidence:
    """Of each position and phase, the best candidate's."""

    rotation: np.ndarray  # (positions, phases, 4); NaN where there is no candidate
    log_evidence: np.ndarray  # (positions, phases)
    refined: Refined  # of every candidate
    best: np.ndarray  # (positions, phases), the candidate; -1 where there is none

    @classmethod
    def of(
        cls, arrays: SpotArrays, candidates: Candidates, refined: Refined, experiment: Experiment
    ) -> Evidence:
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


def weigh(
    arrays: SpotArrays, candidates: Candidates, table: ReflectionTable, experiment: Experiment
) -> Evidence:
    refined = refine_candidates(arrays, candidates, table, experiment)
    return Evidence.of(arrays, candidates, refined, experiment)


def refine_candidates(
    arrays: SpotArrays, candidates: Candidates, table: ReflectionTable, experiment: Experiment
) -> Refined:
    return refine(
        arrays, candidates.position, candidates.phase, candidates.rotation, table, experiment,
        coarse=False,
    )  # fmt: skip


def replaced(refined: Refined, at: np.ndarray, anew: Refined) -> Refined:
    """`refined` with other outcomes at some candidates."""
    columns = {name: values.copy() for name, values in vars(refined).items()}
    for name, values in columns.items():
        values[at] = getattr(anew, name)
    return Refined(**columns)


def posterior_of(
    log_evidence: np.ndarray, intensities: np.ndarray | float, prior: Sequence[float] | None
) -> np.ndarray:
    """Probabilities (positions, phases) by Bayes' rule, from spots and forced intensities."""
    logits = TEMPERATURE * log_evidence + FORCED_TEMPERATURE * intensities
    if prior is not None:
        logits = logits + np.log(np.asarray(prior, dtype=float))
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
