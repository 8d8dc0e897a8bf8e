"""Raw scans of diffraction patterns: opening them, and what they are.

A scan has shape (ny, nx, ky, kx): rows and columns of positions, rows and columns of the camera.
Only blocks of rows are ever in memory.
"""

from __future__ import annotations

import json
import math

import numpy as np
import xarray as xr
from numba import njit

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.experiment.settings.scans import ScanClock
from phasefront.layouts.scans import SCAN
from phasefront.records.digests import Hashing
from phasefront.scans.files import step_of
from phasefront.scans.formats.scan import Scan
from phasefront.scans.timing import position_times

# Rows of positions that are averaged to find the direct beam before the scan is streamed; chosen.
_SAMPLE_ROWS = 8
# Ring around the beam in which diffuse scattering is measured, in units of the camera's shorter
# side: outside the beam's glare, inside where spots are rare.
_RING = (0.1, 0.28)  # chosen
# Its pixels between these quantiles are averaged: below them dead ones, above them the spots. A
# quantile alone would be a whole number of an 8-bit camera's few.
_QUANTILES = (0.2, 0.4)  # chosen


def describe_scan(
    scan: Scan,
    *,
    name: str,
    hashing: Hashing,
    bright_field_radius_px: float,
    step_nm: float = np.nan,
    clock: ScanClock | None = None,
) -> xr.Dataset:
    """What a scan is: mean and maximum pattern and virtual images, in one pass over the file.

    Bright field is the sum over the disk of `bright_field_radius_px` around the direct beam, dark
    field the sum over the rest of the camera. Diffuse is the mean of the pixels between the 20 and
    the 40 % quantile in a ring of 0.10 to 0.28 of the camera's shorter side around the beam. Spots
    do not reach it, and it grows with the thickness. The beam is sought in the mean of a few rows
    spread over the scan (`find_direct_beam`). The bytes do not depend on the size of the blocks.

    Parameters
    ----------
    name
        Identifier of the scan, kept as attribute `scan`.
    hashing
        Reads the raw file along; its digest is kept as attribute `sha256`.
    step_nm
        What the table of scans says of the step, see `files.step_of`.
    clock
        What the table of scans says of its times, see `position_times`.

    Returns
    -------
    Dataset of `layouts.SCAN`.

    Raises
    ------
    InputError
        If values are not finite, or all patterns are one constant, or the file cannot be read, or
        its step and times cannot be as file and table say.
    """
    step_nm = step_of(scan, step_nm)
    times = position_times(scan, clock)
    positions, camera = math.prod(scan.shape[:2]), scan.shape[2:]
    distance = _distance_to_beam(scan, radius_px=bright_field_radius_px)
    disk = np.flatnonzero(distance <= bright_field_radius_px)
    ring = _ring(distance)
    floating = scan.dtype.kind == "f"
    total = np.zeros(math.prod(camera), np.float64 if floating else np.int64)
    lowest = -np.inf if floating else np.iinfo(scan.dtype).min
    maximum = np.full(total.shape, lowest, scan.dtype)
    bright, dark, diffuse = np.zeros((3, *scan.shape[:2]))
    for rows, block in scan.blocks():
        patterns = block.reshape(*block.shape[:2], -1)
        accumulate(patterns, disk, total, maximum, bright[rows], dark[rows])
        diffuse[rows] = _diffuse(patterns, ring)
        if floating and not np.isfinite(dark[rows]).all():
            _refuse_non_finite(scan, rows, block)
        hashing.advance(rows.stop / scan.shape[0])
    if total.min() == total.max() == float(maximum[0]) * positions:
        raise InputError(
            scan.path, f"every pixel of every pattern is {maximum[0]:g}",
            remedy="check the camera's acquisition and export the scan again",
        )  # fmt: skip
    return netcdf.build(
        SCAN,
        {
            "mean_pattern": (total / positions).reshape(camera),
            "max_pattern": maximum.reshape(camera),
            "bright_field": bright,
            "dark_field": dark,
            "diffuse": diffuse,
            "position_time": times.positions_s,
        },
        {
            "scan": name,
            "file": scan.path.name,
            "sha256": hashing.finish(),
            "dtype": scan.dtype.name,
            "scan_step_nm": step_nm,
            "bright_field_radius_px": float(bright_field_radius_px),
            "header": json.dumps(scan.header, sort_keys=True),
            "start": times.start,
            "end": times.end,
            "dwell_s": times.dwell_s,
            "row_s": times.row_s,
            "clock": times.clock,
        },
    )


