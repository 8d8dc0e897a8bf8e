"""Stacks of images over energy, and maps of a quantity that other programs made."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from phasefront.experiment.settings.base import FilePath, Model, Name, Positive


class StackSettings(Model):
    """Drift and optical density of X-ray stacks."""

    align: bool = Field(True, description="whether the drift of images is taken out")
    # The optical density of best contrast to noise: Watts, J. Synchrotron Rad. 29, 2022.
    max_density: Positive = Field(
        2.2, description="optical density above which energies are left out, position by position"
    )
    stray_share: float = Field(
        0.02, ge=0, lt=0.5, description="light that no sample takes away (higher orders), at most"
    )


def _region_from_text(value: object) -> object:
    """Cells of a table hold text."""
    if not isinstance(value, str):
        return value
    parts = [part.split(":") for part in value.replace(" ", "").split(",")]
    if len(parts) != 2 or not all(
        len(part) == 2 and all(end.isdecimal() for end in part) for part in parts
    ):
        raise ValueError(f"{value!r} is no region; write rows, columns from 0, such as 0:10, 0:125")
    region = [tuple(map(int, part)) for part in parts]
    if any(first >= last for first, last in region):
        raise ValueError(f"{value!r} holds no pixel; write the first, and the one after the last")
    return region


PixelRange = tuple[int, int]
Region = Annotated[tuple[PixelRange, PixelRange], BeforeValidator(_region_from_text)]


class StackRow(Model):
    """A row of the table of stacks."""

    stack: Name
    state: Name
    path: FilePath
    kind: Literal["xray"] = Field("xray", description="X-ray absorption")
    pixel_nm: Positive | None = Field(None, description="where the file does not say it")
    i0: FilePath | None = Field(
        None, description="I0, where the file has no monitor: text of two columns, eV and counts"
    )
    i0_region: Region | None = Field(
        None, description="pixels without a sample in every image, rows, columns: 0:10, 0:125"
    )
    dark_counts: float = Field(0, ge=0, description="counts of a pixel without light")

    @model_validator(mode="after")
    def _one_i0(self) -> StackRow:
        if self.i0 is not None and self.i0_region is not None:
            raise ValueError("i0 and i0_region are both given; give one of them")
        return self
