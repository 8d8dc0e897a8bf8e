"""Pool the fractions of a state's scans: the one estimate of the state that all else reads."""

from phasefront.records.job import Job


def pool_fractions(job):
    from phasefront.core import netcdf
    from phasefront.fractions.pooling import pool_state
    from phasefront.layouts.fractions import FRACTIONS, STATE_FRACTIONS

    scans = [netcdf.read(path, FRACTIONS) for path in job.fractions]
    netcdf.write(pool_state(job.name, scans, seed=job.seed), job.pooled, STATE_FRACTIONS)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("fractions", "fractions of the state's scans", many=True)
    job.parameter("name", "name of the state", required=True)
    job.parameter("seed", "seed of the draws", type=int, required=True)
    job.output("pooled", "netCDF file to write")
    job.run(pool_fractions)
