"""Pairs of lattices against one: does a second one explain what the first cannot, for its price?

Spots of two crystals over each other are drawn from the reflections of either (see
`diffraction.likelihood`), in shares that are fitted; their intensities add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import expit

from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.likelihood import (
    Refined,
    promised_reflections,
)
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots
from phasefront.diffraction.template_library import Library
from phasefront.phases import brightness
from phasefront.phases.evidence import TEMPERATURE

# Azimuths that the coarse search tells apart; with the templates, the number of chances that strays
# have to look like a lattice. Chosen; half and double change no decision (docs/constants.md).
_AZIMUTHS = 64
# For two lattices, where there are two. Chosen; half and double change no decision
# (docs/constants.md).
ODDS = 20.0
_SHARES = np.linspace(0.1, 0.9, 9)  # of the second lattice in the spots, to choose from
# One lattice, slightly bent, or that of two phases of one grain, is none over another: crystals of
# one phase are less than so many degrees apart, those of two promise amplitudes that correlate
# by more than this. Chosen.
_ALIKE_DEG, _ALIKE = 5.0, 0.8
_STRAYS = (1.0, 2.0, 4.0, 8.0)  # of strays, times the share that a scan has
# Reflections nearer to a spot than this share of the distance at which a scan's spots are told
# apart are in its intensity. Chosen on two virtual scans of LiFePO4 and FePO4.
_MERGED = 0.3
# A lattice with more than this share of a spot's intensity moves it, if it is not resolved. Chosen.
_MOVED = 0.1
_PATTERNS = 512  # about so many show how near spots are told apart; for the sake of time
_BLOCK = 4096  # pairs whose reflections are in memory at a time
_ROUNDS = 30  # of sharing intensities out: they settle within a hundredth


def price(library: Library) -> float:
    """Log-likelihood that a lattice must gain for even odds, having been chosen among many."""
    return float(np.log(len(library.rotation) * _AZIMUTHS))


def among(tried: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Probability (n,) of candidates' pairs that gain so much over one lattice, each chosen among
    so many that were `tried` (n,), at the odds of two lattices."""
    return expit(TEMPERATURE * (gain - np.log(ODDS * tried)))


def sure(probability: np.ndarray) -> np.ndarray:
    """Whether two lattices are likelier than one by the odds asked for."""
    return probability > ODDS / (1 + ODDS)


def likelier(probability: np.ndarray) -> np.ndarray:
    """Whether two phases of one grain are likelier than one: that suffices, as it does where a cell
    lies between two phases' (see `lattices`)."""
    return probability > 0.5


def possible(probability: np.ndarray) -> np.ndarray:
    """Whether two lattices are not out of the question by the same odds."""
    return probability > 1 / (1 + ODDS)


@dataclass(frozen=True)
class SpotsOfTwo:
    """What spots have of two lattices; nothing where neither explains them, and without a pair."""

    explained: np.ndarray  # (2, spots) whether a lattice explains it
    part: np.ndarray  # (spots,) the second's share in its intensity, with what merges with it
    shared: np.ndarray  # (spots,) whether it may be two that are not resolved, somewhere between


