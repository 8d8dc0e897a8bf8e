"""The phases that a scan may hold, with what is known of each beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from phasefront.diffraction.crystals import Crystal, read_crystals
from phasefront.diffraction.parent_lattice import variants


@dataclass(frozen=True)
class CandidatePhases:
    """Candidate phases, in one order; what is not given is not known."""

    crystals: Sequence[Crystal]
    # Of each phase the axes of the lattice that phases share, as rows (3, 3) in its own axes; None
    # for a phase with a lattice of its own.
    parent_axes: Sequence[Sequence[Sequence[float]] | None] = ()
    ion_contents: Sequence[float] = ()  # ions per formula unit; NaN where not known
    formula_units: Sequence[float] = ()  # in the cell of the CIF
    parent_point_group: str | None = None  # orix's name, of the lattice that phases share

    def __post_init__(self) -> None:
        for name, unknown in (
            ("parent_axes", None), ("ion_contents", np.nan), ("formula_units", np.nan),
        ):  # fmt: skip
            given = list(getattr(self, name)) or [unknown] * len(self.crystals)
            if len(given) != len(self.crystals):
                raise ValueError(f"{len(given)} {name} of {len(self.crystals)} phases")
            object.__setattr__(self, name, given)

    @classmethod
    def read(cls, cifs: Sequence[Path], names: Sequence[str], **known: Any) -> CandidatePhases:
        """From the phases' CIFs and what else is `known` of them, in the same order.

        Raises InputError where a CIF is none (see `crystals.read_crystal`).
        """
        return cls(read_crystals(cifs, names), **known)

    @property
    def names(self) -> list[str]:
        return [crystal.name for crystal in self.crystals]

    @cached_property
    def variants(self) -> list[np.ndarray]:
        """Of each phase the turns (n, 4) in its frame that lead to its variants on the lattice that
        phases share, none first; none alone for a phase with a lattice of its own."""
        return [
            np.eye(1, 4) if axes is None else variants(crystal, axes)
            for crystal, axes in zip(self.crystals, self.parent_axes, strict=True)
        ]

    @property
    def formula_volumes(self) -> list[float]:
        """Volume of a formula unit of each phase, cubic angstrom."""
        volumes = [crystal.volume for crystal in self.crystals]
        return [volume / n for volume, n in zip(volumes, self.formula_units, strict=True)]
