"""The test of intervals on virtual scans."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from phasefront.experiment.settings.base import Model, Range, Side

SCANS_IN_A_PART = 20  # that one job simulates; chosen


class CoverageSettings(Model):
    """Virtual scans on which the intervals of fractions are put to the test."""

    scans: int = Field(240, ge=1)
    shape: tuple[Side, Side] = Field((28, 28), description="rows and columns of positions")
    grains: list[Annotated[int, Field(ge=2)]] = Field(
        [5, 9, 14], min_length=1, description="grains in a scan, as many scans with each number"
    )
    rich: list[Annotated[float, Field(ge=0, le=1)]] = Field(
        [0, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 1],
        min_length=1,
        description="molar fraction of the ion-rich one of two phases, as many scans with each",
    )
    dose: Range = Field((1e6, 1e7), description="fewest and most electrons in a pattern")
    simulated: int = Field(
        200, ge=1, description="positions of each phase that tell a scan's confusion of phases"
    )

    @property
    def parts(self) -> list[str]:
        """Numbers of the parts that are simulated in a job each, from 0."""
        return [str(part) for part in range(-(-self.scans // SCANS_IN_A_PART))]
