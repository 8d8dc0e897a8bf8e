"""Intensities measured in the raw pattern where one phase promises a spot and another does not.

A spot that is too weak to be found still tells something: where a phase promises a strong
reflection, nothing is evidence against it; a little light, added up over many such places, is
evidence for it. Places where a spot was found are left out, because the likelihood of the spots has
counted them (see `diffraction.likelihood`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np

from phasefront.core.threads import share_out
from phasefront.diffraction.likelihood import Refined, promised_reflections
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots

# A place counts if one phase promises this share of its strongest spot there, and another phase
# less than a fifth of that; the strongest places of a pattern, at most so many. All chosen: half
# and double of the last change no decision (docs/constants.md), the others are compiled in.
_PROMISED, _ABSENT, _MOST = 0.05, 0.2, 48
BLOCK = 4096  # positions in memory at a time
# Double diffraction puts light where a phase by itself has none: at this share of places, with this
# share of what the other phases promise. Dynamical scattering takes light from where there should
# be some, at this share of places. Chosen; half and double change 0.3 % of the decisions at most
# (docs/constants.md).
_DOUBLE_ODDS, _DOUBLE_SHARE, _EXTINCT_ODDS = 0.2, 0.3, 0.1
# A spot that was not found has, on the mean, this share of what the spots found let expect: strong
# ones were found. Fitted on Bloch-wave patterns, see `evidence`; half and double
# change 0.4 % of the decisions (docs/constants.md).
_UNSEEN_SHARE = 0.25
_STRIPS = 64  # of a pattern, at most, in which what is near a place is looked for


@dataclass(frozen=True)
class Places:
    """Places of patterns at which phases promise different intensities, one entry each."""

    position: np.ndarray  # (m,) position of the scan, ascending
    q: np.ndarray  # (m, 2) spatial frequency x, y, 1/angstrom
    expected: np.ndarray  # (m, phases) counts


def find_places(
    spots: Spots,
    phase: np.ndarray,
    refined: Refined,
    best: np.ndarray,
    table: ReflectionTable,
    optics: Optics,
    *,
    spot_radius: float,
) -> Places:
    """Where the phases, each in its best orientation, promise different intensities.

    Parameters
    ----------
    refined, best
        Candidates, and which of them is the best of each position and phase, -1 for none,
        (positions, phases).
    spot_radius
        Of a spot in the pattern, 1/angstrom.

    Expected counts are the weights of the likelihood, |F| times visibility, times what makes those
    near the spots found add up to the spots' intensity.
    """
    parts = [
        _find_in_block(own, spots, phase, refined, best[own], table, optics, spot_radius)
        for own in np.split(np.arange(len(best)), range(BLOCK, len(best), BLOCK))
    ]
    return Places(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _find_in_block(
    own, spots, phase, refined, best, table, optics, spot_radius
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Fields of `Places` of some positions: what all phases promise there takes memory."""
    known = best >= 0
    place, answer = np.nonzero(known)
    own_best = best[known]
    promise = promised_reflections(phase[own_best], refined.taken(own_best), table, optics)
    edge = np.searchsorted(place[promise.crystal], np.arange(len(own) + 1))
    room = np.zeros((len(own), _MOST, 2 + best.shape[1]))
    count = np.zeros(len(own), dtype=np.int64)
    arguments = (
        own, *spots, known, edge, answer[promise.crystal], promise.q, promise.share, spot_radius,
        room, count,
    )  # fmt: skip
    share_out(_find_all, len(own), *arguments)
    kept = room[np.arange(_MOST) < count[:, None]]
    return np.repeat(own, count), kept[:, :2], kept[:, 2:]


@numba.njit(cache=True, nogil=True)
def _find_all(
    begin, end, position, offset, qx, qy, intensity, known, edge, phase, promised, share, radius,
    room, count,
):  # fmt: skip
    for i in range(begin, end):
        found = slice(offset[position[i]], offset[position[i] + 1])
        expected = slice(edge[i], edge[i + 1])
        if found.stop > found.start:
            count[i] = _find_in_pattern(
                qx[found], qy[found], intensity[found], known[i], phase[expected],
                promised[expected], share[expected], radius, room[i],
            )  # fmt: skip


