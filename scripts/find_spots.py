"""Find the Bragg vectors of every pattern of a raw scan."""

from phasefront.config import ScanLayout, SpotSettings
from phasefront.provenance.job import Job


def find_spots(job):
    from phasefront import layouts, netcdf, scans, spots

    scan = scans.open_scan(job.scan, job.layout)
    step_nm = scans.step_of(scan, job.step)
    parts = spots.stream_spots(
        scan.blocks(),
        netcdf.read(job.calibration, layouts.CALIBRATION),
        false_alarms=job.settings.false_alarms,
        max_radius=job.settings.max_radius,
        scan=job.name,
    )
    attributes = {
        "scan": job.name,
        "scan_step_nm": step_nm,
        "false_alarms": job.settings.false_alarms,
    }
    netcdf.write_parts(parts, job.spots, layouts.SPOTS, {}, attributes)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("scan", "raw scan").parameter("name", "identifier of the scan")
    job.parameter("step", "scan step in nm; nan: as the file says", type=float)
    job.input("calibration", "calibration of the scan").settings("settings", SpotSettings)
    job.settings("layout", ScanLayout, default="{}")
    job.output("spots", "netCDF file to write")
    job.run(find_spots)
