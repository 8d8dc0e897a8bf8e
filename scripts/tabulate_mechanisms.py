"""Tabulate and draw how grains convert."""

from phasefront.records.job import Job


def tabulate_mechanisms(job):
    import json

    from phasefront.core import netcdf, tables
    from phasefront.layouts.mechanisms import MECHANISM_TABLE, MECHANISMS
    from phasefront.mechanisms import wording
    from phasefront.mechanisms.table import grain_rows
    from phasefront.report.figures import mechanisms, style
    from phasefront.series.wording import sentences

    found = netcdf.read(job.mechanisms, MECHANISMS)
    tables.write(grain_rows(found), job.table, MECHANISM_TABLE)
    summary = wording.summary(found) | {"series": list(sentences(job.judged).values())}
    text = json.dumps(summary, indent=1, allow_nan=False)
    job.summary.write_text(text + "\n", encoding="utf-8")
    style.save(mechanisms.draw_populations(found, labels=job.labels), job.populations)
    style.save(mechanisms.draw_planes(found, labels=job.labels), job.planes)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("mechanisms", "how grains convert").settings("labels", dict[str, str])
    job.input("judged", "what in situ series say; none without series", many=True)
    job.output("table", "csv file of the grains").output("summary", "JSON file to write")
    job.output("populations", "PNG of populations and morphologies")
    job.output("planes", "PNG of habit planes")
    job.run(tabulate_mechanisms)
