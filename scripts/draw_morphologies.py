"""Draw the grains of a scan with their interfaces and what each is taken for."""

from phasefront.records.job import Job


def draw_morphologies(job):
    from phasefront.core import netcdf
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.interfaces import INTERFACES
    from phasefront.layouts.mechanisms import MECHANISMS
    from phasefront.layouts.phases import PHASES
    from phasefront.report.figures import mechanisms, style

    drawn = mechanisms.draw_morphologies(
        netcdf.read(job.phases, PHASES),
        netcdf.read(job.grains, GRAINS),
        netcdf.read(job.interfaces, INTERFACES),
        netcdf.read(job.mechanisms, MECHANISMS),
        labels=job.labels,
    )
    style.save(drawn, job.figure)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("phases", "phase of every position").input("grains", "grains of the scan")
    job.input("interfaces", "interfaces inside the grains")
    job.input("mechanisms", "how grains convert").settings("labels", dict[str, str])
    job.output("figure", "PNG of the grains")
    job.run(draw_morphologies)
