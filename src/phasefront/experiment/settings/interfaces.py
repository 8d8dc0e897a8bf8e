"""Interfaces between phases inside grains."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, RootModel, model_validator

from phasefront.experiment.settings.base import Model, Name, Positive


class InterfaceSettings(Model):
    """Interfaces between phases inside grains, and facets."""

    min_positions: int = Field(
        8, ge=4, description="smaller grains have no interface: too few positions to tell its place"
    )
    outliers: Annotated[float, Field(gt=0, le=0.2)] = Field(
        0.02, description="share of positions whose phase or ion content says nothing true"
    )
    thickness_nm: Positive | None = Field(
        None,
        description="thickness of the crystals in nm where it is known, as from EELS; tilts of"
        " interfaces are absent without it",
    )
    thickness_error_nm: Positive | None = Field(None, description="its standard uncertainty")

    @model_validator(mode="after")
    def _thickness_has_an_error(self) -> InterfaceSettings:
        if (self.thickness_nm is None) != (self.thickness_error_nm is None):
            raise ValueError("give both thickness_nm and thickness_error_nm, or neither")
        return self


class TwoPhaseFields(RootModel):
    """Pairs of phases that coexist, each with its ion content where they do."""

    root: list[dict[Name, float]]
