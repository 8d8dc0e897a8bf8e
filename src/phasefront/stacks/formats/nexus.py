"""HDF5 of beamlines: HERMES (SOLEIL), NXstxm (PolLux, SoftiMAX, I08, ALS), Mantis's exchange."""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np

from phasefront.core.errors import InputError
from phasefront.scans.formats.hdf5 import refuse_unwritten
from phasefront.scans.formats.headers import NANOMETRES, text, unit_of
from phasefront.stacks.formats.stack import XRAY, Stack, axis_order, in_electronvolts, step_of

_ENERGIES = ("energy", "photon_energy")
_SAME_ENERGY = 0.01  # eV: as files round it
_USUAL = ("energy", "sample_y", "sample_x")


def read(path: Path) -> Stack:
    """The one stack of a file: of an NXstxm entry, HERMES's PIXELATOR, or Mantis.

    NXstxm's monitor (`control`, an NXmonitor) is its I0. Axes are by NXdata's `axes`, or by the
    `axis` of older files, or by their lengths. Lengths without a unit are taken for micrometres in
    HERMES's files alone; elsewhere the pixel size stays unknown.

    Raises InputError for no stack, several, and axes that do not fit the images.
    """
    with h5py.File(path) as file:
        if isinstance(file.get("exchange"), h5py.Group):
            return _mantis(path, file["exchange"])
        found = [
            (entry, group) for entry in file.values() if isinstance(entry, h5py.Group)
            for group in entry.values() if isinstance(group, h5py.Group) and _is_stack(group)
        ]  # fmt: skip
        if not found:
            raise InputError(
                path, "it holds no images over energy of NXstxm, HERMES or Mantis",
                remedy="name the file of a stack, or export it as one of these",
            )  # fmt: skip
        if len({entry.name for entry, _ in found}) > 1:
            names = ", ".join(entry.name for entry, _ in found)
            raise InputError(
                path, f"it holds several regions: {names}", remedy="save each in a file of its own"
            )
        return _nexus(path, *min(found, key=lambda one: one[1].name))


def _is_stack(group: h5py.Group) -> bool:
    data = group.get(_signal(group))
    return (
        isinstance(data, h5py.Dataset) and data.ndim == 3 and any(n in group for n in _ENERGIES)
        and "sample_x" in group and "sample_y" in group
    )  # fmt: skip


def _signal(group: h5py.Group) -> str:
    return text(group.attrs["signal"]) if "signal" in group.attrs else "data"


def _nexus(path: Path, entry: h5py.Group, group: h5py.Group) -> Stack:
    data = group[_signal(group)]
    refuse_unwritten(path, data)
    energy_name = next(name for name in _ENERGIES if name in group)
    axes = {"energy": energy_name, "sample_y": "sample_y", "sample_x": "sample_x"}
    sizes = {name: group[given].size for name, given in axes.items()}
    order = axis_order(path, data.shape, sizes, said=_said(group, axes), usual=_USUAL)
    counts = np.transpose(data[()].astype(float), order)
    energy = in_electronvolts(path, group[energy_name][()], _unit(group[energy_name]))
    dwell = _per_energy(path, group.get("count_time"), len(energy))
    beamline = _beamline(entry)
    default = "um" if beamline.lower() == "hermes" else None
    pixel = tuple(_step(path, group[name], default) for name in _USUAL[1:])
    return Stack(
        path, (path,), XRAY, energy, counts, i0=_monitor(path, entry, len(energy), order),
        dwell_s=dwell, pixel_nm=pixel, instrument=beamline,
    )  # fmt: skip


def _said(group: h5py.Group, axes: dict[str, str]) -> list[str] | None:
    """Names of the array's axes in their order, where the file says it."""
    own = {given: name for name, given in axes.items()}
    if "axes" in group.attrs:
        listed = np.atleast_1d(group.attrs["axes"])
        names = [part for one in listed for part in text(one).replace(",", ":").split(":")]
        return [own.get(name, name) for name in names]
    places = {name: group[given].attrs.get("axis") for name, given in axes.items()}
    if any(place is None for place in places.values()):
        return None
    return sorted(places, key=lambda name: int(places[name]))


