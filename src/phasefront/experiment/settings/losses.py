"""Ratios of elements from energy losses."""

from __future__ import annotations

from pydantic import Field, model_validator

from phasefront.experiment.settings.base import FilePath, Line, Model, Name, Positive
from phasefront.experiment.settings.chemistry import EnergyRange


class Edge(Model):
    """The cross section of an element's edge, for the microscope as it was set."""

    element: Name
    path: FilePath = Field(
        description="text of two columns, energy in eV and cross section per atom, in one unit for"
        " all edges, integrated over the collected angles"
    )
    beam_kev: Positive = Field(description="beam energy that it was worked out for")
    collection_mrad: Positive = Field(description="collection semi-angle that it is for")
    relative_error: float = Field(gt=0, lt=1, description="its standard error as a share of it")
    source: Line = Field(min_length=1, description="program and model that it is from")


class LossSettings(Model):
    """Edges, and the two elements whose atoms are compared."""

    edges: list[Edge] = Field([], description="all that lie in fit_ev, or begin shortly below")
    ratio: tuple[Name, Name] | None = Field(None, description="such as [Na, V]: atoms of Na over V")
    fit_ev: EnergyRange | None = Field(None, description="from below the first edge on")
    fine_structure_ev: list[EnergyRange] = Field(
        [], description="where white lines are, which atoms' cross sections lack"
    )
    max_relative_error: Positive = Field(0.5, description="ratios that are told no better are not")
    formula_atoms: Positive | None = Field(
        None,
        description="atoms of the second element in a formula unit: ion content from the ratio, of"
        " which the ion is the first; without, maps are of the ratio",
    )

    @model_validator(mode="after")
    def _edges_are_of_the_ratio(self) -> LossSettings:
        elements = [edge.element for edge in self.edges]
        if len(set(elements)) < len(elements):
            raise ValueError("two edges are of the same element; give one for each element")
        if self.ratio is None:
            return self
        if missing := [element for element in self.ratio if element not in elements]:
            raise ValueError(f"there is no edge of {missing[0]}; add its cross section to edges")
        if self.ratio[0] == self.ratio[1]:
            raise ValueError("ratio names one element twice; name two")
        if self.fit_ev is None:
            raise ValueError("fit_ev is missing; give the energies from below the first edge on")
        return self


class RepeatDoses(Model):
    """A spectrum image and the electrons that it took, of some of the same positions in a row."""

    stack: Name
    electrons_per_nm2: Positive | None = None
