"""What a comparison and its reports ask of a source, whichever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr

from phasefront.core.statistics import Interval


@dataclass(frozen=True)
class Material:
    """What sources are told of the material.

    `phases` are the names, in order. `fields` holds for each two-phase field ((ion content, phase
    index), (ion content, phase index)), the phase poorer in ions first. `calibrating` maps names of
    measurements to the phases whose cells were refined from them.
    """

    phases: Sequence[str]
    fields: Sequence[tuple]
    calibrating: Mapping[str, Sequence[str]]


class Source(ABC):
    """One way to measure the states. `given` below are its data sets by state."""

    # In files, tables and summary.json.
    name: ClassVar[str]
    # In figures and heads of tables, and in sentences.
    label: ClassVar[str]
    phrase: ClassVar[str]
    # What one of its data sets is called in sentences.
    item: ClassVar[str]
    colour: ClassVar[str]
    marker: ClassVar[str]
    # Whether it sees phases, rather than ion contents, from which fractions may follow.
    sees_phases: ClassVar[bool]
    # Whether a comparison leaves it out where no state has it.
    optional: ClassVar[bool] = False

    @abstractmethod
    def ion_content(self, data: Sequence[xr.Dataset], state: str) -> Interval:
        """Ions per formula unit of a state, (3,), from those of its data sets that are `usable`."""

    def fractions(
        self, data: Sequence[xr.Dataset], state: str, material: Material
    ) -> Interval | None:
        """Molar phase fractions of a state, (3, phase), or None."""
        return None

    def loading(
        self, states: Sequence[str], given: Mapping[str, Sequence[xr.Dataset]]
    ) -> np.ndarray:
        """What errors share between states, (cause, state); see `agreement`. Nothing, if unsaid."""
        return np.zeros((1, len(states)))

    def left_out(self, data: Sequence[xr.Dataset], material: Material) -> list[str]:
        """Names of a state's data sets that calibrated something and so cannot validate."""
        return []

    def usable(self, data: Sequence[xr.Dataset], material: Material) -> list[xr.Dataset]:
        """Those of a state's data sets that count."""
        return list(data)

    def refused(self, data: Sequence[xr.Dataset], material: Material) -> str:
        """Data sets that are no result, each with the reason; empty without any."""
        return ""

    def sampled(self, data: Sequence[xr.Dataset]) -> tuple[int, float]:
        """How many particles or grains the ion content is a mean of, and the standard deviation
        between them beyond their errors; 0 and NaN where it is of no sample, or that is not told.
        """
        return 0, np.nan

    def unexplained(self, data: Sequence[xr.Dataset], material: Material) -> str:
        """What data sets show that phases or calibration do not explain; empty if nothing."""
        return ""


class Measurements(Source):
    """A source with any number of data sets in a state, each with a name and maybe `refused`.

    Those from which a cell was refined, and those that were refused, are named and do not count.
    """

    # The attribute that holds the name of a data set.
    key: ClassVar[str]

    def left_out(self, data: Sequence[xr.Dataset], material: Material) -> list[str]:
        return [self._name(found) for found in data if self._name(found) in material.calibrating]

    def usable(self, data: Sequence[xr.Dataset], material: Material) -> list[xr.Dataset]:
        return [found for found in self._validating(data, material) if not found.attrs["refused"]]

    def refused(self, data: Sequence[xr.Dataset], material: Material) -> str:
        return self._said(data, material, lambda found: str(found.attrs["refused"]))

    def _name(self, found: xr.Dataset) -> str:
        return str(found.attrs[self.key])

    def _validating(self, data: Sequence[xr.Dataset], material: Material) -> list[xr.Dataset]:
        return [found for found in data if self._name(found) not in material.calibrating]

    def _said(
        self,
        data: Sequence[xr.Dataset],
        material: Material,
        about: Callable[[xr.Dataset], str],
    ) -> str:
        """What there is to say about some of a state's data sets, each after its name."""
        texts = {self._name(one): about(one) for one in self._validating(data, material)}
        return "; ".join(f"{name}: {text}" for name, text in texts.items() if text)