def sample_rows(ny: int, most: int = _SAMPLE_ROWS) -> np.ndarray:
    """Up to so many of a scan's `ny` rows, spread evenly: eight are read to learn where the beam
    is."""
    return np.unique(np.linspace(0, ny - 1, min(ny, most)).round().astype(int))


def _distance_to_beam(scan: Scan, *, radius_px: float) -> np.ndarray:
    pattern = np.zeros(scan.shape[2:])
    with np.errstate(invalid="ignore"):
        for row in sample_rows(scan.shape[0]):
            pattern += scan.read_rows(row, row + 1)[0].mean(axis=0, dtype=np.float64)
    row, column = find_direct_beam(pattern, radius_px=radius_px)
    y, x = np.indices(pattern.shape)
    return np.hypot(y - row, x - column)


def _ring(distance: np.ndarray) -> np.ndarray:
    """Indices of the pixels of the ring; of all pixels on a camera too small for one."""
    inner, outer = np.multiply(_RING, min(distance.shape))
    ring = np.flatnonzero((distance >= inner) & (distance < outer))
    return ring if len(ring) else np.arange(distance.size)


def find_direct_beam(pattern: np.ndarray, *, radius_px: float) -> tuple[float, float]:
    """Row and column of the direct beam: where a disk of the given radius collects most.

    The centre of mass of the disk, over the pattern's median, refines the whole pixel. Values
    that are not finite count as nothing.
    """
    from scipy.signal import fftconvolve

    pattern = np.nan_to_num(pattern, posinf=0.0, neginf=0.0)
    pattern = np.clip(pattern - np.median(pattern), 0, None)
    reach = math.ceil(radius_px)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    collected = fftconvolve(pattern, (np.hypot(y, x) <= radius_px).astype(float), mode="same")
    centre = np.array(np.unravel_index(collected.argmax(), pattern.shape), float)
    y, x = np.indices(pattern.shape)
    for _ in range(3):
        weight = pattern * (np.hypot(y - centre[0], x - centre[1]) <= radius_px)
        if not weight.sum() > 0:
            break
        centre = np.array([(weight * y).sum(), (weight * x).sum()]) / weight.sum()
    return float(centre[0]), float(centre[1])


@njit(cache=True)
def accumulate(block, disk, total, maximum, bright, dark):  # pragma: no cover - compiled
    """Add patterns to sums and maxima and fill images; see `accumulate_numpy` for the formula.

    block (rows, nx, pixels), disk (indices of pixels), total and maximum (pixels), bright and dark
    (rows, nx). Each pixel adds its patterns in the order of the scan, one after the other, so the
    split into blocks cannot matter.
    """
    rows, nx, pixels = block.shape
    for row in range(rows):
        for column in range(nx):
            pattern = block[row, column]
            for i in range(pixels):
                total[i] += pattern[i]
                maximum[i] = max(maximum[i], pattern[i])
            whole = total.dtype.type(0)
            for i in range(pixels):
                whole += pattern[i]
            inside = total.dtype.type(0)
            for i in disk:
                inside += pattern[i]
            bright[row, column] = inside
            dark[row, column] = whole - inside


def accumulate_numpy(block, disk, total, maximum, bright, dark):
    """Plain form of `accumulate`."""
    total += block.sum(axis=(0, 1), dtype=total.dtype)
    np.maximum(maximum, block.max(axis=(0, 1)), out=maximum)
    bright[:] = block[..., disk].sum(axis=-1, dtype=total.dtype)
    dark[:] = block.sum(axis=-1, dtype=total.dtype) - bright


def _diffuse(block: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """Mean (rows, nx) between two quantiles of the ring's pixels (indices), of each pattern of a
    block (rows, nx, pixels)."""
    low, high = (int(share * len(ring)) for share in _QUANTILES)
    counts = block[..., ring]
    if counts.dtype.kind in "iu" and counts.dtype.itemsize <= 2:
        ordered = np.sort(counts, axis=-1, kind="stable")  # by radix: five times as fast
    else:
        ordered = np.partition(counts, (low, high), axis=-1)
    return ordered[..., low : high + 1].mean(axis=-1, dtype=np.float64)


def _refuse_non_finite(scan: Scan, rows: slice, block: np.ndarray) -> None:
    bad = ~np.isfinite(block)
    row, column = np.argwhere(bad.any(axis=(2, 3)))[0]
    raise InputError(
        scan.path, f"{bad[row, column].sum()} values of the pattern are NaN or infinite",
        field=f"position y={rows.start + row}, x={column}",
        remedy="replace bad pixels by numbers when the scan is exported",
    )  # fmt: skip
