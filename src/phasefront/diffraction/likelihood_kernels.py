"""Compiled likelihood of a position's spots: its maximum, assignments and promises. `likelihood`
says what is computed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

# Chosen. Start of the refinement: orientations are taken to be right within this, radian: 2.6
# degrees, more than a step of the templates' grid.
_REACH = 0.045
# By how much an orientation may turn in the last stage, radian.
_NEAR = 0.02
# Log-likelihood that a step must promise to be taken: chosen; and in the first stage, whose error
# is too wide anyhow.
_GAIN, _FIRST_GAIN = 0.01, 0.2
_FAR = 7.0  # errors of a spot's position beyond which no reflection counts for it
# Excitation error, 1/angstrom, from which a reflection does not show: twice the width of a rel-rod.
_MARGIN = 0.02
_STRIPS = 32  # of a pattern, in which reflections near a spot are looked up

# Rows of a table of reflections: the components of g come first.
X, Y, Z, LENGTH, AMPLITUDE = range(5)
# Rows of the room for an expansion: places X, Y, Z, then these; the shares of those in the window.
SHARE, SLOPE, INSIDE, ROWS = 3, 4, 5, 6
# Columns of what a refinement gives; the quaternion comes first, the centre's x and y last.
SCALE, LOG_LIKELIHOOD, SCORE, RESIDUAL, INDEXED, CENTRE, COLUMNS = 4, 5, 6, 7, 8, 9, 11


class Terms(NamedTuple):
    """What enters the likelihood besides spots and reflections; lengths in 1/angstrom.

    It stands here, so that what numba has compiled for it is compiled again when it changes.
    """

    wavelength: float  # angstrom
    precession: float  # radian
    steepness: float  # pi over the width of the rel-rod, angstrom
    inner: float  # radii of the window
    outer: float
    position_sigma: float
    scale_sigma: float
    centre_sigma: float
    stray_share: float


@numba.njit(cache=True, nogil=True, error_model="numpy")
def refine_all(
    begin, end, offset, qx, qy, weight, amplitude, position, phase, rotation, first, rows, terms,
    coarse, least, scored, out,
):  # fmt: skip
    """Fill what each refinement gives (n, COLUMNS); only INDEXED, too few, of those given up."""
    for candidate in range(begin, end):
        start, stop = offset[position[candidate]], offset[position[candidate] + 1]
        own = (first[phase[candidate]], first[phase[candidate] + 1])
        _refine_one(
            qx[start:stop], qy[start:stop], weight[start:stop], amplitude[start:stop],
            rotation[candidate], rows, own, terms, coarse, least, scored, out[candidate],
        )  # fmt: skip


@numba.njit(cache=True, error_model="numpy", inline="always")
def _refine_one(
    qx, qy, weight, amplitude, rotation, rows, own, terms, coarse, least, scored, out
):  # fmt: skip
    sigma = terms.position_sigma
    matrix, trial_matrix = matrix_of(rotation), np.empty((3, 3))
    # Log scale and centre; the rotation is carried by the matrix.
    nuisance, trial_nuisance = np.zeros(3), np.empty(3)
    gradient, trial_gradient, step = np.empty(6), np.empty(6), np.empty(6)
    information, lower, room = np.empty((6, 6)), np.empty((6, 6)), np.empty(6)
    first, steps, reach = (2.2 * sigma, 6, _REACH) if coarse else (2.0 * sigma, 3, _NEAR)
    shown = reflections_shown(matrix, rows, own, terms, reach + _NEAR)
    pairs = near_pairs(qx, qy, places_of(matrix, nuisance, shown), _FAR * first)
    work, densities = np.empty((ROWS, shown.shape[1])), np.empty(len(pairs[0]))
    value = 0.0
    for width, gain in ((first, _FIRST_GAIN), (sigma, _GAIN)):
        if width == sigma:
            kept, steps = _still_excited(matrix, shown, terms, _NEAR), 12
            before, shown = shown.shape[1], _columns(shown, kept)
            placed = places_of(matrix, nuisance, shown)
            pairs = _nearer(qx, qy, placed, pairs, kept, before, _FAR * sigma)
            work = np.empty((ROWS, shown.shape[1]))
        # Spots without a reflection nearby are never indexed.
        if _number_near(pairs) < least:
            out[INDEXED] = 0
            return
        value = expanded(
            qx, qy, weight, matrix, nuisance, shown, pairs, terms, width, work, densities, gradient
        )
        inform(nuisance, pairs, terms, width, work, densities, information)
        damping = 1e-3
        for _ in range(steps):
            # What the expansion promises; no more is to be had near a maximum.
            if _damped_step(information, gradient, damping, lower, step) < gain:
                break
            turn_by(matrix, step, trial_matrix)
            for a in range(3):
                trial_nuisance[a] = nuisance[a] + step[3 + a]
            trial = expanded(
                qx, qy, weight, trial_matrix, trial_nuisance, shown, pairs, terms, width, work,
                densities, trial_gradient,
            )  # fmt: skip
            learn(information, gradient, trial_gradient, step, room)
            if trial > value:
                value = trial
                matrix, trial_matrix = trial_matrix, matrix
                nuisance, trial_nuisance = trial_nuisance, nuisance
                gradient, trial_gradient = trial_gradient, gradient
                damping = 1e-3
            else:
                damping *= 8.0
    placed = places_of(matrix, nuisance, shown)
    quaternion = quaternion_of(matrix)
    for k in range(4):
        out[k] = quaternion[k]
    out[SCALE] = math.exp(nuisance[0])
    out[LOG_LIKELIHOOD] = value
    if scored:
        out[SCORE] = _correlation(qx, qy, amplitude, pairs, shown, placed, terms, work)
    out[RESIDUAL], out[INDEXED] = _residual(qx, qy, pairs, shown, placed, terms)
    out[CENTRE], out[CENTRE + 1] = nuisance[1], nuisance[2]


@numba.njit(cache=True, error_model="numpy")
def reflections_shown(matrix, rows, own, terms, reach):
    """Of the columns `own` (first, last) of `rows` those whose reflections may be excited by a turn
    of up to `reach` (radian)."""
    return _columns(rows, _excited(matrix, rows, own, terms, reach))


@numba.njit(cache=True, error_model="numpy")
def _excited(matrix, rows, own, terms, reach):
    """Columns of a table's phase that `reflections_shown` takes; Friedel's mates, g and -g, are
    half of the columns apart."""
    low, high = own
    half = (high - low) // 2
    excess = np.empty(half)
    a, b, c = matrix[0, 2], matrix[1, 2], matrix[2, 2]
    gx, gy, gz = rows[X, low : low + half], rows[Y, low : low + half], rows[Z, low : low + half]
    length, bend = rows[LENGTH, low : low + half], 0.5 * terms.wavelength
    reach += terms.precession
    # The nearer of both mates to the Ewald sphere.
    for i in range(half):
        z = a * gx[i] + b * gy[i] + c * gz[i]
        error = abs(bend * length[i] * length[i] - abs(z))
        excess[i] = error - length[i] * reach
    # Stored first and counted after, so that the loop needs no branch.
    near, count = np.empty(half + 1, dtype=np.int64), 0
    for i in range(half):
        near[np.uint64(count)] = low + i
        count += excess[i] < _MARGIN
    kept, number = np.empty(2 * count + 1, dtype=np.int64), 0
    for mate in (0, half):
        for i in near[:count]:
            z = a * rows[X, i + mate] + b * rows[Y, i + mate] + c * rows[Z, i + mate]
            error = abs(bend * rows[LENGTH, i] ** 2 - z)
            kept[number] = i + mate
            number += error - rows[LENGTH, i] * reach < _MARGIN
    return kept[:number]


@numba.njit(cache=True, error_model="numpy")
def _still_excited(matrix, shown, terms, reach):
    """Which of the reflections `shown` may be excited by a turn of up to `reach` (radian)."""
    kept, count = np.empty(shown.shape[1] + 1, dtype=np.int64), 0
    a, b, c = matrix[0, 2], matrix[1, 2], matrix[2, 2]
    for i in range(shown.shape[1]):
        z = a * shown[X, i] + b * shown[Y, i] + c * shown[Z, i]
        error = abs(0.5 * terms.wavelength * shown[LENGTH, i] ** 2 - z)
        kept[count] = i
        count += error - shown[LENGTH, i] * (reach + terms.precession) < _MARGIN
    return kept[:count]


@numba.njit(cache=True, error_model="numpy")
def _columns(rows, kept):
    shown = np.empty((5, len(kept)))
    for row in range(5):
        for i in range(len(kept)):
            shown[row, i] = rows[row, kept[i]]
    return shown


@numba.njit(cache=True, error_model="numpy")
def places_of(matrix, nuisance, shown):
    """Where each reflection lies in the pattern (x, y), and its component along z."""
    scale = math.exp(nuisance[0])
    placed = np.empty((3, shown.shape[1]))
    for axis in range(3):
        _along(matrix, shown, axis, placed)
    x, y = placed[0], placed[1]
    # Number by number: an array into part of one would have numba compile the words of its errors.
    for i in range(x.size):
        x[i] = nuisance[1] + scale * x[i]
        y[i] = nuisance[2] + scale * y[i]
    return placed


@numba.njit(cache=True, error_model="numpy")
def near_pairs(qx, qy, placed, reach):
    """Reflections within `reach` of each spot, spot by spot, and where each spot's begin."""
    x, y = placed[0], placed[1]
    order, edge_of_strip, low, strips_per_length = _strips(x)
    found, edge = np.empty(512, dtype=np.int64), np.zeros(len(qx) + 1, dtype=np.int64)
    count = 0
    for spot in range(len(qx)):
        first = int((qx[spot] - reach - low) * strips_per_length)
        last = int((qx[spot] + reach - low) * strips_per_length)
        first, last = min(max(first, 0), _STRIPS - 1), min(max(last, 0), _STRIPS - 1)
        # Room for all, so that the loop below needs no branch.
        if count + len(x) >= len(found):
            larger = np.empty(2 * (count + len(x)), dtype=np.int64)
            for k in range(count):
                larger[k] = found[k]
            found = larger
        for place in range(edge_of_strip[first], edge_of_strip[last + 1]):
            i = order[place]
            found[count] = i
            count += (x[i] - qx[spot]) ** 2 + (y[i] - qy[spot]) ** 2 < reach * reach
        edge[spot + 1] = count
    return found[:count], edge


