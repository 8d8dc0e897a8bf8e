"""Maps of a quantity as other programs write them: NumPy, TIFF, HyperSpy, ptychography."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from phasefront.core.errors import InputError
from phasefront.scans.formats.headers import NANOMETRES, unit_of
from phasefront.scans.formats.scan import blamed_on
from phasefront.stacks.files import reader_of

_METRE = 1e9  # nm
_REMEDY = "save the map itself as one image of numbers"


class FoundMap(NamedTuple):
    """Values (y, x), and the distance of rows and columns, nm, NaN where the file does not say."""

    values: np.ndarray
    pixel_nm: tuple[float, float]


def read_map(path: str | Path) -> FoundMap:
    """The one map of a .npy, .tif, .tiff, .hspy, or the object of a .cxi or .ptyr.

    An object of ptychography is complex: its map is the phase, in radian, without its jumps and
    turned so that what is thicker has more of it.

    Raises InputError for another suffix, no such file, no image or several, and values that are
    complex or no numbers.
    """
    path = Path(path)
    reader = reader_of(path, _READERS, "map")
    with blamed_on(path):
        found = reader(path)
    values = np.squeeze(found.values)
    if values.ndim != 2 or values.dtype.kind not in "fiub":
        shape = " x ".join(map(str, values.shape))
        raise InputError(
            path, f"it holds {shape} values of {values.dtype}, no image of numbers", remedy=_REMEDY
        )
    return FoundMap(values.astype(float), found.pixel_nm)


_UNKNOWN = (math.nan, math.nan)


def _npy(path: Path) -> FoundMap:
    return FoundMap(np.load(path, allow_pickle=False), _UNKNOWN)


def _tiff(path: Path) -> FoundMap:
    from skimage.io import imread

    return FoundMap(np.asarray(imread(path)), _UNKNOWN)


def _hspy(path: Path) -> FoundMap:
    from phasefront.scans.formats.signals import read_signals

    found = [one for one in read_signals(path, "hspy") if one["data"].ndim == 2]
    if len(found) != 1:
        raise InputError(path, f"it holds {len(found)} images", remedy=_REMEDY)
    axes = sorted(found[0]["axes"], key=lambda axis: axis.get("index_in_array", 0))
    nm = [NANOMETRES.get(unit_of(str(axis["units"] or "")), math.nan) for axis in axes]
    steps = [abs(float(axis["scale"])) * unit for axis, unit in zip(axes, nm, strict=True)]
    return FoundMap(np.asarray(found[0]["data"]), (steps[0], steps[1]))


def _cxi(path: Path) -> FoundMap:
    import h5py

    with h5py.File(path) as file:
        return FoundMap(_phase(path, np.asarray(file["entry_1/image_1/data"])), _UNKNOWN)


def _ptyr(path: Path) -> FoundMap:
    import h5py

    with h5py.File(path) as file:
        objects = list(file["content/obj"].values())
        if len(objects) != 1:
            raise InputError(path, f"it holds {len(objects)} objects", remedy=_REMEDY)
        size = objects[0].get("_psize")
        steps = np.broadcast_to(np.nan if size is None else np.asarray(size, float), 2) * _METRE
        return FoundMap(
            _phase(path, np.asarray(objects[0]["data"])), (float(steps[0]), float(steps[1]))
        )


def _phase(path: Path, values: np.ndarray) -> np.ndarray:
    from skimage.restoration import unwrap_phase

    image = np.squeeze(values)
    if image.ndim != 2 or not np.iscomplexobj(image):
        raise InputError(path, "its object is no complex image", remedy=_REMEDY)
    return -unwrap_phase(np.angle(image), rng=0)


_READERS = {
    ".npy": _npy, ".tif": _tiff, ".tiff": _tiff, ".hspy": _hspy, ".cxi": _cxi, ".ptyr": _ptyr,
}  # fmt: skip
