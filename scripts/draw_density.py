"""Draw the optical density of an X-ray stack: mean image, spectra, drift."""

from phasefront.records.job import Job


def draw_density(job):
    from phasefront.core import netcdf
    from phasefront.layouts.stacks import DENSITY
    from phasefront.report.figures import chemistry, style

    style.save(chemistry.draw_density(netcdf.read(job.density, DENSITY)), job.figure)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("density", "optical density of the stack").output("figure", "PNG to write")
    job.run(draw_density)