@numba.njit(cache=True, error_model="numpy")
def _nearer(qx, qy, placed, pairs, kept, before, reach):
    """Those of the pairs that are within `reach`, of reflections `kept` of those `before`."""
    x, y = placed[0], placed[1]
    place = np.full(before, -1, dtype=np.int64)
    for i in range(len(kept)):
        place[kept[i]] = i
    of_pair, edge = pairs
    found, found_edge, count = np.empty(len(of_pair) + 1, dtype=np.int64), np.zeros_like(edge), 0
    for spot in range(len(qx)):
        for pair in range(edge[spot], edge[spot + 1]):
            i = place[of_pair[pair]]
            if i >= 0 and (x[i] - qx[spot]) ** 2 + (y[i] - qy[spot]) ** 2 < reach * reach:
                found[count] = i
                count += 1
        found_edge[spot + 1] = count
    return found[:count], found_edge


@numba.njit(cache=True, error_model="numpy")
def _number_near(pairs):
    """How many spots have a reflection nearby."""
    _, edge = pairs
    number = 0
    for spot in range(len(edge) - 1):
        number += edge[spot + 1] > edge[spot]
    return number


@numba.njit(cache=True, error_model="numpy")
def _strips(x):
    """Indices sorted into strips of equal width; where each strip begins; the first strip's edge
    and the number of strips per length."""
    low, high = np.inf, -np.inf
    for i in range(len(x)):
        low, high = min(low, x[i]), max(high, x[i])
    per_length = _STRIPS / (high - low + 1e-9)
    strip, edge = np.empty(len(x), dtype=np.int64), np.zeros(_STRIPS + 1, dtype=np.int64)
    for i in range(len(x)):
        strip[i] = int((x[i] - low) * per_length)
        edge[strip[i] + 1] += 1
    for k in range(_STRIPS):
        edge[k + 1] += edge[k]
    order, free = np.empty(len(x), dtype=np.int64), edge.copy()
    for i in range(len(x)):
        order[free[strip[i]]] = i
        free[strip[i]] += 1
    return order, edge, low, per_length


