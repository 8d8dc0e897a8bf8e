"""Maps that other programs made."""

from __future__ import annotations

from pydantic import Field

from phasefront.experiment.settings.base import Model, Name


class MapSettings(Model):
    """Maps of phases and orientations that other programs made."""

    phases: dict[str, Name] = Field(
        {},
        description="phase of the material by its name or number in the file, where names differ",
    )
    least: dict[str, float] = Field(
        {},
        description="qualities of the file, such as reliability, each with the least value that a"
        " decision needs",
    )
