"""Galvanostatic logs of any cycler as one table.

Current and capacity are positive on charge (ions leave the cathode), capacity is the net charge
passed since the first row. Steps, half cycles and cycles are counted here, from 0, and not by the
instrument, since instruments disagree on how to count, and some skip numbers.
"""

from __future__ import annotations

import io
import itertools
import shutil
import subprocess
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.integrate import cumulative_trapezoid

from phasefront.errors import InputError

REST, CHARGE, DISCHARGE, CONSTANT_VOLTAGE = "rest", "charge", "discharge", "constant voltage"
STEP_TYPES = (REST, CHARGE, DISCHARGE, CONSTANT_VOLTAGE)

# Where the instrument does not say what it does, a current below this share of the log's largest is
# a rest (cyclers report some offset there), and a voltage within the tolerance of a step's last one
# is held while the current falls below a share of the step's.
_REST_SHARE = 1e-3
_HELD_VOLTAGE_V = 2e-3
_HELD_CURRENT_SHARE = 0.95
_CURRENT_CONTROL, _VOLTAGE_CONTROL, _NO_CONTROL, _UNKNOWN_CONTROL = "current", "voltage", "no", ""
# Time stamps of simultaneous rows differ by rounding; more than this backwards is an error.
_BACKWARD_TOLERANCE_S = 0.01

_UNITS = {
    "time": {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0},
    "voltage": {"mV": 1e-3, "V": 1.0},
    "current": {"A": 1e3, "mA": 1.0, "uA": 1e-3, "µA": 1e-3, "nA": 1e-6},
    "step": {"1": 1.0},
}
_TIDY_NAME = {
    "time": "time_s",
    "voltage": "voltage_V",
    "current": "current_mA",
    "step": "instrument_step",
}
BDF_TIME, BDF_VOLTAGE, BDF_CURRENT = "Test Time / s", "Voltage / V", "Current / A"
_BDF_COLUMNS = {
    "time": (BDF_TIME, "s"),
    "voltage": (BDF_VOLTAGE, "V"),
    "current": (BDF_CURRENT, "A"),
}
_BDF_OPTIONAL = ("Step Count / 1", "Charging Capacity / Ah", "Discharging Capacity / Ah")


