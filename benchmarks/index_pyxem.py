"""Index a scan with pyxem, after its own examples of orientation mapping in several phases."""

from __future__ import annotations

from benchmarks.task import Task, given

# Polar image: azimuths as in the examples, and radial bins finer than a pixel.
AZIMUTHS, RADII = 360, 100


def load(task: Task, rows: int):
    """The first rows, calibrated."""
    import hyperspy.api as hs
    from pyxem.signals import ElectronDiffraction2D

    patterns = hs.load(str(task.scan), lazy=True).inav[:, :rows].data.compute()
    # pyxem counts azimuths as if y ran upwards; the camera's rows run downwards.
    signal = ElectronDiffraction2D(patterns[:, :, ::-1])
    signal.calibration(scale=task.scale, units="k_A^-1")
    row, column = task.centre
    signal.calibration.center = [column, patterns.shape[2] - 1 - row]
    return signal


def keep_polar_bins(task: Task) -> None:
    """Cut the camera into polar bins once; pyxem does it in every call, seconds for any scan."""
    from pyxem.utils.calibration import Calibration

    bins = load(task, rows=1).calibration.get_slices2d(
        RADII, AZIMUTHS, radial_range=(0.0, task.max_radius)
    )
    Calibration.get_slices2d = lambda self, *arguments, **options: bins


def simulate(task: Task):
    """Templates of all phases over the sectors of their Laue groups, without the direct beam."""
    from diffsims.generators.simulation_generator import SimulationGenerator
    from orix.crystal_map import Phase
    from orix.sampling import get_sample_reduced_fundamental

    phases = []
    for cif, name, group in zip(task.cifs, task.phases, task.laue_groups, strict=True):
        phase = Phase.from_cif(cif)
        phase.name, phase.point_group = name, group
        phases.append(phase)
    generator = SimulationGenerator(
        task.voltage_kv, precession_angle=task.precession_deg, minimum_intensity=1e-4
    )
    return generator.calculate_diffraction2d(
        phases,
        rotation=[
            get_sample_reduced_fundamental(task.resolution_deg, point_group=phase.point_group)
            for phase in phases
        ],
        max_excitation_error=0.01,
        reciprocal_radius=task.max_radius,
        with_direct_beam=False,
    )


def index(task: Task, simulation, rows: int):
    """pyxem's orientation map of the first rows."""
    import numpy as np

    with task.step("load"):
        signal = load(task, rows)
    with task.step("polar"):
        polar = signal.get_azimuthal_integral2d(
            npt=RADII, npt_azim=AZIMUTHS, mean=True, radial_range=(0.0, task.max_radius)
        )
        # Without it the diffuse light outweighs the spots: half of the orientations are wrong.
        polar = polar.subtract_diffraction_background("radial median")
        polar.data = np.maximum(polar.data, 0)
        polar = polar**task.gamma
    with task.step("orientations"):
        # With n_best=1 and several phases the map's own conversions fail (0.21).
        return polar.get_orientation(
            simulation, n_best=2, frac_keep=task.frac_keep, normalize_templates=True
        )


def to_answer(found, simulation):
    """Phase and orientation, frame to crystal, of every pattern.

    Not by pyxem's `to_rotation`, which comes out half a turn about the beam away: the rotation
    column is a shift of the azimuth, whose axis starts at -180 degrees.
    """
    import numpy as np

    from phasefront.diffraction import rotations

    index, _, azimuth, mirror = np.moveaxis(found.data[..., 0, :].reshape(-1, 4), -1, 0)
    index, half = index.astype(int), np.deg2rad(azimuth + 180) / 2
    sizes = np.cumsum([own.size for own in simulation.rotations])
    template = np.concatenate([own.data for own in simulation.rotations])[index]
    # A mirror image of the pattern, (x, -y), is the crystal turned by 180 degrees about y.
    mirrored = rotations.multiply(template, np.array([0.0, 0.0, 1.0, 0.0]))
    template = np.where(mirror[:, None] > 0, template, mirrored)
    back = np.stack([np.cos(half), 0 * half, 0 * half, -np.sin(half)], axis=-1)
    return np.searchsorted(sizes, index, side="right"), rotations.multiply(template, back)


def main() -> None:
    import hyperspy.api as hs

    hs.set_log_level("ERROR")
    hs.preferences.General.show_progressbar = False
    task = given()
    with task.aside("library"):
        simulation = simulate(task)
    with task.aside("polar bins"):
        keep_polar_bins(task)
    with task.aside("warm-up"):
        index(task, simulation, rows=1)
    task.counted.clear()

    found = index(task, simulation, task.rows)
    with task.step("orientations"):
        phase, rotation = to_answer(found, simulation)
    task.answer(
        phase, rotation, templates=sum(own.size for own in simulation.rotations),
        packages="pyxem diffsims orix hyperspy numpy numba",
    )  # fmt: skip


if __name__ == "__main__":
    main()
