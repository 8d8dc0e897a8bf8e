"""Pairs of candidates that together explain what the likeliest does alone.

Two crystals whose strong spots coincide, such as twins, put weak spots between these as one crystal
of another phase may: what either leaves over is the other's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.likelihood import INTENSITY_POWER, Refined, spot_weights
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots
from phasefront.phases import brightness, pairs
from phasefront.phases.evidence import Starts


def find_pairs(
    spots: Spots, starts: Starts, refined: Refined, best: np.ndarray,
    crystals: Sequence[Crystal], table: ReflectionTable, optics: Optics, *, min_spots: int,
) -> pairs.Pairs:  # fmt: skip
    """All pairs of candidates of which each explains `min_spots` spots that the other does not.

    Parameters
    ----------
    starts, refined
        The candidates.
    best
        (positions,) the candidate that is likeliest by itself, -1 where not to look.

    A pair's probability is that against the likeliest candidate alone. Candidates were chosen for
    all spots, not for what another leaves over, so the price of the choice is the number of pairs,
    and the odds of 20 to 1 that one lattice has.
    """
    number = spots.numbers[starts.position]
    some = (refined.indexed >= min_spots) & (refined.indexed <= number - min_spots)
    kept = np.flatnonzero(some & (best[starts.position] >= 0))
    kept = kept[np.argsort(starts.position[kept], kind="stable")]
    position = starts.position[kept]
    one, other = _combinations(position)
    intensity, density = brightness.expected(
        spots, position, starts.phase[kept], refined.taken(kept), table, optics
    )
    edge = np.cumsum([0, *spots.numbers[position]])
    weight = spot_weights(spots, INTENSITY_POWER)

    def of_pairs(one: np.ndarray, other: np.ndarray):
        entry, spot = brightness.listed(spots, position[one])
        within = spot - spots.offset[position[one]][entry]
        return entry, spot, np.stack([edge[one][entry] + within, edge[other][entry] + within])

    entry, _, at = of_pairs(one, other)
    explained = intensity[at] > 0
    alone = [
        np.bincount(entry[explained[k] & ~explained[1 - k]], minlength=len(one)) for k in (0, 1)
    ]
    useful = np.minimum(*alone) >= min_spots
    one, other = one[useful], other[useful]
    entry, spot, at = of_pairs(one, other)
    both = pairs.likelihood_of_both(density[at], entry, weight[spot], len(one), optics)
    single = best[position[one]]
    _, by_single = brightness.expected(
        spots, position[one], starts.phase[single], refined.taken(single), table, optics
    )
    gain = both - pairs.likelihood_of_places(by_single, entry, weight[spot], len(one), optics)
    tried = np.bincount(position[one], minlength=len(best))[position[one]]
    found = pairs.Pairs(
        position[one], starts.phase[kept[np.stack([one, other])]],
        (refined.taken(kept[one]), refined.taken(kept[other])), gain,
        pairs.among(tried, gain),
    )  # fmt: skip
    return found.taken(found.differ(crystals, table, optics))


def _combinations(group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of all pairs of entries of one group; `group` (n,) ascends."""
    one, other = [np.zeros(0, dtype=int)], [np.zeros(0, dtype=int)]
    for apart in range(1, len(group)):
        first = np.flatnonzero(group[:-apart] == group[apart:])
        if not len(first):
            break
        one.append(first)
        other.append(first + apart)
    return np.concatenate(one), np.concatenate(other)
