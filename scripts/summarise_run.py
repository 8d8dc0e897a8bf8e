"""Write summary.json: states with ion contents and fractions, what follows, scans with counts."""

from phasefront.records.job import Job


def summarise_run(job):
    import json

    from phasefront.core import netcdf
    from phasefront.layouts.comparison import COMPARISON
    from phasefront.layouts.fractions import FRACTIONS
    from phasefront.records.chain import seconds_spent
    from phasefront.report import conclusions

    summary = conclusions.summary(
        netcdf.read(job.comparison, COMPARISON),
        run=job.name,
        fractions=netcdf.read_all(job.fractions, FRACTIONS, key="scan"),
        ion=job.ion,
        calibrating=job.calibrating_patterns,
        seconds={path.stem: seconds_spent(path) for path in job.fractions},
    )
    job.summary.write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("comparison", "comparison of the sources")
    job.input("fractions", "fractions of the scans", many=True)
    job.parameter("ion", "element that moves", required=True)
    job.settings("calibrating-patterns", dict[str, list[str]])
    job.parameter("name", "name of the run").output("summary", "json file to write")
    job.run(summarise_run)
