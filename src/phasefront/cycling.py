"""Ion content along a galvanostatic log, as the charge implies it, its states and plateaus."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from phasefront import layouts, netcdf
from phasefront.agreement import NORMAL_95
from phasefront.errors import InputError
from phasefront.logs import (
    BDF_CURRENT,
    BDF_TIME,
    BDF_VOLTAGE,
    CHARGE,
    DISCHARGE,
    REST,
    STEP_TYPES,
    capacity_difference,
    half_cycle_charge,
)

FARADAY_MAH_MOL = 96485.33212 / 3.6

_LEAST_SWING = 0.02  # of the ions at the start; less is no charge or discharge of an electrode
# A larger relative disagreement with the instrument's own counter is worth a warning.
CAPACITY_LIMIT = 0.01
# Differential capacity: steps of voltage, and how many of them a slope is fitted over.
_GRID_V = 2e-3
_WINDOW = 9
# A plateau is a maximum that stands out by this share of its half cycle's highest, is higher than
# the half cycle's mean by this factor, and holds this share of the largest half cycle's charge; it
# ends where this share of its prominence is left.
_PROMINENCE = 0.2
_OVER_MEAN = 2
_LEAST_CHARGE = 0.02
_PLATEAU_END = 0.1

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
    inactive_share: float = 0.0,
    inactive_error: float = 0.0,
) -> pd.DataFrame:
    """Ions per formula unit along a log, with a 95 % interval: of all grains, and of active ones.

    Faraday's law, x = x0 - n q M / F with q = (Q - I_leak t) / m - s q_irr, where s(t), 0 to 1, is
    the charge passed up to t on the first charge as a share of that charge's total: the
    irreversible loss is taken in proportion to charge. To first order and for independent errors
    (JCGM 100:2008, 5.1.2)

        u(x)^2 = u(x0)^2 + (n M / F)^2 [((Q - I_leak t) / m)^2 (u(m) / m)^2 + (t u(I_leak) / m)^2
                 + s^2 u(q_irr)^2 + (s (1 - s) q_irr)^2]

    whose last term is the loss not being proportional after all: it is as large as the change if
    its rate grew linearly from zero instead. The interval is x -+ 1.96 u(x). That is the mean of
    all grains, which microscope and diffraction see. Grains without contact, a share f of the mass,
    stay at x0, and the others are at x_a = x0 - (x0 - x) / (1 - f), so that the variance of x0 - x
    over (1 - f)^2 and ((x0 - x) u(f) / (1 - f)^2)^2 add to u(x0)^2.

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
    inactive_share, inactive_error
        Share of the mass in grains without contact, and its standard uncertainty.

    Returns
    -------
    ion_content, ion_content_low, ion_content_high and the same with active_ before them; not
    clipped, so a wrong mass shows.
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
        "inactive_error": inactive_error,
    }.items():
        _require(source, name, value, remedy="give a standard uncertainty, zero or more")
    if not 0 <= inactive_share < 1:
        raise InputError(
            source, f"{inactive_share:g} is not possible", field="inactive_share",
            remedy="give the share of the mass without contact, from 0 to less than 1",
        )  # fmt: skip
    mass_g = 1e-3 * mass_mg
    hours = (log["time_s"] - log["time_s"].iloc[0]).to_numpy() / 3600.0
    passed = (log["capacity_mAh"].to_numpy() - leakage_mA * hours) / mass_g
    share = _share_of_first_charge(log)
    per_mAh_g = ions_per_electron * formula_mass / FARADAY_MAH_MOL
    change = per_mAh_g * (passed - share * irreversible_mAh_g)
    variance = per_mAh_g**2 * (
        (passed * mass_error_mg / mass_mg) ** 2
        + (hours * leakage_error_mA / mass_g) ** 2
        + (share * irreversible_error_mAh_g) ** 2
        + (share * (1 - share) * irreversible_mAh_g) ** 2
    )
    active = 1 - inactive_share
    active_variance = variance / active**2 + (change * inactive_error / active**2) ** 2
    return pd.DataFrame(
        {
            **_with_interval("ion_content", initial_content - change, initial_error, variance),
            **_with_interval(
                "active_ion_content", initial_content - change / active, initial_error,
                active_variance,
            ),
        },
        index=log.index,
    )  # fmt: skip


def _with_interval(
    name: str, value: np.ndarray, initial_error: float, variance: np.ndarray
) -> dict[str, np.ndarray]:
    half_width = NORMAL_95 * np.sqrt(initial_error**2 + variance)
    return {name: value, f"{name}_low": value - half_width, f"{name}_high": value + half_width}


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

# Named as in the config, since messages name them.
_LOCATORS = ("time_h", "capacity_mah_g", "voltage_v", "fraction", "rest")


