"""Trace the interfaces between phases inside the grains of a scan, and the grains' facets."""

from phasefront.experiment.settings.candidates import SharedLattice
from phasefront.experiment.settings.instruments import CameraOfScan
from phasefront.experiment.settings.interfaces import InterfaceSettings, TwoPhaseFields
from phasefront.records.job import Job


def trace_interfaces(job):
    from phasefront.core import netcdf
    from phasefront.diffraction.candidates import CandidatePhases
    from phasefront.interfaces import tracing
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.interfaces import INTERFACES
    from phasefront.layouts.phases import PHASES

    traced = tracing.trace_interfaces(
        netcdf.read(job.phases, PHASES),
        netcdf.read(job.grains, GRAINS),
        CandidatePhases.read(
            job.cifs,
            job.names,
            ion_contents=job.ion_contents,
            parent_axes=job.shared_lattice.axes,
            parent_point_group=job.shared_lattice.point_group,
        ),
        two_phase_fields=job.fields.root,
        camera=job.camera.root,
        **job.settings.model_dump(),
    )
    netcdf.write(traced, job.interfaces, INTERFACES)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("phases", "phase of every position").input("grains", "grains of the scan")
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("names", list[str]).settings("ion-contents", list[float])
    job.settings("shared-lattice", SharedLattice).settings("fields", TwoPhaseFields)
    job.settings("camera", CameraOfScan).settings("settings", InterfaceSettings)
    job.output("interfaces", "netCDF file to write")
    job.run(trace_interfaces)
