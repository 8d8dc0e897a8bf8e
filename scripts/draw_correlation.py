"""Draw a map of chemistry beside the structure of the scan that it is laid on."""

from phasefront.records.job import Job


def draw_correlation(job):
    from phasefront.core import netcdf
    from phasefront.layouts.correlation import CORRELATION
    from phasefront.layouts.grains import GRAINS
    from phasefront.report.figures import correlation as pictures
    from phasefront.report.figures import style

    figure = pictures.draw_correlation(
        netcdf.read(job.correlation, CORRELATION), netcdf.read(job.grains, GRAINS), ion=job.ion
    )
    style.save(figure, job.figure)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("correlation", "chemistry beside structure").input("grains", "grains of the scan")
    job.parameter("ion", "element that moves", required=True)
    job.output("figure", "PNG to write")
    job.run(draw_correlation)
