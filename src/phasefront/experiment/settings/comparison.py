"""Sources side by side."""

from __future__ import annotations

from pydantic import Field

from phasefront.experiment.settings.base import Model, Positive


class ComparisonSettings(Model):
    """STEM against charge and powder."""

    margin: Positive = Field(0.1, description="difference in ion content that does not matter")
    fraction_margin: Positive = Field(
        0.1, description="difference in a phase fraction that does not matter"
    )