@numba.njit(cache=True, error_model="numpy")
def visibility_of(error, length, terms):
    """Visibility of a reflection under precession, and the derivative of its logarithm.

    Lorentzian rel-rod averaged over the cone, up to a constant: Palatinus et al., Acta Cryst. B75
    (2019) 512, eq. 10.
    """
    steep = terms.steepness * terms.steepness
    swing = (length * terms.precession) ** 2
    u = steep * (swing - error * error) + 1.0
    squared = u * u + 4.0 * steep * error * error
    root = math.sqrt(squared)
    # Divisions take longest: all are by squared (u + root).
    both = u + root
    inverse = 1.0 / (squared * both)
    du = -2.0 * steep * error
    dsquared = 2.0 * u * du + 8.0 * steep * error
    visible = both * math.sqrt(2.0 * inverse)
    slope = 0.5 * inverse * (du * squared + 0.5 * dsquared * root - dsquared * both)
    return visible, slope


# Rows are reached by their number, not passed by themselves: each would be counted as in use.
@numba.njit(cache=True, error_model="numpy")
def _shares(placed, shown, terms, work):
    """Fill |F| times visibility of each reflection, and its logarithm's slope in the error."""
    for i in range(shown.shape[1]):
        length = shown[LENGTH, i]
        error = 0.5 * terms.wavelength * length * length - placed[Z, i]
        visible, work[SLOPE, i] = visibility_of(error, length, terms)
        work[SHARE, i] = shown[AMPLITUDE, i] * visible


