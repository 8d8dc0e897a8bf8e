"""Index a scan with phasefront: spots, orientations, and the phase by likelihood or decision."""

from benchmarks.task import Task, given


def calibrated(task: Task, rows: int, columns: int):
    """The true geometry as a CALIBRATION dataset."""
    import numpy as np

    from phasefront.core import netcdf
    from phasefront.layouts.calibration import CALIBRATION

    at = np.ones((rows, columns))
    return netcdf.build(
        CALIBRATION,
        {
            "centre_y": task.centre[0] * at, "centre_x": task.centre[1] * at,
            "centre_residual": 0 * at, "centre_stderr": 0.0,
            "affine": task.scale * np.eye(2), "affine_stderr": np.zeros((2, 2)),
            "scale": task.scale, "scale_stderr": 0.0,
            "ellipse_ratio": 1.0, "ellipse_ratio_stderr": 0.0, "ellipse_angle": 0.0,
            "probe_radius": task.probe_radius, "spot_radius": task.spot_radius,
            "beam_radius": task.beam_radius, "mask": np.ones(task.camera),
            "dark_rows": np.zeros(task.camera[0]), "dark_columns": np.zeros(task.camera[1]),
            "dark_reach": 0.0, "electron": 0.0,
            "afterglow": 0.0, "afterglow_stderr": 0.0,
            "outward_shift": 0.0, "outward_shift_stderr": 0.0, "bin_y": [0], "bin_x": [0],
            "residual_y": [[0.0]], "residual_x": [[0.0]], "residual_count": [[0]],
        },
        {"scan": "bench", "method": "given", "spots_used": 0, "residual_rms": 0.0},
    )  # fmt: skip


class FirstRows:
    """The first rows of a scan, in blocks of the usual size."""

    def __init__(self, path, rows: int):
        from phasefront.scans import files

        self.whole = files.open_scan(path)
        self.shape = (rows, *self.whole.shape[1:])

    def blocks(self):
        for start in range(0, self.shape[0], self.whole.block_rows):
            stop = min(start + self.whole.block_rows, self.shape[0])
            yield slice(start, stop), self.whole.read_rows(start, stop)


def index(task: Task, crystals, templates, rows: int):
    """Spots, orientations and phases of the first rows."""
    from phasefront.diffraction.candidates import CandidatePhases
    from phasefront.orientations import indexing
    from phasefront.phases import decisions
    from phasefront.spots import vectors

    with task.step("spots"):
        scan = FirstRows(task.scan, rows)
        calibration = calibrated(task, *scan.shape[:2])
        found = vectors.find_spots(
            scan.blocks(), calibration, max_radius=task.max_radius, scan="bench"
        )
    with task.step("orientations"):
        indexed = indexing.find_orientations(found, templates, crystals)
    yield indexed
    with task.step("decision"):
        phases = decisions.decide_phases(
            found, indexed, templates, CandidatePhases(crystals), raw=(scan, calibration)
        )
    yield phases


def main() -> None:
    import numpy as np

    from phasefront.diffraction.crystals import read_crystals
    from phasefront.diffraction.templates import simulate_templates

    task = given()
    crystals = read_crystals(task.cifs, task.phases)
    with task.aside("library"):
        templates = simulate_templates(
            crystals, voltage_kv=task.voltage_kv, precession_deg=task.precession_deg,
            resolution_deg=task.resolution_deg, max_radius=task.max_radius,
        )  # fmt: skip
    facts = {"templates": templates.sizes["template"], "packages": "phasefront numpy numba"}
    with task.aside("warm-up"):
        list(index(task, crystals, templates, rows=1))
    task.counted.clear()

    steps = index(task, crystals, templates, task.rows)
    orientations = next(steps)
    likelihood = orientations["log_likelihood"].values[..., 0].reshape(-1, len(crystals))
    rotation = orientations["rotation"].values[..., 0, :].reshape(-1, len(crystals), 4)
    answered = np.isfinite(likelihood).any(axis=1)
    best = np.where(np.isfinite(likelihood), likelihood, -np.inf).argmax(axis=1)
    each = np.arange(len(best))
    task.answer(np.where(answered, best, -1), rotation[each, best], **facts)

    phases = next(steps)
    decision = np.maximum(phases["decision"].values.ravel(), -1)
    rotation = phases["rotation"].values.reshape(-1, len(crystals), 4)
    task.answer(decision, rotation[each, np.maximum(decision, 0)], name="-decided", **facts)


if __name__ == "__main__":
    main()
