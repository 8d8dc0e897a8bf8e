"""Deciding between phases."""

from __future__ import annotations

from pydantic import Field

from phasefront.experiment.settings.base import Fraction, Model, Positive


class PhaseSettings(Model):
    """Deciding between phases."""

    min_spots: int = Field(5, ge=3, description="fewer spots are vacuum or unindexed")
    decide_above: float = Field(0.95, gt=0.5, lt=1, description="posterior a decision needs")
    min_explained: Fraction = Field(0.5, description="share of spots the decided phase indexes")
    max_residual: Positive = Field(1.1, description="their rms distance over its expectation")
    mixed_prior: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="share of positions with a cell between two phases', beforehand",
    )
    cell_tolerance: Positive = Field(0.002, description="relative error of the CIFs' cells")
    max_misfit: Positive = Field(
        4.0, description="standard errors that a cell may be off the candidates' and between"
    )
