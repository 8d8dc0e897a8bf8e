"""Bragg vectors of a whole scan, streamed block by block."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.core.threads import ahead
from phasefront.layouts.spots import DISTORTION_ERRORS, SPOTS
from phasefront.spots.afterglow import without_afterglow
from phasefront.spots.dark import Dark
from phasefront.spots.detection import PixelSpots, find_pixel_spots, require_finite


def find_spots(
    blocks: Iterable[tuple[slice, np.ndarray]],
    calibration: xr.Dataset,
    *,
    scan: str = "",
    scan_step_nm: float = np.nan,
    **settings,
) -> xr.Dataset:
    """`stream_spots` of a whole scan, as a SPOTS dataset in memory."""
    parts = stream_spots(blocks, calibration, scan=scan, **settings)
    attributes = {"scan": scan, "scan_step_nm": scan_step_nm}
    return netcdf.join(parts, SPOTS, constants(calibration, scan), attributes)


def constants(calibration: xr.Dataset, scan: str = "") -> dict[str, float]:
    """What of SPOTS is the same for all rows: the relative errors of scale, stretch and shear.

    With scale s = (xx + yy) / 2 and stretch t = (xx - yy) / 2 of a nearly round affine, the
    variances of s and t add up to half of those of xx and yy.

    Raises
    ------
    InputError
        The CALIBRATION has no errors of scale and ellipse.
    """
    scale = calibration["scale"].item()
    of_scale = calibration["scale_stderr"].item() / scale
    (xx, xy), (_, yy) = calibration["affine_stderr"].values / scale
    if not np.isfinite([of_scale, xx, xy, yy]).all():
        raise InputError(
            scan, "its calibration has no standard errors of scale and ellipse",
            field="scale_stderr", remedy="calibrate the scan again with this version of phasefront",
        )  # fmt: skip
    stretch = math.sqrt(max(0.5 * (xx**2 + yy**2) - of_scale**2, 0.0))
    return dict(zip(DISTORTION_ERRORS, (of_scale, stretch, xy), strict=True))


def stream_spots(
    blocks: Iterable[tuple[slice, np.ndarray]],
    calibration: xr.Dataset,
    *,
    max_radius: float = np.inf,
    false_alarms: float = 0.1,
    scan: str = "",
) -> Iterator[dict]:
    """Bragg vectors of a whole scan, streamed block by block.

    Parameters
    ----------
    blocks
        Slice of rows and their patterns (rows, nx, ky, kx), in the order of the scan.
    calibration
        CALIBRATION dataset; centres, affine, outward shift, usable pixels, radii of beam and spots.
    max_radius
        Largest spatial frequency kept, 1/angstrom.
    false_alarms
        Number of spots per pattern that noise alone may make.
    scan
        Its name, for messages.

    Yields
    ------
    The variables of SPOTS but for `constants`, a block at a time; the same in all whatever the
    blocks' size and the number of threads.

    Raises
    ------
    InputError
        Values that are not finite, or blocks that do not fit the calibration.
    """
    centres = np.stack([calibration["centre_y"].values, calibration["centre_x"].values], axis=-1)
    mask = calibration["mask"].values.astype(bool)
    spot_radius = float(calibration["spot_radius"])
    beam_radius = float(calibration["beam_radius"])
    afterglow = float(calibration["afterglow"])
    dark = Dark(
        calibration["dark_rows"].values, calibration["dark_columns"].values,
        float(calibration["dark_reach"]), float(calibration["electron"]),
    )  # fmt: skip
    # Rings are circles of 1/angstrom; of the scale's pixels here.
    (xx, xy), (_, yy) = calibration["affine"].values.T @ calibration["affine"].values
    metric = np.array([yy, xy, xx]) / float(calibration["scale"]) ** 2
    total = 0
    for rows, patterns in ahead(blocks):
        if patterns.shape[1:] != (centres.shape[1], *mask.shape) or rows.stop > len(centres):
            raise InputError(
                scan, f"patterns of shape {patterns.shape} from row {rows.start} do not fit a "
                f"calibration of {centres.shape[:2]} positions and {mask.shape} pixels",
                remedy="calibrate this scan itself",
            )  # fmt: skip
        require_finite(patterns, rows, scan)
        at = centres[rows].reshape(-1, 2)
        patterns = without_afterglow(patterns, afterglow)
        found = find_pixel_spots(
            patterns.reshape(-1, *patterns.shape[2:]), at, spot_radius=spot_radius,
            beam_radius=beam_radius, mask=mask, false_alarms=false_alarms, dark=dark,
            metric=metric,
        )  # fmt: skip
        count, vectors = _to_frequencies(found, at, calibration, max_radius)
        edges = total + np.cumsum(count)
        yield {
            "count": count.reshape(-1, centres.shape[1]),
            "offset": edges if rows.start else np.concatenate([[0], edges]),
            **dict(zip(("qx", "qy", "intensity", "variance"), vectors.T, strict=True)),
        }
        total = int(edges[-1])


def _to_frequencies(found: PixelSpots, centres, calibration, max_radius):
    """Number of spots of each pattern within max_radius; qx, qy, intensity and variance of all."""
    of = np.repeat(np.arange(len(centres)), np.diff(found.offset))
    step = np.stack([found.x - centres[of, 1], found.y - centres[of, 0]])
    step *= 1 - float(calibration["outward_shift"]) / np.sum(step**2, axis=0)
    qx, qy = calibration["affine"].values @ step
    near = np.hypot(qx, qy) <= max_radius
    vector = np.stack([qx, qy, found.intensity, found.variance], axis=1)[near]
    return np.bincount(of[near], minlength=len(centres)), vector
