"""A map of phases and orientations, and the checks that every format shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np

from phasefront.core.errors import InputError
from phasefront.diffraction import rotations

NOT_INDEXED = -1  # beside the phases' numbers, as orix has it
# Angles are written with as few as two decimals, in degrees.
_ANGLE_SLACK = np.deg2rad(0.01)
_FLAT = 1e-6  # square of the volume of a cell of unit edges, below which it is none; chosen
_SHOWN = 5  # names in a sentence

Cell = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class MapPhase:
    """One phase as the file describes it."""

    number: int  # as in the file
    name: str
    formula: str  # "" where the file has none
    point_group: str  # or its Laue group, whichever the file has; "" where it has neither
    cell: Cell  # angstrom, degree


@dataclass(frozen=True, eq=False)
class Quality:
    """How good the answer is at each position, by one measure of the file."""

    values: np.ndarray  # (ny, nx)
    meaning: str


@dataclass(frozen=True, eq=False)
class OrientationMap:
    """Phases and orientations at every position of a scan, rows first."""

    path: str
    program: str  # that wrote the file
    directions: str | None  # what they refer to, where the file says so
    step_nm: tuple[float, float]  # (y, x); NaN where the file does not say, or has one position
    phases: tuple[MapPhase, ...]
    phase: np.ndarray  # (ny, nx) place in `phases`, NOT_INDEXED where there is none
    rotation: np.ndarray  # (ny, nx, 4) frame to crystal, unit quaternions; NaN if not indexed
    qualities: Mapping[str, Quality]
    notes: tuple[str, ...]  # what was assumed or could not be checked

    @property
    def shape(self) -> tuple[int, int]:
        return self.phase.shape


def assemble(
    path: Path, *, program: str, directions: str | None, shape: tuple[int, int],
    step_nm: tuple[float, float], phases: Sequence[MapPhase], number: np.ndarray,
    angles: np.ndarray, axes: Sequence[np.ndarray] | None = None,
    qualities: Mapping[str, tuple[np.ndarray, str]], notes: Sequence[str],
) -> OrientationMap:  # fmt: skip
    """The map of columns in the order of the scan.

    Parameters
    ----------
    number
        The phase's number in the file, (n,); NOT_INDEXED where there is none.
    angles
        Bunge's (phi1, Phi, phi2) from the frame to the crystal in radian, (n, 3).
    axes
        Of each phase the quaternion from its axes in the file to e1 along a, e3 along c*.
    qualities
        Values (n,) and meaning by name.

    Raises InputError where two phases have one number, a number is no phase's, and for angles that
    are none.
    """
    from orix.quaternion import Rotation

    known = np.array([phase.number for phase in phases], dtype=int)
    twice = {int(n) for n in known if np.sum(known == n) > 1}
    if twice:
        raise InputError(
            path, f"{_listed(twice)} is the number of two phases", field="phases",
            remedy="export the map again, with a number for each phase",
        )  # fmt: skip
    strange = set(np.unique(number).tolist()) - {*known.tolist(), NOT_INDEXED}
    if strange:
        raise InputError(
            path, f"has positions of phase {_listed(strange)}, but its header has only"
            f" {_listed(known.tolist()) or 'none'}", field="phases",
            remedy="export the map again, with all its phases",
        )  # fmt: skip
    indexed = number != NOT_INDEXED
    _check_angles(path, angles[indexed])
    place = np.full(len(number), NOT_INDEXED)
    for i, n in enumerate(known):
        place[number == n] = i
    rotation = np.full((len(number), 4), np.nan)
    rotation[indexed] = Rotation.from_euler(angles[indexed]).data
    for i, turn in enumerate(axes or ()):
        rotation[place == i] = rotations.multiply(turn, rotation[place == i])
    return OrientationMap(
        str(path), program, directions, step_nm, tuple(phases), place.reshape(shape),
        rotation.reshape(*shape, 4),
        {name: Quality(v.reshape(shape), meaning) for name, (v, meaning) in qualities.items()},
        tuple(notes),
    )  # fmt: skip


def whole_numbers(path: Path, values: np.ndarray, field: str) -> np.ndarray:
    """A column of phases (n,) as integers; refused where it holds anything else."""
    if not np.isfinite(values).all() or (values != np.rint(values)).any():
        raise InputError(
            path, "holds values that are no number of a phase", field=field,
            remedy="export the map again with the program's standard columns",
        )  # fmt: skip
    return values.astype(int)


def checked_cell(path: Path, values: Sequence[float], field: str) -> Cell:
    """Lattice parameters (angstrom, degree), refused where they enclose no volume."""
    cell = tuple(float(value) for value in values)
    if len(cell) == 6 and np.isfinite(cell).all() and min(cell) > 0 and max(cell[3:]) < 180:
        cosines = np.cos(np.deg2rad(cell[3:]))
        # The squared volume of a cell with edges of 1; gemmi raises a RuntimeError where it is 0.
        if 1 - np.sum(cosines**2) + 2 * np.prod(cosines) > _FLAT:
            return cell
    raise InputError(
        path, f"its lattice parameters {', '.join(f'{v:g}' for v in cell)} are those of no cell",
        field=field, remedy="correct them to a, b, c in angstrom and the angles in degrees",
    )  # fmt: skip


def basis(cell: Cell) -> np.ndarray:
    """Matrix (3, 3) whose columns are a, b and c in angstrom, e1 along a and e3 along c*."""
    return np.array(gemmi.UnitCell(*cell).orth.mat.tolist())


def _check_angles(path: Path, angles: np.ndarray) -> None:
    """Refuse what is no set of Bunge's angles in radian, (n, 3)."""
    if not np.isfinite(angles).all():
        raise InputError(
            path, "has orientations that are NaN or infinite", field="Euler angles",
            remedy="mark these positions as not indexed and export again",
        )  # fmt: skip
    if not len(angles):
        return
    low = np.array([-2 * np.pi, 0, -2 * np.pi]) - _ANGLE_SLACK
    high = np.array([2 * np.pi, np.pi, 2 * np.pi]) + _ANGLE_SLACK
    wrong = ((angles < low) | (angles > high)).any(axis=1)
    if wrong.any():
        worst = angles[wrong][0]
        raise InputError(
            path, f"{wrong.sum()} of its orientations are none: the first would be"
            f" ({', '.join(f'{v:.4g}' for v in worst)}) radian", field="Euler angles",
            remedy="export Bunge's angles, in radian in a .ang or .h5 and in degrees in a .ctf",
        )  # fmt: skip


def _listed(numbers: Sequence[int] | set[int]) -> str:
    shown = [str(n) for n in sorted(numbers)]
    return ", ".join(shown[:_SHOWN]) + (", ..." if len(shown) > _SHOWN else "")
