"""The header of a .ang: which program wrote it, its phases and its grid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.maps.formats import lines as texts
from phasefront.maps.formats.map import Cell, MapPhase, checked_cell

# Laue groups by EDAX's codes and by the rotations' names that orix writes.
_LAUE = {
    "1": "-1", "2": "2/m", "20": "2/m", "121": "2/m", "112": "2/m", "211": "2/m", "22": "mmm",
    "222": "mmm", "4": "4/m", "42": "4/mmm", "422": "4/mmm", "3": "-3", "32": "-3m", "321": "-3m",
    "312": "-3m", "6": "6/m", "62": "6/mmm", "622": "6/mmm", "23": "m-3", "43": "m-3m",
    "432": "m-3m",
}  # fmt: skip
# In one of each unit.
_NM = {"microns": 1e3, "micron": 1e3, "um": 1e3, "µm": 1e3, "nm": 1.0, "nanometers": 1.0}
_KEY = re.compile(r"#\s*([A-Za-z_]+)\b:?\s*(.*?)\s*$")
_PHASE = re.compile(r"#\s*Phase\s*:?\s*(\d+)\s*$")
_PHASEFRONT = "camera rotation"
_STANDARD = 10  # columns that EDAX always has, in their order


@dataclass(frozen=True)
class AngHeader:
    """What the lines before the table say."""

    length: int  # lines
    program: str
    directions: str | None
    nm_per_unit: float  # of positions; NaN where not known
    phases: tuple[MapPhase, ...]
    counts: tuple[int, int] | None  # rows and columns
    steps: tuple[float, float] | None  # (y, x)
    columns: tuple[str, ...]  # as the header calls them, if it does
    notes: tuple[str, ...]


def parse(path: Path, lines: Sequence[str]) -> AngHeader:
    """The header; raises InputError where program, phases or grid are not clear."""
    length = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    # EDAX's newer files explain themselves between these words.
    head, inside = [], False
    for line in lines[:length]:
        inside = (inside or "NOTES: Start" in line) and "NOTES: End" not in line
        if not inside:
            head.append(line)
    pairs = [match.groups() for line in head if (match := _KEY.match(line))]
    values = dict(pairs)
    columns, program = _columns(head), _program(path, head, values)
    grid = values.get("GRID", "").rstrip("#")  # ASTAR's next line has no break before it
    if grid.lower() not in ("", "sqrgrid"):
        raise InputError(
            path, f"its positions lie on a grid of the kind {grid!r}", field="GRID",
            remedy="convert it to a square grid and export it again",
        )  # fmt: skip
    return AngHeader(
        length, program, head[0].lstrip("# ") if program == "phasefront" else None,
        _unit(program, head, values), _phases(path, head), _counts(path, values),
        _steps(path, values), columns,
        () if grid else ("its header does not say that the grid is square",),
    )  # fmt: skip


def _program(path: Path, head: Sequence[str], values: dict[str, str]) -> str:
    if "acom res" in head[0].lower():
        return "ASTAR"
    if any(line.startswith("# Column names: phi1, Phi, phi2") for line in head):
        return "phasefront" if head[0].startswith(f"# {_PHASEFRONT}") else "orix"
    if any(line.startswith("# Info") and "EMsoft" in line for line in head):
        return "EMsoft"
    if "TEM_PIXperUM" in values or "COLUMN_HEADERS" in values or "TEM" in values:
        return "EDAX"
    raise InputError(
        path, "its header does not tell which program wrote it", field="header",
        remedy="give the .ang as ASTAR, EDAX's OIM, EMsoft or orix wrote it",
    )  # fmt: skip


def _columns(head: Sequence[str]) -> tuple[str, ...]:
    for line in head:
        for key in ("# Column names:", "# COLUMN_HEADERS:"):
            if line.startswith(key):
                return tuple(name.strip() for name in line[len(key) :].split(","))
    return ()


def _unit(program: str, head: Sequence[str], values: dict[str, str]) -> float:
    units = [unit.strip().lower() for unit in values.get("COLUMN_UNITS", "").split(",")]
    if len(units) >= _STANDARD // 2:
        x, y = units[3:5]
        return _NM.get(x, np.nan) if x == y else np.nan
    if program in ("ASTAR", "phasefront") or head[0].startswith("# TEM data"):
        return 1.0
    return 1e3 if program in ("EDAX", "EMsoft") else np.nan


def _counts(path: Path, values: dict[str, str]) -> tuple[int, int] | None:
    named = ("NROWS", "NCOLS_ODD", "NCOLS_EVEN")
    found = [texts.count(path, values[key], key) for key in named if key in values]
    if not found:
        return None
    if len(found) < len(named) or found[1] != found[2]:
        raise InputError(
            path, "does not have one number of rows and one of columns, as a square grid has",
            field="NROWS, NCOLS_ODD and NCOLS_EVEN", remedy="export it again on a square grid",
        )  # fmt: skip
    return found[0], found[1]


def _steps(path: Path, values: dict[str, str]) -> tuple[float, float] | None:
    if not {"XSTEP", "YSTEP"} <= values.keys():
        return None
    y, x = (texts.number(path, values[key], key) for key in ("YSTEP", "XSTEP"))
    return (y, x) if np.isfinite([y, x]).all() else None


def _phases(path: Path, head: Sequence[str]) -> tuple[MapPhase, ...]:
    """Blocks that begin with "Phase n", or with the name where ASTAR has a single phase."""
    blocks: list[dict[str, str]] = []
    for line in head:
        if match := _PHASE.match(line):
            blocks.append({"Phase": match[1]})
        elif match := _KEY.match(line):
            key, value = match.groups()
            if key == "MaterialName" and (not blocks or key in blocks[-1]):
                blocks.append({})
            if blocks:
                blocks[-1].setdefault(key, value)
    if not blocks:
        raise InputError(
            path, "its header names no phase", field="MaterialName",
            remedy="export it again with its phases",
        )  # fmt: skip
    if len(blocks) > 1 and any("Phase" not in block for block in blocks):
        raise InputError(
            path, f"has {len(blocks)} phases, but does not number each", field="Phase",
            remedy="put a line '# Phase n' with its number above each MaterialName",
        )  # fmt: skip
    return tuple(
        MapPhase(
            int(block.get("Phase", 1)), block.get("MaterialName", ""), block.get("Formula", ""),
            _LAUE.get(block.get("Symmetry", ""), block.get("Symmetry", "")), _cell(path, block),
        )
        for block in blocks
    )  # fmt: skip


def _cell(path: Path, block: dict[str, str]) -> Cell:
    field = f"LatticeConstants of {block.get('MaterialName', '')!r}"
    values = block.get("LatticeConstants", "").split()
    if len(values) != 6:
        raise InputError(
            path, f"has {len(values)} lattice parameters instead of 6", field=field,
            remedy="export it again with the cells of its phases",
        )  # fmt: skip
    return checked_cell(path, [texts.number(path, value, field) for value in values], field)
