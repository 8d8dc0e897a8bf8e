"""Draw the interfaces inside a scan's grains, their traces, and ion content from the outlines."""

from phasefront.records.job import Job


def draw_interfaces(job):
    from phasefront.core import netcdf
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.interfaces import INTERFACES
    from phasefront.layouts.phases import PHASES
    from phasefront.report.figures import interfaces, style

    drawn = interfaces.draw_interfaces(
        netcdf.read(job.phases, PHASES),
        netcdf.read(job.grains, GRAINS),
        netcdf.read(job.interfaces, INTERFACES),
        labels=job.labels,
        ion=job.ion,
    )
    style.save(drawn, job.figure)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("phases", "phase of every position").input("grains", "grains of the scan")
    job.input("interfaces", "interfaces inside the grains").settings("labels", dict[str, str])
    job.parameter("ion", "element that moves", required=True)
    job.output("figure", "PNG of the interfaces")
    job.run(draw_interfaces)
