"""PETS2 (Palatinus et al., Acta Cryst. B 75, 512, 2019): lists of cells, settings, peaks.

Its frame turns with the crystal and has the tilt axis along x; at the tilt alpha the beam is along
(0, sin alpha, cos alpha). Found on peaks of a real series: they lie in the plane across that.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError
from phasefront.tomography.files import text
from phasefront.tomography.statement import Frame, Spots, Statement, words

_PROGRAM = "PETS2"


def read_cell_list(path: str | Path) -> Statement:
    """`.celllist`: the active cell, with its e.s.d. and its orientation."""
    items: list[list[str]] = []
    for line in text.lines_of(path):
        if line.startswith("cellItem"):
            items.append([])
        if items:
            items[-1].append(line.strip())
    active = [item for item in items if "active" in item[0].split()] or items
    if not active:
        raise text.truncated(path, "cellItem")
    if len(active) > 1:
        raise InputError(
            path, f"holds {len(active)} cells", field="cellItem",
            remedy="make the one that is meant active; the crystals of a twin are not one cell",
        )  # fmt: skip
    (item,) = active
    said = {line.split()[0]: line.split()[1:] for line in item if line.split()}
    if "cell" not in said or "ubmatrix" not in said:
        raise text.truncated(path, "cell with its ubmatrix")
    at = next(i for i, line in enumerate(item) if line.startswith("ubmatrix"))
    matrix = np.array(
        [text.numbers(path, line, 3, "ubmatrix") for line in item[at + 1 : at + 4]]
    )  # fmt: skip
    notes = []
    if len(items) > 1:
        notes.append(f"{path} holds {len(items)} cells, of which the active one was taken")
    return Statement(
        str(path), _PROGRAM,
        cell=text.cell_of(path, said["cell"], "cell"),
        cell_esd=text.numbers(path, said["cellsu"], 6, "cellsu") if "cellsu" in said else None,
        centring=said["cellCentering"][0] if "cellCentering" in said else None,
        axes=matrix.T,
        notes=tuple(notes),
    )  # fmt: skip


def read_settings(path: str | Path) -> Statement:
    """`.pts`: wavelength and tilts. A reference cell in it was hoped for, and is only noted."""
    wavelength, notes, tilts, inside = None, [], [], False
    for line in text.lines_of(path):
        said = line.split()
        if not said or said[0].startswith("#"):
            continue
        if said[0] == "lambda":
            wavelength = text.wavelength_of(path, " ".join(said[1:]), "lambda")
        elif said[0] == "referencecell":
            cell = text.cell_of(path, said[1:7], "referencecell")
            notes.append(f"the series was set against a reference cell, {words(cell)}")
        elif said[0] in ("imagelist", "endimagelist"):
            inside = said[0] == "imagelist"
        elif inside and len(said) > 2:
            # File names may hold blanks; of what follows, the tilt is the first of eight numbers.
            tilts.append(text.numbers(path, said[-8:-7], 1, "imagelist")[0])
    if wavelength is None or not tilts:
        raise text.truncated(path, "lambda" if wavelength is None else "imagelist")
    middle = np.radians((min(tilts) + max(tilts)) / 2)
    frame = Frame(np.array([1.0, 0.0, 0.0]), np.array([0.0, np.sin(middle), np.cos(middle)]))
    return Statement(
        str(path), _PROGRAM, wavelength=wavelength, frame=frame, notes=tuple(notes)
    )  # fmt: skip


def read_peaks(path: str | Path) -> Statement:
    """`.xyz`: peaks in reciprocal space. Their indices follow from the cell's orientation."""
    rows = [line for line in text.lines_of(path) if line.split()]
    if not rows:
        raise text.truncated(path, "peaks")
    q = np.array([text.numbers(path, line, 3, f"line {n}") for n, line in enumerate(rows, 1)])
    spots = Spots(q, None, np.full((3, 3), np.nan), observed=True)
    return Statement(str(path), _PROGRAM, spots=spots)
