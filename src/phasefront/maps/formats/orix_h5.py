"""Maps as orix's own .h5, of orix and of phasefront itself.

Read without `orix.io.load`, which takes no map of one position, gives a number in the rows the
next phase of the header where it is missing there, and leaves out what was not selected.
The unit is in the file. Axes are orix's, e1 along a and e3 along c*.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.maps.formats.grid import raster
from phasefront.maps.formats.map import (
    NOT_INDEXED,
    MapPhase,
    OrientationMap,
    assemble,
    checked_cell,
    whole_numbers,
)  # fmt: skip

# In one of each unit.
_NM = {"nm": 1.0, "um": 1e3, "µm": 1e3, "μm": 1e3, "mm": 1e6, "px": np.nan}
_ANGLES = ("phi1", "Phi", "phi2")
_NO_QUALITY = (*_ANGLES, "x", "y", "phase_id", "id", "is_in_data")
_MEANINGS = {
    "score": "correlation of the pattern with its template",
    "spots": "number of spots indexed",
    "orientation_probability": "that it is neither half turned nor of another variant",
    "orientation_stderr": "of the orientation if it is neither, degrees",
    "posterior": "of the phase",
    "share": "of the phase in the crystal, 1 where it is alone",
    "reliability": "lead of the best orientation over the next one",
}
_REMEDY = "save the map again with orix.io.save"


def read(path: Path) -> OrientationMap:
    """Map of an .h5 of orix; raises InputError for what is broken or not of orix."""
    import h5py

    try:
        with h5py.File(path) as file:
            group = file.get("crystal_map")
            if not isinstance(group, h5py.Group):
                raise InputError(
                    path, f"is HDF5 with {', '.join(list(file)[:5]) or 'nothing'}, and no map of"
                    " orix", field="crystal_map", remedy=f"open it in orix and {_REMEDY}",
                )  # fmt: skip
            return _read(path, group)
    except (OSError, RuntimeError) as error:
        raise InputError(
            path, f"cannot be read as HDF5 ({str(error).splitlines()[0]})",
            remedy="copy or save the file again, complete",
        ) from error  # fmt: skip


def _read(path: Path, group) -> OrientationMap:
    import h5py

    grid = _text(path, group, "header/grid_type")
    if grid != "square":
        raise InputError(
            path, f"its positions lie on a grid of the kind {grid!r}", field="grid_type",
            remedy="convert it to a square grid",
        )  # fmt: skip
    number = whole_numbers(path, _first(_values(path, group, "data/phase_id")), "phase_id")
    selected = _values(path, group, "data/is_in_data").astype(bool)
    angles = [_values(path, group, f"data/{name}") for name in _ANGLES]
    notes = (
        ["has several orientations a position: the first is taken"] if angles[0].ndim > 1 else []
    )
    angles = [_first(values) for values in angles]
    sizes = {len(values) for values in (number, selected, *angles)}
    if len(sizes) > 1:
        raise InputError(
            path, "its angles, phases and positions differ in number", field="data", remedy=_REMEDY
        )
    if not selected.all():
        notes.append(f"{(~selected).sum()} positions were left out in orix: taken as not indexed")
        number = np.where(selected, number, NOT_INDEXED)
    # Along a direction with a single position, orix writes one 0 for all.
    x, y = (
        np.zeros(len(number)) if values.size == 1 else values.astype(float)
        for values in (_values(path, group, f"data/{axis}") for axis in "xy")
    )
    if not len(x) == len(y) == len(number):
        raise InputError(
            path, "its positions and phases differ in number", field="x, y", remedy=_REMEDY
        )
    shape, step = raster(path, x, y)
    unit = _NM.get(_text(path, group, "header/scan_unit"), np.nan)
    directions = group.attrs.get("directions")
    directions = directions if isinstance(directions, str) else None
    known = {} if directions is None else _MEANINGS
    return assemble(
        path, program="orix" if directions is None else "phasefront", directions=directions,
        shape=shape, step_nm=(step[0] * unit, step[1] * unit), phases=_phases(path, group),
        number=number, angles=np.column_stack(angles), notes=notes,
        qualities={
            name: (_first(item[()]), known.get(name, "not said by the file"))
            for name, item in group["data"].items()
            if name not in _NO_QUALITY and isinstance(item, h5py.Dataset)
            and item.shape[:1] == number.shape and item.dtype.kind in "biuf" and item.ndim < 3
        },
    )  # fmt: skip


def _phases(path: Path, group) -> list[MapPhase]:
    import h5py

    listed = group.get("header/phases")
    if not isinstance(listed, h5py.Group):
        raise InputError(path, "is missing", field="header/phases", remedy=_REMEDY)
    phases = []
    for key in listed:
        if not key.lstrip("-").isdecimal():
            raise InputError(
                path, f"{key!r} is no number of a phase", field="header/phases", remedy=_REMEDY
            )
        if int(key) == NOT_INDEXED:
            continue
        place = f"header/phases/{key}"
        cell = _values(path, group, f"{place}/structure/lattice/abcABG")
        point_group = _text(path, group, f"{place}/point_group")
        phases.append(
            MapPhase(
                int(key), _text(path, group, f"{place}/name"), "",
                "" if point_group == "None" else point_group, checked_cell(path, cell, place),
            )
        )  # fmt: skip
    return sorted(phases, key=lambda phase: phase.number)


def _first(values: np.ndarray) -> np.ndarray:
    """The best of several answers a position."""
    return values[:, 0] if values.ndim == 2 else values


def _values(path: Path, group, key: str) -> np.ndarray:
    import h5py

    item = group.get(key)
    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "biuf" or not item.ndim:
        raise InputError(path, "is missing, or no numbers", field=key, remedy=_REMEDY)
    if item.size == 0:
        raise InputError(path, "has no positions", field=key, remedy=_REMEDY)
    return item[()]


def _text(path: Path, group, key: str) -> str:
    import h5py

    item = group.get(key)
    if not isinstance(item, h5py.Dataset) or item.size != 1:
        raise InputError(path, "is missing, or no text", field=key, remedy=_REMEDY)
    value = np.ravel(item[()])[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
