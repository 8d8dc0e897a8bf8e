"""What each spot should be like under a lattice: how bright, and how dense spots should lie there.

Kinematically a spot's amplitude is |F| times visibility. Dynamical scattering moves its logarithm:
under precession by some tenths at most spots, and now and then by far more.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numba
import numpy as np

from phasefront.core.threads import share_out
from phasefront.diffraction.likelihood import Refined, promised_reflections
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import ReflectionTable
from phasefront.diffraction.spot_lists import Spots

_BLOCK = 4096  # candidates in memory at a time, with all that they promise
# Least standard error of the logarithm of an amplitude about a scan's curve: Bloch-wave patterns of
# NVPF under 0.8 degrees of precession have half of it (seeds other than those reported), a silver
# film has 0.3 to 0.5.
SCATTER = 0.3
# Errors have Student's distribution with so many degrees of freedom: on the same patterns one in a
# hundred is off by three of their standard errors or more. Chosen.
_FREEDOM = 4.0
# Of a curve: Bloch-wave patterns of NVPF and silver films lie within.
_POWERS, _FLOORS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0), (0.0, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2)
_PATTERNS = 256  # about so many, evenly spread, show a curve; for the sake of time
_TO_SIGMA = 1.4826  # median absolute deviation of a normal distribution


def expected(
    spots: Spots, position: np.ndarray, phase: np.ndarray, refined: Refined,
    table: ReflectionTable, optics: Optics, reach: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Of every spot of each candidate's position, candidate by candidate (see `listed`):

    its intensity up to a factor a candidate, that is squared shares (see `likelihood.Promise`) of
    the reflections within `reach` (1/angstrom; three standard errors of its position where None),
    added up, 0 where there is none; and the density of the candidate's spots there, angstrom^2.
    """
    within = 3 * optics.position_sigma if reach is None else reach
    edge = np.concatenate([[0], np.cumsum(spots.numbers[position])])
    out = np.zeros((edge[-1], 2))
    for start in range(0, len(position), _BLOCK):
        own = np.arange(start, min(start + _BLOCK, len(position)))
        promise = promised_reflections(phase[own], refined.taken(own), table, optics)
        share_out(
            _expect_all, len(own), spots.offset, spots.qx, spots.qy,
            np.ascontiguousarray(position[own]),
            np.searchsorted(promise.crystal, np.arange(len(own) + 1)), promise.q, promise.share,
            optics.position_sigma, within, edge[start:], out,
        )  # fmt: skip
    return out[:, 0], out[:, 1]


