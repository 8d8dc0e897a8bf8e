"""Spectrum images of electron microscopes: energy losses and emitted X-rays, by rosettasciio."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.scans.formats.headers import NANOMETRES, unit_of
from phasefront.scans.formats.signals import read_signals
from phasefront.stacks.formats.stack import EMISSION, LOSS, Stack, in_electronvolts, shape_of

# rosettasciio's plugins by suffix.
PLUGINS = {
    ".dm3": "digitalmicrograph",
    ".dm4": "digitalmicrograph",
    ".hspy": "hspy",
    ".bcf": "bruker",
}
_SPECTRAL = ("ev", "kev")


def read(path: Path) -> Stack:
    """The one spectrum image of a file; a line of spectra is one of a single row.

    Raises InputError where there is none, or several, or an axis is not understood.
    """
    found = [
        signal for signal in read_signals(path, PLUGINS[path.suffix.lower()])
        if signal["data"].ndim in (2, 3) and sum(map(_is_energy, signal["axes"])) == 1
    ]  # fmt: skip
    if len(found) != 1:
        raise InputError(
            path, f"it holds {'several spectrum images' if found else 'no spectrum image'}",
            remedy="name a file with one image of spectra over eV",
        )  # fmt: skip
    (signal,) = found
    # HyperSpy from 2.0 on does not store the index: axes without it stand in the array's order.
    axes = sorted(signal["axes"], key=lambda axis: axis.get("index_in_array", 0))
    sizes, shape = [int(axis["size"]) for axis in axes], signal["data"].shape
    if tuple(sizes) != shape:
        raise InputError(
            path, f"its axes are {shape_of(sizes)}, its array {shape_of(shape)}",
            remedy="save it again: axes and array do not belong together",
        )  # fmt: skip
    at = [_is_energy(axis) for axis in axes].index(True)
    counts = np.moveaxis(np.asarray(signal["data"].compute(scheduler="synchronous"), float), at, 0)
    energy, steps = axes.pop(at), [_step(path, axis) for axis in axes]
    if len(axes) == 1:
        counts, steps = counts[:, np.newaxis], steps * 2
    values = float(energy["offset"]) + float(energy["scale"]) * np.arange(int(energy["size"]))
    stated = signal["metadata"].get("Acquisition_instrument", {}).get("TEM", {})
    detector = stated.get("Detector", {}).get("EELS", {})
    is_loss = signal["metadata"].get("Signal", {}).get("signal_type") == "EELS"
    return Stack(
        path, (path,), LOSS if is_loss else EMISSION,
        in_electronvolts(path, values, str(energy["units"])), counts,
        dwell_s=np.full(len(values), _number(detector | stated, "dwell_time")),
        pixel_nm=(steps[0], steps[1]), instrument=str(stated.get("microscope", "")),
        beam_kev=_number(stated, "beam_energy"),
        convergence_mrad=_number(stated, "convergence_angle"),
        collection_mrad=_number(detector, "collection_angle"),
    )  # fmt: skip


def _is_energy(axis: dict) -> bool:
    return str(axis.get("units") or "").strip().lower() in _SPECTRAL


def _step(path: Path, axis: dict) -> float:
    """Pixel size along an axis, nm; NaN where its unit is no length."""
    nm = NANOMETRES.get(unit_of(str(axis.get("units") or "")))
    scale = abs(float(axis["scale"]))
    if scale == 0:
        raise InputError(
            path, "the pixel size is zero", field=str(axis.get("name")),
            remedy="give pixel_nm in the table of stacks, and correct the file's axis",
        )  # fmt: skip
    return math.nan if nm is None else scale * nm


def _number(stated: dict, key: str) -> float:
    value = stated.get(key)
    # NumPy's numbers are float's, too; a beam energy of 0 stands for an unknown one.
    return float(value) if isinstance(value, int | float) and value > 0 else math.nan
