"""What a log says of moments and of spans of time: voltage, current, charge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from phasefront.cycling.analysis import at_moments

# A log's own time and the absolute one differ by more than this in a pause.
_PAUSE_S = 5.0


@dataclass(frozen=True)
class Course:
    """A log's records in time, pauses included, of which those without a known time are left out.

    Voltage and charge are interpolated between records. So is current within a step; the interval
    before a step's first record belongs to that step and has its current, as cyclers write at an
    interval's end.
    """

    elapsed: np.ndarray  # (record,) s since the log's time was zero
    own: np.ndarray  # (record,) the same without pauses
    voltage: np.ndarray  # (record,) V
    current: np.ndarray  # (record,) mA
    charge: np.ndarray  # (record,) mA h
    begins: np.ndarray  # (record,) whether a step begins with it

    @classmethod
    def of(cls, cycling: xr.Dataset) -> Course:
        """That of a CYCLING data set."""
        known = np.isfinite(cycling["elapsed"].to_numpy())
        elapsed, own, voltage, current, charge, step = (
            cycling[name].to_numpy()[known]
            for name in ("elapsed", "time", "voltage", "current", "charge", "step")
        )
        begins = np.diff(step, prepend=step[:1]) != 0
        return cls(elapsed, own, voltage, current, charge, begins)

    def why_not(self, first: np.ndarray, last: np.ndarray) -> str:
        """Why the log says nothing of some of what lasted from first to last, s; else empty."""
        if not len(self.elapsed):
            return "has no records of known time"
        if first.min() < self.elapsed[0] or last.max() > self.elapsed[-1]:
            return f"has records of {self.elapsed[0]:.6g} to {self.elapsed[-1]:.6g} s"
        # Between two records of which only the absolute times are far apart, nothing was recorded.
        for before in np.flatnonzero(np.diff(self.elapsed) - np.diff(self.own) > _PAUSE_S):
            begun, over = self.elapsed[before], self.elapsed[before + 1]
            if ((first < over) & (last > begun)).any():
                return f"was paused from {begun:.6g} to {over:.6g} s"
        return ""

    def at(self, time: np.ndarray) -> dict[str, np.ndarray]:
        """Voltage, current and charge at moments, of their shape."""
        after = np.searchsorted(self.elapsed, time, side="left")
        return {
            "voltage": at_moments(time, self.elapsed, self.voltage),
            "current": np.where(
                self.begins[after],
                self.current[after],
                at_moments(time, self.elapsed, self.current),
            ),
            "charge": at_moments(time, self.elapsed, self.charge),
        }

    def mean(self, first: np.ndarray, last: np.ndarray) -> dict[str, np.ndarray]:
        """Voltage, current and charge, each the mean in time of what lasted from first to last."""
        flat = np.where(self.begins[1:], self.current[1:], self.current[:-1])
        return {
            name: (_integral(last, self.elapsed, left, right)
                   - _integral(first, self.elapsed, left, right)) / (last - first)
            for name, left, right in (
                ("voltage", self.voltage[:-1], self.voltage[1:]),
                ("current", flat, self.current[1:]),
                ("charge", self.charge[:-1], self.charge[1:]),
            )
        }  # fmt: skip


def _integral(
    time: np.ndarray, elapsed: np.ndarray, left: np.ndarray, right: np.ndarray
) -> np.ndarray:
    """From the first record to moments, of what goes straight from left to right in an interval."""
    width = np.diff(elapsed)
    whole = np.concatenate([[0.0], np.cumsum(0.5 * (left + right) * width)])
    interval = np.clip(np.searchsorted(elapsed, time, side="right") - 1, 0, len(width) - 1)
    inside = time - elapsed[interval]
    # An interval without width is no place of a moment, but for the last one's end.
    part = inside / np.where(width[interval] > 0, width[interval], 1.0)
    mean = left[interval] + 0.5 * part * (right[interval] - left[interval])
    return whole[interval] + inside * mean
