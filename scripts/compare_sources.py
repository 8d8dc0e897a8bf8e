"""Set STEM, charge and powder side by side, state by state."""

from phasefront.experiment.settings.comparison import ComparisonSettings
from phasefront.experiment.settings.material import Material
from phasefront.experiment.settings.states import Links
from phasefront.records.job import Job


def compare_sources(job):
    from phasefront.comparison import sources
    from phasefront.core import netcdf
    from phasefront.layouts.comparison import COMPARISON
    from phasefront.layouts.cycling import CYCLING
    from phasefront.layouts.fractions import STATE_FRACTIONS
    from phasefront.layouts.powder import POWDER
    from phasefront.report import conclusions, tables

    stem = netcdf.read_all(job.stem, STATE_FRACTIONS, key="state")
    cycling = netcdf.read_all(job.cycling, CYCLING, key="log")
    powder = netcdf.read_all(job.powder, POWDER, key="pattern")
    calibrating = job.material.calibrating_patterns
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
        phases=[(phase.name, phase.ion_content) for phase in job.material.phases],
        lever_fields=job.material.two_phase_fields,
        margin=job.settings.margin,
        fraction_margin=job.settings.fraction_margin,
    )
    netcdf.write(compared, job.comparison, COMPARISON)
    tables.comparison_table(compared).to_csv(job.table, index=False)
    tables.printed_table(compared).to_csv(job.printed, index=False)
    job.latex.write_text(tables.latex_table(compared, job.material.labels), encoding="utf-8")
    found = conclusions.conclude(compared, ion=job.material.ion, calibrating=calibrating)
    job.conclusion.write_text(conclusions.conclusion_text(found), encoding="utf-8")


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("stem", "fractions of the states", many=True)
    job.input("cycling", "analysed logs", many=True)
    job.input("powder", "fitted powder patterns", many=True)
    job.settings("links", Links).settings("material", Material)
    job.settings("settings", ComparisonSettings)
    job.output("comparison", "netCDF file to write").output("table", "csv file to write")
    job.output("printed", "csv file with values rounded to their errors")
    job.output("latex", "the same for a paper").output("conclusion", "text: do they agree?")
    job.run(compare_sources)
