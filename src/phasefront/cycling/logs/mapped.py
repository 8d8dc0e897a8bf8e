"""Any delimited text, by a map of its columns and their units."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from phasefront.core.errors import InputError
from phasefront.cycling.logs import clock, text
from phasefront.cycling.logs.records import CHARGE, DISCHARGE, NO_CONTROL, REST, UNKNOWN_CONTROL

# In s, V, mA and steps.
_UNITS = {
    "time": {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0},
    "voltage": {"mV": 1e-3, "V": 1.0},
    "current": {"A": 1e3, "mA": 1.0, "uA": 1e-3, "µA": 1e-3, "μA": 1e-3, "nA": 1e-6},
    "step": {"1": 1.0},
}
_TIDY_NAME = {
    "time": "time_s",
    "voltage": "voltage_V",
    "current": "current_mA",
    "step": "instrument_step",
}
_STATE, _SIGNS = "state", ("decimal", "thousands")
# A current of this share of the largest is more than an offset, so it is no rest.
_OFFSET_SHARE = 0.01
_MOST_NAMES, _LONGEST_NAME = 30, 40  # of columns that a message lists, and signs of each; chosen
_TWO_WAYS_V = 0.2  # chosen, above the peaks of some tens of millivolts


def read(path: Path, columns: Mapping, *, timezone: str | None = None) -> pd.DataFrame:
    """Columns of `records.tidy` from a text and its column map, as `read_log` takes it."""
    missing = [name for name in ("time", "voltage", "current") if name not in columns]
    unknown = [name for name in columns if name not in (*_UNITS, _STATE, *_SIGNS)]
    if missing or unknown:
        raise InputError(
            path, f"the column map lacks {missing} and has unknown {unknown}", field="columns",
            remedy="map time, voltage, current and, if there are any, step and state; a curve"
            " without time is no log",
        )  # fmt: skip
    quantities = {name: columns[name] for name in columns if name in _UNITS}
    wanted = [name for name, _ in quantities.values()]
    if _STATE in columns:
        wanted.append(columns[_STATE][0])
    content = text.read_delimited(path, wanted)
    named = [name[:_LONGEST_NAME] for name in content.table.columns[:_MOST_NAMES]]
    for name in wanted:
        remedy = f"its columns are {named}"
        text.first_column(content.table, (name,), path, remedy)
    raw = convert(
        content, quantities, path, decimal=columns.get("decimal"),
        thousands=columns.get("thousands"), timezone=timezone,
    )  # fmt: skip
    name, unit = columns["time"]
    if text.is_date(unit) and len(raw):
        raw.attrs["started"] = text.first_date(content.table, name, unit)
        if timezone is None and not raw.attrs["started"].is_absolute:
            raw.attrs["warnings"] = clock.put_forward(
                raw["time_s"].to_numpy(), raw["current_mA"].to_numpy()
            )
    # EC-Lab's brackets: the mean over the interval before a record.
    raw.attrs["mean_current"] = columns["current"][0].startswith("<")
    if _STATE in columns:
        raw = _with_states(raw, content.table, *columns[_STATE], path)
    refuse_wrong_sign(raw, path)
    return raw


def convert(
    content: text.Delimited, quantities: Mapping, path: Path, *,
    decimal: str | None = None, thousands: str | None = None, timezone: str | None = None,
) -> pd.DataFrame:  # fmt: skip
    """time_s, voltage_V ... from the columns and units of a map."""
    clocks = {q for q, (_, unit) in quantities.items() if q == "time" and text.is_clock(unit)}
    numeric = [name for q, (name, _) in quantities.items() if q not in clocks]
    notation = text.find_notation(content, numeric, path, decimal, thousands)
    found = {}
    for quantity, (name, unit) in quantities.items():
        if quantity in clocks:
            found["time_s"] = text.seconds(content.table, name, unit, path, zone=timezone)
            continue
        factors = _UNITS[quantity]
        reversed_sign = quantity == "current" and unit.startswith("-")
        factor = factors.get(unit.removeprefix("-") if reversed_sign else unit)
        if factor is None:
            known = (*factors, *(text.CLOCK_UNITS if quantity == "time" else ()))
            raise InputError(
                path, f"{unit!r} is no unit of {quantity}", field=f"columns, {quantity}",
                remedy=f"use one of {', '.join(known)}",
            )  # fmt: skip
        values = text.numbers(content.table, name, path, notation)
        found[_TIDY_NAME[quantity]] = values * (-factor if reversed_sign else factor)
    return pd.DataFrame(found)


def _with_states(
    raw: pd.DataFrame, table: pd.DataFrame, name: str, words: Mapping, path: Path
) -> pd.DataFrame:
    """Current with the sign that a column of states gives it, and rests where it says so."""
    listed = [word for many in words.values() for word in many]
    twice = {word for word in listed if listed.count(word) > 1}
    cells = table[name].str.strip()
    unknown = np.flatnonzero(~cells.isin(listed))
    if twice or unknown.size:
        problem = f"{sorted(twice)} are in two lists" if twice else (
            f"{cells.iloc[unknown[0]]!r} is no state of the map, record {unknown[0] + 1}"
        )  # fmt: skip
        raise InputError(
            path, problem, field=name,
            remedy=f"list each of the words {sorted(set(cells))[:12]} once, under charge, discharge"
            " or rest",
        )  # fmt: skip
    state = {word: kind for kind, many in words.items() for word in many}
    sign = cells.map(state).map({CHARGE: 1.0, DISCHARGE: -1.0, REST: 0.0}).to_numpy(dtype="f8")
    current = raw["current_mA"].to_numpy()
    large = _is_driven(current)
    # A sign in the file has to be that of the states; without any, all currents are sizes.
    signed = (current[large] > 0).any() and (current[large] < 0).any()
    contradicted = np.flatnonzero(
        large & ((sign == 0) | (np.sign(current) != sign) & signed)
    )  # fmt: skip
    if contradicted.size:
        at = contradicted[0]
        raise InputError(
            path, f"{current[at]:g} mA in the state {cells.iloc[at]!r}",
            field=f"{name}, record {at + 1}",
            remedy="correct the lists of words, or the sign before the unit of current",
        )  # fmt: skip
    return raw.assign(
        current_mA=current if signed else np.abs(current) * sign,
        control=np.where(sign == 0, NO_CONTROL, UNKNOWN_CONTROL),
    )


def _is_driven(current: np.ndarray) -> np.ndarray:
    return np.abs(current) > _OFFSET_SHARE * np.abs(current).max(initial=0.0)


def refuse_wrong_sign(raw: pd.DataFrame, path: Path) -> None:
    """Raise InputError where the voltage shows that the current has no sign, or the wrong one.

    On charge the voltage of a cell rises and on discharge it falls, but for peaks of some tens of
    millivolts. Runs of records under current of one sign, within a step, in which it goes through
    more than half of the log's range, and of `_TWO_WAYS_V`, have to agree with that.
    """
    current, voltage = (raw[name].to_numpy(dtype="f8") for name in ("current_mA", "voltage_V"))
    sign = np.where(_is_driven(current), np.sign(current), 0.0)
    if not sign.any():
        return
    step = np.asarray(raw.get("instrument_step", np.zeros(len(raw))))
    begins = (np.diff(sign, prepend=0.0) != 0) | (np.diff(step, prepend=step[:1]) != 0)
    driven = sign != 0
    run = pd.Series(voltage[driven]).groupby(np.cumsum(begins)[driven])
    rises = (voltage[driven] - run.cummin()).to_numpy()
    falls = (run.cummax() - voltage[driven]).to_numpy()
    least = max(np.ptp(voltage) / 2, _TWO_WAYS_V)
    charging = sign[driven] > 0
    if charging.all() or not charging.any():
        if min(rises.max(), falls.max()) > least:
            raise InputError(
                path, f"the current never changes its sign, but the voltage under it rises by"
                f" {rises.max():.3g} V and falls by {falls.max():.3g} V, as on charge and on"
                " discharge",
                field="current_mA",
                remedy='map the column that tells them apart: "state": ["column", {"charge":'
                ' ["C"], "discharge": ["D"], "rest": ["R"]}]',
            )  # fmt: skip
        return
    wrong = min(falls[charging].max(), rises[~charging].max())
    if wrong > least > max(rises[charging].max(), falls[~charging].max()):
        raise InputError(
            path, f"the voltage falls by {falls[charging].max():.3g} V on charge and rises by"
            f" {rises[~charging].max():.3g} V on discharge", field="current_mA",
            remedy="in the column map, put a minus sign before the unit of current where the file"
            " counts discharge as positive, or exchange the states' words",
        )  # fmt: skip
