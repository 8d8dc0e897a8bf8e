"""Protochips .csv: an electrical or electrothermal holder, each record with its own time."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from phasefront.core import moments
from phasefront.core.errors import InputError
from phasefront.cycling.logs.mapped import refuse_wrong_sign
from phasefront.cycling.logs.text import numbers, read_lines, read_table

_REMEDY = "export the holder's log again, as csv"
_CURRENT = re.compile(r"Channel (\w+) Current")
# Of the notes in the first records, and what they are worth in s, mA and V.
_UNITS = {
    "Time units": {"Milliseconds": 1e-3, "Seconds": 1.0},
    "Current units": {"Amps": 1e3, "Milliamps": 1.0},
    "Voltage units": {"Volts": 1.0, "Millivolts": 1e-3},
}
_DATE, _CLOCK = "Date (yyyy.mm.dd)", "Time (hh:mm:ss.ms)"


def is_one(lines: list[str]) -> bool:
    """Whether a csv begins as those of Protochips do."""
    return bool(lines) and [cell.strip() for cell in lines[0].split(",")[:2]] == ["Time", "Notes"]


def read(path: Path) -> pd.DataFrame:
    """Columns of `records.tidy` from a Protochips csv with one channel that carries current.

    Its clock is not even, and is kept as it is. The records at its head, whose notes are a header,
    hold no measurement and are left out.

    Raises
    ------
    InputError
        No channel carries current, or several do; the notes lack a unit or name an unknown one.
    """
    table = read_table("\n".join(read_lines(path)), ",", path)
    notes = table["Notes"].str.strip()
    header = dict(
        (part.strip() for part in note.split("=", 1)) for note in notes if "=" in note
    )  # fmt: skip
    measured = np.flatnonzero(~notes.str.contains("=", regex=False))
    table = table.iloc[measured[0] if measured.size else len(table) :].reset_index(drop=True)
    unit = {name: _unit(header, name, path) for name in _UNITS}
    channel = _channel(table, path)
    voltage = f"Channel {channel} Voltage"
    if voltage not in table:
        raise InputError(path, "the column is missing", field=voltage, remedy=_REMEDY)
    raw = pd.DataFrame(
        {
            "time_s": unit["Time units"] * numbers(table, "Time", path),
            "voltage_V": unit["Voltage units"] * numbers(table, voltage, path),
            "current_mA": unit["Current units"]
            * numbers(table, f"Channel {channel} Current", path),
        }
    )
    refuse_wrong_sign(raw, path)
    raw.attrs["started"] = (
        moments.from_numbers(header[_DATE], header[_CLOCK], f"{_DATE} and {_CLOCK} of its notes")
        if {_DATE, _CLOCK} <= set(header)
        else moments.Stamp(None, f"its notes have no {_DATE} and {_CLOCK}")
    )
    return raw


def _unit(header: dict[str, str], name: str, path: Path) -> float:
    known = _UNITS[name]
    if header.get(name) not in known:
        raise InputError(
            path, f"its notes say {header.get(name, 'nothing')!r}", field=name,
            remedy=f"the units that are known are {', '.join(known)}: give a column map with units",
        )  # fmt: skip
    return known[header[name]]


def _channel(table: pd.DataFrame, path: Path) -> str:
    """The one channel through which current flows."""
    channels = [found[1] for name in table if (found := _CURRENT.fullmatch(name))]
    flowing = [
        name for name in channels if np.any(numbers(table, f"Channel {name} Current", path) != 0)
    ]
    if len(flowing) == 1:
        return flowing[0]
    problem = (
        f"current flows through the channels {' and '.join(flowing)}"
        if flowing
        else f"no current flows through a channel ({', '.join(channels) or 'it has none'})"
    )
    raise InputError(
        path, problem, field="Channel Current",
        remedy="give a column map with the columns of the cell"
        if flowing
        else "name the log of the cell's potentiostat",
    )  # fmt: skip
