"""A correlation as a data set, and what a file of numbers says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from phasefront.core import netcdf
from phasefront.correlation.common_grid import CommonGrid, Quantity
from phasefront.correlation.following import Follows
from phasefront.correlation.verdict import Expected, Verdict
from phasefront.layouts.correlation import CORRELATION, CORRELATION_TABLE, WHOLE
from phasefront.layouts.dimensions import named_ends
from phasefront.layouts.registration import ACCEPTED
from phasefront.registration.laying import Laid, Status

# Of the draws of a registration every fourth: 50 tell a standard deviation to a tenth. Chosen.
_EVERY = 4
_INTERVALS = ("correlation", "slope", "difference")


def as_dataset(
    structure: Quantity, chemistry: Quantity, systematic: np.ndarray, thickness: np.ndarray,
    laid: Laid, verdict: Verdict, expected: Expected, *, distance_nm: np.ndarray,
    attributes: Mapping[str, str],
) -> xr.Dataset:  # fmt: skip
    """CORRELATION of a map and a scan; without an accepted registration there are no numbers.

    Parameters
    ----------
    structure, chemistry, systematic, thickness
        As `verdict.follow` takes them.
    distance_nm
        From the interface (y, x).
    attributes
        `scan`, `map`, `quantity` and `unit`.
    """
    shape, step = structure.value.shape, structure.pixel_nm
    known = laid.status == Status.ACCEPTED
    draws = laid.draws[::_EVERY] if known else ()
    nowhere = np.full(shape, np.nan)
    maps = dict.fromkeys(
        ("structure", "structure_stderr", "chemistry", "chemistry_stderr", "chemistry_systematic",
         "registration_stderr"), nowhere,
    )  # fmt: skip
    drawn = np.full((len(draws), *shape), np.nan)
    if known:
        grid = CommonGrid(shape, step, step)
        seen = grid.of_scan(structure, chemistry, thickness)
        laid_here = grid.of_map(chemistry, laid.best)
        shared = grid.of_map(replace(chemistry, value=systematic), laid.best).value
        drawn = np.stack([grid.of_map(chemistry, one).value for one in draws])
        there = np.isfinite(drawn).all(axis=0)
        spread = np.where(there, np.where(there, drawn, 0.0).std(axis=0), np.nan)
        maps = {
            "structure": seen.value, "structure_stderr": seen.stderr,
            "chemistry": laid_here.value, "chemistry_stderr": laid_here.stderr,
            "chemistry_systematic": shared, "registration_stderr": spread,
        }  # fmt: skip
    parts = {WHOLE: verdict.whole, **verdict.parts}
    return netcdf.build(
        CORRELATION,
        maps | _columns(list(parts.values()), known)
        | {"draw_chemistry": drawn, "interface_distance": distance_nm, "part": list(parts)},
        {
            **attributes, "status": laid.status.name.lower(), "registration_why": laid.why,
            "answer": verdict.answer, "why": verdict.why, "scan_step_nm": step,
            "map_pixel_nm": chemistry.pixel_nm,
            "expected_slope": np.nan if expected.slope is None else expected.slope,
            "offset": np.nan if expected.offset is None else expected.offset,
            "slope_systematic": verdict.shared.slope if known else np.nan,
            "mean_systematic": verdict.shared.mean if known else np.nan,
        },
    )  # fmt: skip


def _columns(parts: Sequence[Follows], known: bool) -> dict[str, np.ndarray]:
    """Numbers of parts by the names of CORRELATION; none where the map is not laid."""
    columns = {
        name: np.array([getattr(part, name) for part in parts], "f8")
        for name in ("effective", "chance", "partial", "partial_chance")
    }
    columns["slope_lost"] = np.array([part.lost for part in parts], "f8")
    for name in _INTERVALS:
        columns |= named_ends(name, np.array([getattr(part, name) for part in parts]).T)
    if not known:
        columns = {name: np.full(len(parts), np.nan) for name in columns}
    points = np.array([part.points if known else 0 for part in parts])
    return columns | {"points": points}


def tabulated(correlation: xr.Dataset) -> pd.DataFrame:
    """CORRELATION_TABLE of one CORRELATION data set: a row a part."""
    of_all = ("scan", "quantity", "unit", "status", "answer", "why", "slope_systematic")
    same = {"stack": correlation.attrs["map"]} | {name: correlation.attrs[name] for name in of_all}
    own = [name for name in CORRELATION_TABLE.columns if name not in same]
    frame = pd.DataFrame({name: correlation[name].to_numpy() for name in own}).assign(**same)
    return frame[list(CORRELATION_TABLE.columns)]


def summary(correlation: xr.Dataset, registration: xr.Dataset) -> dict:
    """What a correlation says, as JSON takes it; without numbers where the map is not laid."""
    said, laid = correlation.attrs, registration.attrs
    error = registration["position_stderr"].to_numpy()
    here = error[np.isfinite(correlation["chemistry"].to_numpy())]
    found = {
        "stack": said["map"], "scan": said["scan"], "quantity": said["quantity"],
        "unit": said["unit"], "answer": said["answer"], "why": said["why"],
        "registration": {
            "status": laid["status"], "why": laid["why"],
            "chi_squared": _number(laid["chi_squared"]),
        },
    }  # fmt: skip
    if laid["status"] != ACCEPTED:
        return found
    found["registration"] |= {
        "scale": float(laid["scale"]), "scale_stderr": float(laid["scale_stderr"]),
        "angle_deg": float(laid["angle_deg"]), "mirrored": bool(laid["mirrored"]),
        "error_nm": _number(np.median(here)) if here.size else None,
        "landmarks": len(registration["landmark_held"]),
        "landmarks_held": int(registration["landmark_held"].sum()),
    }  # fmt: skip
    expected = ("expected_slope", "offset", "slope_systematic", "mean_systematic")
    found |= {name: _number(said[name]) for name in expected}
    found["parts"] = {
        str(part): _told(correlation.isel(part=at))
        for at, part in enumerate(correlation["part"].to_numpy())
    }
    return found


def _told(part: xr.Dataset) -> dict:
    single = ("points", "effective", "chance", "partial", "partial_chance", "slope_lost")
    told = {name: _number(part[name].item()) for name in single}
    for name in _INTERVALS:
        told[name] = {
            end: _number(part[f"{name}{suffix}"].item())
            for end, suffix in (("value", ""), ("low", "_low"), ("high", "_high"))
        }
    return told


def _number(value: float) -> float | int | None:
    return value if isinstance(value, int) else float(value) if np.isfinite(value) else None