def _unit(dataset: h5py.Dataset) -> str | None:
    for name in ("units", "unit"):
        if name in dataset.attrs:
            return text(np.atleast_1d(dataset.attrs[name])[0])
    return None


def _step(path: Path, dataset: h5py.Dataset, default: str | None) -> float:
    unit = _unit(dataset) or default
    if unit is None:
        step_of(path, dataset[()], 1.0, dataset.name)  # it must advance, in whatever unit
        return math.nan
    if unit == "mm":
        return step_of(path, dataset[()], 1e6, dataset.name)
    if unit_of(unit) not in NANOMETRES:
        raise InputError(
            path, f"its positions are in {unit!r}", field=dataset.name, remedy="give them in um"
        )
    return step_of(path, dataset[()], NANOMETRES[unit_of(unit)], dataset.name)


def _per_energy(path: Path, dataset: object, number: int) -> np.ndarray | None:
    if not isinstance(dataset, h5py.Dataset):
        return None
    values = np.asarray(dataset[()], dtype=float).ravel()
    if values.size not in (1, number):
        raise InputError(
            path, f"it has {values.size} values for {number} energies", field=dataset.name,
            remedy="save the stack again, complete",
        )  # fmt: skip
    return np.broadcast_to(values, number).copy()


def _monitor(path: Path, entry: h5py.Group, number: int, order: list[int]) -> np.ndarray | None:
    """I0 at each energy: of one value each, or of one a pixel, whose mean counts."""
    control = entry.get("control")
    data = control.get("data") if isinstance(control, h5py.Group) else None
    if not isinstance(data, h5py.Dataset):
        return None
    values = np.asarray(data[()], dtype=float)
    if values.ndim == 3:
        values = np.transpose(values, order).mean(axis=(1, 2))
    if values.ndim != 1 or values.size != number:
        raise InputError(
            path, f"the monitor has {values.size} values for {number} energies", field=data.name,
            remedy="give I0 by the column i0 or i0_region of the table of stacks",
        )  # fmt: skip
    return values


def _beamline(entry: h5py.Group) -> str:
    for place in ("collection/beamline", "instrument/name", "instrument/beamline"):
        found = entry.get(place)
        if isinstance(found, h5py.Dataset):
            return text(np.atleast_1d(found[()])[0])
    return ""


def _mantis(path: Path, exchange: h5py.Group) -> Stack:
    """Mantis writes x, y, energy; its I0 is the white spectrum, at energies of its own."""
    missing = [name for name in ("data", "energy", "x", "y") if name not in exchange]
    if missing:
        raise InputError(
            path, f"its exchange lacks {', '.join(missing)}", field="exchange",
            remedy="save the stack from Mantis again",
        )  # fmt: skip
    data, usual = exchange["data"], ("x", "y", "energy")
    refuse_unwritten(path, data)
    sizes = {name: exchange[name].size for name in usual}
    order = axis_order(path, data.shape, sizes, said=None, usual=usual)
    counts = np.transpose(data[()].astype(float), order).transpose(2, 1, 0)
    energy = in_electronvolts(path, exchange["energy"][()], _unit(exchange["energy"]))
    normal = exchange.parent.get("spectromicroscopy/normalization", {})
    i0 = _per_energy(path, normal.get("white_spectrum"), len(energy))
    if i0 is not None and "white_spectrum_energy" in normal:
        own = np.asarray(normal["white_spectrum_energy"][()], dtype=float).ravel()
        if own.size != len(energy) or np.abs(own - energy).max() > _SAME_ENERGY:
            raise InputError(
                path, "its white spectrum is of other energies than its images",
                field="white_spectrum_energy", remedy="give I0 by the column i0 of the table",
            )  # fmt: skip
    return Stack(
        path, (path,), XRAY, energy, counts, i0=i0,
        pixel_nm=tuple(_step(path, exchange[name], None) for name in ("y", "x")),
    )  # fmt: skip
