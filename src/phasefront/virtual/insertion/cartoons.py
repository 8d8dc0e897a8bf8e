"""Drawn grains: the same morphologies without any physics, and some that have no name.

Each is a height over the grain, cut at the level where the rich phase fills the share asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

_INTERFACE = 0.8  # half width of an interface, cells


def draw_history(
    kind: str, inside: np.ndarray, shares: Sequence[float], rng: np.random.Generator
) -> np.ndarray:
    """States of a grain that fills, (share, ny, nx): ion content from 0 to 1, 0 outside.

    Parameters
    ----------
    kind
        One of `KINDS`.
    inside
        Cells of the grain, (ny, nx).
    shares
        Mean content of each state.
    """
    height = KINDS[kind](inside, rng)
    return np.stack([_filled(height, inside, share) for share in shares])


def _filled(height: np.ndarray | None, inside: np.ndarray, share: float) -> np.ndarray:
    from scipy.optimize import brentq
    from scipy.special import expit

    if height is None:
        return share * inside

    def content(level: float) -> np.ndarray:
        return expit((height[inside] - level) / _INTERFACE)

    reach = 20 * _INTERFACE
    level = brentq(
        lambda at: content(at).mean() - share, height[inside].min() - reach,
        height[inside].max() + reach,
    )  # fmt: skip
    filled = np.zeros(inside.shape)
    filled[inside] = content(level)
    return filled


def _coordinates(inside: np.ndarray, rng) -> tuple[np.ndarray, np.ndarray, float]:
    """Coordinates of the cells from the grain's middle, turned at random, and its radius."""
    y, x = np.mgrid[: inside.shape[0], : inside.shape[1]].astype(float)
    y, x = y - y[inside].mean(), x - x[inside].mean()
    turn = rng.uniform(0, 2 * np.pi)
    radius = np.sqrt(inside.sum() / np.pi)
    return np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x, radius


def _depth(inside: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    return ndimage.distance_transform_edt(inside)


def _front(inside, rng):
    return _coordinates(inside, rng)[0]


def _curved_front(inside, rng):
    along, across, radius = _coordinates(inside, rng)
    return -np.hypot(along - radius * rng.uniform(0.9, 1.3), across)


def _band(inside, rng):
    along, _, radius = _coordinates(inside, rng)
    return rng.choice([-1, 1]) * np.abs(along - radius * rng.uniform(-0.2, 0.2))


def _core(inside, rng):
    return -_depth(inside)


def _inner_nucleus(inside, rng):
    along, across, radius = _coordinates(inside, rng)
    return -np.hypot(along - radius * rng.uniform(0, 0.25), across * rng.uniform(0.8, 1.25))


def _mosaic(inside, rng):
    from scipy import ndimage

    patch = np.sqrt(inside.sum()) * rng.uniform(0.08, 0.13)
    field = ndimage.gaussian_filter(rng.standard_normal(inside.shape), patch, mode="wrap")
    return 2 * patch * field / field.std()


def _uniform(inside, rng):
    return None


def _slope(inside, rng):
    # So gentle that most of the grain lies between the phases.
    return _coordinates(inside, rng)[0] * rng.uniform(0.06, 0.085)


def _ring(inside, rng):
    depth = _depth(inside)
    return -np.abs(depth - depth.max() * rng.uniform(0.4, 0.5))


def _finger(inside, rng):
    along, across, radius = _coordinates(inside, rng)
    # A tongue that winds its way in from one side.
    winding = radius * rng.uniform(0.3, 0.45) * np.sin(along / radius * rng.uniform(3.5, 5))
    return -np.maximum(np.abs(across - winding), along - 0.3 * radius)


def _star(inside, rng):
    along, across, _ = _coordinates(inside, rng)
    arms = rng.integers(3, 6)
    azimuth = np.arctan2(across, along)
    return -np.hypot(along, across) * (1.3 - np.cos(arms * azimuth))


def _zigzag(inside, rng):
    along, across, radius = _coordinates(inside, rng)
    period = radius * rng.uniform(0.6, 0.9)
    teeth = np.abs((across / period + rng.uniform(0, 1)) % 1 - 0.5)
    return along + radius * rng.uniform(0.6, 1.2) * teeth


def _chevron(inside, rng):
    along, across, radius = _coordinates(inside, rng)
    return -np.abs(along - rng.uniform(0.7, 1.2) * (np.abs(across) - 0.35 * radius))


def _spiral(inside, rng):
    along, across, radius = _coordinates(inside, rng)
    turn = np.arctan2(across, along) / (2 * np.pi)
    pitch = radius * rng.uniform(0.6, 0.8)
    return -np.abs((np.hypot(along, across) / pitch - turn) % 1 - 0.5) * pitch


def _crescent(inside, rng):
    # From one place along the outline, faster than inwards.
    along, across, radius = _coordinates(inside, rng)
    azimuth = np.abs(np.arctan2(across, along))
    return -(_depth(inside) * rng.uniform(1.5, 2.5) + 0.5 * radius * azimuth)


KINDS: dict[str, Callable] = {
    "front": _front,
    "curved front": _curved_front,
    "band": _band,
    "core": _core,
    "inner nucleus": _inner_nucleus,
    "mosaic": _mosaic,
    "uniform": _uniform,
    "slope": _slope,
    "ring": _ring,
    "finger": _finger,
    "star": _star,
    "zigzag": _zigzag,
    "chevron": _chevron,
    "spiral": _spiral,
    "crescent": _crescent,
}

# What is none of the morphologies, whatever its topology; a crescent goes by it.
UNNAMED = ("slope", "ring", "finger", "star", "zigzag", "chevron", "spiral")
