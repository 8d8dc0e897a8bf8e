"""Take the Bragg vectors of every pattern from a peak list that another program made."""

from phasefront.records.job import Job


def import_peaks(job):
    from phasefront.core import netcdf
    from phasefront.layouts.spots import SPOTS
    from phasefront.spots import peaks

    spots = peaks.read_peaks(job.peaks, name=job.name, scan_step_nm=job.step)
    netcdf.write(spots, job.spots, SPOTS)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("peaks", "peak list").parameter("name", "identifier of the scan")
    job.parameter("step", "scan step in nm, nan where unknown", type=float)
    job.output("spots", "netCDF file to write")
    job.run(import_peaks)
