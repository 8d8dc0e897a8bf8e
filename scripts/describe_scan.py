"""Say what a raw scan is: shape, header, mean and maximum pattern, virtual images."""

from phasefront.experiment.settings.scans import ScanClock, ScanLayout, ScanSettings
from phasefront.records.job import Job


def describe_scan(job):
    from phasefront.core import netcdf
    from phasefront.layouts.scans import SCAN
    from phasefront.records.digests import Hashing
    from phasefront.scans import descriptions, files

    description = descriptions.describe_scan(
        files.open_scan(job.scan, job.layout),
        name=job.name,
        step_nm=job.step,
        hashing=Hashing(job.scan),
        bright_field_radius_px=job.settings.bright_field_radius_px,
        clock=job.clock,
    )
    netcdf.write(description, job.description, SCAN)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("scan", "raw scan").parameter("name", "identifier of the scan")
    job.parameter("step", "scan step in nm; nan: as the file says", type=float, default="nan")
    job.settings("settings", ScanSettings)
    job.settings("layout", ScanLayout, default="{}").settings("clock", ScanClock, default="{}")
    job.output("description", "netCDF file to write")
    job.run(describe_scan)
