"""The clock of a scan and that of its log, brought together by what both are on any clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import xarray as xr

from phasefront.core.errors import InputError


def start_of_scan(scan: xr.Dataset) -> datetime:
    """When a scan (SCAN) began; raises InputError where that or its zone is not known."""
    return _absolute(scan.attrs, "start", "clock", name="scan", table="the table of scans")


def start_of_log(cycling: xr.Dataset) -> datetime:
    """When the time of a log (CYCLING) was zero; raises InputError as `start_of_scan`."""
    return _absolute(
        cycling.attrs, "started", "started_from", name="log", table="the table of logs"
    )


def _absolute(attrs: Mapping, key: str, source: str, *, name: str, table: str) -> datetime:
    said, text = attrs[source], attrs[key]
    if not text:
        raise InputError(
            attrs["file"], f"it is not known when the {name} {attrs[name]!r} began: {said}",
            field="start", remedy=f"give start in {table}, as ISO 8601 with its offset",
        )  # fmt: skip
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise InputError(
            attrs["file"], f"the start of the {name} {attrs[name]!r}, {text} by {said}, is of an"
            " unknown zone", field="start",
            remedy=f"give the file's timezone in {table}, or start with its offset",
        )  # fmt: skip
    return moment
