"""Which of the orientations that a pattern hardly tells apart a grain's positions have.

A position has its own odds of them (`phases.alternatives`): half a turn about the zone axis, where
upper zones alone tell, and variants of the lattice that phases share. Positions of a grain see the
same crystal, so where the model's intensities or its tilt are wrong they are wrong alike: log-odds
do not add up, and their mean, a few times over, is what is known. Half turns are pooled over the
grain; variants over the positions of one phase, each of which may lie on the lattice in its own.

Half a turn leaves alone: the zone axis and colours of directions along and across the beam (Laue
groups have the inversion), traces of planes, and lines along crystal axes on the map. It changes
misorientations between grains, unless both are turned, and exported orientations. A variant leaves
alone what is told of the shared lattice, grains' orientations, misorientations and planes of fronts
among that; it changes colours of directions and exported orientations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.special import expit, softmax

from phasefront.diffraction import rotations
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.grains.lattices import Lattice, shown_phase

# Positions that the mean log-odds of a grain's count for. Likeliest is 1.4 for the variants of 432
# patterns by Bloch waves without noise (Cmc21, 10 to 100 nm), where all error is the model's, and
# more than 4 for those of 186 grains of 17 films (2e4 to 3e7 electrons a pattern, seeds other than
# those reported, four of them with orientations that no other film has), none of which was told
# wrongly for sure; in between, chosen. For half turns it is more: none of 240 grains was told
# wrongly.
POOLED = 2.0
# Within which orientations are one, or one and half a turn about the beam: half turns about a zone
# axis are off by twice its tilt, and grains bend. Variants are 60 degrees apart, or more. Chosen.
_TWICE_THE_TILT_DEG = 10.0


def half_turn_probability(gap: np.ndarray, by_other: bool = False) -> np.ndarray:
    """Probability that grains whose mean gap is `gap` (0 or more) are half a turn off; 0.5 to 0.

    Where `gap` is NaN no half turn came into question; in a map `by_other` programs none is known.
    """
    return np.where(np.isnan(gap), np.nan if by_other else 0.0, expit(-POOLED * gap))


def either(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Probability that exactly one of two grains is half a turn off, by each one's own."""
    return one * (1.0 - other) + other * (1.0 - one)


@dataclass(frozen=True)
class Known:
    """What positions know of their orientations: as found, then the alternatives."""

    rotation: np.ndarray  # (positions, 1 + alternatives, 4), frame to crystal; NaN for none
    log_odds: np.ndarray  # (positions, 1 + alternatives), 0 as found; -inf for none
    by_other: bool  # than phasefront: alternatives may be there and are not known

    @classmethod
    def of(cls, phases: xr.Dataset, found: np.ndarray) -> Known:
        """Of PHASES and the orientations (positions, 4) that it gives them."""
        alternative = phases["alternative_rotation"].values.astype("f8")
        alternative = alternative.reshape(len(found), -1, 4)
        log_odds = phases["alternative_log_odds"].values.astype("f8").reshape(len(found), -1)
        as_found = np.where(np.isfinite(found[:, :1]), 0.0, -np.inf)
        return cls(
            np.concatenate([found[:, None], rotations.unit(alternative)], axis=1),
            np.concatenate([as_found, np.where(np.isnan(log_odds), -np.inf, log_odds)], axis=1),
            bool(phases.attrs["map_by"]),
        )

    def taken(self, chosen: np.ndarray) -> Known:
        return Known(self.rotation[chosen], self.log_odds[chosen], self.by_other)

    @property
    def probability(self) -> np.ndarray:
        """(positions, 1 + alternatives), by each position alone; NaN where none is known."""
        odds = np.exp(self.log_odds)
        there = (odds[:, :1] > 0) & (not self.by_other)
        out = np.full(odds.shape, np.nan)
        return np.divide(odds, odds.sum(axis=1, keepdims=True), out=out, where=there)

    def has_axes_found(self, symmetry: np.ndarray) -> np.ndarray:
        """Whether each orientation has the crystal axes of that found, (positions,
        1 + alternatives): is it, or its half turn, of crystals of one `symmetry`."""
        found = self.rotation[:, :1]
        angle = [
            rotations.misorientation(self.rotation, one, symmetry)
            for one in (found, rotations.multiply(found, rotations.HALF_TURN))
        ]
        return np.minimum(*angle) <= _TWICE_THE_TILT_DEG

    def half_turn_gap(
        self, phase: np.ndarray, lattices: Sequence[Lattice], same_deg: float
    ) -> np.ndarray:
        """Log-odds (positions,) as found against the likeliest that is half turned; NaN for none.

        The lattices of the `phase` (positions,) are compared: variants are one, to `same_deg`.
        """
        gap = np.full(len(phase), np.nan)
        for number, lattice in enumerate(lattices):
            own = phase == number
            there = rotations.multiply(lattice.to_lattice, self.rotation[own])
            angle = rotations.misorientation(there[:, :1], there[:, 1:], lattice.symmetry)
            turned = np.where(angle > same_deg, self.log_odds[own, 1:], -np.inf)
            gap[own] = -turned.max(axis=1, initial=-np.inf)
        return np.where(np.isfinite(gap), gap, np.nan)

    def labels(self, expected: np.ndarray, symmetry: np.ndarray) -> np.ndarray:
        """Which variant `expected` (variants, 4) in its grain each orientation is, (positions,
        1 + alternatives): its number, that and the number of variants if half turned, -1 if none.
        """
        both = np.concatenate([expected, rotations.multiply(expected, rotations.HALF_TURN)])
        angle = rotations.misorientation(self.rotation[..., None, :], both, symmetry)
        angle = np.where(np.isnan(angle), np.inf, angle)
        return np.where(angle.min(axis=2) <= _TWICE_THE_TILT_DEG, angle.argmin(axis=2), -1)

    def variant_odds(self, label: np.ndarray, count: int) -> np.ndarray:
        """Log-odds (`count`,) of the variants in the grain's half turn, means of the positions that
        know them; -inf for one that none knows."""
        each = np.where(label[..., None] == np.arange(count), self.log_odds[..., None], -np.inf)
        largest = each.max(axis=1)
        there = np.isfinite(largest)
        total = np.where(there, largest, 0.0).sum(axis=0)
        return np.where(there.any(axis=0), total / np.maximum(there.sum(axis=0), 1), -np.inf)


