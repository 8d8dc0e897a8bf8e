"""Two maps on one grid at the resolution of the coarser, with errors, for any placement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from phasefront.registration.channels import extra_sigma
from phasefront.registration.placement import Placement

# Share of the weight under the probe, or between four pixels, that must be known; chosen.
_LEAST_KNOWN = 0.6
# Share of the specimen under the probe whose structure must be known: the rest is seen by the map
# alone, such as a grain over another. Chosen.
_LEAST_SEEN = 0.9
# Narrower Gaussians, in positions, change nothing and average over one position.
_NARROW = 0.3


@dataclass(frozen=True)
class Quantity:
    """A measured map (y, x) and its standard error, NaN where not known.

    `pixel_nm` is the distance of neighbours, `resolution_nm` the probe's full width at half
    maximum.
    """

    value: np.ndarray
    stderr: np.ndarray
    pixel_nm: float
    resolution_nm: float


@dataclass(frozen=True)
class OnGrid:
    """Values and standard errors (row, column) at points of the scan; NaN where not known."""

    value: np.ndarray
    stderr: np.ndarray


class CommonGrid:
    """Every `stride`-th position of a scan, about as far apart as the map's pixels."""

    def __init__(self, shape: tuple[int, int], step_nm: float, map_pixel_nm: float):
        self.stride = max(1, round(map_pixel_nm / step_nm))
        self.step_nm = step_nm * self.stride
        self.rows, self.columns = (np.arange(self.stride // 2, size, self.stride) for size in shape)
        grid = np.meshgrid(self.rows, self.columns, indexing="ij")
        self.positions = np.stack(grid, axis=-1) * step_nm  # (row, column, 2), nm on the scan

    def pick(self, image: np.ndarray) -> np.ndarray:
        """An image of the scan (y, x) at the grid's points."""
        return image[np.ix_(self.rows, self.columns)]

    def of_scan(
        self, structure: Quantity, other: Quantity, weight: np.ndarray | None = None
    ) -> OnGrid:
        """A map of the scan under the wider probe of `other`, and as its pixels smear it.

        `weight` (y, x) is what a beam through the specimen weighs positions by: thickness.
        """
        probe = extra_sigma(other.resolution_nm, structure.resolution_nm)
        # Linear interpolation between pixels p apart spreads by p^2/6 on average over places.
        sigma = np.hypot(probe, other.pixel_nm / np.sqrt(6)) / structure.pixel_nm
        known = np.isfinite(structure.value) & np.isfinite(structure.stderr)
        every = np.ones(known.shape) if weight is None else np.clip(weight, 1e-6, None)
        weights = np.where(known, every, 0.0)
        if sigma < _NARROW:
            found = np.where(known, structure.value, np.nan)
            return OnGrid(self.pick(found), self.pick(np.where(known, structure.stderr, np.nan)))
        total = ndimage.gaussian_filter(weights, sigma, mode="constant")
        whole = ndimage.gaussian_filter(known * 1.0, sigma, mode="constant")
        mean = ndimage.gaussian_filter(
            weights * np.where(known, structure.value, 0.0), sigma, mode="constant"
        )
        # The square of a Gaussian is one of sigma/sqrt(2), of the sum 1/(4 pi sigma^2).
        variance = ndimage.gaussian_filter(
            (weights * np.where(known, structure.stderr, 0.0)) ** 2, sigma / np.sqrt(2),
            mode="constant",
        ) / max(1.0, 4 * np.pi * sigma**2)  # fmt: skip
        enough = (whole > _LEAST_KNOWN) & known
        if weight is not None:
            seen = ndimage.gaussian_filter(every, sigma, mode="constant")
            enough &= total > _LEAST_SEEN * seen
        total = np.where(enough, total, 1.0)
        value = np.where(enough, mean / total, np.nan)
        error = np.where(enough, np.sqrt(variance) / total, np.nan)
        return OnGrid(self.pick(value), self.pick(error))

    def of_map(self, quantity: Quantity, placement: Placement) -> OnGrid:
        """A map laid by `placement` at the grid's points, between four pixels each."""
        at = placement.pixels(self.positions)
        low = np.floor(at).astype(int)
        part = at - low
        known = np.isfinite(quantity.value) & np.isfinite(quantity.stderr)
        value, variance = (
            np.where(known, image, 0.0) for image in (quantity.value, quantity.stderr**2)
        )
        total, mean, spread = (np.zeros(at.shape[:2]) for _ in range(3))
        for down in (0, 1):
            for right in (0, 1):
                row, column = low[..., 0] + down, low[..., 1] + right
                inside = (row >= 0) & (row < value.shape[0]) & (column >= 0)
                inside &= column < value.shape[1]
                row, column = (np.where(inside, index, 0) for index in (row, column))
                weight = np.abs(1 - down - part[..., 0]) * np.abs(1 - right - part[..., 1])
                weight = weight * (inside & known[row, column])
                total += weight
                mean += weight * value[row, column]
                spread += weight**2 * variance[row, column]
        enough = total > _LEAST_KNOWN
        total = np.where(enough, total, 1.0)
        return OnGrid(
            np.where(enough, mean / total, np.nan),
            np.where(enough, np.sqrt(spread) / total, np.nan),
        )
