"""Second lattices, where two grains lie over each other, or two phases whose spots are resolved.

They are looked for in the spots that the likeliest lattice leaves over (`leftover`), else in what
is too bright for it (`excess`), among pairs of candidates that explain together what it does
alone (`rivals`), and among phases that lie as it does (`columns`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots
from phasefront.diffraction.template_library import Library
from phasefront.phases import columns, excess, leftover, rivals
from phasefront.phases.evidence import Evidence, Starts, weigh, weigh_again
from phasefront.phases.lattices import Lattices
from phasefront.phases.pairs import Pairs, likelier, sure


@dataclass(frozen=True)
class Second:
    """Second lattices; one entry a position."""

    phase: np.ndarray  # (positions,) the likeliest; -1 where there is none
    rotation: np.ndarray  # (positions, 4); NaN where there is none
    log_evidence: np.ndarray  # (positions, phases) of what the first does not explain alone
    claimed: np.ndarray  # (spots,) spots that only the second lattice explains
    part: np.ndarray  # (spots,) its share of the intensity of each spot
    shared: np.ndarray  # (spots,) that may be two, not resolved, of two phases of one grain
    probability: np.ndarray  # (positions,) that two lattices are there, rather than one
    turned: np.ndarray  # (positions,) whether the first lattice is another than it was


def find_pairs(
    spots: Spots, first: Lattices, starts: Starts, evidence: Evidence, library: Library,
    candidates: CandidatePhases, table: ReflectionTable, optics: Optics, *, min_spots: int,
    mixed_prior: float,
) -> Pairs:  # fmt: skip
    """All pairs of lattices, where either is worth a thought; the other ways are for where spots
    left over give no second lattice for sure."""
    best = evidence.best_of(first.phase)
    crystals = candidates.crystals

    def lattices(at: np.ndarray):
        return at, first.phase[at], evidence.refined.taken(best[at])

    found = leftover.find_second(
        spots, first.explained, *lattices(np.flatnonzero(best >= 0)), library, table, optics,
        min_spots=min_spots,
    )  # fmt: skip
    alone = best >= 0
    alone[found.position[sure(found.probability)]] = False
    bright = excess.find_second(
        spots, *lattices(np.flatnonzero(alone)), library, crystals, table, optics,
        min_spots=min_spots,
    )  # fmt: skip
    others = rivals.find_pairs(
        spots, starts, evidence.refined, np.where(alone, best, -1), crystals, table, optics,
        min_spots=min_spots,
    )  # fmt: skip
    of_columns = columns.find_pairs(
        spots, first.explained, *lattices(np.flatnonzero(alone)), candidates, table, optics,
        prior=mixed_prior,
    )  # fmt: skip
    return found.joined(bright).joined(others).joined(of_columns)


def settle(
    every: Pairs, spots: Spots, first: Lattices, starts: Starts, evidence: Evidence,
    candidates: CandidatePhases, table: ReflectionTable, optics: Optics,
) -> tuple[Second, Evidence]:  # fmt: skip
    """Second lattices of the pairs that are sure, and the evidence with first ones weighed again.

    Two phases of one grain are taken where they are likelier than one. The brighter lattice is the
    first. Either is weighed on the spots that the other does not explain alone, against all
    candidates that are not the other.
    """
    crystals = candidates.crystals
    pairs, turned, of = every.best().brightest_first(spots, table, optics)
    coherent = likelier(pairs.probability)
    coherent[coherent] = columns.of_one_grain(pairs.taken(coherent), candidates)
    kept = sure(pairs.probability) | coherent
    probability = np.zeros(len(first.phase))
    probability[pairs.position] = pairs.probability
    pairs, turned, at = pairs.taken(kept), turned[kept], pairs.position[kept]
    two, brighter, one_grain = np.zeros((3, len(first.phase)), dtype=bool)
    two[at], brighter[at], one_grain[at] = True, turned, coherent[kept]
    # The cell of the likeliest lattice was refined: what it explains is known better.
    explained = of.explained
    explained[0] |= first.explained & ~brighter[spots.owner]
    explained[1] |= first.explained & brighter[spots.owner]
    explained &= two[spots.owner]
    only_first, claimed = explained & ~explained[::-1]

    tried = starts.taken(np.flatnonzero(two[starts.position]))
    refined = evidence.refined.taken(np.flatnonzero(two[starts.position]))
    every = every.taken(np.flatnonzero(two[every.position]))
    for phase, lattice in zip(every.phase, every.refined, strict=True):
        tried = tried.joined(every.position, phase, lattice.rotation)
        refined = refined.joined(lattice)
    besides = [_differ(tried, refined, pairs, which, crystals, table, optics) for which in (0, 1)]
    seconds = tried.taken(besides[0]).joined(at, pairs.phase[1], pairs.refined[1].rotation)
    found = weigh(spots.without(only_first), seconds, table, optics)
    phase, rotation = np.full(len(two), -1), np.full((len(two), 4), np.nan)
    phase[at] = found.likeliest[at]  # of those with an orientation: strays may be likelier
    rotation[at] = found.rotation[at, phase[at]]
    second = Second(
        phase, rotation, found.log_evidence, claimed, np.where(two[spots.owner], of.part, 0.0),
        of.shared & one_grain[spots.owner], probability, brighter,
    )  # fmt: skip
    firsts = tried.taken(besides[1]).joined(at, pairs.phase[0], pairs.refined[0].rotation)
    return second, weigh_again(evidence, two, spots.without(claimed), firsts, table, optics)


def _differ(
    starts: Starts, refined, pairs: Pairs, which: int, crystals, table, optics
) -> np.ndarray:
    """Whether candidates are others than the first or second (`which`) lattice of their position's
    pair."""
    own = np.searchsorted(pairs.position, starts.position)
    against = Pairs(
        starts.position, np.stack([pairs.phase[which][own], starts.phase]),
        (pairs.refined[which].taken(own), refined), pairs.gain[own], pairs.probability[own],
    )  # fmt: skip
    return against.differ(crystals, table, optics)
