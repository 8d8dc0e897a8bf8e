"""Optical density of X-ray stacks: I0, noise, drift, and where it is too high to be believed."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from scipy import ndimage

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.stacks import DENSITY
from phasefront.stacks import drift
from phasefront.stacks.formats.stack import XRAY

# Second differences of counts along a row have six times the variance of a count.
_OF_SECOND_DIFFERENCES = 6.0
# Less pixels, or counts, do not tell how noisy counts are.
_FEWEST = 50


def i0_of_region(
    counts: np.ndarray, dark: np.ndarray, region: tuple[slice, slice]
) -> tuple[np.ndarray, np.ndarray, float]:
    """I0 from pixels without a sample: counts without the dark ones, variance, noise factor.

    Parameters
    ----------
    counts, dark
        (energy, y, x) and (energy,).
    region
        Rows and columns without a sample in every image.

    The noise factor is the variance of counts over that of Poisson's law, by second differences
    along the rows, which a slow change of the beam hardly touches.
    """
    empty = counts[(slice(None), *region)]
    flat = empty.reshape(len(counts), -1)
    mean = flat.mean(axis=1)
    factor = 1.0
    if empty.shape[2] >= 3 and flat.shape[1] >= _FEWEST and (mean > 0).all():
        second = np.diff(empty, 2, axis=2)
        noise = (second**2).mean(axis=(1, 2)) / _OF_SECOND_DIFFERENCES
        factor = float(np.median(noise / mean))
    return mean - dark, factor * mean / flat.shape[1], factor


def optical_density(
    counts: np.ndarray, i0: np.ndarray, dark: np.ndarray, *, i0_variance: np.ndarray | float = 0.0,
    noise: np.ndarray | float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """-ln((N - d) / I0) and its variance (energy, y, x), by Beer and Lambert.

    Parameters
    ----------
    counts
        N (energy, y, x), NaN where there are none.
    i0, dark, i0_variance
        (energy,): counts without a sample, less the dark ones, these, and the variance of I0.
    noise
        Variance of a count over the count, of one number or for each energy.

    The logarithm of a noisy count is too low by half its relative variance, which is taken off.
    Where no more than the dark counts came through, the density is NaN and its variance infinite:
    it is not known, and not some large number.
    """
    noise = np.broadcast_to(noise, len(counts))[:, None, None]
    light = counts - dark[:, None, None]
    through = light > 0
    safe = np.where(through, light, 1.0)
    relative = noise * np.where(through, counts, 1.0) / safe**2
    density = -np.log(safe / i0[:, None, None]) - relative / 2
    variance = relative + (np.broadcast_to(i0_variance, len(i0)) / i0**2)[:, None, None]
    return np.where(through, density, np.nan), np.where(through, variance, np.inf)


def measure_density(
    stack: xr.Dataset, *, align: bool, max_density: float, stray_share: float
) -> xr.Dataset:
    """A DENSITY dataset of a STACK one.

    Parameters
    ----------
    align
        Whether drift is measured and taken out.
    max_density
        Optical densities above are `saturated`, by the mean of 3 x 3 pixels, lest noise decides:
        there dark counts, higher orders and the width of the beam's spectrum make up what is seen
        (Hanhan et al., J. Electron Spectrosc. 173, 44, 2009; Watts, J. Synchrotron Rad. 29, 2022).
    stray_share
        Light that no sample takes away, of I0, at most: higher orders and the like.

    Raises
    ------
    InputError
        No X-ray stack, or images that cannot be laid on each other.
    """
    name = stack.attrs["stack"]
    if stack.attrs["kind"] != XRAY:
        raise InputError(
            name, f"it holds {stack.attrs['kind']}, which has no optical density", field="kind",
            remedy="leave out its density",
        )  # fmt: skip
    counts = stack["counts"].values.astype(float)
    energy, i0, dark = (stack[key].values for key in ("energy", "i0", "dark"))
    shift, stderr = np.zeros((len(energy), 2)), np.zeros(len(energy))
    factor = np.ones(len(energy))
    if align:
        rough = np.clip((counts - dark[:, None, None]) / i0[:, None, None], 1e-3, None)
        shift, stderr = drift.measure_drift(-np.log(rough), name, energy)
        counts, factor = drift.lay_counts(counts, shift)
    noise = stack.attrs["noise_factor"] * factor
    density, variance = optical_density(
        counts, i0, dark, i0_variance=stack["i0_variance"].values, noise=noise
    )
    variance = variance + _of_misplacing(density, stderr)
    return netcdf.build(
        DENSITY,
        {
            "energy": energy, "optical_density": density, "variance": variance,
            "saturated": _saturated(counts, i0, dark, max_density), "shift_y": shift[:, 0],
            "shift_x": shift[:, 1], "shift_stderr": stderr,
        },
        {
            key: stack.attrs[key]
            for key in ("stack", "pixel_y_nm", "pixel_x_nm", "instrument", "noise_factor")
        }
        | {"max_density": max_density, "stray_share": stray_share, "aligned": int(align)},
    )  # fmt: skip


def _of_misplacing(density: np.ndarray, stderr: np.ndarray) -> np.ndarray:
    """Variance (energy, y, x) of densities whose images' places have a standard error, pixel."""
    smooth = ndimage.gaussian_filter(np.nan_to_num(density), (0, 1, 1))
    slopes = np.gradient(smooth, axis=(1, 2))
    return stderr[:, None, None] ** 2 * sum(slope**2 for slope in slopes)


def _saturated(
    counts: np.ndarray, i0: np.ndarray, dark: np.ndarray, max_density: float
) -> np.ndarray:
    light = np.nan_to_num(counts - dark[:, None, None], nan=0.0)
    known = np.isfinite(counts).astype(float)
    around = ndimage.uniform_filter(light, (0, 3, 3)) / np.maximum(
        ndimage.uniform_filter(known, (0, 3, 3)), 1e-9
    )
    return around < i0[:, None, None] * math.exp(-max_density)
