"""Images that grow with thickness, of which two instruments' maps are laid on each other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from phasefront.core.errors import InputError

# Full width at half maximum of a Gaussian over its standard deviation.
FWHM_OVER_SIGMA = 2 * np.sqrt(2 * np.log(2))
# Fewest positions of a grain that has a contrast curve of its own; chosen.
_FEWEST_OF_GRAIN = 30
# Fewest rows and columns, and share of pixels with a value, that a fit of rows makes sense with;
# chosen.
_FEWEST_ROWS, _LEAST_KNOWN = 8, 0.2


@dataclass(frozen=True)
class Channel:
    """An image that grows with the specimen's thickness: never the chemistry under test.

    `value` and its standard error `stderr` are (y, x), NaN where not known; `pixel_nm` is the
    distance of neighbours, `resolution_nm` the full width at half maximum of the probe.
    """

    name: str
    value: np.ndarray
    stderr: np.ndarray
    pixel_nm: float
    resolution_nm: float

    @property
    def known(self) -> np.ndarray:
        """Where (y, x) there is a value with an error."""
        return np.isfinite(self.value) & np.isfinite(self.stderr) & (self.stderr > 0)

    def check(self) -> None:
        """Raise InputError for an image that nothing can be laid by."""
        problem = None
        if self.value.ndim != 2 or self.value.shape != self.stderr.shape:
            problem = f"value and error have shapes {self.value.shape} and {self.stderr.shape}"
        elif min(self.value.shape) < _FEWEST_ROWS:
            problem = f"has {self.value.shape[0]} x {self.value.shape[1]} pixels"
        elif not (self.pixel_nm > 0 and np.isfinite(self.pixel_nm)):
            problem = f"has pixels of {self.pixel_nm:g} nm"
        elif not (self.resolution_nm >= 0 and np.isfinite(self.resolution_nm)):
            problem = f"has a resolution of {self.resolution_nm:g} nm"
        elif self.known.mean() < _LEAST_KNOWN:
            problem = f"has a value and an error in {self.known.mean():.0%} of the pixels"
        elif np.ptp(self.value[self.known]) <= 0:
            problem = "is the same everywhere"
        if problem:
            raise InputError(
                self.name, problem, field="thickness channel",
                remedy="give an image (y, x) that grows with thickness, its standard error, the"
                " pixel and the probe's width in nm",
            )  # fmt: skip

    def binned(self, times: int) -> Channel:
        """Means of blocks of `times` x `times` pixels, for fewer and independent ones."""
        if times == 1:
            return self
        rows, columns = (size // times for size in self.value.shape)
        blocks = [
            np.where(self.known, image, np.nan)[: rows * times, : columns * times].reshape(
                rows, times, columns, times
            )
            for image in (self.value, self.stderr**2)
        ]
        whole = np.isfinite(blocks[0]).all(axis=(1, 3))
        value, variance = (np.where(whole, block.mean(axis=(1, 3)), np.nan) for block in blocks)
        return replace(
            self, value=value, stderr=np.sqrt(variance) / times, pixel_nm=self.pixel_nm * times
        )


def filled(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """`image` (y, x) with the nearest known value where it is not known."""
    if known.all():
        return image
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return image[tuple(nearest)]


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """`image` (y, x) under a Gaussian of `sigma` pixels; the margin goes on as it ends."""
    return ndimage.gaussian_filter(image, sigma, mode="nearest") if sigma > 0 else image


def extra_sigma(coarse_nm: float, fine_nm: float) -> float:
    """Standard deviation in nm of the Gaussian that turns the finer of two resolutions (full
    widths at half maximum) into the coarser; 0 where `fine_nm` is not the finer one."""
    return float(np.sqrt(max(0.0, coarse_nm**2 - fine_nm**2)) / FWHM_OVER_SIGMA)


def background(channel: Channel, label: np.ndarray) -> float:
    """Median value beside the grains of `label` (y, x; -1 none), or the smallest value known."""
    beside = channel.known & (label < 0)
    values = channel.value[channel.known]
    return float(np.median(channel.value[beside]) if beside.sum() >= 10 else values.min())


def contrast_groups(label: np.ndarray) -> np.ndarray:
    """Numbers from 0 (y, x) of positions with one contrast curve: each grain of `label`, and one
    of the grains too small for their own and of what lies beside grains."""
    numbers, inverse, count = np.unique(label, return_inverse=True, return_counts=True)
    own = (numbers >= 0) & (count >= _FEWEST_OF_GRAIN)
    place = np.where(own, np.cumsum(own), 0)[inverse.reshape(label.shape)]
    return np.unique(place, return_inverse=True)[1].reshape(label.shape)
