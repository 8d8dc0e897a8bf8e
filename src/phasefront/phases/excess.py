"""A second lattice whose spots all lie on those of the first: it shows in how bright they are.

A cubic metal's [114] puts its spots on those of its twin's [101]; positions cannot tell that it is
there. Spots far brighter than the first lattice allows, and those that it leaves over, are indexed
by themselves, and both lattices are weighed against the first alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import expit

from phasefront.diffraction.crystals import Crystal
from phasefront.diffraction.likelihood import (
    Refined,
    promised_reflections,
    refine,
)
from phasefront.diffraction.matching import match
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots
from phasefront.diffraction.template_library import Library
from phasefront.phases import brightness, pairs

# A spot is too bright from so many standard errors on. Chosen.
_BRIGHT = 1.5
# Friedel mates have like errors (correlation 0.56 and 0.66 on the patterns of
# `brightness.SCATTER`): two tell 2 / (1 + 0.6) times what one tells.
_WEIGHT = 1 / 1.6
# A reflection is missing where it should be brighter than the faintest spot by this factor. Chosen.
_SEEN = 4.0
_BLOCK = 1 << 14  # reflections that are compared with spots at a time
_FAINT = 1e-3  # share of what a lattice promises, below which none is asked for


def find_second(
    spots: Spots, position: np.ndarray, phase: np.ndarray, first: Refined, library: Library,
    crystals: Sequence[Crystal], table: ReflectionTable, optics: Optics, *, min_spots: int,
) -> pairs.Pairs:  # fmt: skip
    """Pairs of each first lattice (n entries; one a position) with one in what is too bright.

    Up to two a phase. A second lattice must have `min_spots` spots that are too bright for the
    first, or are none of its; it pays for its freedom as in `leftover`.
    """
    expected, _ = brightness.expected(spots, position, phase, first, table, optics)
    entry, spot = brightness.listed(spots, position)
    known = expected > 0
    known &= (np.bincount(entry[known], minlength=len(position)) >= min_spots)[entry]
    of_known = expected[known], spots.intensity[spot[known]], entry[known], len(position)
    curve = brightness.Curve.fitted(*of_known)
    error, counts = curve.errors(*of_known)
    model = np.zeros(len(spots.qx))  # of the first lattice, counts
    model[spot[known]] = counts
    bright = expected == 0
    bright[known] = error > _BRIGHT * curve.scatter
    found = np.bincount(entry[bright], minlength=len(position)) >= min_spots
    found &= np.bincount(entry[bright & known], minlength=len(position)) > 0
    too_bright = np.zeros(len(spots.qx), dtype=bool)
    too_bright[spot[bright & found[entry]]] = True

    # Index what is left.
    rest = spots._replace(intensity=np.maximum(spots.intensity - model, 1e-6))
    left = rest.without(~too_bright)
    matches = match(left, library, n_best=2, min_spots=min_spots)
    at = np.nonzero(np.isfinite(matches.score))
    refined = refine(left, *at[:2], matches.rotation[at], table, optics, least=min_spots)
    of_first = np.searchsorted(position, at[0])
    found = pairs.Pairs(
        at[0], np.stack([phase[of_first], at[1]]), (first.taken(of_first), refined),
        np.zeros(len(at[0])), np.zeros(len(at[0])),
    )  # fmt: skip
    # Most have too few of them indexed, and what a lattice promises is among what it may index.
    found = found.taken(refined.indexed >= min_spots)
    found = found.taken(_explains(found, spots, too_bright, table, optics) >= min_spots)
    found = found.taken(found.differ(crystals, table, optics))
    gain = _gain(found, spots, model, too_bright, curve.scatter, table, optics)
    price = np.minimum(pairs.price(library), _price(found, spots, crystals, table, optics))
    return replace(found, gain=gain, probability=expit(gain - price))


def _explains(
    found: pairs.Pairs, spots: Spots, chosen: np.ndarray, table: ReflectionTable, optics: Optics
) -> np.ndarray:  # fmt: skip
    """Number (n,) of the `chosen` spots (spots,) at reflections of second lattices."""
    some = spots.without(~chosen)
    by_second, _ = brightness.expected(
        some, found.position, found.phase[1], found.refined[1], table, optics
    )
    entry, _ = brightness.listed(some, found.position)
    return np.bincount(entry[by_second > 0], minlength=len(found.position))


def _gain(
    found: pairs.Pairs, spots: Spots, model: np.ndarray, too_bright: np.ndarray, scatter: float,
    table: ReflectionTable, optics: Optics,
) -> np.ndarray:  # fmt: skip
    """Log-likelihood (n,) of intensities under both lattices over that under the first alone, which
    gives intensities `model` (spots,); what places tell is `leftover`'s and `rivals`'. The second
    is as bright as those of its spots tell that are `too_bright`."""
    number = len(found.position)
    entry, spot = brightness.listed(spots, found.position)
    by_second, _ = brightness.expected(
        spots, found.position, found.phase[1], found.refined[1], table, optics
    )
    own = spots.intensity[spot]
    used = too_bright[spot] & (by_second > 0)
    level = brightness.median_of_each(
        entry[used],
        np.log(np.maximum(own - model[spot], 1e-6)[used] / by_second[used]), number,
    )  # fmt: skip
    factor = np.exp(np.nan_to_num(level))
    known = model[spot] > 0  # what the first does not explain, places tell

    def surprise(modelled: np.ndarray) -> np.ndarray:
        error = 0.5 * np.log(np.maximum(own, 1e-6)[known] / modelled[known]) / scatter
        return np.bincount(entry[known], brightness.surprise(error), minlength=number)

    gain = surprise(model[spot]) - surprise(model[spot] + factor[entry] * by_second)
    return _WEIGHT * (gain - _missing(found, spots, factor, scatter, table, optics))


def _price(
    found: pairs.Pairs, spots: Spots, crystals: Sequence[Crystal], table: ReflectionTable,
    optics: Optics,
) -> np.ndarray:  # fmt: skip
    """Logarithm of how many lattices (n,) have spots where a pattern has, at most.

    Two spots fix a lattice once it is known which reflections they are: those of the first one's
    length, but for symmetry, times those of the other's length at the right angle to it.
    """
    numbers = spots.numbers
    radius = np.bincount(spots.owner, np.hypot(spots.qx, spots.qy), minlength=len(numbers))
    radius = (radius / np.maximum(numbers, 1))[found.position]
    reach = 3 * optics.position_sigma
    alike = np.empty(len(radius))
    for phase, crystal in enumerate(crystals):
        own = found.phase[1] == phase
        length = np.sort(table.rows[3, table.first[phase] : table.first[phase + 1]])
        shell = np.searchsorted(length, radius[own] + reach, side="right")
        shell = shell - np.searchsorted(length, radius[own] - reach)
        at_angle = shell * 2 * reach / (np.pi * radius[own])
        alike[own] = np.maximum(shell / len(crystal.symmetry), 1) * np.maximum(at_angle, 1)
    of_pattern = numbers[found.position]
    return np.log(np.maximum(of_pattern * (of_pattern - 1) / 2 * alike, 1))


def _missing(
    found: pairs.Pairs, spots: Spots, factor: np.ndarray, scatter: float,
    table: ReflectionTable, optics: Optics,
) -> np.ndarray:  # fmt: skip
    """Surprise (n,) at reflections that second lattices promise and no spot shows, bright as they
    should be by the `factor` (n,) between promised and counted intensities."""
    phase, second = found.phase[1], found.refined[1]
    promise = promised_reflections(phase, second, table, optics, faint=_FAINT)
    faintest = np.full(len(spots.numbers), np.inf)
    np.minimum.at(faintest, spots.owner, np.maximum(spots.intensity, 1e-6))
    bright = factor[promise.crystal] * promise.share**2
    bright = bright / faintest[found.position[promise.crystal]]
    wanted = np.flatnonzero(bright > _SEEN)
    seen = np.zeros(len(wanted), dtype=bool)
    for begin in range(0, len(wanted), _BLOCK):
        own = wanted[begin : begin + _BLOCK]
        at, spot = brightness.listed(spots, found.position[promise.crystal[own]])
        x, y = promise.q[own[at]].T
        near = np.hypot(spots.qx[spot] - x, spots.qy[spot] - y) < 3 * optics.position_sigma
        seen[begin + at[near]] = True
    missing = wanted[~seen]
    error = 0.5 * np.log(bright[missing]) / scatter
    return np.bincount(promise.crystal[missing], brightness.surprise(error), minlength=len(factor))
