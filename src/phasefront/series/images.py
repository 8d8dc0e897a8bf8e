"""Images that say where a scan lies: of its grains, and its dark field, compared with the first's.

Each row of the least squares has a residual, a slope and a weight at every position of the first
scan, at the places (2, y, x) in the other scan where these are thought to lie.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import ndimage

# Images that stand for the grains: each grain has a random number in each, so that any two differ
# in most. Chosen.
_CODES = 6
# Positions of a grain, at least, whose dark field is compared: those of a tile.
_FEWEST = 64
# Smallest error of a code or a dark field, in their own spreads.
_FLOOR = 0.05
# A blur is whole if so much of it lies in the scan.
_WHOLE = 0.99

# Residual (n,), slope (2, n) and weight (n,).
Row = tuple[np.ndarray, np.ndarray, np.ndarray]


class Picture(NamedTuple):
    """What a scan shows of where it is."""

    label: np.ndarray  # (y, x) grain of each position, -1 none
    rotation: np.ndarray  # (grain, quaternion) frame of patterns to parent
    dark_field: np.ndarray  # (y, x)


def grain_rows(
    moved: np.ndarray, first: Picture, other: Picture, partner: np.ndarray, blur: float
) -> Iterator[Row]:
    """A row for each image that stands for the grains; `partner` is who each is in the other."""
    code = np.random.default_rng(0).normal(size=(_CODES, len(partner)))
    paired = partner >= 0
    code[:, ~paired] = 0.0
    of_other = np.zeros((_CODES, len(other.rotation) + 1))
    of_other[:, partner[paired]] = code[:, paired]
    known = np.zeros(len(other.rotation) + 1)
    known[partner[paired]] = known[-1] = 1.0
    weight = _blurred(np.append(paired, True)[first.label], blur).ravel()
    weight *= _sampled(_blurred(known[other.label], blur), moved)
    weight *= _whole(first, other, moved, blur)
    code = np.concatenate([code, np.zeros((_CODES, 1))], axis=1)
    for here, there in zip(code, of_other, strict=True):
        image = _blurred(there[other.label], blur)
        slope = _slope(image, moved)
        residual = _blurred(here[first.label], blur).ravel() - _sampled(image, moved)
        yield residual, slope, weight * _robust(residual, slope, weight)


def dark_rows(
    moved: np.ndarray, first: Picture, other: Picture, partner: np.ndarray, blur: float
) -> Iterator[Row]:
    """The same for the dark field, whose level and contrast are each grain's own.

    A tilt changes which spots a grain shows, and a camera may scale what it counts.
    """
    here, image = _blurred(first.dark_field, blur).ravel(), _blurred(other.dark_field, blur)
    there = _sampled(image, moved)
    slope = _slope(image, moved)
    inside = _whole(first, other, moved, blur)
    label = first.label.ravel()
    residual, weight = np.zeros_like(here), np.zeros_like(here)
    for grain in np.flatnonzero(partner >= 0):
        own = inside & (label == grain)
        if own.sum() < _FEWEST:
            continue
        level = np.stack([np.ones(own.sum()), here[own]], axis=1)
        fitted = level @ np.linalg.lstsq(level, there[own], rcond=None)[0]
        off = fitted - there[own]
        error = max(1.4826 * np.median(np.abs(off)), _FLOOR * float(np.std(there[own])))
        if error > 0:
            residual[own] = off
            weight[own] = 1.0 / error**2 / (1.0 + (off / (2 * error)) ** 2)
    yield residual, slope, weight


def _whole(first: Picture, other: Picture, moved: np.ndarray, blur: float) -> np.ndarray:
    """Whether the blur about a position lies in both scans: beyond their edges nothing is known."""
    here, there = (
        ndimage.gaussian_filter(np.ones(scan.label.shape), blur, mode="constant") > _WHOLE
        for scan in (first, other)
    )
    return here.ravel() & (_sampled(there.astype("f8"), moved) > _WHOLE)


def _robust(residual: np.ndarray, slope: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weights of Cauchy's kind, by the spread where the image has edges."""
    edges = (np.abs(slope).sum(axis=0) > _FLOOR) & (weight > 0.5)
    error = max(float(np.sqrt(np.mean(residual[edges] ** 2))) if edges.any() else 1.0, _FLOOR)
    return 1.0 / error**2 / (1.0 + (residual / (2 * error)) ** 2)


def _blurred(image: np.ndarray, blur: float) -> np.ndarray:
    return ndimage.gaussian_filter(np.asarray(image, "f8"), blur, mode="nearest")


def _sampled(image: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Values (n,) of an image at places (2, y, x), linear between positions, 0 outside."""
    return ndimage.map_coordinates(image, moved.reshape(2, -1), order=1, mode="constant")


def _slope(image: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Slopes (2, n) of an image down its rows and along them, at places (2, y, x)."""
    parts = [
        np.gradient(image, axis=axis) if image.shape[axis] > 1 else np.zeros_like(image)
        for axis in (0, 1)
    ]
    return np.stack([_sampled(part, moved) for part in parts])
