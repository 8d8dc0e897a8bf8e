"""Fractions and their intervals."""

from __future__ import annotations

from pydantic import Field

from phasefront.experiment.settings.base import Model, Range


class FractionSettings(Model):
    """Intervals of fractions."""

    draws: int = Field(2000, ge=100, description="bootstrap draws over grains")
    thickness_exponent: Range = Field(
        (1.0, 2.0),
        description="power of the diffuse excess over vacuum that thickness goes as, from and to",
    )
    confusion_positions: int = Field(
        1500, ge=1, description="positions of each phase that are simulated to see its confusion"
    )
