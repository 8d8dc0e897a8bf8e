"""Jana (Petricek et al., Z. Kristallogr. 238, 271, 2023): `.m50`."""

from __future__ import annotations

from pathlib import Path

from phasefront.core.errors import InputError
from phasefront.tomography.files import text
from phasefront.tomography.statement import Statement


def read_basic(path: str | Path) -> Statement:
    """Cell, e.s.d., lattice, wavelength. Raises InputError for a modulated or twinned crystal."""
    said: dict[str, list[str]] = {}
    for line in text.lines_of(path):
        words = line.split()
        if words:
            said.setdefault(words[0].lower(), words[1:])
            for key in ("lambda", "twin"):  # stand within lines of several keys
                if key in words:
                    said.setdefault(key, words[words.index(key) + 1 :])
    if "cell" not in said:
        raise text.truncated(path, "cell")
    dimensions = said.get("ndim", ["3"])
    if int(text.numbers(path, dimensions, 1, "ndim")[0]) != 3:
        raise InputError(
            path, "is of a modulated crystal", field="ndim",
            remedy="give the cell of its main reflections, refined alone",
        )  # fmt: skip
    if "twin" in said and int(text.numbers(path, said["twin"], 1, "twin")[0]) > 1:
        raise InputError(
            path, "is of a twin, whose cell its parts blur", field="twin",
            remedy="give the cell of one of its parts, refined alone",
        )  # fmt: skip
    esd, lattice = said.get("esdcell"), said.get("lattice")
    group = said["spgroup"][0] if said.get("spgroup") else None
    return Statement(
        str(path), "Jana",
        cell=text.cell_of(path, said["cell"], "cell"),
        cell_esd=text.numbers(path, esd, 6, "esdcell") if esd else None,
        centring=lattice[0] if lattice else (group[0].upper() if group else None),
        space_group=group,
        wavelength=text.wavelength_of(path, " ".join(said["lambda"]), "lambda")
        if said.get("lambda") else None,
    )  # fmt: skip
