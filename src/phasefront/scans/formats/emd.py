"""HDF5 of NCEM EMD, py4DSTEM and Velox (.emd, .h5)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.scans.formats.hdf5 import brief, refuse_unwritten
from phasefront.scans.formats.headers import NANOMETRES, text, unit_of
from phasefront.scans.formats.hyperspy import open_hspy
from phasefront.scans.formats.scan import Axis, Scan, build_scan, the_only, times
from phasefront.scans.formats.signals import choose, from_signal, read_signals, without_clock


def open_hdf5(path: Path) -> Scan:
    """NCEM EMD, py4DSTEM (all its versions), Velox EMD, or HyperSpy's old .hdf5.

    NCEM and py4DSTEM files hold the data beside their dimension vectors, dim0 or dim1 onwards.
    Data are stored (y, x, ky, kx), and by HyperSpy in reverse; names and units of the vectors tell.
    """
    import h5py

    with h5py.File(path) as file:
        if "Experiments" in file and text(file.attrs.get("file_format", "")) == "HyperSpy":
            return open_hspy(path)
        if "Data/Image" in file and "Version" in file:
            for image in file["Data/Image"].values():
                refuse_unwritten(path, image["Data"])
            images = read_signals(path, "emd", select_type="images")
            return from_signal(path, without_clock(choose(path, images)), (path,))
        items = []
        file.visititems(lambda _, item: items.append(item))
        arrays = [a for a in items if isinstance(a, h5py.Dataset) and a.dtype.kind in "iuf"]
        candidates = [a for a in arrays if a.ndim == 4] or [a for a in arrays if a.ndim == 3]
        name = the_only(path, [array.name for array in candidates])
        dataset = file[name]
        vectors = [v for n in range(5) if (v := dataset.parent.get(f"dim{n}")) is not None]
        if len(vectors) != dataset.ndim:
            raise InputError(
                path, f"its array of {times(dataset.shape)} has {len(vectors)} dimension vectors "
                "(dim0, dim1, ...) beside it, and so is no scan of EMD or py4DSTEM", field=name,
                remedy="name the file with the scan itself, or save it with HyperSpy as .hspy",
            )  # fmt: skip
        refuse_unwritten(path, dataset)
        axes = [_hdf5_axis(path, *pair) for pair in zip(vectors, dataset.shape, strict=True)]
        reverse = _stored_in_reverse(path, name, axes)
        line = dataset.ndim == 3
        rows = dataset.chunks[-1 if reverse else 0] if dataset.chunks and not line else 1
        dtype = dataset.dtype
        roots = [group for group in file.values() if isinstance(group, h5py.Group)]
        header = {
            "dataset": name,
            "attributes": {group.name: dict(group.attrs) for group in [file, *roots]},
            "calibration": [
                {key: brief(item) for key, item in group.items() if isinstance(item, h5py.Dataset)}
                for root in roots
                if (group := root.get("metadatabundle/calibration")) is not None
            ],
        }

    def read(start: int, stop: int) -> np.ndarray:
        rows = slice(None) if line else slice(start, stop)
        with h5py.File(path) as file:
            block = file[name][..., rows].T if reverse else file[name][rows]
        return block[np.newaxis] if line else block

    if reverse:
        axes.reverse()
    return build_scan(path, (path,), axes, dtype, {}, header, read, rows_together=rows)


def _stored_in_reverse(path: Path, name: str, axes: list[Axis]) -> bool:
    """Whether the axes of an EMD data set are (kx, ky, x, y) instead of (y, x, ky, kx)."""
    camera = [_looks_reciprocal(axis) for axis in axes]
    scan_axes = len(axes) - 2
    if camera == [False] * scan_axes + [True] * 2:
        return False
    if camera == [True] * 2 + [False] * scan_axes:
        return True
    raise InputError(
        path, "the names and units of its dimensions do not tell which are the camera's",
        field=name, remedy="name them x, y, qx, qy or give them units (nm, 1/nm)",
    )  # fmt: skip


def _hdf5_axis(path: Path, vector, size: int) -> Axis:
    """Axis from an EMD dimension vector, of which two entries are enough."""
    if vector.size not in (0, 1, 2, size):
        raise InputError(
            path, f"it has {vector.size} entries, and its axis {size}", field=vector.name,
            remedy="save the scan again: its array and its dimension vectors disagree",
        )  # fmt: skip
    name, unit = (text(vector.attrs.get(key, "")) for key in ("name", "units"))
    regular = vector.ndim == 1 and vector.size > 1 and vector.dtype.kind in "iuf"
    scale = float(np.diff(vector[:2])[0]) if regular else 0.0
    return Axis(name, size, scale, unit)


def _looks_reciprocal(axis: Axis) -> bool:
    """Whether an axis of an EMD file belongs to the camera, by its unit, else by its name."""
    unit = unit_of(axis.unit)
    if unit in NANOMETRES:
        return False
    return "1/" in unit or "rad" in unit or axis.name.lower().startswith(("q", "k"))
