"""What the grains are made of."""

from __future__ import annotations

import itertools

from pydantic import Field, model_validator

from phasefront.experiment.settings.base import Name, Positive, Text, refuse_same_names
from phasefront.experiment.settings.candidates import Candidate, Candidates, Weighed


class Phase(Candidate):
    """A candidate phase, and what people call it."""

    label: Text = Field("", description="name for figures, may hold LaTeX; the name where empty")
    cell_from: list[Name] = Field(
        [],
        description="powder patterns, or rows of the table of cells, that the CIF's cell is from;"
        " what calibrated cannot also validate, so they stay out of the comparison",
    )
    cell_prior: list[Name] = Field(
        [],
        description="rows of the table of cells, of particles of this phase: their mean and the"
        " CIF's cell, each with its error, make the candidate's cell; they stay out of the"
        " comparison, too",
    )


class Material(Candidates):
    """What the grains are made of. Rules are given parts of it: what each of them needs."""

    ion: str = Field(description="element that moves")
    pristine_molar_mass: Positive = Field(description="g/mol of the compound that was weighed")
    pristine_ion_content: Positive = Field(description="ions per formula unit before charge")
    pristine_ion_error: float = Field(0, ge=0, description="its standard uncertainty")
    phases: list[Phase] = Field(min_length=1)
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
        """Phases whose cells were refined from a powder pattern or a tilt series, by its name."""
        phases: dict[str, list[str]] = {}
        for phase in self.phases:
            for pattern in dict.fromkeys([*phase.cell_from, *phase.cell_prior]):
                phases.setdefault(pattern, []).append(phase.name)
        return phases

    @property
    def cells_from(self) -> list[str]:
        """Powder patterns and tilt series that cells of CIFs are from."""
        return sorted({name for phase in self.phases for name in phase.cell_from})

    @property
    def cell_priors(self) -> dict[str, list[str]]:
        """Tilt series that are a prior of a phase's cell, by the phase, where there are any."""
        return {phase.name: phase.cell_prior for phase in self.phases if phase.cell_prior}

    @property
    def candidates(self) -> Candidates:
        """The phases without what people call them and where their cells are from."""
        known = set(Candidate.model_fields)
        phases = [Candidate(**phase.model_dump(include=known)) for phase in self.phases]
        return Candidates(phases=phases, parent_point_group=self.parent_point_group)

    @property
    def weighed(self) -> Weighed:
        """The compound that was weighed."""
        return Weighed(
            molar_mass=self.pristine_molar_mass,
            ion_content=self.pristine_ion_content,
            ion_error=self.pristine_ion_error,
        )
