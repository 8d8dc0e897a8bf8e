"""Streams of TVIPS cameras (.tvips)."""

from __future__ import annotations

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
from phasefront.scans.formats.scan import COMPLETE, Axis, Scan, build_scan
from phasefront.scans.formats.timing import Timing, of_frames

_HEADER = np.dtype(
    [
        (name, "<u4")
        for name in (
            "size", "version", "dimx", "dimy", "bitsperpixel", "offsetx", "offsety", "binx",
            "biny", "pixelsize", "ht", "magtotal", "frameheaderbytes",
        )
    ]
)  # fmt: skip
# Bytes into a frame's header where its moment (two numbers) and the counter of the scan stand.
_SECONDS_OFFSET, _ROTATOR_OFFSET = 4, 48
# A scan that lost more of its positions than this share is refused; chosen.
_MOST_LOST = 0.05


def open_tvips(path: Path, layout: ScanLayout) -> Scan:
    """TVIPS stream: frames in name_000.tvips, name_001.tvips, ... with a scan index each.

    Read by its own structure, because rosettasciio reads all frames to open it. The header's pixel
    size is the camera's own, no calibration. Neither scan step nor the scan's shape is stored: the
    table of scans gives it.
    """
    if not path.stem.endswith("_000"):
        raise InputError(
            path, "it is not the first file of a TVIPS stream", remedy="name the one ending in _000"
        )
    if path.stat().st_size < _HEADER.itemsize:
        raise InputError(path, "the file is truncated within its header", remedy=COMPLETE)
    header = {key: int(value) for key, value in zip(_HEADER.names, _first(path), strict=True)}
    if header["version"] != 2:
        raise InputError(
            path, f"TVIPS streams of version {header['version']} cannot be read",
            remedy="convert it to .hspy with TVIPS's or HyperSpy's converter",
        )  # fmt: skip
    camera = (header["dimy"], header["dimx"])
    dtype = _dtype(path, header, camera)
    files = [FrameFile(path, dtype, header["size"])]
    while (file := path.with_name(f"{path.stem[:-3]}{len(files):03d}{path.suffix}")).exists():
        files.append(FrameFile(file, dtype, 0, files[-1].first + files[-1].count))
    rotators = np.concatenate([file.values("rotator") for file in files])
    _refuse_damaged_index(path, rotators)
    if layout.scan_shape is None:
        raise UnknownShape(
            path, f"a TVIPS stream does not store the shape of its scan, here of {rotators.max()} "
            "positions",
            remedy="give scan_shape, such as 4 x 6 (rows x columns), in the table of scans",
        )  # fmt: skip
    order = lay_out(path, scan_index(rotators), layout.scan_shape, layout)

    def read(start: int, stop: int) -> np.ndarray:
        return read_frames(files, order[start:stop])

    sizes = zip(("y", "x", "ky", "kx"), (*layout.scan_shape, *camera), strict=True)
    axes = [Axis(name, size, 0, "") for name, size in sizes]
    voltage = {"Acquisition_instrument": {"TEM": {"beam_energy": header["ht"]}}}
    return build_scan(
        path, tuple(file.path for file in files), axes, dtype["pattern"].base,
        voltage if header["ht"] else {}, {"tvips_header": header}, read,
        shape_from="the table of scans", timing=lambda: _timing(files, order),
    )  # fmt: skip


def _timing(files: list[FrameFile], order: np.ndarray) -> Timing:
    """Every frame has a moment: seconds since 1970 in UTC, and milliseconds."""
    seconds, milliseconds = (
        np.concatenate([file.values(name) for file in files]).astype(np.int64)[order]
        for name in ("seconds", "milliseconds")
    )
    start = from_unix(seconds[0, 0] + 1e-3 * milliseconds[0, 0], "the times of its frames")
    return of_frames(start, 10**9 * seconds + 10**6 * milliseconds)


def _first(path: Path) -> np.void:
    return np.fromfile(path, _HEADER, 1)[0]


def _dtype(path: Path, header: dict[str, int], camera: tuple[int, int]) -> np.dtype:
    """Record of a frame, whose header must hold a scan index."""
    bits, header_bytes = header["bitsperpixel"], header["frameheaderbytes"]
    if bits not in (8, 16, 32):
        raise InputError(
            path, f"its pixels have {bits} bits, not 8, 16 or 32", field="bitsperpixel",
            remedy=f"the header is damaged: {COMPLETE}",
        )  # fmt: skip
    if header_bytes < _ROTATOR_OFFSET + 4:
        raise InputError(
            path, f"its frames have headers of {header_bytes} bytes, too short for a scan index",
            field="frameheaderbytes",
            remedy="record it as a scan; otherwise give scan shape and frames to HyperSpy and save "
            "it as .hspy",
        )  # fmt: skip
    if header["size"] < _HEADER.itemsize:
        raise InputError(
            path, f"its header says that it is {header['size']} bytes long itself", field="size",
            remedy=f"the header is damaged: {COMPLETE}",
        )  # fmt: skip
    return frame_dtype(
        path, camera, np.dtype(f"<u{bits // 8}"), header_bytes=header_bytes, start=header["size"],
        rotator=("<u4", _ROTATOR_OFFSET), seconds=("<u4", _SECONDS_OFFSET),
        milliseconds=("<u4", _SECONDS_OFFSET + 4),
    )  # fmt: skip


def _refuse_damaged_index(path: Path, rotators: np.ndarray) -> None:
    """The index runs upwards, and few positions are without a frame: so it bounds the scan."""
    index = rotators[rotators > 0].astype(np.int64)
    if index.size == 0:
        raise InputError(
            path, f"none of its {rotators.size} frames has a scan index",
            remedy="name a stream that was recorded during a scan",
        )  # fmt: skip
    lost = index[-1] - np.unique(index).size
    if (np.diff(index) < 0).any():
        problem = "its scan index runs backwards: it is damaged, or there is more than one scan"
    elif lost > _MOST_LOST * index[-1]:
        problem = f"its scan index runs to {index[-1]}, and {lost} of these have no frame"
    else:
        return
    raise InputError(
        path, problem, field="rotator",
        remedy="save one whole scan alone, or copy the file again",
    )  # fmt: skip


def scan_index(rotator: np.ndarray) -> np.ndarray:
    """Frame of each scan position from TVIPS's running scan index (0 outside the scan).

    A frame that repeats the index stands for the next position if that is skipped; a position
    that no frame is left for takes the frame before it.
    """
    order = np.flatnonzero(rotator > 0)
    if order.size == 0:
        return order
    index, first = np.unique(rotator[order].astype(np.int64), return_index=True)
    following = np.append(index[1:], index[-1] + 1)
    which = np.searchsorted(index, rotator[order])
    position = index[which] + np.arange(order.size) - first[which]
    used = (position >= index[which]) & (position < following[which])
    frames = np.full(index[-1], order[0])
    frames[position[used] - 1] = order[used]
    return np.maximum.accumulate(frames)
