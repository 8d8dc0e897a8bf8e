"""ASTAR block files made of the patterns of another: tiled to any size, cropped, chosen."""

from pathlib import Path

import numpy as np
from rsciio.blockfile._api import get_header_dtype_list


def rearrange(source: Path, goal: Path, places: np.ndarray) -> Path:
    """A block file whose pattern at each position is that of `source` at `places` (ny, nx).

    `places` are numbers of patterns, row by row; see `tiled` and `cropped`.
    """
    header, images, frames = _parts(source)
    ny, nx = places.shape
    header = header.copy()
    header["NX"], header["NY"] = nx, ny
    start = int(header["Data_offset_1"][0])
    header["Data_offset_2"] = start + ny * nx
    goal.parent.mkdir(parents=True, exist_ok=True)
    with goal.open("wb") as stream:
        stream.write(header.tobytes())
        stream.write(np.fromfile(source, np.uint8, start)[header.nbytes :].tobytes())  # the note
        stream.write(images[places.ravel()].tobytes())
        for number, row in enumerate(places):
            block = frames[row]
            block["number"] = number * nx + np.arange(nx)
            stream.write(block.tobytes())
    return goal


def shape_of(source: Path) -> tuple[int, int]:
    """Rows and columns of positions."""
    header, _, _ = _parts(source)
    return int(header["NY"][0]), int(header["NX"][0])


def tiled(source: Path, shape: tuple[int, int]) -> np.ndarray:
    """Places that repeat a scan, every other copy mirrored, so that no seam cuts a grain."""
    ny, nx = shape_of(source)
    y, x = (
        np.concatenate([np.arange(size), np.arange(size)[::-1]])[np.arange(wanted) % (2 * size)]
        for size, wanted in zip((ny, nx), shape, strict=True)
    )
    return y[:, None] * nx + x


def cropped(source: Path, rows: slice, columns: slice) -> np.ndarray:
    """Places of a part of a scan."""
    ny, nx = shape_of(source)
    return np.arange(ny * nx).reshape(ny, nx)[rows, columns]


def _parts(source: Path):
    """Header, virtual bright field (n,), and frames with their own heads (n,)."""
    header = np.fromfile(source, np.dtype(get_header_dtype_list("<")), count=1)
    number = int(header["NX"][0]) * int(header["NY"][0])
    side = int(header["DP_SZ"][0])
    images = np.fromfile(source, np.uint8, count=number, offset=int(header["Data_offset_1"][0]))
    frame = np.dtype([("magic", "<u2"), ("number", "<u4"), ("counts", "u1", (side, side))])
    frames = np.memmap(
        source, frame, mode="r", offset=int(header["Data_offset_2"][0]), shape=(number,)
    )
    return header, images, frames
