"""Neware .nda and .ndax, by fastnda."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from phasefront.core import moments
from phasefront.core.errors import InputError
from phasefront.cycling.logs import charge, clock
from phasefront.cycling.logs.records import (
    CURRENT_CONTROL,
    NO_CONTROL,
    UNKNOWN_CONTROL,
    VOLTAGE_CONTROL,
)
from phasefront.cycling.logs.text import parse

_COLUMNS = (
    "index", "voltage_V", "current_mA", "total_time_s", "step_count", "step_type", "capacity_mAh",
)  # fmt: skip
_CONTROL = {
    "Rest": NO_CONTROL,
    "Pause": NO_CONTROL,
    "OCV": NO_CONTROL,
    "CC": CURRENT_CONTROL,
    "CV": VOLTAGE_CONTROL,
}
# Byte of a .nda file that holds its version, and the version of those with local times.
_VERSION_AT, _LOCAL_VERSION = 14, 29
# Up to this version a header says where records begin and how many bytes they take, in two
# integers of 4 bytes from byte 64 on, or 32 in old ones (as fastnda 1.3 has it for the first; a
# file of version 29 bears the second out). Of later versions no header has been seen.
_LAST_WITH_LENGTH, _RECORDS_AT, _OLD_RECORDS_AT = 29, 64, 32
_OLD_HEADERS = (*range(1, 12), 25, 27)
# The absolute clock of a log is a computer's: it may have been put forward or back by an hour.
_CLOCK_CHANGE_S = 3700.0


def read(path: Path) -> pd.DataFrame:
    """Columns of `records.tidy` from a .nda or .ndax file, of BTS 5 to 9.1.

    Raises
    ------
    InputError
        The file cannot be read, is shorter than its header says, or lasts longer than its absolute
        times allow.
    """
    import fastnda

    _refuse_cut(path)

    def load():
        with (
            warnings.catch_warnings(record=True) as caught,
            tempfile.TemporaryDirectory() as folder,
        ):
            warnings.simplefilter("always")
            # fastnda knows no .NDA.
            link = Path(folder) / f"{path.stem}{path.suffix.lower()}"
            link.symlink_to(path.absolute())
            found = fastnda.read(link)
        return found, [str(one.message) for one in caught]

    found, doubts = parse(path, "Neware", load)
    missing = [name for name in _COLUMNS if name not in found.columns]
    if missing:
        raise InputError(
            path, f"the file has no {missing}", remedy="export the log as text, with its data"
        )
    table = pd.DataFrame({name: found[name].to_list() for name in _COLUMNS})
    time = table["total_time_s"].to_numpy(dtype="f8")
    absolute = None
    if "unix_time_s" in found.columns:
        absolute = np.array(found["unix_time_s"].to_list(), "f8")
        _refuse_longer_than_it_took(time, absolute, path)
    counter = table["capacity_mAh"].to_numpy(dtype="f8")
    raw = pd.DataFrame(
        {
            "time_s": time,
            "voltage_V": table["voltage_V"].to_numpy(dtype="f8"),
            "current_mA": table["current_mA"].to_numpy(dtype="f8"),
            "instrument_step": table["step_count"].to_numpy(),
            "control": table["step_type"].map(_control),
            "gain_mAh": charge.counted_gain(
                np.maximum(counter, 0), np.maximum(-counter, 0), table["step_count"].to_numpy()
            ),
        }
    )
    if absolute is not None and len(time):
        raw["elapsed_s"] = absolute - absolute[0] + time[0]
        if _is_local(path):
            raw["elapsed_s"] = clock.until_apart(time, absolute)
        raw.attrs["started"] = _started(absolute[0] - time[0], path)
    raw.attrs["warnings"] = [f"The reader of Neware files doubts this one: {one}" for one in doubts]
    return raw


def _is_local(path: Path) -> bool:
    """Whether records have the calendar and clock of the computer, as in version 29 of .nda.

    fastnda counts their seconds as if that were UTC.
    """
    return _version(path) == _LOCAL_VERSION


def _refuse_cut(path: Path) -> None:
    """Refuse a .nda file that ends before its records do: fastnda takes as many as there are."""
    version = _version(path)
    if not 1 <= version <= _LAST_WITH_LENGTH:
        return
    at = _OLD_RECORDS_AT if version in _OLD_HEADERS else _RECORDS_AT
    with path.open("rb") as file:
        file.seek(at)
        begin, length = np.frombuffer(file.read(8).ljust(8, b"\0"), "<u4").tolist()
    size = path.stat().st_size
    if begin and length and begin + length > size:
        raise InputError(
            path, f"its records reach to byte {begin + length} by its header, the file to {size}",
            remedy="copy the file again: it was cut",
        )  # fmt: skip


def _version(path: Path) -> int:
    """Of a .nda file; 0 of another."""
    with path.open("rb") as file:
        start = file.read(_VERSION_AT + 1)
    is_nda = path.suffix.lower() == ".nda" and start.startswith(b"NEWARE")
    return start[_VERSION_AT] if is_nda and len(start) > _VERSION_AT else 0


def _started(seconds: float, path: Path) -> moments.Stamp:
    stamp = moments.from_unix(seconds, "the absolute times of its records")
    if stamp.moment is None or not _is_local(path):
        return stamp
    return stamp._replace(moment=stamp.moment.replace(tzinfo=None))


def _control(step_type: str | None) -> str:
    """What a step named as 'CC_Chg', 'CV_DChg', 'Rest' ... controls; a CCCV step both in turn."""
    return _CONTROL.get((step_type or "").partition("_")[0], UNKNOWN_CONTROL)


def _refuse_longer_than_it_took(time: np.ndarray, absolute: np.ndarray, path: Path) -> None:
    if not len(time):
        return
    lasted, took = np.ptp(time), np.ptp(absolute)
    if lasted > 1.01 * took + _CLOCK_CHANGE_S:
        raise InputError(
            path, f"its times add up to {lasted:.6g} s, but by its absolute times it took"
            f" {took:.6g} s", field="total time",
            remedy="export the log as text with its total time, and give a column map",
        )  # fmt: skip