@numba.njit(cache=True, error_model="numpy")
def _along(matrix, shown, axis, out):
    """Fill the component of each reflection along an axis of the frame, in the row of that axis."""
    a, b, c = matrix[0, axis], matrix[1, axis], matrix[2, axis]
    for i in range(shown.shape[1]):
        out[axis, i] = a * shown[X, i] + b * shown[Y, i] + c * shown[Z, i]


@numba.njit(cache=True, error_model="numpy")
def _keep_inside(work, inner, outer):
    """Fill the share of each reflection that lies in the window, 0 of the others: by itself, for
    no processor foresees which do."""
    for i in range(work.shape[1]):
        radius = work[X, i] * work[X, i] + work[Y, i] * work[Y, i]
        work[INSIDE, i] = work[SHARE, i] if (radius > inner) & (radius < outer) else 0.0


@numba.njit(cache=True, error_model="numpy")
def _means(work):
    """Sums over the reflections in the window: of the shares, and of their derivatives by a turn
    about x and about y."""
    total, mean_x, mean_y = 0.0, 0.0, 0.0
    for i in range(work.shape[1]):
        steep = work[INSIDE, i] * work[SLOPE, i]
        total += work[INSIDE, i]
        mean_x -= steep * work[Y, i]
        mean_y += steep * work[X, i]
    return total, mean_x, mean_y


@numba.njit(cache=True, error_model="numpy")
def _squares(work):
    """The same of products of the logarithms' derivatives, each times the share."""
    square_xx, square_xy, square_yy = 0.0, 0.0, 0.0
    for i in range(work.shape[1]):
        inside = work[INSIDE, i]
        along_x, along_y = -work[SLOPE, i] * work[Y, i], work[SLOPE, i] * work[X, i]
        square_xx += inside * along_x * along_x
        square_xy += inside * along_x * along_y
        square_yy += inside * along_y * along_y
    return square_xx, square_xy, square_yy


