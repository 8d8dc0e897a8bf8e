"""How well the plane that fronts follow is found from their traces, and how sure it says it is."""

from __future__ import annotations

import itertools
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from orix.quaternion import symmetry

from phasefront.mechanisms import habit_plane, sphere
from phasefront.mechanisms.habit_plane import Traces
from phasefront.mechanisms.planning import TILT_DEG, drawn

GRAINS, TRACE_DEG = (5, 10, 20), (2.0, 3.0, 5.0)
OPERATIONS = {"mmm": symmetry.D2.to_matrix(), "4/mmm": symmetry.D4.to_matrix()}


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
    found = [
        _told(drawn(rng, grains, trace_deg, operations, tilt_error_deg=tilt_deg), operations)
        for _ in range(repeats)
    ]
    away, region, held = np.array(found, float).T
    return {
        "symmetry": group, "tilts": bool(tilt_deg > 0), "grains": grains, "trace_deg": trace_deg,
        "repeats": repeats, "error_deg": float(np.quantile(away, 0.9)),
        "region_deg": float(np.median(region)), "covered": float(held.mean()),
    }  # fmt: skip


def _told(made: tuple[np.ndarray, Traces], operations: np.ndarray) -> tuple[float, float, bool]:
    """Angle to the true plane, angle that holds 95 %, whether the region holds it."""
    normal, traces = made
    plane = habit_plane.find(traces, operations, spacing_deg=1.0)
    nearest = sphere.apart_deg(plane.planes, normal, operations).argmin()
    away = sphere.apart_deg(plane.normal, normal, operations)
    return float(away), plane.region_deg, bool(plane.region[nearest])


def as_assumed(seed: int, repeats: int) -> dict:
    """How often 95 % regions hold the plane where fronts scatter, and go astray, as widely as the
    analysis leaves open: 10 grains, traces good to 3 degrees, a third of them with tilts."""
    with ProcessPoolExecutor() as pool:
        held = list(pool.map(_held, np.random.SeedSequence(seed).spawn(repeats)))
    return {"repeats": repeats, "covered": float(np.mean(held))}


def _held(seed: np.random.SeedSequence) -> bool:
    rng = np.random.default_rng(seed)
    operations = OPERATIONS[str(rng.choice(list(OPERATIONS)))]
    made = drawn(
        rng, 10, 3.0, operations, astray=rng.choice(habit_plane.SHARES_ASTRAY),
        scatter_deg=rng.choice(habit_plane.SCATTER_DEG),
        tilt_error_deg=rng.choice([np.nan, np.nan, TILT_DEG]),
    )  # fmt: skip
    return _told(made, operations)[2]


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
