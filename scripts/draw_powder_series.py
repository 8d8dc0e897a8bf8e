"""Draw the phases along an operando powder series, and the voltage, against the charge."""

from phasefront.records.job import Job


def draw_powder_series(job):
    from phasefront.core import netcdf
    from phasefront.layouts.cycling import CYCLING
    from phasefront.layouts.powder_series import POWDER_SERIES
    from phasefront.report.figures import powder_series as pictures
    from phasefront.report.figures import style

    drawn = pictures.draw_powder_series(
        netcdf.read(job.series, POWDER_SERIES),
        netcdf.read(job.cycling, CYCLING),
        labels=job.labels,
    )
    style.save(drawn, job.figure)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("series", "phases along the series").input("cycling", "its log with ion content")
    job.settings("labels", dict[str, str])
    job.output("figure", "PNG to write")
    job.run(draw_powder_series)
