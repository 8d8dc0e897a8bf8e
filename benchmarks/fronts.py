"""How well directions of fronts are told, by size of the grain and by how well its columns are.

`python -m benchmarks.fronts` writes the table that `phasefront plan` reads, in two minutes.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from benchmarks.snapshots import candidates
from phasefront.grains.segmentation import find_grains
from phasefront.interfaces.tracing import trace_interfaces
from phasefront.mechanisms.planning import TRACE_ERRORS
from phasefront.virtual.insertion import seen

POSITIONS = (8, 12, 20, 30)
# Columns of the band, and what the analysis says of positions.
SEEN: Mapping[str, tuple[float, seen.Doubt]] = {
    "clean": (0.0, seen.Doubt(0.08, 0.02, 0.05, wrong=0.0, sharpness=16.0)),
    "clean, without cells": (0.0, seen.Doubt(np.inf, 0.02, 0.05, wrong=0.0, sharpness=16.0)),
    "poor": (6.0, seen.Doubt(0.15, 0.04, 0.10, wrong=0.05, sharpness=5.0)),
    "poor, without cells": (6.0, seen.Doubt(np.inf, 0.04, 0.10, wrong=0.05, sharpness=5.0)),
}  # fmt: skip
_ACROSS = 6  # grains along each side of a field
_MOST = 15.0  # degrees: further off is no trace, and counted apart


def study(seed: int, fields: int) -> list[dict]:
    """A row for each way of seeing and size: share of fronts found, errors and their coverage.

    `sd` is of the fronts within 15 degrees, `astray` the share of found ones that are not;
    `covered` is how often 1.96 standard errors hold the truth.
    """
    cells = list(itertools.product(SEEN, POSITIONS))
    with ProcessPoolExecutor() as pool:
        return list(pool.map(partial(_row, seed, fields), cells))


def _row(seed: int, fields: int, cell: tuple[str, int]) -> dict:
    name, positions = cell
    width, doubt = SEEN[name]
    rng = np.random.default_rng([seed, positions, *name.encode()])
    both = [_field(positions, width, doubt, rng) for _ in range(fields)]
    turn, error = np.concatenate(both, axis=1)
    found = np.isfinite(turn)
    turn, error = turn[found], error[found]
    near = np.abs(turn) < _MOST
    return {
        "seen": name, "positions": positions, "fronts": len(found), "found": float(found.mean()),
        "astray": float(np.mean(~near)), "sd_deg": float(np.sqrt(np.mean(turn[near] ** 2))),
        "stated_deg": float(np.sqrt(np.mean(error[near] ** 2))),
        "covered": float(np.mean(np.abs(turn) < 1.96 * error)),
    }  # fmt: skip


def _field(positions: int, width: float, doubt: seen.Doubt, rng) -> np.ndarray:
    """Error of direction and its standard error (2, grain), degrees; NaN where none is found."""
    box, number = positions + 6, _ACROSS**2
    side = _ACROSS * box
    rich, label = np.zeros((side, side)), np.full((side, side), -1)
    angle = rng.uniform(0.0, 360.0, number)
    part = (np.arange(5) - 2) / 5
    y, x = np.mgrid[:box, :box].astype(float)
    fine_y, fine_x = y[..., None, None] + part[:, None], x[..., None, None] + part
    for grain in range(number):
        middle = (box - 1) / 2 + rng.uniform(-0.5, 0.5, 2)
        normal = np.deg2rad(angle[grain])
        away = (fine_x - middle[1]) * np.cos(normal) + (fine_y - middle[0]) * np.sin(normal)
        away -= rng.uniform(-0.25, 0.25) * positions
        inside = np.hypot(y - middle[0], x - middle[1]) <= positions / 2
        top, left = np.array(divmod(grain, _ACROSS)) * box
        place = np.s_[top : top + box, left : left + box]
        share = np.clip(away / max(width, 1e-9) + 0.5, 0.0, 1.0).mean(axis=(-1, -2))
        rich[place], label[place] = np.where(inside, share, 0.0), np.where(inside, grain, -1)
    phases = candidates()
    rotation = Rotation.random(number, random_state=rng).as_quat(scalar_first=True)
    made = seen.see(rich, label, rotation, phases, pair=(0, 1), doubt=doubt, rng=rng)
    grains = find_grains(made, phases, misorientation_deg=5.0, min_positions=8, scan_step_nm=10.0)
    traced = trace_interfaces(made, grains, phases)
    result = np.full((2, number), np.nan)
    longest = np.zeros(number)
    offset, place = (of.to_numpy() for of in (traced["segment_offset"], grains["label"]))
    for found in range(grains.sizes["grain"]):
        grain = label[place == found].max()
        for segment in range(offset[found], offset[found + 1]):
            length = float(traced["length"][segment])
            error = float(traced["direction_stderr"][segment])
            if np.isfinite(error) and length > longest[grain]:
                longest[grain] = length
                true = angle[grain] - 90.0
                turn = (float(traced["direction"][segment]) - true + 90.0) % 180.0 - 90.0
                result[:, grain] = turn, error
    return result


if __name__ == "__main__":
    made = pd.DataFrame(study(20261130, 4)).round(4)
    made.to_csv(TRACE_ERRORS, index=False, lineterminator="\n")
