"""Draw where a map of chemistry lies on a scan, and how sure that is."""

from phasefront.records.job import Job


def draw_registration(job):
    from phasefront.core import netcdf
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.registration import REGISTRATION
    from phasefront.report.figures import registration as pictures
    from phasefront.report.figures import style

    figure = pictures.draw_registration(
        netcdf.read(job.registration, REGISTRATION), netcdf.read(job.grains, GRAINS)
    )
    style.save(figure, job.figure)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("registration", "where the map lies").input("grains", "grains of the scan")
    job.output("figure", "PNG to write")
    job.run(draw_registration)