def read_log(
    path: str | Path, *, columns: Mapping[str, Sequence[str]] | None = None
) -> pd.DataFrame:
    """Read a cycler's log into one tidy table.

    Parameters
    ----------
    path
        EC-Lab .mpr or .mpt, Neware .nda or .ndax, Arbin .res, Gamry .DTA, BDF .csv; or any
        delimited text if `columns` is given.
    columns
        For other text: `{"time": (column, unit), "voltage": ..., "current": ...}` and optionally
        `"step"` with unit "1". Units: ms s min h d, mV V, A mA uA nA; a minus sign before the
        unit of current says that the file counts discharge as positive.

    Returns
    -------
    One row a record: time_s, voltage_V, current_mA (positive on charge), capacity_mAh (net charge
    since the first row, integrated), instrument_capacity_mAh (the same by the instrument's own
    counter, NaN if it has none), step_type (one of `STEP_TYPES`), and from 0: step, half_cycle,
    cycle. A step is a run of one step number of the instrument and one type. A half cycle is a run
    of one sign of current; a rest belongs to the half cycle before. A cycle is a charge with the
    discharge after it, and what comes before the first charge belongs to the first cycle.
    `attrs["source"]` is the path, `attrs["warnings"]` a list of sentences on what had to be mended:
    where the clock starts again from zero, as after a restart of the instrument, time runs on.

    Raises
    ------
    InputError
        The file is missing, of an unknown or broken format, empty, lacks a column, has values that
        are not finite numbers, or time that runs backwards.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            path, "there is no such log", remedy="correct the path in the table of logs"
        )
    if columns is not None:
        raw = _read_mapped_text(path, columns)
    else:
        reader = _READERS.get(path.suffix.lower())
        if reader is None:
            raise InputError(
                path, f"no cycler format is known by the ending {path.suffix!r}",
                remedy=f"use one of {' '.join(_READERS)} or give a column map with units",
            )  # fmt: skip
        raw = reader(path)
    return _tidy(raw, path)


def _tidy(raw: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table of `read_log` from checked time_s, voltage_V, current_mA and what else there is."""
    if len(raw) < 2:
        raise InputError(
            path, f"the log holds {len(raw)} records, two are needed",
            remedy="export the log again, with its data",
        )  # fmt: skip
    table = raw.reset_index(drop=True)
    for name in ("time_s", "voltage_V", "current_mA"):
        bad = np.flatnonzero(~np.isfinite(table[name].to_numpy(dtype="f8")))
        if bad.size:
            raise InputError(
                path, f"{bad.size} values are no finite number",
                field=f"{name}, record {bad[0] + 1}",
                remedy="export the log again or delete these records",
            )  # fmt: skip
    clock = table["time_s"].to_numpy(dtype="f8")
    restarts = _restarts(clock)
    time = _run_on(clock, restarts)
    backwards = np.flatnonzero(np.diff(time) < -_BACKWARD_TOLERANCE_S)
    if backwards.size:
        first = backwards[0]
        raise InputError(
            path, f"time runs backwards, from {clock[first]:g} s to {clock[first + 1]:g} s",
            field=f"time_s, record {first + 2}",
            remedy="export the log with the total time since its start, records in order",
        )  # fmt: skip
    time = np.maximum.accumulate(time)
    current = table["current_mA"].to_numpy(dtype="f8")
    voltage = table["voltage_V"].to_numpy(dtype="f8")
    part = np.searchsorted(restarts, np.arange(len(table)), side="right")
    numbered = _count_runs(part, np.asarray(table.get("instrument_step", np.zeros(len(table)))))
    control = np.asarray(table.get("control", np.full(len(table), _UNKNOWN_CONTROL)), dtype=str)
    sign = _current_sign(current, control, numbered)
    step_type = _step_types(voltage, current, sign, control, numbered)
    half_cycle = _count_half_cycles(sign)
    step = _count_runs(numbered, step_type)
    tidy = pd.DataFrame(
        {
            "time_s": time,
            "voltage_V": voltage,
            "current_mA": current,
            "capacity_mAh": _integrate(time, current, step),
            "instrument_capacity_mAh": table.get("instrument_capacity_mAh", np.nan),
            "cycle": _count_cycles(sign),
            "half_cycle": half_cycle,
            "step": step,
            "step_type": step_type,
        }
    )
    tidy.attrs["source"] = str(path)
    tidy.attrs["warnings"] = [
        f"The clock starts again at record {first + 1}; time runs on from the record before, since "
        "the pause between them is not known."
        for first in restarts.tolist()
    ]
    return tidy


def _restarts(clock: np.ndarray) -> np.ndarray:
    """First records after a restart: the clock is back within one interval of zero, and runs on."""
    change = np.diff(clock)
    back = np.flatnonzero(change < -_BACKWARD_TOLERANCE_S) + 1
    forward = change[change > 0]
    if not forward.size:
        return back[:0]
    ends = np.append(back, len(clock))[1:]
    return back[(clock[back] <= np.median(forward)) & (clock[back] >= 0) & (ends - back > 1)]


def _run_on(clock: np.ndarray, restarts: np.ndarray) -> np.ndarray:
    """The clock, with the time before each restart added to what comes after it."""
    time = clock.copy()
    for first in restarts:
        time[first:] += time[first - 1]
    return time


def _current_sign(current: np.ndarray, control: np.ndarray, step: np.ndarray) -> np.ndarray:
    """1 on charge, -1 on discharge, 0 at rest, (n,).

    A record without current in a step that controls current or voltage has the step's sign.
    """
    small = np.abs(current) <= _REST_SHARE * np.abs(current).max()
    sign = np.where(small | (control == _NO_CONTROL), 0, np.sign(current))
    driven = np.isin(control, (_CURRENT_CONTROL, _VOLTAGE_CONTROL))
    within = pd.Series(np.where(sign == 0, np.nan, sign)).groupby(step)
    return np.where(driven & (sign == 0), within.bfill().fillna(within.ffill()).fillna(0), sign)


