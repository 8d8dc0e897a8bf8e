"""A virtual experiment."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from phasefront.experiment.settings.base import Model, Name, Positive, Range, Side
from phasefront.experiment.settings.instruments import Camera
from phasefront.experiment.settings.virtual_maps import VirtualMap
from phasefront.experiment.settings.virtual_series import Pulses, SimulatedGrains, VirtualSeries


class VirtualState(Model):
    """The truth of one virtual state."""

    ion_content: float = Field(ge=0)
    insertion_model: Literal["all-or-none", "core-shell", "straight-front", "simulated"] = (
        "all-or-none"
    )
    dose: Positive | None = Field(None, description="electrons in a pattern, here alone")
    thickness_nm: Range | None = Field(None, description="thinnest and thickest grain, here alone")


class Virtual(Model):
    """A virtual experiment that writes the raw files the tables name."""

    material: Name = Field(description="material in the table of Bloch-wave intensities")
    states: dict[Name, VirtualState] = Field({}, description="of scans that are in no series")
    series: dict[Name, VirtualSeries] = Field({}, description="in situ series, by name")
    maps: dict[Name, VirtualMap] = Field(
        {}, description="stacks of maps of virtual scans, by the stack whose map is laid on one"
    )
    logs: dict[Name, Pulses] = Field({}, description="logs of series; others rest at each state")
    shape: tuple[Side, Side] = Field((64, 64), description="rows and columns of positions")
    grains: int = Field(14, ge=2, description="grains in each scan")
    dose: Positive = Field(1e7, description="electrons in a pattern")
    thickness_nm: Range = Field((28.0, 85.0), description="thinnest and thickest grain, nm")
    simulated: SimulatedGrains = SimulatedGrains()
    detector: Literal["phosphor", "fibre"] = Field(
        "phosphor", description="what takes the patterns; they differ in all that light undergoes"
    )
    camera: Camera | None = Field(
        None, description="how the virtual patterns lie to the scan; as the scan where absent"
    )

    @property
    def without_maps(self) -> Virtual:
        """What scans, logs and powder patterns are made from."""
        return self.model_copy(update={"maps": {}})
