"""Draw an in situ series: maps through time, fronts, and the cell beside."""

from phasefront.records.job import Job


def draw_series(job):
    from phasefront.core import netcdf
    from phasefront.layouts.cycling import CYCLING
    from phasefront.layouts.series import SERIES
    from phasefront.report.figures import series as pictures
    from phasefront.report.figures import style
    from phasefront.series.course import Course

    found = netcdf.read(job.series, SERIES)
    course = Course.of(netcdf.read(job.cycling, CYCLING))
    style.save(pictures.draw_filmstrip(found, labels=job.labels), job.filmstrip)
    pictures.write_film(found, job.film, labels=job.labels)
    style.save(pictures.draw_fronts(found, course), job.fronts)
    style.save(pictures.draw_cell(found, course), job.cell)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("series", "what places and grains went through").input("cycling", "its log")
    job.settings("labels", dict[str, str])
    job.output("filmstrip", "PNG of maps through time").output("film", "GIF of the same")
    job.output("fronts", "PNG of fronts").output("cell", "PNG of cell and population")
    job.run(draw_series)
