"""Orientations of one crystal that its pattern hardly tells apart, and what each is worth.

A phase whose symmetry is lower than that of the lattice it shares may lie on that lattice in
several variants, such as a and b changed of a pseudo-tetragonal cell: pseudosymmetry. Each of
these, and the one found, comes again half a turn about the zone axis (`diffraction.zone`). They
are weighed by where spots lie, by how bright they are (`brightness`) and by the raw pattern where
they promise different intensities; upper zones, reflections that one variant has and another lacks,
unlike |F|, and cells that are not quite tetragonal tell them apart, or nothing does.

Between phases the likelihood of places is enough, which takes every spot for a draw by |F| and
visibility. Variants promise spots in the same places: where nearly all of them are found, strong
and weak, the one that promises more there is always favoured, by the same at all positions of a
grain; and spots that one forbids double diffraction shows. How bright they are contradicts either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from phasefront.diffraction import rotations, zone
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.likelihood import INTENSITY_POWER, Refined, refine, spot_weights
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots
from phasefront.phases import brightness
from phasefront.phases.evidence import TEMPERATURE, Evidence

# Log-odds by the spots past which intensities in the raw pattern are not asked, for the sake of
# time: a probability of 0.0025, from which they would hardly bring an orientation back. Chosen.
_OPEN = 6.0
# Double diffraction shows a spot where a variant has none, at this share of the density that one
# with a reflection there has. Without it one pair of spots that a glide plane forbids, of a tenth
# of the intensity that the other variant promises, was worth odds of e^23. Of 0.03, 0.1 and 0.3 it
# told variants of 190 grains best (see `grains.pooling`).
_DOUBLE = 0.03
# Least log-likelihood by intensities in the raw pattern, against the likeliest orientation: one
# place with far more light than is promised is worth no more. Chosen, as _OPEN; half of it is as
# good, without it some positions were sure of the wrong one.
_LEAST_FORCED = -6.0
_DISTINCT_DEG = 5.0  # between orientations that are not one; that of `orientations.indexing`


@dataclass(frozen=True)
class Alternatives:
    """Of each position the orientations of one phase, likeliest first once `weighed`."""

    phase: np.ndarray  # (n,) of every candidate
    refined: Refined  # of every candidate
    beyond: np.ndarray  # (n,) log-likelihood of every candidate beyond that of places
    best: np.ndarray  # (positions, orientations), the candidate; -1 where there is none
    log_odds: np.ndarray  # (positions, orientations) against the likeliest; -inf for none

    @classmethod
    def of(
        cls, phase: np.ndarray, evidence: Evidence, spots: Spots, candidates: CandidatePhases,
        table: ReflectionTable, optics: Optics, wanted: np.ndarray | None = None,
    ) -> Alternatives:  # fmt: skip
        """By the spots, under the `phase` (positions,) of each of the positions `wanted`
        (positions,), all where None."""
        every = np.arange(len(phase))
        chosen = evidence.best[every, phase]
        at = np.flatnonzero(chosen >= 0 if wanted is None else (chosen >= 0) & wanted)
        own, found = phase[at], evidence.refined.taken(chosen[at])
        turned = zone.half_turned(spots, at, own, found, table, optics)
        most = max(map(len, candidates.variants))
        best = np.full((len(phase), 2 * most), -1)
        best[at, 0] = np.arange(len(at))
        entry, column, start = [], [], []
        for crystal, turn in enumerate(candidates.variants):
            of_crystal = np.flatnonzero(own == crystal)
            for which, rotation in enumerate((found.rotation, turned)):
                for number, one in enumerate(turn):
                    if which or number:
                        entry.append(of_crystal)
                        column.append(np.full(len(of_crystal), which * most + number))
                        start.append(rotations.multiply(one, rotation[of_crystal]))
        entry, column, start = map(np.concatenate, (entry, column, start))
        more = refine(spots, at[entry], own[entry], start, table, optics, coarse=False)
        best[at[entry], column] = len(at) + np.arange(len(entry))
        nothing = np.zeros(best.shape)
        phases, every = np.concatenate([own, own[entry]]), found.joined(more)
        turned = np.concatenate([np.zeros(len(at), int), column // most])
        beyond = _beyond_places(
            spots, np.concatenate([at, at[entry]]), turned, phases, every, table, optics, len(at)
        )
        everyone = cls(phases, every, beyond, best, nothing)
        return everyone.weighed(nothing)._distinct(candidates).weighed(nothing)

    def open(self) -> Alternatives:
        """Those of the positions where the spots leave two or more open."""
        kept = (self.log_odds >= -_OPEN).sum(axis=1, keepdims=True) > 1
        return replace(self, best=np.where(kept, self.best, -1))

    def variables(self, shown: np.ndarray) -> dict[str, np.ndarray]:
        """Those of PHASES, where the phase `shown` (positions,) is the one that was asked about."""
        known = (self.best[:, 1:] >= 0) & (self.asked == shown)[:, None]
        return {
            "alternative_rotation": np.where(known[..., None], self.rotation[:, 1:], np.nan),
            "alternative_log_odds": np.where(known, self.log_odds[:, 1:], np.nan),
        }

    @property
    def asked(self) -> np.ndarray:
        """Phase (positions,) whose orientations they are; -1 where there is none."""
        return np.append(self.phase, -1)[self.best[:, 0]]

    @property
    def rotation(self) -> np.ndarray:
        """(positions, orientations, 4), NaN where there is none."""
        return self._of_best(self.refined.rotation)

    def weighed(self, forced: np.ndarray) -> Alternatives:
        """With the log-likelihood (positions, orientations) of intensities in the raw pattern.

        These, and how bright spots are, count as much as their places, other than between phases:
        errors of |F| are the same in both orientations. So variants were told best (see
        `grains.pooling`).
        """
        known = self.best >= 0
        by_spots = self._of_best(self.refined.log_likelihood + self.beyond)
        worth = TEMPERATURE * (by_spots + np.maximum(forced, _LEAST_FORCED))
        worth = np.where(known, worth, -np.inf)
        most = worth.max(axis=1, keepdims=True)
        log_odds = np.where(known, worth - np.where(np.isfinite(most), most, 0.0), -np.inf)
        order = np.argsort(-log_odds, axis=1, kind="stable")
        return replace(
            self, best=np.take_along_axis(self.best, order, axis=1),
            log_odds=np.take_along_axis(log_odds, order, axis=1),
        )  # fmt: skip

    def chosen(self, evidence: Evidence) -> Evidence:
        """Evidence with the likeliest orientation for the one that was found.

        The evidence of the phase is that of the orientation whose spots are likeliest.
        """
        at = np.flatnonzero(self.best[:, 0] >= 0)
        one = self.best[at, 0]
        phase = self.phase[one]
        row, likeliest = evidence.best[at, phase], self.refined.taken(one)
        refined = Refined(
            **{
                name: _with_rows(values, row, getattr(likeliest, name))
                for name, values in vars(evidence.refined).items()
            }
        )
        by_spots = np.nanmax(self._of_best(self.refined.log_likelihood)[at], axis=1)
        changed = {
            "rotation": likeliest.rotation, "scale_factor": likeliest.scale_factor,
            "centre": likeliest.centre, "log_evidence": by_spots,
        }  # fmt: skip
        return replace(
            evidence, refined=refined,
            **{
                name: _with_rows(getattr(evidence, name), (at, phase), values)
                for name, values in changed.items()
            },
        )  # fmt: skip

    def of_others(
        self, phase: np.ndarray, changed: np.ndarray | bool, evidence: Evidence, spots: Spots,
        candidates: CandidatePhases, table: ReflectionTable, optics: Optics,
    ) -> Alternatives:  # fmt: skip
        """Those of the `phase` (positions,), by its spots alone where they were another's, or the
        position was `changed`, (positions,) or all alike."""
        changed = changed | (self.asked != phase)
        anew = Alternatives.of(phase, evidence, spots, candidates, table, optics, wanted=changed)
        theirs = np.where(anew.best < 0, -1, anew.best + len(self.phase))
        return Alternatives(
            np.concatenate([self.phase, anew.phase]), self.refined.joined(anew.refined),
            np.concatenate([self.beyond, anew.beyond]),
            np.where(changed[:, None], theirs, self.best),
            np.where(changed[:, None], anew.log_odds, self.log_odds),
        )  # fmt: skip

    def _of_best(self, values: np.ndarray) -> np.ndarray:
        out = np.full((*self.best.shape, *values.shape[1:]), np.nan)
        known = self.best >= 0
        out[known] = values[self.best[known]]
        return out

    def _distinct(self, candidates: CandidatePhases) -> Alternatives:
        """Without those that symmetry, or the search, makes one with a likelier one."""
        best, rotation = self.best.copy(), self.rotation
        for number, crystal in enumerate(candidates.crystals):
            own = np.flatnonzero(self.asked == number)
            for later in range(1, best.shape[1]):
                before = rotation[own, :later]
                angle = rotations.misorientation(
                    before, rotation[own, later, None], crystal.symmetry
                )
                alike = (angle <= _DISTINCT_DEG) & (best[own, :later] >= 0)
                best[own[alike.any(axis=1)], later] = -1
        return replace(self, best=best)


def _beyond_places(
    spots: Spots, position: np.ndarray, turned: np.ndarray, phase: np.ndarray, refined: Refined,
    table: ReflectionTable, optics: Optics, shown: int,
) -> np.ndarray:  # fmt: skip
    """Log-likelihood (n,) of how bright spots are, and what double diffraction mends in that of
    their places. The first `shown` candidates show how spots brighten."""
    expected, density = brightness.expected(spots, position, phase, refined, table, optics)
    entry, spot = brightness.listed(spots, position)
    bright = brightness.log_likelihood(expected, spots.intensity[spot], entry, len(position), shown)
    # Variants of one half turn are of one lattice: where one has a reflection, all may have light.
    most, of = np.zeros(2 * len(spots.qx)), 2 * spot + turned[entry]
    np.maximum.at(most, of, density)
    stray = optics.stray_share / (1 - optics.stray_share) / optics.area
    mended = np.log((stray + np.maximum(density, _DOUBLE * most[of])) / (stray + density))
    mended *= spot_weights(spots, INTENSITY_POWER)[spot]
    return bright + np.bincount(entry, mended, minlength=len(position))


def _with_rows(values: np.ndarray, rows, new: np.ndarray) -> np.ndarray:
    out = values.copy()
    out[rows] = new
    return out
