"""Find the grains of a scan: contiguous positions of one crystal orientation."""

from phasefront.experiment.settings.candidates import SharedLattice
from phasefront.experiment.settings.grains import GrainSettings
from phasefront.records.job import Job


def find_grains(job):
    from phasefront.core import netcdf
    from phasefront.diffraction.candidates import CandidatePhases
    from phasefront.grains import segmentation
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.phases import PHASES

    phases = netcdf.read(job.phases, PHASES)
    found = segmentation.find_grains(
        phases,
        CandidatePhases.read(
            job.cifs,
            job.names,
            parent_axes=job.shared_lattice.axes,
            parent_point_group=job.shared_lattice.point_group,
        ),
        misorientation_deg=job.settings.misorientation_deg,
        min_positions=job.settings.min_positions,
        scan_step_nm=phases.attrs["scan_step_nm"],
    )
    netcdf.write(found, job.grains, GRAINS)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("phases", "phase of every position")
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("names", list[str]).settings("shared-lattice", SharedLattice)
    job.settings("settings", GrainSettings)
    job.output("grains", "netCDF file to write")
    job.run(find_grains)
