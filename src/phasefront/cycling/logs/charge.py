"""The charge that a log passed: counted by the instrument, or integrated and held against that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from phasefront.core.errors import InputError

# An integral that is further from the count, as a share of the largest half cycle, is no check but
# another quantity: a wrong unit, a wrong column, a damaged file.
_IMPOSSIBLE_DIFFERENCE = 0.3


def integrated_gain(
    time_s: np.ndarray, current_mA: np.ndarray, step: np.ndarray, *, mean: bool = False
) -> np.ndarray:
    """Charge in mAh that passed in the interval before each record, (n,), by its current.

    Trapezoids within each step. The current jumps where a step begins, and the interval before a
    step's first record is part of that step (loggers write at the end of an interval), so it
    carries that record's current. If `mean`, each record's current is the mean over the interval
    before it, and counts for all of that.
    """
    interval = np.diff(time_s, prepend=time_s[0])
    if mean:
        return current_mA * interval / 3600.0
    jump = np.diff(current_mA, prepend=current_mA[0])
    begins = np.diff(step, prepend=step[0]) > 0
    return np.where(begins, current_mA, current_mA - jump / 2) * interval / 3600.0


def counted_gain(charge: np.ndarray, discharge: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The same from two counters, which may start again from zero at a step or a cycle, (n,).

    A counter starts again where it falls to less than half. Where both read zero at the first
    record of a step, they count from that record on, and what passed in the interval before it is
    not known: NaN.
    """
    charge, discharge = (np.asarray(counter, dtype="f8") for counter in (charge, discharge))
    gain = np.zeros(len(charge))
    for counter, sign in ((charge, 1), (discharge, -1)):
        change = np.diff(counter, prepend=counter[:1])
        falls = (change < 0) & (np.abs(counter) < np.abs(counter - change) / 2)
        gain += sign * np.where(falls, counter, change)
    begins = np.diff(step, prepend=step[:1]) != 0
    return np.where(begins & (charge == 0) & (discharge == 0), np.nan, gain)


def half_cycle_charge(log: pd.DataFrame, column: str = "capacity_mAh") -> np.ndarray:
    """Charge passed in each half cycle by one of the log's columns of capacity, (half,), mAh."""
    last = np.flatnonzero(np.diff(log["half_cycle"], append=-1))
    reached = log[column].to_numpy(dtype="f8")
    return np.diff(reached[last], prepend=reached[0])


def capacity_difference(log: pd.DataFrame) -> float:
    """Disagreement of the integrated capacity with the instrument's own counter.

    The largest difference of charge over any half cycle, relative to the largest half cycle by
    either; NaN where the instrument keeps no counter.
    """
    counted = half_cycle_charge(log, "instrument_capacity_mAh")
    if not np.isfinite(counted).all():
        return float("nan")
    integrated = half_cycle_charge(log, "integrated_capacity_mAh")
    largest = max(np.abs(counted).max(), np.abs(integrated).max())
    return float(np.abs(integrated - counted).max() / largest) if largest > 0 else 0.0


def refuse_impossible_count(log: pd.DataFrame, path: Path) -> None:
    """Raise InputError where counted and integrated charge cannot be the same quantity."""
    if capacity_difference(log) > _IMPOSSIBLE_DIFFERENCE:
        counted = half_cycle_charge(log, "instrument_capacity_mAh")
        integrated = half_cycle_charge(log, "integrated_capacity_mAh")
        worst = np.argmax(np.abs(integrated - counted))
        raise InputError(
            path, f"the instrument counts {counted[worst]:.4g} mAh and the current adds up to"
            f" {integrated[worst]:.4g} mAh", field=f"half cycle {worst}",
            remedy="correct the unit or sign of current, time or counter, or export the log again"
            " with all of its records",
        )  # fmt: skip
