"""Index the spots of every position against every phase's templates."""

from phasefront.config import Material, OrientationSettings
from phasefront.provenance.job import Job


def find_orientations(job):
    from phasefront import layouts, netcdf, orientations
    from phasefront.crystals import read_crystals

    crystals = read_crystals(job.cifs, job.material.names)
    with netcdf.opened(job.spots, layouts.SPOTS) as spots:
        parts = orientations.stream_orientations(
            spots,
            netcdf.read(job.templates, layouts.TEMPLATES),
            crystals,
            n_best=job.settings.n_best,
            min_spots=job.settings.min_spots,
            position_sigma=job.position_sigma,
            device=job.settings.device,
        )
        netcdf.write_parts(
            parts,
            job.orientations,
            layouts.ORIENTATIONS,
            *orientations.constants(spots, crystals),
        )


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("spots", "Bragg vectors").input("templates", "templates of the instrument")
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("material", Material).settings("settings", OrientationSettings)
    job.parameter("position-sigma", "largest error of a spot's position, 1/A", type=float)
    job.output("orientations", "netCDF file to write")
    job.run(find_orientations)
