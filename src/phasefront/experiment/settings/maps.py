"""Maps that other programs made."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from phasefront.experiment.settings.base import Model, Name

# YAML makes a number of a phase's number; True and False are none.
InFile = Annotated[str, BeforeValidator(lambda key: str(key) if type(key) is int else key)]


class MapSettings(Model):
    """Maps of phases and orientations that other programs made."""

    phases: dict[InFile, Name] = Field(
        {},
        description="phase of the material by its name or number in the file, where names differ",
    )
    least: dict[str, float] = Field(
        {},
        description="qualities of the file, such as reliability, each with the least value that a"
        " decision needs",
    )
