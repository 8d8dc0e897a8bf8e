"""aXis2000: a binary array (.ncb) with a text header of the same name (.dat)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.core.texts import decoded
from phasefront.stacks.formats.stack import XRAY, Stack

_MICROMETRE = 1e3  # nm: the unit of aXis2000's positions


def header_of(path: Path) -> Path:
    """The text header of a .ncb."""
    return path.with_suffix(".dat")


def read(path: Path) -> Stack:
    """Stack of a .ncb: columns, rows and a scale; ends along x and y, um; energies, eV; images.

    A scale below 0 stands for float32, above for int16 of counts times the scale; little-endian,
    x fastest. An image's line has its name, energy and dwell time, ms.

    Raises InputError for a header that is not there or no such, an array of another size, and
    energies beside the images that are others.
    """
    header = header_of(path)
    if not header.is_file():
        raise InputError(
            header, "there is no such file", remedy="put the .dat beside the .ncb, it is its header"
        )
    lines = [line.split() for line in decoded(header.read_bytes()).splitlines() if line.strip()]
    try:
        columns, rows, scale = int(lines[0][0]), int(lines[0][1]), float(lines[0][2])
        ends = [float(lines[line][end]) for line in (1, 2) for end in (0, 1)]
        number = int(lines[3][0])
        energy = np.array([float(line[0]) for line in lines[4 : 4 + number]])
    except (IndexError, ValueError):
        raise InputError(
            header, "it is no header of aXis2000", remedy="export the stack from aXis2000 again"
        ) from None
    if len(energy) != number or min(columns, rows, number) < 1 or scale == 0:
        raise InputError(
            header, f"it promises {number} energies of {rows} x {columns} and has {len(energy)}",
            remedy="export the stack from aXis2000 again",
        )  # fmt: skip
    kind = np.dtype("<f4" if scale < 0 else "<i2")
    size, promised = path.stat().st_size, columns * rows * number * kind.itemsize
    if size != promised:
        raise InputError(
            path, f"it has {size} bytes, and {number} images of {rows} x {columns} {kind.name} have"
            f" {promised}", remedy="copy .ncb and .dat again",
        )  # fmt: skip
    counts = np.fromfile(path, dtype=kind).astype(float).reshape(number, rows, columns)
    if kind.kind == "i" and counts.max() == np.iinfo("i2").max:
        raise InputError(
            path, "counts reach 32767, the largest of its type: they do not fit in it",
            field="counts", remedy="export it from aXis2000 as floating-point numbers",
        )  # fmt: skip
    return Stack(
        path, (path, header), XRAY, energy, counts / scale if scale > 0 else counts,
        dwell_s=_dwell(header, lines[4 + number :], energy),
        pixel_nm=(_step(ends[2:], rows, header, "y"), _step(ends[:2], columns, header, "x")),
    )  # fmt: skip


def _step(ends: list[float], number: int, header: Path, axis: str) -> float:
    if number < 2:
        return float("nan")
    step = abs(ends[1] - ends[0]) / (number - 1)
    if step == 0:
        raise InputError(
            header, "both ends are the same: the pixel size is zero", field=axis,
            remedy="export the stack from aXis2000 with its positions",
        )  # fmt: skip
    return step * _MICROMETRE


def _dwell(header: Path, lines: list[list[str]], energy: np.ndarray) -> np.ndarray | None:
    """Dwell times, s, where each image has a line that says it."""
    try:
        said = np.array([[float(line[1]), float(line[2])] for line in lines[: len(energy)]])
    except (IndexError, ValueError):
        return None
    if said.shape != (len(energy), 2):
        return None
    if np.abs(said[:, 0] - energy).max() > 0.01:  # eV: as the lines are rounded
        raise InputError(
            header, "the energies beside its images are not those above them", field="energy",
            remedy="export the stack from aXis2000 again",
        )  # fmt: skip
    return said[:, 1] * 1e-3
