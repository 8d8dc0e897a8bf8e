"""What a CIF holds: its one structure, read with gemmi, and what it states twice held together.

A published CIF says several times what its cell holds: by sites and symmetry, by formula and Z, by
weight and density. Where these disagree, one of them is wrong, most often origin or symmetry.
"""

from __future__ import annotations

import re
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd

from phasefront.core.errors import InputError
from phasefront.core.texts import decoded

# Refined occupancies slightly over 1 are common in good published files.
OCCUPANCY_LIMIT = 1.05
# Isotropic displacement for files that give none, angstrom^2; a typical value in oxides at 300 K.
U_ISO_ASSUMED = 0.008
# Two atoms nearer than this, angstrom, share a site: the shortest bond, that of H2, is 0.74.
_SHARED_SITE = 0.7
# Cells away from the first: programs draw neighbours, but a coordinate that is further lost its
# point or is in angstrom. Chosen.
_FARTHEST = 2.0
# Above this an atom is smeared over more than a bond's half, angstrom^2: no crystal has it.
_LARGEST_U = 0.5
# A cell that was edited keeps the volume of the one before, some percent off; that is said. What
# is off by more is a wrong unit, angle or centring.
_SAME_VOLUME, _LARGEST_VOLUME_RATIO = 0.01, 1.5
_CHARGE = r"(?:\d+(?:\.\d+)?[+-]|[+-]\d*(?:\.\d+)?)?"


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


def small_structure(block: gemmi.cif.Block, path: str | Path) -> gemmi.SmallStructure:
    """gemmi's structure of a block; raises InputError for a cell that it cannot make."""
    try:
        return gemmi.make_small_structure_from_block(block)
    except RuntimeError as error:
        raise InputError(
            path, f"the cell is none ({error})", field="_cell_angle_alpha",
            remedy="correct lengths and angles",
        ) from error  # fmt: skip


def check_cell(block: gemmi.cif.Block, cell: gemmi.UnitCell, path: str | Path) -> tuple[str, ...]:
    """Raise InputError where a cell is incomplete, impossible, or far from the volume stated.

    Returns a sentence where it is a little off the volume, as an edited cell is.
    """
    for item in ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"):
        tag = f"_cell_{item}"
        number = number_of(block, tag)
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
    stated = number_of(block, "_cell_volume")
    words = f"states {stated:g} angstrom^3, but lengths and angles give {cell.volume:.4g}"
    ratio = stated / cell.volume
    if not 1 / _LARGEST_VOLUME_RATIO < ratio < _LARGEST_VOLUME_RATIO and not np.isnan(ratio):
        raise InputError(path, words, field="_cell_volume", remedy="correct the one that is wrong")
    return (f"{words}, which is used",) if abs(ratio - 1) > _SAME_VOLUME else ()


def number_of(block: gemmi.cif.Block, tag: str) -> float:
    """A number without its uncertainty; NaN where there is none."""
    value = block.find_value(tag)
    return gemmi.cif.as_number(value) if value else np.nan


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
        if np.abs(site.fract.tolist()).max() > _FARTHEST:
            raise InputError(
                path, f"atom {site.label!r} is at {site.fract.tolist()}, which are no fractions",
                field="_atom_site_fract_x",
                remedy="give its coordinates as fractions of the cell, not in angstrom",
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
