"""Ion content along a galvanostatic log, as the charge implies it, and the states on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from phasefront import layouts, netcdf
from phasefront.errors import InputError
from phasefront.logs import capacity_difference, current_sign

FARADAY_MAH_MOL = 96485.33212 / 3.6
NORMAL_95 = 1.959964

# --- ion content -----------------------------------------------------------------------------


def ion_content(
    log: pd.DataFrame,
    *,
    mass_mg: float,
    mass_error_mg: float,
    formula_mass: float,
    initial_content: float,
    initial_error: float = 0.0,
    ions_per_electron: float = 1.0,
    irreversible_mAh_g: float = 0.0,
    irreversible_error_mAh_g: float = 0.0,
    leakage_mA: float = 0.0,
    leakage_error_mA: float = 0.0,
) -> pd.DataFrame:
    """Ions per formula unit along a log, with a 95 % interval.

    Faraday's law, x = x0 - n q M / F with q = (Q - I_leak t) / m - s q_irr, where s(t), 0 to 1, is
    the charge passed up to t on the first charge as a share of that charge's total: the
    irreversible loss is taken in proportion to charge. To first order and for independent errors
    (JCGM 100:2008, 5.1.2)

        u(x)^2 = u(x0)^2 + (n M / F)^2 [((Q - I_leak t) / m)^2 (u(m) / m)^2 + (t u(I_leak) / m)^2
                 + s^2 u(q_irr)^2 + (s (1 - s) q_irr)^2]

    whose last term is the loss not being proportional after all: it is as large as the change if
    its rate grew linearly from zero instead. The interval is x -+ 1.96 u(x).

    Parameters
    ----------
    log
        Table of `read_log`.
    mass_mg, mass_error_mg
        Active mass and its standard uncertainty.
    formula_mass
        g/mol of the compound that the mass was weighed as (the pristine one).
    initial_content, initial_error
        Ions per formula unit at the first record, and the standard uncertainty.
    ions_per_electron
        Ions that leave per electron: 1 for Li+ and Na+, 0.5 for Mg2+.
    irreversible_mAh_g, irreversible_error_mAh_g
        Capacity of the first charge that side reactions took, and its standard uncertainty.
    leakage_mA, leakage_error_mA
        Current that passes the cell without moving ions, at rest too, and its uncertainty.

    Returns
    -------
    ion_content, ion_content_low, ion_content_high; not clipped, so a wrong mass shows.
    """
    source = _source(log)
    _require(source, "mass_mg", mass_mg, positive=True, remedy="give the active mass in mg")
    _require(source, "formula_mass", formula_mass, positive=True, remedy="give it in g/mol")
    _require(source, "initial_content", initial_content, remedy="give ions per formula unit")
    for name, value in {
        "mass_error_mg": mass_error_mg,
        "initial_error": initial_error,
        "irreversible_error_mAh_g": irreversible_error_mAh_g,
        "leakage_error_mA": leakage_error_mA,
    }.items():
        _require(source, name, value, remedy="give a standard uncertainty, zero or more")
    mass_g = 1e-3 * mass_mg
    hours = (log["time_s"] - log["time_s"].iloc[0]).to_numpy() / 3600.0
    passed = (log["capacity_mAh"].to_numpy() - leakage_mA * hours) / mass_g
    share = _share_of_first_charge(log)
    per_mAh_g = ions_per_electron * formula_mass / FARADAY_MAH_MOL
    content = initial_content - per_mAh_g * (passed - share * irreversible_mAh_g)
    variance = initial_error**2 + per_mAh_g**2 * (
        (passed * mass_error_mg / mass_mg) ** 2
        + (hours * leakage_error_mA / mass_g) ** 2
        + (share * irreversible_error_mAh_g) ** 2
        + (share * (1 - share) * irreversible_mAh_g) ** 2
    )
    half_width = NORMAL_95 * np.sqrt(variance)
    return pd.DataFrame(
        {
            "ion_content": content,
            "ion_content_low": content - half_width,
            "ion_content_high": content + half_width,
        },
        index=log.index,
    )


def _share_of_first_charge(log: pd.DataFrame) -> np.ndarray:
    """Charge passed up to each record on the first charge over that charge's total, (n,)."""
    gain = np.diff(log["capacity_mAh"].to_numpy(), prepend=0.0)
    half_cycle = log["half_cycle"].to_numpy()
    net = np.bincount(half_cycle, weights=gain)
    if not (net > 0).any():
        return np.zeros(len(log))
    first_charge = np.flatnonzero(net > 0)[0]
    passed = np.cumsum(np.where(half_cycle == first_charge, np.maximum(gain, 0.0), 0.0))
    return passed / passed[-1]


def _source(log: pd.DataFrame) -> str:
    return log.attrs.get("source", "log")


def _require(
    source: str, name: str, value: float | None, *, remedy: str, positive: bool = False
) -> None:
    """Raise InputError unless `value` is a finite number, not negative (and not 0 if positive)."""
    if value is None or not np.isfinite(value):
        raise InputError(source, "the value is missing", field=name, remedy=remedy)
    if value < 0 or (positive and value == 0):
        raise InputError(source, f"{value:g} is not possible", field=name, remedy=remedy)


