"""What files of one tilt series say of its unit cell, and whether they say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from phasefront.core.errors import InputError

# Two files of one measurement may round its cell to two decimals: relative, and degree. Chosen.
_SAME_LENGTH, _SAME_ANGLE = 1e-3, 0.02
# Relative. Programs write wavelengths with three digits or more.
_SAME_WAVELENGTH = 5e-3


@dataclass(frozen=True, eq=False)
class Spots:
    """Places of spots in reciprocal space, in one right-handed frame that turns with the crystal.

    `observed` is False where a program wrote where it expected them: such places hold the cell
    that it had, and no errors of measurement.
    """

    q: np.ndarray  # (n, 3), 1/angstrom
    hkl: np.ndarray | None  # (n, 3), in the axes of `axes`; None where they are to be found
    axes: np.ndarray  # (3, 3) rows a*, b*, c* in that frame, 1/angstrom, that the program had
    observed: bool
    # Of the lattice in those axes, where the file with the spots says it; a program may integrate
    # in other axes than it states the cell in.
    centring: str | None = None


@dataclass(frozen=True, eq=False)
class Frame:
    """Directions in the frame that turns with the crystal: the axis that it turned about, and the
    beam in the middle of the turn. Unit vectors (3,)."""

    turning_axis: np.ndarray
    beam: np.ndarray


@dataclass(frozen=True, eq=False)
class Statement:
    """What one file says; None (or empty) where it does not."""

    path: str
    program: str
    cell: np.ndarray | None = None  # a, b, c (angstrom), alpha, beta, gamma (degree)
    cell_esd: np.ndarray | None = None  # of each, 0 where the program held it
    centring: str | None = None  # P, A, B, C, I, F, R
    space_group: str | None = None  # as the file has it
    wavelength: float | None = None  # angstrom
    count: int | None = None  # spots or reflections that the cell was refined on
    spots: Spots | None = None
    axes: np.ndarray | None = None  # rows a*, b*, c* of `cell` in the frame of `frame`
    frame: Frame | None = None
    # Whether the camera length was refined with the cell, so that e.s.d. of lengths hold its own.
    scale_refined: bool | None = None
    notes: tuple[str, ...] = ()


def join(statements: Sequence[Statement]) -> Statement:
    """All that the files of one measurement say; of what two say, the first's word.

    Raises InputError where two of them state different cells, wavelengths or centrings, and where
    none states a cell.
    """
    first = statements[0]
    for other in statements[1:]:
        known = next((one for one in statements if one.cell is not None), other)
        if other.cell is not None and known.cell is not None:
            _refuse_other_cell(known, other)
    joined = {}
    for field in fields(Statement):
        given = [getattr(one, field.name) for one in statements]
        joined[field.name] = next((value for value in given if value is not None), None)
    joined["program"] = ", ".join(dict.fromkeys(one.program for one in statements))
    joined["notes"] = tuple(note for one in statements for note in one.notes)
    if joined["cell"] is None:
        raise InputError(
            first.path, "states no unit cell that was measured",
            remedy="name the file with the refined cell as well, as CORRECT.LP or .celllist",
        )  # fmt: skip
    _refuse_others(statements)
    return Statement(**joined)


def _refuse_other_cell(one: Statement, other: Statement) -> None:
    length = np.abs(other.cell[:3] / one.cell[:3] - 1).max()
    angle = np.abs(other.cell[3:] - one.cell[3:]).max()
    if length > _SAME_LENGTH or angle > _SAME_ANGLE:
        raise InputError(
            other.path, f"its cell {words(other.cell)} is not {words(one.cell)}, as in {one.path}",
            field="cell", remedy="name files of one measurement in a row of the table of cells",
        )  # fmt: skip


def _refuse_others(statements: Sequence[Statement]) -> None:
    """Hold the wavelengths and the centrings of files together."""
    for name, same in (
        ("wavelength", lambda one, other: abs(other / one - 1) < _SAME_WAVELENGTH),
        ("centring", lambda one, other: one == other),
    ):
        told = [(one.path, getattr(one, name)) for one in statements]
        told = [(path, value) for path, value in told if value is not None]
        for path, value in told[1:]:
            if not same(told[0][1], value):
                raise InputError(
                    path, f"its {name} is {value}, while {told[0][0]} has {told[0][1]}",
                    field=name,
                    remedy="name files of one measurement in a row of the table of cells",
                )  # fmt: skip


def words(cell: Sequence[float]) -> str:
    """A cell for a sentence."""
    a, b, c, alpha, beta, gamma = cell
    return f"{a:.4g}, {b:.4g}, {c:.4g} angstrom, {alpha:.2f}, {beta:.2f}, {gamma:.2f} degrees"
