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
# Apertures in radii of a spot: the light, and the frame around it for the background. Chosen, and
# compiled in.
_APERTURE, _FRAME_INNER, _FRAME_OUTER = 1.25, 1.75, 3.0
_HALVINGS = 5  # of the range of a median between looks at the values themselves; for speed
# For counts, and for the smallest and largest of numbers: the same in any order.
_LARGEST = np.finfo(np.float32).max
_EXACT = {"nnan", "nsz", "reassoc"}
_TO_SIGMA = 1.4826  # median absolute deviation of a normal distribution
# Double diffraction puts light where a phase by itself has none: at this share of places, with this
# share of what the other phases promise. Dynamical scattering takes light from where there should
# be some, at this share of places. Chosen; half and double change 0.3 % of the decisions at most
# (docs/constants.md).
_DOUBLE_ODDS, _DOUBLE_SHARE, _EXTINCT_ODDS = 0.2, 0.3, 0.1
# A spot that was not found has, on the mean, this share of what the spots found let expect: strong
# ones were found. Fitted on Bloch-wave patterns, see `evidence`; half and double
# change 0.4 % of the decisions (docs/constants.md).
_UNSEEN_SHARE = 0.25


@dataclass(frozen=True)
class Places:
    """Places of patterns at which phases promise different intensities, one entry each."""

    position: np.ndarray  # (m,) position of the scan, ascending
    q: np.ndarray  # (m, 2) spatial frequency x, y, 1/angstrom
    expected: np.ndarray  # (m, phases) counts


