"""Bragg vectors that other programs measured, as spots."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.diffraction.optics import LENSES_SET_ANEW
from phasefront.layouts.spots import DISTORTION_ERRORS, SPOTS
from phasefront.scans.formats.hdf5 import refuse_unwritten
from phasefront.scans.formats.headers import NANOMETRES

_FIELDS = ("qx", "qy", "intensity")
# Electron patterns end below this, 1/angstrom; positions in pixels do not.
_LARGEST_Q = 10.0


def read_peaks(
    path: str | Path,
    *,
    name: str,
    scan_step_nm: float = math.nan,
    direct_beam_radius: float = 0.05,
) -> xr.Dataset:
    """Read py4DSTEM's Bragg peaks, a PointListArray or BraggVectors, as spots.

    py4DSTEM's x runs along the rows of the camera and of the scan, ours along the columns: its
    (qx, qy) become our (qy, qx), its (Rx, Ry) our (y, x). A bare PointListArray is taken to be
    calibrated in 1/angstrom. BraggVectors are stored in pixels and are calibrated here by the
    origin, ellipse and pixel size in the same file; its rotation between scan and camera is not
    applied, for spots stay in the frame of the camera.

    Parameters
    ----------
    name
        Identifier of the scan, kept as attribute `scan`.
    scan_step_nm
        Distance of neighbouring positions in nm; NaN takes what the file says, if anything.
    direct_beam_radius
        Peaks nearer to the origin than this (1/angstrom) are the direct beam and left out.

    Returns
    -------
    Dataset of `layouts.SPOTS`. The files hold no variances: `variance` is the intensity, as for
    counts (Poisson), and the attribute `variance_origin` says so. Nor do they say how sure their
    scale and ellipse are: the errors are those of a camera that was calibrated on something else.

    Raises
    ------
    InputError
        If the file is missing, unreadable, without peaks, with several sets of them, not
        calibrated, or has values that are not finite.
    """
    import h5py

    path = Path(path)
    if not path.exists():
        raise InputError(path, "there is no such file", remedy="correct the path of the peaks")
    try:
        with h5py.File(path) as file:
            dataset = _point_list_array(path, file)
            refuse_unwritten(path, dataset)
            field, lists = dataset.name, dataset[()]
            in_pixels = dataset.parent.name.endswith("_v_uncal")
            calibration = _calibration(path, file)
    except OSError as error:
        raise InputError(
            path, f"cannot be read ({str(error).splitlines()[0]})",
            remedy="copy the file again and check that it is HDF5",
        ) from error  # fmt: skip

    count = np.array([len(points) for points in lists.flat])
    if count.sum() == 0:
        raise InputError(
            path, "all its lists of peaks are empty", field=field,
            remedy="detect the peaks again with a lower threshold",
        )  # fmt: skip
    points = np.concatenate(list(lists.flat))
    along_rows, along_columns, intensity = (points[key].astype(np.float64) for key in _FIELDS)
    position = np.repeat(np.arange(lists.size), count)
    finite = np.isfinite(along_rows) & np.isfinite(along_columns) & np.isfinite(intensity)
    if not finite.all():
        y, x = np.unravel_index(position[~finite][0], lists.shape)
        raise InputError(
            path, f"{(~finite).sum()} peaks have a NaN or an infinite value, first at y={y}, x={x}",
            field=field, remedy="remove these peaks in py4DSTEM and save again",
        )  # fmt: skip
    if in_pixels:
        along_rows, along_columns = _calibrate(
            path, calibration, lists.shape, position, along_rows, along_columns
        )
    radius = np.hypot(along_rows, along_columns)
    if radius.max() > _LARGEST_Q:
        raise InputError(
            path, f"peaks reach {radius.max():.0f}, which is no spatial frequency in 1/angstrom",
            field=field, remedy="calibrate the peaks in py4DSTEM and save them in A^-1",
        )  # fmt: skip

    kept = radius >= direct_beam_radius
    count = np.bincount(position[kept], minlength=lists.size)
    return netcdf.build(
        SPOTS,
        {
            "count": count.reshape(lists.shape),
            "offset": np.concatenate([[0], np.cumsum(count)]),
            "qx": along_columns[kept],
            "qy": along_rows[kept],
            "intensity": intensity[kept],
            "variance": np.clip(intensity[kept], 0, None),
            **dict.fromkeys(DISTORTION_ERRORS, LENSES_SET_ANEW),
        },
        {
            "scan": name,
            "scan_step_nm": _step(calibration) if math.isnan(scan_step_nm) else scan_step_nm,
            "file": path.name,
            "direct_beam_radius": direct_beam_radius,
            "frame": "x along columns: qx and qy of py4DSTEM exchanged",
            "variance_origin": "the intensity, as if counted (Poisson); the file holds none",
        },
    )


def _point_list_array(path: Path, file):
    """The one 2D dataset of lists with fields qx, qy and intensity."""
    import h5py

    found = []

    def visit(name: str, item) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == 2:
            element = h5py.check_vlen_dtype(item.dtype)
            if element is not None and set(_FIELDS) <= set(element.names or ()):
                found.append(name)

    file.visititems(visit)
    if len(found) == 1:
        return file[found[0]]
    problem = f"it holds {len(found)} sets of Bragg peaks ({', '.join(found)})" if found else (
        "it holds no Bragg peaks: no array of lists with the fields qx, qy and intensity"
    )  # fmt: skip
    raise InputError(path, problem, remedy="save one set of peaks from py4DSTEM alone in a file")


def _calibration(path: Path, file) -> dict:
    """py4DSTEM's calibration of the first root group that has one; empty without."""
    import h5py

    for root in file.values():
        group = root.get("metadatabundle/calibration") if isinstance(root, h5py.Group) else None
        if group is not None:
            values = {key: item for key, item in group.items() if hasattr(item, "shape")}
            for item in values.values():
                refuse_unwritten(path, item)
            return {key: item[()] for key, item in values.items()}
    return {}


