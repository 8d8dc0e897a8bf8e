"""Operando series of powder patterns: their files, how they are read, and their clock."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from phasefront.experiment.settings.base import FilePath, Model, Name, Positive, TimeZone
from phasefront.experiment.settings.powder import AxisName, AxisUnit, PatternColumns

Exposure = Annotated[
    Positive | None,
    Field(description="how long each pattern was measured, s, where neither file nor times say it"),
]
PatternZone = Annotated[
    TimeZone | None,
    Field(description="IANA name of the zone of moments without an offset, as Europe/Paris"),
]
ClockOffset = Annotated[
    float, Field(description="what is added to the patterns' clock to have the log's, s")
]
ClockOffsetError = Annotated[
    float | None,
    Field(ge=0, description="its standard uncertainty, s; unknown where absent"),
]


class PatternReading(Model):
    """What the table of powder patterns says of how a batch's files are read."""

    wavelength: Positive = Field(description="angstrom")
    axis: AxisName = None
    unit: AxisUnit = None
    columns: PatternColumns | None = None


class PatternClock(Model):
    """What the table of powder patterns says of when a batch was measured."""

    series: Name
    exposure_s: Exposure = None
    timezone: PatternZone = None
    clock_offset_s: ClockOffset = 0.0
    clock_offset_error_s: ClockOffsetError = None


class BatchRow(Model):
    """A row of the table of powder patterns that is a batch of an operando series: its files."""

    pattern: Name = Field(description="name of the batch")
    series: Name = Field(description="patterns of one sample, measured while a log was recorded")
    log: Name = Field(description="that log, in the cycling table")
    path: FilePath | None = Field(
        None, description="of all files, with * and ? as in a shell, as raw/run1_*.xye"
    )
    times: FilePath | None = Field(
        None,
        description="table (.tsv or .csv) with columns path, start (ISO 8601) and, where it is"
        " known, exposure_s; in place of path, where the files do not say when they were measured",
    )
    wavelength: Positive = Field(description="angstrom")
    exposure_s: Exposure = None
    timezone: PatternZone = None
    clock_offset_s: ClockOffset = 0.0
    clock_offset_error_s: ClockOffsetError = None
    axis: AxisName = None
    unit: AxisUnit = None
    columns: PatternColumns | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_what_is_of_a_state(cls, given: dict) -> dict:
        """A state, a kind or a row are of single patterns."""
        for name in ("state", "kind", "row"):
            if isinstance(given, dict) and given.get(name) is not None:
                raise ValueError(
                    f"patterns of a series have no {name}, which is of a single one; leave"
                    f" {name} or series out"
                )
        return given

    @model_validator(mode="after")
    def _names_its_files_once(self) -> BatchRow:
        if (self.path is None) == (self.times is None):
            raise ValueError(
                "a batch of a series has its files by path, as raw/*.xye, or by a table of times;"
                " give one of the two"
            )
        return self
