"""The table of a log, from the columns that a format's reader found.

Current and capacity are positive on charge (ions leave the cathode), capacity is the net charge
passed since the first row. Steps, half cycles and cycles are counted here, from 0, and not by the
instrument, since instruments disagree on how to count, and some skip numbers.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from phasefront.core.errors import InputError
from phasefront.core.moments import Stamp
from phasefront.cycling.logs import charge, clock

REST, CHARGE, DISCHARGE, CONSTANT_VOLTAGE = "rest", "charge", "discharge", "constant voltage"
STEP_TYPES = (REST, CHARGE, DISCHARGE, CONSTANT_VOLTAGE)

# Where the instrument does not say what it does, a current below this share of the log's largest is
# a rest (cyclers report some offset there), and a voltage within the tolerance of a step's last one
# is held while the current falls below a share of the step's.
_REST_SHARE = 1e-3
_HELD_VOLTAGE_V = 2e-3  # the tolerance
_HELD_CURRENT_SHARE = 0.95  # of the step's
# A run of one sign of current that passes less than this share of the largest half cycle is none:
# single records where an instrument switches, offsets at rest. All of these are chosen.
_NOTHING_SHARE = 1e-3
_STRAY_CURRENT_SHARE = 0.01  # of the largest current, in such a run
# More than this is no voltage of a cell, but of a pack or of another unit.
_LARGEST_VOLTAGE_V = 50.0
_PLACES = 3  # named one by one in a warning

# What an instrument controls, as readers say it.
CURRENT_CONTROL, VOLTAGE_CONTROL, NO_CONTROL, UNKNOWN_CONTROL = "current", "voltage", "no", ""


def tidy(raw: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table of `read_log`.

    Parameters
    ----------
    raw
        One row a record: time_s, voltage_V, current_mA, and, where the format has them,
        instrument_step, control (what the instrument controls), gain_mAh (charge that passed in
        the interval before, by the instrument's counter; NaN where that says nothing) and
        impedance (whether the current is an amplitude, in which no charge passes) and elapsed_s
        (seconds since its time was zero by a clock that goes on in pauses).
        `attrs["mean_current"]` says that currents are means over the intervals before the records,
        and `attrs["started"]` when the file's time was zero.
    path
        The log, for messages.

    Raises
    ------
    InputError
        As `read_log` does.
    """
    if len(raw) < 2:
        raise InputError(
            path, f"the log holds {len(raw)} records, two are needed",
            remedy="export the log again, with its data",
        )  # fmt: skip
    _refuse_impossible_values(raw, path)
    count = len(raw)
    time, restarts, sentences = clock.continuous(raw["time_s"].to_numpy(dtype="f8"), path)
    current = raw["current_mA"].to_numpy(dtype="f8")
    voltage = raw["voltage_V"].to_numpy(dtype="f8")
    part = np.searchsorted(restarts, np.arange(count), side="right")
    numbered = _count_runs(part, np.asarray(raw.get("instrument_step", np.zeros(count))))
    control = np.asarray(raw.get("control", np.full(count, UNKNOWN_CONTROL)), dtype=str)
    impedance = np.asarray(raw.get("impedance", np.zeros(count)), dtype=bool)
    control[impedance] = NO_CONTROL
    flowing = np.where(impedance, 0.0, current)
    sign = _current_sign(flowing, control, numbered)
    # A jump of current between steps is one even where the instrument does not number steps.
    gain = charge.integrated_gain(
        time, flowing, _count_runs(numbered, sign), mean=raw.attrs.get("mean_current", False)
    )
    counted = np.array(raw.get("gain_mAh", np.full(count, np.nan)), dtype="f8")
    counted[0] = 0.0
    late = np.flatnonzero(np.isnan(counted))
    has_counter = len(late) < count - 1
    counted[late] = gain[late]
    passed = counted if has_counter else gain
    sign, strays = _without_strays(sign, passed, flowing)
    step_type = _step_types(voltage, flowing, sign, control, numbered)
    elapsed, pauses = clock.elapsed(time, restarts, raw.get("elapsed_s"))
    table = pd.DataFrame(
        {
            "time_s": time,
            "elapsed_s": elapsed,
            "voltage_V": voltage,
            "current_mA": current,
            "capacity_mAh": np.cumsum(passed),
            "integrated_capacity_mAh": np.cumsum(gain),
            "instrument_capacity_mAh": np.cumsum(counted) if has_counter else np.nan,
            "cycle": _count_cycles(sign),
            "half_cycle": _count_half_cycles(sign),
            "step": _count_runs(numbered, step_type),
            "step_type": step_type,
        }
    )
    if has_counter and sign.any():
        charge.refuse_impossible_count(table, path)
    table.attrs["source"] = str(path)
    table.attrs["started"] = raw.attrs.get("started", Stamp(None, "the file gives no start"))
    table.attrs["warnings"] = [
        *raw.attrs.get("warnings", ()), *sentences, *pauses,
        *_late_sentences(late if has_counter else late[:0], table),
        *_stray_sentences(strays, current, passed),
    ]  # fmt: skip
    return table


def _refuse_impossible_values(raw: pd.DataFrame, path: Path) -> None:
    for name in ("time_s", "voltage_V", "current_mA"):
        bad = np.flatnonzero(~np.isfinite(raw[name].to_numpy(dtype="f8")))
        if bad.size:
            raise InputError(
                path, f"{bad.size} values are no finite number",
                field=f"{name}, record {bad[0] + 1}",
                remedy="export the log again or delete these records",
            )  # fmt: skip
    voltage = raw["voltage_V"].to_numpy(dtype="f8")
    highest = np.argmax(np.abs(voltage))
    if abs(voltage[highest]) > _LARGEST_VOLTAGE_V:
        raise InputError(
            path, f"{voltage[highest]:g} V is no voltage of a cell",
            field=f"voltage_V, record {highest + 1}",
            remedy="correct the unit of voltage, or delete the damaged records",
        )  # fmt: skip


