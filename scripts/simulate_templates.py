"""Simulate the spots of every phase on a grid of beam directions."""

from phasefront.config import Instrument, Material, OrientationSettings
from phasefront.provenance.job import Job


def simulate_templates(job):
    from phasefront import layouts, netcdf, templates
    from phasefront.crystals import read_crystals

    simulated = templates.simulate_templates(
        read_crystals(job.cifs, job.material.names),
        voltage_kv=job.instrument.voltage_kv,
        precession_deg=job.instrument.precession_deg,
        resolution_deg=job.settings.resolution_deg,
        max_radius=job.settings.max_radius,
    )
    netcdf.write(simulated, job.templates, layouts.TEMPLATES)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("material", Material).settings("instrument", Instrument)
    job.settings("settings", OrientationSettings)
    job.output("templates", "netCDF file to write")
    job.run(simulate_templates)
