"""Find the Bragg vectors of every pattern of a raw scan."""

from phasefront.experiment.settings.scans import ScanLayout
from phasefront.experiment.settings.spots import SpotSettings
from phasefront.records.job import Job


def find_spots(job):
    from phasefront.core import netcdf
    from phasefront.layouts.calibration import CALIBRATION
    from phasefront.layouts.spots import SPOTS
    from phasefront.scans import files
    from phasefront.spots import vectors

    scan = files.open_scan(job.scan, job.layout)
    step_nm = files.step_of(scan, job.step)
    calibration = netcdf.read(job.calibration, CALIBRATION)
    parts = vectors.stream_spots(
        scan.blocks(),
        calibration,
        false_alarms=job.settings.false_alarms,
        max_radius=job.settings.max_radius,
        scan=job.name,
    )
    attributes = {
        "scan": job.name,
        "scan_step_nm": step_nm,
        "false_alarms": job.settings.false_alarms,
    }
    constants = vectors.constants(calibration, job.name)
    netcdf.write_parts(parts, job.spots, SPOTS, constants, attributes)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("scan", "raw scan").parameter("name", "identifier of the scan")
    job.parameter("step", "scan step in nm; nan: as the file says", type=float)
    job.input("calibration", "calibration of the scan").settings("settings", SpotSettings)
    job.settings("layout", ScanLayout, default="{}")
    job.output("spots", "netCDF file to write")
    job.run(find_spots)
