"""Virtual maps of chemistry: what other instruments see of a virtual scan's grains."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from phasefront.experiment.settings.base import Fraction, Model, Name, Positive, Side


class VirtualMap(Model):
    """A map of X-ray absorption or energy losses about the middle of a virtual scan, and what is
    true of it that its file does not say."""

    shape: tuple[Side, Side] = Field(description="rows and columns of its pixels")
    pixel_nm: Positive = Field(description="as its file says")
    scale: Positive = Field(1, description="true over stated pixel")
    angle_deg: float = Field(0, ge=-360, le=360, description="turn from the scan's x towards its y")
    mirrored: bool = False
    drift_nm: float = Field(0, ge=0, description="step of the random walk of its rows")
    light: Positive = Field(
        description="photons of a pixel without a sample, or electrons in all losses of one"
    )
    stray_share: Fraction = Field(0, description="of X-rays: light that no sample takes away")
    decay_per_nm2: Positive | None = Field(
        None, description="of losses: electrons per nm2 that leave 1/e of the ions; all stay where"
        " absent",
    )  # fmt: skip


class VirtualStackPlan(Model):
    """All that one file of a virtual map is made from, out of config and tables."""

    stack: Name
    scan: Name
    kind: Literal["xray", "eels", "low-loss"]
    asked: VirtualMap
    resolution_nm: Positive
    beam_kev: Positive | None = None
    dark_counts: float = 0
    electrons_before: float = Field(0, description="per nm2, half of its own included")
    map_seed: int = Field(description="of its place, which repeats and low losses share")
    shift_seed: int = Field(description="of its zero loss, which edges share with their low loss")
    seed: int = Field(description="of its noise")
