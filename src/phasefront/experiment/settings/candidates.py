"""Candidate phases: the parts of a material that each step of the analysis needs, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from phasefront.experiment.settings.base import Axis, FilePath, Model, Name, Positive

ParentAxes = Annotated[list[Axis], Field(min_length=3, max_length=3)]


class Candidate(Model):
    """A candidate phase, as physics knows it."""

    name: Name = Field(description="short name, used in every table and figure")
    cif: FilePath = Field(description="path of its CIF")
    ion_content: float = Field(ge=0, description="ions per formula unit")
    formula_units: int = Field(gt=0, le=1000, description="formula units in the CIF's cell")
    parent_axes: ParentAxes | None = Field(
        None, description="rows: axes of the lattice that phases share, in this phase's axes"
    )


class SharedLattice(Model):
    """The lattice that phases share: its axes in those of each phase, and its point group."""

    axes: list[ParentAxes | None]
    point_group: str | None


class Weighed(Model):
    """The compound that was weighed."""

    molar_mass: Positive = Field(description="g/mol")
    ion_content: Positive = Field(description="ions per formula unit before charge")
    ion_error: float = Field(ge=0, description="its standard uncertainty")


class Candidates(Model):
    """All candidate phases. Lists are in their order, which is that of the CIFs."""

    phases: Sequence[Candidate] = Field(min_length=1)
    parent_point_group: str | None = Field(
        None, description="point group of the lattice that phases share"
    )

    @property
    def names(self) -> list[str]:
        """Names of the phases."""
        return [phase.name for phase in self.phases]

    @property
    def cifs(self) -> list[str]:
        """Paths of their CIFs."""
        return [phase.cif for phase in self.phases]

    @property
    def ion_contents(self) -> list[float]:
        """Ions per formula unit of each phase."""
        return [phase.ion_content for phase in self.phases]

    @property
    def formula_units(self) -> list[int]:
        """Formula units in the cell of each phase's CIF."""
        return [phase.formula_units for phase in self.phases]

    @property
    def shared_lattice(self) -> SharedLattice:
        """The lattice that phases share, without axes for a phase that does not say."""
        axes = [phase.parent_axes for phase in self.phases]
        return SharedLattice(axes=axes, point_group=self.parent_point_group)
