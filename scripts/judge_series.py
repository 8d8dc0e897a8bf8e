"""Judge in situ series together: grains and fronts, clocks, and whether charge or beam did it."""

from phasefront.records.job import Job


def judge_series(job):
    import json

    from phasefront.core import netcdf, tables
    from phasefront.layouts.series import ALIGNMENT, SERIES, SERIES_TABLE
    from phasefront.series import wording

    series = netcdf.read_all(job.series, SERIES, key="series")
    alignments = netcdf.read_all(job.alignments, ALIGNMENT, key="series")
    tables.write(wording.grain_rows(series), job.table, SERIES_TABLE)
    text = json.dumps(wording.summary(series, alignments), indent=1, allow_nan=False)
    job.summary.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("alignments", "where scans of all series lie on the first ones", many=True)
    job.input("series", "what their places and grains went through", many=True)
    job.output("table", "csv file of the grains").output("summary", "JSON file to write")
    job.run(judge_series)
