"""Radii of spots and of the beam."""

from __future__ import annotations

import math

import numpy as np

from phasefront.spots import detection
from phasefront.spots.dark import Dark

_NARROWEST = 1 / math.sqrt(12)  # pixels, the standard deviation of a pixel itself
_START_RADIUS = 4.0  # of a spot in pixels, before it is measured; chosen, and refined


def measure_spot_radius(
    patterns: np.ndarray, centres: np.ndarray, *, probe_radius: float, mask: np.ndarray,
    dark: Dark,
) -> float:  # fmt: skip
    """Twice the rms width of the strong spots, pixels: a disk's radius, two sigma of a Gaussian.

    The width is measured under a Gaussian weight as wide as the last estimate and corrected for it
    (adaptive moments: Bernstein and Jarvis, Astron. J. 123, 583, 2002). Without spots, the radius
    of the direct beam stands in, which is the spots' own unless it is saturated.
    """
    radius = min(_START_RADIUS, probe_radius)
    patterns = np.asarray(patterns, dtype=np.float32)
    for _ in range(4):
        found = detection.find_pixel_spots(
            patterns, centres, spot_radius=radius, beam_radius=probe_radius + radius, mask=mask,
            dark=dark,
        )  # fmt: skip
        if not found.significance.size:
            return probe_radius
        strong = found.significance >= max(12.0, float(np.median(found.significance)))
        if strong.sum() < 5:
            return radius
        of = np.repeat(np.arange(len(patterns)), np.diff(found.offset))
        widths = [
            _adaptive_width(patterns[i], y, x, radius / 2)
            for i, y, x in zip(of[strong], found.y[strong], found.x[strong], strict=True)
        ]
        if not np.isfinite(widths).any():
            return radius
        last, radius = radius, float(np.clip(2 * np.nanmedian(widths), 1.5, 3 * probe_radius + 3))
        if abs(radius - last) < 0.02 * radius:
            break
    return radius


def _adaptive_width(pattern: np.ndarray, row: float, column: float, sigma: float) -> float:
    """Standard deviation of a spot along one axis, pixels; NaN where it cannot be measured."""
    for _ in range(20):
        reach = math.ceil(4 * sigma)
        y0, x0 = round(float(row)) - reach, round(float(column)) - reach
        if y0 < 0 or x0 < 0:
            return np.nan
        window = pattern[y0 : y0 + 2 * reach + 1, x0 : x0 + 2 * reach + 1]
        if window.shape != (2 * reach + 1, 2 * reach + 1):
            return np.nan
        y, x = np.indices(window.shape)
        distance = (y + y0 - row) ** 2 + (x + x0 - column) ** 2
        outer = distance > (3.2 * sigma) ** 2
        weight = np.exp(-0.5 * distance / sigma**2) * (window - np.median(window[outer]))
        if weight.sum() <= 0:
            return np.nan
        measured = (weight * distance).sum() / weight.sum() / 2
        if not 0 < measured < 0.9 * sigma**2:
            return np.nan
        # Product of two Gaussians: 1 / measured = 1 / sigma_spot^2 + 1 / sigma_weight^2.
        spot = 1 / math.sqrt(1 / measured - 1 / sigma**2)
        if spot < _NARROWEST:
            return np.nan
        if abs(spot - sigma) < 1e-3:
            return spot
        sigma = spot
    return sigma


def measure_beam_radius(
    patterns: np.ndarray, centres: np.ndarray, *, probe_radius: float, spot_radius: float,
    mask: np.ndarray,
) -> float:  # fmt: skip
    """Radius around the direct beam inside which no spots should be looked for, pixels.

    At least the beam's and a spot's radius, and as far as the mean radial profile, from the beam
    outwards, falls by more than a quarter over half a spot radius.
    """
    ny, nx = mask.shape
    y, x = np.indices(mask.shape)
    size = math.ceil(math.hypot(ny, nx)) + 1
    total, number = np.zeros(size), np.zeros(size)
    for pattern, (row, column) in zip(patterns, centres, strict=True):
        ring = np.hypot(y - row, x - column)[mask].astype(int)
        total += np.bincount(np.minimum(ring, size - 1), pattern[mask], size)
        number += np.bincount(np.minimum(ring, size - 1), minlength=size)
    profile = total[number > 0] / number[number > 0]
    start = math.ceil(probe_radius)
    fall = -np.diff(np.log(np.maximum(profile, 1e-12 + 1e-9 * profile.max())))
    steep = fall[start:] * spot_radius / 2 > 0.25
    reach = start + (len(steep) if steep.all() else int(np.argmin(steep)))
    return float(max(probe_radius + spot_radius, min(reach, min(ny, nx) / 4)))
