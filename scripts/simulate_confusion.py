"""Decide simulated patterns of each phase, at the scan's own orientations, strengths and errors."""

from phasefront.experiment.settings.candidates import SharedLattice
from phasefront.experiment.settings.orientations import OrientationSettings
from phasefront.experiment.settings.phases import PhaseSettings
from phasefront.records.job import Job


def simulate_confusion(job):
    from phasefront.confusion import simulation
    from phasefront.core import netcdf
    from phasefront.diffraction.candidates import CandidatePhases
    from phasefront.layouts.confusion import CONFUSION
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.phases import PHASES
    from phasefront.layouts.spots import SPOTS
    from phasefront.layouts.templates import TEMPLATES

    common = {"min_spots": job.orientations.min_spots, "position_sigma": job.position_sigma}
    simulated = simulation.simulate_confusion(
        netcdf.read(job.spots, SPOTS),
        netcdf.read(job.phases, PHASES),
        netcdf.read(job.grains, GRAINS),
        netcdf.read(job.templates, TEMPLATES),
        CandidatePhases.read(
            job.cifs,
            job.names,
            parent_axes=job.shared_lattice.axes,
            ion_contents=job.ion_contents,
            parent_point_group=job.shared_lattice.point_group,
        ),
        positions=job.positions,
        orientation_settings=common
        | {"n_best": job.orientations.n_best, "device": job.orientations.device},
        phase_settings=common | job.decisions.model_dump(),
        seed=job.seed,
    )
    netcdf.write(simulated, job.confusion, CONFUSION)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("spots", "Bragg vectors").input("phases", "phase of every position")
    job.input("grains", "grains of the scan").input("templates", "simulated spots of the phases")
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("names", list[str]).settings("ion-contents", list[float])
    job.settings("shared-lattice", SharedLattice).settings("orientations", OrientationSettings)
    job.settings("decisions", PhaseSettings)
    job.parameter("position-sigma", "largest error of a spot's position, 1/A", type=float)
    job.parameter("positions", "simulated at most, of each phase", type=int, required=True)
    job.parameter("seed", "seed of the simulation", type=int, required=True)
    job.output("confusion", "netCDF file to write")
    job.run(simulate_confusion)
