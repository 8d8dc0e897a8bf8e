"""Match the Bragg vectors of a whole scan with py4DSTEM, one orientation plan a phase.

Runs in py4DSTEM's own environment. The answer is written after every row of positions, and a later
run with the same settings goes on from there: the real particle takes 20 minutes and more.
"""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.task import Task, given


def make_plans(task: Task):
    """A Crystal with its orientation plan for every phase, all else at py4DSTEM's defaults."""
    from py4DSTEM.process.diffraction import Crystal
    from py4DSTEM.process.diffraction.crystal_ACOM import orientation_ranges

    plans = []
    for atoms, group in zip(task.atoms, task.laue_groups, strict=True):
        crystal = Crystal(atoms["positions"], atoms["numbers"], atoms["cell"], atoms["occupancy"])
        crystal.calculate_structure_factors(task.max_radius)
        zones, fibre_axis, fibre_angles = orientation_ranges[group]
        crystal.orientation_plan(
            zone_axis_range=zones if isinstance(zones, str) else np.array(zones),
            fiber_axis=fibre_axis, fiber_angles=fibre_angles,
            angle_step_zone_axis=task.resolution_deg, accel_voltage=1e3 * task.voltage_kv,
            progress_bar=False,
        )  # fmt: skip
        crystal.orientation_ref = SummedPlan(crystal.orientation_ref)
        plans.append(crystal)
    return plans


class SummedPlan:
    """Stands for py4DSTEM's plan; its product with a pattern is summed over the shells."""

    def __init__(self, plan: np.ndarray):
        """`plan` (zones, shells, azimuths): complex spectra, of real values, over the azimuth."""
        self.azimuths = plan.shape[2]
        half = plan[:, :, : self.azimuths // 2 + 1]
        self.spectra = np.ascontiguousarray(half.transpose(2, 0, 1), dtype=np.complex64)

    def __mul__(self, pattern: np.ndarray) -> np.ndarray:
        """`pattern` (1, shells, azimuths); the sum of products is (zones, 1, azimuths)."""
        count = len(self.spectra)
        half = self.spectra @ pattern[0, :, :count].T[:, :, None].astype(np.complex64)
        summed = np.empty((self.spectra.shape[1], 1, self.azimuths), dtype=np.complex128)
        summed[:, 0, :count] = half[:, :, 0].T
        summed[:, 0, count:] = summed[:, 0, 1 : self.azimuths - count + 1][:, ::-1].conj()
        return summed


def match(plans, qx, qy, intensity) -> tuple[np.ndarray, np.ndarray]:
    """Correlation (phase,) and orientation matrix (phase, 3, 3) of one pattern."""
    from py4DSTEM import PointList

    points = np.zeros(len(qx), dtype=[("qx", "f8"), ("qy", "f8"), ("intensity", "f8")])
    points["qx"], points["qy"], points["intensity"] = qx, qy, intensity
    found = [plan.match_single_pattern(PointList(points), verbose=False) for plan in plans]
    return np.array([one.corr[0] for one in found]), np.array([one.matrix[0] for one in found])


def started(answer: Path, settings: str, shape: tuple[int, int, int]) -> dict:
    """What an earlier run with the same settings left, else an empty answer."""
    if answer.exists():
        with np.load(answer) as data:
            if str(data["settings"]) == settings:
                return {key: data[key] for key in data.files}
    return {
        "settings": settings,
        "version": version("py4DSTEM"),
        "rows_done": 0,
        "seconds": 0.0,
        "correlation": np.full(shape, np.nan),
        "matrix": np.full((*shape, 3, 3), np.nan),
    }


def main() -> None:
    task = given()
    spots = np.load(task.spots)
    answer = Path(task.matches)
    height, width = task.shape
    state = started(answer, task.fingerprint, (height, width, len(task.atoms)))
    if state["rows_done"] == height:
        return
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        plans = make_plans(task)
        for row in range(int(state["rows_done"]), height):
            start = time.perf_counter()
            for column in range(width):
                place = row * width + column
                here = slice(spots["offset"][place], spots["offset"][place + 1])
                # py4DSTEM's x runs along the rows of the camera.
                state["correlation"][row, column], state["matrix"][row, column] = match(
                    plans, spots["qy"][here], spots["qx"][here], spots["intensity"][here]
                )
            state["rows_done"] = row + 1
            state["seconds"] = float(state["seconds"]) + time.perf_counter() - start
            part = answer.with_suffix(".part.npz")
            np.savez_compressed(part, **state)
            part.replace(answer)
            print(f"row {row + 1} of {height}", flush=True)


if __name__ == "__main__":
    main()
