"""Refine a candidate's cell by those of its particles from electron diffraction tomography."""

from phasefront.records.job import Job


def refine_candidate(job):
    from phasefront.core import netcdf
    from phasefront.diffraction.crystals import read_crystal
    from phasefront.layouts.tomography import CANDIDATE_CELL, CELL
    from phasefront.tomography import priors

    found = priors.refine_candidate(
        list(netcdf.read_all(job.cells, CELL, key="cell_name").values()),
        read_crystal(job.cif, name=job.phase),
        tolerance=job.tolerance,
    )
    netcdf.write(found, job.candidate, CANDIDATE_CELL)
    priors.write_cif(job.cif, found, job.candidate_cif)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("cells", "cells of particles of the phase", many=True)
    job.input("cif", "CIF of the phase")
    job.parameter("phase", "name of the phase", required=True)
    job.parameter("tolerance", "relative error of the CIF's cell", type=float)
    job.output("candidate", "netCDF file to write: the cell and its errors")
    job.output("candidate-cif", "the CIF with this cell")
    job.run(refine_candidate)
