"""How grains convert."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from phasefront.experiment.settings.base import Model, Name
from phasefront.experiment.settings.elasticity import Elasticity


class MechanismSettings(Model):
    """Morphologies, populations, habit planes and order of reaction."""

    direction: dict[Name, Literal["charge", "discharge"]] = Field(
        {},
        description="which way the cell went before a state, where no log says so or another was"
        " taken: ions leave on charge; without it a core and an inner nucleus are not told apart",
    )
    elasticity: list[Elasticity] = Field(
        [],
        description="of two-phase fields, so that habit planes stand beside the elastic energy",
    )

    @model_validator(mode="after")
    def _pairs_are_given_once(self) -> MechanismSettings:
        pairs = [frozenset(one.phases) for one in self.elasticity]
        if len(set(pairs)) < len(pairs):
            raise ValueError("elasticity names a pair of phases twice; give each pair once")
        return self
