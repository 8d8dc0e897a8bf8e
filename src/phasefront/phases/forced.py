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
# For what is the same in any order, of numbers that are none of them NaN.
_EXACT = {"nnan", "nsz", "reassoc"}


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
    # Copies in one piece, and room for indices.
    x, y = promised[:, 0].copy(), promised[:, 1].copy()
    near = np.empty(len(x) + 1, np.int64)
    counts = _counts(qx, qy, intensity, phases, phase, x, y, share, radius)
    strongest = np.zeros(phases)
    for i in range(len(x)):
        strongest[phase[i]] = max(strongest[phase[i]], counts[i])
    kept = 0
    for i in np.argsort(-counts):
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
        factor = found / promised if promised > 0 else 0.0
        for i in range(begin, end):
            counts[i] *= factor
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