def find_places(
    spots: Spots,
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
        _find_in_block(own, spots, refined, best[own], table, optics, spot_radius)
        for own in np.split(np.arange(len(best)), range(BLOCK, len(best), BLOCK))
    ]
    return Places(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _find_in_block(
    own, spots, refined, best, table, optics, spot_radius
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Fields of `Places` of some positions: what all phases promise there takes memory."""
    known = best >= 0
    place, phase = np.nonzero(known)
    promise = promised_reflections(phase, refined.taken(best[known]), table, optics)
    edge = np.searchsorted(place[promise.crystal], np.arange(len(own) + 1))
    room = np.zeros((len(own), _MOST, 2 + best.shape[1]))
    count = np.zeros(len(own), dtype=np.int64)
    arguments = (
        own, *spots, known, edge, phase[promise.crystal], promise.q, promise.share, spot_radius,
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
    # Copies in one piece, and room for indices.
    x, y = promised[:, 0].copy(), promised[:, 1].copy()
    near = np.empty(len(x) + 1, np.int64)
    counts = _counts(qx, qy, intensity, phases, phase, x, y, share, radius)
    strongest = np.zeros(phases)
    for i in range(len(x)):
        strongest[phase[i]] = max(strongest[phase[i]], counts[i])
    kept = 0
    for i in np.argsort(-counts, kind="mergesort"):
        if kept == len(room) or counts[i] < _PROMISED * strongest[phase[i]]:
            continue
        if _near(x[i], y[i], qx, qy, radius) or _near(
            x[i], y[i], room[:kept, 0], room[:kept, 1], radius
        ):
            continue
        room[kept] = 0.0
        room[kept, 0], room[kept, 1] = x[i], y[i]
        # A neighbour's light falls into the aperture too, the less the farther it is. Written
        # always and counted or not, so that the loop needs no branch.
        number = 0
        for j in range(len(x)):
            near[number] = j
            number += (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 < 4 * radius * radius
        for j in near[:number]:
            square = (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2
            room[kept, 2 + phase[j]] += counts[j] * math.exp(-2 * square / radius**2)
        least, most = np.inf, 0.0
        for p in range(phases):
            if known[p]:
                least, most = min(least, room[kept, 2 + p]), max(most, room[kept, 2 + p])
        kept += least < _ABSENT * most
    return kept


@numba.njit(cache=True)
def _near(x, y, others_x, others_y, radius):
    for other in range(len(others_x)):
        if (x - others_x[other]) ** 2 + (y - others_y[other]) ** 2 < radius * radius:
            return True
    return False


@numba.njit(cache=True, fastmath=_EXACT)
def _largest_near(x, y, share, here_x, here_y, most):
    """Largest share of the places whose squared distance is below `most`; 0 without any."""
    largest = 0.0
    for i in range(len(x)):
        square = (x[i] - here_x) ** 2 + (y[i] - here_y) ** 2
        value = share[i] if square < most else 0.0
        largest = value if value > largest else largest
    return largest


@numba.njit(cache=True)
def _counts(qx, qy, intensity, phases, phase, x, y, share, radius):
    """Counts of the reflections promised: their shares of what makes up for the spots near them."""
    counts = share.copy()
    end = 0
    for p in range(phases):
        begin = end
        while end < len(x) and phase[end] == p:
            end += 1
        found, promised = 0.0, 0.0
        for spot in range(len(qx)):
            near = _largest_near(
                x[begin:end], y[begin:end], share[begin:end], qx[spot], qy[spot], radius * radius
            )
            promised += near
            found += intensity[spot] if near > 0 else 0.0
        counts[begin:end] *= found / promised if promised > 0 else 0.0
    return counts


def measure(patterns, pattern, x, y, radius, mask):
    """Counts above the local background at places, and their standard errors, (n, 2).

    Parameters
    ----------
    patterns
        (patterns, ky, kx) counts.
    pattern, x, y
        (n,): which pattern; column and row of the place in it, pixels.
    radius
        Of a spot, pixels. The light is summed within 1.25 of it, the background is the median
        between 1.75 and 3, and a pixel's noise comes from its median absolute deviation there.
    mask
        (ky, kx), 1 where a pixel can be used.

    NaN where less than half of the aperture, or too little around it, lies on usable pixels.
    """
    measured = np.empty((len(pattern), 2))
    arguments = (patterns, pattern, x, y, radius, mask, measured)
    share_out(_measure_all, len(pattern), *arguments)
    return measured


@numba.njit(cache=True, nogil=True)
def _measure_all(begin, end, patterns, pattern, x, y, radius, mask, measured):
    for place in range(begin, end):
        measured[place] = _measure_one(patterns[pattern[place]], x[place], y[place], radius, mask)


@numba.njit(cache=True)
def _measure_one(pattern, cx, cy, radius, mask):
    reach = math.ceil(_FRAME_OUTER * radius)
    aperture, inner, outer = (
        (_APERTURE * radius) ** 2, (_FRAME_INNER * radius) ** 2, (_FRAME_OUTER * radius) ** 2
    )  # fmt: skip
    frame = np.empty((2 * reach + 1) ** 2 + 1, np.float32)
    total, inside, around, whole = 0.0, 0, 0, 0
    left, right = round(cx) - reach, round(cx) + reach + 1
    for v in range(round(cy) - reach, round(cy) + reach + 1):
        down = (v - cy) ** 2
        if 0 <= v < pattern.shape[0]:
            for u in range(max(left, 0), min(right, pattern.shape[1])):
                square = down + (u - cx) ** 2
                used = mask[v, u] != 0
                # Written always and kept or not: no branch foresees where a circle ends.
                frame[around] = pattern[v, u]
                around += used & (square >= inner) & (square <= outer)
                light = used & (square <= aperture)
                inside += light
                total += pattern[v, u] if light else 0.0
        if down <= aperture:
            for u in range(left, right):
                whole += down + (u - cx) ** 2 <= aperture
    if 2 * inside < whole or around < 2 * inside:
        return np.nan, np.nan
    level = median_of(frame[:around])
    for k in range(around):
        frame[k] = abs(frame[k] - level)
    noise = _TO_SIGMA * median_of(frame[:around])
    # Whole counts of a dim background have a deviation of 0 or 1: at least half a count.
    variance = max(noise, 0.5) ** 2 * inside * (1 + inside / around)
    return total - inside * level, math.sqrt(variance)


@numba.njit(cache=True)
def median_of(values):
    """As np.median, of float32: by counts of those up to a level, which are vectorised."""
    low, high = _smallest_above(values, -_LARGEST), _largest_upto(values, _LARGEST)
    wanted = (len(values) - 1) // 2
    if _count_upto(values, low) <= wanted:
        # The value wanted is above `low` and up to `high`.
        while _smallest_above(values, low) < high:
            for _ in range(_HALVINGS):
                middle = low + np.float32(0.5) * (high - low)
                if not low < middle < high:
                    break
                if _count_upto(values, middle) > wanted:
                    high = middle
                else:
                    low = middle
            high = _largest_upto(values, high)
        low = high
    if len(values) % 2 == 1 or _count_upto(values, low) > wanted + 1:
        return np.float64(low)
    return 0.5 * (np.float64(low) + np.float64(_smallest_above(values, low)))


@numba.njit(cache=True, fastmath=_EXACT)
def _count_upto(values, most):
    number = np.float32(0)
    for i in range(len(values)):
        number += np.float32(1) if values[i] <= most else np.float32(0)
    return int(number)


@numba.njit(cache=True, fastmath=_EXACT)
def _smallest_above(values, least):
    smallest = _LARGEST
    for i in range(len(values)):
        value = values[i] if values[i] > least else _LARGEST
        smallest = value if value < smallest else smallest
    return smallest


@numba.njit(cache=True, fastmath=_EXACT)
def _largest_upto(values, most):
    largest = -_LARGEST
    for i in range(len(values)):
        value = values[i] if values[i] <= most else -_LARGEST
        largest = value if value > largest else largest
    return largest


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
