"""The background and noise of a pattern in plain NumPy, which the kernels are held to."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

from phasefront.spots.detection import separable
from phasefront.spots.kernels import (
    CLIP,
    FRAME_INNER,
    FRAME_OUTER,
    LEAN,
    MAD,
    PASSES,
    SHADOW,
    SPIKE,
    STANDS,
    STEPS_TOGETHER,
    TILE,
    smooth_outwards,
)


def background_and_noise(pattern, cy, cx, metric, plan, beam_radius):
    """Background and variance as `kernels.background_and_noise` has them of many electrons."""
    step, sigma = plan.step, plan.sigma
    filtered = separable(np.where(plan.valid, pattern, 0), plan.taps)[::step, ::step] * plan.weight
    y, x = np.indices(filtered.shape) * step
    yy, yx, xx = metric
    radius = np.sqrt(yy * (y - cy) ** 2 + 2 * yx * (y - cy) * (x - cx) + xx * (x - cx) ** 2)
    width = max(1.0, 0.5 * step)
    ring = (radius / width).astype(int)
    quarter = 2 * (y > cy) + (x > cx)
    tile = 4 * (radius / (TILE * sigma)).astype(int) + quarter
    outside = (radius >= beam_radius) & (plan.weight > 0)

    samples = np.bincount(ring[outside], minlength=ring.max() + 2)
    raw = np.array([_upper_median(filtered[outside & (ring == b)]) for b in range(len(samples))])
    level = smooth_outwards(raw, samples.astype(float))
    at = np.maximum(radius / width - 0.5, 0)
    first = at.astype(int)
    p, q, r, s = (level[np.clip(first + k, 0, len(level) - 1)] for k in (-1, 0, 1, 2))
    t = at - first
    between = q + 0.5 * t * (r - p + t * (2 * p - 5 * q + 4 * r - s + t * (3 * (q - r) + s - p)))
    above = np.where(outside, filtered - between, 0)

    # Frames are of every other cell either way.
    every_other = (slice(None, None, 2), slice(None, None, 2))
    some, high, tile_of = (values[every_other] for values in (outside, above, tile))
    inner = int(FRAME_INNER * sigma / (2 * step) + 0.5)
    outer = max(inner + 1, int(FRAME_OUTER * sigma / (2 * step)))
    ceiling = np.full(high.shape, CLIP * MAD * _upper_median(np.abs(high[some])))
    local = _frame_mean_numpy(high, some & (high < ceiling), inner, outer)
    stands = above - _between(local, above.shape)

    valid = np.pad(plan.valid, ((0, 0), (0, 1)))[::step, 1::step][:, : filtered.shape[1]]
    beside = np.pad(pattern, ((0, 0), (0, 1)))[::step, 1::step][:, : filtered.shape[1]]
    change = np.abs(pattern[::step, ::step] - beside)
    steps = change[outside & valid & (change > 0)]
    scatter, peak = MAD * _upper_median(np.abs(stands[every_other][some])), plan.taps.max() ** 2
    limit = max(STANDS * scatter, STEPS_TOGETHER * peak * steps.min())
    spike = max(SPIKE * scatter / peak, STEPS_TOGETHER * steps.min())
    away = pattern[::step, ::step] - filtered
    quiet = outside & (stands - peak * (away + stands) < limit) & (away < spike)
    pair = quiet & valid
    tiles = 4 * (tile.max() // 4 + 1)
    near = [slice(max(4 * (t // 4) - 4, 0), 4 * (t // 4) + 8) for t in range(tiles)]

    def leaning(values, used):
        total = np.bincount(tile[used], values[used], tiles)
        number = np.bincount(tile[used], minlength=tiles)
        around = [
            total[n].sum() / number[n].sum() if number[n].any() else total.sum() / number.sum()
            for n in near
        ]
        return (total + LEAN * np.array(around)) / (number + LEAN)

    shared = np.sum(plan.taps**2) ** 2
    pixel = leaning(away**2, quiet) / (1 - 2 * peak + shared)
    smallest = np.array(
        [np.min(change[pair & (tile == t) & (change > 0)], initial=np.inf) for t in range(tiles)]
    )
    grey = np.array([smallest[n].min() for n in near])
    grey = np.where(np.isfinite(grey), grey, 0)
    free = np.maximum(leaning(0.5 * change**2, pair) - grey**2 / 12, 0)
    damped = np.divide(free, grey**2, out=np.zeros(tiles), where=grey > 0)
    rounding = grey**2 / 12 * np.exp(-4 * np.pi**2 * damped)
    of_tile = shared * pixel + rounding
    variance = of_tile[tile_of]

    def structure():
        below = some & (high < local)
        return max(1.0, MAD**2 * _upper_median((high - local)[below] ** 2 / variance[below]))

    for _ in range(PASSES):
        ceiling = local + CLIP * np.sqrt(structure() * variance)
        local = _frame_mean_numpy(high, some & (high < ceiling), inner, outer)
    below = some & (high < local)
    squares = np.minimum((high - local) ** 2 / variance, SHADOW * structure())[below]
    of_ring = np.bincount(tile_of[below] // 4, squares, tiles // 4) + LEAN * structure()
    of_ring /= np.bincount(tile_of[below] // 4, minlength=tiles // 4) + LEAN
    everywhere = filtered - above + _between(local, filtered.shape)
    return everywhere, (of_tile * np.repeat(np.maximum(of_ring, 1), 4))[tile]


def _between(values, shape):
    at = [np.minimum(np.arange(n) / 2, m - 1) for n, m in zip(shape, values.shape, strict=True)]
    return map_coordinates(values, np.meshgrid(*at, indexing="ij"), order=1)


def _upper_median(values):
    return np.partition(values, values.size // 2)[values.size // 2] if values.size else 0.0


def _frame_mean_numpy(values, used, inner, outer):
    from scipy.ndimage import convolve

    frame = np.ones((2 * outer + 1, 2 * outer + 1))
    hole = slice(outer - inner, outer + inner + 1)
    frame[hole, hole] = 0
    total = convolve(np.where(used, values, 0), frame, mode="constant")
    return total / np.maximum(convolve(used.astype(float), frame, mode="constant").round(), 1)
