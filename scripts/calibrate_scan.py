"""Calibrate a raw scan: beam centre per position, ellipse and scale."""

from phasefront.experiment.settings.calibration import CalibrationSettings
from phasefront.experiment.settings.instruments import Instrument
from phasefront.experiment.settings.scans import ScanLayout
from phasefront.experiment.settings.spots import SpotSettings
from phasefront.records.job import Job


def calibrate_scan(job):
    from phasefront.calibration import geometry
    from phasefront.calibration.series import calibrate_scan_of_series
    from phasefront.core import netcdf
    from phasefront.diffraction.crystals import read_crystals
    from phasefront.diffraction.templates import simulate_templates
    from phasefront.layouts.calibration import CALIBRATION, SERIES_CALIBRATION
    from phasefront.scans import files

    scan = files.open_scan(job.scan, job.layout)
    files.check_instrument(scan, job.instrument)
    if job.settings.method == "phases":
        crystals = read_crystals(job.cifs, job.names)
        # Templates of its own: how finely a scan is indexed later does not move its calibration.
        templates = simulate_templates(
            crystals,
            voltage_kv=job.instrument.voltage_kv,
            precession_deg=job.instrument.precession_deg,
            resolution_deg=job.settings.resolution_deg,
            max_radius=job.spots.max_radius,
        )
        candidates = {"crystals": crystals, "templates": templates}
        sample = {"patterns": job.settings.patterns, "false_alarms": job.spots.false_alarms}
        if job.series:
            calibrated = calibrate_scan_of_series(
                scan,
                name=job.name,
                series=netcdf.read(job.series[0], SERIES_CALIBRATION),
                drift=job.settings.series_drift,
                **candidates,
                **sample,
            )
        else:
            calibrated = geometry.calibrate(
                scan,
                name=job.name,
                scale_nominal=job.instrument.scale,
                scale_search=job.settings.scale_search,
                **candidates,
                **sample,
            )
    elif job.settings.method == "standard":
        standard = netcdf.read(job.standard[0], CALIBRATION)
        calibrated = geometry.calibrate_with_standard(scan, name=job.name, standard=standard)
    else:
        calibrated = geometry.calibrate_centres(
            scan,
            name=job.name,
            scale_nominal=job.instrument.scale,
            scale_search=job.settings.scale_search,
        )
    netcdf.write(calibrated, job.calibration, CALIBRATION)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("scan", "raw scan").parameter("name", "identifier of the scan")
    job.input("cifs", "CIFs, in the order of the phases, for method phases", many=True)
    job.input("standard", "calibration of the standard, for method standard", many=True)
    job.input("series", "calibration of its series, for method phases", many=True)
    job.settings("settings", CalibrationSettings).settings("spots", SpotSettings)
    job.settings("names", list[str]).settings("instrument", Instrument)
    job.settings("layout", ScanLayout, default="{}")
    job.output("calibration", "netCDF file to write")
    job.run(calibrate_scan)
