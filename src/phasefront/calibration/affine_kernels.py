"""Compiled mixture likelihood of spots under an affine map. `affine` says what is fitted."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

# Columns of predicted reflections: place in the frame, weight, slope of its logarithm against z.
_X, _Y, _Z, _WEIGHT, _SLOPE = range(5)
# Widths from the Ewald sphere within which a reflection counts; chosen, it has 0.04 of its weight.
EXCITED = 2.5


@njit(nogil=True, cache=True)
def mixture(
    begin,
    end,
    q,
    offset,
    rotation,
    known,
    phase,
    g,
    amplitude,
    g_offset,
    near,
    near_offset,
    strayed,
    parameters,
    sigma,
    wavelength,
    precession,
    width,
    q_low,
    q_high,
    outliers,
    likelihood,
    normal,
    gradient,
    squares,
    inliers,
):  # pragma: no cover - compiled
    for i in range(begin, end):
        for k in range(known.shape[1]):
            if known[i, k]:
                if strayed[i, k]:
                    rows = np.arange(g_offset[phase[k]], g_offset[phase[k] + 1], dtype=np.int32)
                else:
                    own = i * known.shape[1] + k
                    rows = near[near_offset[own] : near_offset[own + 1]]
                predicted = predict(
                    rotation[i, k], g, amplitude, rows, parameters, wavelength, precession, width,
                    q_low, q_high,
                )  # fmt: skip
                likelihood[i, k], squares[i, k], inliers[i, k] = _compare(
                    q[offset[i] : offset[i + 1]], predicted, parameters, sigma, q_low, q_high,
                    outliers, normal[i, k], gradient[i, k],
                )  # fmt: skip
            # A step of a pattern that says nothing about its orientation stays within a degree.
            for a in range(6, 9):
                normal[i, k, a, a] += 1 / 0.017**2


@njit(cache=True)
def predict(rotation, g, amplitude, rows, parameters, wavelength, precession, width, q_low, q_high):
    """Those of the reflections `rows` that are near the Ewald sphere.

    Columns are x, y, z in the frame, weight, and its logarithm's slope. Excited as a
    `diffraction.excitation.GaussianRod` of this `width` is. Electrons travel along -z: the
    excitation error is g_z - wavelength g^2 / 2. Weights have the sum 1; the slope is against z,
    before that is enforced.
    """
    scale = math.sqrt(parameters[0] * parameters[2] - parameters[1] ** 2)
    low, high = (scale * q_low) ** 2, (scale * q_high) ** 2
    table = np.empty((rows.shape[0], 5))
    n, total = 0, 0.0
    for m in rows:
        z = rotation[2, 0] * g[m, 0] + rotation[2, 1] * g[m, 1] + rotation[2, 2] * g[m, 2]
        length2 = g[m, 0] ** 2 + g[m, 1] ** 2 + g[m, 2] ** 2
        width2 = width**2 + 0.5 * precession**2 * length2
        error = z - 0.5 * wavelength * length2
        if error * error > EXCITED**2 * width2:
            continue
        x = rotation[0, 0] * g[m, 0] + rotation[0, 1] * g[m, 1] + rotation[0, 2] * g[m, 2]
        y = rotation[1, 0] * g[m, 0] + rotation[1, 1] * g[m, 1] + rotation[1, 2] * g[m, 2]
        if low <= x * x + y * y <= high:
            table[n, _X], table[n, _Y], table[n, _Z] = x, y, z
            table[n, _WEIGHT] = amplitude[m] * math.exp(-0.5 * error * error / width2)
            table[n, _SLOPE] = -error / width2
            total += table[n, _WEIGHT]
            n += 1
    for row in range(n):
        table[row, _WEIGHT] /= max(total, 1e-30)
    return table[:n]


@njit(cache=True)
def _compare(q, predicted, parameters, sigma, q_low, q_high, outliers, normal, gradient):
    """Log-likelihood of a pattern's spots; adds to the normal equations of 6 + 3 parameters.

    Densities are per area of the camera in nominal units, hence the determinant; an outward shift
    in proportion to 1 / q leaves areas alone to first order.
    """
    xx, xy, yy, shift_x, shift_y, outward = parameters
    determinant = xx * yy - xy * xy
    uniform = outliers / (math.pi * (q_high**2 - q_low**2))
    peak = (1 - outliers) * determinant / (2 * math.pi * sigma**2)
    total, squares, inliers = 0.0, 0.0, 0.0
    row_x, row_y = np.zeros(9), np.zeros(9)
    drawn_x, drawn_y = 0.0, 0.0
    # Apart from the rest of the table, so that the compiler takes several at a time.
    place_x, place_y = predicted[:, _X].copy(), predicted[:, _Y].copy()
    distance2 = np.empty(predicted.shape[0])
    near, share = np.empty(predicted.shape[0], dtype=np.int64), np.empty(predicted.shape[0])
    for j in range(q.shape[0]):
        length2 = q[j, 0] ** 2 + q[j, 1] ** 2
        out_x, out_y = q[j, 0] / length2, q[j, 1] / length2
        q_x, q_y = q[j, 0] - outward * out_x, q[j, 1] - outward * out_y
        x = xx * q_x + xy * q_y - shift_x
        y = xy * q_x + yy * q_y - shift_y
        density = uniform
        for m in range(predicted.shape[0]):
            distance2[m] = (x - place_x[m]) ** 2 + (y - place_y[m]) ** 2
        n = 0
        for m in range(predicted.shape[0]):
            if distance2[m] < 25 * sigma**2:
                near[n] = m
                share[n] = peak * predicted[m, _WEIGHT] * math.exp(-0.5 * distance2[m] / sigma**2)
                density += share[n]
                n += 1
        total += math.log(density)
        for k in range(n):
            if share[k] < 1e-6 * density:
                continue
            m, weight = near[k], share[k] / density
            dx, dy = x - predicted[m, _X], y - predicted[m, _Y]
            squares += weight * (dx * dx + dy * dy)
            inliers += weight
            row_x[0], row_x[1], row_x[3] = q_x, q_y, -1.0
            row_y[1], row_y[2], row_y[4] = q_x, q_y, -1.0
            row_x[5] = -(xx * out_x + xy * out_y)
            row_y[5] = -(xy * out_x + yy * out_y)
            row_x[7], row_x[8] = -predicted[m, _Z], predicted[m, _Y]
            row_y[6], row_y[8] = predicted[m, _Z], -predicted[m, _X]
            drawn_x += weight * predicted[m, _SLOPE] * predicted[m, _Y]
            drawn_y -= weight * predicted[m, _SLOPE] * predicted[m, _X]
            w = weight / sigma**2
            for a in range(9):
                gradient[a] -= w * (row_x[a] * dx + row_y[a] * dy)
                for b in range(a, 9):
                    normal[a, b] += w * (row_x[a] * row_x[b] + row_y[a] * row_y[b])
    for a in range(9):
        for b in range(a):
            normal[a, b] = normal[b, a]
    _add_tilt(predicted, inliers, drawn_x, drawn_y, normal, gradient)
    gradient[0] += inliers * yy / determinant
    gradient[1] -= 2 * inliers * xy / determinant
    gradient[2] += inliers * xx / determinant
    return total, squares, inliers


@njit(cache=True)
def _add_tilt(predicted, inliers, drawn_x, drawn_y, normal, gradient):
    """What the choice of excited reflections says about the tilt: score and Fisher information.

    A turn about x moves a reflection along z by its y, a turn about y by minus its x.
    """
    mean_x, mean_y, square_x, square_y, product = 0.0, 0.0, 0.0, 0.0, 0.0
    for m in range(predicted.shape[0]):
        by_x = predicted[m, _SLOPE] * predicted[m, _Y]
        by_y = -predicted[m, _SLOPE] * predicted[m, _X]
        mean_x += predicted[m, _WEIGHT] * by_x
        mean_y += predicted[m, _WEIGHT] * by_y
        square_x += predicted[m, _WEIGHT] * by_x * by_x
        square_y += predicted[m, _WEIGHT] * by_y * by_y
        product += predicted[m, _WEIGHT] * by_x * by_y
    gradient[6] += drawn_x - inliers * mean_x
    gradient[7] += drawn_y - inliers * mean_y
    normal[6, 6] += inliers * (square_x - mean_x**2)
    normal[7, 7] += inliers * (square_y - mean_y**2)
    normal[6, 7] += inliers * (product - mean_x * mean_y)
    normal[7, 6] += inliers * (product - mean_x * mean_y)
