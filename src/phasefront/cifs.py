"""What a CIF holds: its one structure, read with gemmi, and what it states twice held together.

A published CIF says several times what its cell holds: by sites and symmetry, by formula and Z, by
weight and density. Where these disagree, one of them is wrong, most often origin or symmetry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd

from phasefront.errors import InputError
from phasefront.texts import decoded

# Refined occupancies slightly over 1 are common in good published files.
OCCUPANCY_LIMIT = 1.05
# Isotropic displacement for files that give none, angstrom^2; a typical value in oxides at 300 K.
U_ISO_ASSUMED = 0.008
# Two atoms nearer than this, angstrom, share a site: the shortest bond, that of H2, is 0.74.
_SHARED_SITE = 0.7
# Above this an atom is smeared over more than a bond's half, angstrom^2: no crystal has it.
_LARGEST_U = 0.5
# Of what the file states of its content: occupancies may be over 1 by as much.
_STATED_TOLERANCE = OCCUPANCY_LIMIT - 1
# A cell that was edited keeps the volume of the one before, some percent off; that is said. What
# is off by more is a wrong unit, angle or centring.
_SAME_VOLUME, _LARGEST_VOLUME_RATIO = 0.01, 1.5
# No crystal's density, g/cm^3, lies outside; osmium has 22.6.
_DENSITIES = (0.3, 23.0)
_G_CM3 = 1.66053907  # g/cm^3 of one g/mol in one angstrom^3
_CHARGE = r"(?:\d+(?:\.\d+)?[+-]|[+-]\d*(?:\.\d+)?)?"
_ORIGINS = "12"


def structure_block(path: str | Path) -> gemmi.cif.Block:
    """The block of a CIF that holds its one structure.

    Text is UTF-8, with or without a byte order mark, or Latin-1. Raises InputError where there is
    no such file, no CIF, no structure or more than one.
    """
    if not Path(path).is_file():
        raise InputError(path, "there is no such file", remedy="correct the path of the CIF")
    try:
        document = gemmi.cif.read_string(decoded(Path(path).read_bytes()))
    except (RuntimeError, ValueError) as error:
        raise InputError(
            path, f"not a readable CIF ({error})", remedy="export the structure again as a CIF"
        ) from error
    blocks = [block for block in document if _sites(block)]
    if not blocks:
        raise InputError(
            path, "no atoms", field="_atom_site_fract_x", remedy="give a CIF that lists the atoms"
        )
    if len(blocks) > 1:
        names = ", ".join(block.name for block in blocks)
        raise InputError(
            path, f"holds {len(blocks)} structures ({names})",
            remedy="save the one that is meant as a file of its own",
        )  # fmt: skip
    return blocks[0]


def _sites(block: gemmi.cif.Block) -> gemmi.cif.Column | None:
    return block.find_loop("_atom_site_fract_x") or block.find_loop("_atom_site_label")


def check_cell(block: gemmi.cif.Block, cell: gemmi.UnitCell, path: str | Path) -> tuple[str, ...]:
    """Raise InputError where a cell is incomplete, impossible, or far from the volume stated.

    Returns a sentence where it is a little off the volume, as an edited cell is.
    """
    for item in ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"):
        tag = f"_cell_{item}"
        number = _number(block, tag)
        if not (np.isfinite(number) and number > 0):
            raise InputError(
                path, "no cell: this parameter is missing or not a positive number", field=tag,
                remedy="give all six cell parameters in angstrom and degrees",
            )  # fmt: skip
    if not (np.isfinite(cell.volume) and cell.volume > 0):
        raise InputError(
            path, "three axes at these angles have no volume", field="_cell_angle_alpha",
            remedy="correct the angles",
        )  # fmt: skip
    stated = _number(block, "_cell_volume")
    words = f"states {stated:g} angstrom^3, but lengths and angles give {cell.volume:.4g}"
    ratio = stated / cell.volume
    if not 1 / _LARGEST_VOLUME_RATIO < ratio < _LARGEST_VOLUME_RATIO and not np.isnan(ratio):
        raise InputError(path, words, field="_cell_volume", remedy="correct the one that is wrong")
    return (f"{words}, which is used",) if abs(ratio - 1) > _SAME_VOLUME else ()


def _number(block: gemmi.cif.Block, tag: str) -> float:
    """A number without its uncertainty; NaN where there is none."""
    value = block.find_value(tag)
    return gemmi.cif.as_number(value) if value else np.nan


# ------------------------------------------------------------------------ symmetry


def operations(
    structure: gemmi.SmallStructure, path: str | Path
) -> tuple[gemmi.GroupOps, tuple[str, ...]]:
    """Symmetry operations, and what was tolerated.

    They are those that the file lists, else those of its Hall symbol, else of its Hermann-Mauguin
    symbol. Raises InputError where there are none, where the listed ones are no group, where a
    symbol or the group's number says otherwise, where an unknown symbol is all that could say
    whether they are complete, and where the symbol leaves the origin open.
    """
    listed = _listed(structure, path)
    hall = _from_hall(structure)
    named = gemmi.find_spacegroup_by_name(
        structure.spacegroup_hm, structure.cell.alpha, structure.cell.gamma
    )
    found = listed or hall or (named.operations() if named else None)
    if found is None:
        raise InputError(
            path, "no symmetry: neither operators nor a known space-group symbol",
            field="_space_group_symop_operation_xyz",
            remedy="list the symmetry operators, or give the Hermann-Mauguin or Hall symbol",
        )  # fmt: skip
    if listed and named and len(listed) != len(named.operations()):
        raise InputError(
            path, f"lists {len(listed)} symmetry operators, {named.xhm()!r} has "
            f"{len(named.operations())}", field="symop_operation_xyz",
            remedy="make operators and space-group symbol agree",
        )  # fmt: skip
    if listed and hall and listed != hall:
        raise InputError(
            path, f"lists symmetry operators that are not those of {structure.spacegroup_hall!r}",
            field="symop_operation_xyz", remedy="make operators and Hall symbol agree",
        )  # fmt: skip
    if not listed and not hall and named.ext in _ORIGINS and not _says_origin(structure):
        raise InputError(
            path, f"{structure.spacegroup_hm!r} has two origins, and the file does not say which",
            field="_space_group_name_H-M_alt",
            remedy=f"write '{named.hm} :1' or '{named.hm} :2', or list the symmetry operators",
        )  # fmt: skip
    _check_number(found, named, structure, path)
    if structure.spacegroup_hm and not named:
        return found, (_unknown_symbol(found, listed, hall, structure, path),)
    return found, ()


def _listed(structure: gemmi.SmallStructure, path: str | Path) -> gemmi.GroupOps | None:
    """The file's own operators, None without any."""
    if not structure.symops:
        return None
    try:
        listed = gemmi.GroupOps([gemmi.Op(text) for text in structure.symops])
        closed = gemmi.GroupOps([gemmi.Op(text) for text in structure.symops])
        closed.add_missing_elements()
    except (RuntimeError, ValueError) as error:
        raise InputError(
            path, f"symmetry operators cannot be read ({error})", field="symop_operation_xyz",
            remedy="write them as x,y,z triplets",
        ) from error  # fmt: skip
    if len(closed) != len(listed):
        raise InputError(
            path, f"lists {len(listed)} symmetry operators, which make {len(closed)} when combined",
            field="symop_operation_xyz", remedy="list all of them",
        )  # fmt: skip
    return listed


