"""Grains."""

from __future__ import annotations

from pydantic import Field

from phasefront.experiment.settings.base import Model, Positive


class GrainSettings(Model):
    """Grains."""

    misorientation_deg: Positive = Field(5.0, description="boundary between two grains")
    min_positions: int = Field(10, ge=1, description="smaller patches are no grain")