# --- states ----------------------------------------------------------------------------------

_LOCATORS = ("time_h", "capacity_mAh_g", "voltage_V", "fraction", "rest")


def locate_state(
    log: pd.DataFrame,
    *,
    state: str,
    mass_mg: float,
    time_h: float | None = None,
    capacity_mAh_g: float | None = None,
    voltage_V: float | None = None,
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
        Active mass, for `capacity_mAh_g`.
    time_h, capacity_mAh_g, voltage_V, fraction, rest
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
            _LOCATORS, (time_h, capacity_mAh_g, voltage_V, fraction, rest), strict=True
        )
        if value is not None
    }
    source = _source(log)
    if len(given) != 1:
        raise InputError(
            source, f"{len(given)} of {', '.join(_LOCATORS)} are given, one is needed",
            field=f"state {state}", remedy="say in one way where the state is",
        )  # fmt: skip
    (kind, target), = given.items()  # fmt: skip
    time = log["time_s"].to_numpy()
    if kind == "time_h":
        moment, reach = time[0] + 3600 * target, (time[-1] - time[0]) / 3600
        found = moment if 0 <= target <= reach * (1 + 1e-12) else None
        reached = f"{reach:.6g} h"
    elif kind == "rest":
        ends = _rest_ends(log)
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


def _rest_ends(log: pd.DataFrame) -> np.ndarray:
    """Last record of each rest."""
    rest = current_sign(log["current_mA"].to_numpy()) == 0
    return np.flatnonzero(rest & ~np.append(rest[1:], False))


def _locate_in_half_cycle(
    log: pd.DataFrame, kind: str, target: float, half_cycle: int, mass_mg: float
) -> tuple[float | None, str]:
    """Moment of the first crossing within a half cycle, or None, and the range that it covers."""
    rows = np.flatnonzero(log["half_cycle"].to_numpy() == half_cycle)
    if not rows.size:
        return None, f"half cycles 0 to {log['half_cycle'].max()}"
    # The half cycle begins where the one before it ended.
    rows = rows if rows[0] == 0 else np.concatenate([[rows[0] - 1], rows])
    part = log.iloc[rows]
    if kind == "voltage_V":
        values = part["voltage_V"].to_numpy()
        under_current = current_sign(log["current_mA"].to_numpy())[rows[1:]] != 0
    else:
        _require(
            _source(log), "mass_mg", mass_mg, positive=True, remedy="give the active mass in mg"
        )
        values = part["capacity_mAh"].to_numpy() / (1e-3 * mass_mg)
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


def analyse_log(
    log: pd.DataFrame, *, name: str, states: Sequence[Mapping], mass_mg: float, **content
) -> xr.Dataset:
    """CYCLING dataset of a whole log: capacity and ion content along it, and its states.

    Parameters
    ----------
    log
        Table of `read_log`, (n records).
    name
        The log's name in the experiment.
    states
        `{"state": name, ...}` with further keys as in `locate_state`, one each.
    mass_mg
        Active mass.
    content
        Further arguments of `ion_content`.

    Raises
    ------
    InputError
        As `ion_content` and `locate_state` do.
    """
    contents = ion_content(log, mass_mg=mass_mg, **content)
    moments = np.array([_locate(log, state, mass_mg) for state in states], dtype="f8")
    time = log["time_s"].to_numpy()

    def at_states(values: pd.Series) -> np.ndarray:
        return _at_moments(moments, time, values.to_numpy())

    return netcdf.build(
        layouts.CYCLING,
        {
            "time": time,
            "voltage": log["voltage_V"],
            "current": log["current_mA"],
            "capacity": log["capacity_mAh"] / (1e-3 * mass_mg),
            "cycle": log["cycle"],
            "half_cycle": log["half_cycle"],
            **{column: contents[column] for column in contents},
            "state": [state["state"] for state in states],
            "state_time": moments,
            "state_voltage": at_states(log["voltage_V"]),
            **{f"state_{column}": at_states(contents[column]) for column in contents},
        },
        {
            "log": name,
            "file": _source(log),
            "mass_mg": float(mass_mg),
            "capacity_difference": capacity_difference(log),
        },
    )


def _at_moments(moments: np.ndarray, time: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values at given moments, interpolated; the first record's where several share the moment."""
    after = np.searchsorted(time, moments, side="left")
    exact = time[after] == moments
    before = np.where(exact, after, after - 1)
    part = np.where(
        exact, 0.0, (moments - time[before]) / np.where(exact, 1.0, time[after] - time[before])
    )
    return values[before] + part * (values[after] - values[before])


def _locate(log: pd.DataFrame, state: Mapping, mass_mg: float) -> float:
    unknown = set(state) - {"state", "half_cycle", *_LOCATORS}
    if "state" not in state or unknown:
        raise InputError(
            _source(log), f"a state needs the key 'state' and none of {sorted(unknown)}",
            field=f"state {state.get('state', '')}".strip(),
            remedy=f"give its name and one of {', '.join(_LOCATORS)}",
        )  # fmt: skip
    return locate_state(log, mass_mg=mass_mg, **state)