def _from_hall(structure: gemmi.SmallStructure) -> gemmi.GroupOps | None:
    """Operations of the Hall symbol, None where there is none that can be read."""
    if not structure.spacegroup_hall:
        return None
    try:
        return gemmi.symops_from_hall(structure.spacegroup_hall)
    except (RuntimeError, ValueError):
        return None


def _says_origin(structure: gemmi.SmallStructure) -> bool:
    return structure.spacegroup_hm.replace(" ", "")[-2:] in (":1", ":2")


def _check_number(
    found: gemmi.GroupOps,
    named: gemmi.SpaceGroup | None,
    structure: gemmi.SmallStructure,
    path: str | Path,
) -> None:
    """Symbol and number are those of the group; gemmi's table lacks some settings."""
    group = gemmi.find_spacegroup_by_ops(found)
    if group is None:
        return
    for stated, called, tag in (
        (named.number if named else 0, structure.spacegroup_hm, "_space_group_name_H-M_alt"),
        (structure.spacegroup_number, structure.spacegroup_number, "_space_group_IT_number"),
    ):
        if stated and stated != group.number:
            raise InputError(
                path, f"{called!r} is another space group than {group.xhm()!r} (number"
                f" {group.number}), which the symmetry operations are", field=tag,
                remedy="make operators, symbols and number agree",
            )  # fmt: skip


