"""Charge: the ion content by the galvanostatic log, and fractions by the lever rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from phasefront.comparison.sources.source import Material, Source
from phasefront.core.errors import InputError
from phasefront.core.statistics import NORMAL_95, Interval


class Charge(Source):
    """A state has one CYCLING data set, of its log.

    The lever rule turns charge into fractions where two phases coexist, as fractions of the two
    compositions at the ends of the field. Outside the fields charge says nothing about phases.
    """

    name, label, phrase, item = "cycling", "charge", "charge", "log"
    colour, marker = "#000000", "D"
    sees_phases = False

    def usable(self, data: Sequence[xr.Dataset], material: Material) -> list[xr.Dataset]:
        """Logs with a mass of active material: without it no ion content follows from charge."""
        return [log for log in data if np.isfinite(log["ion_content"].to_numpy()[0])]

    def ion_content(self, data: Sequence[xr.Dataset], state: str) -> Interval:
        (log,) = data
        return _state_of_log(log, state)

    def fractions(self, data: Sequence[xr.Dataset], state: str, material: Material) -> Interval:
        (log,) = data
        ends, phase_count = material.fields, len(material.phases)
        active = _state_of_log(log, state, "state_active_ion_content")
        fraction = _lever_interval(active, ends, phase_count)
        share = float(log.attrs["inactive_share"])
        if share > 0:
            # Grains without contact are what they were. That their share is uncertain is in the
            # ion content of the others, where it weighs more.
            left = lever_rule(float(log.attrs["initial_ion_content"]), ends, phase_count)
            fraction = (1 - share) * fraction + share * left
        return fraction

    def loading(
        self, states: Sequence[str], given: Mapping[str, Sequence[xr.Dataset]]
    ) -> np.ndarray:
        """Loading (cause, state): ion content at the start, then each log's own cause.

        The error at the first record is that of the ion content at the start, one for all logs.
        What an error has grown by since then is the mass and the losses, in proportion to charge.
        """
        logs = list(dict.fromkeys(log.attrs["log"] for data in given.values() for log in data))
        loading = np.zeros((1 + len(logs), len(states)))
        for i, state in enumerate(states):
            if not given.get(state):
                continue
            (log,) = given[state]
            content, _, high = _state_of_log(log, state)
            error = (high - content) / NORMAL_95
            start = log["ion_content"].values[0]
            start_error = (log["ion_content_high"].values[0] - start) / NORMAL_95
            share = min(start_error / error, 1.0) if error > 0 else 0.0
            loading[0, i] = share
            passed = 1.0 if content <= start else -1.0
            if error > 0:
                loading[1 + logs.index(log.attrs["log"]), i] = passed * np.sqrt(1 - share**2)
        return loading


def lever_rule(content: float, ends: Sequence[tuple], phase_count: int) -> np.ndarray:
    """Molar fraction of each phase, (phase,), at a mean ion content; NaN outside all fields.

    `ends` holds for each two-phase field ((ion content, phase index), (ion content, phase index)),
    poorer phase first.
    """
    for (poor, poor_phase), (rich, rich_phase) in ends:
        if poor <= content <= rich:
            fraction = np.zeros(phase_count)
            fraction[rich_phase] = (content - poor) / (rich - poor)
            fraction[poor_phase] = 1 - fraction[rich_phase]
            return fraction
    return np.full(phase_count, np.nan)


def _state_of_log(cycling: xr.Dataset, state: str, name: str = "state_ion_content") -> Interval:
    """Ion content of a state by its log, (3,)."""
    names = [str(name) for name in cycling["state"].to_numpy()]
    if state not in names:
        raise InputError(
            cycling.attrs["file"], f"its table of states lacks {state!r}", field="state",
            remedy="name the log under that state in the config",
        )  # fmt: skip
    here = names.index(state)
    return np.array([cycling[f"{name}{end}"].to_numpy()[here] for end in ("", "_low", "_high")])


def _lever_interval(content: Interval, ends: Sequence[tuple], phase_count: int) -> Interval:
    """Fractions (3, phase) at an ion content with its interval.

    A content just beyond a field counts as the field's end if its interval reaches there.
    """
    value, low, high = content
    borders = np.array([border for field in ends for border, _ in field])
    reached = borders[(borders >= low) & (borders <= high)]
    fraction = lever_rule(value, ends, phase_count)
    if np.isnan(fraction[0]) and len(reached):
        fraction = lever_rule(reached[np.argmin(np.abs(reached - value))], ends, phase_count)
    if np.isnan(fraction[0]):
        return np.full((3, phase_count), np.nan)
    # Fractions are straight lines between the borders of fields.
    within = [lever_rule(x, ends, phase_count) for x in (low, high, *reached)]
    candidates = np.stack([fraction, *within])
    return np.stack([fraction, np.nanmin(candidates, axis=0), np.nanmax(candidates, axis=0)])
