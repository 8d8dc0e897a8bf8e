"""Trace along which direction the ion content of grains changes, and channels of the structure."""

from phasefront.experiment.settings.candidates import SharedLattice
from phasefront.experiment.settings.instruments import CameraOfScan
from phasefront.experiment.settings.pathways import PathwaySettings
from phasefront.records.job import Job


def trace_pathways(job):
    from phasefront.core import netcdf
    from phasefront.diffraction import rotations
    from phasefront.diffraction.candidates import CandidatePhases
    from phasefront.diffraction.crystals import laue_rotations
    from phasefront.interfaces.axes import parent_axes
    from phasefront.layouts.correlation import CORRELATION
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.pathways import PATHWAYS
    from phasefront.pathways import tracing

    candidates = CandidatePhases.read(
        job.cifs,
        job.names,
        ion_contents=job.ion_contents,
        parent_axes=job.shared_lattice.axes,
        parent_point_group=job.shared_lattice.point_group,
    )
    found = tracing.trace_pathways(
        netcdf.read(job.correlation, CORRELATION),
        netcdf.read(job.grains, GRAINS),
        job.settings.channels,
        axes=parent_axes(candidates)[0],
        operations=rotations.matrices(laue_rotations(job.shared_lattice.point_group or "1")),
        camera=job.camera.root,
        seed=job.seed,
    )
    print(found.attrs["answer"])
    netcdf.write(found, job.pathways, PATHWAYS)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("correlation", "chemistry beside structure").input("grains", "grains of the scan")
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("names", list[str]).settings("ion-contents", list[float])
    job.settings("shared-lattice", SharedLattice).settings("camera", CameraOfScan)
    job.settings("settings", PathwaySettings)
    job.parameter("seed", "seed of draws", type=int, required=True)
    job.output("pathways", "netCDF file to write")
    job.run(trace_pathways)
