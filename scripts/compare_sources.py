"""Set STEM, charge and powder side by side, state by state."""

from phasefront.experiment.settings.comparison import ComparisonSettings
from phasefront.experiment.settings.states import Links
from phasefront.records.job import Job


def compare_sources(job):
    from phasefront.comparison import sources
    from phasefront.core import netcdf
    from phasefront.layouts.comparison import COMPARISON
    from phasefront.layouts.cycling import CYCLING
    from phasefront.layouts.fractions import STATE_FRACTIONS
    from phasefront.layouts.powder import POWDER

    stem = netcdf.read_all(job.stem, STATE_FRACTIONS, key="state")
    cycling = netcdf.read_all(job.cycling, CYCLING, key="log")
    powder = netcdf.read_all(job.powder, POWDER, key="pattern")
    calibrating = job.calibrating_patterns
    compared = sources.compare_sources(
        states=[link.state for link in job.links.root],
        stem=stem,
        cycling={link.state: cycling[link.log] for link in job.links.root if link.log},
        powder={
            link.state: [powder[name] for name in link.patterns if name not in calibrating]
            for link in job.links.root
        },
        left_out={
            link.state: [name for name in link.patterns if name in calibrating]
            for link in job.links.root
        },
        phases=list(zip(job.names, job.ion_contents, strict=True)),
        lever_fields=job.two_phase_fields,
        margin=job.settings.margin,
        fraction_margin=job.settings.fraction_margin,
    )
    netcdf.write(compared, job.comparison, COMPARISON)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("stem", "fractions of the states", many=True)
    job.input("cycling", "analysed logs", many=True)
    job.input("powder", "fitted powder patterns", many=True)
    job.settings("links", Links).settings("settings", ComparisonSettings)
    job.settings("names", list[str]).settings("ion-contents", list[float])
    job.settings("two-phase-fields", list[dict[str, float]])
    job.settings("calibrating-patterns", dict[str, list[str]])
    job.output("comparison", "netCDF file to write")
    job.run(compare_sources)