def locate_state(
    log: pd.DataFrame,
    *,
    state: str,
    mass_mg: float,
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
        Active mass, for `capacity_mah_g`.
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
            _LOCATORS, (time_h, capacity_mah_g, voltage_v, fraction, rest), strict=True
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
    """Last record of each rest, whatever the number of steps it was made of."""
    rest = log["step_type"].to_numpy() == REST
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
    if kind == "voltage_v":
        values = part["voltage_V"].to_numpy()
        under_current = log["step_type"].to_numpy()[rows[1:]] != REST
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


# --- the whole log ---------------------------------------------------------------------------


def analyse_log(
    log: pd.DataFrame, *, name: str, states: Sequence[Mapping], mass_mg: float, **content
) -> xr.Dataset:
    """CYCLING dataset of a whole log: capacity, ion content, plateaus, and its states.

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
    capacity = log["capacity_mAh"] / (1e-3 * mass_mg)
    grid, slopes = differential_capacity(log, mass_mg=mass_mg)
    plateaus = find_plateaus(log, mass_mg=mass_mg)

    def at_states(values: pd.Series) -> np.ndarray:
        return _at_moments(moments, time, values.to_numpy())

    return netcdf.build(
        layouts.CYCLING,
        {
            "time": time,
            "voltage": log["voltage_V"],
            "current": log["current_mA"],
            "capacity": capacity,
            "cycle": log["cycle"],
            "half_cycle": log["half_cycle"],
            "step": log["step"],
            "step_type": [STEP_TYPES.index(kind) for kind in log["step_type"]],
            **{column: contents[column] for column in contents},
            "half_capacity": half_cycle_charge(log) / (1e-3 * mass_mg),
            "half_capacity_integrated": half_cycle_charge(log, "integrated_capacity_mAh")
            / (1e-3 * mass_mg),
            "grid_voltage": grid,
            "charge_per_voltage": slopes,
            "plateau_half_cycle": plateaus["half_cycle"],
            "plateau_voltage": plateaus["voltage"],
            "plateau_from": plateaus["capacity_from"],
            "plateau_to": plateaus["capacity_to"],
            "state": [state["state"] for state in states],
            "state_time": moments,
            "state_voltage": at_states(log["voltage_V"]),
            "state_capacity": at_states(capacity),
            **{f"state_{column}": at_states(contents[column]) for column in contents},
        },
        {
            "log": name,
            "file": _source(log),
            "mass_mg": float(mass_mg),
            "initial_ion_content": float(content["initial_content"]),
            "inactive_share": float(content.get("inactive_share", 0.0)),
            "capacity_difference": capacity_difference(log),
            "warnings": "\n".join(_warnings(log, contents)),
        },
    )


def _warnings(log: pd.DataFrame, contents: pd.DataFrame) -> list[str]:
    """A sentence for each thing about a log that a reader of its ion contents has to know."""
    sentences = list(log.attrs.get("warnings", ()))
    difference = capacity_difference(log)
    if difference > CAPACITY_LIMIT:
        sentences.append(
            f"The integrated charge of a half cycle differs from the instrument's own count, which "
            f"is taken, by {difference:.1%} of the largest half cycle, more than "
            f"{CAPACITY_LIMIT:.0%}: records may be missing, or too far apart."
        )
    elif np.isnan(difference):
        sentences.append(
            "The instrument counts no charge; the integrated one is taken, which nothing checks."
        )
    for column, whose in (("ion_content", "all"), ("active_ion_content", "the active")):
        if (contents[f"{column}_high"] < 0).any():
            sentences.append(
                f"The ion content of {whose} grains falls to {contents[column].min():.2f}, below "
                "zero beyond its error: the mass is too small, or charge went elsewhere."
            )
            break
    swing = float(np.ptp(contents["ion_content"]))
    if swing < _LEAST_SWING * contents["ion_content"].iloc[0]:
        sentences.append(
            f"Over the whole log the ion content changes by {swing:.2g} per formula unit only: its"
            " current may be in another unit than it says, or the mass is too large."
        )
    return sentences


def tidy_table(cycling: xr.Dataset) -> pd.DataFrame:
    """The records of a CYCLING data set under names of the Battery Data Format, units in them."""
    data = {name: cycling[name].to_numpy() for name in cycling.variables}
    grams = 1e-3 * cycling.attrs["mass_mg"]
    return pd.DataFrame(
        {
            BDF_TIME: data["time"],
            BDF_VOLTAGE: data["voltage"],
            BDF_CURRENT: 1e-3 * data["current"],
            "Cycle Count / 1": data["cycle"],
            "Half Cycle Count / 1": data["half_cycle"],
            "Step Count / 1": data["step"],
            "Step Type": [STEP_TYPES[kind] for kind in data["step_type"]],
            "Net Capacity / Ah": 1e-3 * grams * data["capacity"],
            "Net Specific Capacity / mAh/g": data["capacity"],
            "Ion Content / 1": data["ion_content"],
            "Ion Content Low / 1": data["ion_content_low"],
            "Ion Content High / 1": data["ion_content_high"],
        }
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
