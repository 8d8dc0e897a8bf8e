"""Ways of ions through a structure."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from phasefront.experiment.settings.base import Axis, Model


def _not_nothing(axis: list[float]) -> list[float]:
    if not any(axis):
        raise ValueError("a channel of 0, 0, 0 has no direction; name one such as 0, 1, 0")
    return axis


class PathwaySettings(Model):
    """Channels of the structure that ions may take."""

    channels: list[Annotated[Axis, AfterValidator(_not_nothing)]] = Field(
        [],
        description="directions u, v, w in which ions move in the structure, along a, b and c of"
        " the lattice that phases share; equivalent ones count without being named",
    )