@dataclass(frozen=True)
class Pairs:
    """Two lattices each, one entry a pair."""

    position: np.ndarray  # (n,)
    phase: np.ndarray  # (2, n)
    refined: tuple[Refined, Refined]  # of n lattices each
    gain: np.ndarray  # (n,) log-likelihood over one lattice alone
    probability: np.ndarray  # (n,) that both are there, rather than one lattice alone

    def taken(self, chosen: np.ndarray) -> Pairs:
        first, second = self.refined
        return Pairs(
            self.position[chosen], self.phase[:, chosen],
            (first.taken(chosen), second.taken(chosen)), self.gain[chosen],
            self.probability[chosen],
        )  # fmt: skip

    def joined(self, other: Pairs) -> Pairs:
        refined = tuple(
            one.joined(two) for one, two in zip(self.refined, other.refined, strict=True)
        )
        position, phase, gain, probability = (
            np.concatenate([getattr(self, name), getattr(other, name)], axis=-1)
            for name in ("position", "phase", "gain", "probability")
        )
        return Pairs(position, phase, refined, gain, probability)

    def doubted(self, posterior: np.ndarray, settled: np.ndarray) -> np.ndarray:
        """Posterior (positions, phases) of the first lattice's phase with what pairs take from it.

        One pair a position. Where two lattices are not `settled` (positions,), their
        probability is taken from the likeliest phase for its own other phase, if it has one; at
        most what makes these as likely, for the first lattice stays the one that is shown.
        """
        own = self.taken(~settled[self.position])
        out, at = posterior.copy(), own.position
        likeliest = posterior[at].argmax(axis=1)
        other = np.where(own.phase[0] != likeliest, *own.phase)
        lead = posterior[at, likeliest] - posterior[at, other]
        moved = np.minimum(own.probability * posterior[at, likeliest], 0.5 * lead)
        out[at, likeliest] -= moved
        out[at, other] += moved
        return out

    def best(self) -> Pairs:
        """The likeliest of each position, positions ascending."""
        order = np.lexsort((-self.gain, -self.probability, self.position))
        return self.taken(order[np.flatnonzero(np.diff(self.position[order], prepend=-1))])

    def differ(
        self, crystals: Sequence[Crystal], table: ReflectionTable, optics: Optics
    ) -> np.ndarray:
        """Whether they are two lattices (n,), rather than one, bent, or one of two phases."""
        (first, second), (phase, other) = self.refined, self.phase
        two = np.ones(len(phase), dtype=bool)
        for number, crystal in enumerate(crystals):
            own = np.flatnonzero((phase == number) & (other == number))
            half = rotations.multiply(second.rotation[own], rotations.HALF_TURN)
            for turned in (second.rotation[own], half):
                angle = rotations.misorientation(first.rotation[own], turned, crystal.symmetry)
                two[own] &= angle >= _ALIKE_DEG
        apart = np.flatnonzero(two)
        for own in np.split(apart, range(_BLOCK, len(apart), _BLOCK)):
            two[own] = self.taken(own)._correlation(table, optics) < _ALIKE
        return two

    def _correlation(self, table: ReflectionTable, optics: Optics) -> np.ndarray:
        """Of the amplitudes that both lattices promise (n,); 1 where one promises none."""
        (first, second), (phase, other) = self.refined, self.phase
        n = len(phase)
        promise = promised_reflections(phase, first, table, optics)
        edge = np.searchsorted(promise.crystal, np.arange(n + 1))
        places = Spots(edge, *promise.q.T, promise.share**2)
        there, _ = brightness.expected(places, np.arange(n), other, second, table, optics)
        whole = promised_reflections(other, second, table, optics)
        product = np.bincount(promise.crystal, promise.share * np.sqrt(there), minlength=n)
        norms = [np.bincount(one.crystal, one.share**2, minlength=n) for one in (promise, whole)]
        norm = np.sqrt(norms[0] * norms[1])
        return np.where(norm > 0, product / np.maximum(norm, 1e-300), 1.0)

    def brightest_first(
        self, spots: Spots, table: ReflectionTable, optics: Optics
    ) -> tuple[Pairs, np.ndarray, SpotsOfTwo]:
        """The same with the lattice first that has more of the intensity; which pairs were turned
        (n,); and what spots have of either. One pair a position.
        """
        entry, spot = brightness.listed(spots, self.position)
        expected, _ = self.expected(spots, table, optics)
        own, known = spots.intensity[spot], expected.sum(axis=0) > 0

        def part_within(reach: float) -> np.ndarray:
            near, _ = self.expected(spots, table, optics, reach)
            return shared_out(np.where(known, near, 0.0), entry, own, len(self.position))

        resolved = closest(spots)
        part, moved = part_within(_MERGED * resolved), part_within(resolved)
        moved = np.minimum(moved, 1 - moved) > _MOVED
        of_second = np.where(known, (part - 0.5) * own, 0.0)
        turned = np.bincount(entry, of_second, minlength=len(self.position)) > 0
        part = np.where(turned[entry] & (expected.sum(axis=0) > 0), 1 - part, part)
        expected = np.where(turned[entry], expected[::-1], expected)
        (phase, other), (first, second) = self.phase, self.refined
        both = first.joined(second)
        index = np.arange(len(turned)) + len(turned) * np.stack([turned, ~turned])
        number = len(spots.qx)
        of = SpotsOfTwo(np.zeros((2, number), bool), np.zeros(number), np.zeros(number, bool))
        of.explained[:, spot] = expected > 0
        of.part[spot], of.shared[spot] = np.where(known, part, 0.0), known & moved
        phase = np.stack([np.where(turned, other, phase), np.where(turned, phase, other)])
        return replace(
            self, phase=phase, refined=(both.taken(index[0]), both.taken(index[1]))
        ), turned, of  # fmt: skip

    def expected(
        self, spots: Spots, table: ReflectionTable, optics: Optics, reach: float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Intensities and densities of the spots under either lattice, (2, m) each; see
        `brightness.expected`."""
        both = [
            brightness.expected(spots, self.position, phase, refined, table, optics, reach)
            for phase, refined in zip(self.phase, self.refined, strict=True)
        ]
        intensity, density = np.stack(both, axis=1)
        return intensity, density


def likelihood_of_places(
    density: np.ndarray, entry: np.ndarray, weight: np.ndarray, number: int, optics: Optics
) -> np.ndarray:
    """Log-likelihood (number,) of where spots are, in the best of the shares that strays may have.

    `density`, `entry` and `weight` (m,): of spots under what explains them, which explanation it
    is, and what the spot counts. Where many spots are no lattice's, strays are no surprise, and a
    second lattice that explains some gains less.
    """

    def likelihood(stray: float) -> np.ndarray:
        value = weight * np.log((1 - stray) * density + stray / optics.area)
        return np.bincount(entry, value, minlength=number)

    return np.max([likelihood(optics.stray_share * factor) for factor in _STRAYS], axis=0)


def likelihood_of_both(density: np.ndarray, entry: np.ndarray, *rest) -> np.ndarray:
    """The same of two lattices (2, m), in the best of the shares that spots may have of them."""
    return np.max(
        [
            likelihood_of_places((1 - share) * density[0] + share * density[1], entry, *rest)
            for share in _SHARES
        ],
        axis=0,
    )


def closest(spots: Spots) -> float:
    """Distance, 1/angstrom, within which one spot in a hundred has another of its pattern, on
    patterns evenly spread: nearer ones are seldom told apart. Infinite where no pattern has two."""
    some = spots.owner % max(1, len(spots.numbers) // _PATTERNS) == 0
    # Patterns lie further apart than spots in them.
    apart = 4 * max(np.abs(spots.qx).max(initial=0), np.abs(spots.qy).max(initial=0))
    places = np.column_stack([spots.qx, spots.qy, apart * spots.owner])[some]
    if len(places) < 2:
        return np.inf
    nearest = cKDTree(places).query(places, k=2)[0][:, 1]
    within = nearest[nearest < apart]
    return float(np.quantile(within, 0.01)) if len(within) else np.inf


def shared_out(
    expected: np.ndarray, entry: np.ndarray, intensity: np.ndarray, number: int
) -> np.ndarray:
    """Share (m,) of the second lattice in each spot's intensity, 0 where none explains it.

    Either lattice has one factor between `expected` (2, m) and counted intensities; the most likely
    ones of Poisson counts are found by expectation and maximisation (Richardson, J. Opt. Soc. Am.
    62, 55, 1972).
    """
    intensity = np.where(expected.sum(axis=0) > 0, intensity, 0.0)
    norm = [np.bincount(entry, own, minlength=number) for own in expected]
    part = np.full(len(entry), 0.5)
    for _ in range(_ROUNDS):
        first, second = (
            own * (np.bincount(entry, counts, minlength=number) / np.maximum(each, 1e-300))[entry]
            for own, counts, each in zip(
                expected, ((1 - part) * intensity, part * intensity), norm, strict=True
            )
        )
        part = second / np.maximum(first + second, 1e-300)
    return part