def listed(spots: Spots, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Candidate and spot of each entry of what is listed candidate by candidate, (n,) each."""
    numbers = spots.numbers[position]
    candidate = np.repeat(np.arange(len(position)), numbers)
    within = np.arange(len(candidate)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    return candidate, spots.offset[position[candidate]] + within


@numba.njit(cache=True, nogil=True)
def _expect_all(
    begin, end, offset, qx, qy, position, of_promise, promised, share, sigma, within, edge, out
):  # fmt: skip
    precision = 1.0 / (sigma * sigma)
    near, far = precision * within * within, 49.0
    most = max(near, far)
    for i in range(begin, end):
        start, first = of_promise[i], offset[position[i]]
        number = of_promise[i + 1] - start
        # Copies in one piece, and room for indices.
        x, y = (
            promised[start : start + number, 0].copy(),
            promised[start : start + number, 1].copy(),
        )
        nearby, squares = np.empty(number + 1, dtype=np.int64), np.empty(number)
        for spot in range(first, offset[position[i] + 1]):
            own_x, own_y = qx[spot], qy[spot]
            for k in range(number):
                off_x, off_y = x[k] - own_x, y[k] - own_y
                squares[k] = precision * (off_x * off_x + off_y * off_y)
            # Written always and counted or not, so that the loop needs no branch.
            count = 0
            for k in range(number):
                nearby[np.uint64(count)] = k
                count += squares[k] < most
            intensity, density = 0.0, 0.0
            for k in nearby[:count]:
                part = share[start + k]
                if squares[k] < near:
                    intensity += part * part
                if squares[k] < far:
                    density += part * math.exp(-0.5 * squares[k])
            at = edge[i] + spot - first
            out[at, 0] = intensity
            out[at, 1] = density * precision / (2.0 * math.pi)


def surprise(error: np.ndarray) -> np.ndarray:
    """Minus the log-likelihood of errors in standard ones, less that of none (Student's t)."""
    return 0.5 * (_FREEDOM + 1) * np.log1p(error**2 / _FREEDOM)


def log_likelihood(
    expected: np.ndarray, intensity: np.ndarray, entry: np.ndarray, number: int, shown: int
) -> np.ndarray:
    """Of the intensities of spots under each of `number` candidates, less that of intensities on
    the curve which the first `shown` of them show; `entry` (m,) says whose a spot is.

    Spots without a reflection are left out: places tell what they cost (see
    `diffraction.likelihood`).
    """
    known = expected > 0
    expected, intensity, entry = expected[known], intensity[known], entry[known]
    first = entry < shown
    curve = Curve.fitted(expected[first], intensity[first], entry[first], shown)
    error, _ = curve.errors(expected, intensity, entry, number)
    return -np.bincount(entry, surprise(error / curve.scatter), minlength=number)


@dataclass(frozen=True)
class Curve:
    """How a scan's spots brighten with their expected intensity: the strong ones less, for they
    lose light, and weak ones never below what double diffraction gives them."""

    power: float  # of the expected intensity
    floor: float  # added to it, relative to the brightest of a pattern
    scatter: float  # standard error of the logarithm of an amplitude about it

    @classmethod
    def fitted(
        cls, expected: np.ndarray, intensity: np.ndarray, entry: np.ndarray, number: int
    ) -> Curve:
        """The one with the least median error of spots (m,) of `number` patterns; `entry` (m,) says
        whose. A few patterns of which most hold two lattices are fitted no worse: a curve cannot
        follow what single spots do."""
        best = cls(1.0, 0.0, SCATTER)
        some = entry % max(1, number // _PATTERNS) == 0
        expected, intensity, entry = expected[some], intensity[some], entry[some]
        if not len(expected):
            return best
        least = np.inf
        for power, floor in itertools.product(_POWERS, _FLOORS):
            curve = cls(power, floor, SCATTER)
            error = np.abs(curve.errors(expected, intensity, entry, number)[0])
            typical = float(np.median(error))
            if typical < least:
                best, least = curve, typical
        return replace(best, scatter=max(SCATTER, _TO_SIGMA * least))

    def errors(
        self, expected: np.ndarray, intensity: np.ndarray, entry: np.ndarray, number: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """How far the logarithms of amplitudes lie above the curve, (m,), half of a pattern's spots
        above it; and the intensities that it gives, (m,)."""
        brightest = np.zeros(number)
        np.maximum.at(brightest, entry, expected)
        curve = self.power * np.log(expected / brightest[entry] + self.floor)
        off = np.log(np.maximum(intensity, 1e-6)) - curve
        level = median_of_each(entry, off, number)[entry]
        return 0.5 * (off - level), np.exp(level + curve)


def median_of_each(group: np.ndarray, values: np.ndarray, groups: int) -> np.ndarray:
    """Lower median (groups,) of the values (n,) of each group; NaN where there is none."""
    out = np.full(groups, np.nan)
    _fill_medians(values, group, out)
    return out


@numba.njit(cache=True, nogil=True)
def _fill_medians(values, group, out):
    """Fill the lower median of each group's values, where it has any."""
    edge = np.zeros(len(out) + 1, dtype=np.int64)
    for one in group:
        edge[one + 1] += 1
    edge = np.cumsum(edge)
    place, ordered = edge.copy(), np.empty(len(values))
    for i in range(len(values)):
        ordered[place[group[i]]] = values[i]
        place[group[i]] += 1
    for one in range(len(out)):
        first, last = edge[one], edge[one + 1]
        if last > first:
            out[one] = np.sort(ordered[first:last])[(last - first - 1) // 2]
