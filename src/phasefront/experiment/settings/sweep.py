"""Variants of the analysis."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue, model_validator

from phasefront.experiment.settings.base import Model


class Sweep(Model):
    """Variants of the analysis: settings by their dotted paths, e.g. phases.decide_above."""

    grid: dict[str, Annotated[list[JsonValue], Field(min_length=1)]] = Field(
        {}, description="every combination of these values"
    )
    combinations: list[dict[str, JsonValue]] = Field([], description="these combinations alone")

    @model_validator(mode="after")
    def _one_way(self) -> Sweep:
        if bool(self.grid) == bool(self.combinations):
            raise ValueError("neither or both of grid and combinations; give one of them")
        return self
