"""Symmetry operations of a CIF: what it lists against its symbol and number."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np

from phasefront.core.errors import InputError

_ORIGINS = "12"
# Of elements of the metric tensor: 1 % of a length, a degree. Refined cells have their symmetry to
# the last digit. Chosen.
_SAME_METRIC = 0.02


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
    _refuse_no_group(listed, path)
    return listed


def _refuse_no_group(listed: gemmi.GroupOps, path: str | Path) -> None:
    """Raise InputError where operators, one after the other, are none of them.

    gemmi compares rotations alone: a wrong translation goes unseen, and makes atoms.
    """
    every = {operation.triplet() for operation in listed}
    for one in listed:
        for other in listed:
            both = (one * other).wrap().triplet()
            if both not in every:
                raise InputError(
                    path, f"its symmetry operators are no group: {one.triplet()!r} after"
                    f" {other.triplet()!r} is {both!r}, which is not listed",
                    field="symop_operation_xyz", remedy="correct the translations",
                )  # fmt: skip


def check_metric(operations: gemmi.GroupOps, cell: gemmi.UnitCell, path: str | Path) -> None:
    """Raise InputError where a cell has not the symmetry of its own operations.

    They leave the metric tensor as it is (International Tables A, 1.5): G = R' G R.
    """
    vectors = np.array(cell.orth.mat.tolist())
    metric = vectors.T @ vectors
    size = np.sqrt(np.outer(np.diag(metric), np.diag(metric)))
    for operation in operations.sym_ops:
        rotation = np.array(operation.rot) / gemmi.Op.DEN
        if np.abs((rotation.T @ metric @ rotation - metric) / size).max() > _SAME_METRIC:
            raise InputError(
                path, f"a cell of {cell.a:g}, {cell.b:g}, {cell.c:g} angstrom and {cell.alpha:g},"
                f" {cell.beta:g}, {cell.gamma:g} degrees has not the symmetry"
                f" {operation.triplet()!r} that is stated", field="_cell_length_a",
                remedy="correct the cell, or the space group and its setting",
            )  # fmt: skip


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
