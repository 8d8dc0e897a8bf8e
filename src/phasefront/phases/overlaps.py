"""A second lattice in the spots that the first one leaves over.

Where two grains lie over each other, or two phases of one grain whose spots are resolved, the best
single lattice explains some of the spots only. The rest is indexed by itself, against all phases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasefront.diffraction.likelihood import assign, refine
from phasefront.diffraction.matching import match
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots
from phasefront.diffraction.template_library import Library

# Azimuths that the coarse search tells apart; with the templates, the number of chances that strays
# have to look like a lattice. Chosen; half and double change no decision (docs/constants.md).
_AZIMUTHS = 64
_ODDS = 20.0  # chosen; half and double change no decision (docs/constants.md)


@dataclass(frozen=True)
class Second:
    """Second lattices; one entry a position."""

    phase: np.ndarray  # (positions,) the likeliest; -1 where there is none
    rotation: np.ndarray  # (positions, 4); NaN where there is none
    log_evidence: np.ndarray  # (positions, phases) of the spots left over, above strays only
    claimed: np.ndarray  # (spots,) spots that only the second lattice explains


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
    chances = len(library.rotation) * _AZIMUTHS
    kept = (refined.indexed >= min_spots) & (gain > np.log(_ODDS * chances))
    evidence = np.zeros((positions, library.phases))
    np.maximum.at(evidence, (position, phase), gain)
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
    return Second(of_position, rotation, evidence, claimed)
