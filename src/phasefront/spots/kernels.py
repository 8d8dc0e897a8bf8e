"""Bragg spots of every pattern: found against its own noise, located to a fraction of a pixel.

The method, in the order of the kernel:

1. The pattern is filtered with a Gaussian of the spots' width, the matched filter of a Gaussian
   spot in white noise (Turin, IRE Trans. Inf. Theory 6, 311, 1960); for a uniform disk it keeps
   0.87 or more of the best signal to noise. The result is smooth and kept on a coarser grid.
2. The background is the median of each ring around the direct beam, smoothed by local parabolas
   that follow a liquid's diffuse ring, then the clipped mean of a square frame around every other
   cell either way.
3. The noise comes from the pixels' mean square scatter about the filtered pattern, in quarters of
   rings, times one factor for the whole pattern that compares it with the scatter of the filtered
   pattern itself: camera blur, gain and diffuse structure are in it. Where it is small against a
   camera's grey steps, the rounding of neighbours is the same and does not average out, and is
   added (`_rounding`). Where most pixels are empty the noise is Poisson's.
4. A spot is a local maximum whose significance exceeds a threshold that noise alone passes
   `false_alarms` times a pattern: the expected number of maxima of a smooth Gaussian field (Adler,
   The Geometry of Random Fields, 1981; Worsley et al., J. Cereb. Blood Flow Metab. 12, 900, 1992).
   The significance allows for the tails of few electrons, each of which may stand out of the
   camera's own noise; it is the plain ratio to the noise where they are many.
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
_KURTOTIC = 5.0  # standard errors of an excess of fourth powers that shows single electrons
STANDS = 2.0  # standard deviations of a cell that stands out
# The same of one that a single pixel makes stand out: less than a spot, which stands out by 4.7 in
# 20,000 pixels and by 4 in 1000.
SPIKE = 4.0
_LEAST_SHARE = 0.25  # of a pattern's mean number of these, the fewest that any place may have
SHADOW = 10.0  # times the usual variance, the most that a cell below the background shows
_APART = 8  # cells between two that are counted one after the other
_GAUSSIAN_ABOVE = 1e4  # electrons under the filter; above, Poisson is Gaussian
_CANDIDATE = 0.75  # of the threshold, for maxima on the grid, before the exact height is known
_EXACT = {"nsz", "reassoc"}  # for sums that are the same in any order
_LANES = 16  # numbers that a processor treats at once, or a multiple of that
_ROWS = 8  # of the grid, filtered at a time: what they need is in a core's nearest cache
_PARTS = 4  # neighbours whose places in a ring are counted apart
_MAGNITUDE = np.int32(0x7FFFFFFF)  # bits of a float32 but for the sign
_INFINITE = np.int32(0x7F800000)  # bits of infinity
_LEAST_REACH = 1e-20  # of a search, in counts; it doubles
_PAIR = 4096.0  # counts of two kinds in one number: more than a tile has cells in a column
# Indices that are not negative: none need be looked for that count from the end.
_at = np.uint64


@njit(nogil=True, cache=True)
def load(counts, valid, dark_rows, dark_columns, dark_reach, reach, rows):
    """Fill rows (patterns, step, height, pitch), float32, with counts of any type less what pixels
    show without an electron (see `dark.Dark`), 0 where they cannot be used or no electron is.

    Rows of a pattern are sorted by their place within a step, so that what a tap of the filter
    multiplies is contiguous in many of them at once. Around a camera are zeros, as far as the
    filter reaches, which are left as they are. All else is compiled for float32 alone: for each
    type it takes long.
    """
    # One comparison a pixel: the compiler makes no vector instructions of two.
    least = np.float32(dark_reach) if dark_reach > 0 else np.float32(-np.inf)
    usable = valid.ravel()
    for i in range(counts.shape[0]):
        flat = counts[i].ravel()
        for y in range(counts.shape[1]):
            row = _row(rows[i], y, reach, counts.shape[2])
            own, level = _at(y * counts.shape[2]), dark_rows[y]
            for x in range(row.size):
                count = np.float32(flat[own + _at(x)]) - (level + dark_columns[x])
                hit = usable[own + _at(x)] & (count > least)
                row[x] = count if hit else np.float32(0)


@njit(cache=True)
def _row(rows, y, reach, columns):
    """Row y of a pattern that `load` has sorted."""
    step = rows.shape[0]
    return rows[y % step, (reach + step - 1) // step + y // step, reach : reach + columns]


# Each function is compiled again within whatever calls it: fewer levels are ready sooner, and what
# has one caller and is long is compiled in it alone ("always").
@njit(nogil=True, cache=True)
def find_in_stack(stack, centres, metric, electron, taps, valid, paired, weight, noise, threshold,
                  beam_radius, spot_radius, count, table):  # fmt: skip
    for i in range(stack.shape[0]):
        cy, cx = centres[i, 0], centres[i, 1]
        background, variance, gain, single, filtered, outside = background_and_noise(
            stack[i],
            cy,
            cx,
            metric,
            electron,
            taps,
            valid,
            paired,
            weight,
            beam_radius,
            0.5 * spot_radius,
        )
        count[i] = _collect(
            stack[i], filtered, background, variance, noise, gain, single, valid, outside, cy, cx,
            taps.size // 2, threshold, beam_radius, spot_radius, table[i],
        )  # fmt: skip


@njit(cache=True, inline="always")
def background_and_noise(
    rows, cy, cx, metric, electron, taps, valid, paired, weight, beam_radius, sigma
):
    """Background and variance of the filtered pattern on the grid, counts per electron, and the
    single electrons in the noise (see `_electrons`). `rows` are as `load` fills them; `metric`
    (yy, yx, xx): of distances from the beam on a camera that shows rings as ellipses; `electron`:
    counts of one electron in all pixels that it hits, 0 where this is not known; `paired` is 1
    where the pixel right of a cell's can be used.

    Cells of the grid are less apart than the filter is wide, and tell the same of the background as
    their neighbours. So frames take every other cell either way.
    """
    step, peak = rows.shape[0], taps[taps.size // 2] ** 2
    filtered = _filter(rows, taps, weight)
    radius, tile, outside, rings, tiles = _rings(weight, cy, cx, metric, step, beam_radius, sigma)
    level = _ring_medians(filtered, radius, outside, rings)
    above = _above_rings(filtered, radius, outside, level)
    here, beside = _on_grid(rows, taps.size // 2, weight.shape)
    some_filtered, some_above = _every_other(filtered), _every_other(above)
    some_tile, some = _every_other(tile), _every_other(outside)
    unit = _sparse_unit(rows, valid, taps.size // 2, cy, cx, beam_radius)
    if unit > 0:
        unit = max(unit, electron)
    inner, outer = _frame(some_filtered, some, unit, 2 * step, sigma)
    together = _ELECTRONS_TOGETHER * unit * peak
    ceiling = np.empty(some.shape, np.float32)
    local = np.zeros(some.shape, np.float32)
    typical = _median_absolute(some_above, local, some)
    ceiling[:] = together if unit > 0 else CLIP * MAD * typical
    _frame_mean(some_above, ceiling, some, inner, outer, local)
    largest = unit
    if unit > 0:
        per_electron, of_skew = _of_scatter(rows, taps.size // 2, some_above, ceiling, some)
        unit = max(unit, per_electron)
        largest = max(unit, of_skew)
        together = _ELECTRONS_TOGETHER * unit * peak
    away = MAD * _median_absolute(some_above, local, some)
    of_tile, gain, single = _noise(
        here, beside, filtered, above, _between(local, weight.shape), tile, tiles, outside, paired,
        away, taps,
    )  # fmt: skip
    variance = _at_tiles(of_tile, some_tile)
    factor = 1.0
    if unit <= 0 and single[2] > 0:
        together = _ELECTRONS_TOGETHER * single[0] * peak
    for _ in range(PASSES):
        if unit > 0:
            _poisson_variance(some_filtered, some_above, local, some, unit, taps, variance)
        else:
            factor = _structure(some_above, local, variance, some)
        _ceiling(local, variance, factor, together, ceiling)
        _frame_mean(some_above, ceiling, some, inner, outer, local)
    everywhere = _between(local, weight.shape)
    if unit > 0:
        of_all = np.empty(weight.shape, np.float32)
        _poisson_variance(filtered, above, everywhere, outside, unit, taps, of_all)
        gain, single = unit, (largest, 0.0, 0.0)
    else:
        factor = _structure(some_above, local, variance, some)
        # Pixels that rise together, under a blur, are one large electron.
        single = (max(gain, factor * single[0]), single[1], single[2])
        # Where single electrons are counted all is Poisson's.
        _structure_of_rings(some_above, local, variance, some_tile, some, factor, of_tile)
        of_all = _at_tiles(of_tile, tile)
    _add(filtered.ravel(), above.ravel(), everywhere.ravel())
    return everywhere, of_all, gain, single, filtered, outside


@njit(cache=True)
def _every_other(values):
    """Every other cell either way."""
    out = np.empty(((values.shape[0] + 1) // 2, (values.shape[1] + 1) // 2), values.dtype)
    flat, given = out.ravel(), values.ravel()
    for j in range(out.shape[0]):
        own, there = _at(j * out.shape[1]), _at(2 * j * values.shape[1])
        for i in range(out.shape[1]):
            flat[own + _at(i)] = given[there + _at(i) * _at(2)]
    return out


@njit(cache=True)
def _between(values, shape):
    """Values of all cells, linear between those of every other."""
    rows, columns = values.shape
    given = values.ravel()
    across = np.empty((rows, shape[1]), np.float32)
    flat, half = across.ravel(), np.float32(0.5)
    for j in range(rows):
        own, there, last = _at(j * shape[1]), _at(j * columns), _at(columns - 1)
        for i in range(columns):
            flat[own + _at(i) * _at(2)] = given[there + _at(i)]
        for i in range(shape[1] // 2):
            following = given[there + min(_at(i) + _at(1), last)]
            flat[own + _at(i) * _at(2) + _at(1)] = half * (given[there + _at(i)] + following)
    out = np.empty(shape, np.float32)
    every = out.ravel()
    for j in range(shape[0]):
        own, one = _at(j * shape[1]), _at(j // 2 * shape[1])
        other = _at(min((j + 1) // 2, rows - 1) * shape[1])
        for i in range(shape[1]):
            every[own + _at(i)] = half * (flat[one + _at(i)] + flat[other + _at(i)])
    return out


@njit(cache=True)
def _at_tiles(of_tile, tile):
    """What each cell has of its tile."""
    out = np.empty(tile.shape, np.float32)
    flat, tiles, given = out.ravel(), tile.ravel(), of_tile.astype(np.float32)
    for i in range(flat.size):
        flat[i] = given[_at(tiles[i])]
    return out


@njit(cache=True)
def _add(filtered, above, local):
    """Turn the background in the frames, `local`, into that of the filtered pattern."""
    for i in range(local.size):
        local[i] += filtered[i] - above[i]


@njit(cache=True)
def _ceiling(local, variance, factor, together, ceiling):
    """Most that counts for the background: what noise reaches, or a few electrons together."""
    clip, more = np.float32(CLIP * math.sqrt(factor)), np.float32(together)
    level, scatter, most = local.ravel(), variance.ravel(), ceiling.ravel()
    for i in range(most.size):
        most[i] = level[i] + clip * np.sqrt(scatter[i]) + more


@njit(cache=True)
def _filter(rows, taps, weight):
    """Normalised separable Gaussian at every step-th pixel; masked pixels are 0 in `rows`.

    The columns are sorted by their place within a step as the rows are. Some rows are finished at a
    time, for the cache's sake.
    """
    step, height, pitch = rows.shape
    cells, columns = weight.shape
    around, per_row = (height - cells) // 2, pitch // step
    down, total = np.empty(_ROWS * pitch, np.float32), np.empty(_ROWS * per_row, np.float32)
    length = total.size + per_row
    places = np.zeros((step, length), np.float32)
    fours = (taps.size + 3) // 4
    tap = np.zeros(4 * fours, np.float32)
    from_row, from_column = np.empty(4 * fours, np.int64), np.empty(4 * fours, np.int64)
    for k in range(4 * fours):
        off = min(k, taps.size - 1)
        from_column[k] = off % step * length + off // step
        off -= taps.size // 2
        from_row[k] = (off % step * height + around + off // step) * pitch
        if k < taps.size:
            tap[k] = taps[k]
    out = np.empty(weight.shape, np.float32)
    flat, weights, given = out.ravel(), weight.ravel(), rows.ravel()
    for first in range(0, cells, _ROWS):
        number = min(_ROWS, cells - first)
        own_down, own_total = down[: number * pitch], total[: number * per_row]
        own_down[:], own_total[:] = 0, 0
        for four in range(0, 4 * fours, 4):
            _add_four(given[first * pitch :], from_row[four:], tap[four:], own_down)
        _split(own_down, places)
        for four in range(0, 4 * fours, 4):
            _add_four(places.ravel(), from_column[four:], tap[four:], own_total)
        for j in range(number):
            here, there = _at((first + j) * columns), _at(j * per_row)
            for i in range(columns):
                flat[here + _at(i)] = own_total[there + _at(i)] * weights[here + _at(i)]
    return out


@njit(cache=True)
def _split(values, places):
    """Sort values by their place within a step."""
    step = places.shape[0]
    if step == 2:  # a number that the compiler knows gives vector instructions
        one, other = places[0], places[1]
        for i in range(values.size // 2):
            one[i], other[i] = values[_at(2) * _at(i)], values[_at(2) * _at(i) + _at(1)]
        return
    for place in range(step):
        of_place = places[place]
        for i in range(values.size // step):
            of_place[i] = values[_at(i) * _at(step) + _at(place)]


@njit(cache=True)
def _add_four(values, at, tap, out):
    """Add four parts of `values`, which begin at four places, each times its tap."""
    a, b, c, d = values[at[0] :], values[at[1] :], values[at[2] :], values[at[3] :]
    w, x, y, z = tap[0], tap[1], tap[2], tap[3]
    for i in range(out.size):
        out[i] += (w * a[i] + x * b[i]) + (y * c[i] + z * d[i])


@njit(cache=True)
def _on_grid(rows, reach, shape):
    """Pixels of the grid, and those beside them to the right."""
    step, height, pitch = rows.shape
    here, beside = np.empty(shape, np.float32), np.empty(shape, np.float32)
    flat, one, other = rows.ravel(), here.ravel(), beside.ravel()
    for j in range(shape[0]):
        own, pixel = _at(j * shape[1]), _at(((height - shape[0]) // 2 + j) * pitch + reach)
        if step == 2:  # a number that the compiler knows gives vector instructions
            for i in range(shape[1]):
                from_pixel = pixel + _at(i) * _at(2)
                a, b = flat[from_pixel], flat[from_pixel + _at(1)]
                one[own + _at(i)], other[own + _at(i)] = a, b
            continue
        for i in range(shape[1]):
            from_pixel = pixel + _at(i) * _at(step)
            one[own + _at(i)] = flat[from_pixel]
            other[own + _at(i)] = flat[from_pixel + _at(1)]
    return here, beside


@njit(cache=True)
def _rings(weight, cy, cx, metric, step, beam_radius, sigma):
    """Ring as a real number, quarter of a wide ring, and validity outside the beam of each cell;
    and how many rings and quarters there may be.

    Rings are half a step wide, a pixel at least; see `background_and_noise` for `metric`.
    """
    radius = np.empty(weight.shape, np.float32)
    tile = np.empty(weight.shape, np.int32)
    outside = np.empty(weight.shape, np.bool_)
    inverse = np.float32(1 / max(1.0, 0.5 * step))
    inverse_tile = np.float32(1 / (TILE * sigma))
    beam_radius = np.float32(beam_radius)
    across = (np.arange(weight.shape[1]) * step - cx).astype(np.float32)
    right = (across > 0).astype(np.int32)
    yy, yx, xx = np.float32(metric[0]), np.float32(2 * metric[1]), np.float32(metric[2])
    for j in range(weight.shape[0]):
        dy = np.float32(j * step - cy)
        along, askew = yy * dy * dy, yx * dy
        lower = np.int32(2 if dy > 0 else 0)
        for i in range(weight.shape[1]):
            r = np.sqrt(along + (askew + xx * across[i]) * across[i])
            radius[j, i] = r * inverse
            tile[j, i] = 4 * np.int32(r * inverse_tile) + lower + right[i]
            outside[j, i] = (r >= beam_radius) & (weight[j, i] > 0)
    far_y = max(cy, (weight.shape[0] - 1) * step - cy)
    far_x = max(cx, (weight.shape[1] - 1) * step - cx)
    # At most the corner's distance; and a little, against rounding.
    farthest = 1e-3 + math.sqrt(yy * far_y**2 + abs(yx) * far_y * far_x + xx * far_x**2)
    return (
        radius, tile, outside, int(farthest * inverse) + 2, 4 * (int(farthest * inverse_tile) + 1)
    )  # fmt: skip


@njit(cache=True)
def _ring_medians(filtered, radius, outside, bins):
    """Median of the filtered pattern in each ring, smoothed."""
    flat, cells, chosen = filtered.ravel(), radius.ravel(), outside.ravel()
    part = np.empty(flat.size, np.int32)
    for i in range(flat.size):
        # The last ring is for the cells of none. Each has parts, for neighbours would wait for each
        # other's place.
        ring = np.int32(cells[i]) if chosen[i] else np.int32(bins)
        part[i] = ring * np.int32(_PARTS) + np.int32(i % _PARTS)
    fill = np.zeros(_PARTS * (bins + 1), np.int32)
    for i in range(flat.size):
        fill[_at(part[i])] += 1
    # Each ring begins at a multiple of _LANES, and infinite numbers fill it up.
    start, number = np.zeros(bins + 2, np.int32), np.empty(bins + 1, np.int32)
    for b in range(bins + 1):
        end = start[b]
        for k in range(_PARTS * b, _PARTS * (b + 1)):
            amount = fill[k]
            fill[k] = end
            end += amount
        number[b] = end - start[b]
        start[b + 1] = start[b] + (number[b] + _LANES - 1) // _LANES * _LANES
    values = np.full(start[bins + 1], np.float32(np.inf))
    for i in range(flat.size):
        k = _at(part[i])
        values[_at(fill[k])] = flat[i]
        fill[k] += 1
    return smooth_outwards(_medians(values, start, number[:bins]), number[:bins].astype(np.float64))


@njit(cache=True)
def _medians(values, start, number):
    """Upper median of each group, of `number` from `start` on, infinite ones after them up to the
    next; 0 of nothing.

    All are sought at once, as `_select` does: a processor counts in one group while it waits for
    another's number.
    """
    groups = number.size
    # Of each group the bracket's ends, and how many values are up to them.
    edge, upto = np.zeros(2 * groups, np.float32), np.zeros(2 * groups, np.int32)
    _ranges(values, start, edge)
    middle, counted = np.empty(groups, np.float32), np.empty(groups, np.int32)
    active, n = np.empty(groups + 1, np.int32), 0
    for b in range(groups):
        upto[2 * b] = _count(values, start[b], start[b + 1], edge[2 * b])
        upto[2 * b + 1] = number[b]
        active[n] = b
        n += (upto[2 * b] <= number[b] // 2) & (number[b] - upto[2 * b] > 1)
    uniform, half = np.float32(1), np.float32(0.5)
    while n > 0:
        for a in range(n):
            b, own = active[a], _at(2 * active[a])
            below, left = upto[own], upto[own + _at(1)] - upto[own]
            share = (np.float32(number[b] // 2 - below) + half) / np.float32(left)
            share = half + uniform * (share - half)
            middle[a] = edge[own] + share * (edge[own + _at(1)] - edge[own])
        for a in range(n):
            b = active[a]
            counted[a] = _count(values, start[b], start[b + 1], middle[a])
        last, n = n, 0
        # Without a branch, which none could foresee.
        for a in range(last):
            b, own = active[a], _at(2 * active[a])
            low, high, below, above = edge[own], edge[own + _at(1)], upto[own], upto[own + _at(1)]
            more = counted[a] > number[b] // 2
            edge[own + _at(more)], upto[own + _at(more)] = middle[a], counted[a]
            left = counted[a] - below if more else above - counted[a]
            active[n] = b
            # Where nothing lies between the ends all that are left are equal.
            n += (left > 1) & ((low < middle[a]) & (middle[a] < high) | (uniform > 0))
        uniform = np.float32(1) - uniform
    out = np.zeros(groups)
    for b in range(groups):
        own = 2 * b
        if number[b] > 0 and upto[own] > number[b] // 2:
            out[b] = edge[own]
        elif upto[own + 1] - upto[own] == 1:
            out[b] = _sum_between(values, start[b], start[b + 1], edge[own], edge[own + 1])
        elif number[b] > 0:
            out[b] = edge[own + 1]
    return out


@njit(cache=True)
def _ranges(values, start, edge):
    """Fill the smallest of each group, and the largest that is finite, in turn."""
    # Floats are in the order of their bits as integers, the negative ones in the reverse.
    bits, keys = values.view(np.int32), edge.view(np.int32)
    for b in range(start.size - 2):
        if start[b] < start[b + 1]:
            keys[2 * b], keys[2 * b + 1] = _range(bits[start[b] : start[b + 1]])
    for k in range(keys.size):
        keys[k] ^= (keys[k] >> np.int32(31)) & _MAGNITUDE


@njit(cache=True)
def _range(bits):
    """The same of some numbers' bits, as integers in the numbers' order."""
    least, low, high = ~_MAGNITUDE, _MAGNITUDE, ~_MAGNITUDE
    for i in range(bits.size):
        key = bits[i] ^ ((bits[i] >> np.int32(31)) & _MAGNITUDE)
        low = min(low, key)
        high = max(high, key if key < _INFINITE else least)
    return low, high


@njit(cache=True, error_model="numpy")
def smooth_outwards(raw, samples):
    """Weighted parabola through neighbouring rings, a line where cells are few; NaN-free.

    A line would cut off the crest of a liquid's ring, and leave there what looks like spots.
    """
    bins = raw.size
    level, before = np.empty(bins), np.zeros(bins + 1)
    for b in range(bins):
        before[b + 1] = before[b] + samples[b]
    last = 0.0
    first = -1
    for b in range(bins):
        half = min(b // 6, _SMOOTH)
        while half < b // 6 and before[min(b + half + 1, bins)] - before[b - half] < _SMOOTH_CELLS:
            half += 1
        s0, s1, s2, s3, s4, t0, t1, t2 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for c in range(b - half, min(b + half + 1, bins)):
            w, x = samples[c], float(c - b)
            wx, wr = w * x, w * raw[c]
            wx2, wrx = wx * x, wr * x
            s0 += w
            s1 += wx
            s2 += wx2
            s3 += wx2 * x
            s4 += wx2 * x * x
            t0 += wr
            t1 += wrx
            t2 += wrx * x
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
def _select(values, k, guess, reach):
    """k-th smallest of some values, after which infinite ones fill up a multiple of _LANES; sought
    from a guess on, at first `reach` away, which is above 0.

    Brackets it by counts of the values below, which are vectorised: where it would be if they were
    uniform within the bracket, and in the bracket's middle, in turn.
    """
    low = high = np.float32(guess)
    step, most = np.float32(max(reach, _LEAST_REACH)), np.float32(np.inf)
    # What is no number is on no side of an end: then it runs to infinity, and stays there.
    below = upto = _count(values, 0, values.size, low)
    while below > k and low > -most:
        high, upto = low, below
        low -= step
        step *= np.float32(2)
        below = _count(values, 0, values.size, low)
    while upto <= k and high < most:
        low, below = high, upto
        high += step
        step *= np.float32(2)
        upto = _count(values, 0, values.size, high)
    uniform = True
    while upto - below > 1:
        middle = np.float32(0.5) * (low + high)
        if uniform:
            share = (np.float32(k - below) + np.float32(0.5)) / np.float32(upto - below)
            at = low + share * (high - low)
            middle = at if low < at < high else middle
        if not low < middle < high:
            return float(high)
        number = _count(values, 0, values.size, middle)
        if number > k:
            high, upto = middle, number
        else:
            low, below = middle, number
        uniform = not uniform
    return float(_sum_between(values, 0, values.size, low, high))


@njit(cache=True)
def _median(values, number):
    """The upper median of the first ones; what follows, _LANES at least, is lost."""
    whole = (number + _LANES - 1) // _LANES * _LANES
    values[number:whole] = np.inf
    guess = float(values[0])
    return _select(values[:whole], number // 2, guess, 0.5 * abs(guess))


@njit(cache=True, fastmath=_EXACT)
def _count(values, first, last, most):
    """Number of values from the first to before the last up to `most`; exact up to 2^24."""
    number, start = np.float32(0), _at(first)
    for i in range(last - first):
        number += np.float32(1) if values[start + _at(i)] <= most else np.float32(0)
    return int(number)


@njit(cache=True, fastmath=_EXACT)
def _sum_between(values, first, last, low, high):
    """The one value above `low` and up to `high` of those, as a sum."""
    total, start = np.float32(0), _at(first)
    for i in range(last - first):
        value = values[start + _at(i)]
        total += value if (value > low) & (value <= high) else np.float32(0)
    return total


@njit(cache=True)
def _above_rings(filtered, radius, outside, level):
    """Filtered pattern less the ring level, by cubics between rings; 0 in the beam.

    The cubics have the slope between a ring's neighbours at each ring (Catmull and Rom, 1974).
    """
    last = level.size - 1
    table = np.empty((level.size, 4), np.float32)
    for b in range(level.size):
        p, q = level[max(b - 1, 0)], level[b]
        r, s = level[min(b + 1, last)], level[min(b + 2, last)]
        table[b, 0] = q
        table[b, 1] = 0.5 * (r - p)
        table[b, 2] = 0.5 * (2 * p - 5 * q + 4 * r - s)
        table[b, 3] = 0.5 * (3 * (q - r) + s - p)
    above = np.empty(filtered.shape, np.float32)
    out, flat, cells, chosen = above.ravel(), filtered.ravel(), radius.ravel(), outside.ravel()
    # Each cell's cubic is copied first, four numbers at once, so that what follows is vectorised.
    cubic, given = np.empty(4 * out.size, np.float32), table.ravel()
    for i in range(out.size):
        own = _at(i) * _at(4)
        of = _at(np.uint32(max(cells[i] - np.float32(0.5), np.float32(0)))) * _at(4)
        p, q, r, s = given[of], given[of + _at(1)], given[of + _at(2)], given[of + _at(3)]
        cubic[own], cubic[own + _at(1)] = p, q
        cubic[own + _at(2)], cubic[own + _at(3)] = r, s
    for i in range(out.size):
        at = max(cells[i] - np.float32(0.5), np.float32(0))
        t, own = at - np.float32(np.uint32(at)), _at(i) * _at(4)
        curved = cubic[own + _at(2)] + t * cubic[own + _at(3)]
        value = flat[i] - (cubic[own] + t * (cubic[own + _at(1)] + t * curved))
        out[i] = value if chosen[i] else np.float32(0)
    return above


@njit(cache=True)
def _median_absolute(above, local, chosen):
    """Median distance of `above` from `local` over chosen cells."""
    absolute = np.empty(above.size + _LANES, np.float32)
    high, level, used, n = above.ravel(), local.ravel(), chosen.ravel(), 0
    for i in range(high.size):
        absolute[_at(n)] = abs(high[i] - level[i])
        n += used[i]
    return _median(absolute, n) if n > 0 else 0.0


@njit(cache=True)
def _sparse_unit(rows, valid, reach, cy, cx, beam_radius):
    """Median of the nonzero pixels where most pixels are zero (single electrons), else 0."""
    found, used, step = 0, 0, rows.shape[0]
    for y in range(0, valid.shape[0], step):
        row = _row(rows, y, reach, valid.shape[1])
        counts = _nonzero(row, valid[y], (y - cy) ** 2 - beam_radius**2, cx)
        found += counts[0]
        used += counts[1]
        if 2 * found > valid.size // step + valid.shape[1]:
            return 0.0  # whatever the other rows hold
    if found == 0 or 2 * found > used:
        return 0.0
    nonzero = np.empty(found + _LANES, np.float32)
    found = 0
    for y in range(0, valid.shape[0], step):
        row = _row(rows, y, reach, valid.shape[1])
        for x in range(row.size):
            far = (y - cy) ** 2 + (x - cx) ** 2 >= beam_radius**2
            if far and valid[y, x] and row[x] != 0:
                nonzero[found] = row[x]
                found += 1
    return max(_median(nonzero, found), 0.0)


@njit(cache=True)
def _of_scatter(rows, reach, above, ceiling, outside):
    """Counts per electron that the pixels' scatter shows where nothing stands out, and the size of
    an electron that their skewness does, larger where electrons differ; 0 without any.

    These are the second cumulant over the first and the third over the second. The median of pixels
    that are not 0 says too little where read noise makes more of them. Of every cell there are all
    pixels of a row, up to the next cell.
    """
    step, height, _ = rows.shape
    first = (height + 1 - 2 * above.shape[0]) // 2
    total, squares, cubes, number = 0.0, 0.0, 0.0, 0
    for j in range(above.shape[0]):
        for i in range(above.shape[1]):
            if outside[j, i] and above[j, i] < ceiling[j, i]:
                begin = reach + 2 * i * step
                for x in range(begin, min(begin + 2 * step, rows.shape[2] - reach)):
                    value = np.float64(rows[0, first + 2 * j, x])
                    total += value
                    squares += value**2
                    cubes += value**3
                    number += 1
    if total <= 0:
        return 0.0, 0.0
    mean, square, cube = total / number, squares / number, cubes / number
    variance = square - mean**2
    third = cube - 3 * mean * square + 2 * mean**3
    return variance / mean, third / variance if variance > 0 else 0.0


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
    inner = int(FRAME_INNER * sigma / step + 0.5)
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


@njit(cache=True, error_model="numpy")
def _frame_mean(values, ceiling, outside, inner, outer, mean):
    """Mean over a square frame around each cell of the values below `ceiling`; 0 without any."""
    ny, nx = values.shape
    # The values used, then their number, both between zeros: right of a row are those left of the
    # next one, too.
    pitch = nx + outer
    size = (ny + 2 * outer) * pitch + 2 * outer
    cells = np.zeros(2 * size, np.float32)
    given, most, chosen = values.ravel(), ceiling.ravel(), outside.ravel()
    for j in range(ny):
        own, value = _at(j * nx), _at((outer + j) * pitch + outer)
        number = value + _at(size)
        for i in range(nx):
            used = chosen[own + _at(i)] & (given[own + _at(i)] < most[own + _at(i)])
            cells[value + _at(i)] = given[own + _at(i)] if used else np.float32(0)
        for i in range(nx):
            used = chosen[own + _at(i)] & (given[own + _at(i)] < most[own + _at(i)])
            cells[number + _at(i)] = np.float32(1) if used else np.float32(0)
    whole = _box(_box(cells, pitch, 2 * outer + 1), 1, 2 * outer + 1)
    edge = outer - inner
    hole = _box(_box(cells[edge * pitch :], pitch, 2 * inner + 1)[edge:], 1, 2 * inner + 1)
    # Both at once, rows and what is between them: numbers come `size` after the values.
    for i in range(ny * pitch):
        number = whole[_at(i) + _at(size)] - hole[_at(i) + _at(size)]
        whole[i] = (whole[i] - hole[i]) / max(number, np.float32(1))
    out = mean.ravel()
    for j in range(ny):
        own, framed = _at(j * nx), _at(j * pitch)
        for i in range(nx):
            out[own + _at(i)] = whole[framed + _at(i)]


@njit(cache=True)
def _box(values, stride, width):
    """Sums of `width` values a stride apart, from each on: of ones, of sums of 4, of 16, ..."""
    total = np.zeros(values.size - (width - 1) * stride, np.float32)
    _add_some(values, stride, width % 4, total)
    done, apart, width = width % 4, stride, width // 4
    while width > 0:
        summed = np.empty(values.size - 3 * apart, np.float32)
        _sum_four(values, values[apart:], values[2 * apart :], values[3 * apart :], summed)
        values, apart = summed, 4 * apart
        _add_some(values[done * stride :], apart, width % 4, total)
        done, width = done + width % 4 * (apart // stride), width // 4
    return total


@njit(cache=True)
def _add_some(values, stride, number, out):
    for k in range(number):
        part = values[k * stride :]
        for i in range(out.size):
            out[i] += part[i]


@njit(cache=True)
def _sum_four(one, two, three, four, out):
    for i in range(out.size):
        out[i] = (one[i] + two[i]) + (three[i] + four[i])


@njit(cache=True)
def _noise(here, beside, filtered, above, local, tile, tiles, outside, paired, away, taps):
    """Variance of the filtered pattern in each tile if pixels were independent, counts per
    electron, and single electrons. `away`: standard deviation of `above` from `local`.

    The gain is the slope of the pixels' variance against their mean, 0 if it does not rise.
    """
    shared = _shared(taps)
    centre = taps[taps.size // 2] ** 2
    squares, change, grey, mean, samples, single = _tile_scatter(
        here, beside, filtered, above, local, tile, tiles, outside, paired, away, taps
    )
    pixel = squares / (1 - 2 * centre + shared)
    of_tile = np.empty(tiles)
    for one in range(tiles):
        of_tile[one] = shared * pixel[one] + _rounding(grey[one], change[one])
    return of_tile, _slope(mean, pixel, samples), single


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
    floor, number = 0.0, 0
    for j in range(filtered.shape[0]):
        for i in range(filtered.shape[1]):
            variance[j, i] = filtered[j, i] - above[j, i] + local[j, i]
            floor += variance[j, i] if outside[j, i] else 0.0
            number += outside[j, i]
    floor *= 0.25 / max(number, 1)
    scale = unit * _shared(taps)
    for j in range(filtered.shape[0]):
        for i in range(filtered.shape[1]):
            variance[j, i] = scale * max(variance[j, i], floor)


@njit(cache=True)
def _tile_scatter(here, beside, filtered, above, local, tile, tiles, outside, paired, away, taps):
    """Per quarter of a ring, away from spots: mean square distance of pixels from the filtered
    pattern, half that of neighbours from each other, the smallest grey step, mean, samples; and of
    all the single electrons."""
    peak = taps[taps.size // 2] ** 2
    limit, spike = STANDS * away, SPIKE * away / peak
    # Where most of a pattern is one grey, the few pixels off by a step are the noise.
    together = np.float32(STEPS_TOGETHER * peak)
    of_steps = together * _smallest_step(here, beside, outside, paired, limit / together)
    limit, spike = max(limit, of_steps), max(spike, of_steps / peak)
    parts, cube = np.empty(4 * here.size, np.float32), np.empty(here.size, np.float32)
    change, fourth = np.empty(here.size, np.float32), np.empty(here.size, np.float32)
    _fill_parts(
        here.ravel(), beside.ravel(), filtered.ravel(), above.ravel(), local.ravel(),
        outside.ravel(), paired.ravel(), np.float32(limit), np.float32(peak), np.float32(spike),
        parts, cube, fourth, change,
    )  # fmt: skip
    sums, least = _sums_of_tiles(parts, change, tile.ravel(), tiles)
    total, change_of, mean = sums[:, 0].copy(), sums[:, 1].copy(), sums[:, 2].copy()
    pairs, samples, grey = np.empty(tiles), np.empty(tiles), np.zeros(tiles)
    for one in range(tiles):
        ring = one // 4
        pairs[one] = math.floor(sums[one, 3] / _PAIR)
        samples[one] = sums[one, 3] - _PAIR * pairs[one]
        smallest = min(least[max(ring - 1, 0)], least[ring])
        smallest = min(smallest, least[min(ring + 1, least.size - 1)])
        if smallest < np.inf:
            grey[one] = smallest
        mean[one] /= max(samples[one], 1.0)
    squares = _leaning(total, samples, LEAN)
    size, steady, fewest, excess = _electrons(
        squares, samples, _folded(cube), _folded(fourth), taps
    )
    if fewest > 0:
        # Few electrons say less of the variance than as many samples of Gaussian noise do.
        squares = _leaning(total, samples, LEAN * (1 + 0.5 * excess))
    return squares, _leaning(change_of, pairs, LEAN), grey, mean, samples, (size, steady, fewest)


@njit(cache=True)
def _electrons(squares, samples, cubes, fourths, taps):
    """Counts of one electron, the variance of a pixel that is not electrons', the fewest electrons
    in a pixel anywhere, and the excess of fourth powers, in squared variances.

    Noise is a Poisson number of electrons and Gaussian noise beside them, with the second, third
    and fourth cumulants of the pixels' distances from the filtered pattern, which hold less of a
    pixel than it has: (1 - w0)^k less or plus the powers of all other weights w. Where the fourth
    shows nothing that the third does not tell there is no Gaussian noise, and the electron is as
    large as the third wants it.

    squares: mean squares of tiles; cubes, fourths: sums over all samples.
    """
    centre, two, three, four = taps[taps.size // 2] ** 2, 0.0, 0.0, 0.0
    for tap in taps:
        two += tap**2
        three += tap**3
        four += tap**4
    kept_two = (1 - centre) ** 2 + two**2 - centre**2
    kept_three = (1 - centre) ** 3 - three**2 + centre**3
    kept_four = (1 - centre) ** 4 + four**2 - centre**4
    number, second, of_noise, error = 0.0, 0.0, 0.0, 0.0
    for one in range(squares.size):
        number += samples[one]
        second += samples[one] * squares[one]
        of_noise += 3 * samples[one] * squares[one] ** 2
        error += 24 * samples[one] * squares[one] ** 4
    if number == 0 or second <= 0:
        return 0.0, 0.0, 0.0, 0.0
    third, fourth = max(cubes, 0.0) / kept_three, (fourths - of_noise) / kept_four
    second /= kept_two
    beyond = fourth - third**2 / second
    if third <= 0 or beyond <= _KURTOTIC * math.sqrt(error) / kept_four:
        return third / second, 0.0, 0.0, 0.0
    size = fourth / third
    # What stands out by itself is a sharp spot rather.
    if size**2 * centre**2 * number > SPIKE**2 * two**2 * second:
        return third / second, 0.0, 0.0, 0.0
    fewest = _LEAST_SHARE * third / size**3 / number
    steady = (second - third / size) / number
    return size, max(steady, 0.0), fewest, fourth * number / second**2


@njit(cache=True)
def _fill_parts(here, beside, filtered, above, local, outside, paired, limit, peak, spike, parts,
                cube, fourth, change):  # fmt: skip
    """What each cell adds to its tile, 0 where it stands out by more than `limit`: the square of
    the pixel's distance from the filtered pattern, half of that from the pixel beside, the filtered
    pattern, and one, and _PAIR for a pixel beside. The third and fourth power of the distance, and
    the change if it is not 0, else infinite.

    A pixel has no say in whether its cell stands out, which its neighbours tell: without large
    electrons the noise would be too small. But one that stands out by `spike` does by itself.
    `peak`: the filter's weight of the pixel itself."""
    # Small loops over few arrays each, so that the compiler turns them into vector instructions.
    n, nothing, one, half, pair = (
        cube.size, np.float32(0), np.float32(1), np.float32(0.5), np.float32(_PAIR)
    )  # fmt: skip
    used = np.empty(n, np.float32)
    for i in range(n):
        stands = above[i] - local[i]
        away = here[i] - filtered[i]
        without = stands - peak * (away + stands)
        used[i] = one if outside[i] & (without < limit) & (away < spike) else nothing
    for i in range(n):
        change[i] = used[i] * paired[i] * abs(here[i] - beside[i])
    for i in range(n):
        away = used[i] * (here[i] - filtered[i])
        cube[i] = away * away * away
        fourth[i] = away * away * away * away
    for i in range(n):
        own = _at(i) * _at(4)
        away = used[i] * (here[i] - filtered[i])
        parts[own] = away * away
        parts[own + _at(1)] = half * change[i] * change[i]
        parts[own + _at(2)] = used[i] * filtered[i]
        parts[own + _at(3)] = used[i] + pair * used[i] * paired[i]
    for i in range(n):
        change[i] = change[i] if change[i] > nothing else np.float32(np.inf)


