"""Differential capacity and the plateaus of a log."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd

from phasefront.cycling.logs import CHARGE, DISCHARGE

# All chosen, not fitted.
# Differential capacity: steps of voltage, and how many of them a slope is fitted over.
_GRID_V = 2e-3
_WINDOW = 9  # steps
# A plateau is a maximum that stands out by this share of its half cycle's highest, is higher than
# the half cycle's mean by this factor, and holds this share of the largest half cycle's charge; it
# ends where this share of its prominence is left.
_PROMINENCE = 0.2
_OVER_MEAN = 2  # the factor
_LEAST_CHARGE = 0.02  # share of the largest half cycle
_PLATEAU_END = 0.1  # share of the prominence


# --- differential capacity -------------------------------------------------------------------


def differential_capacity(log: pd.DataFrame, *, mass_mg: float) -> tuple[np.ndarray, np.ndarray]:
    """Charge per voltage of each half cycle, on one grid of voltages.

    The charge between two records is spread evenly over the voltages between them, which also holds
    where the voltage is not monotonic. Its sum up to each voltage, on a grid of 2 mV, is smoothed
    and differentiated by scipy's filter of Savitzky and Golay (Anal. Chem. 36, 1627, 1964): the
    slope of a parabola over nine points, which keeps the total and is never of the wrong sign.
    Rests and constant voltage are left out.

    Returns
    -------
    Voltages, (v,), V; charge per voltage, (half cycle, v), mA h g-1 V-1, negative on discharge and
    NaN beyond the voltages of the half cycle.
    """
    from scipy.signal import savgol_filter

    voltage, capacity = log["voltage_V"].to_numpy(), log["capacity_mAh"].to_numpy()
    capacity = capacity / (1e-3 * mass_mg)
    beyond = _WINDOW // 2 + 1
    first = np.floor(voltage.min() / _GRID_V) - beyond
    grid = _GRID_V * (first + np.arange(np.ceil(voltage.max() / _GRID_V) + beyond - first + 1))
    slopes = np.full((log["half_cycle"].max() + 1, len(grid)), np.nan)
    for number, rows in _driven_intervals(log):
        ends = np.sort(np.stack([voltage[rows - 1], voltage[rows]]), axis=0)
        charge = capacity[rows] - capacity[rows - 1]
        passed = _charge_below(grid, ends, charge)
        slope = savgol_filter(passed, _WINDOW, 2, deriv=1, delta=_GRID_V, mode="nearest")
        inside = (grid > ends.min() - beyond * _GRID_V) & (grid < ends.max() + beyond * _GRID_V)
        slopes[number, inside] = slope[inside]
    return grid, slopes


def _driven_intervals(log: pd.DataFrame) -> Iterator[tuple[int, np.ndarray]]:
    """Half cycles, and their records under current whose interval began in the same step."""
    kind, step = log["step_type"].to_numpy(), log["step"].to_numpy()
    driven = np.isin(kind, (CHARGE, DISCHARGE)) & (np.diff(step, prepend=-1) == 0)
    half_cycle = log["half_cycle"].to_numpy()
    for number in np.unique(half_cycle[driven]):
        yield number, np.flatnonzero(driven & (half_cycle == number))


def _charge_below(grid: np.ndarray, ends: np.ndarray, charge: np.ndarray) -> np.ndarray:
    """Charge passed below each voltage of the grid, from voltages (2, n) of intervals, sorted."""
    low, high = ends
    # The charge of an interval is a ramp from low to high: as slopes that begin and end, sorted.
    # A width of zero would have no slope.
    width = np.maximum(high - low, 1e-6)
    slope = charge / width
    at = np.concatenate([low, low + width])
    order = np.argsort(at, kind="stable")
    at, change = at[order], np.concatenate([slope, -slope])[order]
    rate = np.cumsum(change)
    below = np.concatenate([[0.0], np.cumsum(rate[:-1] * np.diff(at))])
    return np.interp(grid, at, below, left=0.0, right=charge.sum())


def find_plateaus(log: pd.DataFrame, *, mass_mg: float) -> pd.DataFrame:
    """Plateaus of voltage: maxima of the differential capacity that stand out (scipy.signal).

    A maximum counts if its prominence is a fifth of the highest of its half cycle or more, the
    voltage changes at less than half the mean rate there, and it holds 2 % of the largest half
    cycle's charge. It reaches to where a tenth of its prominence is left, or to the lowest place
    before the next maximum.

    Returns
    -------
    One row a plateau, in the order in which they were passed: half_cycle; voltage, V, of the
    maximum; capacity_from and capacity_to, mA h g-1, positive, since the half cycle began.
    """
    grid, slopes = differential_capacity(log, mass_mg=mass_mg)
    least = _LEAST_CHARGE * np.abs(np.nansum(slopes, axis=1)).max() * _GRID_V
    rows = []
    for number, signed in enumerate(slopes):
        slope = np.nan_to_num(signed)
        direction = 1 if slope.sum() >= 0 else -1
        # Along the way of the half cycle, so that charge adds up from its beginning.
        voltages, size = grid[::direction], np.abs(slope)[::direction]
        passed = np.cumsum(size) * _GRID_V
        for peak, start, end in _peaks(size):
            begin, until = np.interp([start, end], np.arange(len(size)), passed)
            if until - begin >= least:
                rows.append((number, voltages[peak], begin, until))
    columns = ["half_cycle", "voltage", "capacity_from", "capacity_to"]
    return pd.DataFrame(rows, columns=columns).astype({"half_cycle": int})


def _peaks(size: np.ndarray) -> list[tuple[int, float, float]]:
    """Place of each maximum that stands out, and where it begins and ends, in points."""
    from scipy.signal import find_peaks

    if not size.any():
        return []
    peaks, found = find_peaks(
        size,
        height=_OVER_MEAN * size[size > 0].mean(),
        prominence=_PROMINENCE * size.max(),
        width=0,
        rel_height=1 - _PLATEAU_END,
    )
    valleys = [one + np.argmin(size[one:other]) for one, other in itertools.pairwise(peaks)]
    starts = np.maximum(found["left_ips"], [0, *valleys])
    ends = np.minimum(found["right_ips"], [*valleys, len(size) - 1])
    return list(zip(peaks, starts, ends, strict=True))
