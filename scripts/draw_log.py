"""Draw a galvanostatic log with its ion content, its plateaus and its states."""

from phasefront.records.job import Job


def draw_log(job):
    from phasefront.core import netcdf
    from phasefront.layouts.cycling import CYCLING
    from phasefront.report.figures import cycling as pictures
    from phasefront.report.figures import style

    drawn = pictures.draw_log(netcdf.read(job.cycling, CYCLING), ion=job.ion)
    style.save(drawn, job.figure)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("cycling", "analysed log").parameter("ion", "element that moves", required=True)
    job.output("figure", "PNG to write")
    job.run(draw_log)