def _without_strays(
    sign: np.ndarray, passed: np.ndarray, current: np.ndarray
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Sign with 0 in runs that pass next to no charge, and first record and end of each of them.

    They are half cycles of nothing, which would shift the numbers of all others, and single
    records of a small current amid a rest, which would make two of it.
    """
    sign, strays = sign.copy(), []
    largest = np.abs(np.bincount(_count_half_cycles(sign), weights=passed)).max()
    small = np.abs(current) < _STRAY_CURRENT_SHARE * np.abs(current).max()
    while True:
        half_cycle = _count_half_cycles(sign)
        of_nothing = np.abs(np.bincount(half_cycle, weights=passed)) < _NOTHING_SHARE * largest
        run = _count_runs(sign)
        no_charge = np.abs(np.bincount(run, weights=passed)) < _NOTHING_SHARE * largest
        alone = no_charge & (np.bincount(run) == 1)
        found = (sign != 0) & (of_nothing[half_cycle] | (alone[run] & small))
        if not found.any():
            return sign, sorted(strays)
        borders = np.append(np.flatnonzero(np.diff(run, prepend=-1)), len(run)).tolist()
        strays += [(borders[number], borders[number + 1]) for number in np.unique(run[found])]
        sign[found] = 0


def _late_sentences(late: np.ndarray, table: pd.DataFrame) -> list[str]:
    """What was integrated where the counter said nothing, if that is more than next to nothing."""
    filled = np.diff(table["capacity_mAh"], prepend=0.0)[late]
    largest = np.abs(charge.half_cycle_charge(table)).max()
    if np.abs(filled).sum() <= _NOTHING_SHARE * largest:
        return []
    first = late[np.argmax(filled != 0)]
    return [
        f"The counter misses the first interval of {np.count_nonzero(filled)} steps, the first at"
        f" record {first + 1}; {np.abs(filled).sum():.3g} mAh were integrated there."
    ]


def _stray_sentences(
    strays: list[tuple[int, int]], current: np.ndarray, passed: np.ndarray
) -> list[str]:
    if not strays:
        return []
    places = [
        (f"{first + 1}" if end - first == 1 else f"{first + 1} to {end}")
        + f" ({np.abs(current[first:end]).max():.3g} mA, {np.sum(passed[first:end]):.2g} mAh)"
        for first, end in strays[:_PLACES]
    ]
    if len(strays) > _PLACES:
        places.append(f"{len(strays) - _PLACES} more places")
    return [
        f"Next to no charge is passed at record {', '.join(places)}: taken as rest, not as half"
        " cycles; the charge stays in the sum."
    ]


def _current_sign(current: np.ndarray, control: np.ndarray, step: np.ndarray) -> np.ndarray:
    """1 on charge, -1 on discharge, 0 at rest, (n,).

    A record without current in a step that controls current or voltage has the step's sign.
    """
    size = np.where(control == NO_CONTROL, 0.0, np.abs(current))
    small = size <= _REST_SHARE * size.max()
    sign = np.where(small, 0, np.sign(current))
    driven = np.isin(control, (CURRENT_CONTROL, VOLTAGE_CONTROL))
    within = pd.Series(np.where(sign == 0, np.nan, sign)).groupby(step)
    return np.where(driven & (sign == 0), within.bfill().fillna(within.ffill()).fillna(0), sign)


def _step_types(
    voltage: np.ndarray, current: np.ndarray, sign: np.ndarray, control: np.ndarray,
    step: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """One of STEP_TYPES for each record, (n,)."""
    kinds = np.select([sign > 0, sign < 0], [CHARGE, DISCHARGE], REST).astype(object)
    kinds[(control == VOLTAGE_CONTROL) & (sign != 0)] = CONSTANT_VOLTAGE
    runs = _count_runs(step, sign, control)
    borders = np.concatenate([[0], np.flatnonzero(np.diff(runs)) + 1, [len(runs)]])
    for first, end in itertools.pairwise(borders):
        if control[first] == UNKNOWN_CONTROL and sign[first] != 0:
            size = np.abs(current[first:end])
            held = np.abs(voltage[first:end] - voltage[end - 1]) <= _HELD_VOLTAGE_V
            held &= size < _HELD_CURRENT_SHARE * np.median(size[: max(1, len(size) // 2)])
            tail = np.flatnonzero(~held)[-1] + 1 if not held.all() else 0
            # Two records do not tell a held voltage from the last record of a step cut short.
            if len(held) - tail > 2:
                kinds[first + tail : end] = CONSTANT_VOLTAGE
    return kinds


def _count_runs(*labels: np.ndarray) -> np.ndarray:
    """Number, from 0, of the run of equal labels (all of them) that each record is in."""
    changes = np.zeros(len(labels[0]) - 1, dtype=bool)
    for values in labels:
        changes |= values[1:] != values[:-1]
    return np.concatenate([[0], np.cumsum(changes)])


def _without_rests(sign: np.ndarray) -> np.ndarray:
    """Sign of the current, of that before at a rest, and of that after at the first rest."""
    return pd.Series(sign).replace(0, np.nan).ffill().bfill().fillna(0).to_numpy()


def _count_half_cycles(sign: np.ndarray) -> np.ndarray:
    return _count_runs(_without_rests(sign))


def _count_cycles(sign: np.ndarray) -> np.ndarray:
    """A new cycle begins with every charge but the first."""
    charging = _without_rests(sign) > 0
    begins = charging & ~np.concatenate([[False], charging[:-1]])
    return np.maximum(np.cumsum(begins) - 1, 0)
