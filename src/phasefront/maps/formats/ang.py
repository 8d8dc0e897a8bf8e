"""Maps as .ang: of ASTAR, EDAX (TSL), EMsoft, orix and phasefront itself.

One suffix, several formats; each says in its header which it is, and nothing is guessed from the
number of columns alone.

Units. EDAX has micrometres (its newer headers say so in COLUMN_UNITS), and so EMsoft; ASTAR has
nanometres (orix.io.plugins.ang; DREAM3D's ReadAngData, which adds files that begin with "TEM
data"). orix writes the numbers of any map without their unit, pixels as often as not, so the step
of such a file is unknown. phasefront writes nanometres, or a step of 1 where it knows none.

Not indexed. EDAX and orix: a confidence index below 0, angles of 4 pi, or phase 0 or -1 where the
header has several phases (a single one is phase 0 in the rows of EDAX, whatever its number). ASTAR
answers everywhere; phase 0 or -1, or a correlation index of 0, which is no match. A confidence
index or reliability of 0 is an answer with an equally good rival, and kept.

Axes. e1 along a and e3 along c* in what orix, phasefront and EMsoft write. Those of EDAX and ASTAR
agree for orthogonal and hexagonal cells (MTEX, loadEBSD_ang and loadEBSD_ACOM); for oblique
cells programs disagree, and such phases are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.maps.formats import lines as texts
from phasefront.maps.formats.ang_header import AngHeader, parse
from phasefront.maps.formats.grid import raster
from phasefront.maps.formats.map import (
    NOT_INDEXED,
    MapPhase,
    OrientationMap,
    assemble,
    whole_numbers,
)  # fmt: skip

_PLACES = ("phi1", "Phi", "phi2", "x", "y")
_EDAX = ("image quality", "confidence index", "phase", "detector signal", "fit")
_LEAST_EDAX = 8  # files without the detector's signal and the fit are older
_MEANINGS = {
    "image quality": "how sharp the pattern's bands are, in units of the program",
    "confidence index": "0 to 1: lead in votes over the next orientation; below 0 not indexed",
    "detector signal": "of another detector at the same place",
    "fit": "mean angle between the bands found and those expected, degree",
    "dot product": "of the pattern with the simulated one, 1 where they agree",
    "correlation index": "of the pattern with the best template, in units of ASTAR",
    "reliability": "0 to 1: lead of the best template over the next one",
    "reliability x 100": "the same in per cent",
}
_OF_PHASEFRONT = {
    "image quality": "score: correlation of the pattern with its template",
    "confidence index": "posterior of the phase; -1 where not indexed",
    "reliability": "lead of the best orientation over the next one",
}
_FOUR_PI = 4 * np.pi - 0.01  # EDAX's angles where there are none


def wrote(lines: Sequence[str]) -> bool:
    """Whether these are the lines of a .ang."""
    return lines[0].startswith("#") and any("MaterialName" in line for line in lines[:1000])


def read(path: Path, lines: Sequence[str]) -> OrientationMap:
    """Map of a .ang; raises InputError for what is broken or ambiguous."""
    header = parse(path, lines)
    table = texts.table(path, lines, header.length, None)
    columns = _columns(path, header, table.shape[1])
    values = dict(zip(columns, table.T, strict=True))
    shape, step = raster(
        path, values["x"], values["y"], counts=header.counts, steps=header.steps
    )  # fmt: skip
    notes = list(header.notes)
    if header.counts is None:
        notes.append("its header has no number of rows: whether rows at its end lack is unknown")
    unit = header.nm_per_unit
    if header.program == "phasefront" and set(step) & {1.0}:
        unit = np.nan
        notes.append("a step of 1 stands for an unknown one in a .ang of phasefront")
    angles = np.column_stack([values[name] for name in _PLACES[:3]])
    absent = _absent(header.program, values, angles)
    number = _numbers(path, header.phases, values["phase"], absent)
    _refuse_oblique(path, header, number)
    meanings = _MEANINGS | (_OF_PHASEFRONT if header.program == "phasefront" else {})
    return assemble(
        path, program=header.program, directions=header.directions, shape=shape,
        step_nm=(step[0] * unit, step[1] * unit), phases=header.phases, number=number,
        angles=angles, notes=notes,
        qualities={
            name: (column, meanings.get(name, "not said by the file"))
            for name, column in values.items() if name not in (*_PLACES, "phase")
        },
    )  # fmt: skip


def _columns(path: Path, header: AngHeader, count: int) -> tuple[str, ...]:
    """What the columns are called here, from what the header says of itself."""
    if header.program == "ASTAR":
        names = ("correlation index", "reliability", "phase", "reliability x 100")
    elif header.program == "EMsoft" and count == _LEAST_EDAX:
        names = ("image quality", "dot product", "phase")
    else:
        standard = (*_PLACES, *_EDAX)
        # What EDAX has after the fit differs with the microscope.
        others = [f"column {n + 1}" for n in range(len(standard), count)]
        names = (*_EDAX[: count - len(_PLACES)], *(header.columns[len(standard) :] or others))
    expected = (*_PLACES, *names)
    misnamed = header.columns and (len(header.columns) != count or not _standard(header.columns))
    if misnamed or count < _LEAST_EDAX or not len(expected) == len(set(expected)) == count:
        raise InputError(
            path, f"has {count} columns, and not those of a .ang of {header.program}",
            field="table", remedy="export it again with the program's standard columns",
        )  # fmt: skip
    return expected


def _standard(columns: Sequence[str]) -> bool:
    """Whether columns that are named in the header have those names at the usual places."""
    begins = ("phi1", "phi", "phi2", "x", "y", "i", "c", "phase")
    return all(name.lower().startswith(begin) for name, begin in zip(columns, begins, strict=False))


def _absent(program: str, values: dict[str, np.ndarray], angles: np.ndarray) -> np.ndarray:
    """Positions (n,) marked as without an answer, apart from their phase."""
    if program == "ASTAR":
        return values["correlation index"] == 0
    unset = (angles > _FOUR_PI).all(axis=1)
    return unset | (values["confidence index"] < 0) if "confidence index" in values else unset


def _numbers(
    path: Path, phases: Sequence[MapPhase], column: np.ndarray, absent: np.ndarray
) -> np.ndarray:
    """The phase's number (n,), NOT_INDEXED where there is none."""
    number = whole_numbers(path, column, "phase")
    if len(phases) > 1:
        return np.where(absent | (number == 0), NOT_INDEXED, number)
    number = np.where(absent, NOT_INDEXED, number)
    own = phases[0].number
    if (number == 0).any() and own != 0:
        if (number == own).any():
            raise InputError(
                path, f"has positions of phase 0 and of phase {own}, but its header has one phase",
                field="phase", remedy="set the confidence index to -1 where it is not indexed",
            )  # fmt: skip
        number = np.where(number == 0, own, number)
    return number


def _refuse_oblique(path: Path, header: AngHeader, number: np.ndarray) -> None:
    if header.program not in ("ASTAR", "EDAX"):
        return
    for phase in header.phases:
        a, b, *_, alpha, beta, gamma = phase.cell
        right = np.allclose((alpha, beta), 90, atol=0.05)
        hexagonal = np.isclose(gamma, 120, atol=0.05) and np.isclose(a, b, rtol=1e-3)
        if (number == phase.number).any() and not (
            right and (hexagonal or np.isclose(gamma, 90, atol=0.05))
        ):
            raise InputError(
                path, f"the cell of {phase.name!r} is oblique, and where {header.program} lays its"
                " axes is not told in a .ang", field="LatticeConstants",
                remedy="convert the map in orix, with e1 along a and e3 along c*, and save it"
                " as .h5",
            )  # fmt: skip
