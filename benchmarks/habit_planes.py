"""How well the plane that fronts follow is found from their traces, and how sure it says it is."""

from __future__ import annotations

import itertools
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from orix.quaternion import symmetry

from phasefront.mechanisms import habit_plane, sphere
from phasefront.mechanisms.habit_plane import Traces

GRAINS, TRACE_DEG = (5, 10, 20), (2.0, 3.0, 5.0)
OPERATIONS = {"mmm": symmetry.D2.to_matrix(), "4/mmm": symmetry.D4.to_matrix()}
TILT_DEG = 10.0
ASTRAY = 0.2


def study(seed: int, repeats: int) -> list[dict]:
    """A row for each symmetry, with and without tilts, number of grains and error of traces.

    `error_deg` is the 90th percentile of the angle to the true plane; `covered` is how often the
    95 % region holds it, `region_deg` the median angle that holds 95 %.
    """
    cells = list(itertools.product(OPERATIONS, (np.nan, TILT_DEG), GRAINS, TRACE_DEG))
    with ProcessPoolExecutor() as pool:
        return list(pool.map(partial(_row, seed, repeats), cells))


def _row(seed: int, repeats: int, cell: tuple) -> dict:
    group, tilt_deg, grains, trace_deg = cell
    operations = OPERATIONS[group]
    rng = np.random.default_rng([seed, grains, int(trace_deg), len(operations), tilt_deg > 0])
    found = []
    for _ in range(repeats):
        normal, traces = drawn(rng, grains, trace_deg, operations, tilt_error_deg=tilt_deg)
        plane = habit_plane.find(traces, operations, spacing_deg=1.0)
        nearest = sphere.apart_deg(plane.planes, normal, operations).argmin()
        away = sphere.apart_deg(plane.normal, normal, operations)
        found.append((away, plane.region_deg, plane.region[nearest]))
    away, region, held = np.array(found, float).T
    return {
        "symmetry": group, "tilts": bool(tilt_deg > 0), "grains": grains, "trace_deg": trace_deg,
        "repeats": repeats, "error_deg": float(np.quantile(away, 0.9)),
        "region_deg": float(np.median(region)), "covered": float(held.mean()),
    }  # fmt: skip


def random_fronts(seed: int, repeats: int) -> dict:
    """How often fronts of no common plane are taken for fronts of one, at 5 %."""
    with ProcessPoolExecutor() as pool:
        chances = list(pool.map(_chance, np.random.SeedSequence(seed).spawn(repeats)))
    return {"repeats": repeats, "rejected": float(np.mean(np.array(chances) <= 0.05))}


def _chance(seed: np.random.SeedSequence) -> float:
    rng = np.random.default_rng(seed)
    _, traces = drawn(rng, 10, 3.0, OPERATIONS["mmm"], astray=1.0)
    return habit_plane.chance(
        traces, OPERATIONS["mmm"], draws=99, seed=int(rng.integers(2**31)), spacing_deg=4.0
    )


def drawn(
    rng: np.random.Generator, grains: int, trace_deg: float, operations: np.ndarray, *,
    astray: float = ASTRAY, tilt_error_deg: float = np.nan,
) -> tuple[np.ndarray, Traces]:  # fmt: skip
    """A plane's normal (3,) and fronts that follow it in grains of any orientation.

    As often as they are seen; a share of them `astray`, each on a plane of its own.
    """
    normal = _direction(rng)
    rows: list[tuple] = []
    while len(rows) < grains:
        beam = _direction(rng)
        own = operations[rng.integers(len(operations))] @ normal
        own = _direction(rng) if rng.random() < astray else own
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
