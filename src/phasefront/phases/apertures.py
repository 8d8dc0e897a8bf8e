"""Light in apertures of raw patterns, above the background around them.

Half of a pattern's pixels may hold no electron: their median is 0 and knows of none of the others.
So the background is the median of means, each over an octant of the frame around a place, and the
noise is the pixels' scatter in octants that no neighbour's light falls into.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from phasefront.core.threads import share_out

# Apertures in radii of a spot: the light, and the frame around it for the background. Chosen, and
# compiled in.
_APERTURE, _FRAME_INNER, _FRAME_OUTER = 1.25, 1.75, 3.0
_OCTANTS = 8  # of the frame, told by the signs and the order of the offsets
# A neighbour's light falls into an octant that is brighter than the median by so many standard
# errors, or, where most have no scatter, electrons. Chosen.
_OFF = 3.0
_TO_SIGMA = 1.4826  # median absolute deviation of a normal distribution
_LEAST = 0.5  # of a pixel's noise, counts: whole ones of a dim background have none or one


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
        of octants' means between 1.75 and 3, and a pixel's noise its scatter there.
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
    # Number, sum and sum of squares of each octant.
    count, total, squares = np.zeros(_OCTANTS), np.zeros(_OCTANTS), np.zeros(_OCTANTS)
    light, inside, whole = 0.0, 0, 0
    left, right = round(cx) - reach, round(cx) + reach + 1
    for v in range(round(cy) - reach, round(cy) + reach + 1):
        dy = v - cy
        for u in range(left, right):
            dx = u - cx
            square = dx * dx + dy * dy
            whole += square <= aperture
            if square > outer or not (0 <= v < pattern.shape[0] and 0 <= u < pattern.shape[1]):
                continue
            if mask[v, u] == 0:
                continue
            value = float(pattern[v, u])
            if square <= aperture:
                light += value
                inside += 1
            elif square >= inner:
                octant = 4 * (dx > 0) + 2 * (dy > 0) + (abs(dx) > abs(dy))
                count[octant] += 1
                total[octant] += value
                squares[octant] += value * value
    around = 0.0
    for octant in range(_OCTANTS):
        around += count[octant]
    if 2 * inside < whole or around < 2 * inside:
        return np.nan, np.nan
    level, variance, of_level = _background(count, total, squares)
    variance = max(variance, _LEAST**2) * inside
    return light - inside * level, math.sqrt(variance + inside * inside * of_level)


@numba.njit(cache=True)
def _background(count, total, squares):
    """Median of the octants' means, the variance of a pixel about its octant's mean in those that
    are no brighter than that allows, and the variance of the median: pi / 2 of that of a mean, for
    normal errors; octants differ by their pixels' noise at least."""
    mean, scatter = np.empty(_OCTANTS), np.empty(_OCTANTS)
    known, step = 0, np.inf  # that of one electron alone in an octant, where all else is dark
    for k in range(_OCTANTS):
        if count[k] > 0:
            mean[known] = total[k] / count[k]
            scatter[known] = max(squares[k] - total[k] * mean[known], 0.0)
            if scatter[known] > 0:
                step = min(step, math.sqrt(scatter[known]))
            known += 1
    level = _median(mean[:known])
    each = 0.0
    for k in range(_OCTANTS):
        each += count[k] / known
    variance, most = 0.0, level
    for _ in range(2):
        within, number = 0.0, 0
        for k in range(known):
            if mean[k] <= most:
                within += scatter[k]
                number += 1
        variance = within / (number * each)
        error = math.sqrt(variance / each) if variance > 0 or step == np.inf else step / each
        most = level + _OFF * error
    spread = _TO_SIGMA * _median(np.abs(mean[:known] - level))
    return level, variance, 0.5 * math.pi * max(variance / each, spread * spread) / known


@numba.njit(cache=True)
def _median(values):
    """NumPy's, of a few values, which takes numba as long to compile as all the rest here."""
    ordered = np.empty(len(values))
    for i in range(len(values)):
        place = i
        while place > 0 and ordered[place - 1] > values[i]:
            ordered[place] = ordered[place - 1]
            place -= 1
        ordered[place] = values[i]
    return 0.5 * (ordered[(len(values) - 1) // 2] + ordered[len(values) // 2])
