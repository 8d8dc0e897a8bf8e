"""Draw along which direction the ion content of grains changes."""

from phasefront.records.job import Job


def draw_pathways(job):
    from phasefront.core import netcdf
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.pathways import PATHWAYS
    from phasefront.report.figures import pathways as pictures
    from phasefront.report.figures import style

    figure = pictures.draw_pathways(
        netcdf.read(job.pathways, PATHWAYS), netcdf.read(job.grains, GRAINS), ion=job.ion
    )
    style.save(figure, job.figure)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("pathways", "pathways of the grains").input("grains", "grains of the scan")
    job.parameter("ion", "element that moves", required=True)
    job.output("figure", "PNG to write")
    job.run(draw_pathways)
