"""Gatan DigitalMicrograph (.dm3, .dm4)."""

from __future__ import annotations

import math
from datetime import timedelta, timezone
from pathlib import Path

from phasefront.core.errors import InputError
from phasefront.core.moments import Stamp, clock_of, from_filetime, from_unix
from phasefront.scans.formats.scan import COMPLETE, Scan, times
from phasefront.scans.formats.signals import choose, from_signal, map_signals
from phasefront.scans.formats.timing import Timing

_QUARTER = timedelta(minutes=15)
# The data bar's clock has seconds, and was read some seconds before or after the count.
_SAME_MOMENT = timedelta(seconds=60)


def open_dm(path: Path) -> Scan:
    """The one scan in a file of DigitalMicrograph."""
    signal = choose(path, map_signals(path, "digitalmicrograph"))
    _refuse_other_size(path, signal)
    return from_signal(path, signal, (path,), rows_together=1, timing=_timing(signal))


def _timing(signal: dict) -> Timing:
    """Start and end of a spectrum image, or the start of a sequence.

    The first are times of day, of a clock whose offset from UTC is that of the local time in the
    data bar from the UTC count beside it. Dates in words are never read: they have the month or the
    day first, by the language of the computer.
    """
    (image,) = signal["original_metadata"]["ImageList"].values()
    tags = image.get("ImageTags", {})
    bar, stack = _tag(tags, "DataBar"), _tag(tags, "SI", "Acquisition")
    dwell = _number(stack, "Pixel time (s)")
    saved = from_filetime(_number(bar, "Acquisition Time (OS)"), "Acquisition Time (OS)")
    offset = _offset(saved, str(bar.get("Acquisition Time", "")))
    start, end = (_time_of_day(stack, name, saved, offset) for name in ("Start time", "End time"))
    name = "Acquisition Start Time (epoch)"
    sequence = _tag(tags, "Acquisition", "Frame", "Sequence")
    if start.moment is None and name in sequence:
        start = from_unix(1e-3 * _number(sequence, name), name)
    return Timing(start, end, dwell_s=dwell if dwell > 0 else math.nan)


def _number(tags: dict, name: str) -> float:
    value = tags.get(name)
    return float(value) if isinstance(value, int | float) else math.nan


def _tag(tags: dict, *keys: str) -> dict:
    for key in keys:
        tags = tags.get(key, {}) if isinstance(tags, dict) else {}
    return tags if isinstance(tags, dict) else {}


def _offset(saved: Stamp, local: str) -> timedelta | None:
    """Offset from UTC of the clock that showed `local` when `saved` was counted; None if unsure.

    Zones differ by quarters of an hour, and reach from 12 hours behind UTC to 14 before it.
    """
    shown = clock_of(local)
    if saved.moment is None or shown is None:
        return None
    apart = shown - timedelta(
        hours=saved.moment.hour, minutes=saved.moment.minute, seconds=saved.moment.second
    )
    quarters = round(apart / _QUARTER)
    if abs(apart - quarters * _QUARTER) > _SAME_MOMENT:
        return None
    possible = [q for q in (quarters - 96, quarters, quarters + 96) if -48 <= q <= 56]
    return possible[0] * _QUARTER if len(possible) == 1 else None


def _time_of_day(tags: dict, name: str, saved: Stamp, offset: timedelta | None) -> Stamp:
    """The last moment, up to when the image was saved, at which the clock showed a time of day."""
    if name not in tags:
        return Stamp(None, f"the file has no {name!r} of a spectrum image")
    shown = clock_of(str(tags[name]))
    if shown is None or offset is None:
        return Stamp(None, f"nothing says of which day and zone {name}, {tags[name]!r}, is")
    local = saved.moment.astimezone(timezone(offset))
    moment = local.replace(hour=0, minute=0, second=0, microsecond=0) + shown
    return Stamp(moment if moment <= local + _SAME_MOMENT else moment - timedelta(days=1), name)


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
