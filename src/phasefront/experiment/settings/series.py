"""In situ series: what belongs together, and how its clocks stand to each other."""

from __future__ import annotations

from pydantic import Field

from phasefront.experiment.settings.base import Model, Name, Positive


class SeriesMember(Model):
    """A scan of a series, and the electrons that it sent to each position."""

    scan: Name
    electrons_per_position: Positive | None = None
    scan_step_nm: Positive | None = None


class ScanInSeries(Model):
    """What the table of scans says of a scan in a series, and of all scans of that."""

    series: Name
    log: Name
    clock_offset_s: float = 0.0
    clock_offset_error_s: float | None = Field(None, ge=0)
    members: list[SeriesMember]
