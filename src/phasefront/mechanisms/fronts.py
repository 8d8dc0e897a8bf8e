"""Straight fronts of grains as the habit plane needs them, and a null to set beside them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from phasefront.layouts.interfaces import Shape
from phasefront.mechanisms.habit_plane import Traces

# Shapes that a plane leaves; a curve or an outline has no direction of its own.
_STRAIGHT = (Shape.LINE, Shape.BAND)


def traces_of(
    table: pd.DataFrame, interfaces: Mapping[str, xr.Dataset], cameras: Mapping[str, float]
) -> Traces:
    """Traces of all straight fronts in the grains of a table.

    Parameters
    ----------
    table
        Rows of `gathering.grain_table`; its index numbers the grains.
    interfaces
        INTERFACES of each scan.
    cameras
        Standard error of the camera's rotation of each scan, degrees; 0 where it is not known.
    """
    rows = []
    for grain, scan, number in zip(table.index, table["scan"], table["number"], strict=True):
        found = interfaces[scan]
        if found["shape"].to_numpy()[number] not in _STRAIGHT:
            continue
        first, last = found["segment_offset"].to_numpy()[number : number + 2]
        for segment in range(first, last):
            one = found.isel(segment=segment)
            trace, error = one["trace"].to_numpy(), float(one["direction_stderr"])
            if not (np.isfinite(trace).all() and np.isfinite(error)):
                continue
            error = np.hypot(error, cameras.get(scan, 0.0))
            beam = found["beam"].to_numpy()[number]
            tilt = float(one["tilt"]), float(one["tilt_stderr"])
            rows.append((*trace, *beam, error, *tilt, grain))
    columns = np.array(rows, dtype="f8").reshape(-1, 10)
    return Traces(
        trace=columns[:, :3], beam=columns[:, 3:6], error_deg=columns[:, 6],
        tilt_deg=columns[:, 7], tilt_error_deg=columns[:, 8], grain=columns[:, 9].astype(int),
    )  # fmt: skip


def drawn_from_outlines(
    traces: Traces, table: pd.DataFrame, interfaces: Mapping[str, xr.Dataset], *, draws: int,
    seed: int,
) -> tuple[np.ndarray, int]:  # fmt: skip
    """Traces (draw, front, 3) in which each front lies along a straight edge of its own grain.

    Edges come by their length. Fronts of grains without any keep a random direction; the second
    value is how many grains have some.
    """
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0.0, np.pi, (draws, len(traces.trace), 1))
    drawn = np.cos(angle) * traces.trace + np.sin(angle) * np.cross(traces.beam, traces.trace)
    having = set()
    for front, grain in enumerate(traces.grain):
        found = interfaces[table.loc[grain, "scan"]]
        number = table.loc[grain, "number"]
        own = slice(*found["facet_offset"].to_numpy()[number : number + 2])
        facets, length = found["facet_trace"].to_numpy()[own], found["facet_length"].to_numpy()[own]
        known = np.isfinite(facets).all(axis=1)
        if known.any():
            having.add(grain)
            weight = length[known] / length[known].sum()
            drawn[:, front] = facets[known][rng.choice(known.sum(), draws, p=weight)]
    return drawn, len(having)
