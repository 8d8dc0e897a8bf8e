"""A second lattice in the spots that the first one leaves over."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from phasefront.diffraction.likelihood import Refined, refine
from phasefront.diffraction.matching import match
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots
from phasefront.diffraction.template_library import Library
from phasefront.phases import pairs
from phasefront.phases.evidence import of_strays


def find_second(
    spots: Spots, explained: np.ndarray, position: np.ndarray, phase: np.ndarray, first: Refined,
    library: Library, table: ReflectionTable, optics: Optics, *, min_spots: int,
) -> pairs.Pairs:  # fmt: skip
    """Pairs of each first lattice (n entries; one a position) with one in the spots that are not
    `explained` (spots,) by it, indexed by themselves against all phases.

    Up to two a phase. A second lattice must index `min_spots` spots; its probability is
    that against strays, of which chance gives the best of all templates and azimuths as many (a
    Bonferroni correction).
    """
    left = spots.without(explained)
    matches = match(left, library, n_best=2, min_spots=min_spots)
    has_first = np.zeros(len(spots.numbers), dtype=bool)
    has_first[position] = True
    at = np.nonzero(np.isfinite(matches.score) & has_first[:, None, None])
    refined = refine(left, *at[:2], matches.rotation[at], table, optics, least=min_spots)
    gain = refined.log_likelihood - of_strays(left.numbers[at[0]], optics)
    of_first = np.searchsorted(position, at[0])
    found = pairs.Pairs(
        at[0], np.stack([phase[of_first], at[1]]), (first.taken(of_first), refined), gain,
        expit(gain - pairs.price(library)),
    )  # fmt: skip
    return found.taken(np.flatnonzero(refined.indexed >= min_spots))
