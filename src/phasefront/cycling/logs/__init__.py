"""Galvanostatic logs of any cycler as one table.

Each format has a module that reads a file into columns of known units; `records` makes the table
of them, with the clock by `clock` and the charge by `charge`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from phasefront.core.errors import InputError
from phasefront.cycling.logs import (
    arbin,
    bdf,
    eclab,
    gamry,
    mapped,
    neware,
    protochips,
    records,
    text,
)
from phasefront.cycling.logs.bdf import BDF_CURRENT, BDF_TIME, BDF_VOLTAGE
from phasefront.cycling.logs.charge import capacity_difference, half_cycle_charge
from phasefront.cycling.logs.records import CHARGE, CONSTANT_VOLTAGE, DISCHARGE, REST, STEP_TYPES

__all__ = [
    "BDF_CURRENT", "BDF_TIME", "BDF_VOLTAGE", "CHARGE", "CONSTANT_VOLTAGE", "DISCHARGE", "REST",
    "STEP_TYPES", "capacity_difference", "half_cycle_charge", "read_log",
]  # fmt: skip

_READERS = {
    ".mpr": eclab.read_binary,
    ".mpt": eclab.read_text,
    ".nda": neware.read,
    ".ndax": neware.read,
    ".res": arbin.read,
    ".dta": gamry.read,
    ".csv": lambda path: (protochips if protochips.is_one(text.read_lines(path)) else bdf).read(
        path
    ),
}


def read_log(
    path: str | Path, *, columns: Mapping | None = None, timezone: str | None = None
) -> pd.DataFrame:
    """Read a cycler's log into one tidy table.

    Parameters
    ----------
    path
        EC-Lab or BT-Lab .mpr or .mpt, Neware .nda or .ndax, Arbin .res, Gamry .DTA, BDF or
        Protochips .csv; or any delimited text if `columns` is given.
    columns
        For other text: `{"time": (column, unit), "voltage": ..., "current": ...}` and optionally
        `"step"` with unit "1". Units: ms s min h d, or for clocks h:mm:ss (days before it
        allowed), h:mm, m:ss, date (ISO 8601) or a format of strptime; mV V; A mA uA nA, where a
        minus sign before the unit says that the file counts discharge as positive.
        `"state": (column, {"charge": [words], "discharge": [words], "rest": [words]})` gives
        currents without sign their sign. `"decimal"` and `"thousands"` are signs in numbers.

    timezone
        IANA name of the zone of dates in a text without one, by `columns`: so that an hour which
        clocks were put forward or back is none that passed.

    Returns
    -------
    One row a record: time_s, elapsed_s (the same with pauses that the instrument's time leaves out;
    NaN where it is not known when a record was taken), voltage_V, current_mA (positive on charge),
    capacity_mAh (net charge since the first row: by the instrument's own counter if it has one,
    else integrated),
    integrated_capacity_mAh, instrument_capacity_mAh (NaN if it has no counter), step_type (one of
    `STEP_TYPES`), and from 0: step, half_cycle, cycle. A step is a run of one step number of the
    instrument and one type. A half cycle is a run of one sign of current; a rest, and impedance
    measured at rest, belong to the half cycle before. A cycle is a charge with the discharge after
    it, and what comes before the first charge belongs to the first cycle.
    `attrs["source"]` is the path, `attrs["started"]` when time_s was zero by the file (a
    `core.moments.Stamp`), `attrs["warnings"]` a list of sentences on what had to be mended:
    where, and what it changes.

    Raises
    ------
    InputError
        The file is missing, of an unknown or broken format, empty, lacks a column, has values that
        are not finite numbers or may be read in two ways, or says what cannot be: time that runs
        backwards or for decades, a charge that is not the one counted, a current without sign.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            path, "there is no such log", remedy="correct the path in the table of logs"
        )
    if columns is not None:
        return records.tidy(mapped.read(path, columns, timezone=timezone), path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            path, f"no cycler format is known by the ending {path.suffix!r}",
            remedy=f"use one of {' '.join(_READERS)} or give a column map with units",
        )  # fmt: skip
    return records.tidy(reader(path), path)
