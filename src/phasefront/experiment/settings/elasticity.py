"""Stiffness and misfit of two phases, for what coherent fronts cost."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from phasefront.diffraction import elasticity
from phasefront.experiment.settings.base import Model, Name


def _of_a_crystal(constants: list[float]) -> list[float]:
    elasticity.of_constants(constants)
    return constants


class Elasticity(Model):
    """Stiffness and misfit of two phases that coexist."""

    phases: Annotated[list[Name], Field(min_length=2, max_length=2)] = Field(
        description="names of the two phases"
    )
    stiffness_gpa: Annotated[list[float], AfterValidator(_of_a_crystal)] = Field(
        description="elastic constants in GPa, in the axes of the lattice that phases share: E"
        " (GPa) and Poisson's ratio; or C11, C33, C44, C66, C12, C13 (tetragonal); or C11, C22,"
        " C33, C44, C55, C66, C12, C13, C23 (orthorhombic)"
    )
    misfit: Annotated[list[float], Field(min_length=3, max_length=3)] | None = Field(
        None,
        description="strain along the shared lattice's axes from the phase of fewer ions to the"
        " other, without stress; from their cells if not given",
    )

    @model_validator(mode="after")
    def _strain_is_one_of_two_phases(self) -> Elasticity:
        if self.phases[0] == self.phases[1]:
            raise ValueError(f"{self.phases[0]} is named twice; name the two phases that coexist")
        strain = np.abs([0.01] if self.misfit is None else self.misfit)
        if strain.max() > 0.3 or not strain.any():
            raise ValueError(
                f"a misfit of {self.misfit} is none of one lattice; give strains such as 0.05, not"
                " percent"
            )
        return self
