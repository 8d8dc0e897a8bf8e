"""Draw a raw scan's virtual images and its calibration."""

from phasefront.records.job import Job


def draw_scan(job):
    from phasefront.core import netcdf
    from phasefront.layouts.calibration import CALIBRATION
    from phasefront.layouts.scans import SCAN
    from phasefront.report.figures import scans, style

    description = netcdf.read(job.description, SCAN)
    calibration = netcdf.read(job.calibration, CALIBRATION)
    style.save(scans.draw_scan(description, calibration=calibration), job.images)
    step = description.attrs["scan_step_nm"]
    style.save(scans.draw_calibration(calibration, scan_step_nm=step), job.geometry)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("description", "what the scan is").input("calibration", "its calibration")
    job.output("images", "PNG of the images").output("geometry", "PNG of the calibration")
    job.run(draw_scan)
