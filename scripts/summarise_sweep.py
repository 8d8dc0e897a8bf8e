"""Set the variants of a sweep side by side: a table, and a picture of what each setting moves."""

from pydantic import JsonValue

from phasefront.records.job import Job


def summarise_sweep(job):
    import numpy as np
    import pandas as pd

    from phasefront.comparison import sweep
    from phasefront.core import netcdf, tables
    from phasefront.layouts.comparison import COMPARISON, SWEEP_TABLE
    from phasefront.layouts.fractions import STATE_FRACTIONS
    from phasefront.report.figures import style
    from phasefront.report.figures.sweep import draw_sweep
    from phasefront.report.tables import ALL_STATES, comparison_table

    compared_variants = []
    of_variants = np.reshape(job.states, (len(job.comparisons), -1))
    for compared, states in zip(job.comparisons, of_variants, strict=True):
        table = comparison_table(netcdf.read(compared, COMPARISON))
        table = table[table["state"] != ALL_STATES]
        undecided = sweep.undecided_shares(netcdf.read_all(states, STATE_FRACTIONS, key="state"))
        compared_variants.append(pd.concat([table, undecided], ignore_index=True))
    table = sweep.tabulate(job.settings, compared_variants)
    tables.write(table, job.table, SWEEP_TABLE.naming(job.settings[0]))
    drawn = draw_sweep(table, list(job.settings[0]), ion=job.ion, labels=job.labels)
    style.save(drawn, job.figure)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("comparisons", "comparison of the run, and of each variant", many=True)
    job.input("states", "fractions of all states of the run, then of each variant", many=True)
    job.settings("settings", list[dict[str, JsonValue]]).settings("labels", dict[str, str])
    job.parameter("ion", "element that moves", required=True)
    job.output("table", "csv file to write").output("figure", "PNG to write")
    job.run(summarise_sweep)
