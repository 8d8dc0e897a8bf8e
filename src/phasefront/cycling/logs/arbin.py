"""Arbin .res: an Access database, whose table of records access_parser reads."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from phasefront.core import moments
from phasefront.core.errors import InputError
from phasefront.cycling.logs import charge, clock
from phasefront.cycling.logs.text import first_column, numbers, parse

_TABLE = "Channel_Normal_Table"
_COLUMNS = (
    "Data_Point", "Test_Time", "Voltage", "Current", "Step_Index", "Charge_Capacity",
    "Discharge_Capacity",
)  # fmt: skip


def read(path: Path) -> pd.DataFrame:
    """Columns of `records.tidy` from a .res file that holds one test.

    Raises
    ------
    InputError
        The file is no such database, holds several tests, or lacks a column or records.
    """
    from access_parser import AccessParser

    # It logs what it cannot parse, and then raises: one sentence is enough.
    logging.getLogger("access_parser").setLevel(logging.CRITICAL)

    def load():
        database = AccessParser(str(path))
        found = database.get_table(_TABLE)
        return (
            pd.DataFrame(found.parse()), found.table_header.number_of_rows, _started(database)
        )  # fmt: skip

    table, announced, started = parse(path, "Arbin .res", load)
    if len(table) != announced:
        raise InputError(
            path, f"{announced} records are announced, {len(table)} can be read", field=_TABLE,
            remedy="the file is cut short or damaged: copy or export it again",
        )  # fmt: skip
    tests = table["Test_ID"].nunique() if "Test_ID" in table else 1
    if tests > 1:
        raise InputError(
            path, f"the file holds {tests} tests", field="Test_ID",
            remedy="export each test to a file of its own",
        )  # fmt: skip
    column = {
        name: numbers(table, first_column(table, (name,), path, "export the log as csv"), path)
        for name in _COLUMNS
    }
    order = np.argsort(column["Data_Point"], kind="stable")
    column = {name: values[order] for name, values in column.items()}
    gaps = np.flatnonzero(np.diff(column["Data_Point"]) != 1)
    if gaps.size:
        point = column["Data_Point"][gaps[0]]
        raise InputError(
            path, f"records are missing or stand twice after number {point:.0f}",
            field="Data_Point", remedy="export the test again, or as csv",
        )  # fmt: skip
    raw = pd.DataFrame(
        {
            "time_s": column["Test_Time"],
            "voltage_V": column["Voltage"],
            "current_mA": 1e3 * column["Current"],
            "instrument_step": column["Step_Index"],
            "gain_mAh": 1e3
            * charge.counted_gain(
                column["Charge_Capacity"], column["Discharge_Capacity"], column["Step_Index"]
            ),
        }
    )
    if "DateTime" in table:
        days = numbers(table, "DateTime", path)[order]
        raw["elapsed_s"] = clock.until_apart(column["Test_Time"], 86400 * days)
    raw.attrs["started"] = started
    return raw


def _started(database) -> moments.Stamp:
    """The test's start in the table of the whole file: local, and to the second."""
    name, column = "Global_Table", "Start_DateTime"
    try:
        (days,) = database.get_table(name).parse()[column]
        return moments.from_serial(float(days), f"{column} of {name}")
    except Exception:  # the parser raises whatever it meets; a log without its start is still one
        return moments.Stamp(None, f"the file has no {column} in {name}")
