"""Calibrate a camera on the rings of a polycrystalline standard: ellipse and scale."""

from phasefront.experiment.settings.calibration import Standard
from phasefront.records.job import Job


def calibrate_standard(job):
    from phasefront.calibration import rings
    from phasefront.core import netcdf
    from phasefront.layouts.calibration import CALIBRATION

    calibrated = rings.calibrate_rings(
        rings.read_picture(job.image),
        d_spacings=job.settings.d_spacings,
        scale_nominal=job.settings.scale,
        name=job.image.name,
    )
    netcdf.write(calibrated, job.calibration, CALIBRATION)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("image", "TIFF with the rings").settings("settings", Standard)
    job.output("calibration", "netCDF file to write")
    job.run(calibrate_standard)
