"""The Battery Data Format as csv, under its preferred labels or its machine-readable names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from phasefront.core import moments
from phasefront.core.errors import InputError
from phasefront.cycling.logs import charge, mapped, text

BDF_TIME, BDF_VOLTAGE, BDF_CURRENT = "Test Time / s", "Voltage / V", "Current / A"
_MACHINE_NAMES = {
    "test_time_second": BDF_TIME,
    "voltage_volt": BDF_VOLTAGE,
    "current_ampere": BDF_CURRENT,
    "unix_time_second": "Unix Time / s",
    "step_count": "Step Count / 1",
    "net_capacity_ah": "Net Capacity / Ah",
    "charging_capacity_ah": "Charging Capacity / Ah",
    "discharging_capacity_ah": "Discharging Capacity / Ah",
}
_UNIX, _STEP, _NET, _CHARGE, _DISCHARGE = list(_MACHINE_NAMES.values())[3:]
_QUANTITIES = {
    "time": (BDF_TIME, "s"),
    "voltage": (BDF_VOLTAGE, "V"),
    "current": (BDF_CURRENT, "A"),
    "step": (_STEP, "1"),
}


def read(path: Path) -> pd.DataFrame:
    """Columns of `records.tidy` from a BDF table."""
    labels = (BDF_TIME, BDF_VOLTAGE, BDF_CURRENT)
    content = text.read_delimited(path, labels)
    if not set(labels) <= set(content.table.columns):
        content = text.read_delimited(path, list(_MACHINE_NAMES)[:3])
    table = content.table.rename(columns=_MACHINE_NAMES)
    missing = [name for name in labels if name not in table]
    if missing:
        raise InputError(
            path, f"the columns {missing} of the Battery Data Format are missing",
            remedy="give a column map with units, for this log's own columns",
        )  # fmt: skip
    content = text.Delimited(table, content.separator)
    quantities = {q: column for q, column in _QUANTITIES.items() if column[0] in table}
    raw = mapped.convert(content, quantities, path)
    mapped.refuse_wrong_sign(raw, path)
    numbers = {
        name: text.numbers(table, name, path)
        for name in (_NET, _CHARGE, _DISCHARGE)
        if name in table
    }
    if _NET in numbers:
        raw["gain_mAh"] = 1e3 * pd.Series(numbers[_NET]).diff()
    elif _CHARGE in numbers and _DISCHARGE in numbers:
        step = np.asarray(raw.get("instrument_step", np.zeros(len(raw))))
        raw["gain_mAh"] = 1e3 * charge.counted_gain(numbers[_CHARGE], numbers[_DISCHARGE], step)
    if _UNIX in table and len(raw):
        time, absolute = raw["time_s"].to_numpy(), text.numbers(table, _UNIX, path)
        raw["elapsed_s"] = absolute - absolute[0] + time[0]
        raw.attrs["started"] = moments.from_unix(absolute[0] - time[0], f"its column {_UNIX!r}")
    return raw
