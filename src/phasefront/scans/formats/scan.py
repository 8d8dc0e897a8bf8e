"""One raw scan on disk, whatever its format, read in blocks of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.scans.formats.headers import NANOMETRES, plain, unit_of
from phasefront.scans.formats.timing import UNTIMED, Timing

BLOCK_BYTES = 32 * 2**20  # of patterns read at once, for memory's sake
# Blocks grow up to this factor so that no chunk of a compressed file is unpacked twice.
_LARGEST_BLOCK = 4 * BLOCK_BYTES
COMPLETE = "copy the file again from the microscope and check that it is complete"


@dataclass(frozen=True)
class Axis:
    """One axis of a scan as its file describes it; scale per position or pixel, in `unit`."""

    name: str
    size: int
    scale: float
    unit: str


@dataclass(frozen=True)
class Scan:
    """A raw scan on disk, read in blocks of rows.

    Attributes
    ----------
    path, files
        The file that was named, and all files that the patterns and header are read from.
    axes
        The four axes: rows and columns of positions, rows and columns of the camera.
    dtype
        dtype of the blocks, in native byte order.
    header
        What the file says about itself: `metadata` (rosettasciio's common terms) and `original`;
        plain values that `json.dumps` takes.
    title
        The file's own title, or its stem.
    rows_together
        Rows that the file stores together; blocks of a multiple of it are fastest.
    shape_from
        What says how many rows and columns of positions there are.
    """

    path: Path
    files: tuple[Path, ...]
    axes: tuple[Axis, Axis, Axis, Axis]
    dtype: np.dtype
    header: dict
    title: str
    rows_together: int
    shape_from: str
    _read: Callable[[int, int], np.ndarray] = field(repr=False, compare=False)
    _timing: Callable[[], Timing] = field(repr=False, compare=False)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(ny, nx, ky, kx): rows, columns of positions, rows, columns of the camera."""
        return tuple(axis.size for axis in self.axes)

    @property
    def scan_step_nm(self) -> float:
        """Distance of neighbouring positions in nm; NaN where the file gives none, or two."""
        rows, columns = self.steps_nm
        likely = 0 < columns < math.inf and math.isclose(rows, columns, rel_tol=0.01)
        return columns if likely else math.nan

    @property
    def steps_nm(self) -> tuple[float, float]:
        """Distances of rows and of columns of positions in nm, as the file gives them; NaN without
        a length. One row is as far from the next as its columns are."""
        rows, columns = (axis.scale * NANOMETRES.get(axis.unit, math.nan) for axis in self.axes[:2])
        return (columns if self.shape[0] == 1 else rows), columns

    @property
    def scale(self) -> tuple[float, str] | None:
        """Size of a camera pixel along x as the file gives it, with its unit; None without."""
        axis = self.axes[3]
        known = axis.unit not in ("", "pixel", "pixels", "px") and 0 < axis.scale < math.inf
        return (axis.scale, axis.unit) if known else None

    def read_timing(self) -> Timing:
        """When the scan was taken, as its file says; the stamps of all frames may be read."""
        with blamed_on(self.path, "times"):
            return self._timing()

    def blocks(self, rows: int | None = None) -> Iterator[tuple[slice, np.ndarray]]:
        """Stream the scan once: (slice of rows, its patterns).

        Parameters
        ----------
        rows
            Rows of positions a block; by default as many as fit 32 MB, at least one.

        Yields
        ------
        slice, array
            Rows of the block, and a C-contiguous writable array (rows, nx, ky, kx) of `dtype`.

        Raises
        ------
        InputError
            If the file cannot be read there.
        """
        rows = self.block_rows if rows is None else rows
        for start in range(0, self.shape[0], rows):
            stop = min(start + rows, self.shape[0])
            yield slice(start, stop), self.read_rows(start, stop)

    def read_rows(self, start: int, stop: int) -> np.ndarray:
        """Patterns of the rows from `start` up to `stop`, see `blocks`."""
        with blamed_on(self.path, f"rows {start} to {stop - 1} of positions"):
            return np.require(self._read(start, stop), self.dtype, ["C", "O", "W"])

    @property
    def block_rows(self) -> int:
        """Rows of a block of about 32 MB, a multiple of what the file stores together."""
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        fitting = max(1, BLOCK_BYTES // row_bytes)
        together = self.rows_together
        if together <= fitting:
            fitting -= fitting % together
        elif together * row_bytes <= _LARGEST_BLOCK:
            fitting = together
        return min(fitting, self.shape[0])


def build_scan(
    path: Path, files: tuple[Path, ...], axes: list[Axis], dtype: np.dtype, metadata: dict,
    original: dict, read: Callable[[int, int], np.ndarray], *, rows_together: int = 1,
    shape_from: str = "the file", timing: Callable[[], Timing] = lambda: UNTIMED,
) -> Scan:  # fmt: skip
    """Scan after the checks that all formats share; a single scan axis becomes the columns."""
    if np.dtype(dtype).kind not in "iuf":
        raise InputError(
            path, f"its values are {dtype}, not real numbers",
            remedy="save the measured intensities as integers or floats",
        )  # fmt: skip
    if len(axes) == 3:
        axes = [Axis("y", 1, math.nan, ""), *axes]
    axes = tuple(Axis(axis.name, axis.size, axis.scale, unit_of(axis.unit)) for axis in axes)
    shape = tuple(axis.size for axis in axes)
    if 0 in shape:
        raise InputError(
            path, f"its scan is empty: {' x '.join(map(str, shape))}",
            remedy="name the file with the scan itself",
        )  # fmt: skip
    metadata = {key: value for key, value in metadata.items() if key != "_HyperSpy"}
    metadata.get("General", {}).pop("FileIO", None)  # when it was read, by which version
    return Scan(
        path=path, files=files, axes=axes, dtype=native(dtype),
        header={"metadata": plain(metadata), "original": plain(original)},
        title=title_of(path, metadata), rows_together=rows_together,
        shape_from=shape_from, _read=read, _timing=timing,
    )  # fmt: skip


def native(dtype: np.dtype) -> np.dtype:
    """Native byte order; half precision, which Numba cannot read, becomes single."""
    dtype = np.dtype(dtype).newbyteorder("=")
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def title_of(path: Path, metadata: dict) -> str:
    return str(metadata.get("General", {}).get("title") or path.stem)


def the_only(path: Path, names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    problem = f"it holds {len(names)} scans ({', '.join(names)})" if names else "it holds no scan"
    raise InputError(
        path, f"{problem} of diffraction patterns", remedy="save one scan alone in a file"
    )


def times(sizes) -> str:
    return " x ".join(map(str, sizes))


@contextmanager
def blamed_on(path: Path, place: str | None = None):
    """Turn whatever a reader raises on a damaged file into one sentence about the file."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        lines = str(error).strip().splitlines()
        reason = lines[0] if lines else type(error).__name__
        remedy = COMPLETE if place else "check that it is complete, and what its suffix says"
        raise InputError(path, f"cannot be read ({reason})", field=place, remedy=remedy) from error
