"""Galvanostatic logs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from phasefront.experiment.settings.base import (
    FilePath,
    Model,
    Moment,
    Name,
    Positive,
    TimeZone,
    from_json,
)


class Columns(TypedDict, total=False):
    """Columns of a text log, each with its unit; those of states and how numbers are written."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    time: tuple[str, str]
    voltage: tuple[str, str]
    current: tuple[str, str]
    step: tuple[str, str]
    state: tuple[str, dict[Literal["charge", "discharge", "rest"], list[str]]]
    decimal: Literal[".", ","]
    thousands: Literal[",", ".", " ", "'"]


# What means nothing without the mass of active material.
_PER_MASS = (
    "mass_error_mg", "irreversible_mah_g", "irreversible_error_mah_g", "inactive_share",
    "inactive_error",
)  # fmt: skip

ColumnMap = Annotated[Columns, BeforeValidator(from_json)]


class LogRow(Model):
    """A row of the table of cycling logs."""

    log: Name
    path: FilePath
    columns: ColumnMap | None = Field(
        None,
        description='for text of another kind, as JSON: {"time": ["column", "unit"], "voltage":'
        ' ..., "current": ...} and, where there are any, "step"; "state": ["column", {"charge":'
        ' ["word"], "discharge": [...], "rest": [...]}]; "decimal" and "thousands", the signs in'
        " numbers",
    )
    start: Moment | None = Field(
        None,
        description="when the log's time was zero, as ISO 8601 with its offset; overrides the file",
    )
    timezone: TimeZone | None = Field(
        None, description="IANA name of the zone of a file that gives local time, as Europe/Paris"
    )
    mass_mg: Positive | None = Field(
        None,
        description="active material, all grains; where it is not known, as in a liquid cell,"
        " charge is the whole electrode's and gives no ion content",
    )
    mass_error_mg: float = Field(0, ge=0, description="its standard uncertainty")
    ions_per_electron: Positive = Field(1, description="1 for Li and Na, 0.5 for Mg")
    irreversible_mah_g: float = Field(0, ge=0, description="of the first charge, side reactions'")
    irreversible_error_mah_g: float = Field(0, ge=0, description="its standard uncertainty")
    leakage_ma: float = Field(0, description="current that moves no ions, at rest too")
    leakage_error_ma: float = Field(0, ge=0, description="its standard uncertainty")
    inactive_share: float = Field(0, ge=0, lt=1, description="share of the mass without contact")
    inactive_error: float = Field(0, ge=0, description="its standard uncertainty")

    @model_validator(mode="after")
    def _of_a_mass(self) -> LogRow:
        for name in _PER_MASS:
            if self.mass_mg is None and getattr(self, name):
                raise ValueError(
                    f"{name} is given without mass_mg; give the mass of active material, or leave"
                    " both out"
                )
        return self
