"""Index the spots of every position against every phase's templates."""

from phasefront.experiment.settings.orientations import OrientationSettings
from phasefront.records.job import Job


def find_orientations(job):
    from phasefront.core import netcdf
    from phasefront.diffraction.crystals import read_crystals
    from phasefront.layouts.orientations import ORIENTATIONS
    from phasefront.layouts.spots import SPOTS
    from phasefront.layouts.templates import TEMPLATES
    from phasefront.orientations import indexing

    crystals = read_crystals(job.cifs, job.names)
    with netcdf.opened(job.spots, SPOTS) as spots:
        parts = indexing.stream_orientations(
            spots,
            netcdf.read(job.templates, TEMPLATES),
            crystals,
            n_best=job.settings.n_best,
            min_spots=job.settings.min_spots,
            position_sigma=job.position_sigma,
            device=job.settings.device,
        )
        netcdf.write_parts(
            parts,
            job.orientations,
            ORIENTATIONS,
            *indexing.constants(spots, crystals),
        )


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("spots", "Bragg vectors").input("templates", "templates of the instrument")
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("names", list[str]).settings("settings", OrientationSettings)
    job.parameter("position-sigma", "largest error of a spot's position, 1/A", type=float)
    job.output("orientations", "netCDF file to write")
    job.run(find_orientations)
