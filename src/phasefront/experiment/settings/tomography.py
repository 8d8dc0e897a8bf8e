"""Unit cells from electron diffraction tomography."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from phasefront.experiment.settings.base import FilePath, Model, Name, Positive, from_json


def _paths(cell: object) -> object:
    """A path, or a JSON list of paths."""
    if isinstance(cell, str) and not cell.lstrip().startswith("["):
        return [cell]
    return from_json(cell, '["CORRECT.LP", "INTEGRATE.HKL"]')


class CellRow(Model):
    """A row of the table of cells: one tilt series of one particle."""

    cell: Name
    state: Name
    phase: Name = Field(description="phase whose lattice and setting the cell has")
    paths: Annotated[list[FilePath], BeforeValidator(_paths)] = Field(
        min_length=1,
        description="files of one measurement: a path, or several as a JSON list, such as"
        ' ["CORRECT.LP", "INTEGRATE.HKL"]',
    )
    particle: Name | None = Field(
        None, description="particle, where several rows are of one; the row's own name if empty"
    )
    voltage_kv: float | None = Field(
        None, ge=30, le=3000, description="acceleration voltage, kV; where no file says the"
        " wavelength, or to hold it against that",
    )  # fmt: skip


class CellSettings(Model):
    """How far cells from electron diffraction tomography are believed."""

    distortion_error: float | None = Field(
        None, ge=0, le=0.1,
        description="standard error of the stretch of patterns: of the difference of half axes of"
        " what should be a circle, relative; needed where files give no errors. Where it is not"
        " stated it is taken for 1 %, or several times as much",
    )  # fmt: skip
    camera_length_error: float | None = Field(
        None, ge=0, le=0.2, description="its relative standard error; lengths have none without,"
        " ratios and ion contents need none",
    )  # fmt: skip
    largest_ion_error: Positive = Field(
        0.1, description="standard error of ions per formula unit above which there is no result"
    )
