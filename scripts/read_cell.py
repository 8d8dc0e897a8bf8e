"""Read a particle's cell from electron diffraction tomography, and what ions its ratios tell."""

from phasefront.experiment.settings.candidates import SharedLattice
from phasefront.experiment.settings.tomography import CellRow, CellSettings
from phasefront.records.job import Job


def read_cell(job):
    from phasefront.core import netcdf
    from phasefront.diffraction.candidates import CandidatePhases
    from phasefront.layouts.tomography import CELL
    from phasefront.tomography import reading

    candidates = CandidatePhases.read(
        job.cifs,
        job.names,
        parent_axes=job.shared_lattice.axes,
        parent_point_group=job.shared_lattice.point_group,
        ion_contents=job.ion_contents,
    )
    row = job.row.model_copy(update={"paths": list(map(str, job.files))})
    found = reading.read_cell(
        row, candidates, job.settings, calibrating=job.row.cell in job.cells_from
    )
    for said in filter(None, (found.attrs["notes"], found.attrs["refused"])):
        print(said)
    netcdf.write(found, job.cell, CELL)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("files", "files of one measurement, as in the row", many=True)
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("row", CellRow).settings("settings", CellSettings)
    job.settings("names", list[str]).settings("ion-contents", list[float])
    job.settings("shared-lattice", SharedLattice)
    job.settings("cells-from", list[str])
    job.output("cell", "netCDF file to write")
    job.run(read_cell)
