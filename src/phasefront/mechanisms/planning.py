"""What so many grains, seen so finely, would tell: power before the microscope session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from phasefront.mechanisms import habit_plane, sphere
from phasefront.mechanisms.habit_plane import Traces

# Errors of traces by size of the grain, made by `python -m benchmarks.fronts`.
TRACE_ERRORS = Path(__file__).with_name("trace_errors.csv")
# Of the fronts that plan a habit plane, as many follow no plane as in the design's tables; tilts
# are as sure as band and thickness make them where the thickness is good to a tenth.
ASTRAY, TILT_DEG = 0.2, 10.0
# Distance of planes that are tried, degrees; chosen for speed.
_SPACING = 2.0


@dataclass(frozen=True)
class Expected:
    """The habit plane that fronts to come would give: 90th percentiles, degrees."""

    error_deg: float
    region_deg: float


def caught_at(place: np.ndarray, share: float) -> np.ndarray:
    """Share of grains caught at places (...) within a field, 0 to 1 of its width.

    Grains that begin evenly over the field and all end within it, so long under way that in the
    middle the share is `share`. Nothing is caught outside of the field.
    """
    place = np.asarray(place, float)
    # A grain is under way for this part of the field: it may begin in the rest of it.
    lasts = share / (1.0 + share)
    inside = np.minimum(place, 1.0 - place) / lasts
    return share * np.clip(inside, 0.0, 1.0)


def trace_error_deg(positions: float, seen: str) -> float:
    """Standard deviation (degree) of a front's direction in grains of so many positions across.

    Between the sizes that were measured by the logarithm; NaN below the smallest. Larger grains
    count as the largest that was measured.

    Parameters
    ----------
    seen
        `clean` or `poor` (`benchmarks.fronts`).
    """
    table = pd.read_csv(TRACE_ERRORS)
    table = table[table.seen == seen].sort_values("positions")
    if positions < table.positions.iloc[0]:
        return float("nan")
    logs = np.interp(np.log(positions), np.log(table.positions), np.log(table.sd_deg))
    return float(np.exp(logs))


def expected_plane(
    grains: int, trace_deg: float, operations: np.ndarray, *, tilts: bool, seed: int,
    repeats: int = 60,
) -> Expected:  # fmt: skip
    """How far off a habit plane from so many caught grains would be, and its 95 % region.

    By simulation: a fifth of the fronts follows no plane.
    """
    rng = np.random.default_rng([seed, grains])
    rows = []
    for _ in range(repeats):
        normal, traces = drawn(
            rng, grains, trace_deg, operations, tilt_error_deg=TILT_DEG if tilts else np.nan
        )
        found = habit_plane.find(traces, operations, spacing_deg=_SPACING)
        rows.append((sphere.apart_deg(found.normal, normal, operations), found.region_deg))
    return Expected(*map(float, np.quantile(rows, 0.9, axis=0)))


def drawn(
    rng: np.random.Generator, grains: int, trace_deg: float, operations: np.ndarray, *,
    astray: float = ASTRAY, tilt_error_deg: float = np.nan, scatter_deg: float = 0.0,
) -> tuple[np.ndarray, Traces]:  # fmt: skip
    """A plane's normal (3,) and fronts that follow it in grains of any orientation.

    As often as they are seen; a share of them `astray`, each on a plane of its own. The others'
    normals scatter about the plane's, by `scatter_deg` along either axis.
    """
    normal = _direction(rng)
    rows: list[tuple] = []
    while len(rows) < grains:
        beam = _direction(rng)
        own = operations[rng.integers(len(operations))] @ normal
        own = _direction(rng) if rng.random() < astray else own
        if scatter_deg > 0.0:
            own = own + np.deg2rad(scatter_deg) * rng.normal(size=3)
            own /= np.linalg.norm(own)
        across = np.cross(own, beam)
        seen = np.linalg.norm(across)
        if rng.random() >= seen:
            continue
        turn = np.deg2rad(rng.normal(0.0, trace_deg))
        trace = np.cos(turn) * across / seen + np.sin(turn) * np.cross(beam, across / seen)
        tilt = abs(np.rad2deg(np.arccos(min(seen, 1.0))) + rng.normal() * tilt_error_deg)
        rows.append((trace, beam, trace_deg, tilt, tilt_error_deg))
    trace, beam, error, tilt, tilt_error = (np.array(one) for one in zip(*rows, strict=True))
    return normal, Traces(trace, beam, error, tilt, tilt_error, np.arange(grains))


def _direction(rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)
