"""Compiled steps of matching: harmonics of rings, searches over angles, ranks."""

from __future__ import annotations

import math

import numba
import numpy as np

# Harmonics 1 to 32; the mean of each ring, harmonic 0, is taken off.
ORDERS = np.arange(1, 33)
# Chosen; what is found is refined. Blur along the ring, 1/angstrom: about what a step of the
# templates' grid, 2 degrees, moves a spot at 1 1/angstrom.
AZIMUTHAL_SIGMA = 0.03
# The coarse search takes some lower harmonics, even ones: half a turn leaves these as they are, as
# it nearly does a crystal's pattern (Friedel). The fine search tries both halves of a turn.
COARSE_ORDERS = np.arange(2, 13, 2)
COARSE_ANGLES = 64  # over a full turn, two to the shortest period of the coarse search
ANGLES = 128  # of the fine search, over a full turn: 2.8 degrees
CHUNK = 128  # templates that the coarse search takes at a time: what it needs stays in the cache
_LARGEST_WHOLE = 127  # of 8 bits
_KEPT = 8  # coarse candidates per phase that are searched finely
# Share of the best coarse candidate's fine score, below which templates near to another are not
# searched. Chosen, as the number above: of the likeliest phases' best matches one in a hundred is
# lost, by 0.01 of the score or more, against four times as many candidates and none left out.
_HOPEFUL = 0.6
_WINDOW = 16  # angles about the coarse one that the fine search looks at
# Harmonics times angles, past a full turn, so that every window is in one piece.
_COSINE, _SINE = (
    f(2 * np.pi / ANGLES * np.outer(ORDERS, np.arange(ANGLES + _WINDOW))).astype("f4").ravel()
    for f in (np.cos, np.sin)
)
# A quarter of half a turn, first to last, times half of each order of the coarse search.
_COARSE_COSINE, _COARSE_SINE = (
    2 * f(2 * np.pi / COARSE_ANGLES * np.outer(np.arange(COARSE_ANGLES // 8 + 1), COARSE_ORDERS))
    for f in (np.cos, np.sin)
)
_COARSE_COSINE, _COARSE_SINE = _COARSE_COSINE.astype("f4"), _COARSE_SINE.astype("f4")
# Indices that are not negative: none need be looked for that count from the end.
_at = np.uint64


@numba.njit(cache=True, nogil=True)
def transform(offset, qx, qy, amplitude, chosen, shells, out):
    """Normalised harmonics (chosen, shells, 2, harmonics) of lists of spots.

    H_k(shell) = sum of amplitude * triangle(radius - shell) * blur(k) * exp(-i k azimuth), with
    2 sum |H|^2 = 1.
    """
    step = shells[1] - shells[0]
    # Real parts, then imaginary ones, as in each shell of `out`.
    orders = out.shape[3]
    both = np.empty(2 * orders, dtype=np.float32)
    real, imaginary = both[:orders], both[orders:]
    for row in range(len(chosen)):
        flat = out[row].ravel()
        for spot in range(offset[chosen[row]], offset[chosen[row] + 1]):
            radius = math.sqrt(qx[spot] ** 2 + qy[spot] ** 2)
            position = (radius - shells[0]) / step
            low = math.floor(position)
            if low < 0 or low >= len(shells) - 1:
                continue
            _fill_orders(qx[spot] / radius, qy[spot] / radius, radius, real, imaginary)
            upper = np.float32(amplitude[spot] * (position - low))
            lower = np.float32(amplitude[spot]) - upper
            own, following = _at(low * both.size), _at((low + 1) * both.size)
            for k in range(both.size):
                flat[own + _at(k)] += lower * both[k]
            for k in range(both.size):
                flat[following + _at(k)] += upper * both[k]
        total = _sum_of_squares(flat, both)
        if total > 0.0:
            factor = np.float32(1.0 / math.sqrt(2.0 * total))
            for i in range(flat.size):
                flat[i] *= factor


@numba.njit(cache=True, nogil=True)
def _sum_of_squares(values, sums):
    """Sum over values, a multiple of the number of `sums`: each takes its share of them, so that
    none waits for another."""
    sums[:] = 0.0
    for first in range(0, values.size, sums.size):
        for k in range(sums.size):
            value = values[_at(first) + _at(k)]
            sums[k] += value * value
    total = np.float32(0.0)
    for k in range(sums.size):
        total += sums[k]
    return total


@numba.njit(cache=True, nogil=True)
def pack(harmonics, packed, unit):
    """Fill whole numbers, and what they are multiples of, (templates,), from harmonics."""
    for template in range(len(harmonics)):
        values, into, largest = harmonics[template].ravel(), packed[template].ravel(), np.float32(0)
        for i in range(values.size):
            largest = max(largest, abs(values[i]))
        unit[template] = max(largest, np.float32(1e-30)) / np.float32(_LARGEST_WHOLE)
        per_unit = np.float32(1) / unit[template]
        for i in range(values.size):
            into[i] = np.int8(np.floor(values[i] * per_unit + np.float32(0.5)))


@numba.njit(cache=True, nogil=True)
def _fill_orders(cosine, sine, radius, real, imaginary):
    """Fill blur(k) exp(-i k azimuth) for k from 1 on: odd and even ones each from the last but one,
    so that one need not wait for the other."""
    # exp(-k^2 w) from one order to the next but one: the factor falls by exp(-8 w) each time.
    width = 0.5 * (AZIMUTHAL_SIGMA / radius) ** 2
    blur = math.exp(-width)
    fall = blur**8
    twice, twice_sine = cosine * cosine - sine * sine, 2.0 * cosine * sine
    odd, odd_imaginary, of_odd = blur * cosine, -blur * sine, fall
    even, even_imaginary, of_even = blur**4 * twice, -(blur**4) * twice_sine, blur**4 * fall
    for k in range(0, len(real), 2):
        real[k], imaginary[k], real[k + 1], imaginary[k + 1] = (
            odd, odd_imaginary, even, even_imaginary
        )  # fmt: skip
        odd, odd_imaginary = (
            of_odd * (odd * twice + odd_imaginary * twice_sine),
            of_odd * (odd_imaginary * twice - odd * twice_sine),
        )
        even, even_imaginary = (
            of_even * (even * twice + even_imaginary * twice_sine),
            of_even * (even_imaginary * twice - even * twice_sine),
        )
        of_odd, of_even = of_odd * fall, of_even * fall


@numba.njit(cache=True, nogil=True)
def largest(of_real, of_imaginary, score, angle):
    """Fill the largest correlation over the angles of half a turn (2, patterns, templates), plain
    templates first, then mirrored, and at which of COARSE_ANGLES.

    `of_real`, `of_imaginary`: products of the patterns' real parts, then of their imaginary ones,
    with either part of the templates, (orders, 2 patterns, templates). With P of a pattern and T of
    a template, the correlation at an angle is 2 Re sum P conj(T) exp(i k angle), with T in place of
    conj(T) where the template is mirrored: 2 sum ((Pr Tr +- Pi Ti) cos + (+- Pr Ti - Pi Tr) sin).
    Sums of cosines, of sines, of even and of odd k / 2 make four angles each: (+-, +-).
    """
    patterns, templates = score.shape[1], score.shape[2]
    orders, wide, half = len(COARSE_ORDERS), _at(CHUNK), COARSE_ANGLES // 2
    # Rows of cosines' factors, of sines', the best so far; flat, for vector instructions.
    room, at = np.zeros((2 * orders + 1, CHUNK), np.float32), np.zeros(CHUNK, np.int32)
    flat, best = room.ravel(), room[2 * orders]
    for pattern in range(patterns):
        for mirrored in range(2):
            sign = np.float32(1 - 2 * mirrored)
            for k in range(orders):
                cosines, sines = room[k], room[orders + k]
                a, b = of_real[k, pattern], of_imaginary[k, patterns + pattern]
                c, d = of_real[k, patterns + pattern], of_imaginary[k, pattern]
                for i in range(templates):
                    cosines[i] = a[i] + sign * b[i]
                for i in range(templates):
                    sines[i] = sign * d[i] - c[i]
            best[:] = -np.inf
            for turn in range(half // 4 + 1):
                c1, c2, c3, c4, c5, c6 = _COARSE_COSINE[turn]
                s1, s2, s3, s4, s5, s6 = _COARSE_SINE[turn]
                plus, minus = np.int32(turn), np.int32((half - turn) % half)
                before, after = np.int32(half // 2 - turn), np.int32(half // 2 + turn)
                for i in range(CHUNK):
                    j = _at(i)
                    odd = c1 * flat[j] + c3 * flat[j + _at(2) * wide] + c5 * flat[j + _at(4) * wide]
                    even = (
                        c2 * flat[j + wide]
                        + c4 * flat[j + _at(3) * wide]
                        + c6 * flat[j + _at(5) * wide]
                    )
                    odd_sine = (
                        s1 * flat[j + _at(6) * wide]
                        + s3 * flat[j + _at(8) * wide]
                        + s5 * flat[j + _at(10) * wide]
                    )
                    even_sine = (
                        s2 * flat[j + _at(7) * wide]
                        + s4 * flat[j + _at(9) * wide]
                        + s6 * flat[j + _at(11) * wide]
                    )
                    near, far = odd_sine + even_sine, odd_sine - even_sine
                    value, other = even + odd + abs(near), even - odd + abs(far)
                    here = plus if near >= np.float32(0) else minus
                    there = before if far >= np.float32(0) else after
                    here = there if other > value else here
                    value = other if other > value else value
                    larger = value > flat[j + _at(12) * wide]
                    at[i] = here if larger else at[i]
                    flat[j + _at(12) * wide] = value if larger else flat[j + _at(12) * wide]
            # Number by number: an array into part of one has numba compile the words of its errors.
            for i in range(templates):
                score[mirrored, pattern, i] = best[i]
                angle[mirrored, pattern, i] = at[i]


@numba.njit(cache=True, nogil=True)
def search(
    harmonics, score, angle, rotation, templates, unit, coarse_edge, near_edge, symmetry,
    symmetry_edge, apart, quaternions, scores,
):  # fmt: skip
    """Full grid about each pattern's and phase's best coarse templates; fills the last two."""
    n_best = scores.shape[2]
    value, chosen = np.empty(_KEPT), np.empty((2, _KEPT), dtype=np.int64)
    found, found_value = np.empty((_KEPT, 4)), np.empty(_KEPT)
    start, turn = np.empty(_KEPT, dtype=np.int64), np.empty(_KEPT)
    room = np.empty((3, len(ORDERS)), dtype=np.float32)
    for pattern in range(len(harmonics)):
        for phase in range(len(coarse_edge) - 1):
            kept = _best_coarse(
                score[:, pattern], coarse_edge[phase], coarse_edge[phase + 1], value, chosen
            )
            # The coarse templates themselves first, which are the first of those near to them.
            for rank in range(kept):
                mirrored, coarse = chosen[0, rank], chosen[1, rank]
                start[rank] = round(angle[mirrored, pattern, coarse] * ANGLES / COARSE_ANGLES)
                near = near_edge[coarse]
                _sum_shells(harmonics[pattern], templates[near], mirrored, room)
                found_value[rank], turn[rank] = _best_angle(room, unit[near], start[rank])
                turned = start[rank] + ANGLES // 2
                value_turned, angle_turned = _best_angle(room, unit[near], turned)
                if value_turned > found_value[rank]:
                    start[rank] = turned
                    found_value[rank], turn[rank] = value_turned, angle_turned
            hopeful = -np.inf
            for rank in range(kept):
                hopeful = max(hopeful, _HOPEFUL * found_value[rank])
            for rank in range(kept):
                mirrored, coarse = chosen[0, rank], chosen[1, rank]
                first = near_edge[coarse]
                best, best_angle, best_template = found_value[rank], turn[rank], first
                last = near_edge[coarse + 1] if best >= hopeful else first + 1
                for near in range(first + 1, last):
                    _sum_shells(harmonics[pattern], templates[near], mirrored, room)
                    here, at = _best_angle(room, unit[near], start[rank])
                    if here > best:
                        best, best_angle, best_template = here, at, near
                found_value[rank] = best
                orient(rotation[best_template], mirrored, best_angle, found[rank])
            operators = symmetry[symmetry_edge[phase] : symmetry_edge[phase + 1]]
            order = np.argsort(-found_value[:kept])
            taken = 0
            for place in range(kept):
                if taken == n_best:
                    break
                index = order[place]
                new = True
                # Among better ones, taken or not: near a better one is no maximum.
                for other in order[:place]:
                    new = new and cosine_half_angle(found[index], found[other], operators) < apart
                if new:
                    for k in range(4):
                        quaternions[pattern, phase, taken, k] = found[index, k]
                    scores[pattern, phase, taken] = found_value[index]
                    taken += 1


@numba.njit(cache=True, nogil=True)
def _best_coarse(score, low, high, value, chosen):
    """Fill value and chosen (mirrored, coarse) with the largest scores, best first; how many."""
    kept = 0
    for mirrored in range(2):
        for coarse in range(low, high):
            new = score[mirrored, coarse]
            if kept < _KEPT:
                kept += 1
            elif new <= value[kept - 1]:
                continue
            place = kept - 1
            while place > 0 and value[place - 1] < new:
                value[place] = value[place - 1]
                chosen[0, place], chosen[1, place] = chosen[0, place - 1], chosen[1, place - 1]
                place -= 1
            value[place] = new
            chosen[0, place], chosen[1, place] = mirrored, coarse
    return kept


@numba.njit(cache=True, nogil=True)
def best_near(pattern, template, unit, mirrored, start, room):
    """Largest correlation within a few steps of the angle `start`, and the angle in radian.

    The template is in multiples of `unit`; `room` (3, harmonics) is to work in.
    """
    _sum_shells(pattern, template, mirrored, room)
    return _best_angle(room, unit, start)


@numba.njit(cache=True, nogil=True)
def _best_angle(room, unit, start):
    """Of sums over the shells, see `best_near`."""
    around = room[2]
    around[:] = 0.0
    first = (start - _WINDOW // 2) % ANGLES
    _sum_orders(room[0], room[1], _at(first), _COSINE, _SINE, around)
    j = 1 + np.argmax(around[1 : _WINDOW - 1])
    left, middle, right = around[j - 1], around[j], around[j + 1]
    bend = left - 2.0 * middle + right
    shift = 0.0
    if bend < 0.0:
        shift = min(max(0.5 * (left - right) / bend, -0.5), 0.5)
    value = 2.0 * unit * (middle - 0.25 * (left - right) * shift)
    return value, (first + j + shift) * 2.0 * np.pi / ANGLES


@numba.njit(cache=True, nogil=True)
def _sum_shells(pattern, template, mirrored, room):
    """Fill the first two rows of `room`: real and imaginary part of each harmonic."""
    room[:2] = 0.0
    sign = np.float32(-1.0 if mirrored else 1.0)
    _add_shells(pattern.ravel(), template.ravel(), sign, len(pattern), room.ravel())


# Few arrays a loop and all of them flat, so that the compiler makes vectors of the loops; several
# terms at once, because what is summed up goes through memory each time.
@numba.njit(cache=True, nogil=True)
def _add_shells(pattern, template, sign, shells, both):
    """Add to the real parts and then the imaginary ones, each of all harmonics."""
    orders = _at(len(ORDERS))
    for s in range(0, shells, 2):
        # The second of the last two may be the first once more, for nothing.
        following = _at(2) * orders if s + 1 < shells else _at(0)
        counted = sign if s + 1 < shells else np.float32(0)
        one = np.float32(1) if s + 1 < shells else np.float32(0)
        real = _at(2 * s) * orders
        for k in range(len(ORDERS)):
            r = real + _at(k)
            i, r2, i2 = r + orders, r + following, r + following + orders
            a, b = pattern[r], pattern[i]
            c, d = np.float32(template[r]), sign * np.float32(template[i])
            e, f = pattern[r2], pattern[i2]
            g, h = one * np.float32(template[r2]), counted * np.float32(template[i2])
            x = both[_at(k)] + ((a * c + b * d) + (e * g + f * h))
            y = both[_at(k) + orders] + ((b * c - a * d) + (f * g - e * h))
            both[_at(k)] = x
            both[_at(k) + orders] = y


@numba.njit(cache=True, nogil=True)
def _sum_orders(real, imaginary, first, cosines, sines, around):
    """Add the correlation at some angles."""
    row = _at(ANGLES + _WINDOW)
    for k in range(0, len(ORDERS), 4):
        at = first + _at(k) * row
        r0, r1, r2, r3 = real[k], real[k + 1], real[k + 2], real[k + 3]
        i0, i1, i2, i3 = imaginary[k], imaginary[k + 1], imaginary[k + 2], imaginary[k + 3]
        for j in range(_WINDOW):
            a = at + _at(j)
            b, c, d = a + row, a + row + row, a + row + row + row
            around[j] += (
                (r0 * cosines[a] - i0 * sines[a]) + (r1 * cosines[b] - i1 * sines[b])
            ) + (
                (r2 * cosines[c] - i2 * sines[c]) + (r3 * cosines[d] - i3 * sines[d])
            )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def orient(rotation, mirrored, angle, out):
    """Fill the orientation whose pattern is the template's, mirrored in x if so, then turned."""
    w, x, y, z = rotation
    # A crystal turned by 180 degrees about y shows (x, -y): with Friedel's law the mirror image.
    if mirrored:
        w, x, y, z = -y, -z, w, x
    # The pattern turns by `angle`, the orientation, frame to crystal, by its inverse on the right.
    cosine, sine = math.cos(0.5 * angle), -math.sin(0.5 * angle)
    out[0], out[3] = w * cosine - z * sine, z * cosine + w * sine
    out[1], out[2] = x * cosine + y * sine, y * cosine - x * sine


@numba.njit(cache=True, nogil=True)
def cosine_half_angle(first, second, operators):
    """Cosine of half the smallest angle between two orientations that symmetry allows."""
    a, b, c, d = first
    w, x, y, z = second
    # Scalar part of s first second^-1 is s . conj(first second^-1), up to the sign.
    p0, p1 = a * w + b * x + c * y + d * z, a * x - b * w + c * z - d * y
    p2, p3 = a * y - b * z - c * w + d * x, a * z + b * y - c * x - d * w
    largest = 0.0
    for s in range(len(operators)):
        scalar = (
            operators[s, 0] * p0
            + operators[s, 1] * p1
            + operators[s, 2] * p2
            + operators[s, 3] * p3
        )
        largest = max(largest, abs(scalar))
    return largest


@numba.njit(cache=True)
def rank_distinct(
    group, phase, rotation, likelihood, symmetry, edge, cosine, n_best, rank
):  # fmt: skip
    """Fill the ranks of orientations that differ from all better ones of their group, others stay.

    Groups are contiguous; `edge`: where each phase's operators begin in `symmetry`; `cosine`: of
    half the angle from which two orientations differ.
    """
    start = 0
    while start < len(group):
        stop = start + 1
        while stop < len(group) and group[stop] == group[start]:
            stop += 1
        operators = symmetry[edge[phase[start]] : edge[phase[start] + 1]]
        kept = 0
        for index in start + np.argsort(-likelihood[start:stop]):
            new = kept < n_best
            for other in range(start, stop):
                if rank[other] >= 0:
                    nearest = cosine_half_angle(rotation[index], rotation[other], operators)
                    new = new and nearest < cosine
            if new:
                rank[index] = kept
                kept += 1
        start = stop


@numba.njit(cache=True)
def group_alike(rotation, symmetry, cosine, group):
    """Fill the group (n,), from 0 on, of each orientation (n, 4); returns their number.

    The first orientation that is in none has in its group all others in none that are nearer to it
    than twice the angle with this cosine, under the symmetry.
    """
    group[:] = -1
    number = 0
    for first in range(len(rotation)):
        if group[first] >= 0:
            continue
        group[first] = number
        for other in range(first + 1, len(rotation)):
            if group[other] < 0:
                nearest = cosine_half_angle(rotation[first], rotation[other], symmetry)
                group[other] = number if nearest > cosine else -1
        number += 1
    return number
