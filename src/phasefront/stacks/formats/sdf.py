"""SDF: a text header (.hdr) with an image (.xim) for each energy, of ALS, MAX IV, SLS and CLS."""

from __future__ import annotations

import glob
import re
from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.core.texts import decoded
from phasefront.scans.formats.headers import NANOMETRES, unit_of
from phasefront.stacks.formats.stack import XRAY, Stack, in_electronvolts, shape_of, step_of

_REGIONS = re.compile(r"Regions\s*=\s*\(\s*(\d+)\s*,")
_NUMBERED = re.compile(r"_a(\d+)\.xim$", re.IGNORECASE)


def images_of(path: Path) -> list[Path]:
    """Images of the first channel beside a header, in the order of their numbers."""
    named = [
        (int(found[1]), file) for file in path.parent.glob(f"{glob.escape(path.stem)}_a*.xim")
        if (found := _NUMBERED.search(file.name))
    ]  # fmt: skip
    return [file for _, file in sorted(named)]


def read(path: Path) -> Stack:
    """Stack of one region by its header and the images of its first channel.

    Rows of an image are Sample Y (QAxis), columns Sample X (PAxis). A channel in Hz is a rate, and
    dwell times are in ms.

    Raises InputError for what is no image stack, several regions, images that are not there, are
    not numbered as the energies, or have another shape than the header says.
    """
    header = decoded(path.read_bytes())
    flags = _text(header, "Flags")
    if "ScanDefinition" not in header or flags != "Image Stack":
        raise InputError(
            path, f"it is {f'of the kind {flags!r}, no image stack' if flags else 'no SDF header'}",
            field="Flags", remedy="name the .hdr of an image stack",
        )  # fmt: skip
    regions = _REGIONS.search(header)
    if regions is None or int(regions[1]) != 1:
        raise InputError(
            path, f"it has {regions[1] if regions else 'no'} regions", field="Regions",
            remedy="save each region as a stack of its own",
        )  # fmt: skip
    x, x_unit = _axis(path, header, "PAxis")
    y, y_unit = _axis(path, header, "QAxis")
    energy, unit = _axis(path, header, "StackAxis")
    files = images_of(path)
    if len(files) != len(energy):
        raise InputError(
            path, f"it has {len(energy)} energies, and {len(files)} images lie beside it",
            field="StackAxis", remedy="put all its .xim files, and no others, beside the header",
        )  # fmt: skip
    numbers = [int(_NUMBERED.search(file.name)[1]) for file in files]
    notes = ()
    if numbers != list(range(len(numbers))):
        notes = (f"its images are numbered {', '.join(map(str, numbers))} and taken in that order",)
    counts = np.stack([_image(file, (len(y), len(x))) for file in files])
    dwell = _number(header, "Dwell") * 1e-3
    if _text(header.partition("Channels")[2], "Unit") == "Hz":
        if not dwell > 0:
            raise InputError(
                path, "its images are rates, and no dwell time is given", field="Dwell",
                remedy="give Dwell in ms",
            )  # fmt: skip
        counts = counts * dwell
    return Stack(
        path, (path, *files), XRAY, in_electronvolts(path, energy, unit), counts,
        dwell_s=np.full(len(energy), dwell),
        pixel_nm=(_step(path, y, y_unit, "QAxis"), _step(path, x, x_unit, "PAxis")), notes=notes,
    )  # fmt: skip


def _step(path: Path, positions: np.ndarray, unit: str, axis: str) -> float:
    if unit_of(unit) not in NANOMETRES:
        raise InputError(
            path, f"its positions are in {unit!r}", field=axis, remedy="give them in um"
        )
    return step_of(path, positions, NANOMETRES[unit_of(unit)], axis)


def _axis(path: Path, header: str, name: str) -> tuple[np.ndarray, str]:
    """Points and unit of an axis, whose first number is how many there are."""
    block = header.partition(f"{name} =")[2]
    points = re.search(r"Points\s*=\s*\(([^)]*)\)", block)
    if points is None:
        raise InputError(path, "it has no points", field=name, remedy="copy the header again")
    try:
        count, *values = (float(part) for part in points[1].replace("}", "").split(","))
    except ValueError:
        raise InputError(
            path, "a point is no number", field=name, remedy="copy the header again"
        ) from None
    if count != len(values):
        raise InputError(
            path, f"it promises {count:g} points and has {len(values)}", field=name,
            remedy="copy the header again",
        )  # fmt: skip
    return np.array(values), _text(block, "Unit")


def _text(header: str, key: str) -> str:
    found = re.search(rf'\b{key}\s*=\s*"([^"]*)"', header)
    return found[1] if found else ""


def _number(header: str, key: str) -> float:
    found = re.search(rf"\b{key}\s*=\s*([-+.\deE]+)\s*;", header)
    return float(found[1]) if found else float("nan")


def _image(path: Path, shape: tuple[int, int]) -> np.ndarray:
    rows = [line.split() for line in decoded(path.read_bytes()).splitlines() if line.strip()]
    widths = {len(row) for row in rows}
    if (len(rows), *widths) != shape:
        raise InputError(
            path, f"its image is {len(rows)} x {'/'.join(map(str, sorted(widths)))}, the header"
            f" says {shape_of(shape)}", remedy="copy it again, or leave it and its energy out",
        )  # fmt: skip
    try:
        return np.array(rows, dtype=float)
    except ValueError:
        raise InputError(
            path, "a value of its image is no number", remedy="copy the image again"
        ) from None
