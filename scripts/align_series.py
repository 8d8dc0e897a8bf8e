"""Find where the scans of an in situ series lie on the first."""

from phasefront.experiment.settings.candidates import SharedLattice
from phasefront.records.job import Job


def align_series(job):
    from phasefront.core import netcdf
    from phasefront.diffraction.crystals import laue_rotations
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.scans import SCAN
    from phasefront.layouts.series import ALIGNMENT
    from phasefront.series import aligned

    found = aligned.align_series(
        job.series,
        netcdf.read_all(job.scans, SCAN, key="scan"),
        netcdf.read_all(job.grains, GRAINS, key="scan"),
        laue_rotations(job.shared_lattice.point_group or "1"),
    )
    netcdf.write(found, job.alignment, ALIGNMENT)


if __name__ == "__main__":
    job = Job(__doc__)
    job.parameter("series", "its name", required=True)
    job.input("scans", "what its scans are", many=True)
    job.input("grains", "their grains", many=True)
    job.settings("shared-lattice", SharedLattice)
    job.output("alignment", "netCDF file to write")
    job.run(align_series)
