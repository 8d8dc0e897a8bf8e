"""Index a scan with py4DSTEM: disks by correlation with the probe, one orientation plan a phase."""

from __future__ import annotations

import contextlib
import io
import warnings

from benchmarks.task import Task, given

# Least height of a disk in the correlation: finds about as many as phasefront's spots, 30.
LEAST = 0.5
# 1/angstrom. At its default, 0.08, a third of LiFePO4 and FePO4 are taken for each other.
KERNEL = 0.04


def load(task: Task, rows: int, columns: int | None = None):
    """The first rows as a calibrated DataCube; its first axis of the camera is x."""
    import py4DSTEM
    from rsciio.blockfile import file_reader

    patterns = file_reader(task.scan, lazy=True)[0]["data"][:rows, :columns].compute()
    cube = py4DSTEM.DataCube(patterns.swapaxes(2, 3).astype("float32"))
    cube.calibration.set_Q_pixel_size(task.scale)
    cube.calibration.set_Q_pixel_units("A^-1")
    cube.calibration.set_origin((task.centre[1], task.centre[0]))
    cube.calibration.set_ellipse((1, 1, 0))
    cube.calibration.set_QR_rotation_degrees(0)
    cube.calibration.set_QR_flip(False)
    return cube


def make_plans(task: Task):
    """A Crystal with its orientation plan for every phase."""
    import numpy as np
    from py4DSTEM.process.diffraction import Crystal
    from py4DSTEM.process.diffraction.crystal_ACOM import orientation_ranges

    plans = []
    for atoms, group in zip(task.atoms, task.laue_groups, strict=True):
        crystal = Crystal(atoms["positions"], atoms["numbers"], atoms["cell"], atoms["occupancy"])
        crystal.calculate_structure_factors(task.max_radius)
        crystal.orientation_plan(
            zone_axis_range=np.array(orientation_ranges[group][0]),
            angle_step_zone_axis=task.resolution_deg, accel_voltage=1e3 * task.voltage_kv,
            precession_angle_degrees=task.precession_deg, corr_kernel_size=KERNEL,
            progress_bar=False,
        )  # fmt: skip
        plans.append(crystal)
    return plans


def index(task: Task, plans, rows: int, columns: int | None = None):
    """Correlation and orientation matrix of each phase, the first rows flattened."""
    import numpy as np
    from py4DSTEM.braggvectors import Probe

    with task.step("load"):
        cube = load(task, rows, columns)
    with task.step("disks"):
        probe = Probe.generate_synthetic_probe(task.spot_radius, 1.0, cube.Qshape)
        kernel = probe.get_probe_kernel_edge_sigmoid(
            probe.probe, (task.spot_radius, 2 * task.spot_radius)
        )
        peaks = cube.find_Bragg_disks(
            template=kernel, corrPower=1, sigma_cc=1, subpixel="poly", minAbsoluteIntensity=LEAST,
            minRelativeIntensity=0, minPeakSpacing=4, edgeBoundary=3, maxNumPeaks=100,
        )  # fmt: skip
        peaks.calibration = cube.calibration
        peaks.setcal()
        leave_out_beam(task, peaks)
    with task.step("orientations"):
        maps = [plan.match_orientations(peaks, progress_bar=False) for plan in plans]
    corr = np.stack([found.corr[..., 0].ravel() for found in maps])
    matrix = np.stack([found.matrix[..., 0, :, :].reshape(-1, 3, 3) for found in maps])
    return corr, matrix


def leave_out_beam(task: Task, peaks) -> None:
    """Take away what is found on the direct beam."""
    import numpy as np

    for row, column in np.ndindex(peaks.Rshape):
        found = peaks._v_uncal[row, column]
        away = np.hypot(found.data["qx"] - task.centre[1], found.data["qy"] - task.centre[0])
        found.remove(away < task.beam_radius)


def main() -> None:
    import numpy as np
    from scipy.spatial.transform import Rotation

    task = given()
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        with task.aside("library"):
            plans = make_plans(task)
        with task.aside("warm-up"):
            index(task, plans, rows=1, columns=1)
        task.counted.clear()
        corr, matrix = index(task, plans, task.rows)
    phase = corr.argmax(axis=0)
    chosen = matrix[phase, np.arange(len(phase))]
    phase[corr.max(axis=0) <= 0] = -1
    rotation = np.roll(Rotation.from_matrix(chosen).as_quat(), 1, axis=1)
    task.answer(
        phase, rotation, templates=int(sum(plan.orientation_num_zones for plan in plans)),
        packages="py4DSTEM numpy",
    )  # fmt: skip


if __name__ == "__main__":
    main()
