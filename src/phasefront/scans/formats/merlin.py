"""Merlin of Quantum Detectors (.mib), with the .hdr beside it.

A frame is a header, in which fields are separated by commas, and its pattern, upside down. The
scan's shape stands in the .hdr (ScanX, ScanY, or frames per trigger where each line has one), or
in the table of scans. Where neither says, time stamps are believed only if every line ends with
the same long pause: other stamps, late by a little, have been taken for ends of lines.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.core.moments import from_unix
from phasefront.experiment.settings.scans import ScanLayout
from phasefront.scans.formats.frames import (
    FrameFile,
    UnknownShape,
    frame_dtype,
    lay_out,
    read_frames,
)
from phasefront.scans.formats.scan import COMPLETE, Axis, Scan, build_scan, times
from phasefront.scans.formats.timing import UNTIMED, Timing, of_frames

_PIXELS = {"U08": np.dtype("u1"), "U16": np.dtype(">u2"), "U32": np.dtype(">u4")}
# Headers of one and of four chips.
_HEADER_BYTES = (384, 768)
# A .hdr is a page of text.
_LONGEST_HDR = 2**20
_FRAMES, _PER_TRIGGER = "Frames in Acquisition (Number)", "Frames per Trigger (Number)"
# A pause between lines is at least so many times the longest within them, and they differ by no
# more than this share; chosen.
_PAUSE, _PAUSE_SPREAD = 3.0, 0.2
_GIVE_SHAPE = "give scan_shape, such as 4 x 6 (rows x columns), in the table of scans"


def open_mib(path: Path, layout: ScanLayout) -> Scan:
    """A Merlin scan; raises InputError where nothing says its shape, or header and table differ."""
    fields = _frame_fields(path)
    header_bytes, kx, ky = (_whole(path, fields[i], name) for i, name in _NUMBERS.items())
    if header_bytes not in _HEADER_BYTES:
        raise InputError(
            path, f"its frames have a header of {header_bytes} bytes, not 384 or 768",
            remedy="save the scan with Merlin's software for one or four chips",
        )  # fmt: skip
    pixel = _pixel(path, fields[6])
    dtype = frame_dtype(
        path, (ky, kx), pixel, header_bytes=header_bytes, header=(f"S{header_bytes}", 0)
    )
    frames = FrameFile(path, dtype)
    count = frames.count
    header_file = path.with_suffix(".hdr")
    hdr = _read_hdr(header_file) if header_file.exists() else {}
    promised = _number(header_file, hdr, _FRAMES) or count
    if promised != count:
        raise InputError(
            path, f"{promised} frames are expected, {count} are there",
            remedy=f"{COMPLETE}, or correct 'Frames in Acquisition' of its .hdr",
        )  # fmt: skip
    _refuse_lost(path, frames, count)
    if count == 1:
        raise InputError(
            path, f"it holds one pattern of {ky} x {kx} pixels, no scan",
            remedy="name the file with the scan itself",
        )  # fmt: skip
    shape, source = _shape(path, frames, header_file, hdr, layout)
    order = lay_out(path, np.arange(count), shape, layout)

    def read(start: int, stop: int) -> np.ndarray:
        return read_frames([frames], order[start:stop])[..., ::-1, :]

    axes = [
        Axis(n, s, 0, "") for n, s in zip(("y", "x", "ky", "kx"), (*shape, ky, kx), strict=True)
    ]
    return build_scan(
        path, (path, header_file) if hdr else (path,), axes, pixel, {},
        {"mib_header": ",".join(fields).strip(" ,\0"), "hdr_file": hdr}, read, shape_from=source,
        timing=lambda: _timing(frames, order),
    )  # fmt: skip


def _timing(frames: FrameFile, order: np.ndarray) -> Timing:
    """Every frame has a moment: in UTC where the software is newer, else of the computer's clock.

    The .hdr's is another, of when the acquisition was prepared.
    """
    for pattern, what, zone in _STAMPS:
        stamps = frames.values(
            "header", lambda headers, pattern=pattern: _moments(headers, pattern)
        )
        if np.isnat(stamps).any():
            continue
        chosen = stamps[order].astype(np.int64)
        start = from_unix(1e-9 * int(chosen[0, 0]), what)
        if start.moment is not None and zone is None:
            start = start._replace(moment=start.moment.replace(tzinfo=None))
        return of_frames(start, chosen)
    return UNTIMED


def _moments(headers: np.ndarray, pattern: re.Pattern) -> np.ndarray:
    """Moments (n,) in headers (n,), to the ns; not a time where one has none."""
    found = np.full(len(headers), "NaT", "datetime64[ns]")
    for number, header in enumerate(headers):
        if match := pattern.search(header.decode("latin-1")):
            with suppress(ValueError):  # no date of a calendar
                found[number] = np.datetime64(match[1].replace(" ", "T"), "ns")
    return found


_MOMENT = r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d{1,9})"
# Moments in a frame's header, what they are, and their zone.
_STAMPS = (
    (re.compile(f",MQ1A,{_MOMENT}Z"), "the UTC times of its frames", "UTC"),
    (re.compile(f",{_MOMENT},"), "the local times of its frames", None),
)
# Places of whole numbers among the fields of a frame's header.
_NUMBERS = {2: "bytes of the header", 4: "columns", 5: "rows"}


def _frame_fields(path: Path) -> list[str]:
    """Fields of the first frame's header."""
    with path.open("rb") as file:
        start = file.read(_HEADER_BYTES[0])
    fields = start.decode("latin-1").split(",")
    if not start.startswith(b"MQ1,") or len(fields) < 8:
        problem = "it cannot be read as a Merlin file: it does not start with the header of a frame"
        raise InputError(path, problem, remedy="check its suffix, or copy it again")
    return fields


