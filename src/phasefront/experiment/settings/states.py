"""States of charge, and what belongs to each."""

from __future__ import annotations

from pydantic import Field, RootModel, model_validator

from phasefront.experiment.settings.base import Fraction, Model, Name


class State(Model):
    """A state of charge and, where there is a log, the one moment of it that the state is."""

    name: Name
    log: Name | None = Field(None, description="log in the cycling table")
    time_h: float | None = Field(None, ge=0, description="hours since the start of the log")
    capacity_mah_g: float | None = Field(None, description="net charge passed, mA h per gram")
    voltage_v: float | None = Field(None, description="first crossing of this voltage")
    fraction: Fraction | None = Field(
        None, description="share of the half cycle's charge; 1 is the end of its current"
    )
    rest: int | None = Field(None, ge=0, description="end of this rest, counted from 0")
    half_cycle: int = Field(
        0, ge=0, description="half cycle, from 0, that a capacity, voltage or fraction belongs to"
    )

    @model_validator(mode="after")
    def _one_moment(self) -> State:
        if len(self._given()) != (self.log is not None):
            raise ValueError(
                "give a log and exactly one of time_h, capacity_mah_g, voltage_v, fraction, rest"
            )
        if self.half_cycle and set(self._given()) <= {"time_h", "rest"}:
            raise ValueError(
                "half_cycle is of a capacity, a voltage or a fraction; leave it out where time_h or"
                " rest says where the state is"
            )
        return self

    def _given(self) -> dict[str, float]:
        places = {"time_h", "capacity_mah_g", "voltage_v", "fraction", "rest"}
        return self.model_dump(include=places, exclude_none=True)

    def moment(self) -> dict:
        """What `cycling.locate_state` needs to find the state."""
        return {"state": self.name, "half_cycle": self.half_cycle, **self._given()}


class StatesOnLog(RootModel):
    """The states that are located on one log."""

    root: list[State]


class StateLinks(Model):
    """What belongs to one state."""

    state: Name
    scans: list[Name]
    log: Name | None
    patterns: list[Name]
    cells: list[Name] = Field([])
    maps: dict[Name, str | None] = Field(
        {}, description="maps of chemistry, each with what it is of as a whole, where somebody says"
    )


class Links(RootModel):
    """What belongs to each state: its scans, its log, its powder patterns, cells and maps."""

    root: list[StateLinks]
