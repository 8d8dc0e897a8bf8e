"""Maps as Channel text files (.ctf): of Oxford, Bruker, ASTAR, EMsoft, MTEX and phasefront itself.

Positions are in micrometres, angles Bunge's in degrees, phases numbered in the header's order
from 1; phase 0 is not indexed. Bruker and others write the header with decimal commas.

Axes are Channel 5's, e1 along a* and e3 along c (MTEX, loadEBSD_ctf), and are turned here to e1
along a and e3 along c*, which orix does not do. Whether ASTAR, EMsoft and MTEX turn theirs when
they write a .ctf is not known, so their phases whose cell is not orthogonal are refused.
phasefront writes a step of 1 where it knows none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from phasefront.core.errors import InputError
from phasefront.maps.formats import lines as texts
from phasefront.maps.formats.grid import raster
from phasefront.maps.formats.map import (
    NOT_INDEXED,
    Cell,
    MapPhase,
    OrientationMap,
    assemble,
    basis,
    checked_cell,
    whole_numbers,
)  # fmt: skip

_MAGIC = "Channel Text File"
_LAUE = ("-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm", "m-3", "m-3m")
_NEEDED = ("Phase", "X", "Y", "Euler1", "Euler2", "Euler3")
_NM = 1e3  # in a micrometre, the unit of a .ctf
_MEANINGS = {
    "Bands": "number of bands found",
    "Error": "0 success, 1 low BC, 2 low BS, 3 no solution, 4 high MAD, 5 not analysed, 6 other",
    "MAD": "mean angular deviation of the bands, degree",
    "BC": "band contrast, 0 to 255",
    "BS": "band slope, 0 to 255",
}
# What stands in the same columns elsewhere: EMsoft's second line and `maps.export` say so.
_OTHERS = {
    "EMsoft": {
        "Bands": "number of the best pattern in the dictionary",
        "MAD": "dot product of the pattern with the simulated one",
        "BC": "orientation similarity with the neighbours",
        "BS": "image quality",
    },
    "phasefront": {
        "Bands": "number of spots indexed",
        "MAD": "score: correlation of the pattern with its template",
        "BC": "posterior of the phase, per cent",
        "BS": "reliability, per cent",
    },
    "ASTAR": dict.fromkeys(("Bands", "MAD", "BC", "BS"), "not said by the file"),
}
_MARKS = {
    "phasefront": "Prj\tphasefront; ", "ASTAR": "ACOM RES", "EMsoft": "EMsoft v.",
    "MTEX": "Created from mtex",
}  # fmt: skip


def wrote(lines: Sequence[str]) -> bool:
    """Whether these are the lines of a .ctf."""
    return lines[0].strip() == _MAGIC


def read(path: Path, lines: Sequence[str]) -> OrientationMap:
    """Map of a .ctf; raises InputError for what is broken or ambiguous."""
    start = next((i for i, line in enumerate(lines) if line.split()[:3] == ["Phase", "X", "Y"]), 0)
    columns = lines[start].split()
    if not set(_NEEDED) <= set(columns) or len(set(columns)) < len(columns):
        raise InputError(
            path, f"has no line that names the columns {', '.join(_NEEDED)}", field="header",
            remedy="export a two-dimensional map with all columns",
        )  # fmt: skip
    head = lines[:start]
    program = next(
        (name for name, mark in _MARKS.items() if any(mark in line for line in head[:3])),
        "Channel 5",
    )
    keys = {parts[0].strip(): parts[1] for line in head if len(parts := line.split(None, 1)) == 2}
    if keys.get("JobMode", "Grid").strip().lower() != "grid":
        raise InputError(
            path, f"its positions are no grid, but {keys['JobMode'].strip()!r}", field="JobMode",
            remedy="export a map",
        )  # fmt: skip
    phases = _phases(path, head, keys)
    values = dict(zip(columns, texts.table(path, lines, start + 1, len(columns)).T, strict=True))
    ny, nx, dy, dx = (
        convert(path, _needed(path, keys, key), key)
        for key, convert in (
            ("YCells", texts.count), ("XCells", texts.count),
            ("YStep", texts.number), ("XStep", texts.number),
        )
    )  # fmt: skip
    shape, step = raster(path, values["X"], values["Y"], counts=(ny, nx), steps=(dy, dx))
    notes = []
    if any(keys.get(f"AcqE{n}", "0").strip("0.,\t ") for n in (1, 2, 3)):
        notes.append("its AcqE1 to AcqE3, a turn of the sample when it was measured, are left out")
    unit = _NM
    if program == "phasefront" and set(step) & {1.0}:
        unit = np.nan
        notes.append("a step of 1 stands for an unknown one in a .ctf of phasefront")
    number = whole_numbers(path, values["Phase"], "Phase")
    number = np.where(number == 0, NOT_INDEXED, number)
    angles = np.column_stack([values[name] for name in _NEEDED[3:]])
    _refuse_radians(path, program, angles[number != NOT_INDEXED])
    if program in ("ASTAR", "EMsoft", "MTEX"):
        _refuse_other_axes(path, program, phases, number)
    meanings = _MEANINGS | _OTHERS.get(program, {})
    return assemble(
        path, program=program, shape=shape, step_nm=(step[0] * unit, step[1] * unit),
        directions=keys["Prj"].partition("; ")[2] if program == "phasefront" else None,
        phases=phases, number=number, angles=np.deg2rad(angles), notes=notes,
        axes=[_from_channel(phase.cell) for phase in phases],
        qualities={
            name: (column, meanings.get(name, "not said by the file"))
            for name, column in values.items() if name not in _NEEDED
        },
    )  # fmt: skip


def _needed(path: Path, keys: dict[str, str], key: str) -> str:
    if key not in keys:
        raise InputError(path, "is not in its header", field=key, remedy="export it again")
    return keys[key]


def _phases(path: Path, head: Sequence[str], keys: dict[str, str]) -> list[MapPhase]:
    """Lines after "Phases n": lengths; angles, name, number of the Laue group, space group."""
    wanted = texts.count(path, _needed(path, keys, "Phases"), "Phases")
    first = next(i for i, line in enumerate(head) if line.split()[:1] == ["Phases"]) + 1
    described = [line for line in head[first:] if line.strip()]
    if len(described) != wanted:
        raise InputError(
            path, f"says {wanted} and describes {len(described)}", field="Phases",
            remedy="export it again, with all its phases",
        )  # fmt: skip
    phases = []
    for number, line in enumerate(described, start=1):
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) < 4:
            raise InputError(
                path, f"has {len(fields)} values parted by tabs instead of at least 4",
                field=f"phase {number}", remedy="export it again",
            )  # fmt: skip
        field = f"cell of phase {number}"
        cell = [texts.number(path, value, field) for value in ";".join(fields[:2]).split(";")]
        name, laue = fields[2], fields[3]
        group = _LAUE[int(laue) - 1] if laue.isdecimal() and 0 < int(laue) <= 11 else ""
        phases.append(MapPhase(number, name, "", group, checked_cell(path, cell, field)))
    return phases


def _from_channel(cell: Cell) -> np.ndarray:
    """Quaternion (4,) from axes with e1 along a* and e3 along c to e1 along a and e3 along c*."""
    _, b, c = basis(cell).T
    e1, e3 = np.cross(b, c), c / np.linalg.norm(c)
    e1 /= np.linalg.norm(e1)
    to_channel = Rotation.from_matrix([e1, np.cross(e3, e1), e3])
    return to_channel.inv().as_quat(scalar_first=True)


def _refuse_radians(path: Path, program: str, angles: np.ndarray) -> None:
    """Angles (n, 3) of which none exceeds 2 pi are hardly degrees, unless all are 0."""
    if program != "phasefront" and angles.any() and np.abs(angles).max() <= 2 * np.pi:
        raise InputError(
            path, f"its angles reach {np.abs(angles).max():.3g}, and seem to be in radian",
            field="Euler1 to Euler3",
            remedy="write them in degrees; if they are, write Euler1 less 360",
        )  # fmt: skip


def _refuse_other_axes(
    path: Path, program: str, phases: Sequence[MapPhase], number: np.ndarray
) -> None:
    for phase in phases:
        if (number == phase.number).any() and not np.allclose(phase.cell[3:], 90, atol=0.05):
            raise InputError(
                path, f"the cell of {phase.name!r} is not orthogonal, and where {program} lays its"
                " axes is not told in a .ctf", field="Phases",
                remedy="export the map from that program as .ang, or from orix as .h5",
            )  # fmt: skip
