"""Reports."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, RootModel

from phasefront.experiment.settings.base import FilePath, Model, Name
from phasefront.experiment.settings.instruments import Instrument
from phasefront.experiment.settings.scans import ScanLayout


class ExplorerSettings(Model):
    """The page in which any position can be looked at."""

    patterns_mb: float = Field(
        25, ge=0, le=1000, description="room in the page for patterns of all scans, 10^6 bytes"
    )


class ReportSettings(Model):
    """Reports."""

    explorer: ExplorerSettings = ExplorerSettings()


class ExploredScan(Model):
    """What the page has to know of a scan."""

    scan: Name
    state: Name
    path: FilePath
    kind: Literal["scan", "peaks", "map"]
    instrument: Instrument
    layout: ScanLayout


class ExploredScans(RootModel):
    """The same of every scan."""

    root: list[ExploredScan]
