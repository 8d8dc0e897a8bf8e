"""Calibrate a raw scan: beam centre per position, ellipse and scale."""

from phasefront.config import CalibrationSettings, Instrument, Material, SpotSettings
from phasefront.provenance.job import Job


def calibrate_scan(job):
    from phasefront import calibration, layouts, netcdf, scans
    from phasefront.crystals import read_crystals

    calibrated = calibration.calibrate(
        scans.open_scan(job.scan),
        name=job.name,
        crystals=read_crystals(job.cifs, job.material.names),
        templates=netcdf.read(job.templates, layouts.TEMPLATES),
        scale_nominal=job.instrument.scale,
        scale_search=job.settings.scale_search,
        patterns=job.settings.patterns,
        false_alarms=job.spots.false_alarms,
    )
    netcdf.write(calibrated, job.calibration, layouts.CALIBRATION)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("scan", "raw scan").parameter("name", "identifier of the scan")
    job.input("templates", "templates of the instrument").input("cifs", "CIFs", many=True)
    job.settings("settings", CalibrationSettings).settings("spots", SpotSettings)
    job.settings("material", Material).settings("instrument", Instrument)
    job.output("calibration", "netCDF file to write")
    job.run(calibrate_scan)
