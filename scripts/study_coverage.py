"""Say how often the intervals of simulated scans hold the truth, and draw it."""

from phasefront.records.job import Job


def study_coverage(job):
    import json

    import pandas as pd

    from phasefront.core import tables
    from phasefront.layouts.coverage import COVERAGE_TABLE
    from phasefront.report.figures import coverage, style
    from phasefront.virtual import intervals

    table = pd.concat([tables.read(path, COVERAGE_TABLE) for path in job.parts], ignore_index=True)
    tables.write(table, job.table, COVERAGE_TABLE)
    found = intervals.summarise(table)
    job.summary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    style.save(coverage.draw_coverage(table, found), job.figure)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("parts", "csv files of simulated scans", many=True)
    job.output("table", "csv file of all of them")
    job.output("summary", "json file of shares of intervals and mean errors, by group")
    job.output("figure", "PNG of the intervals, of these shares and errors")
    job.run(study_coverage)
