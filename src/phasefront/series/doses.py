"""Electrons that a region got from the scans of a series."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from datetime import datetime

import xarray as xr

from phasefront.core.errors import InputError
from phasefront.experiment.settings.series import SeriesMember
from phasefront.series.clocks import start_of_scan


def dose_so_far(
    scan: str, members: Sequence[SeriesMember], scans: Mapping[str, xr.Dataset]
) -> float:
    """Electrons per square angstrom by the scans of a series up to one of them, that included.

    All scans of a series are of one region, so that a position of a scan got the dose of each scan
    before it: electrons a position over the square of the step. NaN where one of them states no
    electrons or has no step.

    Parameters
    ----------
    scan
        The scan up to which doses are added.
    members
        All scans of the series, in any order.
    scans
        SCAN data set of each of them, by name.

    Raises
    ------
    InputError
        It is not known when a scan began, or two of them were taken at the same time.
    """
    starts = {member.scan: start_of_scan(scans[member.scan]) for member in members}
    order = sorted(members, key=lambda member: (starts[member.scan], member.scan))
    for one, other in itertools.pairwise(order):
        _refuse_overlap(scans[one.scan], starts[one.scan], scans[other.scan], starts[other.scan])
    names = [member.scan for member in order]
    return sum(_dose(member, scans[member.scan]) for member in order[: names.index(scan) + 1])


def _dose(member: SeriesMember, scan: xr.Dataset) -> float:
    step = member.scan_step_nm or float(scan.attrs["scan_step_nm"])
    if member.electrons_per_position is None:
        return math.nan
    return member.electrons_per_position / (10 * step) ** 2


def _refuse_overlap(one: xr.Dataset, first: datetime, other: xr.Dataset, second: datetime) -> None:
    """One microscope takes one scan at a time: else a start or a zone is wrong."""
    last = float(one["position_time"].max())
    if (second - first).total_seconds() < last or second == first:
        raise InputError(
            other.attrs["file"], f"the scan {other.attrs['scan']!r} began at"
            f" {second.isoformat()}, before {one.attrs['scan']!r}, begun at {first.isoformat()},"
            " had ended", field="start",
            remedy="correct start, end or timezone of one of them in the table of scans",
        )  # fmt: skip
