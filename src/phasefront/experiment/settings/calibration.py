"""Beam centre, ellipse and scale."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from phasefront.experiment.settings.base import FilePath, Fraction, GridStep, Model, Positive


class Standard(Model):
    """A picture of a polycrystalline standard, taken by the same camera as the scans."""

    image: FilePath = Field(description="path of a TIFF with the rings")
    d_spacings: list[Positive] = Field(min_length=2, description="spacings of its rings, angstrom")
    scale: Positive = Field(description="nominal scale, 1/A per pixel, to within 5 %")


class CalibrationSettings(Model):
    """Beam centre, ellipse and scale of each scan."""

    method: Literal["phases", "standard", "nominal"] = Field(
        "phases", description="scale and ellipse from the scan's own spots, a standard, or nominal"
    )
    standard: Standard | None = None
    scale_search: Fraction = Field(0.02, description="relative half width of the search for scale")
    series_drift: Fraction = Field(
        0.0005,
        description="relative standard deviation of scale and ellipse from scan to scan of an in"
        " situ series, whose lenses nobody touches",
    )
    patterns: int = Field(250, ge=10, description="patterns, rich in spots, that are fitted")
    resolution_deg: GridStep = Field(
        2.0, description="step of the grid of beam directions they are indexed on"
    )

    @model_validator(mode="after")
    def _standard_is_there(self) -> CalibrationSettings:
        if (self.method == "standard") != (self.standard is not None):
            raise ValueError("method and standard do not go together; give both or neither")
        return self
