"""What a coherent front costs on each plane, and how the plane that was found stands beside it.

It is a model of a thin lamella that is fully coherent, far from any surface: where fronts lose
coherency, or relax at faces, they may follow another plane.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.linalg import logm, polar

from phasefront.core.errors import InputError
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.elasticity import (
    coherency_energy,
    front_rotation_deg,
    of_constants,
    softest_normal,
)
from phasefront.experiment.settings.elasticity import Elasticity
from phasefront.interfaces.axes import parent_axes
from phasefront.mechanisms import sphere
from phasefront.mechanisms.habit_plane import HabitPlane

# Directions at which energies are compared lie so far apart, degrees.
_SPACING = 1.0
# Within this share of the range of energies above the least, a plane counts as nearly as soft.
_NEAR = 0.1


class Beside(NamedTuple):
    """A plane that was found, beside the energy of planes."""

    # Energy over that of the softest plane, and its range over the 95 % region.
    over_least: float
    low: float
    high: float
    # Degrees to the softest plane.
    from_softest_deg: float


@dataclass(frozen=True)
class ElasticEnergy:
    """Coherency energy of planes between two phases, by their normals in Cartesian axes."""

    stiffness: np.ndarray  # (6, 6) GPa
    misfit: np.ndarray  # (3, 3) strain without stress from the poor phase to the rich one

    def __call__(self, normals: np.ndarray) -> np.ndarray:
        """Energy B(n) (...) in GPa of planes with normals (..., 3)."""
        return coherency_energy(self.stiffness, self.misfit, normals)

    @cached_property
    def softest(self) -> np.ndarray:
        """Unit normal (3,) of a plane that costs least; symmetry makes others."""
        return softest_normal(self.stiffness, self.misfit)

    @property
    def least(self) -> float:
        """Energy of the softest plane, GPa."""
        return float(self(self.softest))

    @cached_property
    def _everywhere(self) -> np.ndarray:
        return self(sphere.planes(_SPACING, np.eye(3)[None]))

    @property
    def most(self) -> float:
        """Energy of the plane that costs most, GPa."""
        return float(self._everywhere.max())

    @property
    def near_share(self) -> float:
        """Share of all directions within a tenth of the range of energies above the least.

        1 where all planes cost the same: then energy prefers none.
        """
        near = self.least + _NEAR * (self.most - self.least)
        return float(np.mean(self._everywhere <= near + 1e-9 * self.most))

    def rotation_deg(self, normals: np.ndarray) -> np.ndarray:
        """Angle (...) by which the two lattices turn across coherent fronts, degrees."""
        return front_rotation_deg(self.stiffness, self.misfit, normals)

    def beside(self, found: HabitPlane, operations: np.ndarray) -> Beside:
        """How a plane stands that fronts were found to follow.

        `operations` (operation, 3, 3) as it was found under. Where these are more than the crystal
        has (a and b not told apart), a plane stands for its softest variant.
        Ratios are infinite where the softest plane costs nothing.
        """
        own = float(self._of_variants(found.normal, operations))
        region = self._of_variants(found.planes[found.region], operations)
        energies = np.array([own, min(region.min(), own), max(region.max(), own)])
        scale = np.abs(self.stiffness).max() * np.sum(self.misfit**2)
        costless = self.least <= 1e-9 * scale
        over, low, high = np.full(3, np.inf) if costless else energies / self.least
        away = float(sphere.apart_deg(found.normal, self.softest, operations))
        return Beside(float(over), float(low), float(high), away)

    def _of_variants(self, normals: np.ndarray, operations: np.ndarray) -> np.ndarray:
        return self(sphere.variants(normals, operations)).min(axis=-1)


def of_pair(
    stated: Sequence[Elasticity], candidates: CandidatePhases, rich: int, poor: int
) -> ElasticEnergy | None:
    """Energy of fronts between two phases, of those pairs that are stated; None for another pair.

    The misfit is that of the cells where none is stated. Raises ValueError as `misfit` does.
    """
    names = {candidates.names[rich], candidates.names[poor]}
    for one in stated:
        if set(one.phases) == names:
            given = misfit(candidates, rich, poor) if one.misfit is None else np.diag(one.misfit)
            return ElasticEnergy(of_constants(one.stiffness_gpa), given)
    return None


def misfit(candidates: CandidatePhases, rich: int, poor: int) -> np.ndarray:
    """Strain (3, 3) from the cell of the poor phase to that of the rich one, in Cartesian axes.

    Logarithmic (Hencky 1928), so that it only changes sign where the phases are swapped, of the
    part of the deformation without rotation. Axes as of `interfaces.axes.parent_axes`.

    Raises
    ------
    ValueError
        The phases share no lattice, so no strain leads from one to the other.
    """
    if any(candidates.parent_axes[phase] is None for phase in (rich, poor)):
        names = candidates.names[rich], candidates.names[poor]
        raise ValueError(f"{names[0]} and {names[1]} share no lattice; give both parent_axes")
    axes = parent_axes(candidates)
    deformation = np.linalg.solve(axes[poor], axes[rich]).T
    return np.real(logm(polar(deformation)[1]))


def energies_of_fields(
    candidates: CandidatePhases,
    fields: Iterable[tuple[int, int]],
    stated: Sequence[Elasticity],
) -> dict[tuple[int, int], ElasticEnergy]:
    """Energy of planes of each field (rich, poor) that a stiffness is stated of.

    Raises InputError where the misfit is to come from cells that share no lattice.
    """
    found = {}
    for pair in fields:
        try:
            energy = of_pair(stated, candidates, *pair)
        except ValueError as error:
            raise InputError(
                "config", f"no misfit: {error}", field="mechanisms.elasticity",
                remedy="or state the misfit",
            ) from None  # fmt: skip
        if energy is not None:
            found[pair] = energy
    return found
