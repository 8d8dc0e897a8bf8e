"""Write the comparison of the sources as tables, and say in words whether they agree."""

from phasefront.records.job import Job


def tabulate_comparison(job):
    from phasefront.core import netcdf, tables
    from phasefront.layouts.comparison import COMPARISON, COMPARISON_TABLE
    from phasefront.report import conclusions
    from phasefront.report.tables import (
        comparison_table,
        latex_table,
        printed_layout,
        printed_table,
    )

    compared = netcdf.read(job.comparison, COMPARISON)
    tables.write(comparison_table(compared), job.table, COMPARISON_TABLE)
    tables.write(printed_table(compared), job.printed, printed_layout(compared))
    job.latex.write_text(latex_table(compared, job.labels), encoding="utf-8")
    found = conclusions.conclude(compared, ion=job.ion, calibrating=job.calibrating_patterns)
    job.conclusion.write_text(conclusions.conclusion_text(found), encoding="utf-8")


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("comparison", "comparison of the sources")
    job.parameter("ion", "element that moves", required=True).settings("labels", dict[str, str])
    job.settings("calibrating-patterns", dict[str, list[str]])
    job.output("table", "csv file to write")
    job.output("printed", "csv file with values rounded to their errors")
    job.output("latex", "the same for a paper").output("conclusion", "text: do they agree?")
    job.run(tabulate_comparison)
