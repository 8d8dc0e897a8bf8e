"""Compare the calibrations of a run's scans: what drifted from one to the next."""

from phasefront.records.job import Job


def compare_calibrations(job):
    from phasefront.calibration import drift
    from phasefront.core import netcdf, tables
    from phasefront.layouts.calibration import CALIBRATION, DRIFT_TABLE
    from phasefront.report.figures import scans, style

    found = netcdf.read_all(job.calibrations, CALIBRATION, key="scan")
    compared = drift.compare_calibrations(found, dict(zip(found, job.instruments, strict=True)))
    tables.write(compared, job.table, DRIFT_TABLE)
    style.save(scans.draw_drift(compared.to_dict("list")), job.figure)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("calibrations", "calibrations of the scans", many=True)
    job.settings("instruments", list[str])
    job.output("table", "csv file to write").output("figure", "PNG of the drift")
    job.run(compare_calibrations)