def _unknown_symbol(found, listed, hall, structure, path) -> str:
    """A sentence on a symbol that gemmi lacks, where the operations are beyond doubt."""
    symbol = structure.spacegroup_hm
    centring = symbol.strip()[0].upper()
    fits = centring == found.find_centering() or (centring, found.find_centering()) == ("R", "P")
    complete = len(found) > 1 and (hall is not None or structure.spacegroup_number > 0 or fits)
    if not (complete and fits):
        raise InputError(
            path, f"the space group {symbol!r} is not known, and the symmetry operators"
            f" ({len(found)}) do not bear it out", field="_space_group_name_H-M_alt",
            remedy="write the symbol as the International Tables do, as in 'F m -3 m', or list all"
            " operators",
        )  # fmt: skip
    source = "the operators listed" if listed else "those of the Hall symbol"
    return f"the space group {symbol!r} is not known; {source} are used"


# ------------------------------------------------------------------------ sites


def checked_sites(
    structure: gemmi.SmallStructure, block: gemmi.cif.Block, path: str | Path
) -> tuple[list[gemmi.SmallStructure.Site], tuple[str, ...]]:
    """The sites, each with one element and a displacement, and what was assumed or tolerated.

    Raises InputError for an element that is not clear, a position that is missing, an occupancy or
    a displacement that cannot be.
    """
    sites = list(structure.sites)
    if not sites:
        raise InputError(
            path, "no atoms", field="_atom_site_fract_x", remedy="give a CIF that lists the atoms"
        )
    _check_occupancies_are_numbers(block, path)
    typed = bool(block.find_loop("_atom_site_type_symbol"))
    notes = []
    for site in sites:
        site.element = gemmi.Element(_element(site, typed, path))
        if not np.all(np.isfinite(site.fract.tolist())):
            raise InputError(
                path, f"atom {site.label!r} has no position", field="_atom_site_fract_x",
                remedy="give its fractional coordinates or leave it out",
            )  # fmt: skip
        if not 0.0 <= site.occ <= OCCUPANCY_LIMIT:
            raise InputError(
                path, f"atom {site.label!r} has occupancy {site.occ:g}",
                field="_atom_site_occupancy", remedy=f"give a value from 0 to {OCCUPANCY_LIMIT}",
            )  # fmt: skip
        if site.occ > 1.0:
            notes.append(f"occupancy {site.occ:g} of {site.label} is over 1, used as it is")
        if site.u_iso <= 0.0 and site.aniso.nonzero():
            site.u_iso = structure.cell.calculate_u_eq(site.aniso)
    notes += _complete_displacements(sites, path)
    return sites, tuple(notes)


def _complete_displacements(sites: list[gemmi.SmallStructure.Site], path: str | Path) -> list[str]:
    """Assume those that the file does not give, and say so."""
    # Drawing programs write 1 for every atom.
    if all(site.u_iso == 1.0 for site in sites):
        for site in sites:
            site.u_iso = U_ISO_ASSUMED
        return [
            "every displacement is 1 angstrom^2, as drawing programs write it:"
            f" {U_ISO_ASSUMED} assumed"
        ]
    for site in sites:
        if not site.u_iso <= _LARGEST_U:
            raise InputError(
                path, f"atom {site.label!r} has a displacement of {site.u_iso:g} angstrom^2",
                field="_atom_site_U_iso_or_equiv",
                remedy=f"give one below {_LARGEST_U}, or none where it is not known",
            )  # fmt: skip
    unknown = [site for site in sites if site.u_iso <= 0.0]
    for site in unknown:
        site.u_iso = U_ISO_ASSUMED
    if not unknown:
        return []
    whose = "" if len(unknown) == len(sites) else f" of {', '.join(site.label for site in unknown)}"
    return [f"no displacement parameters{whose}: {U_ISO_ASSUMED} angstrom^2 assumed"]


