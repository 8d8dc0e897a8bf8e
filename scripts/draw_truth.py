"""Draw what the check against the truth found, and write its numbers as a table."""

from phasefront.records.job import Job


def draw_truth(job):
    import json

    from phasefront.core import tables
    from phasefront.layouts.truth import TRUTH_TABLE
    from phasefront.report.figures import style, truth
    from phasefront.virtual import checks

    found = json.loads(job.check.read_text())
    tables.write(checks.check_table(found), job.table, TRUTH_TABLE)
    drawn = truth.draw_probabilities(checks.pool_reliability(found), labels=job.labels)
    style.save(drawn, job.probabilities)
    style.save(truth.draw_confusion(checks.pool_confusion(found)), job.confusion)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("check", "json file of the check").settings("labels", dict[str, str])
    job.output("table", "csv file of its numbers, a row a scan")
    job.output("probabilities", "PNG of the reliability diagrams")
    job.output("confusion", "PNG of the confusion matrices")
    job.run(draw_truth)
