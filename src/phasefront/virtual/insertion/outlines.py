"""Outlines of grains on a grid: convex, with facets of any direction, some of them rounded."""

from __future__ import annotations

import numpy as np

# Facets of an outline, their distance from the centre in mean radii, and the ratio of two axes.
_FACETS, _DISTANCE, _STRETCH = (4, 9), (0.75, 1.15), (0.6, 1.0)
_ROUNDED = 0.3  # share of grains without facets
_MARGIN = 2  # empty cells at the border of the grid


def draw_outlines(count: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Cells of `count` convex grains on grids of `size` x `size`, (count, size, size), bool.

    A grain reaches to within two cells of the border in at least one direction.
    """
    return np.stack([_outline(size, rng) for _ in range(count)])


def _outline(size: int, rng: np.random.Generator) -> np.ndarray:
    from scipy import ndimage

    middle = (size - 1) / 2
    y, x = np.mgrid[:size, :size] - middle
    turn, stretch = rng.uniform(0, np.pi), rng.uniform(*_STRETCH)
    along = np.cos(turn) * x + np.sin(turn) * y
    across = (np.cos(turn) * y - np.sin(turn) * x) / stretch
    if rng.random() < _ROUNDED:
        outwards = np.hypot(along, across)
    else:
        number = int(rng.integers(*_FACETS))
        azimuths = 2 * np.pi * (np.arange(number) + rng.uniform(-0.35, 0.35, number)) / number
        distances = rng.uniform(*_DISTANCE, number)[:, None, None]
        normals = np.stack([np.cos(azimuths), np.sin(azimuths)])[..., None, None]
        outwards = ((normals[0] * along + normals[1] * across) / distances).max(axis=0)
    # The level at which the shape just keeps the margin.
    border = np.maximum(np.abs(y), np.abs(x)) > middle - _MARGIN
    inside = outwards < outwards[border].min()
    # The tip of a narrow grain may hang on by a corner.
    piece, _ = ndimage.label(inside)
    return piece == np.bincount(piece[inside]).argmax()
