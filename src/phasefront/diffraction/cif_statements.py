"""What a CIF states of formula, density and volume against its own sites."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import gemmi
import numpy as np

from phasefront.core.errors import InputError
from phasefront.diffraction.cifs import OCCUPANCY_LIMIT, number_of

# Of what the file states of its content: occupancies may be over 1 by as much.
_STATED_TOLERANCE = OCCUPANCY_LIMIT - 1
# No crystal's density, g/cm^3, lies outside; osmium has 22.6.
_DENSITIES = (0.3, 23.0)
_G_CM3 = 1.66053907  # g/cm^3 of one g/mol in one angstrom^3, CODATA 2018


# ------------------------------------------------------------------------ what is stated


def check_statements(
    block: gemmi.cif.Block, formula: Mapping[str, float], volume: float, path: str | Path
) -> tuple[str, ...]:
    """Hold formula, Z, weight and density, where stated, against the content of the cell.

    Parameters
    ----------
    formula
        Atoms of each element in the cell, from sites and symmetry.
    volume
        Of the cell, angstrom^3.

    Returns
    -------
    Sentences on what was tolerated: hydrogen that a formula holds and no site. Raises InputError
    where they disagree by more than 5 %, as occupancies over 1 may, and the rounding of the number.
    """
    mass = sum(gemmi.Element(element).weight * n for element, n in formula.items())
    density = mass / volume * _G_CM3
    if not _DENSITIES[0] < density < _DENSITIES[1]:
        raise InputError(
            path, f"cell and atoms make {density:.3g} g/cm^3", field="_cell_length_a",
            remedy="give lengths in angstrom, and every atom",
        )  # fmt: skip
    units = number_of(block, "_cell_formula_units_Z")
    if units <= 0:
        raise InputError(
            path, f"{units:g} formula units in the cell", field="_cell_formula_units_Z",
            remedy="correct it or leave it out",
        )  # fmt: skip
    missing = set()
    for tag in ("_chemical_formula_sum", "_chemical_formula_moiety"):
        stated = _parsed_formula(gemmi.cif.as_string(block.find_value(tag) or "?"))
        if stated:
            missing |= _check_formula(stated, formula, units, tag, path)
    if missing:
        return (f"the formula holds {' and '.join(sorted(missing))}, the sites do not",)
    weight = number_of(block, "_chemical_formula_weight")
    _check_stated(weight * units, mass, "_chemical_formula_weight", "g/mol in the cell", path)
    stated_volume = number_of(block, "_cell_volume")
    _check_stated(
        number_of(block, "_exptl_crystal_density_diffrn"),
        mass / (volume if np.isnan(stated_volume) else stated_volume) * _G_CM3,
        "_exptl_crystal_density_diffrn", "g/cm^3", path,
    )  # fmt: skip
    return ()


def _check_stated(stated: float, found: float, tag: str, unit: str, path: str | Path) -> None:
    if abs(stated - found) > _STATED_TOLERANCE * found:
        raise InputError(
            path, f"states {stated:.4g} {unit}, but cell, sites and symmetry give {found:.4g}",
            field=tag, remedy=_WRONG_SETTING,
        )  # fmt: skip


_WRONG_SETTING = (
    "correct the one that is wrong: often it is the origin or setting of the space group"
)


def _parsed_formula(text: str) -> dict[str, tuple[float, float]]:
    """Number of each element and half of its last decimal; empty where that is not plain."""
    parsed: dict[str, tuple[float, float]] = {}
    for part in text.split():
        found = re.fullmatch(r"([A-Z][a-z]?)(\d*)(\.\d+)?", part)
        if not found or gemmi.Element(found[1]).name != found[1]:
            return {}
        number = float((found[2] or "0" * bool(found[3]) or "1") + (found[3] or ""))
        rounding = 0.5 * 10.0 ** (1 - len(found[3])) if found[3] else 0.0
        before = parsed.get(found[1], (0.0, 0.0))
        parsed[found[1]] = (before[0] + number, before[1] + rounding)
    return parsed


def _check_formula(stated, found, units: float, tag: str, path: str | Path) -> set[str]:
    """Elements, hydrogen alone, that are stated and have no site."""
    missing = {"H", "D"} & set(stated) - set(found)
    elements = (set(stated) | set(found)) - missing
    if np.isnan(units):
        in_formula = sum(stated[e][0] for e in elements if e in stated)
        units = sum(found.values()) / in_formula if in_formula else 0.0
    for element in elements:
        number, rounding = stated.get(element, (0.0, 0.0))
        allowed = units * (_STATED_TOLERANCE * number + rounding) + 1e-6
        if abs(found.get(element, 0.0) - units * number) > allowed:
            content = " ".join(f"{e}{found[e]:.4g}" for e in sorted(found))
            promised = " ".join(f"{e}{units * stated[e][0]:.4g}" for e in sorted(stated))
            raise InputError(
                path, f"states {promised} in the cell, but sites and symmetry give {content}",
                field=tag, remedy=_WRONG_SETTING,
            )  # fmt: skip
    return missing