def _pixel(path: Path, kind: str) -> np.dtype:
    if kind.startswith("R"):
        raise InputError(
            path, f"it was saved in raw mode ({kind}), as the chips send it",
            remedy="convert it, or record it, in Merlin's mode U08, U16 or U32",
        )  # fmt: skip
    if kind not in _PIXELS:
        raise InputError(
            path, f"its pixels are of the unknown kind {kind!r}",
            remedy="record in Merlin's mode U08, U16 or U32",
        )  # fmt: skip
    return _PIXELS[kind]


def _whole(path: Path, text: str, name: str) -> int:
    """A whole number, zero or more, of a header."""
    if not re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII):
        raise InputError(
            path, f"{text.strip()[:40]!r} is no whole number", field=name,
            remedy="correct it from the acquisition's notes, or copy the file again",
        )  # fmt: skip
    return int(text)


def _number(path: Path, hdr: dict[str, str], key: str) -> int:
    """A whole number of the .hdr; 0 where it is not there."""
    return _whole(path, hdr.get(key, "0"), key)


def _read_hdr(path: Path) -> dict[str, str]:
    """Values of a .hdr by their keys; UTF-8 or, of older software, Latin-1."""
    with path.open("rb") as file:
        content = file.read(_LONGEST_HDR)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    values = {}
    for line in text.splitlines():
        key, _, value = line.partition("\t")
        if key.strip() == "End":
            break
        if key.strip() and not key.startswith("HDR"):
            values[key.strip().rstrip(":")] = value.strip()
    return values


def _refuse_lost(path: Path, frames: FrameFile, count: int) -> None:
    """Merlin numbers its frames: a gap in the numbers is a position that was lost.

    And each begins with its header, if the first one's gives the size of a frame rightly.
    """
    numbers = []
    for i in sorted({0, 1, count - 1} & set(range(count))):
        header = frames.map(i, i + 1)["header"][0]
        if not header.startswith(b"MQ1,"):
            raise InputError(
                path, f"frame {i} does not begin where the first one's header places it",
                remedy="export the scan again, with frames of one size",
            )  # fmt: skip
        numbers.append(header.decode("latin-1").split(",")[1])
    first, last = numbers[0], numbers[-1]
    if first.isdecimal() and last.isdecimal() and int(last) - int(first) >= count:
        raise InputError(
            path, f"its frames are numbered {int(first)} to {int(last)}, but {count} are there",
            remedy="record or export the scan again: frames were lost, and which is not known",
        )  # fmt: skip


def _shape(
    path: Path, frames: FrameFile, header_file: Path, hdr: dict[str, str], layout: ScanLayout
) -> tuple[tuple[int, int], str]:
    """Rows and columns of the scan, and what says so."""
    stated = tuple(_number(header_file, hdr, key) for key in ("ScanY", "ScanX"))
    given = layout.scan_shape
    if given and any(s and s != g for s, g in zip(stated, given, strict=True)):
        raise InputError(
            path, f"the table of scans says {times(given)} positions, its .hdr ScanY {stated[0]}, "
            f"ScanX {stated[1]}", field="scan_shape", remedy="correct the one that is wrong",
        )  # fmt: skip
    if all(stated):
        return stated, "ScanX and ScanY of the .hdr"
    if given:
        return given, "the table of scans"
    count = frames.count
    per_line = _number(header_file, hdr, _PER_TRIGGER)
    source = "frames per trigger of the .hdr"
    if per_line <= 1:
        per_line = _line_by_stamps(frames)
        source = "pauses after every line, by the time stamps"
    columns = per_line - layout.flyback
    rows, rest = divmod(count - layout.skip, per_line) if per_line else (0, 0)
    if rest or min(rows, columns) < 2:
        raise UnknownShape(
            path, f"nothing says how its {count} frames make rows and columns", remedy=_GIVE_SHAPE
        )
    return (rows, columns), source


def _line_by_stamps(frames: FrameFile) -> int:
    """Frames a line, where every line ends with the same long pause; 0 where the stamps differ."""
    pattern, *_ = _STAMPS[0]
    moments = frames.values("header", lambda headers: _moments(headers, pattern))
    if np.isnat(moments).any() or len(moments) < 3:
        return 0
    pauses = np.diff(moments).astype(np.int64)
    # Those between the lines are above the middle of shortest and longest.
    ends = np.flatnonzero(pauses > (pauses.min() + pauses.max()) / 2)
    if len(ends) < 2 or pauses.min() <= 0:
        return 0
    line = int(ends[0]) + 1
    within = np.delete(pauses, ends)
    regular = len(within) and np.array_equal(ends + 1, np.arange(line, len(moments), line))
    distinct = regular and pauses[ends].min() >= _PAUSE * within.max()
    even = np.ptp(pauses[ends]) <= _PAUSE_SPREAD * pauses[ends].min()
    return line if distinct and even else 0