@njit(cache=True)
def _sums_of_tiles(parts, change, tile, tiles):
    """Sums (tiles, 4) of the cells' parts (cells * 4), and the smallest change in each ring of
    tiles."""
    # Each of _APART columns has its own sums: neighbours would wait for each other's.
    apart = np.zeros((_APART, 4 * tiles), np.float32)
    flat = apart.ravel()
    for i in range(change.size):
        into, own = _at(4 * (i % _APART * tiles + tile[i])), _at(i) * _at(4)
        # All are read before any is written, so that the compiler makes one of the four.
        a, b, c, d = parts[own], parts[own + _at(1)], parts[own + _at(2)], parts[own + _at(3)]
        p, q = flat[into], flat[into + _at(1)]
        r, s = flat[into + _at(2)], flat[into + _at(3)]
        flat[into], flat[into + _at(1)] = p + a, q + b
        flat[into + _at(2)], flat[into + _at(3)] = r + c, s + d
    smallest = np.full(tiles // 4, np.float32(np.inf))
    for i in range(change.size):
        # Seldom so, once some were looked at.
        if change[i] < smallest[_at(tile[i] >> 2)]:
            smallest[_at(tile[i] >> 2)] = change[i]
    sums = np.zeros(4 * tiles)
    for part in range(_APART):
        of_part = apart[part]
        for k in range(sums.size):
            sums[k] += of_part[k]
    return sums.reshape(tiles, 4), smallest.astype(np.float64)


@njit(cache=True)
def _folded(values):
    """Sum of all, by halves that are added to each other; the values are lost."""
    n = values.size
    while n > 1:
        half = (n + 1) // 2
        upper = values[half:n]
        for i in range(upper.size):
            values[i] += upper[i]
        n = half
    return float(values[0])


@njit(cache=True)
def _smallest_step(here, beside, outside, paired, least):
    """Smallest change other than 0 from a pixel of the grid to the one beside it, or the first that
    is not above `least`; 0 without any."""
    smallest = np.inf
    for j in range(outside.shape[0]):
        for i in range(outside.shape[1]):
            change = paired[j, i] * abs(here[j, i] - beside[j, i])
            if outside[j, i] and 0 < change < smallest:
                smallest = change
                if change <= least:
                    return smallest
    return smallest if smallest < np.inf else 0.0


@njit(cache=True)
def _leaning(total, samples, weight):
    """Mean in each tile, leaning on the same ring and the next ones, which weigh some samples, so
    that a tile of few is not left alone."""
    mean = np.empty(total.size)
    whole, number = _sums_within(total, samples, 0, total.size)
    overall = whole / max(number, 1.0)
    for first in range(0, total.size, 4):
        near, number = _sums_within(total, samples, max(first - 4, 0), min(first + 8, total.size))
        # All others are as many as the samples that are wanted beyond the usual.
        more = max(weight - LEAN, 0.0)
        lean = weight * ((near + more * overall) / (number + more) if number > 0 else overall)
        for k in range(first, first + 4):
            mean[k] = (total[k] + lean) / (samples[k] + weight)
    return mean


@njit(cache=True)
def _sums_within(total, samples, first, last):
    one, other = 0.0, 0.0
    for k in range(first, last):
        one += total[k]
        other += samples[k]
    return one, other


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

    From the cells below the background: those above hold weak spots too.
    """
    below = np.empty(above.size + _LANES, np.float32)
    high, level, scatter, used, n = (
        above.ravel(), local.ravel(), variance.ravel(), outside.ravel(), 0
    )  # fmt: skip
    for i in range(above.size):
        # Written always and kept or not: half the cells qualify, which no branch foresees.
        depth = level[i] - high[i]
        below[n] = depth * depth / scatter[i]
        n += (depth > 0) & used[i] & (scatter[i] > 0)
    if n == 0:
        return 1.0
    return max(1.0, MAD**2 * _median(below, n))


@njit(cache=True)
def _structure_of_rings(above, local, variance, tile, outside, factor, of_tile):
    """Multiply the tiles' variance by the same of each ring of quarters, 1 or more, leaning on that
    of the pattern, `factor`.

    Grey steps and a saturated camera make noise that differs from ring to ring.
    """
    scatter, flat, nothing = variance.ravel(), tile.ravel(), np.float32(0)
    share = np.empty(scatter.size, np.float32)
    # A shadow that is not masked is no noise.
    _depths(above.ravel(), local.ravel(), scatter, outside.ravel(), np.float32(SHADOW * factor),
            share)  # fmt: skip
    rings = of_tile.size // 4
    squares, samples = np.zeros(_APART * rings), np.zeros(_APART * rings)
    for i in range(share.size):
        own, below = _at(i % _APART * rings + (flat[i] >> 2)), share[i] >= nothing
        squares[own] += share[i] if below else nothing
        samples[own] += below
    for ring in range(rings):
        total, number = LEAN * factor, float(LEAN)
        for own in range(ring, squares.size, rings):
            total += squares[own]
            number += samples[own]
        for one in range(4 * ring, 4 * ring + 4):
            of_tile[one] *= max(total / number, 1.0)


@njit(cache=True, error_model="numpy")
def _depths(above, local, variance, outside, most, share):
    """Squared depth below the background over the variance, at most `most`; -1 for what is not
    below."""
    for i in range(share.size):
        depth = local[i] - above[i]
        square = min(depth * depth / variance[i], most)
        share[i] = square if outside[i] & (depth > 0) & (variance[i] > 0) else np.float32(-1)


@njit(cache=True)
def significance_of(height, variance, single, area):
    """Standard deviations that `height` stands above the background.

    Each pixel's background is taken for a Poisson number of electrons and Gaussian noise, shifted,
    with `single` as `_electrons` tells it and a variance of variance * area; `area` is 4 pi sigma^2
    of the filter. The cumulants of the filter's response are then known, and the signed root of the
    saddlepoint exponent, 2 (t H - K(t)) with K'(t) = H, has nearly Gaussian tails (Daniels, Ann.
    Math. Stat. 25, 631, 1954), however few the electrons.
    """
    if variance <= 0:
        return 0.0
    plain = height / math.sqrt(variance)
    size, steady, fewest = single
    if size <= 0 or plain <= 0:
        return plain
    # In a pixel: electrons, and the variance of the rest, in squared electrons.
    whole = variance * area / size**2
    electrons = min(max(whole - steady / size**2, fewest), whole)
    rest, excess = whole - electrons, height / size
    if electrons <= 0 or whole * area > _GAUSSIAN_ABOVE:
        return plain
    # K(t) = area / 2 (electrons sum_k tau^k / (k k!) + rest tau^2 / 4), tau = t times the filter's
    # peak. K' rises and is convex: Newton's steps from above stay there.
    tau = 2 * excess / whole
    tau = min(tau, 1 + 1.5 * math.log1p(excess / electrons))
    for _ in range(50):
        value = electrons * (math.expm1(tau) / tau - 1) + 0.5 * rest * tau - excess
        slope = electrons * (math.exp(tau) * (tau - 1) + 1) / tau**2 + 0.5 * rest
        move = value / slope
        tau = max(tau - move, 0.1 * tau)
        if abs(move) < 1e-9 * tau:
            break
    series, term = 0.0, 1.0
    for k in range(1, 400):
        term *= tau / k
        series += term / k
        if k > tau and term < 1e-12 * series:
            break
    exponent = tau * (electrons + excess) - electrons * series - 0.25 * rest * tau**2
    return math.sqrt(max(area * exponent, 0.0))


@njit(cache=True, inline="always")
def _collect(rows, filtered, background, variance, noise, gain, single, valid, outside, cy, cx,
             reach, threshold, beam_radius, spot_radius, table):  # fmt: skip
    sigma, step = 0.5 * spot_radius, rows.shape[0]
    area = math.pi * spot_radius**2  # 4 pi sigma^2, independent pixels under the filter
    nearest = (beam_radius + sigma) ** 2
    response = filtered - background
    room, work, every = patch_room(sigma), filter_room(sigma), _all_of(valid.ravel())
    found = 0
    for cell in _standing(response, variance, noise, outside, _CANDIDATE * threshold):
        j, i = cell // response.shape[1], cell % response.shape[1]
        y, x = j * step, i * step
        if (y - cy) ** 2 + (x - cx) ** 2 < nearest or not _is_maximum(response, j, i):
            continue
        local = float(variance[j, i] * noise[j, i])
        back, slope_y, slope_x = _plane(background, outside, j, i, step)
        whole = fill_patch(rows, valid, every, reach, y, x, back, slope_y, slope_x, room)
        down, across, height = locate(room, whole, sigma, work)
        py, px = y + down, x + across
        if not _inside(py, px, valid.shape, y, x, sigma, spot_radius):
            continue
        significance = significance_of(height, local, single, area)
        if significance < threshold:
            continue
        back += slope_y * down + slope_x * across
        intensity, error = _integrate(
            room, whole, down, across, back, spot_radius, local * area, gain
        )
        found = _keep(table, found, px, py, intensity, error, significance, spot_radius)
    return found


@njit(cache=True)
def _all_of(flags):
    number = np.int32(0)
    for i in range(flags.size):
        number += np.int32(flags[i])
    return number == flags.size


@njit(cache=True)
def _standing(response, variance, noise, outside, candidate):
    """Cells that stand out of their noise by `candidate` standard deviations, and have no higher
    neighbour or lie on the edge."""
    squared = np.float32(candidate**2)
    high, scatter, share, chosen = (
        response.ravel(), variance.ravel(), noise.ravel(), outside.ravel()
    )  # fmt: skip
    excess = np.empty(high.size, np.float32)
    for i in range(high.size):
        strong = high[i] * high[i] - squared * (scatter[i] * share[i])
        excess[i] = strong if chosen[i] & (high[i] > np.float32(0)) else np.float32(-1)
    # Cells with a higher neighbour are left out by rows; those on the edge come later.
    columns, rows = response.shape[1], response.shape[0]
    for j in range(1, rows - 1):
        own = j * columns + 1
        _drop_lower(high[own - columns - 1 :], high[own - 1 :], high[own + columns - 1 :],
                    excess[own : own + columns - 2])  # fmt: skip
    # Written always and counted or not, so that the loop needs no branch.
    cells, n = np.empty(high.size + 1, np.int32), 0
    for i in range(high.size):
        cells[_at(n)] = i
        n += excess[i] >= np.float32(0)
    return cells[:n]


@njit(cache=True)
def _drop_lower(up, here, down, excess):
    """Make negative what belongs to a cell with a higher neighbour, of three rows that begin one
    cell further left."""
    for i in range(excess.size):
        a, b, c = _at(i), _at(i) + _at(1), _at(i) + _at(2)
        most = max(max(max(up[a], up[b]), max(up[c], here[a])), here[c])
        most = max(most, max(max(down[a], down[b]), down[c]))
        excess[i] = excess[i] if here[b] >= most else np.float32(-1)


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
def patch_room(sigma):
    """Room for a spot's surroundings, to be filled by `fill_patch`: counts above the background,
    and 1 where a pixel can be used; right of them and below zeros, for `locate`."""
    half = math.ceil(REACH * sigma) + math.ceil(2 * sigma)
    return np.zeros((2, 2 * half + 4, 2 * half + 1 + _LANES), np.float32)


@njit(cache=True)
def fill_patch(rows, valid, every, reach, y, x, back, slope_y, slope_x, room):
    """Fill `room` with what lies about pixel (y, x), less a plane, 0 where nothing can be used;
    whether all can. If so, the ones are not filled in. `every`: all pixels of the camera can."""
    side, pitch, step = room.shape[1] - 3, room.shape[2], rows.shape[0]
    half, top = side // 2, max(y - side // 2, 0)
    place, line = top % step, (reach + step - 1) // step + top // step
    first, last = max(x - half, 0), min(x + half + 1, valid.shape[1])
    known, slope = 0, np.float32(slope_x)
    counts, usable, into = rows.ravel(), valid.ravel(), room.ravel()
    for v in range(top, min(y + half + 1, valid.shape[0])):
        row = _at((place * rows.shape[1] + line) * rows.shape[2] + reach + first)
        place, line = (place + 1, line) if place + 1 < step else (0, line + 1)
        own, to = _at(v * valid.shape[1] + first), _at((v - y + half) * pitch + first - x + half)
        flat = np.float32(back + slope_y * (v - y) + slope_x * (first - x))
        for k in range(np.int32(last - first)):
            into[to + _at(k)] = counts[row + _at(k)] - (flat + slope * np.float32(np.int32(k)))
        if every:
            known += last - first
            continue
        for k in range(last - first):
            known += usable[own + _at(k)]
    if known == side * side:
        return True
    for v in range(y - half, y + half + 1):
        inside = 0 <= v < valid.shape[0]
        for u in range(x - half, x + half + 1):
            one = inside and first <= u < last and valid[v, u]
            room[1, v - y + half, u - x + half] = 1.0 if one else 0.0
            room[0, v - y + half, u - x + half] *= room[1, v - y + half, u - x + half]
    return False


@njit(cache=True)
def locate(room, whole, sigma, work):
    """Place of a spot as wide as the filter, from the middle of a filled patch, by least squares,
    and the filter's response there.

    With the weights g of a Gaussian, and 1 or 0 for what can be used, m, these are least where
    (sum m c g)^2 / (sum m g^2) is largest: where the centroid of the counts c, weighted by g, is
    that of what can be used, weighted by g^2. Of a whole patch the second is the middle, and the
    place the maximum of the response. A centroid goes half the way to a spot, so steps are doubled.
    One that leaves the patch is not followed. `whole`: all of the patch can be used; `work`: see
    `filter_room`.
    """
    half, reach = (room.shape[1] - 3) // 2, math.ceil(REACH * sigma)
    width = 2 * reach + 1
    # Columns are summed up first, several at once, and past the filter's edge with weights of 0.
    down, arm, across = work[0], work[1], work[2]
    moment, of_columns, of_moments = work[3], work[4], work[5]
    counts, taps = room.ravel(), work[6]
    precision = 1 / sigma**2
    py, px, height = 0.0, 0.0, 0.0
    for _ in range(8):
        v0, u0 = round(py) - reach, round(px) - reach
        if max(abs(v0 + reach), abs(u0 + reach)) + reach > half:
            break
        weights = _gaussian(v0 + reach - py, precision, taps, reach, down, arm)
        weights *= _gaussian(u0 + reach - px, precision, taps, reach, across, moment)
        first = (half + v0) * room.shape[2] + half + u0
        _sum_columns(counts, first, room.shape[2], width, down, arm, of_columns, of_moments)
        total, sum_x, sum_y = _three_sums(of_columns, of_moments, across, moment)
        if total <= 0:
            return py, px, 0.0
        move_y, move_x = 2 * sum_y / total, 2 * sum_x / total
        if not whole:
            weights, squares, back_y, back_x = 0.0, 0.0, 0.0, 0.0
            for v in range(width):
                for u in range(width):
                    share = down[v] * across[u] * room[1, half + v0 + v, half + u0 + u]
                    weights += share
                    squares += share * down[v] * across[u]
                    back_y += share * arm[v] * across[u]
                    back_x += share * down[v] * moment[u]
            move_y -= 2 * back_y / squares
            move_x -= 2 * back_x / squares
        height = total / weights
        length = math.sqrt(move_y**2 + move_x**2)
        shorten = min(1.0, sigma / max(length, 1e-30))
        py += shorten * move_y
        px += shorten * move_x
        # The next step would be a third of it or less.
        if length < 0.01:
            break
    return py, px, height


@njit(cache=True)
def filter_room(sigma):
    """Room for `locate`: rows of the filter's weights and of sums, and the Gaussian of a spot in
    the middle of a pixel, with zeros after them."""
    reach = math.ceil(REACH * sigma)
    width = 2 * reach + 1
    room = np.zeros((7, (width + _LANES - 1) // _LANES * _LANES), np.float32)
    for k in range(width):
        room[6, k] = math.exp(-0.5 * ((k - reach) / sigma) ** 2)
    return room


@njit(cache=True)
def _sum_columns(counts, first, pitch, rows, down, arm, above, moments):
    """Fill sums down columns from `first` on with the weights `down`, and with the weights `arm`,
    of some rows and up to three more, whose weights are 0."""
    above[:] = 0.0
    moments[:] = 0.0
    for v in range(0, rows, 4):
        a = _at(first + v * pitch)
        b, c, d = a + _at(pitch), a + _at(2 * pitch), a + _at(3 * pitch)
        w0, w1, w2, w3 = down[v], down[v + 1], down[v + 2], down[v + 3]
        m0, m1, m2, m3 = arm[v], arm[v + 1], arm[v + 2], arm[v + 3]
        for u in range(above.size):
            p, q, r, s = (
                counts[a + _at(u)],
                counts[b + _at(u)],
                counts[c + _at(u)],
                counts[d + _at(u)],
            )
            above[u] += (w0 * p + w1 * q) + (w2 * r + w3 * s)
            moments[u] += (m0 * p + m1 * q) + (m2 * r + m3 * s)


@njit(cache=True)
def _three_sums(above, moments, across, arm):
    total, sum_x, sum_y = np.float32(0), np.float32(0), np.float32(0)
    for u in range(above.size):
        total += above[u] * across[u]
        sum_x += above[u] * arm[u]
        sum_y += moments[u] * across[u]
    return float(total), float(sum_x), float(sum_y)


@njit(cache=True)
def _gaussian(off, precision, taps, reach, out, moment):
    """Fill a Gaussian about the middle of 2 reach + 1 pixels less `off`, times a constant, and its
    products with the distance; return its sum. `precision` is 1 / sigma^2.

    exp(-(k + off)^2 / 2 sigma^2) is the one in the middle, `taps`, times exp(-off / sigma^2)^k.
    """
    growth = math.exp(-off * precision)
    shrink, upper, lower = 1 / growth, 1.0, 1.0
    middle, own = _at(reach), np.float32(off)
    out[middle] = taps[middle]
    moment[middle] = taps[middle] * own
    total = float(taps[middle])
    for k in range(1, reach + 1):
        upper *= growth
        lower *= shrink
        right, left = middle + _at(k), middle - _at(k)
        a, b = taps[right] * np.float32(upper), taps[left] * np.float32(lower)
        out[right], out[left] = a, b
        moment[right], moment[left] = a * (np.float32(k) + own), b * (own - np.float32(k))
        total += a + b
    return total


@njit(cache=True)
def _integrate(room, whole, down, across, back, spot_radius, pixel_variance, gain):
    """Counts above the background within 1.25 spot radii of a place in a filled patch, and their
    variance.

    The variance adds the background's noise, the error of its level in the frame, and the spot's
    own counting noise.
    """
    half, radius = (room.shape[1] - 3) // 2, 1.25 * spot_radius
    reach = math.ceil(radius)
    total, pixels = 0.0, 0.0
    for v in range(round(down) - reach, round(down) + reach + 1):
        rest = radius**2 - (v - down) ** 2
        for u in range(round(across) - reach, round(across) + reach + 1):
            if (u - across) ** 2 <= rest:
                total += room[0, v + half, u + half]
                pixels += 1.0 if whole else room[1, v + half, u + half]
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
            # Number by number: an array into part of one would have numba compile the words of
            # its errors.
            for part in range(5):
                table[kept, part] = table[k, part]
            kept += 1
    if kept == table.shape[0]:
        weakest = np.argmin(table[:kept, 4])
        if table[weakest, 4] >= significance:
            return kept
        kept -= 1
        for k in range(weakest, kept):
            for part in range(5):
                table[k, part] = table[k + 1, part]
    table[kept, 0] = px
    table[kept, 1] = py
    table[kept, 2] = intensity
    table[kept, 3] = error
    table[kept, 4] = significance
    return kept + 1
