"""Tabulate and draw the cells of particles from electron diffraction tomography."""

from phasefront.experiment.settings.candidates import SharedLattice
from phasefront.records.job import Job


def tabulate_cells(job):
    from phasefront.core import netcdf, tables
    from phasefront.diffraction.candidates import CandidatePhases
    from phasefront.diffraction.cell_path import Path
    from phasefront.layouts.tomography import CELL, CELL_TABLE
    from phasefront.report.figures import style
    from phasefront.report.figures.tomography import draw_cells
    from phasefront.tomography.table import cell_rows

    found = netcdf.read_all(job.cells, CELL, key="cell_name")
    candidates = CandidatePhases.read(
        job.cifs,
        job.names,
        parent_axes=job.shared_lattice.axes,
        parent_point_group=job.shared_lattice.point_group,
        ion_contents=job.ion_contents,
    )
    tables.write(cell_rows(found), job.table, CELL_TABLE)
    drawn = draw_cells(
        found, names=job.names, path=Path.of(candidates), labels=job.labels, ion=job.ion
    )
    style.save(drawn, job.figure)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("cells", "cells of particles", many=True)
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("names", list[str])
    job.settings("labels", dict[str, str]).parameter("ion", "element that moves", required=True)
    job.settings("ion-contents", list[float]).settings("shared-lattice", SharedLattice)
    job.output("table", "csv file to write").output("figure", "PNG of the cells")
    job.run(tabulate_cells)
