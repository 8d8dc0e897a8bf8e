"""CIF, and PETS2's dialect of it (`.cif_pets`): cells of electron diffraction alone."""

from __future__ import annotations

import re
from pathlib import Path

import gemmi
import numpy as np

from phasefront.core.errors import InputError
from phasefront.core.texts import decoded
from phasefront.diffraction.cifs import number_of
from phasefront.tomography.files import text
from phasefront.tomography.statement import Statement

_CELL = [f"_cell_length_{axis}" for axis in "abc"] + [
    f"_cell_angle_{angle}" for angle in ("alpha", "beta", "gamma")
]
_GROUPS = (
    "_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M", "_space_group_IT_number",
    "_symmetry_Int_Tables_number",
)  # fmt: skip
_RADIATION = ("_diffrn_radiation_probe", "_diffrn_radiation_type", "_diffrn_source")


def read_cif(path: str | Path) -> Statement:
    """The cell of the one block that has one, with the s.u. in its brackets.

    Raises InputError for a powder's cell, one of X-rays or neutrons, and one of a twin.
    """
    try:
        document = gemmi.cif.read_string(decoded(Path(path).read_bytes()))
    except (RuntimeError, ValueError) as error:
        raise InputError(path, f"not a readable CIF ({error})", remedy="export it again") from error
    blocks = [block for block in document if block.find_value(_CELL[0])]
    if len(blocks) != 1:
        raise InputError(
            path, f"holds {len(blocks)} cells", field=_CELL[0],
            remedy="save the one that is meant as a file of its own",
        )  # fmt: skip
    (block,) = blocks
    _refuse_other_kinds(block, path)
    given = [gemmi.cif.as_string(block.find_value(tag) or "?") for tag in _CELL]
    wavelength = number_of(block, tag := "_diffrn_radiation_wavelength")
    if np.isfinite(wavelength):
        text.wavelength_of(path, str(wavelength), tag)
    symbol = next(
        (s for s in (gemmi.cif.as_string(block.find_value(t) or "?") for t in _GROUPS)
         if s.strip("?.")), None
    )  # fmt: skip
    axes = [
        [number_of(block, f"_diffrn_orient_matrix_UB_{row}{column}") for row in "123"]
        for column in "123"
    ]
    used = number_of(block, "_cell_measurement_reflns_used")
    listed = len(block.find_loop("_refln_index_h"))
    return Statement(
        str(path), "PETS2" if block.find_value("_diffrn_pets_omega") else "CIF",
        cell=text.cell_of(path, [number.partition("(")[0] for number in given], _CELL[0]),
        cell_esd=_uncertainties(given),
        centring=text.centring_of(path, int(symbol) if symbol.isdigit() else symbol)
        if symbol else None,
        space_group=symbol,
        wavelength=None if np.isnan(wavelength) else wavelength,
        count=int(used) if np.isfinite(used) else listed or None,
        axes=np.array(axes) if np.isfinite(axes).all() else None,
    )  # fmt: skip


def _uncertainties(given: list[str]) -> np.ndarray | None:
    """Standard uncertainties in brackets; 0 of a number without, None where none has any."""
    found = []
    for number in given:
        parts = re.fullmatch(r"[-+]?\d+(?:\.(\d*))?\((\d+)\)", number.strip())
        found.append(int(parts[2]) * 10.0 ** -len(parts[1] or "") if parts else 0.0)
    return np.array(found) if any(found) else None


def _refuse_other_kinds(block: gemmi.cif.Block, path: str | Path) -> None:
    tags = {str(item.pair[0]).lower() for item in block if item.pair}
    tags |= {str(tag).lower() for item in block if item.loop for tag in item.loop.tags}
    remedy = "give the cell as the program for 3D electron diffraction wrote it"
    if any(tag.startswith("_pd_") for tag in tags):
        raise InputError(path, "its cell is of a powder pattern", field="_pd_", remedy=remedy)
    if any(tag.startswith("_twin_") for tag in tags):
        raise InputError(
            path, "is of a twin, whose cell its parts blur", field="_twin_",
            remedy="give the cell of one of its parts, refined alone",
        )  # fmt: skip
    for tag in _RADIATION:
        said = gemmi.cif.as_string(block.find_value(tag) or "?").lower()
        if re.search(r"x-?ray|synchrotron|neutron|k[\\/ ]*(?:a|alpha)", said):
            raise InputError(path, f"its cell is of {said}", field=tag, remedy=remedy)
