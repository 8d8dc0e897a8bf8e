"""A map of chemistry and a scan as the images by which one is laid on the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from phasefront.core.errors import InputError
from phasefront.registration.channels import Channel, background

# Largest difference of a map's two pixel sizes, as a share of them, that is none. Chosen: a fifth
# of what its scale may be off by.
_SQUARE = 0.01
# Quantile of a map that is taken for what it shows beside grains, as where its fit begins.
_BACKGROUND = 0.05
# Of the median absolute deviation of normal noise, and of p_(i-2) - 2 p_i + p_(i+2), whose squared
# coefficients add up to 6: DER_SNR (Stoehr et al., ADASS XVII, ASP Conf. Ser. 394, 505, 2008).
_OF_SECOND_DIFFERENCE = 1.482602 / np.sqrt(6)


def side_of_map(chemistry: xr.Dataset, resolution_nm: float, *, unlike: float = 0.0) -> Channel:
    """The thickness channel of a CHEMISTRY data set.

    Parameters
    ----------
    resolution_nm
        Full width at half maximum of its probe.
    unlike
        Standard error, as a share of the signal above the background, by which its contrast differs
        from that of another image beyond noise.

    Raises InputError where it has no thickness with an error, or pixels that are not square.
    """
    name = str(chemistry.attrs["map"])
    sizes = [float(chemistry.attrs[f"pixel_{axis}_nm"]) for axis in "yx"]
    if abs(sizes[0] - sizes[1]) > _SQUARE * max(sizes):
        raise InputError(
            name, f"its pixels are {sizes[0]:g} x {sizes[1]:g} nm", field="pixel",
            remedy="resample it to square pixels, or leave its cell in the column scan empty",
        )  # fmt: skip
    value, stderr = (chemistry[part].to_numpy() for part in ("thickness", "thickness_stderr"))
    found = Channel(name, value, stderr, float(np.mean(sizes)), resolution_nm)
    found.check()
    signal = np.clip(value - np.quantile(value[found.known], _BACKGROUND), 0, None)
    return replace(found, stderr=np.hypot(stderr, unlike * signal))


def sides_of_scan(
    scan: xr.Dataset, grains: xr.Dataset, names: Sequence[str], probe_nm: float | None = None
) -> list[Channel]:
    """Images of a scan that grow with thickness, such as `diffuse`, with their noise.

    Parameters
    ----------
    scan, grains
        Its SCAN and GRAINS data sets.
    names
        Variables of SCAN.
    probe_nm
        Full width at half maximum of its probe; a scan step where None.

    Raises InputError where the scan's step is not known.
    """
    step = float(grains.attrs["scan_step_nm"])
    if not (np.isfinite(step) and step > 0):
        raise InputError(
            str(scan.attrs["scan"]), "its step is not known, and a map is to be laid on it",
            field="scan_step_nm", remedy="give it in the table of scans",
        )  # fmt: skip
    crystal = grains["label"].to_numpy() >= 0
    found = []
    for name in names:
        value = scan[name].to_numpy().astype("f8")
        noise = noise_of(value, crystal)
        found.append(
            Channel(
                f"{scan.attrs['scan']} ({name.replace('_', ' ')})", value,
                np.full(value.shape, noise), step, step if probe_nm is None else probe_nm,
            )
        )  # fmt: skip
    return found


def noise_of(image: np.ndarray, where: np.ndarray) -> float:
    """Standard deviation of an image's noise at the positions `where` (y, x), by what neighbours
    two apart along rows and columns differ by beyond a straight line."""
    parts = []
    for values, inside in ((image, where), (image.T, where.T)):
        second = values[:-4] - 2 * values[2:-2] + values[4:]
        parts.append(np.abs(second[inside[:-4] & inside[2:-2] & inside[4:]]))
    differences = np.concatenate(parts)
    found = float(np.median(differences)) * _OF_SECOND_DIFFERENCE if differences.size else 0.0
    # An image without noise, as of an ideal camera, still has steps of its numbers.
    return max(found, 1e-6 * float(np.ptp(image)), 1e-12)


def thickness_signal(channel: Channel, label: np.ndarray) -> np.ndarray:
    """The image (y, x) above its level beside the grains of `label`, not below 0."""
    return np.clip(channel.value - background(channel, label), 0, None)
