"""Draw a powder pattern with its fit."""

from phasefront.records.job import Job


def draw_powder(job):
    from phasefront.core import netcdf
    from phasefront.layouts.powder import POWDER
    from phasefront.report.figures import powder as pictures
    from phasefront.report.figures import style

    powder = netcdf.read(job.powder, POWDER)
    style.save(pictures.draw_powder(powder, labels=job.labels), job.fit)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("powder", "fitted powder pattern").settings("labels", dict[str, str])
    job.output("fit", "PNG to write")
    job.run(draw_powder)
