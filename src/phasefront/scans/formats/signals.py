"""What rosettasciio reads, as scans."""

from __future__ import annotations

import logging
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.scans.formats.headers import NANOMETRES, unit_of
from phasefront.scans.formats.scan import Axis, Scan, build_scan, the_only, times, title_of
from phasefront.scans.formats.timing import UNTIMED, Timing

# Units of axes that no scan of diffraction patterns has.
_SPECTRAL = ("eV", "keV")


def read_signals(path: Path, plugin: str, **options) -> list[dict]:
    """What rosettasciio reads from a file, lazily."""
    reader = import_module(f"rsciio.{plugin}").file_reader
    log = logging.getLogger("rsciio")
    level = log.level
    # Its warnings are about metadata that could not be parsed and sizes that do not fit the
    # header. The first do not matter here and sizes are checked by each opener.
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return reader(str(path), lazy=True, **options)
    finally:
        log.setLevel(level)


def map_signals(path: Path, plugin: str) -> list[dict]:
    """The same for a plain file that rosettasciio maps to memory.

    As one chunk the file is mapped anew for each block, and only the block is copied from it.
    Many small chunks would cut the patterns.
    """
    return read_signals(path, plugin, chunks=-1)


def without_clock(signal: dict) -> dict:
    """A signal without the date and time that rosettasciio turns to the reading computer's zone."""
    keys = ("date", "time", "time_zone")
    general = {
        key: value
        for key, value in signal["metadata"].get("General", {}).items()
        if key not in keys
    }
    mapping = {
        source: given
        for source, given in signal.get("mapping", {}).items()
        if given[0] not in {f"General.{key}" for key in keys}
    }
    metadata = signal["metadata"] | {"General": general}
    return signal | {"metadata": metadata, "mapping": mapping}


def choose(path: Path, signals: list[dict]) -> dict:
    """The one scan of patterns among the signals of a file: 4D before 3D."""
    scans = [signal for signal in signals if signal["data"].ndim == 4]
    scans = scans or [signal for signal in signals if signal["data"].ndim == 3]
    if not scans:
        found = " and ".join(map(_described, signals)) or "nothing"
        raise InputError(
            path, f"it holds no scan of diffraction patterns but {found}",
            remedy="name the file with the scan itself",
        )  # fmt: skip
    if len(scans) > 1:
        the_only(path, [title_of(path, signal["metadata"]) for signal in scans])
    return scans[0]


def _described(signal: dict) -> str:
    """One spectrum, a line of spectra or one image, with its size."""
    *positions, channels = shape = signal["data"].shape
    if len(shape) < 2:
        return f"one spectrum of {channels} channels"
    if [axis["navigate"] for axis in signal["axes"]].count(False) == 1:
        return f"{times(positions)} spectra of {channels} channels"
    return f"one image of {times(shape)}"


def from_signal(
    path: Path, signal: dict, files: tuple[Path, ...], *, rows_together: int | None = None,
    timing: Timing = UNTIMED,
) -> Scan:  # fmt: skip
    """Scan of rosettasciio's lazy signal, in the order (y, x, ky, kx).

    Gatan's software can store the camera's axes before the scan's; their units tell.
    `rows_together` is by default what the signal's chunks hold.
    """
    # HyperSpy from 2.0 on does not store the index: axes without it stand in the array's order.
    described = sorted(signal["axes"], key=lambda axis: axis.get("index_in_array", 0))
    sizes = tuple(axis["size"] for axis in described)
    if sizes != signal["data"].shape:
        raise InputError(
            path, f"its axes are {times(sizes)}, its array {times(signal['data'].shape)}",
            remedy="save it again: axes and array do not belong together",
        )  # fmt: skip
    axes = [
        Axis(str(axis["name"] or ""), size, float(axis["scale"]), str(axis["units"] or ""))
        for axis, size in zip(described, signal["data"].shape, strict=True)
    ]
    order = list(range(len(axes)))
    reciprocal = ["1/" in unit_of(axis.unit) or "rad" in axis.unit for axis in axes]
    if len(axes) == 4 and reciprocal == [True, True, False, False]:
        order = [2, 3, 0, 1]
    elif sum(not axis["navigate"] for axis in described) != 2 and not _spectral(axes):
        raise InputError(
            path, f"its array of {times(axis.size for axis in axes)} has no two camera axes",
            remedy="set the signal dimension to 2 in HyperSpy and save it again",
        )  # fmt: skip
    axes = [axes[i] for i in order]
    if spectral := _spectral(axes):
        raise InputError(
            path, f"it holds spectra, not diffraction patterns: an axis is in {spectral[0].unit}",
            remedy="name the file with the diffraction patterns",
        )  # fmt: skip
    if unit_of(axes[-1].unit) in NANOMETRES:
        raise InputError(
            path, f"it holds images, not diffraction patterns: their pixels are in {axes[-1].unit}",
            remedy="name the file with the diffraction patterns",
        )  # fmt: skip
    data = signal["data"].transpose(order)
    if data.ndim == 3:
        data = data[np.newaxis]

    def read(start: int, stop: int) -> np.ndarray:
        # One thread: the order and number of threads stay the caller's business.
        return data[start:stop].compute(scheduler="synchronous")

    return build_scan(
        path, files, axes, data.dtype, _common_terms(signal), signal["original_metadata"], read,
        rows_together=rows_together or data.chunks[0][0], timing=lambda: timing,
    )  # fmt: skip


def _spectral(axes: list[Axis]) -> list[Axis]:
    return [axis for axis in axes if axis.unit in _SPECTRAL]


def _common_terms(signal: dict) -> dict:
    """rosettasciio's metadata, with what its mapping finds in the file's own header."""
    metadata = dict(signal["metadata"])
    for source, (target, convert) in signal.get("mapping", {}).items():
        value = signal["original_metadata"]
        for key in source.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is None or target is None:
            continue
        place = metadata
        *parents, last = target.split(".")
        for key in parents:
            place = place.setdefault(key, {})
        # A value of the header that cannot be converted is left out.
        with suppress(TypeError, ValueError, KeyError, AttributeError):
            place[last] = convert(value) if convert else value
    return metadata