@numba.njit(cache=True, error_model="numpy")
def expanded(
    qx, qy, weight, matrix, nuisance, shown, pairs, terms, sigma, work, densities, gradient,
):  # fmt: skip
    """Log-likelihood with priors; fills its gradient.

    Parameters: rotation about the frame's x, y, z; log scale; centre x, y. `work` (ROWS,
    reflections) and `densities` (pairs,) are room to work in; `inform` needs what is left there.
    """
    scale = math.exp(nuisance[0])
    # Small loops over few rows each, so that the compiler turns them into vector instructions.
    for axis in range(3):
        _along(matrix, shown, axis, work)
    _shares(work, shown, terms, work)
    inner, outer = terms.inner**2, terms.outer**2
    _keep_inside(work, inner, outer)
    total, mean_x, mean_y = _means(work)
    stray = terms.stray_share / (math.pi * (outer - inner))
    peak = (1.0 - terms.stray_share) / (2.0 * math.pi * sigma * sigma * total)
    precision = 1.0 / (sigma * sigma)
    value, of_stray = 0.0, math.log(stray)
    # Sums over pairs, each weighted by its share of its spot: of the offset (o), and of the offset
    # times a reflection's derivatives, a = scale z, b = scale y, c = scale x.
    n = o_x = o_y = turn_x = turn_y = turn_z = stretch = tilt_x = tilt_y = 0.0
    of_pair, edge = pairs
    for spot in range(len(qx)):
        # Of many spots no reflection is near, and logarithms take long.
        if edge[spot + 1] == edge[spot]:
            value += weight[spot] * of_stray
            continue
        belongs = 0.0
        for pair in range(edge[spot], edge[spot + 1]):
            i = of_pair[pair]
            off_x = qx[spot] - nuisance[1] - scale * work[X, i]
            off_y = qy[spot] - nuisance[2] - scale * work[Y, i]
            densities[pair] = (
                work[SHARE, i] * peak * math.exp(-0.5 * precision * (off_x * off_x + off_y * off_y))
            )
            belongs += densities[pair]
        density = stray + belongs
        value += weight[spot] * math.log(density)
        factor = weight[spot] / density
        for pair in range(edge[spot], edge[spot + 1]):
            i = of_pair[pair]
            a, b, c = scale * work[Z, i], scale * work[Y, i], scale * work[X, i]
            off_x = qx[spot] - nuisance[1] - c
            off_y = qy[spot] - nuisance[2] - b
            t = factor * densities[pair]
            densities[pair] = t
            n += t
            o_x += t * off_x
            o_y += t * off_y
            turn_x -= t * a * off_y
            turn_y += t * a * off_x
            turn_z += t * (c * off_y - b * off_x)
            stretch += t * (c * off_x + b * off_y)
            tilt_x -= t * work[SLOPE, i] * work[Y, i]
            tilt_y += t * work[SLOPE, i] * work[X, i]
    gradient[0] = precision * turn_x + tilt_x - n * mean_x / total
    gradient[1] = precision * turn_y + tilt_y - n * mean_y / total
    gradient[2] = precision * turn_z
    gradient[3] = precision * stretch
    gradient[4] = precision * o_x
    gradient[5] = precision * o_y
    for a in range(3):
        width = terms.scale_sigma if a == 0 else terms.centre_sigma
        value -= 0.5 * (nuisance[a] / width) ** 2
        gradient[3 + a] -= nuisance[a] / width**2
    return value


@numba.njit(cache=True, error_model="numpy")
def inform(nuisance, pairs, terms, sigma, work, belonging, information):
    """Fill a positive matrix near minus the Hessian of the likelihood that was `expanded` last.

    It left the reflections' places, shares and slopes in `work` (ROWS, reflections), and how far
    each pair belongs together in `belonging` (pairs,).
    """
    scale, precision = math.exp(nuisance[0]), 1.0 / (sigma * sigma)
    total, mean_x, mean_y = _means(work)
    square_xx, square_xy, square_yy = _squares(work)
    mean_x /= total
    mean_y /= total
    n = n_a = n_b = n_c = n_aa = n_ab = n_ac = n_bc = 0.0
    of_pair, _ = pairs
    for pair in range(len(of_pair)):
        i, t = of_pair[pair], belonging[pair]
        a, b, c = scale * work[Z, i], scale * work[Y, i], scale * work[X, i]
        n += t
        n_a += t * a
        n_b += t * b
        n_c += t * c
        n_aa += t * a * a
        n_ab += t * a * b
        n_ac += t * a * c
        n_bc += t * (b * b + c * c)
    # Sums of the outer products of d(x, y): rows (0, a, -b, c, 1, 0) and (-a, 0, c, b, 0, 1).
    information[:] = 0.0
    information[0, 0] = information[1, 1] = precision * n_aa
    information[2, 0] = -precision * n_ac
    information[3, 1] = precision * n_ac
    information[2, 1] = information[3, 0] = -precision * n_ab
    information[2, 2] = information[3, 3] = precision * n_bc
    information[5, 0] = -precision * n_a
    information[4, 1] = precision * n_a
    information[4, 2] = -precision * n_b
    information[5, 2] = information[4, 3] = precision * n_c
    information[5, 3] = precision * n_b
    information[4, 4] = information[5, 5] = precision * n
    information[0, 0] += n * (square_xx / total - mean_x * mean_x)
    information[1, 0] += n * (square_xy / total - mean_x * mean_y)
    information[1, 1] += n * (square_yy / total - mean_y * mean_y)
    information[3, 3] += 1.0 / terms.scale_sigma**2
    information[4, 4] += 1.0 / terms.centre_sigma**2
    information[5, 5] += 1.0 / terms.centre_sigma**2
    for a in range(6):
        for b in range(a):
            information[b, a] = information[a, b]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def errors_all(
    begin, end, offset, qx, qy, weight, position, phase, rotation, nuisance, first, rows, terms,
    out,
):  # fmt: skip
    gradient, information, sigma = np.empty(6), np.empty((6, 6)), terms.position_sigma
    for i in range(begin, end):
        spots = slice(offset[position[i]], offset[position[i] + 1])
        x, y = qx[spots], qy[spots]
        matrix, own = matrix_of(rotation[i]), (first[phase[i]], first[phase[i] + 1])
        shown = reflections_shown(matrix, rows, own, terms, 0.0)
        placed = places_of(matrix, nuisance[i], shown)
        pairs = near_pairs(x, y, placed, _FAR * sigma)
        work, belonging = np.empty((ROWS, shown.shape[1])), np.empty(len(pairs[0]))
        expanded(
            x, y, weight[spots], matrix, nuisance[i], shown, pairs, terms, sigma, work, belonging,
            gradient,
        )  # fmt: skip
        inform(nuisance[i], pairs, terms, sigma, work, belonging, information)
        # A tilt that nothing fixes is uncertain by its own prior: a radian. A lattice that shows no
        # reflection in the window fixes nothing.
        for a in range(3):
            information[a, a] += 1.0
        if not np.isfinite(information).all():
            information[:] = 0.0
            for a in range(6):
                information[a, a] = 1.0
        covariance = np.linalg.inv(information)
        out[i] = math.sqrt(covariance[0, 0] + covariance[1, 1] + covariance[2, 2])


