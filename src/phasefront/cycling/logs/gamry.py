"""Gamry .DTA: all CURVE tables of a file, one step each; each has a clock of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from phasefront.core import moments
from phasefront.core.errors import InputError
from phasefront.cycling.logs.text import first_column, numbers, read_lines, read_table

_UNITS = {"T": "s", "Vf": "V", "Im": "A"}  # "V vs. Ref." is one, too


def read(path: Path) -> pd.DataFrame:
    """Columns of `records.tidy` from a .DTA file."""
    lines = read_lines(path)
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
        _check(lines[start], body, path)
        table = read_table("\n".join(body[:1] + body[2:]), "\t", path)
        column = {
            name: numbers(table, first_column(table, (name,), path, "export it again"), path)
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
    raw = raw.assign(time_s=_continuous_time(raw["time_s"].to_numpy(), step))
    raw.attrs["started"] = _started(lines[: starts[0]])
    if len(starts) > 1:
        raw["elapsed_s"] = np.where(step == 0, raw["time_s"], np.nan)
    return raw


def _check(start: str, body: list[str], path: Path) -> None:
    """Raise InputError where a table has not the records that its first line announces, where it
    does, or other units than this format's: they stand below the names."""
    announced, count = "".join(start.split("\t")[2:3]).strip(), max(len(body) - 2, 0)
    if announced.isdecimal() and int(announced) != count:
        raise InputError(
            path, f"{announced} records are announced, {count} are there", field="CURVE",
            remedy="the file is cut short or damaged: copy it again",
        )  # fmt: skip
    names, units = (line.split("\t") for line in body[:2])
    for name, unit in zip(names, units, strict=False):
        known = _UNITS.get(name.strip())
        if known is not None and not unit.strip().startswith(known):
            raise InputError(
                path, f"its unit is {unit.strip()!r}, not {known}", field=name.strip(),
                remedy="export it again in this unit, or give a column map with units",
            )  # fmt: skip


def _started(header: list[str]) -> moments.Stamp:
    """What DATE and TIME say; to the second, and of a local clock."""
    labels = {
        cells[0]: cells[2]
        for line in header
        if (cells := line.split("\t"))[1:2] == ["LABEL"] and len(cells) > 2
    }
    if not {"DATE", "TIME"} <= set(labels):
        return moments.Stamp(None, "the header has no DATE and TIME")
    return moments.from_numbers(labels["DATE"], labels["TIME"], "DATE and TIME of the header")


def _continuous_time(time: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Each table's clock starts at zero before its first record: add the end of the one before."""
    ends = pd.Series(time).groupby(step).last().to_numpy()
    return time + np.concatenate([[0.0], np.cumsum(ends)[:-1]])[step]


def _indented(lines: list[str]) -> list[str]:
    """The leading lines that begin with a tab."""
    end = next((n for n, line in enumerate(lines) if not line.startswith("\t")), len(lines))
    return lines[:end]
