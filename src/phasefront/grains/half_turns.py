"""Which of two orientations, half a turn about the beam apart, a grain has, and how surely.

Both show the same reflections of the zero-order Laue zone (Friedel's law); upper zones, and the
tilt that leaves one side of the zone stronger, tell them apart. What a position's spots say is its
gap of log-likelihood. Positions of a grain see the same crystal, so where the model's intensities
or its tilt are wrong they are wrong alike: gaps do not add up, and their mean is what is known.

Half a turn about the beam leaves alone: the zone axis and colours of directions along and across
the beam (Laue groups have the inversion), traces of planes, and lines along crystal axes on the
map. It changes misorientations between grains, unless both are turned, and exported orientations.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

# Of the logistic error of a grain's mean gap, log-likelihood a position: likeliest on the grains of
# the demo and of four films of `benchmarks.assumptions` (111 grains, 4 of them half a turn off).
ERROR = 4.0


def probability(gap: np.ndarray) -> np.ndarray:
    """Probability that grains whose mean gap is `gap` (0 or more) are half a turn off; 0.5 to 0."""
    return expit(-np.asarray(gap) / ERROR)


def either(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Probability that exactly one of two grains is half a turn off, by each one's own."""
    return one * (1.0 - other) + other * (1.0 - one)
