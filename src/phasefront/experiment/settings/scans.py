"""Scans: their files and how frames lie in them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from phasefront.experiment.settings.base import FilePath, Model, Name, Positive


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

    @model_validator(mode="after")
    def _others_have_positions(self) -> ScanRow:
        if self.kind != "scan" and (self.scan_shape or self.skip or self.flyback):
            raise ValueError(
                "a list of peaks and a map say their shape themselves; leave out scan_shape, skip"
                " and flyback"
            )
        return self