def _check_occupancies_are_numbers(block: gemmi.cif.Block, path: str | Path) -> None:
    for value in block.find_loop("_atom_site_occupancy"):
        if value not in ("?", ".") and np.isnan(gemmi.cif.as_number(value)):
            raise InputError(
                path, f"{value} is no occupancy", field="_atom_site_occupancy",
                remedy=f"give a number from 0 to {OCCUPANCY_LIMIT}",
            )  # fmt: skip


def _element(site: gemmi.SmallStructure.Site, typed: bool, path: str | Path) -> str:
    """The one element that a site's type symbol, or without one its label, names.

    Type symbols are an element with or without its charge: Na, Na1+, O-2. Labels are one with
    numbers and signs behind it. Groups and mixtures are refused, and so are two capitals that could
    be two elements: CO, NI, OW.
    """
    symbol = site.type_symbol if typed else site.label
    if typed and symbol != site.label:
        found = re.fullmatch(rf"([A-Za-z]{{1,2}}){_CHARGE}", symbol)
    else:
        found = re.fullmatch(r"([A-Za-z]{1,2})(?:[^A-Za-z,/;&][^,/;&]*)?", symbol)
        if found and re.match(r"[HD]\d+O", symbol):  # water
            found = None
    letters = found[1] if found else ""
    name = letters.capitalize()
    if gemmi.Element(name).name != name or not letters or name == "X":
        raise InputError(
            path, f"unknown element {symbol!r} of atom {site.label!r}",
            field="_atom_site_type_symbol",
            remedy="use the symbol of one chemical element, and a row for each where several share"
            " a site",
        )  # fmt: skip
    if len(letters) == 2 and letters.isupper() and all(map(_is_element, letters)):
        raise InputError(
            path, f"the element {symbol!r} of atom {site.label!r} could be {name}, or"
            f" {letters[0]} and {letters[1]}", field="_atom_site_type_symbol",
            remedy=f"write {name!r} if that is meant",
        )  # fmt: skip
    return name


def _is_element(letter: str) -> bool:
    return letter != "X" and gemmi.Element(letter).name == letter


def check_no_site_is_overfull(
    atoms: pd.DataFrame, orthogonal: np.ndarray, path: str | Path
) -> None:
    """Raise InputError where atoms of the cell are nearer than any bond and more than one in all.

    Parameters
    ----------
    atoms
        label, x, y, z and occupancy of every atom of the cell.
    orthogonal
        (3, 3); Cartesian = orthogonal @ fractional, angstrom.
    """
    position = atoms[["x", "y", "z"]].to_numpy()
    difference = position[:, None] - position
    difference -= np.round(difference)
    near = np.linalg.norm(difference @ orthogonal.T, axis=2) < _SHARED_SITE
    filled = near @ atoms["occupancy"].to_numpy()
    if filled.max() > OCCUPANCY_LIMIT + 1e-6:
        fullest = int(filled.argmax())
        labels = atoms["label"][near[fullest]].tolist()
        raise InputError(
            path, f"{filled[fullest]:.3g} atoms ({', '.join(labels)}) are within"
            f" {_SHARED_SITE} angstrom of one another", field="_atom_site_occupancy",
            remedy="correct occupancies, coordinates, the cell or the space group's setting",
        )  # fmt: skip


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
    units = _number(block, "_cell_formula_units_Z")
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
    weight = _number(block, "_chemical_formula_weight")
    _check_stated(weight * units, mass, "_chemical_formula_weight", "g/mol in the cell", path)
    stated_volume = _number(block, "_cell_volume")
    _check_stated(
        _number(block, "_exptl_crystal_density_diffrn"),
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
