"""Lines and numbers of the readers' text files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np

from phasefront.core.errors import InputError
from phasefront.core.texts import decoded

# No inorganic or molecular crystal's axis, angstrom, lies outside; nor an angle of a cell, degree.
_LENGTHS, _ANGLES = (1.0, 500.0), (20.0, 160.0)
# Angstrom: of 30 kV, the least voltage of a microscope here; X-rays begin at 0.1.
_LONGEST_WAVELENGTH = 0.07


def lines_of(path: str | Path) -> list[str]:
    """Its lines; raises InputError for what is no text."""
    try:
        return decoded(Path(path).read_bytes()).splitlines()
    except ValueError:
        raise InputError(path, "no text", remedy="copy the file again") from None


def numbers(
    path: str | Path, text: str | Sequence[str], count: int, field: str
) -> np.ndarray:  # fmt: skip
    """The first `count` numbers of a text, all finite; raises InputError where there are fewer."""
    words = text.split() if isinstance(text, str) else text
    try:
        values = np.array([float(word) for word in words[:count]])
    except ValueError:
        values = np.array([])
    if len(values) != count or not np.isfinite(values).all():
        raise InputError(
            path, f"{' '.join(words)[:60]!r} are not {count} numbers", field=field,
            remedy="copy the file again, or have the program write it again",
        )  # fmt: skip
    return values


def cell_of(path: str | Path, text: str | Sequence[str], field: str) -> np.ndarray:
    """A cell (6,); raises InputError for numbers that are no cell's."""
    cell = numbers(path, text, 6, field)
    length, angle = cell[:3], cell[3:]
    spans = (
        ((length > _LENGTHS[0]) & (length < _LENGTHS[1])).all()
        and ((angle > _ANGLES[0]) & (angle < _ANGLES[1])).all()
        and gemmi.UnitCell(*cell).volume > 0.05 * np.prod(length)  # not almost in one plane
    )
    if not spans:
        raise InputError(
            path, f"{' '.join(f'{value:g}' for value in cell)} is no unit cell", field=field,
            remedy="give lengths in angstrom and angles in degrees",
        )  # fmt: skip
    return cell


def wavelength_of(path: str | Path, text: str, field: str) -> float:
    """A wavelength, angstrom; raises InputError for one that fast electrons do not have."""
    value = float(numbers(path, text, 1, field)[0])
    if not 0 < value <= _LONGEST_WAVELENGTH:
        raise InputError(
            path, f"{value:g} angstrom is no wavelength of fast electrons", field=field,
            remedy="give the cell as the program for 3D electron diffraction wrote it",
        )  # fmt: skip
    return value


def truncated(path: str | Path, what: str) -> InputError:
    """The refusal of a file that lacks what its kind has."""
    return InputError(
        path, f"has no {what}", remedy="copy the file again, or have the program write it again"
    )


def centring_of(path: str | Path, symbol: str | int) -> str:
    """Letter of the lattice of a space group, by its number or its symbol.

    Raises InputError for none of the tables'.
    """
    group = (
        gemmi.find_spacegroup_by_number(symbol)
        if isinstance(symbol, int)
        else gemmi.find_spacegroup_by_name(symbol)
    )
    if group is None:
        raise InputError(
            path, f"{symbol!r} is no space group", field="space group", remedy="correct it"
        )
    return group.centring_type()
