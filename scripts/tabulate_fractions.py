"""Tabulate and draw the fractions of each scan, of each state and of the whole experiment."""

from phasefront.experiment.settings.states import Links
from phasefront.records.job import Job


def tabulate_fractions(job):
    from phasefront.core import netcdf, tables
    from phasefront.fractions.estimation import pool_fractions
    from phasefront.fractions.table import fraction_table
    from phasefront.layouts.fractions import FRACTION_TABLE, FRACTIONS
    from phasefront.report.figures import style
    from phasefront.report.figures.fractions import draw_fractions

    scans = netcdf.read_all(job.fractions, FRACTIONS, key="scan")
    pooled = [("scan", name, found) for name, found in scans.items()]
    for link in job.links.root:
        if link.scans:
            together = pool_fractions([scans[scan] for scan in link.scans], seed=job.seed)
            pooled.append(("state", link.state, together))
    pooled.append(("experiment", job.name, pool_fractions(list(scans.values()), seed=job.seed)))
    tables.write(fraction_table(pooled), job.table, FRACTION_TABLE)
    style.save(draw_fractions(scans, labels=job.labels), job.figure)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("fractions", "fractions of the scans", many=True)
    job.settings("links", Links).settings("labels", dict[str, str])
    job.parameter("seed", "seed of the bootstrap over scans", type=int, required=True)
    job.parameter("name", "name of the run", required=True)
    job.output("table", "csv file to write").output("figure", "PNG of the fractions")
    job.run(tabulate_fractions)
