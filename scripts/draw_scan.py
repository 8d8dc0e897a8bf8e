"""Draw a raw scan's virtual images and its calibration."""

from phasefront.provenance.job import Job


def draw_scan(job):
    from phasefront import layouts, netcdf
    from phasefront.figures import scans, style

    description = netcdf.read(job.description, layouts.SCAN)
    calibration = netcdf.read(job.calibration, layouts.CALIBRATION)
    style.save(scans.draw_scan(description, calibration=calibration), job.images)
    step = description.attrs["scan_step_nm"]
    style.save(scans.draw_calibration(calibration, scan_step_nm=step), job.geometry)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("description", "what the scan is").input("calibration", "its calibration")
    job.output("images", "PNG of the images").output("geometry", "PNG of the calibration")
    job.run(draw_scan)
