"""Second lattices: in the spots that the first one leaves over, or in what is too bright for it.

Where two grains lie over each other, or two phases of one grain whose spots are resolved, the best
single lattice explains some of the spots only. The rest is indexed by itself, against all phases.
Where that finds none, pairs of lattices are weighed against one (see `excess` and `pairs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.likelihood import assign, refine
from phasefront.diffraction.matching import match
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots
from phasefront.diffraction.template_library import Library
from phasefront.phases import excess, pairs
from phasefront.phases.evidence import Evidence, Starts, weigh
from phasefront.phases.lattices import Lattices


@dataclass(frozen=True)
class Second:
    """Second lattices; one entry a position."""

    phase: np.ndarray  # (positions,) the likeliest; -1 where there is none
    rotation: np.ndarray  # (positions, 4); NaN where there is none
    log_evidence: np.ndarray  # (positions, phases) of what it explains, above strays only
    claimed: np.ndarray  # (spots,) spots that only the second lattice explains
    part: np.ndarray  # (spots,) its share of the intensity of each spot
    probability: np.ndarray  # (positions,) that two lattices are there, rather than one


def find_second(
    spots: Spots,
    explained: np.ndarray,
    library: Library,
    table: ReflectionTable,
    optics: Optics,
    *,
    min_spots: int,
) -> Second:
    """Index the spots that are not `explained` (spots,) by the first lattice.

    A second lattice must index `min_spots` spots, and be likelier than strays by more than chance
    gives to the best of all templates and azimuths, at odds of 20 to 1 (a Bonferroni correction).
    """
    positions = len(spots.numbers)
    rest, left = np.flatnonzero(~explained), spots.without(explained)
    count = left.numbers
    matches = match(left, library, n_best=2, min_spots=min_spots)
    at = np.nonzero(np.isfinite(matches.score))
    position, phase = at[:2]
    refined = refine(left, position, phase, matches.rotation[at], table, optics)
    low, high = optics.window
    gain = refined.log_likelihood + count[position] * np.log(np.pi * (high**2 - low**2))
    probability = expit(gain - np.log(pairs.chances(library)))
    enough = refined.indexed >= min_spots
    kept = enough & pairs.sure(probability)
    evidence, likeliest = np.zeros((positions, library.phases)), np.zeros(positions)
    np.maximum.at(evidence, (position, phase), gain)
    np.maximum.at(likeliest, position[enough], probability[enough])
    best = np.full(positions, -1)
    order = np.argsort(gain, kind="stable")
    order = order[kept[order]]
    best[position[order]] = order  # ascending: the last one written is the best
    found = np.flatnonzero(best >= 0)
    chosen = best[found]
    assignment = assign(left, found, phase[chosen], refined.taken(chosen), table, optics)
    claimed = np.zeros(len(explained), dtype=bool)
    claimed[rest[assignment.spot]] = True
    of_position, rotation = np.full(positions, -1), np.full((positions, 4), np.nan)
    of_position[found], rotation[found] = phase[chosen], refined.rotation[chosen]
    return Second(of_position, rotation, evidence, claimed, claimed.astype(float), likeliest)


def weigh_pairs(
    spots: Spots, second: Second, first: Lattices, starts: Starts, evidence: Evidence,
    library: Library, crystals: Sequence[Crystal], table: ReflectionTable, optics: Optics, *,
    min_spots: int,
) -> tuple[Second, pairs.Pairs]:  # fmt: skip
    """Pairs of lattices where there is no second one, or where that is the brighter one.

    Gives the second lattices with those of the pairs that are sure, and all pairs, the likeliest of
    each position, the brighter lattice first.
    """
    open_yet = second.phase < 0
    best = evidence.best[np.arange(len(first.phase)), first.phase]
    alone = np.flatnonzero((best >= 0) & open_yet)
    bright = excess.find_second(
        spots, alone, first.phase[alone], evidence.refined.taken(best[alone]), library, crystals,
        table, optics, min_spots=min_spots,
    )  # fmt: skip
    likeliest = np.where(open_yet, best, -1)
    rivals = pairs.among_candidates(
        spots, starts, evidence.refined, likeliest, crystals, table, optics, min_spots=min_spots
    )
    every_pair = bright.joined(rivals)
    found, (by_first, by_second), part = every_pair.best().brightest_first(spots, table, optics)
    sure = pairs.sure(found.probability)
    at, chosen = found.position[sure], found.taken(sure)
    phase, rotation, log_evidence = (
        values.copy() for values in (second.phase, second.rotation, second.log_evidence)
    )
    phase[at], rotation[at] = chosen.phase[1], chosen.refined[1].rotation
    two = np.zeros(len(phase), dtype=bool)
    two[at] = True
    # Every phase's best lattice for what the first one does not explain alone.
    theirs = every_pair.taken(two[every_pair.position])
    tried = starts.taken(two[starts.position]).joined(
        theirs.position, theirs.phase[1], theirs.refined[1].rotation
    )
    left = spots.without(by_first & ~by_second & two[spots.owner])
    log_evidence[at] = weigh(left, tried, table, optics).log_evidence[at]
    probability = second.probability.copy()
    probability[found.position] = np.maximum(probability[found.position], found.probability)
    there = two[spots.owner]
    return Second(
        phase, rotation, log_evidence, np.where(there, by_second & ~by_first, second.claimed),
        np.where(there, part, second.part), probability,
    ), found  # fmt: skip
