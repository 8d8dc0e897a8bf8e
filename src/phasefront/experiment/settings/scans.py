"""Scans: their files and how frames lie in them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from phasefront.experiment.settings.base import (
    FilePath,
    Model,
    Moment,
    Name,
    Positive,
    TimeZone,
)


class ScanSettings(Model):
    """Virtual images."""

    bright_field_radius_px: Positive = Field(8, description="radius of the bright-field disk")


def _shape_from_text(value: object) -> object:
    """Cells of a table hold text."""
    if not isinstance(value, str):
        return value
    sizes = value.replace("×", "x").lower().split("x")
    if len(sizes) != 2 or not all(size.strip().isdecimal() for size in sizes):
        raise ValueError(f"{value!r} is no shape; write rows x columns, such as 4 x 6")
    return [int(size) for size in sizes]


ScanShape = Annotated[
    tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]],
    BeforeValidator(_shape_from_text),
]


SkippedFrames = Annotated[int, Field(ge=0, description="frames before the first position")]
FlybackFrames = Annotated[
    int, Field(ge=0, description="frames after each row that are no positions")
]


class ScanLayout(Model):
    """How frames lie on a scan, where its file (.mib, .tvips) may not say."""

    scan_shape: ScanShape | None = Field(
        None, description="positions, rows x columns, such as 4 x 6"
    )
    skip: SkippedFrames = 0
    flyback: FlybackFrames = 0


ScanStart = Annotated[
    Moment | None,
    Field(
        description="when the first position began, ISO 8601 with its offset; overrides the file"
    ),
]
ScanEnd = Annotated[
    Moment | None,
    Field(description="when the last position ended, ISO 8601 with its offset; overrides the file"),
]
Dwell = Annotated[Positive | None, Field(description="from a position to the next, ms")]
RowTime = Annotated[
    Positive | None,
    Field(description="from the beginning of a row to the next's, ms, where no end is known"),
]
LocalZone = Annotated[
    TimeZone | None,
    Field(description="IANA name of the zone of a file that gives local time, as Europe/Paris"),
]


class ScanClock(Model):
    """When a scan was taken, where its file does not say or is wrong."""

    start: ScanStart = None
    end: ScanEnd = None
    dwell_ms: Dwell = None
    row_ms: RowTime = None
    timezone: LocalZone = None

    @model_validator(mode="after")
    def _in_order(self) -> ScanClock:
        if self.start and self.end:
            start, end = (datetime.fromisoformat(text) for text in (self.start, self.end))
            if end <= start:
                raise ValueError("the end is not after the start; exchange them")
        return self


class ScanRow(Model):
    """A row of the table of scans."""

    scan: Name
    state: Name
    path: FilePath
    kind: Literal["scan", "peaks", "map"] = "scan"
    instrument: Name
    scan_step_nm: Positive | None = None
    scan_shape: ScanShape | None = Field(
        None, description="positions, rows x columns, such as 4 x 6, where the file does not say"
    )
    skip: SkippedFrames = 0
    flyback: FlybackFrames = 0
    start: ScanStart = None
    end: ScanEnd = None
    dwell_ms: Dwell = None
    row_ms: RowTime = None
    timezone: LocalZone = None
    series: Name | None = Field(
        None, description="in situ series of scans of one region, taken while a log was recorded"
    )
    log: Name | None = Field(None, description="that log, in the cycling table")
    clock_offset_s: float = Field(
        0, description="what is added to the scan's clock to have the log's, s"
    )
    clock_offset_error_s: float | None = Field(
        None, ge=0, description="its standard uncertainty, s; unknown where absent"
    )
    electrons_per_position: Positive | None = Field(
        None, description="electrons that each position got, for the dose of a series"
    )

    @model_validator(mode="after")
    def _series_on_a_log(self) -> ScanRow:
        if (self.series is None) != (self.log is None):
            raise ValueError("a scan of a series needs the log it was taken on; give both")
        given = (self.clock_offset_s, self.clock_offset_error_s, self.electrons_per_position)
        if self.series is None and any(value for value in given):
            raise ValueError(
                "clock_offset_s, clock_offset_error_s and electrons_per_position are of a scan in a"
                " series; give series and log, or leave them out"
            )
        if self.series is not None and self.kind != "scan":
            raise ValueError(
                "a list of peaks and a map have no times; leave out series and log, or give the"
                " scan itself"
            )
        return self

    @model_validator(mode="after")
    def _others_have_positions(self) -> ScanRow:
        if self.kind != "scan" and (self.scan_shape or self.skip or self.flyback):
            raise ValueError(
                "a list of peaks and a map say their shape themselves; leave out scan_shape, skip"
                " and flyback"
            )
        return self

    @model_validator(mode="after")
    def _times_of_patterns(self) -> ScanRow:
        clock = ScanClock(**{name: getattr(self, name) for name in ScanClock.model_fields})
        if self.kind != "scan" and clock != ScanClock():
            raise ValueError(
                "times of a list of peaks or of a map are not used; leave out start, end, dwell_ms,"
                " row_ms and timezone"
            )
        return self
