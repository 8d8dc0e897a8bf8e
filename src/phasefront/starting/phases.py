"""Candidate phases as their CIFs have them: which element moves, and how formula units are counted.

A CIF says what its cell holds. How much of that is a formula unit is a convention. Phases of one
host have to share it, or fractions of formula units mean nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import gemmi
import numpy as np
import pandas as pd

from phasefront.core.errors import InputError
from phasefront.diffraction import cifs
from phasefront.diffraction.crystals import Crystal
from phasefront.experiment.consistency import host_proportions, same_proportions

# Elements that move in batteries: alkali metals first, for the others are often part of the host.
_MOBILE = (("Li", "Na", "K", "Rb", "Cs"), ("Mg", "Ca", "Zn", "Al"))
# Atoms of a cell this near to a whole number are one: occupancies are rounded in print. Chosen.
_WHOLE = 0.02
# Of one host's formula units, by what different CIFs hold: relative; and of a count of them.
_SAME_HOST, _NEAR_COUNT = 0.05, 0.2


@dataclass(frozen=True)
class ProposedPhase:
    """A phase with its formula units in the cell; None where the CIF leaves them open.

    `reason` says in words how they were counted, or why they could not be.
    """

    crystal: Crystal
    ion: str
    formula_units: int | None
    reason: str

    @property
    def ion_content(self) -> float | None:
        """Ions per formula unit, from the sites' occupancies."""
        if self.formula_units is None:
            return None
        return round(_full_sites(self.crystal.atoms).get(self.ion, 0.0) / self.formula_units, 4)

    @property
    def molar_mass(self) -> float | None:
        """g/mol of a formula unit."""
        if self.formula_units is None:
            return None
        atoms = _full_sites(self.crystal.atoms)
        mass = sum(gemmi.Element(element).weight * n for element, n in atoms.items())
        return mass / self.formula_units


def moving_ion(crystals: Sequence[Crystal], asked: str | None) -> str:
    """The element that moves: the one asked for, or the one that can be meant.

    Raises InputError where the CIFs hold several, or none, of the elements that move in batteries,
    or none of the one asked for.
    """
    held = sorted({element for crystal in crystals for element in crystal.formula})
    if asked is not None:
        if asked not in held:
            raise InputError(
                "phasefront new", f"no CIF holds {asked}, they hold {', '.join(held)}",
                field="--ion", remedy="name the element that moves",
            )  # fmt: skip
        return asked
    for group in _MOBILE:
        found = [element for element in group if element in held]
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(
                "phasefront new", f"the CIFs hold {' and '.join(found)}, each of which may move",
                field="--ion", remedy=f"say which, as --ion {found[0]}",
            )  # fmt: skip
    raise InputError(
        "phasefront new", f"the CIFs hold {', '.join(held)}, none of which is known to move",
        field="--ion", remedy="name the element that moves, as --ion Li",
    )  # fmt: skip


def propose_phases(crystals: Sequence[Crystal], ion: str) -> list[ProposedPhase]:
    """The phases in their order, those of one host with formula units of the same host."""
    proposed: dict[int, ProposedPhase] = {}
    for number, crystal in enumerate(crystals):
        if number in proposed:
            continue
        alike = [
            other
            for other in range(number, len(crystals))
            if other not in proposed
            and same_proportions(
                host_proportions(crystal, ion), host_proportions(crystals[other], ion)
            )
        ]
        for other, phase in zip(
            alike, _of_one_host([crystals[i] for i in alike], ion), strict=True
        ):
            proposed[other] = phase
    return [proposed[number] for number in range(len(crystals))]


def _of_one_host(crystals: list[Crystal], ion: str) -> list[ProposedPhase]:
    """Count formula units by the Z that CIFs state; where none does, by whole numbers of atoms.

    Where the Z of two CIFs mean formula units of different sizes, the largest one counts that makes
    up all cells. Without whole numbers of atoms there is none, and the phases stay open.
    """
    repeats = [_repeats(crystal, ion) for crystal in crystals]
    stated = [_stated_units(crystal) for crystal in crystals]
    atoms = [sum(_host(crystal, ion).values()) for crystal in crystals]
    if all(repeats) and _alike([n / count for n, count in zip(atoms, repeats, strict=True)]):
        known = [n // z for n, z in zip(repeats, stated, strict=True) if z and n % z == 0]
        size = math.gcd(*known, *repeats) if known else 1
        counts = [n // size for n in repeats]
    else:
        counts = _by_size(atoms, stated if any(stated) else repeats)
    return [
        ProposedPhase(crystal, ion, count, _reason(crystal, ion, count, z))
        for crystal, count, z in zip(crystals, counts, stated, strict=True)
    ]


def _by_size(atoms: list[float], known: list[int]) -> list[int | None]:
    """Formula units of cells with these atoms of the host, by those of cells where they are known.

    None where these disagree, or a cell does not hold a whole number.
    """
    sizes = [n / count for n, count in zip(atoms, known, strict=True) if n and count]
    if not sizes or not _alike(sizes):
        return [None] * len(atoms)
    shares = [n / sizes[0] for n in atoms]
    return [
        round(share)
        if round(share) and abs(share - round(share)) <= min(_SAME_HOST * share, _NEAR_COUNT)
        else None
        for share in shares
    ]


def _alike(sizes: list[float]) -> bool:
    return max(sizes) <= (1 + _SAME_HOST) * min(sizes)


def _repeats(crystal: Crystal, ion: str) -> int:
    """How often the cell holds the smallest whole formula of its host; 0 where there is none.

    Elements that share a site count as one.
    """
    host = crystal.atoms[crystal.atoms["element"] != ion]
    place = [host[axis].mod(1).round(3).mod(1) for axis in ("x", "y", "z")]
    sites = host.groupby(place).agg(
        kind=("element", lambda e: " ".join(sorted(e))), filled=("occupancy", "sum")
    )
    amounts = sites["filled"].clip(upper=1.0).groupby(sites["kind"]).sum().to_numpy()
    whole = np.round(amounts).astype(int)
    if not amounts.size or (np.abs(amounts - whole) > _WHOLE).any() or (whole < 1).any():
        return 0
    return math.gcd(*whole.tolist())


def _stated_units(crystal: Crystal) -> int:
    """Z of the CIF; 0 where it states none."""
    found = cifs.number_of(cifs.structure_block(crystal.path), "_cell_formula_units_Z")
    return int(found) if found > 0 and found == int(found) else 0


def _reason(crystal: Crystal, ion: str, count: int | None, stated: int) -> str:
    if count is None:
        return (
            f"the cell holds {_words(crystal.formula, 1)}; what of it is a formula unit is not said"
        )
    source = "Z of the CIF" if count == stated else "counted in the cell"
    also = f", whose CIF says Z = {stated}" if stated not in (0, count) else ""
    return f"of {_words(_host(crystal, ion), count)}, {source}{also}"


def _host(crystal: Crystal, ion: str) -> dict[str, float]:
    """Atoms of the cell but the ions."""
    return _full_sites(crystal.atoms[crystal.atoms["element"] != ion])


def _full_sites(atoms: pd.DataFrame) -> dict[str, float]:
    """Atoms of each element; sites that were refined over 1 count as full, for they hold one."""
    return atoms["occupancy"].clip(upper=1.0).groupby(atoms["element"]).sum().to_dict()


def _words(formula: dict[str, float], units: int) -> str:
    return " ".join(f"{element}{n / units:.4g}" for element, n in formula.items())
