"""Fractions and their intervals."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from phasefront.experiment.settings.base import Model, Range


class FractionSettings(Model):
    """Intervals of fractions."""

    draws: int = Field(2000, ge=100, description="draws of the electrode's fractions")
    thickness_exponent: Range = Field(
        (1.0, 2.0),
        description="power of the diffuse excess over vacuum that thickness goes as, from and to",
    )
    molar_weight: Literal["thickness", "area"] = Field(
        "thickness",
        description="what molar fractions weigh positions by: relative thickness from the diffuse"
        " level, or area alone, as in a liquid or under a film, which scatter more than the grains",
    )
    confusion_positions: int = Field(
        1500, ge=1, description="positions of each phase that are simulated to see its confusion"
    )
