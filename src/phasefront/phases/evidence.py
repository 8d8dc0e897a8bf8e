"""Evidence of each candidate phase at every position, and the posterior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from phasefront.diffraction.likelihood import Refined, refine
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots
from phasefront.orientations.indexing import HOPELESS

# Spots of a pattern share errors (dynamical intensities above all), and so do intensities, so the
# plain posterior would be over-confident on patterns that break an assumption. On Bloch-wave
# scans of NVPF of 2e4 electrons a pattern, with seeds other than those reported (52 scans, 14 to
# 48, 10 to 30 and 30 to 80 nm), the likelihood of the true phase is best at 0.65 to 0.75, and at
# 0.6 to 0.7 where each phase counts the same; at 1e5 it is level from 0.5 to 0.9. For intensities
# it is the same within 0.002 from 0 to 0.6. Half and double: docs/constants.md.
TEMPERATURE, FORCED_TEMPERATURE = 0.65, 0.2


def of_strays(numbers: np.ndarray, optics: Optics) -> np.ndarray:
    """Log-likelihood of patterns of so many spots that lie anywhere in the window."""
    return -numbers * np.log(optics.area)


@dataclass(frozen=True)
class Starts:
    """Orientations to try, one entry each, of all positions and phases."""

    position: np.ndarray  # (n,)
    phase: np.ndarray  # (n,)
    rotation: np.ndarray  # (n, 4)
    shape: tuple[int, int]  # positions, phases

    @classmethod
    def of(cls, orientations: xr.Dataset) -> Starts:
        starts = orientations["rotation"].values
        starts = starts.reshape(-1, *starts.shape[2:])
        likelihood = orientations["log_likelihood"].values.reshape(starts.shape[:-1])
        likelihood = np.where(np.isfinite(likelihood), likelihood, -np.inf)
        hopeful = likelihood >= likelihood.max(axis=(1, 2), keepdims=True) - HOPELESS
        hopeful[..., 0] = True
        position, phase, rank = np.nonzero(np.isfinite(starts[..., 0]) & hopeful)
        return cls(position, phase, starts[position, phase, rank], starts.shape[:2])

    def sampled(self, number: int) -> Starts:
        """Those of at most `number` positions, evenly spread over the positions that have any."""
        positions = np.unique(self.position)
        step = max(1, -(-len(positions) // number))
        return self.taken(np.isin(self.position, positions[::step]))

    def joined(self, position: np.ndarray, phase: np.ndarray, rotation: np.ndarray) -> Starts:
        """These, then others (n,), (n,) and (n, 4)."""
        return replace(
            self, position=np.concatenate([self.position, position]),
            phase=np.concatenate([self.phase, phase]),
            rotation=np.concatenate([self.rotation, rotation]),
        )  # fmt: skip

    def refined(self, refined: Refined) -> Starts:
        """These, as they came out."""
        return replace(self, rotation=refined.rotation)

    def taken(self, chosen: np.ndarray) -> Starts:
        return replace(
            self, position=self.position[chosen], phase=self.phase[chosen],
            rotation=self.rotation[chosen],
        )  # fmt: skip


@dataclass(frozen=True)
class Evidence:
    """Of each position and phase, the best candidate's."""

    rotation: np.ndarray  # (positions, phases, 4); NaN where there is no candidate
    scale_factor: np.ndarray  # (positions, phases)
    centre: np.ndarray  # (positions, phases, 2), 1/angstrom
    log_evidence: np.ndarray  # (positions, phases)
    phase: np.ndarray  # of every candidate
    refined: Refined  # of every candidate
    best: np.ndarray  # (positions, phases), the candidate; -1 where there is none

    @property
    def likeliest(self) -> np.ndarray:
        """Phase (positions,) by the spots, of those that have an orientation where any has."""
        return np.where(self.best >= 0, self.log_evidence, -np.inf).argmax(axis=1)

    def best_of(self, phase: np.ndarray) -> np.ndarray:
        """Best candidate (positions,) of one phase (positions,) at each; -1 where there is none."""
        return self.best[np.arange(len(phase)), phase]

    @classmethod
    def of(cls, spots: Spots, starts: Starts, refined: Refined, optics: Optics) -> Evidence:
        best = np.full(starts.shape, -1)
        # Ascending likelihood: what is written last is the best.
        order = np.argsort(refined.log_likelihood, kind="stable")
        best[starts.position[order], starts.phase[order]] = order
        found = best >= 0

        def of_best(values: np.ndarray, missing: float) -> np.ndarray:
            out = np.full((*best.shape, *values.shape[1:]), missing)
            out[found] = values[best[found]]
            return out

        # Without an orientation every spot is a stray.
        strays = of_strays(spots.numbers[:, None], optics)
        return cls(
            rotation=of_best(refined.rotation, np.nan),
            scale_factor=of_best(refined.scale_factor, np.nan),
            centre=of_best(refined.centre, np.nan),
            log_evidence=np.where(found, of_best(refined.log_likelihood, 0.0), strays),
            phase=starts.phase,
            refined=refined,
            best=best,
        )


def weigh(spots: Spots, starts: Starts, table: ReflectionTable, optics: Optics) -> Evidence:
    refined = refine_starts(spots, starts, table, optics)
    return Evidence.of(spots, starts, refined, optics)


def weigh_more(
    evidence: Evidence, spots: Spots, starts: Starts, more: tuple[np.ndarray, ...],
    table: ReflectionTable, optics: Optics,
) -> tuple[Evidence, Starts]:  # fmt: skip
    """With `more` starts (see `Starts.joined`); and all starts."""
    every = starts.joined(*more)
    new = every.taken(np.arange(len(starts.position), len(every.position)))
    refined = evidence.refined.joined(refine_starts(spots, new, table, optics))
    return Evidence.of(spots, every, refined, optics), every


def refine_starts(spots: Spots, starts: Starts, table: ReflectionTable, optics: Optics) -> Refined:
    return refine(
        spots, starts.position, starts.phase, starts.rotation, table, optics,
        coarse=False,
    )  # fmt: skip


def weigh_again(
    evidence: Evidence, again: np.ndarray, spots: Spots, starts: Starts, table: ReflectionTable,
    optics: Optics,
) -> Evidence:  # fmt: skip
    """With other spots and starts at those positions that are to be weighed `again` (positions,);
    `starts` are of these."""
    anew = weigh(spots, starts, table, optics)
    before = len(evidence.refined.rotation)
    renewed = {
        name: np.where(again.reshape(-1, *[1] * (old.ndim - 1)), new, old)
        for (name, old), new in zip(vars(evidence).items(), vars(anew).values(), strict=True)
        if name not in ("phase", "refined", "best")
    }
    best = np.where(again[:, None], np.where(anew.best < 0, -1, anew.best + before), evidence.best)
    return Evidence(
        **renewed, phase=np.concatenate([evidence.phase, anew.phase]),
        refined=evidence.refined.joined(anew.refined), best=best,
    )  # fmt: skip


def posterior_of(
    log_evidence: np.ndarray, intensities: np.ndarray | float, prior: Sequence[float] | None
) -> np.ndarray:
    """Probabilities (positions, phases) by Bayes' rule, from spots and forced intensities."""
    logits = TEMPERATURE * log_evidence + FORCED_TEMPERATURE * intensities
    if prior is not None:
        logits = logits + np.log(np.asarray(prior, dtype=float))
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