@numba.njit(cache=True)
def _find_in_pattern(qx, qy, intensity, known, phase, promised, share, radius, room):
    """Fill rows (x, y, counts of each phase) of `room`, strongest first; returns their number."""
    phases = len(known)
    order, edge, low, width = _strips(promised, radius)
    x, y, share, phase = promised[order, 0], promised[order, 1], share[order], phase[order]
    taken, near = np.zeros(len(x), np.bool_), np.empty(len(x) + 1, np.int64)
    counts = _counts(qx, qy, intensity, phases, phase, x, y, share, radius, edge, low, width, taken)
    strongest = np.zeros(phases)
    for i in range(len(x)):
        strongest[phase[i]] = max(strongest[phase[i]], counts[i])
    # Most promise too little or are near a spot: the others alone are put in order.
    eligible, number = np.empty(len(x) + 1, np.int64), 0
    for i in range(len(x)):
        eligible[number] = i
        number += counts[i] >= _PROMISED * strongest[phase[i]] and not taken[i]
    eligible = eligible[:number]
    kept = 0
    for i in eligible[np.argsort(-counts[eligible])]:
        if kept == len(room):
            break
        if taken[i]:
            continue
        room[kept] = 0.0
        room[kept, 0], room[kept, 1] = x[i], y[i]
        # A neighbour's light falls into the aperture too, the less the farther it is. Written
        # always and counted or not, so that the loop needs no branch.
        first, last = _around(x[i], 2, edge, low, width)
        number = 0
        for j in range(first, last):
            near[number] = j
            number += (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 < 4 * radius * radius
        for j in near[:number]:
            square = (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2
            room[kept, 2 + phase[j]] += counts[j] * math.exp(-2 * square / radius**2)
        least, most = np.inf, 0.0
        for p in range(phases):
            if known[p]:
                least, most = min(least, room[kept, 2 + p]), max(most, room[kept, 2 + p])
        if least < _ABSENT * most:
            kept += 1
            for j in near[:number]:
                taken[j] |= (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 < radius * radius
    return kept


@numba.njit(cache=True)
def _strips(promised, radius):
    """Order of places (n, 2) by strips of x, where each strip begins in it, the first one's edge
    and their width, at least `radius`: what is near a place lies in its strip or next to it."""
    low, high = np.inf, -np.inf
    for i in range(len(promised)):
        low, high = min(low, promised[i, 0]), max(high, promised[i, 0])
    if not len(promised):
        low = high = 0.0
    width = max(radius, (high - low) / _STRIPS)
    edge = np.zeros(_STRIPS + 2, np.int64)
    strip, order = np.empty(len(promised), np.int64), np.empty(len(promised), np.int64)
    for i in range(len(promised)):
        strip[i] = min(int((promised[i, 0] - low) / width), _STRIPS - 1)
        edge[strip[i] + 2] += 1
    for k in range(1, len(edge)):
        edge[k] += edge[k - 1]
    for i in range(len(promised)):
        order[edge[strip[i] + 1]] = i
        edge[strip[i] + 1] += 1
    return order, edge[:-1], low, width


@numba.njit(cache=True)
def _around(x, reach, edge, low, width):
    """First and past the last of the places in the strip of `x` and so many on either side."""
    strip = math.floor((x - low) / width)
    first, last = max(strip - reach, 0), min(strip + reach + 1, _STRIPS)
    return edge[min(first, _STRIPS)], edge[max(last, 0)]


@numba.njit(cache=True)
def _counts(
    qx, qy, intensity, phases, phase, x, y, share, radius, edge, low, width, taken
):  # fmt: skip
    """Counts of the reflections promised: their shares of what makes up for the spots near them;
    these are marked as `taken` (n,)."""
    found, promised, largest = np.zeros(phases), np.zeros(phases), np.empty(phases)
    for spot in range(len(qx)):
        largest[:] = 0.0
        first, last = _around(qx[spot], 1, edge, low, width)
        for i in range(first, last):
            if (x[i] - qx[spot]) ** 2 + (y[i] - qy[spot]) ** 2 < radius * radius:
                largest[phase[i]] = max(largest[phase[i]], share[i])
                taken[i] = True
        for p in range(phases):
            promised[p] += largest[p]
            found[p] += intensity[spot] if largest[p] > 0 else 0.0
    counts = share.copy()
    for i in range(len(x)):
        counts[i] *= found[phase[i]] / promised[phase[i]] if promised[phase[i]] > 0 else 0.0
    return counts


def weigh(places: Places, measured: np.ndarray, positions: int) -> np.ndarray:
    """Log-likelihood (positions, phases) of intensities `measured` with standard errors (m, 2).

    A promised intensity is drawn from an exponential distribution about what is expected, as
    Wilson's statistics have it (Wilson, Acta Cryst. 2, 318, 1949), or is extinct; where none is
    expected, double diffraction may still give some. The measurement adds a normal error, which
    makes an exponentially modified Gaussian (Grushka, Anal. Chem. 44, 1733, 1972). Only differences
    between phases mean anything: the largest of a position is set to 0.
    """
    usable = np.isfinite(measured[:, 0])
    value, sigma = measured[usable].T
    expected = places.expected[usable]
    most = expected.max(axis=1, initial=0.0)
    nothing = np.exp(-0.5 * (value / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
    out = np.zeros((positions, expected.shape[1]))
    for phase in range(out.shape[1]):
        shown = expected[:, phase] >= _ABSENT * most
        mean = np.where(shown, _UNSEEN_SHARE * expected[:, phase], _DOUBLE_SHARE * most)
        odds = np.where(shown, 1 - _EXTINCT_ODDS, _DOUBLE_ODDS)
        density = odds * exponential_density(value, sigma, mean) + (1 - odds) * nothing
        out[:, phase] = np.bincount(
            places.position[usable], np.log(np.maximum(density, 1e-300)), minlength=positions
        )
    return out - out.max(axis=1, keepdims=True)


def exponential_density(value: np.ndarray, sigma: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Density of an exponential variable of this mean plus a normal error."""
    from scipy.special import log_ndtr

    mean = np.maximum(mean, 1e-2 * sigma)
    exponent = 0.5 * (sigma / mean) ** 2 - value / mean + log_ndtr(value / sigma - sigma / mean)
    return np.exp(exponent) / mean