def _step_types(
    voltage: np.ndarray, current: np.ndarray, sign: np.ndarray, control: np.ndarray,
    step: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """One of STEP_TYPES for each record, (n,)."""
    kinds = np.select([sign > 0, sign < 0], [CHARGE, DISCHARGE], REST).astype(object)
    kinds[(control == _VOLTAGE_CONTROL) & (sign != 0)] = CONSTANT_VOLTAGE
    runs = _count_runs(step, sign, control)
    borders = np.concatenate([[0], np.flatnonzero(np.diff(runs)) + 1, [len(runs)]])
    for first, end in itertools.pairwise(borders):
        if control[first] == _UNKNOWN_CONTROL and sign[first] != 0:
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


def _integrate(time_s: np.ndarray, current_mA: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Net charge in mAh since the first record: trapezoids within each step.

    The current jumps where a step begins, and the interval before a step's first record is part
    of that step (loggers write at the end of an interval), so it carries that record's current.
    """
    charge = cumulative_trapezoid(current_mA, time_s, initial=0.0)
    begins = np.diff(step, prepend=step[0]) > 0
    jump = np.diff(current_mA, prepend=current_mA[0])
    charge += np.cumsum(np.where(begins, jump / 2 * np.diff(time_s, prepend=time_s[0]), 0.0))
    return charge / 3600.0


def half_cycle_charge(log: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Charge passed in each half cycle, mAh: integrated, and by the instrument's counter, (n,)."""
    last = np.flatnonzero(np.diff(log["half_cycle"], append=-1))
    counted = log["instrument_capacity_mAh"].to_numpy(dtype="f8")
    return (
        np.diff(log["capacity_mAh"].to_numpy()[last], prepend=0.0),
        np.diff(counted[last], prepend=counted[0]),
    )


def capacity_difference(log: pd.DataFrame) -> float:
    """Disagreement of the integrated capacity with the instrument's own counter.

    The largest difference of charge over any half cycle, relative to the largest half cycle; NaN
    where the instrument keeps no counter.
    """
    ours, theirs = half_cycle_charge(log)
    if not np.isfinite(theirs).all():
        return float("nan")
    largest = np.abs(theirs).max()
    return float(np.abs(ours - theirs).max() / largest) if largest > 0 else float("nan")


def _net_of_counters(charge: np.ndarray, discharge: np.ndarray) -> np.ndarray:
    """Net capacity of two counters that start again from zero at a step or a cycle."""
    return _unwind(charge) - _unwind(discharge)


def _unwind(counter: np.ndarray) -> np.ndarray:
    counter = np.asarray(counter, dtype="f8")
    gain = np.diff(counter, prepend=counter[:1])
    return np.cumsum(np.where(gain < 0, counter, gain))


# --- formats ---------------------------------------------------------------------------------


def _parse(path: Path, kind: str, load: Callable):
    """What `load()` returns; a third-party parser's failure, of whatever type, as InputError."""
    try:
        return load()
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            path, f"not a readable {kind} file ({type(error).__name__}: {error})",
            remedy="export it again from the cycler's software",
        ) from error  # fmt: skip


_ECLAB_MODES = {1: _CURRENT_CONTROL, 2: _VOLTAGE_CONTROL, 3: _NO_CONTROL}


def _read_eclab_binary(path: Path) -> pd.DataFrame:
    from galvani import BioLogic

    def load():
        with path.open("rb") as stream:
            return BioLogic.MPRfile(stream)

    file = _parse(path, "EC-Lab .mpr", load)
    table = pd.DataFrame(file.data)
    if "flags" in table:
        table["mode"] = file.get_flag("mode")
    return _from_eclab(table, path)


def _read_eclab_text(path: Path) -> pd.DataFrame:
    lines = path.read_text(encoding="latin-1").splitlines()
    if not lines or not lines[0].startswith("EC-Lab ASCII FILE"):
        raise InputError(
            path, "the first line is not 'EC-Lab ASCII FILE'",
            remedy="export the log as text from EC-Lab, with its header",
        )  # fmt: skip
    try:
        header = int(lines[1].split(":")[1])
    except (IndexError, ValueError):
        raise InputError(
            path, "the number of header lines is missing", field="line 2",
            remedy="export the log as text from EC-Lab, with its header",
        ) from None  # fmt: skip
    if len(lines) < header:
        raise InputError(
            path, f"{header} header lines are announced, the file has {len(lines)}",
            field="line 2", remedy="the file is cut short: export it again",
        )  # fmt: skip
    return _from_eclab(_text_table("\n".join(lines[header - 1 :]), "\t", path), path)


def _from_eclab(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Columns of EC-Lab, by the names of both its binary and its text files."""
    remedy = "export it with time/s, Ewe/V, and I/mA or mode, control and dq"
    time = _numbers(table, _first_column(table, ("time/s",), path, remedy), path)
    potentials = ("Ewe/V", "<Ewe>/V", "Ecell/V", "Ewe-Ece/V")
    raw = pd.DataFrame(
        {
            "time_s": time,
            "voltage_V": _numbers(table, _first_column(table, potentials, path, remedy), path),
            "current_mA": _eclab_current(table, time, path, remedy),
        }
    )
    if "Ns" in table:
        raw["instrument_step"] = _numbers(table, "Ns", path)
    if "mode" in table:
        mode = pd.Series(_numbers(table, "mode", path))
        raw["control"] = mode.map(_ECLAB_MODES).fillna(_UNKNOWN_CONTROL)
    if "dq/mA.h" in table:
        raw["instrument_capacity_mAh"] = np.cumsum(_numbers(table, "dq/mA.h", path))
    elif "(Q-Qo)/mA.h" in table:
        counter = _numbers(table, "(Q-Qo)/mA.h", path)
        raw["instrument_capacity_mAh"] = _run_on(counter, _restarts(time))
    return raw


def _eclab_current(table: pd.DataFrame, time: np.ndarray, path: Path, remedy: str) -> np.ndarray:
    """Measured current if exported; else the set one, and the charge's slope at set potential."""
    for name in ("I/mA", "<I>/mA"):
        if name in table:
            return _numbers(table, name, path)
    mode = _numbers(table, _first_column(table, ("mode",), path, remedy), path)
    control_name = _first_column(table, ("control/V/mA", "control/mA"), path, remedy)
    control = _numbers(table, control_name, path)
    galvanostatic, potentiostatic = (
        pd.Series(mode).map(_ECLAB_MODES).to_numpy() == wanted
        for wanted in (_CURRENT_CONTROL, _VOLTAGE_CONTROL)
    )
    current = np.where(galvanostatic, control, 0.0)
    if potentiostatic.any():
        charge = _numbers(table, _first_column(table, ("dq/mA.h",), path, remedy), path)
        interval = np.diff(time, prepend=time[0])
        slope = np.divide(
            3600 * charge, interval, out=np.full(len(time), np.nan), where=interval > 0
        )
        current[potentiostatic] = pd.Series(slope).ffill().bfill().to_numpy()[potentiostatic]
    return current


def _read_neware(path: Path) -> pd.DataFrame:
    import NewareNDA

    def load():
        with warnings.catch_warnings():
            # NewareNDA uses the inplace keyword that pandas 3.1 deprecates.
            warnings.simplefilter("ignore", DeprecationWarning)
            return NewareNDA.read(str(path), log_level="ERROR")

    table = _parse(path, "Neware", load)
    step = table["Step"].to_numpy()
    return pd.DataFrame(
        {
            "time_s": _continuous_time(table["Time"].to_numpy(dtype="f8"), step),
            "voltage_V": table["Voltage"].to_numpy(dtype="f8"),
            "current_mA": table["Current(mA)"].to_numpy(dtype="f8"),
            "instrument_step": step,
            "control": table["Status"].astype(str).map(_neware_control),
            "instrument_capacity_mAh": _net_of_counters(
                table["Charge_Capacity(mAh)"], table["Discharge_Capacity(mAh)"]
            ),
        }
    )


def _neware_control(status: str) -> str:
    """What a step named as 'CC_Chg', 'CV_DChg', 'Rest' ... controls; a CCCV step both in turn."""
    known = {"Rest": _NO_CONTROL, "CC": _CURRENT_CONTROL, "CV": _VOLTAGE_CONTROL}
    return known.get(status.partition("_")[0], _UNKNOWN_CONTROL)


def _continuous_time(step_time: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Time since the start from clocks that start again from zero with every step."""
    begins = np.flatnonzero(np.diff(step, prepend=step[:1])) if len(step) else []
    time = step_time.copy()
    for first in begins:
        time[first:] += time[first - 1] - (time[first] - step_time[first])
    return time


def _read_arbin(path: Path) -> pd.DataFrame:
    program = shutil.which("mdb-export")
    if program is None:
        raise InputError(
            path, "Arbin .res files need the program mdb-export",
            remedy="install mdbtools from your distribution, or export the log as csv",
        )  # fmt: skip
    done = subprocess.run(
        [program, str(path), "Channel_Normal_Table"], capture_output=True, text=True, check=False
    )
    # mdb-export reports an unreadable file on stderr, but ends with 0 on some of them.
    if done.returncode != 0 or not done.stdout.strip():
        raise InputError(
            path, "not a readable Arbin .res file, or without a Channel_Normal_Table",
            remedy="export it again from the cycler's software",
        )  # fmt: skip
    table = _text_table(done.stdout, ",", path)
    tests = table["Test_ID"].nunique() if "Test_ID" in table else 1
    if tests > 1:
        raise InputError(
            path, f"the file holds {tests} tests", field="Test_ID",
            remedy="export each test to a file of its own",
        )  # fmt: skip
    column = {
        name: _numbers(table, _first_column(table, (name,), path, "export the log as csv"), path)
        for name in (
            "Data_Point", "Test_Time", "Voltage", "Current", "Step_Index",
            "Charge_Capacity", "Discharge_Capacity",
        )
    }  # fmt: skip
    order = np.argsort(column["Data_Point"], kind="stable")
    column = {name: values[order] for name, values in column.items()}
    return pd.DataFrame(
        {
            "time_s": column["Test_Time"],
            "voltage_V": column["Voltage"],
            "current_mA": 1e3 * column["Current"],
            "instrument_step": column["Step_Index"],
            "instrument_capacity_mAh": 1e3
            * _net_of_counters(column["Charge_Capacity"], column["Discharge_Capacity"]),
        }
    )


def _read_gamry(path: Path) -> pd.DataFrame:
    """All CURVE tables of a .DTA file, one step each; each has a clock of its own."""
    lines = path.read_text(encoding="latin-1").splitlines()
    starts = [
        number
        for number, line in enumerate(lines)
        if line.startswith("CURVE") and line.split("\t")[1:2] == ["TABLE"]
    ]
    if not starts:
        raise InputError(
            path, "there is no CURVE table",
            remedy="use the .DTA file of a galvanostatic charge or discharge",
        )  # fmt: skip
    tables = []
    for step, start in enumerate(starts):
        body = [line for line in _indented(lines[start + 1 :]) if line.strip()]
        # The second line holds the units, which this format fixes.
        table = _text_table("\n".join(body[:1] + body[2:]), "\t", path)
        column = {
            name: _numbers(table, _first_column(table, (name,), path, "export it again"), path)
            for name in ("T", "Vf", "Im")
        }
        tables.append(
            pd.DataFrame(
                {
                    "time_s": column["T"],
                    "voltage_V": column["Vf"],
                    "current_mA": 1e3 * column["Im"],
                    "instrument_step": step,
                }
            )
        )
    raw = pd.concat(tables, ignore_index=True)
    step = raw["instrument_step"].to_numpy()
    return raw.assign(time_s=_continuous_gamry_time(raw["time_s"].to_numpy(), step))


def _continuous_gamry_time(time: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Each table's clock starts at zero before its first record: add the end of the one before."""
    ends = pd.Series(time).groupby(step).last().to_numpy()
    return time + np.concatenate([[0.0], np.cumsum(ends)[:-1]])[step]


def _indented(lines: list[str]) -> list[str]:
    """The leading lines that begin with a tab."""
    end = next((n for n, line in enumerate(lines) if not line.startswith("\t")), len(lines))
    return lines[:end]


def _read_bdf(path: Path) -> pd.DataFrame:
    table = _delimited(path, [name for name, _ in _BDF_COLUMNS.values()])
    missing = [name for name, _ in _BDF_COLUMNS.values() if name not in table]
    if missing:
        raise InputError(
            path, f"the columns {missing} of the Battery Data Format are missing",
            remedy="give a column map with units, for this log's own columns",
        )  # fmt: skip
    raw = _mapped(table, _BDF_COLUMNS, path)
    step, charge, discharge = _BDF_OPTIONAL
    if step in table:
        raw["instrument_step"] = _numbers(table, step, path)
    if charge in table and discharge in table:
        raw["instrument_capacity_mAh"] = 1e3 * _net_of_counters(
            _numbers(table, charge, path), _numbers(table, discharge, path)
        )
    return raw


def _read_mapped_text(path: Path, columns: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    missing = [name for name in ("time", "voltage", "current") if name not in columns]
    unknown = [name for name in columns if name not in _UNITS]
    if missing or unknown:
        raise InputError(
            path, f"the column map lacks {missing} and has unknown {unknown}", field="columns",
            remedy="map time, voltage, current and, if there is one, step; a curve without time"
            " is no log",
        )  # fmt: skip
    table = _delimited(path, [name for name, _ in columns.values()])
    return _mapped(table, columns, path)


def _mapped(table: pd.DataFrame, columns: Mapping[str, Sequence[str]], path: Path) -> pd.DataFrame:
    """time_s, voltage_V ... from the columns and units of a map."""
    found = {}
    for quantity, (name, unit) in columns.items():
        factors = _UNITS[quantity]
        reversed_sign = quantity == "current" and unit.startswith("-")
        factor = factors.get(unit.removeprefix("-") if reversed_sign else unit)
        if factor is None:
            raise InputError(
                path, f"{unit!r} is no unit of {quantity}", field=f"columns, {quantity}",
                remedy=f"use one of {' '.join(factors)}",
            )  # fmt: skip
        _first_column(table, (name,), path, f"its columns are {list(table.columns)}")
        values = _numbers(table, name, path)
        found[_TIDY_NAME[quantity]] = values * (-factor if reversed_sign else factor)
    return pd.DataFrame(found)


# --- text ------------------------------------------------------------------------------------


def _delimited(path: Path, wanted: list[str]) -> pd.DataFrame:
    """Table of a text file whose header is the first line that has all columns in `wanted`."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    lines = text.splitlines()
    if not lines:
        raise InputError(path, "the log is empty", remedy="export it again, with its data")
    header = next(
        (n for n, line in enumerate(lines[:500]) if all(name in line for name in wanted)), 0
    )
    separator = next((mark for mark in "\t;," if mark in lines[header]), ",")
    return _text_table("\n".join(lines[header:]), separator, path)


def _text_table(text: str, separator: str, path: Path) -> pd.DataFrame:
    """Cells as text; lines cut short are filled with empty cells."""
    try:
        table = pd.read_csv(
            io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, index_col=False
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(
            path, f"not a table of equal columns ({error})", remedy="export the log again"
        ) from error
    return table.rename(columns=str.strip)


def _first_column(table: pd.DataFrame, names: Sequence[str], path: Path, remedy: str) -> str:
    for name in names:
        if name in table:
            return name
    raise InputError(path, "the column is missing", field=" or ".join(names), remedy=remedy)


def _numbers(table: pd.DataFrame, name: str, path: Path) -> np.ndarray:
    """A column as float64, decimal commas allowed; what is no number is an error."""
    column = table[name]
    if column.dtype.kind in "fiub":
        return column.to_numpy(dtype="f8")
    values = pd.to_numeric(column.str.strip().str.replace(",", "."), errors="coerce")
    bad = np.flatnonzero(values.isna())
    if bad.size:
        raise InputError(
            path, f"{column.iloc[bad[0]]!r} is no number", field=f"{name}, record {bad[0] + 1}",
            remedy="export the log again or delete this record",
        )  # fmt: skip
    return values.to_numpy(dtype="f8")


_READERS = {
    ".mpr": _read_eclab_binary,
    ".mpt": _read_eclab_text,
    ".nda": _read_neware,
    ".ndax": _read_neware,
    ".res": _read_arbin,
    ".dta": _read_gamry,
    ".csv": _read_bdf,
}
