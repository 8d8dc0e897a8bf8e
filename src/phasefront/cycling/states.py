"""Moments of a log that are states of charge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from phasefront.core.errors import InputError
from phasefront.cycling.ion_content import require_columns, source_of
from phasefront.cycling.logs import REST

# --- states ----------------------------------------------------------------------------------

# Named as in the config, since messages name them.
LOCATORS = ("time_h", "capacity_mah_g", "voltage_v", "fraction", "rest")
# Seconds within which two states are at one moment, of logs whose records are further apart: so
# much rounding of hours or charges makes of one place that is said in two ways. Chosen.
_ONE_MOMENT_S = 1.0


def locate_states(
    log: pd.DataFrame, states: Sequence[Mapping], mass_mg: float | None
) -> np.ndarray:
    """Moments (n,) of the states of a log, s; see `locate_state`.

    Parameters
    ----------
    log, mass_mg
        As in `locate_state`.
    states
        `{"state": name, ...}` with further keys as in `locate_state`, one each.

    Raises
    ------
    InputError
        As `locate_state` does, for an unknown key, and for two states at one moment: the charge
        would count there twice, in all likelihood for a row that was copied.
    """
    moments = np.array([_locate(log, state, mass_mg) for state in states], dtype="f8")
    time = log["time_s"].to_numpy()
    order = np.argsort(moments, kind="stable")
    near = min(_ONE_MOMENT_S, float(np.median(np.diff(time)))) if len(time) > 1 else 0.0
    for one, other in pairwise(order):
        if moments[other] - moments[one] <= near:
            names = " and ".join(states[k]["state"] for k in sorted((one, other)))
            hours = (moments[one] - time[0]) / 3600
            raise InputError(
                source_of(log), f"states {names} are both at {hours:.6g} h", field="states",
                remedy="correct where one of them is, or give what was measured at one moment one"
                " state",
            )  # fmt: skip
    return moments


def _locate(log: pd.DataFrame, state: Mapping, mass_mg: float | None) -> float:
    unknown = set(state) - {"state", "half_cycle", *LOCATORS}
    if "state" not in state or unknown:
        raise InputError(
            source_of(log), f"a state needs the key 'state' and none of {sorted(unknown)}",
            field=f"state {state.get('state', '')}".strip(),
            remedy=f"give its name and one of {', '.join(LOCATORS)}",
        )  # fmt: skip
    return locate_state(log, mass_mg=mass_mg, **state)


def locate_state(
    log: pd.DataFrame,
    *,
    state: str,
    mass_mg: float | None,
    time_h: float | None = None,
    capacity_mah_g: float | None = None,
    voltage_v: float | None = None,
    fraction: float | None = None,
    rest: int | None = None,
    half_cycle: int = 0,
) -> float:
    """Moment of a state of charge along a log, in seconds on the log's clock.

    Parameters
    ----------
    log
        Table of `read_log`.
    state
        Name, for the message if the state cannot be found.
    mass_mg
        Active mass, for `capacity_mah_g`; None where it is not known.
    time_h, capacity_mah_g, voltage_v, fraction, rest
        Exactly one: hours since the first record; net capacity passed since the first record;
        voltage under current; share of the charge of the half cycle (1 is its end); or number,
        from 0, of the rest at whose end the state was.
    half_cycle
        Where the first crossing of a capacity, voltage or fraction is sought.

    Raises
    ------
    InputError
        Not exactly one place is given, or the log does not reach it.
    """
    given = {
        name: value
        for name, value in zip(
            LOCATORS, (time_h, capacity_mah_g, voltage_v, fraction, rest), strict=True
        )
        if value is not None
    }
    source = source_of(log)
    if len(given) != 1:
        raise InputError(
            source, f"{len(given)} of {', '.join(LOCATORS)} are given, one is needed",
            field=f"state {state}", remedy="say in one way where the state is",
        )  # fmt: skip
    (kind, target), = given.items()  # fmt: skip
    time = log["time_s"].to_numpy()
    if kind == "time_h":
        moment, reach = time[0] + 3600 * target, (time[-1] - time[0]) / 3600
        found = moment if 0 <= target <= reach * (1 + 1e-12) else None
        reached = f"{reach:.6g} h"
    elif kind == "rest":
        ends = rest_ends(log)
        found = time[ends[int(target)]] if 0 <= target < len(ends) else None
        reached = f"{len(ends)} rests"
    else:
        found, reached = _locate_in_half_cycle(log, kind, target, half_cycle, mass_mg)
    if found is None:
        raise InputError(
            source, f"{kind} = {target:g} is not reached, the log has {reached}",
            field=f"state {state}", remedy="correct the state or the log it points to",
        )  # fmt: skip
    return float(min(found, time[-1]))


def rest_ends(log: pd.DataFrame) -> np.ndarray:
    """Last record of each rest, whatever the number of steps it was made of."""
    rest = log["step_type"].to_numpy() == REST
    return np.flatnonzero(rest & ~np.append(rest[1:], False))


def _locate_in_half_cycle(
    log: pd.DataFrame, kind: str, target: float, half_cycle: int, mass_mg: float | None
) -> tuple[float | None, str]:
    """Moment of the first crossing within a half cycle, or None, and the range that it covers."""
    rows = np.flatnonzero(log["half_cycle"].to_numpy() == half_cycle)
    if not rows.size:
        return None, f"half cycles 0 to {log['half_cycle'].max()}"
    # The half cycle begins where the one before it ended.
    rows = rows if rows[0] == 0 else np.concatenate([[rows[0] - 1], rows])
    part = log.iloc[rows]
    if kind == "voltage_v":
        values = part["voltage_V"].to_numpy()
        under_current = log["step_type"].to_numpy()[rows[1:]] != REST
    else:
        if kind == "capacity_mah_g":
            require_columns(
                source_of(log), "mass_mg", mass_mg, positive=True,
                remedy="give the active mass in mg",
            )  # fmt: skip
        values = part["capacity_mAh"].to_numpy() / (1e-3 * (mass_mg or 1.0))
        under_current = np.ones(len(rows) - 1, dtype=bool)
        if kind == "fraction":
            passed = values[-1] - values[0]
            if passed == 0:
                return None, f"no charge in half cycle {half_cycle}"
            values = (values - values[0]) / passed
    moment = _first_crossing(part["time_s"].to_numpy(), values, target, under_current)
    return moment, f"{values.min():.6g} to {values.max():.6g} in half cycle {half_cycle}"


def _first_crossing(
    time: np.ndarray, values: np.ndarray, target: float, allowed: np.ndarray
) -> float | None:
    """Time at which values first pass the target in an allowed interval, interpolated."""
    tolerance = 1e-9 * np.ptp(values)
    before, after = values[:-1] - target, values[1:] - target
    crossing = allowed & (np.minimum(before, after) <= tolerance)
    crossing &= np.maximum(before, after) >= -tolerance
    if not crossing.any():
        return None
    first = np.flatnonzero(crossing)[0]
    change = after[first] - before[first]
    part = np.clip(-before[first] / change, 0.0, 1.0) if change else 0.0
    return time[first] + part * (time[first + 1] - time[first])