@numba.njit(cache=True, error_model="numpy")
def _damped_step(information, gradient, damping, lower, step):
    """Solve (information + damping diagonal) step = gradient by Cholesky's method; what that gains
    of a parabola."""
    n = len(gradient)
    # The diagonal is kept inverted: divisions take longest.
    for a in range(n):
        for b in range(a + 1):
            total = information[a, b]
            if a == b:
                total += damping * information[a, a] + 1e-9
            for k in range(b):
                total -= lower[a, k] * lower[b, k]
            lower[a, b] = 1.0 / math.sqrt(max(total, 1e-12)) if a == b else total * lower[b, b]
    for a in range(n):
        step[a] = gradient[a]
        for k in range(a):
            step[a] -= lower[a, k] * step[k]
        step[a] *= lower[a, a]
    for a in range(n - 1, -1, -1):
        for k in range(a + 1, n):
            step[a] -= lower[k, a] * step[k]
        step[a] *= lower[a, a]
    # No more than about a degree at once: the expansion holds no further.
    turn = math.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)
    if turn > 0.02:
        for a in range(n):
            step[a] *= 0.02 / turn
    gain = 0.0
    for a in range(n):
        gain += 0.5 * gradient[a] * step[a]
    return gain


@numba.njit(cache=True, error_model="numpy")
def learn(information, gradient, after, step, room):
    """Make the information what the gradient's change along a step shows it to be (the formula of
    Broyden, Fletcher, Goldfarb and Shanno: Nocedal and Wright, Numerical Optimization, eq. 6.19).

    Fisher's information leaves out how visibilities bend: it is off by a factor of two along some
    tilts, and steps by it alone go to and fro.
    """
    n = len(step)
    bent, expected = 0.0, 0.0
    for a in range(n):
        room[a] = 0.0
        for b in range(n):
            room[a] += information[a, b] * step[b]
        bent += (gradient[a] - after[a]) * step[a]
        expected += room[a] * step[a]
    if bent <= 0.01 * expected:
        return
    for a in range(n):
        change = (gradient[a] - after[a]) / bent
        for b in range(n):
            information[a, b] += change * (gradient[b] - after[b]) - room[a] * room[b] / expected


