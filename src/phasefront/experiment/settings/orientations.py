"""Indexing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from phasefront.experiment.settings.base import GridStep, Model, Radius


class OrientationSettings(Model):
    """Indexing against simulated templates."""

    resolution_deg: GridStep = Field(2.0, description="step of the grid of beam directions")
    max_radius: Radius = Field(1.2, description="largest spatial frequency matched, 1/A")
    n_best: int = Field(2, ge=1, le=10, description="distinct orientations kept per phase")
    min_spots: int = Field(5, ge=3, description="fewer spots than this are not indexed")
    device: Literal["cpu", "gpu"] = Field("cpu", description="where templates are correlated")
