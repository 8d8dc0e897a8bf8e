"""Bragg vectors."""

from __future__ import annotations

from pydantic import Field

from phasefront.experiment.settings.base import Model, Positive, Radius


class SpotSettings(Model):
    """Bragg vectors."""

    false_alarms: Positive = Field(0.1, description="false spots per pattern that noise may make")
    max_radius: Radius = Field(1.2, description="largest spatial frequency used, 1/A")
    position_sigma: Radius = Field(0.005, description="largest error of a position, 1/A")
