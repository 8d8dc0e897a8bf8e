"""Draw a powder pattern with its fit."""

from phasefront.config import Material
from phasefront.provenance.job import Job


def draw_powder(job):
    from phasefront import layouts, netcdf
    from phasefront.figures import powder as pictures
    from phasefront.figures import style

    powder = netcdf.read(job.powder, layouts.POWDER)
    style.save(pictures.draw_powder(powder, labels=job.material.labels), job.fit)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("powder", "fitted powder pattern").settings("material", Material)
    job.output("fit", "PNG to write")
    job.run(draw_powder)