def weighed(
    own: np.ndarray, label: np.ndarray, variant: np.ndarray, half_turn: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which orientation (positions,) positions of one phase in a grain have, the probability of
    that, and of its axes whatever the half turn.

    Parameters
    ----------
    own
        (positions, orientations) probabilities by the position alone, that found first.
    label
        (positions, orientations), see `Known.labels`.
    variant, half_turn
        Probabilities of the variants (variants,), and that the grain is half a turn off.

    Where a position found what its grain says, the surer of them counts, because the position is
    part of the grain; its own log-odds then count for 1 / POOLED, as the largest of many are large
    by chance. Where not, the grain is the prior in Bayes' rule.
    """
    prior = np.concatenate([(1.0 - half_turn) * variant, half_turn * variant])
    posterior = np.where(label >= 0, own * prior[label], 0.0)
    total = posterior.sum(axis=1, keepdims=True)
    posterior = np.where(total > 0, posterior / np.maximum(total, 1e-300), own)
    best, axes = prior.argmax(), np.where(label >= 0, label % len(variant), -1)
    agree = label[:, 0] == best
    index = np.where(agree, 0, posterior.argmax(axis=1))[:, None]
    modest = own ** (1.0 / POOLED)
    modest /= modest.sum(axis=1, keepdims=True)
    probability = np.where(
        agree, np.maximum(modest[:, 0], prior[best]),
        np.take_along_axis(posterior, index, axis=1)[:, 0],
    )  # fmt: skip
    chosen = np.take_along_axis(axes, index, axis=1)
    alone, together = (np.where(axes == chosen, p, 0.0).sum(axis=1) for p in (modest, posterior))
    agree = (axes[:, 0] == best) & (chosen[:, 0] == best)
    of_axes = np.where(agree, np.maximum(alone, variant.max()), together)
    return index[:, 0], probability, np.maximum(of_axes, probability)


@dataclass(frozen=True)
class Settled:
    """What GRAINS tell of orientations under the phase of each position."""

    orientation: np.ndarray  # (positions, 4); NaN for none
    probability: np.ndarray  # (positions,) that it is the true one of those hardly told apart
    axes_probability: np.ndarray  # (positions,) that it is of the true variant
    variant_probability: np.ndarray  # (grains, phases), of the variant kept; NaN for no position


def settle(
    known: Known, phase: np.ndarray, label: np.ndarray, mean: np.ndarray, half_turn: np.ndarray,
    candidates: CandidatePhases, lattices: Sequence[Lattice],
) -> Settled:  # fmt: skip
    """The orientation that each position has by itself or by its grain.

    Parameters
    ----------
    phase, label
        (positions,) phase that a position is oriented under, and its grain, -1 for none.
    mean, half_turn
        Of each grain: orientation of its lattice, and probability that it is half a turn off.
    """
    own = known.probability
    orientation, probability = known.rotation[:, 0].copy(), own[:, 0].copy()
    axes = np.full(len(phase), np.nan)
    chance = np.full((len(mean), len(lattices)), np.nan)
    for number, crystal in enumerate(candidates.crystals):
        at = np.flatnonzero(phase == number)
        axes[at] = np.where(known.taken(at).has_axes_found(crystal.symmetry), own[at], 0).sum(1)
    axes[np.isnan(probability)] = np.nan
    for at in _groups(label, phase, np.isfinite(probability)):
        grain, number, of = label[at[0]], phase[at[0]], known.taken(at)
        back = lattices[number].to_lattice * [1, -1, -1, -1]
        expected = rotations.multiply(
            candidates.variants[number], rotations.multiply(back, mean[grain])
        )
        which = of.labels(expected, candidates.crystals[number].symmetry)
        log_odds = of.variant_odds(which, len(expected))
        if not np.isfinite(log_odds).any():
            continue
        variant = softmax(POOLED * log_odds)
        chance[grain, number] = variant.max()
        index, probability[at], axes[at] = weighed(own[at], which, variant, half_turn[grain])
        orientation[at] = of.rotation[np.arange(len(at)), index]
    return Settled(orientation, probability, axes, chance)


def _groups(label: np.ndarray, phase: np.ndarray, usable: np.ndarray) -> list[np.ndarray]:
    """Indices of the positions that are `usable`, of each grain and phase."""
    order = np.lexsort((phase, label))
    order = order[usable[order] & (label[order] >= 0)]
    ends = np.flatnonzero(np.diff(label[order]) | np.diff(phase[order])) + 1
    return np.split(order, ends) if len(order) else []


def settled(phases: xr.Dataset, grains: xr.Dataset) -> xr.Dataset:
    """PHASES with the orientation that GRAINS settle, under the phase that it is shown under."""
    rotation = phases["rotation"].values.copy()
    shown = shown_phase(phases).reshape(rotation.shape[:2])[..., None, None]
    np.put_along_axis(rotation, shown, grains["orientation"].values[:, :, None], axis=2)
    return phases.assign(rotation=phases["rotation"].copy(data=rotation))
