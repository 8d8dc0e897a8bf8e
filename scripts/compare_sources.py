"""Set STEM, charge and powder side by side, state by state."""

from phasefront.config import ComparisonSettings, Links, Material
from phasefront.provenance.job import Job


def compare_sources(job):
    from phasefront import comparison, layouts, netcdf
    from phasefront.fractions import pool_fractions

    fractions = netcdf.read_all(job.fractions, layouts.FRACTIONS, key="scan")
    cycling = netcdf.read_all(job.cycling, layouts.CYCLING, key="log")
    powder = netcdf.read_all(job.powder, layouts.POWDER, key="pattern")
    compared = comparison.compare_sources(
        states=[link.state for link in job.links.root],
        stem={
            link.state: pool_fractions([fractions[scan] for scan in link.scans], seed=job.seed)
            for link in job.links.root
            if link.scans
        },
        cycling={link.state: cycling[link.log] for link in job.links.root if link.log},
        powder={
            link.state: [powder[pattern] for pattern in link.patterns]
            for link in job.links.root
            if link.patterns
        },
        phases=[(phase.name, phase.ion_content) for phase in job.material.phases],
        lever_fields=job.material.two_phase_fields,
        margin=job.settings.margin,
    )
    netcdf.write(compared, job.comparison, layouts.COMPARISON)
    comparison.comparison_table(compared).to_csv(job.table, index=False)
    job.latex.write_text(comparison.latex_table(compared), encoding="utf-8")


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("fractions", "fractions of the scans", many=True)
    job.input("cycling", "analysed logs", many=True)
    job.input("powder", "fitted powder patterns", many=True)
    job.settings("links", Links).settings("material", Material)
    job.settings("settings", ComparisonSettings)
    job.output("comparison", "netCDF file to write").output("table", "csv file to write")
    job.output("latex", "the same table for a paper")
    job.parameter("seed", "seed of the bootstrap over scans", type=int, required=True)
    job.run(compare_sources)
