"""How grains convert."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from phasefront.experiment.settings.base import Model, Name
from phasefront.experiment.settings.elasticity import Elasticity

Direction = Literal["insertion", "extraction"]


class MechanismSettings(Model):
    """Morphologies of grains, populations and habit planes."""

    direction: dict[Name, Direction] = Field(
        {},
        description="whether ions enter or leave, by state, where no log says so or another was"
        " taken; a core of what is left and a nucleus inside differ by nothing else",
    )
    min_positions: int = Field(8, ge=4, description="smaller grains are left out of populations")
    min_grains: int = Field(3, ge=3, description="of fewer grains nothing is told")
    elasticity: list[Elasticity] = Field(
        [],
        description="stiffness and misfit of pairs of phases, for what fronts between them cost",
    )

    @model_validator(mode="after")
    def _pairs_are_given_once(self) -> MechanismSettings:
        pairs = [frozenset(one.phases) for one in self.elasticity]
        if len(set(pairs)) < len(pairs):
            raise ValueError("elasticity names a pair of phases twice; give each pair once")
        return self
