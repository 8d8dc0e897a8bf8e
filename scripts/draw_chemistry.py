"""Draw a stack with its drift and spectra, and the map of chemistry from it."""

from phasefront.records.job import Job


def draw_chemistry(job):
    from phasefront.core import netcdf
    from phasefront.layouts.chemistry import CHEMISTRY
    from phasefront.layouts.stacks import DENSITY
    from phasefront.report.figures import chemistry, style

    density, found = netcdf.read(job.density, DENSITY), netcdf.read(job.chemistry, CHEMISTRY)
    style.save(chemistry.draw_density(density), job.stack)
    style.save(chemistry.draw_chemistry(found), job.map)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("density", "optical density of the stack").input("chemistry", "map of chemistry")
    job.output("stack", "PNG of the stack").output("map", "PNG of the map")
    job.run(draw_chemistry)
