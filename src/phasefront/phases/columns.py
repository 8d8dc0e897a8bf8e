"""Columns through the boundary between two phases of one grain.

Of such a column few spots may be the second phase's alone: too few to index a lattice of any
orientation. It lies as the first does, though, and where that is known, spots between the places of
both are enough (see `merged`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import expit, logit

from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.likelihood import Refined, refine
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots
from phasefront.phases import kinship, merged, pairs
from phasefront.phases.evidence import TEMPERATURE

# A second phase is looked for beside where it should lie, too, in so many spots that are left over.
# Chosen.
_SPOTS = 4


def find_pairs(
    spots: Spots, explained: np.ndarray, position: np.ndarray, phase: np.ndarray, first: Refined,
    candidates: CandidatePhases, table: ReflectionTable, optics: Optics, *, prior: float,
) -> pairs.Pairs:  # fmt: skip
    """Pairs that are likelier than the first lattice alone, of each (n entries; one a position)
    with another phase of the same parent lattice, which lies as the first does, or nearly so in
    spots that are not `explained` (spots,) by that.

    `prior` is the share of columns, beforehand, that hold two phases; the phases and variants that
    are tried have equal parts of it. A pair that is not the likelier answer is none: of a weak
    second phase, the first is decided.
    """
    entry, other, rotation = kinship.lent(phase, first.rotation, candidates)
    second = Refined.placed(rotation, first.scale_factor[entry], first.centre[entry])
    left = spots.without(explained)
    many = np.flatnonzero(left.numbers[position[entry]] >= _SPOTS)
    refined = refine(
        left, position[entry[many]], other[many], rotation[many], table, optics, coarse=False
    )
    turned = kinship.angles(refined.rotation, rotation[many], other[many], candidates.crystals)
    near = np.flatnonzero((turned < kinship.ALIKE_DEG) & (refined.indexed >= _SPOTS))
    entry = np.concatenate([entry, entry[many[near]]])
    other = np.concatenate([other, other[many[near]]])
    second = second.joined(refined.taken(near))
    found = pairs.Pairs(
        position[entry], np.stack([phase[entry], other]), (first.taken(entry), second),
        np.zeros(len(entry)), np.zeros(len(entry)),
    )  # fmt: skip
    gain = merged.gains(
        spots, found.position, found.phase, found.refined, table, optics,
        apart=pairs.closest(spots),
    )  # fmt: skip
    tried = np.bincount(entry, minlength=len(position))[entry]
    probability = expit(TEMPERATURE * gain + logit(prior) - np.log(tried))
    found = replace(found, gain=gain, probability=probability)
    found = found.taken(np.flatnonzero(pairs.likelier(probability)))
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
