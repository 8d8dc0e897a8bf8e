"""Draw a galvanostatic log with its ion content, its plateaus and its states."""

from phasefront.config import Material
from phasefront.provenance.job import Job


def draw_log(job):
    from phasefront import layouts, netcdf
    from phasefront.figures import cycling as pictures
    from phasefront.figures import style

    drawn = pictures.draw_log(netcdf.read(job.cycling, layouts.CYCLING), ion=job.material.ion)
    style.save(drawn, job.figure)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("cycling", "analysed log").settings("material", Material)
    job.output("figure", "PNG to write")
    job.run(draw_log)
