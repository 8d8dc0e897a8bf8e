"""Columns through the boundary between two phases of one grain.

Of such a column few spots may be the second phase's alone: too few to index a lattice of any
orientation. It lies as the first does, though, and where that is known few are enough.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.likelihood import INTENSITY_POWER, Refined, refine, spot_weights
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots
from phasefront.phases import brightness, kinship, pairs

# Spots that only the second phase explains. Chosen: with 3, seven of a thousand single crystals of
# NVPF at 3e6 electrons a pattern seem to hold a second phase, with 4 three (on seeds of no page).
_SPOTS = 4


def find_pairs(
    spots: Spots, explained: np.ndarray, position: np.ndarray, phase: np.ndarray, first: Refined,
    candidates: CandidatePhases, table: ReflectionTable, optics: Optics,
) -> pairs.Pairs:  # fmt: skip
    """Pairs that are sure, of each first lattice (n entries; one a position) with another phase of
    the same parent lattice, in spots that are not `explained` (spots,) by the first.

    The price of the choice is the number of phases and variants, and the odds of 20 to 1 that one
    lattice has. A pair that is not sure is none: of a weak second phase, the first is decided.
    """
    left = spots.without(explained)
    entry, other, rotation = kinship.lent(phase, first.rotation, candidates)
    many = left.numbers[position[entry]] >= _SPOTS
    entry, other, rotation = entry[many], other[many], rotation[many]
    refined = refine(left, position[entry], other, rotation, table, optics, coarse=False)
    turned = kinship.angles(refined.rotation, rotation, other, candidates.crystals)
    kept = np.flatnonzero((turned < kinship.ALIKE_DEG) & (refined.indexed >= _SPOTS))
    entry, other, refined = entry[kept], other[kept], refined.taken(kept)
    number = len(entry)
    found = pairs.Pairs(
        position[entry], np.stack([phase[entry], other]), (first.taken(entry), refined),
        np.zeros(number), np.zeros(number),
    )  # fmt: skip

    intensity, density = found.expected(spots, table, optics)
    of_pair, spot = brightness.listed(spots, found.position)
    weighed = of_pair, spot_weights(spots, INTENSITY_POWER)[spot], number, optics
    gain = pairs.likelihood_of_both(density, *weighed)
    gain -= pairs.likelihood_of_places(density[0], *weighed)
    tried = np.bincount(entry, minlength=len(position))[entry]
    probability = pairs.among(tried, gain)
    only = np.bincount(of_pair[(intensity[1] > 0) & (intensity[0] == 0)], minlength=number)
    found = replace(found, gain=gain, probability=probability)
    found = found.taken(np.flatnonzero((only >= _SPOTS) & pairs.sure(probability)))
    return found.taken(found.differ(candidates.crystals, table, optics))


def of_one_grain(found: pairs.Pairs, candidates: CandidatePhases) -> np.ndarray:
    """Whether pairs (n,) are two phases that lie as those of one grain do."""
    entry, other, rotation = kinship.lent(found.phase[0], found.refined[0].rotation, candidates)
    own = other == found.phase[1, entry]
    entry, other, rotation = entry[own], other[own], rotation[own]
    angle = kinship.angles(rotation, found.refined[1].rotation[entry], other, candidates.crystals)
    out = np.zeros(len(found.position), dtype=bool)
    out[entry[angle < kinship.ALIKE_DEG]] = True
    return out
