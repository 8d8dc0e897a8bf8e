"""The scans of a series on the positions of the first: alignment, and what each saw there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.layouts.phases import UNINDEXED, VACUUM
from phasefront.layouts.series import ALIGNMENT
from phasefront.series import alignment, turns
from phasefront.series.clocks import start_of_scan
from phasefront.series.images import Picture

# Quantiles of counts by which two cameras' scales are compared: beam and background are left out.
_QUANTILES = np.linspace(0.5, 0.999, 60)
# Fewer scans are no series.
_FEWEST = 2


def in_order(series: str, scans: Mapping[str, xr.Dataset]) -> list[str]:
    """Names of the scans (SCAN) of a series in the order of their times.

    Raises InputError where there are fewer than two, or it is not known when one began.
    """
    if len(scans) < _FEWEST:
        (scan,) = scans.values()
        raise InputError(
            scan.attrs["file"], f"the series {series!r} has one scan, and nothing to follow",
            field="series", remedy="give its other scans the same series in the table of scans, or"
            " leave its series out",
        )  # fmt: skip
    return sorted(scans, key=lambda name: (start_of_scan(scans[name]), name))


def align_series(
    series: str,
    scans: Mapping[str, xr.Dataset],
    grains: Mapping[str, xr.Dataset],
    symmetry: np.ndarray,
) -> xr.Dataset:
    """ALIGNMENT data set of a series.

    Parameters
    ----------
    series
        Its name.
    scans, grains
        SCAN and GRAINS data sets of its scans, by name.
    symmetry
        Proper rotations (n, 4) of the parent lattice.

    Raises
    ------
    InputError
        One scan alone, or the first one has no grain that could be followed.
    """
    order = in_order(series, scans)
    first = _picture(scans[order[0]], grains[order[0]])
    if not len(first.rotation):
        raise InputError(
            scans[order[0]].attrs["file"], f"no grain was found in {order[0]!r}, the first scan of"
            f" the series {series!r}, so that none can be followed", field="series",
            remedy="begin the series with a scan that shows grains, or lower grains.min_positions",
        )  # fmt: skip
    rows = [
        _row(first, _picture(scans[name], grains[name]), symmetry, same=name == order[0])
        | _intensities(scans[order[0]], scans[name])
        for name in order
    ]
    values = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    return netcdf.build(ALIGNMENT, {"scan": order, **values}, {"series": series})


def _picture(scan: xr.Dataset, grains: xr.Dataset) -> Picture:
    return Picture(
        grains["label"].to_numpy(),
        grains["rotation"].to_numpy().reshape(-1, 4),
        scan["dark_field"].to_numpy().astype("f8"),
    )


def _row(first: Picture, other: Picture, symmetry: np.ndarray, *, same: bool) -> dict:
    found = alignment.unmoved(first) if same else alignment.align(first, other, symmetry)
    parts = found.parts
    shape = first.label.shape
    of_grains = turns.turns_of_grains(first, other, found.partner, symmetry)
    return {
        "matrix": found.matrix, "shift": found.shift, "covariance": found.covariance,
        "stderr": found.stderr(shape), "turn": parts["turn"], "scale": parts["scale"],
        "drift": np.array([parts["drift_y"], parts["drift_x"]]), "covered": found.covered,
        "new": found.new(shape, other.label.shape), "agreeing": found.agreeing,
        "problem": found.problem, "partner": found.partner, "grain_turn": of_grains,
    }  # fmt: skip


def _intensities(first: xr.Dataset, other: xr.Dataset) -> dict[str, float]:
    """How the counts of a scan go with those of the first.

    Quantiles of the mean patterns are compared, since the sample turns: writers of block files may
    scale each scan to its own range, by a power.
    """
    one, two = (np.quantile(scan["mean_pattern"].to_numpy(), _QUANTILES) for scan in (first, other))
    told = (one > 0) & (two > 0)
    if np.unique(one[told]).size < 3:
        return {"intensity_exponent": np.nan, "intensity_factor": np.nan}
    exponent = np.polyfit(np.log(one[told]), np.log(two[told]), 1)[0]
    factor = np.exp(np.median(np.log(two[told] / one[told])))
    return {"intensity_exponent": float(exponent), "intensity_factor": float(factor)}


@dataclass(frozen=True)
class Seen:
    """What the scans of a series saw at the places of the first scan's grains.

    Arrays are (place, scan), NaN where a scan did not see the place's grain there. Each scan has
    positions of its own, and what it saw is of the nearest one: turned by few degrees, neighbouring
    places are read up to half a position aside, along a whole grain to the same side.
    """

    y: np.ndarray  # (place,) row and
    x: np.ndarray  # column in the first scan
    grain: np.ndarray  # (place,)
    read: np.ndarray  # (place, scan, 2) row and column on the first of what was seen
    content: np.ndarray  # ions per formula unit
    stderr: np.ndarray
    time: np.ndarray  # s on the log's time, and as follows where a scan did not see the place
    charge: np.ndarray  # mA h passed until then
    shear: float  # the first scan's own drift from row to row in positions, a standard deviation


def see(
    aligned: xr.Dataset,
    phases: Mapping[str, xr.Dataset],
    grains: Mapping[str, xr.Dataset],
    times: Mapping[str, xr.Dataset],
    field: Sequence[int],
) -> Seen:
    """What the scans saw at the places of the first scan's grains.

    Parameters
    ----------
    aligned
        ALIGNMENT data set.
    phases, grains, times
        PHASES, GRAINS and TIMES data sets of its scans, by name.
    field
        Numbers of the two phases between which ions contents are told; what is decided for
        another is not seen.
    """
    order = [str(name) for name in aligned["scan"].to_numpy()]
    label = grains[order[0]]["label"].to_numpy()
    y, x = np.nonzero(label >= 0)
    grain = label[y, x]
    columns = {name: np.full((len(y), len(order)), np.nan) for name in _SEEN}
    read = np.repeat(np.stack([y, x], axis=1)[:, None].astype("f8"), len(order), axis=1)
    for at, name in enumerate(order):
        of_scan = aligned.isel(scan=at)
        placed = times[name]
        columns["time"][:, at] = float(placed["time"].mean())
        columns["charge"][:, at] = float(placed["charge"].mean())
        if str(of_scan["problem"].item()):
            continue
        values = np.append(of_scan["matrix"].to_numpy(), of_scan["shift"].to_numpy())
        there, inside = alignment.nearest(values, label.shape, placed["time"].shape)
        (row, column), inside = there[:, y, x], inside[y, x]
        read[:, at] = alignment.back(values, label.shape, there[:, y, x]).T
        for quantity in ("time", "charge"):
            values = placed[quantity].to_numpy()[row, column]
            columns[quantity][:, at] = np.where(inside, values, columns[quantity][:, at])
        decision = phases[name]["decision"].to_numpy()[row, column]
        own = grains[name]["label"].to_numpy()[row, column]
        partner = of_scan["partner"].to_numpy()[grain]
        told = inside & (own == partner) & (partner >= 0)
        told &= ~np.isin(decision, (VACUUM, UNINDEXED))
        told &= (decision < 0) | np.isin(decision, field)
        for quantity, variable in (("content", "ion_content"), ("stderr", "ion_content_stderr")):
            values = phases[name][variable].to_numpy()[row, column].astype("f8")
            columns[quantity][:, at] = np.where(told, values, np.nan)
    known = np.isfinite(columns["content"]) & (columns["stderr"] > 0)
    for quantity in ("content", "stderr"):
        columns[quantity] = np.where(known, columns[quantity], np.nan)
    return Seen(y, x, grain, read, **columns, shear=_own_shear(aligned))


def _own_shear(aligned: xr.Dataset) -> float:
    """How far the first scan drifts from row to row along each axis, for all that is known: as far
    as others do, whose drift beyond its own holds both."""
    other = (aligned["problem"].to_numpy() == "")[1:]
    beyond = aligned["drift"].to_numpy()[1:][other]
    return float(np.sqrt((beyond**2).mean() / 2)) if other.any() else 0.0


_SEEN = ("content", "stderr", "time", "charge")


def field_of(
    phases: Mapping[str, xr.Dataset], fields: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    """The two-phase field (rich, poor) that most of the decided positions of a series are of."""
    counts = [
        sum(int(np.isin(one["decision"].to_numpy(), field).sum()) for one in phases.values())
        for field in fields
    ]
    return fields[int(np.argmax(counts))]