@numba.njit(cache=True, error_model="numpy")
def turn_by(matrix, step, out):
    """Fill the orientation after the crystal is turned by step[:3] about the frame's axes."""
    angle = math.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)
    if angle < 1e-15:
        for row in range(3):
            for column in range(3):
                out[row, column] = matrix[row, column]
        return
    # The spots turn by R, the orientation, frame to crystal, by its inverse on the right: each row
    # v becomes R v = v cos + (u x v) sin + u (u . v) (1 - cos).
    x, y, z = step[0] / angle, step[1] / angle, step[2] / angle
    cosine, sine = math.cos(angle), math.sin(angle)
    for row in range(3):
        a, b, c = matrix[row, 0], matrix[row, 1], matrix[row, 2]
        along = (x * a + y * b + z * c) * (1.0 - cosine)
        out[row, 0] = a * cosine + (y * c - z * b) * sine + x * along
        out[row, 1] = b * cosine + (z * a - x * c) * sine + y * along
        out[row, 2] = c * cosine + (x * b - y * a) * sine + z * along


@numba.njit(cache=True)
def matrix_of(quaternion):
    w, x, y, z = quaternion
    w, x, y, z = quaternion / math.sqrt(w * w + x * x + y * y + z * z)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


@numba.njit(cache=True)
def quaternion_of(matrix):
    """Quaternion (w, x, y, z) of a rotation matrix, w not negative (Shepperd's method)."""
    m = matrix
    choice = np.array([m[0, 0] + m[1, 1] + m[2, 2], m[0, 0], m[1, 1], m[2, 2]])
    largest = np.argmax(choice)
    q = np.empty(4)
    if largest == 0:
        q[0] = 1 + choice[0]
        q[1], q[2], q[3] = m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]
    else:
        i = largest - 1
        j, k = (i + 1) % 3, (i + 2) % 3
        q[0] = m[k, j] - m[j, k]
        q[1 + i] = 1 + m[i, i] - m[j, j] - m[k, k]
        q[1 + j] = m[j, i] + m[i, j]
        q[1 + k] = m[k, i] + m[i, k]
    q /= math.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
    return q if q[0] >= 0 else -q


@numba.njit(cache=True, error_model="numpy")
def _correlation(qx, qy, amplitude, pairs, shown, placed, terms, work):
    """Normalised correlation of spot amplitudes, each reflection paired with at most one spot.

    sum(w_j v_g k(d_jg)) / sqrt(sum w^2 sum v^2) over pairs, with a Gaussian k <= 1 of twice the
    spots' position error, lies in 0 to 1 by the inequality of Cauchy and Schwarz.
    """
    x, y = placed[0], placed[1]
    _shares(placed, shown, terms, work)
    share = work[SHARE]
    norm = _sum_inside(x, y, share, terms.inner**2, terms.outer**2)
    of_pair, edge = pairs
    precision = 0.25 / terms.position_sigma**2
    overlap, power = 0.0, 0.0
    for spot in range(len(amplitude)):
        best, best_square = -1, 0.0
        power += amplitude[spot] ** 2
        for pair in range(edge[spot], edge[spot + 1]):
            i = of_pair[pair]
            distance = (x[i] - qx[spot]) ** 2 + (y[i] - qy[spot]) ** 2
            here = share[i] * math.exp(-distance * precision)
            if here > best_square:
                best, best_square = i, here
        if best >= 0:
            share[best] = 0.0
            overlap += amplitude[spot] * math.sqrt(best_square)
    return overlap / math.sqrt(max(norm * power, 1e-300))


@numba.njit(cache=True, error_model="numpy")
def _sum_inside(x, y, share, inner, outer):
    """Sum of the shares in the window; those outside become 0."""
    total = 0.0
    for i in range(x.size):
        radius = x[i] * x[i] + y[i] * y[i]
        share[i] = share[i] if (radius > inner) & (radius < outer) else 0.0
        total += share[i]
    return total


@numba.njit(cache=True, error_model="numpy")
def _nearest(x, y, of_spot, shown, placed, terms):
    """Of reflections near a spot the one that it belongs to, -1 for none, and their distance^2."""
    chosen, nearest = -1, 9.0 * terms.position_sigma**2
    for i in of_spot:
        square = (placed[0, i] - x) ** 2 + (placed[1, i] - y) ** 2
        # Beyond a few half widths of a rel-rod a reflection is not what a spot is.
        error = abs(0.5 * terms.wavelength * shown[LENGTH, i] ** 2 - placed[2, i])
        faded = 4.0 * math.pi / terms.steepness + shown[LENGTH, i] * terms.precession
        if square < nearest and error < faded:
            chosen, nearest = i, square
    return chosen, nearest


