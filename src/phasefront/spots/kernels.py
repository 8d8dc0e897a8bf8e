"""Bragg spots of every pattern: found against its own noise, located to a fraction of a pixel.

The method, in the order of the kernel:

1. The pattern is filtered with a Gaussian of the spots' width, the matched filter of a Gaussian
   spot in white noise (Turin, IRE Trans. Inf. Theory 6, 311, 1960); for a uniform disk it keeps
   0.87 or more of the best signal to noise. The result is smooth and kept on a coarser grid.
2. The background is the median of each ring around the direct beam, smoothed by local parabolas
   that follow a liquid's diffuse ring, then the clipped mean of a square frame around each cell.
3. The noise comes from the pixels' mean square scatter about the filtered pattern, in quarters of
   rings, times one factor for the whole pattern that compares it with the scatter of the filtered
   pattern itself: camera blur, gain and diffuse structure are in it. Where it is small against a
   camera's grey steps, the rounding of neighbours is the same and does not average out, and is
   added (`_rounding`). Where most pixels are empty the noise is Poisson's.
4. A spot is a local maximum whose significance exceeds a threshold that noise alone passes
   `false_alarms` times a pattern: the expected number of maxima of a smooth Gaussian field (Adler,
   The Geometry of Random Fields, 1981; Worsley et al., J. Cereb. Blood Flow Metab. 12, 900, 1992).
   The significance allows for the skewness of few electrons; it is the plain ratio to the noise
   where they are many.
5. The position is the maximum of the continuous filter response, reached by weighted centroids.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

MAX_SPOTS = 400  # kept per pattern, the most significant ones; the demo's have 66 at most

# The constants below were chosen, not fitted. Tests hold what they must give: as many spots of
# noise alone as asked for, on cameras that count, round, stand on a pedestal or see a liquid, and
# spots of known strength found as often as theory says.
# Lengths in multiples of the filter's sigma, which is half the spot radius.
REACH = 3.0  # half width of the filter
FRAME_INNER = 3.0  # frame of the local background, half widths
FRAME_OUTER = 7.0
TILE = 4.0  # width of a ring quarter in which noise is measured
_SMOOTH = 5  # rings either side that a ring's level is smoothed over by a parabola, at most
_SMOOTH_CELLS = 250  # where these hold fewer cells, in the camera's corners, by a line over more

CLIP = 2.5  # standard deviations above the local background that still count for it
STEPS_TOGETHER = 2.5  # grey steps at one place that still count for noise
_ELECTRONS_TOGETHER = 2.5  # at one place, that still count for a background of few electrons
_FRAME_ELECTRONS = 60  # wanted in the frame
PASSES = 2  # of the local background, each leaving out what stands above the last
MAD = 1.4826  # standard deviation over median absolute deviation, Gaussian
LEAN = 60.0  # samples that a tile's neighbours weigh in its noise
SHADOW = 10.0  # times the usual variance, the most that a cell below the background shows
_APART = 8  # cells between two that are counted one after the other
_GAUSSIAN_ABOVE = 1e4  # electrons under the filter; above, Poisson is Gaussian
_CANDIDATE = 0.75  # of the threshold, for maxima on the grid, before the exact height is known
_EXACT = {"nsz", "reassoc"}  # for sums that are the same in any order


@njit(nogil=True, cache=True)
def load(counts, valid, patterns):
    """Fill patterns, float32, with counts of any type, 0 where they cannot be used.

    All else is compiled for float32 alone: for each type it takes long.
    """
    for i in range(counts.shape[0]):
        for y in range(counts.shape[1]):
            for x in range(counts.shape[2]):
                count = np.float32(counts[i, y, x])
                patterns[i, y, x] = count if valid[y, x] else np.float32(0)


@njit(nogil=True, cache=True)
def find_in_stack(patterns, centres, taps, valid, weight, noise, step, threshold, beam_radius,
                  spot_radius, count, table):  # fmt: skip
    for i in range(patterns.shape[0]):
        count[i] = _find_in_pattern(
            patterns[i], centres[i, 0], centres[i, 1], taps, valid, weight, noise, step, threshold,
            beam_radius, spot_radius, table[i],
        )  # fmt: skip


@njit(cache=True)
def _find_in_pattern(pattern, cy, cx, taps, valid, weight, noise, step, threshold, beam_radius,
                     spot_radius, table):  # fmt: skip
    background, variance, gain, skew, filtered, outside = background_and_noise(
        pattern, cy, cx, taps, valid, weight, step, beam_radius, 0.5 * spot_radius
    )
    return _collect(
        pattern, filtered, background, variance, noise, gain, skew, valid, outside, cy, cx, step,
        threshold, beam_radius, spot_radius, table,
    )  # fmt: skip


@njit(cache=True)
def background_and_noise(pattern, cy, cx, taps, valid, weight, step, beam_radius, sigma):
    """Background and variance of the filtered pattern on the grid, counts per electron, and those
    of the Poisson number that is as skew as the noise."""
    filtered = _filter(pattern, taps, weight, step)
    radius, tile, outside = _rings(weight, cy, cx, step, beam_radius, sigma)
    level = _ring_medians(filtered, radius, outside)
    above = _above_rings(filtered, radius, outside, level)
    unit = _sparse_unit(pattern, valid, cy, cx, beam_radius, step)
    inner, outer = _frame(filtered, outside, unit, step, sigma)
    together = _ELECTRONS_TOGETHER * unit * taps[taps.size // 2] ** 2
    ceiling = np.empty(above.shape, np.float32)
    local = np.zeros(above.shape, np.float32)
    ceiling[:] = together if unit > 0 else CLIP * MAD * _median_absolute(above, local, outside)
    _frame_mean(above, ceiling, outside, inner, outer, local)
    if unit > 0:
        unit = max(unit, _variance_over_mean(pattern, above, ceiling, outside, step))
        together = _ELECTRONS_TOGETHER * unit * taps[taps.size // 2] ** 2
    variance, gain, skew = _noise(pattern, valid, filtered, above, local, tile, outside, step, taps)
    factor = 1.0
    for _ in range(PASSES):
        if unit > 0:
            _poisson_variance(filtered, above, local, outside, unit, taps, variance)
        else:
            factor = _structure(above, local, variance, outside)
        _ceiling(local, variance, factor, together, ceiling)
        _frame_mean(above, ceiling, outside, inner, outer, local)
    if unit > 0:
        _poisson_variance(filtered, above, local, outside, unit, taps, variance)
        gain = skew = unit
    else:
        factor = _structure(above, local, variance, outside)
        # Pixels that rise together, under a blur, are one large electron.
        skew = max(gain, factor * skew)
    of_ring = _structure_of_rings(above, local, variance, tile, outside, factor, unit > 0)
    for j in range(above.shape[0]):
        for i in range(above.shape[1]):
            variance[j, i] *= of_ring[tile[j, i] // 4]
            local[j, i] += filtered[j, i] - above[j, i]
    return local, variance, gain, skew, filtered, outside


@njit(cache=True)
def _ceiling(local, variance, factor, together, ceiling):
    """Most that counts for the background: what noise reaches, or a few electrons together."""
    clip = np.float32(CLIP * math.sqrt(factor))
    for j in range(local.shape[0]):
        for i in range(local.shape[1]):
            ceiling[j, i] = local[j, i] + clip * np.sqrt(variance[j, i]) + np.float32(together)


@njit(cache=True)
def _filter(pattern, taps, weight, step):
    """Normalised separable Gaussian at every step-th pixel; masked pixels are 0 in `pattern`.

    The columns are sorted by their place within a step, so that what a tap multiplies is contiguous
    in all rows at once.
    """
    ny, nx = pattern.shape
    reach = taps.size // 2
    width = (nx + 2 * reach + step - 1) // step
    size = weight.shape[0] * width
    row = np.zeros(width * step, np.float32)
    sorted_rows = np.zeros((step, size + width), np.float32)
    inside = row[reach : reach + nx]
    for j in range(weight.shape[0]):
        centre = j * step
        _weigh(pattern[centre], taps[reach], inside)
        for k in range(1, reach + 1):
            if centre >= k and centre + k < ny:
                _add_pair(pattern[centre - k], pattern[centre + k], taps[reach + k], inside)
            elif centre >= k or centre + k < ny:
                one = pattern[centre - k] if centre >= k else pattern[centre + k]
                _add(one, taps[reach + k], inside)
        for place in range(step):
            for i in range(width):
                sorted_rows[place, j * width + i] = row[i * step + place]
    total = np.empty(size, np.float32)
    _weigh(sorted_rows[reach % step, reach // step :], taps[reach], total)
    for k in range(1, reach + 1):
        before, after = reach - k, reach + k
        _add_pair(
            sorted_rows[before % step, before // step :],
            sorted_rows[after % step, after // step :],
            taps[after],
            total,
        )
    out = np.empty(weight.shape, np.float32)
    for j in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[j, i] = total[j * width + i] * weight[j, i]
    return out


@njit(cache=True)
def _weigh(values, tap, out):
    for i in range(out.size):
        out[i] = tap * values[i]


@njit(cache=True)
def _add(values, tap, out):
    for i in range(out.size):
        out[i] += tap * values[i]


@njit(cache=True)
def _add_pair(one, other, tap, out):
    for i in range(out.size):
        out[i] += tap * (one[i] + other[i])


@njit(cache=True)
def _rings(weight, cy, cx, step, beam_radius, sigma):
    """Ring as a real number, quarter of a wide ring, and validity outside the beam of each cell.

    Rings are half a step wide, a pixel at least.
    """
    radius = np.empty(weight.shape, np.float32)
    tile = np.empty(weight.shape, np.int32)
    outside = np.empty(weight.shape, np.bool_)
    inverse = np.float32(1 / max(1.0, 0.5 * step))
    inverse_tile = np.float32(1 / (TILE * sigma))
    beam_radius = np.float32(beam_radius)
    across = (np.arange(weight.shape[1]) * step - cx).astype(np.float32)
    right = (across > 0).astype(np.int32)
    for j in range(weight.shape[0]):
        dy = np.float32(j * step - cy)
        dy2 = dy * dy
        lower = np.int32(2 if dy > 0 else 0)
        for i in range(weight.shape[1]):
            r = np.sqrt(dy2 + across[i] * across[i])
            radius[j, i] = r * inverse
            tile[j, i] = 4 * np.int32(r * inverse_tile) + lower + right[i]
            outside[j, i] = (r >= beam_radius) & (weight[j, i] > 0)
    return radius, tile, outside


@njit(cache=True)
def _ring_medians(filtered, radius, outside):
    """Median of the filtered pattern in each ring, smoothed."""
    flat, cells, chosen = filtered.ravel(), radius.ravel(), outside.ravel()
    bins = int(radius.max()) + 2
    fill = np.zeros(bins + 2, np.int32)  # the last ring is for the cells of none
    ring = np.empty(flat.size, np.int32)
    for i in range(flat.size):
        ring[i] = np.int32(cells[i]) if chosen[i] else np.int32(bins)
    # Neighbours share rings, and waiting for each other's counters takes longer than the counting.
    for first in range(_APART):
        for i in range(first, flat.size, _APART):
            fill[ring[i] + 1] += 1
    samples = fill[1 : bins + 1].astype(np.float64)
    start = np.cumsum(fill)
    place = start.copy()
    values = np.empty(flat.size, np.float32)
    for first in range(_APART):
        for i in range(first, flat.size, _APART):
            b = ring[i]
            values[place[b]] = flat[i]
            place[b] += 1
    raw = np.zeros(bins)
    for b in range(bins):
        if samples[b] > 0:
            raw[b] = _select(values[start[b] : start[b + 1]], (start[b + 1] - start[b]) // 2)
    return smooth_outwards(raw, samples)


@njit(cache=True, error_model="numpy")
def smooth_outwards(raw, samples):
    """Weighted parabola through neighbouring rings, a line where cells are few; NaN-free.

    A line would cut off the crest of a liquid's ring, and leave there what looks like spots.
    """
    bins = raw.size
    level = np.empty(bins)
    last = 0.0
    first = -1
    for b in range(bins):
        half = min(b // 6, _SMOOTH)
        inside = samples[max(b - half, 0) : b + half + 1].sum()
        while half < b // 6 and inside < _SMOOTH_CELLS:
            half += 1
            inside = samples[max(b - half, 0) : b + half + 1].sum()
        s0, s1, s2, s3, s4, t0, t1, t2 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for c in range(max(b - half, 0), min(b + half + 1, bins)):
            w, x = samples[c], float(c - b)
            s0 += w
            s1 += w * x
            s2 += w * x * x
            s3 += w * x * x * x
            s4 += w * x * x * x * x
            t0 += w * raw[c]
            t1 += w * x * raw[c]
            t2 += w * x * x * raw[c]
        if s0 > 0:
            # Cramer's rule for the constant; a line, or the mean, where rings are too few.
            c0, c1, c2 = s2 * s4 - s3 * s3, s1 * s4 - s2 * s3, s1 * s3 - s2 * s2
            determinant = s0 * c0 - s1 * c1 + s2 * c2
            of_line = s0 * s2 - s1 * s1
            if half <= _SMOOTH and determinant > 1e-6 * s0 * s0 * s0:
                last = (t0 * c0 - s1 * (t1 * s4 - t2 * s3) + s2 * (t1 * s3 - t2 * s2)) / determinant
            elif of_line > 1e-9 * s0 * s0:
                last = (s2 * t0 - s1 * t1) / of_line
            else:
                last = t0 / s0
            if first < 0:
                first = b
        level[b] = last
    for b in range(first):
        level[b] = level[first]
    return level


@njit(cache=True)
def _select(values, k):
    """k-th smallest: bisection between values, by counts of those below, which are vectorised."""
    low = high = values[0]
    for value in values:
        low = min(low, value)
        high = max(high, value)
    below, upto = _count(values, low), values.size
    if below > k:
        return float(low)
    while upto - below > 1:
        middle = np.float32(0.5) * (low + high)
        if not low < middle < high:
            return float(high)
        number = _count(values, middle)
        if number > k:
            high, upto = middle, number
        else:
            low, below = middle, number
    return float(_sum_between(values, low, high))


@njit(cache=True, fastmath=_EXACT)
def _count(values, most):
    """Number of values up to `most`; exact up to 2^24."""
    number = np.float32(0)
    for i in range(values.size):
        number += np.float32(1) if values[i] <= most else np.float32(0)
    return int(number)


@njit(cache=True, fastmath=_EXACT)
def _sum_between(values, low, high):
    """The one value above `low` and up to `high`, as a sum."""
    total = np.float32(0)
    for i in range(values.size):
        total += values[i] if (values[i] > low) & (values[i] <= high) else np.float32(0)
    return total


@njit(cache=True)
def _above_rings(filtered, radius, outside, level):
    """Filtered pattern less the ring level, by cubics between rings; 0 in the beam.

    The cubics have the slope between a ring's neighbours at each ring (Catmull and Rom, 1974).
    """
    above = np.empty(filtered.shape, np.float32)
    last = level.size - 1
    cubic = np.empty((level.size, 4), np.float32)
    for b in range(level.size):
        p, q = level[max(b - 1, 0)], level[b]
        r, s = level[min(b + 1, last)], level[min(b + 2, last)]
        cubic[b, 0] = q
        cubic[b, 1] = 0.5 * (r - p)
        cubic[b, 2] = 0.5 * (2 * p - 5 * q + 4 * r - s)
        cubic[b, 3] = 0.5 * (3 * (q - r) + s - p)
    for j in range(filtered.shape[0]):
        for i in range(filtered.shape[1]):
            at = max(radius[j, i] - np.float32(0.5), np.float32(0))
            b = np.uint32(at)
            t, of = at - np.float32(b), cubic[b]
            value = filtered[j, i] - (of[0] + t * (of[1] + t * (of[2] + t * of[3])))
            above[j, i] = value if outside[j, i] else np.float32(0)
    return above


@njit(cache=True)
def _median_absolute(above, local, chosen):
    """Median distance of `above` from `local` over every other chosen cell either way."""
    absolute = np.empty(above.size, np.float32)
    n = 0
    for j in range(0, above.shape[0], 2):
        for i in range(0, above.shape[1], 2):
            if chosen[j, i]:
                absolute[n] = abs(above[j, i] - local[j, i])
                n += 1
    return _select(absolute[:n], n // 2) if n > 0 else 0.0


@njit(cache=True)
def _sparse_unit(pattern, valid, cy, cx, beam_radius, step):
    """Median of the nonzero pixels where most pixels are zero (single electrons), else 0."""
    found, used = 0, 0
    for y in range(0, pattern.shape[0], step):
        counts = _nonzero(pattern[y], valid[y], (y - cy) ** 2 - beam_radius**2, cx)
        found += counts[0]
        used += counts[1]
    if found == 0 or 2 * found > used:
        return 0.0
    nonzero = np.empty(found, np.float32)
    found = 0
    for y in range(0, pattern.shape[0], step):
        for x in range(pattern.shape[1]):
            far = (y - cy) ** 2 + (x - cx) ** 2 >= beam_radius**2
            if far and valid[y, x] and pattern[y, x] != 0:
                nonzero[found] = pattern[y, x]
                found += 1
    return max(_select(nonzero[:found], found // 2), 0.0)


@njit(cache=True)
def _variance_over_mean(pattern, above, ceiling, outside, step):
    """Counts per electron that the pixels' scatter shows where nothing stands out; 0 without any.

    The median of those that are not 0 says too little where read noise makes more of them.
    """
    total, squares, number = 0.0, 0.0, 0
    for j in range(above.shape[0]):
        for i in range(above.shape[1]):
            if outside[j, i] and above[j, i] < ceiling[j, i]:
                value = np.float64(pattern[j * step, i * step])
                total += value
                squares += value**2
                number += 1
    return squares / total - total / number if total > 0 else 0.0


@njit(cache=True, fastmath=_EXACT)
def _nonzero(row, valid, beyond, cx):
    """Pixels of a row that are not 0, and all that are valid, outside the beam."""
    found, used = np.float32(0), np.float32(0)
    beyond, cx = np.float32(beyond), np.float32(cx)
    for x in range(row.size):
        distance = np.float32(x) - cx
        one = np.float32(valid[x] & (distance * distance >= -beyond))
        used += one
        found += one if row[x] != 0 else np.float32(0)
    return int(found), int(used)


@njit(cache=True)
def _frame(filtered, outside, unit, step, sigma):
    """Half widths, in cells, of the frame; wide enough for some electrons where they are few."""
    inner = int(FRAME_INNER * sigma / step)
    outer = max(inner + 1, int(FRAME_OUTER * sigma / step))
    if unit > 0:
        total, number = 0.0, 0
        for j in range(filtered.shape[0]):
            for i in range(filtered.shape[1]):
                if outside[j, i]:
                    total += filtered[j, i]
                    number += 1
        electrons = max(total / unit, 1e-30) / max(number, 1)
        wanted = int(0.5 * math.sqrt(_FRAME_ELECTRONS / electrons) / step)
        outer = max(outer, min(wanted, max(filtered.shape)))
    return inner, outer


@njit(cache=True)
def _frame_mean(values, ceiling, outside, inner, outer, mean):
    """Mean over a square frame around each cell of the values below `ceiling`; 0 without any."""
    ny, nx = values.shape
    # Side by side the values used and their number, both between zeros; the last row is empty.
    left, width = 2 * outer + 1, nx + 3 * outer + 1
    cells = np.zeros((ny + 1, 2 * width), np.float32)
    for j in range(ny):
        value, number = cells[j, left : left + nx], cells[j, width + left : width + left + nx]
        for i in range(nx):
            used = outside[j, i] & (values[j, i] < ceiling[j, i])
            value[i] = values[j, i] if used else np.float32(0)
            number[i] = np.float32(used)
    # Sums of each column over the rows of the frame, and of its hole; they move down with j.
    whole, hole = np.zeros(2 * width), np.zeros(2 * width)
    change = np.empty(width + nx + outer)
    for j in range(-outer, ny):
        _move(cells, j + outer, j - outer - 1, whole)
        _move(cells, j + inner, j - inner - 1, hole)
        if j >= 0:
            _change(whole, hole, inner, outer, change)
            _running_mean(change[: nx + outer], change[width:], outer, mean[j])


@njit(cache=True)
def _move(cells, enters, leaves, sums):
    """Add one row to the sums of the columns and take another away, where they exist."""
    nothing = cells.shape[0] - 1
    new = cells[enters if 0 <= enters < nothing else nothing]
    old = cells[leaves if 0 <= leaves < nothing else nothing]
    for i in range(sums.size):
        sums[i] += np.float64(new[i]) - np.float64(old[i])


@njit(cache=True)
def _change(whole, hole, inner, outer, change):
    """What the frame gains on its way from each cell of a row to the next, from `outer` before."""
    enters, fills, clears = whole[2 * outer + 1 :], hole[outer + inner + 1 :], hole[outer - inner :]
    for i in range(change.size):
        change[i] = (enters[i] - whole[i]) - (fills[i] - clears[i])


@njit(cache=True, error_model="numpy")
def _running_mean(change, change_number, outer, mean):
    """Quotient of the running sums of two rows, from `outer` on; the rows are overwritten."""
    total, number = 0.0, 0.0
    for i in range(change.size):
        total += change[i]
        number += change_number[i]
        change[i] = total
        change_number[i] = number
    sums, numbers = change[outer:], change_number[outer:]
    for i in range(mean.size):
        mean[i] = sums[i] / max(numbers[i], 1.0)


@njit(cache=True)
def _noise(pattern, valid, filtered, above, local, tile, outside, step, taps):
    """Variance of the filtered pattern if pixels were independent, counts per electron, and skew.

    The gain is the slope of the pixels' variance against their mean, 0 if it does not rise; the
    skew is their third cumulant over the second, which is the gain of a Poisson number, too.
    """
    shared = _shared(taps)
    centre = taps[taps.size // 2] ** 2
    squares, change, grey, mean, samples, skew = _tile_scatter(
        pattern, valid, filtered, above, local, tile, outside, step, centre
    )
    pixel = squares / (1 - 2 * centre + shared)
    of_tile = np.empty(pixel.size)
    for one in range(pixel.size):
        of_tile[one] = shared * pixel[one] + _rounding(grey[one], change[one])
    variance = np.empty(filtered.shape, np.float32)
    for j in range(filtered.shape[0]):
        for i in range(filtered.shape[1]):
            variance[j, i] = of_tile[tile[j, i]]
    return variance, _slope(mean, pixel, samples), skew


@njit(cache=True)
def _rounding(grey, change):
    """Variance that rounding to steps of `grey` leaves in the mean of many neighbours.

    Noise of variance v leaves at most exp(-4 pi^2 v / grey^2) of rounding's grey^2 / 12 in a mean:
    the first harmonic of the mean rounding error is damped so, the others more (Widrow and Kollar,
    Quantization Noise, 2008). v is half the mean square difference `change` of neighbours less
    what rounding adds to it, for a stair under a slope differs from noise in its few changes.
    """
    if grey <= 0:
        return 0.0
    free = max(change - grey**2 / 12, 0.0)
    return grey**2 / 12 * math.exp(-4 * math.pi**2 * free / grey**2)


@njit(cache=True)
def _shared(taps):
    """Variance of the filtered pattern over that of a pixel, if pixels are independent."""
    squares = 0.0
    for tap in taps:
        squares += tap**2
    return squares**2


@njit(cache=True)
def _poisson_variance(filtered, above, local, outside, unit, taps, variance):
    """Variance where single electrons are counted; a quarter of the mean where there are none."""
    floor = 0.0
    for j in range(filtered.shape[0]):
        for i in range(filtered.shape[1]):
            variance[j, i] = filtered[j, i] - above[j, i] + local[j, i]
            floor += variance[j, i] if outside[j, i] else 0.0
    floor *= 0.25 / max(outside.sum(), 1)
    scale = unit * _shared(taps)
    for j in range(filtered.shape[0]):
        for i in range(filtered.shape[1]):
            variance[j, i] = scale * max(variance[j, i], floor)


@njit(cache=True)
def _tile_scatter(pattern, valid, filtered, above, local, tile, outside, step, peak):
    """Per quarter of a ring, away from spots: mean square distance of pixels from the filtered
    pattern, half that of neighbours from each other, the smallest grey step, mean, samples; and of
    all the sum of cubes over that of squares."""
    tiles = 4 * (tile.max() // 4 + 1)
    limit = 3 * MAD * _median_absolute(above, local, outside)
    # Where most of a pattern is one grey, the few pixels off by a step are the noise.
    together = np.float32(STEPS_TOGETHER * peak)
    limit = max(limit, together * _smallest_step(pattern, valid, outside, step, limit / together))
    # Each of _APART columns has its own sums: neighbours would wait for each other's.
    sums, cubes = np.zeros((_APART, tiles, 5)), np.zeros(_APART)
    smallest = np.full((_APART, tiles), np.inf)
    for j in range(tile.shape[0]):
        for i in range(tile.shape[1]):
            if outside[j, i] and above[j, i] - local[j, i] < limit:
                part, at = i % _APART, tile[j, i]
                y, x = j * step, i * step
                away = np.float64(pattern[y, x] - filtered[j, i])
                sums[part, at, 0] += away**2
                cubes[part] += away**3
                sums[part, at, 1] += filtered[j, i]
                sums[part, at, 2] += 1
                if x + 1 < pattern.shape[1] and valid[y, x + 1]:
                    change = abs(pattern[y, x] - pattern[y, x + 1])
                    sums[part, at, 3] += 0.5 * change**2
                    sums[part, at, 4] += 1
                    if 0 < change < smallest[part, at]:
                        smallest[part, at] = change
    total, mean, samples = np.zeros(tiles), np.zeros(tiles), np.zeros(tiles)
    changes, pairs, least = np.zeros(tiles), np.zeros(tiles), np.full(tiles, np.inf)
    for part in range(_APART):
        total += sums[part, :, 0]
        mean += sums[part, :, 1]
        samples += sums[part, :, 2]
        changes += sums[part, :, 3]
        pairs += sums[part, :, 4]
        least = np.minimum(least, smallest[part])
    grey = np.empty(tiles)
    for one in range(tiles):
        first = 4 * (one // 4)
        step_around = least[max(first - 4, 0) : first + 8].min()
        grey[one] = step_around if step_around < np.inf else 0.0
        mean[one] /= max(samples[one], 1.0)
    skew = max(cubes.sum(), 0.0) / max(total.sum(), 1e-30)
    return _leaning(total, samples), _leaning(changes, pairs), grey, mean, samples, skew


@njit(cache=True)
def _smallest_step(pattern, valid, outside, step, least):
    """Smallest change other than 0 from a pixel of the grid to the one beside it, or the first that
    is not above `least`; 0 without any."""
    smallest = np.inf
    for j in range(outside.shape[0]):
        for i in range(outside.shape[1]):
            y, x = j * step, i * step
            if outside[j, i] and x + 1 < pattern.shape[1] and valid[y, x + 1]:
                change = abs(pattern[y, x] - pattern[y, x + 1])
                if 0 < change < smallest:
                    smallest = change
                    if change <= least:
                        return smallest
    return smallest if smallest < np.inf else 0.0


@njit(cache=True)
def _leaning(total, samples):
    """Mean in each tile, leaning on the same ring and the next ones, so that a tile of few samples
    is not left alone."""
    mean = np.empty(total.size)
    overall = total.sum() / max(samples.sum(), 1.0)
    for one in range(total.size):
        first = 4 * (one // 4)
        number = samples[max(first - 4, 0) : first + 8].sum()
        around = total[max(first - 4, 0) : first + 8].sum() / number if number > 0 else overall
        mean[one] = (total[one] + LEAN * around) / (samples[one] + LEAN)
    return mean


@njit(cache=True)
def _slope(level, variance, samples):
    """Slope of variance against level by weighted least squares; it and the offset are not < 0."""
    s, sx, sy, sxx, sxy = 0.0, 0.0, 0.0, 0.0, 0.0
    for b in range(level.size):
        w = samples[b] / max(variance[b], 1e-30) ** 2 if samples[b] > 0 else 0.0
        s += w
        sx += w * level[b]
        sy += w * variance[b]
        sxx += w * level[b] ** 2
        sxy += w * level[b] * variance[b]
    determinant = s * sxx - sx**2
    if determinant <= 1e-9 * s * sxx:
        return 0.0
    slope = (s * sxy - sx * sy) / determinant
    if sy < slope * sx:
        slope = sxy / sxx
    return max(slope, 0.0)


@njit(cache=True, error_model="numpy")
def _structure(above, local, variance, outside):
    """Squared scatter of the filtered pattern over what independent pixels give, 1 or more.

    From the cells below the background: those above hold weak spots too. Neighbouring cells say
    much the same, so every other one is taken either way.
    """
    below = np.empty(above.size, np.float32)
    n = 0
    for j in range(0, above.shape[0], 2):
        for i in range(0, above.shape[1], 2):
            # Written always and kept or not: half the cells qualify, which no branch foresees.
            depth = local[j, i] - above[j, i]
            below[n] = depth * depth / variance[j, i]
            n += (depth > 0) & outside[j, i] & (variance[j, i] > 0)
    if n == 0:
        return 1.0
    return max(1.0, MAD**2 * _select(below[:n], n // 2))


@njit(cache=True)
def _structure_of_rings(above, local, variance, tile, outside, factor, electrons):
    """The same of each ring of quarters, 1 or more, leaning on that of the pattern, `factor`.

    Grey steps and a saturated camera make noise that differs from ring to ring. Where single
    electrons are counted all is Poisson's: 1.
    """
    rings = tile.max() // 4 + 1
    squares, samples = np.zeros(rings), np.zeros(rings)
    if electrons:
        return np.ones(rings)
    for j in range(above.shape[0]):
        for i in range(above.shape[1]):
            depth = np.float64(local[j, i] - above[j, i])
            if outside[j, i] and depth > 0 and variance[j, i] > 0:
                # A shadow that is not masked is no noise.
                squares[tile[j, i] // 4] += min(depth * depth / variance[j, i], SHADOW * factor)
                samples[tile[j, i] // 4] += 1
    return np.maximum((squares + LEAN * factor) / (samples + LEAN), 1.0)


@njit(cache=True)
def significance_of(height, variance, gain, area):
    """Standard deviations that `height` stands above the background.

    Each pixel's background is taken for a Poisson number times `gain`, shifted so that its variance
    is variance * area; `area` is 4 pi sigma^2 of the filter. The cumulants of the filter's response
    are then known, and the signed root of the saddlepoint exponent, 2 (t H - K(t)) with K'(t) = H,
    has nearly Gaussian tails (Daniels, Ann. Math. Stat. 25, 631, 1954), however few the electrons.
    """
    if variance <= 0:
        return 0.0
    plain = height / math.sqrt(variance)
    if gain <= 0 or plain <= 0:
        return plain
    electrons = variance * area / gain**2  # of the background in a pixel
    if electrons * area > _GAUSSIAN_ABOVE:
        return plain
    # K(t) = electrons (area / 2) sum_k tau^k / (k k!), tau = t times the filter's peak.
    ratio = 1 + height / (gain * electrons)
    tau = min(2 * (ratio - 1), 1 + math.log(ratio) * 1.5)
    for _ in range(50):
        value = math.expm1(tau) / tau - ratio
        move = value / ((math.exp(tau) * (tau - 1) + 1) / tau**2)
        tau = max(tau - move, 0.1 * tau)
        if abs(move) < 1e-9 * tau:
            break
    series, term = 0.0, 1.0
    for k in range(1, 400):
        term *= tau / k
        series += term / k
        if k > tau and term < 1e-12 * series:
            break
    return math.sqrt(max(electrons * area * (tau * ratio - series), 0.0))


@njit(cache=True)
def _collect(pattern, filtered, background, variance, noise, gain, skew, valid, outside, cy, cx,
             step, threshold, beam_radius, spot_radius, table):  # fmt: skip
    sigma = 0.5 * spot_radius
    area = math.pi * spot_radius**2  # 4 pi sigma^2, independent pixels under the filter
    nearest = (beam_radius + sigma) ** 2
    response = filtered - background
    standing = _standing(response, variance, noise, outside, _CANDIDATE * threshold)
    ny, nx = response.shape
    found = 0
    for j in range(ny):
        for i in range(nx):
            if (
                not standing[j, i]
                or (j * step - cy) ** 2 + (i * step - cx) ** 2 < nearest
                or not _is_maximum(response, j, i)
            ):
                continue
            local = float(variance[j, i] * noise[j, i])
            back, slope_y, slope_x = _plane(background, outside, j, i, step)
            py, px, height = locate(
                pattern, valid, j * step, i * step, back, slope_y, slope_x, sigma
            )
            if not _inside(py, px, pattern.shape, j * step, i * step, sigma, spot_radius):
                continue
            significance = significance_of(height, local, skew, area)
            if significance < threshold:
                continue
            back += slope_y * (py - j * step) + slope_x * (px - i * step)
            intensity, error = _integrate(
                pattern, valid, py, px, back, slope_y, slope_x, spot_radius, local * area, gain
            )  # fmt: skip
            found = _keep(table, found, px, py, intensity, error, significance, spot_radius)
    return found


@njit(cache=True)
def _standing(response, variance, noise, outside, candidate):
    """Whether each cell stands out of its noise by `candidate` standard deviations."""
    standing = np.empty(response.shape, np.bool_)
    squared = np.float32(candidate**2)
    for j in range(response.shape[0]):
        for i in range(response.shape[1]):
            height = response[j, i]
            least = squared * (variance[j, i] * noise[j, i])
            standing[j, i] = outside[j, i] & (height > 0) & (height * height >= least)
    return standing


@njit(cache=True)
def _is_maximum(response, j, i):
    """Above the neighbours read before it, not below those read after it."""
    ny, nx = response.shape
    value = response[j, i]
    for v in range(max(j - 1, 0), min(j + 2, ny)):
        for u in range(max(i - 1, 0), min(i + 2, nx)):
            before = v < j or (v == j and u < i)
            if response[v, u] > value or (before and response[v, u] == value):
                return False
    return True


@njit(cache=True)
def _inside(py, px, shape, y, x, sigma, spot_radius):
    """Whether the centroid stayed near its start and its core lies on the camera."""
    return (
        (py - y) ** 2 + (px - x) ** 2 <= spot_radius**2
        and sigma <= py + 0.5 <= shape[0] - sigma
        and sigma <= px + 0.5 <= shape[1] - sigma
    )


@njit(cache=True)
def _plane(background, outside, j, i, step):
    """Background at a cell and its slopes per pixel, 0 where a neighbour is missing."""
    slope_y, slope_x = 0.0, 0.0
    if 0 < j < background.shape[0] - 1 and outside[j - 1, i] and outside[j + 1, i]:
        slope_y = (background[j + 1, i] - background[j - 1, i]) / (2 * step)
    if 0 < i < background.shape[1] - 1 and outside[j, i - 1] and outside[j, i + 1]:
        slope_x = (background[j, i + 1] - background[j, i - 1]) / (2 * step)
    return float(background[j, i]), slope_y, slope_x


@njit(cache=True)
def locate(pattern, valid, y, x, back, slope_y, slope_x, sigma):
    """Maximum of the Gaussian filter's response, and its height: fixed point of weighted centroids.

    For a spot as wide as the filter each centroid goes half the way, so steps are doubled.
    """
    ny, nx = pattern.shape
    reach = math.ceil(REACH * sigma)
    down, across = np.empty(2 * reach + 1), np.empty(2 * reach + 1)
    py, px, height = float(y), float(x), 0.0
    for _ in range(8):
        v0, u0 = round(py), round(px)
        _gaussian(v0 - reach - py, sigma, down)
        _gaussian(u0 - reach - px, sigma, across)
        first, last = max(u0 - reach, 0), min(u0 + reach + 1, nx)
        weights, total, sum_y, sum_x = 0.0, 0.0, 0.0, 0.0
        for v in range(max(v0 - reach, 0), min(v0 + reach + 1, ny)):
            flat = back + slope_y * (v - y) - slope_x * x
            row_weights, row, row_x = 0.0, 0.0, 0.0
            for u in range(first, last):
                w = across[u - u0 + reach] if valid[v, u] else 0.0
                value = w * (pattern[v, u] - (flat + slope_x * u))
                row_weights += w
                row += value
                row_x += value * (u - px)
            w = down[v - v0 + reach]
            weights += w * row_weights
            total += w * row
            sum_y += w * row * (v - py)
            sum_x += w * row_x
        if total <= 0:
            return py, px, 0.0
        height = total / weights
        move_y, move_x = 2 * sum_y / total, 2 * sum_x / total
        length = math.sqrt(move_y**2 + move_x**2)
        if length < 0.003:
            break
        shorten = min(1.0, sigma / length)
        py += shorten * move_y
        px += shorten * move_x
    return py, px, height


@njit(cache=True)
def _gaussian(first, sigma, out):
    """Gaussian at `first` and the places one, two, ... pixels on; by products, not exponentials."""
    value = math.exp(-0.5 * (first / sigma) ** 2)
    ratio = math.exp(-(first + 0.5) / sigma**2)
    shrink = math.exp(-1 / sigma**2)
    for k in range(out.size):
        out[k] = value
        value *= ratio
        ratio *= shrink


@njit(cache=True)
def _integrate(pattern, valid, py, px, back, slope_y, slope_x, spot_radius, pixel_variance, gain):
    """Counts above the background within 1.25 spot radii, and their variance.

    The variance adds the background's noise, the error of its level in the frame, and the spot's
    own counting noise.
    """
    ny, nx = pattern.shape
    radius = 1.25 * spot_radius
    reach = math.ceil(radius)
    total, pixels = 0.0, 0
    v0, u0 = round(py), round(px)
    for v in range(max(v0 - reach, 0), min(v0 + reach + 1, ny)):
        for u in range(max(u0 - reach, 0), min(u0 + reach + 1, nx)):
            if valid[v, u] and (v - py) ** 2 + (u - px) ** 2 <= radius**2:
                total += pattern[v, u] - back - slope_y * (v - py) - slope_x * (u - px)
                pixels += 1
    frame = (FRAME_OUTER**2 - FRAME_INNER**2) * spot_radius**2
    per_electron = gain if gain > 0 else pixel_variance / max(back, 1e-30)
    variance = pixels * pixel_variance * (1 + pixels / frame) + per_electron * max(total, 0.0)
    return total, variance


@njit(cache=True)
def _keep(table, found, px, py, intensity, error, significance, spot_radius):
    """Add a spot unless a stronger one is within a radius; drop weaker ones; count them."""
    for k in range(found):
        near = (table[k, 0] - px) ** 2 + (table[k, 1] - py) ** 2 < spot_radius**2
        if near and table[k, 4] >= significance:
            return found
    kept = 0
    for k in range(found):
        if (table[k, 0] - px) ** 2 + (table[k, 1] - py) ** 2 >= spot_radius**2:
            if kept < k:
                table[kept] = table[k]
            kept += 1
    if kept == table.shape[0]:
        weakest = np.argmin(table[:kept, 4])
        if table[weakest, 4] >= significance:
            return kept
        table[weakest : kept - 1] = table[weakest + 1 : kept].copy()
        kept -= 1
    table[kept, 0] = px
    table[kept, 1] = py
    table[kept, 2] = intensity
    table[kept, 3] = error
    table[kept, 4] = significance
    return kept + 1
