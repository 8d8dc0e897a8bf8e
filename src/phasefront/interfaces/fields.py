"""Two-phase fields of an experiment: which phases coexist, and with which ion contents."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np


def contents_of_fields(
    names: Sequence[str],
    ion_contents: Sequence[float],
    stated: Sequence[Mapping[str, float]] = (),
) -> dict[tuple[int, int], tuple[float, float]]:
    """Ion contents of the rich and of the poor phase of each field, by the indices of both.

    Parameters
    ----------
    names, ion_contents
        Of the phases; NaN where not known.
    stated
        Fields as the config has them, each with the ion content of both phases where they coexist.
        Where none is stated, phases whose ion contents are next to each other are one.
    """
    pairs = [[(names.index(name), content) for name, content in one.items()] for one in stated]
    if not pairs:
        contents = np.asarray(ion_contents, "f8")
        levels = np.unique(contents[np.isfinite(contents)])
        pairs = [
            [(int(one), low), (int(other), high)]
            for low, high in itertools.pairwise(levels)
            for one in np.flatnonzero(contents == low)
            for other in np.flatnonzero(contents == high)
        ]
    found = {}
    for pair in pairs:
        (poor, low), (rich, high) = sorted(pair, key=lambda one: one[1])
        found[rich, poor] = (float(high), float(low))
    return found