@numba.njit(cache=True, error_model="numpy")
def _residual(qx, qy, pairs, shown, placed, terms):
    """Root mean square distance of the spots that belong to a reflection, and their number."""
    of_pair, edge = pairs
    squares, count = 0.0, 0
    for spot in range(len(qx)):
        of_spot = of_pair[edge[spot] : edge[spot + 1]]
        chosen, square = _nearest(qx[spot], qy[spot], of_spot, shown, placed, terms)
        if chosen >= 0:
            squares += square
            count += 1
    return math.sqrt(squares / max(count, 1)), count


@numba.njit(cache=True, nogil=True, error_model="numpy")
def assign_all(
    begin, end, offset, qx, qy, position, phase, rotation, centre, scale, strain, first, rows,
    terms, edge, reflection,
):  # fmt: skip
    """Fill the column of each candidate's reflection for each of its spots, -1 for none."""
    for candidate in range(begin, end):
        start, stop = offset[position[candidate]], offset[position[candidate] + 1]
        own = (first[phase[candidate]], first[phase[candidate] + 1])
        matrix = matrix_of(rotation[candidate])
        # A strain moves a reflection by less than a turn of the same size.
        kept = _excited(matrix, rows, own, terms, 0.03)
        shown = _strained(_columns(rows, kept), strain[candidate])
        nuisance = np.array(
            [math.log(scale[candidate]), centre[candidate, 0], centre[candidate, 1]]
        )
        placed = places_of(matrix, nuisance, shown)
        of_pair, pair_edge = near_pairs(
            qx[start:stop], qy[start:stop], placed, 3.0 * terms.position_sigma
        )
        for spot in range(stop - start):
            of_spot = of_pair[pair_edge[spot] : pair_edge[spot + 1]]
            chosen, _ = _nearest(qx[start + spot], qy[start + spot], of_spot, shown, placed, terms)
            reflection[edge[candidate] + spot] = kept[chosen] if chosen >= 0 else -1


@numba.njit(cache=True, error_model="numpy")
def _strained(rows, strain):
    """Reflections after a strain of the reciprocal lattice."""
    out = rows.copy()
    for i in range(3):
        for j in range(3):
            for k in range(rows.shape[1]):
                out[i, k] += strain[i, j] * rows[j, k]
    for k in range(rows.shape[1]):
        out[LENGTH, k] = math.sqrt(out[X, k] ** 2 + out[Y, k] ** 2 + out[Z, k] ** 2)
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def promise_all(
    begin, end, phase, rotation, scale, centre, first, rows, terms, faint, count, out, reflection
):
    """Fill the number of each crystal's reflections, and these, one crystal's after another's."""
    at = 0
    for crystal in range(begin, end):
        own = (first[phase[crystal]], first[phase[crystal] + 1])
        placed, share, kept = _promised(
            rotation[crystal], scale[crystal], centre[crystal], rows, own, terms
        )
        total = 0.0
        for i in range(len(share)):
            square = placed[0, i] ** 2 + placed[1, i] ** 2
            if not terms.inner**2 < square < terms.outer**2:
                share[i] = 0.0
            total += share[i]
        before = at
        for i in range(len(share)):
            if share[i] > faint * total:
                out[at, 0], out[at, 1] = placed[0, i], placed[1, i]
                out[at, 2] = share[i] / total
                reflection[at] = kept[i]
                at += 1
        count[crystal] = at - before


@numba.njit(cache=True, error_model="numpy")
def _promised(rotation, scale, centre, rows, own, terms):
    """Places (3, n) and weights (n,) of a crystal's reflections, and their columns of `rows`."""
    matrix = matrix_of(rotation)
    kept = _excited(matrix, rows, own, terms, 0.0)
    shown = _columns(rows, kept)
    placed = places_of(matrix, np.array([math.log(scale), centre[0], centre[1]]), shown)
    work = np.empty((ROWS, shown.shape[1]))
    # The excitation does not know of scale and centre.
    _along(matrix, shown, Z, placed)
    _shares(placed, shown, terms, work)
    return placed, work[SHARE], kept
