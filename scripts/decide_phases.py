"""Weigh the phases at every position and decide, or leave it undecided."""

from phasefront.config import Instrument, Material, PhaseSettings
from phasefront.provenance.job import Job


def decide_phases(job):
    from phasefront import evidence, layouts, netcdf
    from phasefront.crystals import read_crystals

    phases = evidence.decide_phases(
        netcdf.read(job.spots, layouts.SPOTS),
        netcdf.read(job.orientations, layouts.ORIENTATIONS),
        read_crystals(job.cifs, job.material.names),
        voltage_kv=job.instrument.voltage_kv,
        precession_deg=job.instrument.precession_deg,
        min_spots=job.settings.min_spots,
        position_sigma=job.position_sigma,
        decide_above=job.settings.decide_above,
        min_explained=job.settings.min_explained,
        max_residual=job.settings.max_residual,
    )
    netcdf.write(phases, job.phases, layouts.PHASES)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("spots", "Bragg vectors").input("orientations", "orientations under each phase")
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("material", Material).settings("instrument", Instrument)
    job.settings("settings", PhaseSettings)
    job.parameter("position-sigma", "largest error of a spot's position, 1/A", type=float)
    job.output("phases", "netCDF file to write")
    job.run(decide_phases)
