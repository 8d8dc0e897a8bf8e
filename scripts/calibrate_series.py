"""Calibrate the scans of an in situ series together: the ellipse and scale that they share."""

from phasefront.experiment.settings.calibration import CalibrationSettings
from phasefront.experiment.settings.instruments import Instrument
from phasefront.experiment.settings.scans import ScanLayout
from phasefront.experiment.settings.spots import SpotSettings
from phasefront.records.job import Job


def calibrate_series(job):
    from phasefront.calibration import series
    from phasefront.core import netcdf
    from phasefront.diffraction.crystals import read_crystals
    from phasefront.diffraction.templates import simulate_templates
    from phasefront.layouts.calibration import SERIES_CALIBRATION
    from phasefront.scans import files

    named = zip(job.layouts.items(), job.scans, strict=True)
    scans = {scan: files.open_scan(path, layout) for (scan, layout), path in named}
    for scan in scans.values():
        files.check_instrument(scan, job.instrument)
    crystals = read_crystals(job.cifs, job.names)
    templates = simulate_templates(
        crystals,
        voltage_kv=job.instrument.voltage_kv,
        precession_deg=job.instrument.precession_deg,
        resolution_deg=job.settings.resolution_deg,
        max_radius=job.spots.max_radius,
    )
    found = series.calibrate_series(
        job.series,
        scans,
        crystals=crystals,
        templates=templates,
        scale_nominal=job.instrument.scale,
        scale_search=job.settings.scale_search,
        patterns=job.settings.patterns,
        false_alarms=job.spots.false_alarms,
    )
    netcdf.write(found, job.calibration, SERIES_CALIBRATION)


if __name__ == "__main__":
    job = Job(__doc__)
    job.parameter("series", "its name", required=True)
    job.input("scans", "its raw scans", many=True)
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("settings", CalibrationSettings).settings("spots", SpotSettings)
    job.settings("names", list[str]).settings("instrument", Instrument)
    job.settings("layouts", dict[str, ScanLayout])
    job.output("calibration", "netCDF file to write")
    job.run(calibrate_series)
