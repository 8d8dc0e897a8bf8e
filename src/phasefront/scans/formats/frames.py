"""Streams of frames: which of them are positions of the scan, and reading those."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.experiment.settings.scans import ScanLayout
from phasefront.scans.formats.scan import BLOCK_BYTES, COMPLETE, times


class UnknownShape(InputError):
    """Neither a stream of frames nor a table says how its frames make rows and columns."""


@dataclass(frozen=True)
class FrameFile:
    """One file of a stream: records of `dtype` from the byte `offset` on.

    A record has the field `pattern` (ky, kx). `first` is the number of the file's first frame in
    the stream.
    """

    path: Path
    dtype: np.dtype
    offset: int = 0
    first: int = 0

    @property
    def count(self) -> int:
        """Frames in the file; raises InputError where it ends within one."""
        data_bytes = self.path.stat().st_size - self.offset
        if data_bytes % self.dtype.itemsize:
            raise InputError(self.path, "the file ends within a frame", remedy=COMPLETE)
        return data_bytes // self.dtype.itemsize

    def map(self, start: int, stop: int) -> np.memmap:
        """Records of the file from `start` up to `stop`, and no more, mapped to memory."""
        offset = self.offset + start * self.dtype.itemsize
        return np.memmap(self.path, self.dtype, "r", offset, (stop - start,))

    def values(self, field: str, of: Callable[[np.ndarray], np.ndarray] = np.array) -> np.ndarray:
        """A small field of every record (count,), or a number `of` each, without the patterns."""
        return np.concatenate([of(records[field]) for records in self._blocks()])

    def _blocks(self) -> Iterator[np.memmap]:
        step = max(1, BLOCK_BYTES // self.dtype.itemsize)
        count = self.count
        for start in range(0, count, step):
            yield self.map(start, min(start + step, count))


def frame_dtype(
    path: Path, camera: tuple[int, int], pixel: np.dtype, *, header_bytes: int, start: int = 0,
    **fields: tuple[object, int],
) -> np.dtype:  # fmt: skip
    """Record of a frame: `header_bytes`, then the pattern; `fields` are (dtype, offset) in it.

    Raises InputError where the file, from the byte `start` on, does not hold one such frame: so
    whatever is asked for later is bounded by the file's size.
    """
    size = header_bytes + math.prod(camera) * pixel.itemsize
    present = path.stat().st_size - start
    if min(*camera, header_bytes, start + 1) <= 0 or size > present:
        raise InputError(
            path, f"its header promises frames of {times(camera)} pixels, {size} bytes each, but "
            f"{max(present, 0)} bytes are there", remedy=COMPLETE,
        )  # fmt: skip
    formats = {name: given for name, (given, _) in fields.items()} | {"pattern": (pixel, camera)}
    offsets = [offset for _, offset in fields.values()] + [header_bytes]
    return np.dtype(
        {"names": list(formats), "formats": list(formats.values()), "offsets": offsets,
         "itemsize": size}
    )  # fmt: skip


def lay_out(path: Path, frames: np.ndarray, shape: tuple[int, int], layout: ScanLayout):
    """Frame of each position (ny, nx) from the `frames` in the order they were taken.

    `layout.skip` frames come before the first position, `layout.flyback` frames after each row;
    those after the last row may be missing. Raises InputError unless this is all there is.
    """
    ny, nx = shape
    row = nx + layout.flyback
    needed = layout.skip + ny * row
    if len(frames) not in (needed, needed - layout.flyback):
        raise InputError(
            path, f"{len(frames)} frames are there, but {times(shape)} positions with "
            f"{layout.skip} frames before them and {layout.flyback} after each row make {needed}",
            remedy="correct scan_shape, skip and flyback in the table of scans",
        )  # fmt: skip
    return frames[layout.skip + row * np.arange(ny)[:, np.newaxis] + np.arange(nx)]


def read_frames(files: list[FrameFile], wanted: np.ndarray) -> np.ndarray:
    """Patterns (rows, nx, ky, kx) of the frames `wanted` (rows, nx), by number in the stream."""
    pattern = files[0].dtype["pattern"]
    block = np.empty((*wanted.shape, *pattern.shape), pattern.base)
    for file in files:
        here = (wanted >= file.first) & (wanted < file.first + file.count)
        if here.any():
            chosen = wanted[here] - file.first
            first = chosen.min()
            block[here] = file.map(first, chosen.max() + 1)["pattern"][chosen - first]
    return block
