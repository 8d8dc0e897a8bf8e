"""Simulate the spots of every phase on a grid of beam directions."""

from phasefront.experiment.settings.instruments import Instrument
from phasefront.experiment.settings.orientations import OrientationSettings
from phasefront.records.job import Job


def simulate_templates(job):
    from phasefront.core import netcdf
    from phasefront.diffraction import templates
    from phasefront.diffraction.crystals import read_crystals
    from phasefront.layouts.templates import TEMPLATES

    simulated = templates.simulate_templates(
        read_crystals(job.cifs, job.names),
        voltage_kv=job.instrument.voltage_kv,
        precession_deg=job.instrument.precession_deg,
        resolution_deg=job.settings.resolution_deg,
        max_radius=job.settings.max_radius,
    )
    netcdf.write(simulated, job.templates, TEMPLATES)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("names", list[str]).settings("instrument", Instrument)
    job.settings("settings", OrientationSettings)
    job.output("templates", "netCDF file to write")
    job.run(simulate_templates)
