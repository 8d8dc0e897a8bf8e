"""Draw a map of chemistry with its errors and thickness."""

from phasefront.records.job import Job


def draw_chemistry(job):
    from phasefront.core import netcdf
    from phasefront.layouts.chemistry import CHEMISTRY
    from phasefront.report.figures import chemistry, style

    style.save(chemistry.draw_chemistry(netcdf.read(job.chemistry, CHEMISTRY)), job.figure)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("chemistry", "map of chemistry").output("figure", "PNG to write")
    job.run(draw_chemistry)
