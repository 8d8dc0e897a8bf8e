"""Block files of NanoMegas ASTAR (.blo)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.core.moments import Stamp, from_serial
from phasefront.scans.formats.scan import COMPLETE, Scan
from phasefront.scans.formats.signals import from_signal, map_signals, without_clock
from phasefront.scans.formats.timing import Timing

_START = b"IMGBLO\x02\x01"
_HEADER_BYTES = 4096  # before the navigator
_HEADER = np.dtype(
    {
        "names": ["Data_offset_1", "Data_offset_2", "DP_SZ", "NX", "NY", "Acquisition_time"],
        "formats": ["<u4", "<u4", "<u2", "<u2", "<u2", "<f8"],
        "offsets": [8, 12, 20, 24, 26, 56],
    }
)
# Before each pattern: a mark, and its number from 0.
_FRAME_HEADER = np.dtype([("mark", "<u2"), ("number", "<u4")])
_MARK = 0x55AA  # before every pattern
# Days since 1899-12-30, up to the year 9999.
_LAST_DAY = 2_900_000
_PRECESSION = re.compile(r"^Precession angle *: *(\d+(?:\.\d+)?)\s*$", re.MULTILINE)


def open_blo(path: Path) -> Scan:
    """ASTAR block file: a mark, a number and a uint8 pattern for each position.

    The header's numbers are held against the file's size and the marks, for rosettasciio would pad
    missing patterns with zeros, or fail while streaming.
    """
    with path.open("rb") as file:
        start = file.read(_HEADER_BYTES)
    if not start.startswith(_START):
        raise InputError(path, "it is no ASTAR block file", remedy="check its suffix")
    if len(start) < _HEADER_BYTES:
        raise InputError(path, "the file is truncated within its header", remedy=COMPLETE)
    header = np.frombuffer(start, _HEADER, 1)[0]
    ny, nx, size, first, navigator = (
        int(header[name]) for name in ("NY", "NX", "DP_SZ", "Data_offset_2", "Data_offset_1")
    )
    if not 0 <= header["Acquisition_time"] < _LAST_DAY:
        raise InputError(
            path, f"its header says that it was taken on day {header['Acquisition_time']:g}",
            field="Acquisition_time", remedy=f"the header is damaged: {COMPLETE}",
        )  # fmt: skip
    if 0 in (ny, nx, size):
        raise InputError(
            path, f"its header promises {ny} x {nx} patterns of {size}x{size} pixels",
            remedy="export the scan again from the microscope's software",
        )  # fmt: skip
    if navigator != _HEADER_BYTES or first < navigator + ny * nx:
        raise InputError(
            path, f"its header places the image at {navigator} and the patterns at {first}, which "
            f"does not fit {ny} x {nx} positions", field="Data_offset", remedy=COMPLETE,
        )  # fmt: skip
    frame = _FRAME_HEADER.itemsize + size**2
    present = max(0, path.stat().st_size - first) // frame
    if present != ny * nx:
        problem = "truncated" if present < ny * nx else "longer than its header says"
        raise InputError(
            path, f"the file is {problem}: its header promises {ny * nx} patterns of {size}x{size} "
            f"pixels, {present} are there", remedy=COMPLETE,
        )  # fmt: skip
    for number in sorted({0, 1, nx, ny * nx - 1} & set(range(ny * nx))):
        _refuse_unmarked(path, first + number * frame, number)
    signal = without_clock(map_signals(path, "blockfile")[0])
    note = str(signal["original_metadata"]["blockfile_header"].get("Note", ""))
    if angle := _PRECESSION.search(note):
        place = signal["metadata"].setdefault("Acquisition_instrument", {}).setdefault("TEM", {})
        place["precession_deg"] = float(angle[1])
    timing = _timing(float(header["Acquisition_time"]))
    return from_signal(path, signal, (path,), rows_together=1, timing=timing)


def _timing(days: float) -> Timing:
    """No start is known: nothing documents what the one moment of the header is of."""
    name = "Acquisition_time of the header"
    stamp = from_serial(days, name)
    if stamp.moment is not None:
        stamp = Stamp(
            None,
            f"{name}, {stamp.text}, is of the scan's start or its end and of an unknown zone, which"
            " is not documented",
        )
    return Timing(stamp, stamp)


def _refuse_unmarked(path: Path, offset: int, number: int) -> None:
    """A pattern starts with its mark if the header gives size and offset rightly.

    Its number is no sign: programs that cut or join scans leave the old ones.
    """
    found = np.fromfile(path, _FRAME_HEADER, 1, offset=offset)[0]
    if found["mark"] != _MARK:
        raise InputError(
            path, f"pattern {number} does not begin at byte {offset}, where its header places it",
            remedy="export the scan again: its header and its patterns do not belong together",
        )  # fmt: skip
