"""Tabulate and draw the fractions of each scan, of each state and of the whole experiment."""

from phasefront.records.job import Job


def tabulate_fractions(job):
    from phasefront.core import netcdf, tables
    from phasefront.fractions.pooling import pool_fractions
    from phasefront.fractions.table import fraction_table
    from phasefront.layouts.fractions import FRACTION_TABLE, FRACTIONS, STATE_FRACTIONS
    from phasefront.report.figures import style
    from phasefront.report.figures.fractions import draw_fractions

    scans = netcdf.read_all(job.fractions, FRACTIONS, key="scan")
    states = netcdf.read_all(job.states, STATE_FRACTIONS, key="state")
    whole = pool_fractions(list(scans.values()), seed=job.seed)
    rows = [
        *(("scan", name, found) for name, found in scans.items()),
        *(("state", name, found) for name, found in states.items()),
        ("experiment", job.name, whole),
    ]
    tables.write(fraction_table(rows), job.table, FRACTION_TABLE)
    style.save(draw_fractions(scans, states, labels=job.labels), job.figure)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("fractions", "fractions of the scans", many=True)
    job.input("states", "fractions of the states", many=True)
    job.settings("labels", dict[str, str])
    job.parameter("seed", "seed that states were pooled with", type=int, required=True)
    job.parameter("name", "name of the run", required=True)
    job.output("table", "csv file to write").output("figure", "PNG of the fractions")
    job.run(tabulate_fractions)
