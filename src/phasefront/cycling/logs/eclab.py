"""EC-Lab and BT-Lab of BioLogic: binary .mpr by galvani, and the text export .mpt."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from phasefront.core import moments
from phasefront.core.errors import InputError
from phasefront.cycling.logs.clock import restarts, run_on
from phasefront.cycling.logs.records import (
    CURRENT_CONTROL,
    NO_CONTROL,
    UNKNOWN_CONTROL,
    VOLTAGE_CONTROL,
)
from phasefront.cycling.logs.text import first_column, numbers, parse, read_lines, read_table

_MODES = {1: CURRENT_CONTROL, 2: VOLTAGE_CONTROL, 3: NO_CONTROL}
_FIRST_LINES = ("EC-Lab ASCII FILE", "BT-Lab ASCII FILE")
_POTENTIALS = tuple(
    form.format(name)
    for name in ("Ewe", "Ecell", "Ewe-Ece")
    for form in ("{}/V", "<{}>/V", "<{}/V>")
)
# Names in brackets are means over the interval before a record.
_CURRENTS, _MEAN_CURRENTS = ("I/mA",), ("<I>/mA", "<I/mA>")
# Charge of the interval before a record, and since the start of the technique, in mAh.
_GAINS = {"dq/mA.h": 1.0, "dQ/mA.h": 1.0, "dq/C": 1 / 3.6, "dQ/C": 1 / 3.6}
_COUNTERS = {"(Q-Qo)/mA.h": 1.0, "(Q-Qo)/C": 1 / 3.6}  # mAh
# Dates of a header: 'Acquisition started on : 01/10/2024 11:02:29.886'.
_DATED = re.compile(r"^\s*([^:]+?)\s*:\s*(\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4})\s+([\d:.,]+)\s*$")
_LOOP = re.compile(r"Loop \d+ from point number \d+ to (\d+)\s*$")
_STARTED = "Acquisition started on"
_REMEDY = "export it with time/s, Ewe/V, and I/mA or mode, control and dq"


def read_binary(path: Path) -> pd.DataFrame:
    """Columns of `records.tidy` from an .mpr file."""
    from galvani import BioLogic

    def load():
        with path.open("rb") as stream:
            return BioLogic.MPRfile(stream)

    file = parse(path, "EC-Lab .mpr", load)
    table = pd.DataFrame(file.data)
    if "flags" in table:
        table["mode"] = file.get_flag("mode")
    raw = _from_table(table, path)
    # Of the log module, which a file with external devices may lack.
    started = getattr(file, "timestamp", None)
    raw.attrs["started"] = (
        moments.Stamp(None, "the file has no log module, which holds the start")
        if started is None
        else moments.Stamp(_to_milliseconds(started), "the log module of the .mpr")
    )
    return raw


def _to_milliseconds(moment: datetime) -> datetime:
    """EC-Lab keeps days as a double, of which the digits beyond milliseconds say nothing."""
    microseconds = round(moment.microsecond, -3) - moment.microsecond
    return moment + timedelta(microseconds=microseconds)


def read_text(path: Path) -> pd.DataFrame:
    """Columns of `records.tidy` from an .mpt file, with its header."""
    lines = read_lines(path)
    if not lines or not lines[0].startswith(_FIRST_LINES):
        raise InputError(
            path, f"the first line is not {' or '.join(map(repr, _FIRST_LINES))}",
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
    table = read_table("\n".join(lines[header - 1 :]), "\t", path)
    _refuse_lost_records(lines[:header], len(table), path)
    raw = _from_table(table, path)
    raw.attrs["started"] = _started(lines[:header])
    return raw


def _refuse_lost_records(header: list[str], count: int, path: Path) -> None:
    """A header with loops says which records these are: the last one is the file's last."""
    last = max((int(found[1]) for line in header if (found := _LOOP.match(line))), default=-1)
    if last >= count:
        raise InputError(
            path, f"its loops reach to record {last + 1}, the file to {count}", field="Loop",
            remedy="the file is cut short: export it again",
        )  # fmt: skip


def _started(header: list[str]) -> moments.Stamp:
    """When time/s was zero: the start of the acquisition, and not of the technique."""
    dated = {found[1]: found.groups()[1:] for line in header if (found := _DATED.match(line))}
    if _STARTED not in dated:
        return moments.Stamp(None, f"the header has no {_STARTED!r}")
    others = [date for date, _ in dated.values()]
    return moments.from_numbers(*dated[_STARTED], _STARTED, others=others)


def _from_table(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Columns of EC-Lab, by the names of both its binary and its text files."""
    time = numbers(table, first_column(table, ("time/s",), path, _REMEDY), path)
    raw = pd.DataFrame(
        {
            "time_s": time,
            "voltage_V": numbers(table, first_column(table, _POTENTIALS, path, _REMEDY), path),
            "current_mA": _current(table, time, path),
        }
    )
    raw.attrs["mean_current"] = not _has(table, _CURRENTS) and bool(_has(table, _MEAN_CURRENTS))
    if "Ns" in table:
        raw["instrument_step"] = numbers(table, "Ns", path)
    if "mode" in table:
        mode = pd.Series(numbers(table, "mode", path))
        raw["control"] = mode.map(_MODES).fillna(UNKNOWN_CONTROL)
    if "freq/Hz" in table:
        # At a frequency, the current column holds amplitudes or single points of the oscillation.
        raw["impedance"] = numbers(table, "freq/Hz", path) > 0
    gain = _gain(table, path)
    if gain is not None:
        raw["gain_mAh"] = gain
    elif name := _has(table, _COUNTERS):
        counter = run_on(_COUNTERS[name] * numbers(table, name, path), restarts(time, path))
        raw["gain_mAh"] = np.diff(counter, prepend=counter[:1])
    return raw


def _has(table: pd.DataFrame, names) -> str:
    """The first of the names that the table has, or an empty text."""
    return next((name for name in names if name in table), "")


def _gain(table: pd.DataFrame, path: Path) -> np.ndarray | None:
    """Charge of the interval before each record, where the instrument gives it, mAh."""
    name = _has(table, _GAINS)
    return _GAINS[name] * numbers(table, name, path) if name else None


def _current(table: pd.DataFrame, time: np.ndarray, path: Path) -> np.ndarray:
    """Measured current if exported; else the set one, and the charge's slope at set potential."""
    if name := _has(table, (*_CURRENTS, *_MEAN_CURRENTS)):
        return numbers(table, name, path)
    mode = numbers(table, first_column(table, ("mode",), path, _REMEDY), path)
    control_name = first_column(table, ("control/V/mA", "control/mA"), path, _REMEDY)
    control = numbers(table, control_name, path)
    galvanostatic, potentiostatic = (
        pd.Series(mode).map(_MODES).to_numpy() == wanted
        for wanted in (CURRENT_CONTROL, VOLTAGE_CONTROL)
    )
    current = np.where(galvanostatic, control, 0.0)
    if potentiostatic.any():
        charge = _gain(table, path)
        if charge is None:
            first_column(table, tuple(_GAINS), path, _REMEDY)
        interval = np.diff(time, prepend=time[0])
        slope = np.divide(
            3600 * charge, interval, out=np.full(len(time), np.nan), where=interval > 0
        )
        current[potentiostatic] = pd.Series(slope).ffill().bfill().to_numpy()[potentiostatic]
    return current
