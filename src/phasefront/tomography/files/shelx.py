"""SHELX (Sheldrick, Acta Cryst. C 71, 3, 2015): `.ins` and `.res`."""

from __future__ import annotations

from pathlib import Path

from phasefront.core.errors import InputError
from phasefront.tomography.files import text
from phasefront.tomography.statement import Statement

# Of the LATT instruction.
_LATTICES = {1: "P", 2: "I", 3: "R", 4: "F", 5: "A", 6: "B", 7: "C"}


def read_instructions(path: str | Path) -> Statement:
    """CELL, ZERR and LATT. Raises InputError for a twin and a missing instruction."""
    said: dict[str, list[str]] = {}
    for line in text.lines_of(path):
        words = line.split()
        if words and words[0].upper() == "END":
            break
        if words and not line[0].isspace():
            said.setdefault(words[0].upper(), words[1:])
    for key in ("TWIN", "BASF"):
        if key in said:
            raise InputError(
                path, "is of a twin, whose cell its parts blur", field=key,
                remedy="give the cell of one of its parts, refined alone",
            )  # fmt: skip
    if "CELL" not in said:
        raise text.truncated(path, "CELL")
    lattice = abs(int(text.numbers(path, said.get("LATT", ["1"]), 1, "LATT")[0]))
    if lattice not in _LATTICES:
        raise InputError(path, f"{lattice} is no lattice", field="LATT", remedy="correct it")
    return Statement(
        str(path), "SHELX",
        cell=text.cell_of(path, said["CELL"][1:], "CELL"),
        cell_esd=text.numbers(path, said["ZERR"][1:], 6, "ZERR") if "ZERR" in said else None,
        centring=_LATTICES[lattice],
        wavelength=text.wavelength_of(path, " ".join(said["CELL"]), "CELL"),
    )  # fmt: skip
