"""Readers of what programs for 3D electron diffraction write; each file is told by its content."""

from __future__ import annotations

from pathlib import Path

from phasefront.core.errors import InputError
from phasefront.tomography.files import cif, dials, jana, pets, shelx, xds
from phasefront.tomography.statement import Statement

# By the end of the file's name, capitals aside; the first that fits.
_READERS = {
    "correct.lp": xds.read_correct,
    "xds_ascii.hkl": xds.read_reflections,
    "integrate.hkl": xds.read_reflections,
    "gxparm.xds": xds.read_parameters,
    ".celllist": pets.read_cell_list,
    ".pts": pets.read_settings,
    ".pts2": pets.read_settings,
    ".xyz": pets.read_peaks,
    ".cif_pets": cif.read_cif,
    ".cif": cif.read_cif,
    ".expt": dials.read_experiment,
    ".ins": shelx.read_instructions,
    ".res": shelx.read_instructions,
    ".m50": jana.read_basic,
}


def read_statement(path: str | Path) -> Statement:
    """What a file says of the cell that it is of.

    Raises InputError where there is no such file, it is of no known kind, or not what it seems.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path, "there is no such file", remedy="correct the path in the table")
    name = path.name.lower()
    reader = next((read for end, read in _READERS.items() if name.endswith(end)), None)
    if reader is None:
        raise InputError(
            path, "no file of a cell that is known here",
            remedy=f"give one whose name ends as {', '.join(_READERS)}",
        )  # fmt: skip
    return reader(path)
