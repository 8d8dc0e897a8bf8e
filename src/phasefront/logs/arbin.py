"""Arbin .res: an Access database, of which mdb-export of mdbtools gives the table of records."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd

from phasefront.errors import InputError
from phasefront.logs import charge
from phasefront.logs.text import first_column, numbers, read_table


def read(path: Path) -> pd.DataFrame:
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
    table = read_table(done.stdout, ",", path)
    tests = table["Test_ID"].nunique() if "Test_ID" in table else 1
    if tests > 1:
        raise InputError(
            path, f"the file holds {tests} tests", field="Test_ID",
            remedy="export each test to a file of its own",
        )  # fmt: skip
    column = {
        name: numbers(table, first_column(table, (name,), path, "export the log as csv"), path)
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
            "gain_mAh": 1e3
            * charge.counted_gain(
                column["Charge_Capacity"], column["Discharge_Capacity"], column["Step_Index"]
            ),
        }
    )
