"""Gatan DigitalMicrograph (.dm3, .dm4)."""

from __future__ import annotations

from pathlib import Path

from phasefront.core.errors import InputError
from phasefront.scans.formats.scan import COMPLETE, Scan, times
from phasefront.scans.formats.signals import choose, from_signal, map_signals


def open_dm(path: Path) -> Scan:
    """The one scan in a file of DigitalMicrograph."""
    signal = choose(path, map_signals(path, "digitalmicrograph"))
    _refuse_other_size(path, signal)
    return from_signal(path, signal, (path,), rows_together=1)


def _refuse_other_size(path: Path, signal: dict) -> None:
    """The dimensions and type of the image must make the array that is stored, no part of it."""
    (image,) = signal["original_metadata"]["ImageList"].values()
    stored, data = image["ImageData"]["Data"], signal["data"]
    if (data.size, data.nbytes) != (stored["size"], stored["size_bytes"]):
        raise InputError(
            path, f"its header promises {times(data.shape)} values of {data.dtype}, "
            f"{data.nbytes} bytes, but an array of {stored['size_bytes']} bytes is stored",
            field="ImageData.Dimensions", remedy=COMPLETE,
        )  # fmt: skip
