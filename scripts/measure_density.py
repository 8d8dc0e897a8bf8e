"""Take drift out of an X-ray stack, and work out its optical density."""

from phasefront.experiment.settings.stacks import StackSettings
from phasefront.records.job import Job


def measure_density(job):
    from phasefront.core import netcdf
    from phasefront.layouts.stacks import DENSITY, STACK
    from phasefront.stacks import density

    measured = density.measure_density(
        netcdf.read(job.measured, STACK),
        align=job.settings.align,
        max_density=job.settings.max_density,
        stray_share=job.settings.stray_share,
    )
    netcdf.write(measured, job.density, DENSITY)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("measured", "stack as measured").settings("settings", StackSettings)
    job.output("density", "netCDF file to write")
    job.run(measure_density)
