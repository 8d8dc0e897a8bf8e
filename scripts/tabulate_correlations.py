"""Tabulate how chemistry follows structure, of all maps that were laid on scans."""

from phasefront.records.job import Job


def tabulate_correlations(job):
    import pandas as pd

    from phasefront.core import netcdf, tables
    from phasefront.correlation.result import tabulated
    from phasefront.layouts.correlation import CORRELATION, CORRELATION_TABLE

    found = [tabulated(netcdf.read(path, CORRELATION)) for path in job.correlations]
    tables.write(pd.concat(found, ignore_index=True), job.table, CORRELATION_TABLE)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("correlations", "chemistry beside structure, a file a map", many=True)
    job.output("table", "csv file to write")
    job.run(tabulate_correlations)
