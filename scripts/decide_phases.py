"""Weigh the phases at every position and decide, or leave it undecided."""

from phasefront.config import Material, PhaseSettings, ScanLayout
from phasefront.provenance.job import Job


def decide_phases(job):
    from phasefront import cells, evidence, layouts, netcdf, scans
    from phasefront.crystals import read_crystals

    crystals = read_crystals(job.cifs, job.material.names)
    raw = None
    if job.scan:
        calibration = netcdf.read(job.calibration[0], layouts.CALIBRATION)
        raw = scans.open_scan(job.scan[0], job.layout), calibration
    phases = evidence.decide_phases(
        netcdf.read(job.spots, layouts.SPOTS),
        netcdf.read(job.orientations, layouts.ORIENTATIONS),
        netcdf.read(job.templates, layouts.TEMPLATES),
        crystals,
        raw=raw,
        path=cells.Path.of(
            crystals,
            [phase.parent_axes for phase in job.material.phases],
            job.material.ion_contents,
        ),
        position_sigma=job.position_sigma,
        **job.settings.model_dump(),
    )
    netcdf.write(phases, job.phases, layouts.PHASES)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("scan", "raw scan, where there is one", many=True)
    job.input("calibration", "calibration of the raw scan", many=True)
    job.input("spots", "Bragg vectors").input("orientations", "orientations under each phase")
    job.input("templates", "simulated spots of the phases")
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("material", Material).settings("settings", PhaseSettings)
    job.parameter("position-sigma", "largest error of a spot's position, 1/A", type=float)
    job.settings("layout", ScanLayout, default="{}")
    job.output("phases", "netCDF file to write")
    job.run(decide_phases)
