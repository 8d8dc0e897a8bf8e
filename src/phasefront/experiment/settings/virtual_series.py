"""Virtual in situ series: what happens to a region while its scans are taken, and its log."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from phasefront.experiment.settings.base import (
    Fraction,
    Model,
    Moment,
    Name,
    Positive,
    Range,
    Side,
)


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] >= pair[1]:
        raise ValueError("the second share is not larger than the first; exchange them")
    return pair


class Pulses(Model):
    """A virtual log of an electrode of unknown mass: rest, pulses of one current, rest."""

    started: Moment = Field(description="when its time is zero, ISO 8601 with its offset")
    current_ma: Positive
    pulses: int = Field(ge=1, le=1000)
    pulse_s: Positive = Field(description="length of a pulse")
    pause_s: Positive = Field(description="rest between two of them")
    before_s: Positive = Field(description="rest before the first")
    after_s: Positive = Field(description="rest after the last")


class VirtualFronts(Model):
    """How grains convert, one after another, by fronts that move while current flows."""

    charge: Annotated[tuple[Fraction, Fraction], AfterValidator(_rising)] = Field(
        (0.05, 0.95), description="share of the log's charge at which the first begins, all end"
    )
    overlap: float = Field(
        0.5, ge=0, le=1, description="share of a grain's time in which the next converts, too"
    )
    width_nm: Positive = Field(20, description="of the band in which columns hold both phases")
    never: int = Field(1, ge=0, description="grains that never convert")
    pictured: int = Field(
        1, ge=0, description="grains whose fronts are those of a simulated grain; others' straight"
    )


class VirtualMotion(Model):
    """How the frame of a scan moves over the specimen."""

    drift_px: float = Field(0.3, ge=0, description="way that the specimen drifts during a scan")
    jump_px: float = Field(1, ge=0, description="standard deviation of jumps between scans")
    rotation_deg: float = Field(3, ge=0, le=180, description="the farthest that it turns")
    tilt_deg: float = Field(0.4, ge=0, le=5, description="step by which each grain tilts once")


class VirtualBeam(Model):
    """What the beam does; doses are electrons per square angstrom."""

    flips: Positive | None = Field(
        None, description="dose at which 63 % of places have lost ions by it; none do where absent"
    )
    fading: Positive | None = Field(
        None, description="dose at which spots at 1/A have faded to 37 %; none do where absent"
    )


class VirtualSeries(Model):
    """The truth of an in situ series, all of whose scans the table of scans names."""

    phases: tuple[Name, Name] = Field(description="with more and with fewer ions")
    grains: int = Field(6, ge=2, description="grains in the region")
    thickness_nm: Range = Field((28.0, 85.0), description="thinnest and thickest grain, nm")
    clock_offset_s: float = Field(
        0, description="what is to be added to the scans' clock in truth; the table says what is"
        " believed",
    )  # fmt: skip
    fronts: VirtualFronts | None = Field(VirtualFronts(), description="none where null")
    motion: VirtualMotion = VirtualMotion()
    beam: VirtualBeam = VirtualBeam()
    liquid_nm: float = Field(0, ge=0, le=2000, description="thickness of liquid over the specimen")
    gamma_spread: float = Field(
        0, ge=0, le=0.2, description="standard deviation of the camera's gamma from scan to scan"
    )

    @model_validator(mode="after")
    def _possible(self) -> VirtualSeries:
        if self.phases[0] == self.phases[1]:
            raise ValueError("both phases are the same; name the one before and the one after")
        if self.fronts and self.fronts.never + self.fronts.pictured > self.grains:
            raise ValueError(
                f"{self.fronts.never} grains that never convert and {self.fronts.pictured} pictured"
                f" ones are more than {self.grains} grains; ask for fewer"
            )
        return self


class VirtualMember(Model):
    """A scan of a virtual series, as the table of scans places it."""

    scan: Name
    start: Moment
    dwell_ms: Positive
    row_ms: Positive
    scan_step_nm: Positive
    electrons_per_position: Positive


class SimulatedGrains(Model):
    """Which grains of the file of simulated ones stand in states of that insertion model, or
    are pictured in a series."""

    part: Literal["training", "calibration", "test"] = "test"
    regimes: list[str] = Field([], description="regimes of that part; all where none is named")


class SeriesPlan(Model):
    """All that a virtual series is made from, out of config and tables."""

    series: Name
    log: Name
    asked: VirtualSeries
    pulses: Pulses
    members: list[VirtualMember]
    shape: tuple[Side, Side]
    simulated: SimulatedGrains
    seed: int
