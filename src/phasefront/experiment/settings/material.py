"""What the grains are made of."""

from __future__ import annotations

import itertools
from typing import Annotated

from pydantic import (
    Field,
    model_validator,
)

from phasefront.experiment.settings.base import (
    Axis,
    FilePath,
    Model,
    Name,
    Positive,
    Text,
    refuse_same_names,
)


class Phase(Model):
    """A candidate phase."""

    name: Name = Field(description="short name, used in every table and figure")
    label: Text = Field("", description="name for figures, may hold LaTeX; the name where empty")
    cif: FilePath = Field(description="path of its CIF")
    ion_content: float = Field(ge=0, description="ions per formula unit")
    formula_units: int = Field(gt=0, le=1000, description="formula units in the CIF's cell")
    parent_axes: Annotated[list[Axis], Field(min_length=3, max_length=3)] | None = Field(
        None, description="rows: axes of the lattice that phases share, in this phase's axes"
    )
    cell_from: list[Name] = Field(
        [],
        description="powder patterns that the CIF's cell was refined from; what calibrated cannot"
        " also validate, so they stay out of the comparison",
    )


class Material(Model):
    """What the grains are made of."""

    ion: str = Field(description="element that moves")
    pristine_molar_mass: Positive = Field(description="g/mol of the compound that was weighed")
    pristine_ion_content: Positive = Field(description="ions per formula unit before charge")
    pristine_ion_error: float = Field(0, ge=0, description="its standard uncertainty")
    phases: list[Phase] = Field(min_length=1)
    parent_point_group: str | None = Field(
        None, description="point group of the lattice that phases share"
    )
    two_phase_fields: list[dict[Name, float]] = Field(
        [],
        description="pairs of phases that coexist, each with its ion content where they do: the"
        " phase's own, or the limit of its solid solution; the lever rule holds in between",
    )

    @model_validator(mode="after")
    def _phases_are_distinct(self) -> Material:
        refuse_same_names([phase.name for phase in self.phases], "phases")
        if any(phase.parent_axes for phase in self.phases) and self.parent_point_group is None:
            raise ValueError("phases have parent_axes; name the parent_point_group too")
        return self

    @model_validator(mode="after")
    def _fields_are_apart(self) -> Material:
        for field in self.two_phase_fields:
            if len(field) != 2 or not set(field) <= set(self.names):
                raise ValueError(
                    f"the two-phase field {field} does not name two of the phases;"
                    " give each of two phases with its ion content"
                )
        spans = sorted(sorted(field.values()) for field in self.two_phase_fields)
        if any(low == high for low, high in spans):
            raise ValueError("a two-phase field has no width; give its ends two ion contents")
        if any(one[1] > other[0] for one, other in itertools.pairwise(spans)):
            raise ValueError("two two-phase fields overlap; keep their ion contents apart")
        return self

    @property
    def labels(self) -> dict[str, str]:
        """Names of the phases for figures."""
        return {phase.name: phase.label or phase.name for phase in self.phases}

    @property
    def calibrating_patterns(self) -> dict[str, list[str]]:
        """Phases whose cells were refined from a powder pattern, by pattern."""
        phases: dict[str, list[str]] = {}
        for phase in self.phases:
            for pattern in phase.cell_from:
                phases.setdefault(pattern, []).append(phase.name)
        return phases

    @property
    def ion_contents(self) -> list[float]:
        """Ions per formula unit of each phase."""
        return [phase.ion_content for phase in self.phases]

    @property
    def names(self) -> list[str]:
        """Names of the phases."""
        return [phase.name for phase in self.phases]
