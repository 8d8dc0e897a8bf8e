"""Weigh the phases at every position and decide, or leave it undecided."""

from phasefront.experiment.settings.candidates import ParentAxes
from phasefront.experiment.settings.phases import PhaseSettings
from phasefront.experiment.settings.scans import ScanLayout
from phasefront.records.job import Job


def decide_phases(job):
    from phasefront.core import netcdf
    from phasefront.diffraction.candidates import CandidatePhases
    from phasefront.layouts.calibration import CALIBRATION
    from phasefront.layouts.orientations import ORIENTATIONS
    from phasefront.layouts.phases import PHASES
    from phasefront.layouts.spots import SPOTS
    from phasefront.layouts.templates import TEMPLATES
    from phasefront.layouts.tomography import CANDIDATE_CELL
    from phasefront.phases import decisions
    from phasefront.scans import files

    raw = None
    if job.scan:
        calibration = netcdf.read(job.calibration[0], CALIBRATION)
        raw = files.open_scan(job.scan[0], job.layout), calibration
    phases = decisions.decide_phases(
        netcdf.read(job.spots, SPOTS),
        netcdf.read(job.orientations, ORIENTATIONS),
        netcdf.read(job.templates, TEMPLATES),
        CandidatePhases.read(
            job.cifs, job.names, parent_axes=job.parent_axes, ion_contents=job.ion_contents
        ),
        raw=raw,
        candidate_cells=netcdf.read_all(job.candidates, CANDIDATE_CELL, key="phase"),
        position_sigma=job.position_sigma,
        **job.settings.model_dump(),
    )
    netcdf.write(phases, job.phases, PHASES)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("scan", "raw scan, where there is one", many=True)
    job.input("calibration", "calibration of the raw scan", many=True)
    job.input("spots", "Bragg vectors").input("orientations", "orientations under each phase")
    job.input("templates", "simulated spots of the phases")
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.input("candidates", "cells of phases that have a prior, with their errors", many=True)
    job.settings("names", list[str]).settings("ion-contents", list[float])
    job.settings("parent-axes", list[ParentAxes | None]).settings("settings", PhaseSettings)
    job.parameter("position-sigma", "largest error of a spot's position, 1/A", type=float)
    job.settings("layout", ScanLayout, default="{}")
    job.output("phases", "netCDF file to write")
    job.run(decide_phases)
