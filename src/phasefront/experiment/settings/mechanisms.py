"""How grains convert."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from phasefront.experiment.settings.base import Model


class MechanismSettings(Model):
    """Morphologies, populations, habit planes and order of reaction."""

    direction: Literal["charge", "discharge"] | None = Field(
        None,
        description="which way the cell went before the states whose log does not say, or that have"
        " none: ions leave on charge; without it a core and an inner nucleus are not told apart",
    )
