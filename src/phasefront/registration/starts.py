"""Rough placements of a map on a scan: both mirrors, all turns, and scales near the stated one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import fft

from phasefront.registration.channels import Channel, blurred, extra_sigma, filled
from phasefront.registration.placement import interpolated, similarity

# Degrees and scales that are tried; a fit finds its way from half of the steps between them.
TURNS_DEG = np.arange(0.0, 360.0, 15.0)
# Within the prior of scales.
SCALES = (0.96, 1.0, 1.04)
# Pixels along the longer side of the images that are compared; chosen for speed.
_SIDE = 72
# Share of the scan's crystal that the map must show, by the channel's signal; chosen.
LEAST_SHOWN = 0.5
# Starts of one mirror differ by more than this turn, degrees, or this share of the field.
_APART_DEG, _APART = 20.0, 0.15


class Start(NamedTuple):
    """A rough placement, and the correlation of the two images under it."""

    middle: np.ndarray
    angle_deg: float
    scale: float
    mirrored: bool
    correlation: float


def find_starts(
    moving: Channel, fixed: Channel, *, each: int, mirrors: tuple[bool, ...] = (False, True)
) -> list[Start]:
    """The `each` best rough placements of either mirror, the best first.

    Parameters
    ----------
    moving, fixed
        Thickness channels of the map and of the scan.
    mirrors
        Whether the map may be turned over, or not.

    Correlations are those of what both images show, at every shift (Padfield, IEEE Trans. Image
    Process. 21, 2706, 2012).
    """
    coarse = max(moving.resolution_nm, fixed.resolution_nm)
    longest = max(np.array(fixed.value.shape) * fixed.pixel_nm)
    step = max(longest / _SIDE, fixed.pixel_nm)
    still = _smooth(fixed, max(coarse, 2 * step))
    rows, columns = (int(size * fixed.pixel_nm / step) for size in fixed.value.shape)
    grid = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=-1)
    target = interpolated(still, grid * step / fixed.pixel_nm)
    seen = interpolated(fixed.known.astype("f8"), grid * step / fixed.pixel_nm) > 0.5
    soft = _smooth(moving, max(coarse, 2 * step))
    extent = np.hypot(*moving.value.shape) * moving.pixel_nm * max(SCALES)
    side = int(np.ceil(extent / step)) + 1
    own = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), axis=-1)
    middle = np.full(2, (side - 1) / 2 * step)
    found: list[Start] = []
    correlate = _Correlator(np.nan_to_num(target), seen & np.isfinite(target), side)
    for mirrored in mirrors:
        tried = []
        for angle in TURNS_DEG:
            for scale in SCALES:
                laid = similarity(
                    moving.value.shape, moving.pixel_nm, middle=middle, angle_deg=angle,
                    scale=scale, mirrored=mirrored,
                )  # fmt: skip
                at = laid.pixels(own * step)
                image = interpolated(soft, at)
                mask = interpolated(moving.known.astype("f8"), at) > 0.5
                best, shift = correlate(np.nan_to_num(image), mask & np.isfinite(image))
                tried.append(Start(middle + shift * step, angle, scale, mirrored, best))
        found += _distinct(sorted(tried, key=lambda one: -one.correlation), each, longest)
    return sorted(found, key=lambda one: -one.correlation)


def _smooth(channel: Channel, resolution_nm: float) -> np.ndarray:
    sigma = extra_sigma(resolution_nm, channel.resolution_nm) / channel.pixel_nm
    return blurred(filled(channel.value, channel.known), sigma)


def _distinct(tried: list[Start], most: int, longest: float) -> list[Start]:
    kept: list[Start] = []
    for one in tried:
        if len(kept) < most and all(
            abs((one.angle_deg - other.angle_deg + 180) % 360 - 180) > _APART_DEG
            or np.hypot(*(one.middle - other.middle)) > _APART * longest
            for other in kept
        ):
            kept.append(one)
    return kept


class _Correlator:
    """Correlation of images with one target at all shifts, over the pixels that both have."""

    def __init__(self, target: np.ndarray, mask: np.ndarray, side: int):
        self.shape = tuple(fft.next_fast_len(size + side, real=True) for size in target.shape)
        self.target_shape = target.shape
        centred = np.where(mask, target - target[mask].mean(), 0.0)
        self.parts = [fft.rfft2(part, self.shape) for part in (mask * 1.0, centred, centred**2)]
        self.signal = np.where(mask, target - np.quantile(target[mask], 0.05), 0.0).clip(0)
        self.signal_part = fft.rfft2(self.signal, self.shape)

    def __call__(self, image: np.ndarray, mask: np.ndarray) -> tuple[float, np.ndarray]:
        """Best correlation, and the shift (y, x) in pixels of the image that gives it."""
        if not mask.any():
            return -1.0, np.zeros(2)
        centred = np.where(mask, image - image[mask].mean(), 0.0)
        ours = [
            fft.rfft2(part, self.shape).conj() for part in (mask * 1.0, centred, centred**2)
        ]  # fmt: skip
        one, value, square = self.parts

        def summed(theirs: np.ndarray, own: np.ndarray) -> np.ndarray:
            return fft.irfft2(theirs * own, self.shape)

        number = summed(one, ours[0])
        mean_t, mean_i = summed(value, ours[0]), summed(one, ours[1])
        shown = summed(self.signal_part, ours[0]) / max(self.signal.sum(), 1e-300)
        possible = (number > 50) & (shown > LEAST_SHOWN)
        number = np.maximum(number, 1.0)
        covariance = summed(value, ours[1]) - mean_t * mean_i / number
        variance = (summed(square, ours[0]) - mean_t**2 / number) * (
            summed(one, ours[2]) - mean_i**2 / number
        )
        floor = 1e-6 * self.signal.size * variance.max() / max(number.max(), 1.0)
        correlation = covariance / np.sqrt(np.maximum(variance, max(floor, 1e-300)))
        correlation[~possible] = -1.0
        place = np.unravel_index(np.argmax(correlation), correlation.shape)
        shift = np.array(place, "f8")
        for axis in (0, 1):
            if shift[axis] >= self.target_shape[axis]:
                shift[axis] -= self.shape[axis]
        return float(correlation[place]), shift