def _step(calibration: dict) -> float:
    """Scan step in nm from the file; NaN where it gives none."""
    unit = calibration.get("R_pixel_units", b"")
    unit = unit.decode() if isinstance(unit, bytes) else str(unit)
    return float(calibration.get("R_pixel_size", math.nan)) * NANOMETRES.get(unit, math.nan)


def _calibrate(
    path: Path, calibration: dict, shape: tuple[int, int], position: np.ndarray,
    along_rows: np.ndarray, along_columns: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Pixels to 1/angstrom: origin of each position, then ellipse, then pixel size.

    A ring that is an ellipse on the camera, semi-axis a at the angle theta from py4DSTEM's x
    towards its y, and b across, becomes a circle of radius b when its a-axis shrinks by b/a.
    """
    unit = calibration.get("Q_pixel_units", b"")
    missing = [key for key in ("Q_pixel_size", "qx0", "qy0") if key not in calibration]
    if missing or unit not in (b"A^-1", "A^-1"):
        raise InputError(
            path, "its Bragg vectors are in pixels and "
            + (f"{', '.join(missing)} is missing" if missing else f"Q_pixel_units is {unit!r}"),
            field="calibration", remedy="calibrate origin and pixel size (A^-1) in py4DSTEM",
        )  # fmt: skip

    def at(key: str, default: float = 0.0) -> np.ndarray:
        return np.broadcast_to(calibration.get(key, default), shape).ravel()[position]

    along_rows, along_columns = along_rows - at("qx0"), along_columns - at("qy0")
    cos, sin = np.cos(at("theta")), np.sin(at("theta"))
    shrink = (1 - at("b", 1.0) / at("a", 1.0)) * (along_rows * cos + along_columns * sin)
    size = float(calibration["Q_pixel_size"])
    return (along_rows - shrink * cos) * size, (along_columns - shrink * sin) * size
