"""Say when each position of a scan was taken, and what its log says of that moment."""

from phasefront.experiment.settings.series import ScanInSeries
from phasefront.records.job import Job


def place_on_log(job):
    from phasefront.core import netcdf
    from phasefront.layouts.cycling import CYCLING
    from phasefront.layouts.scans import SCAN
    from phasefront.layouts.times import TIMES
    from phasefront.series import doses, times

    placing = job.placing
    scans = netcdf.read_all(job.scans, SCAN, key="scan")
    placed = times.place_on_log(
        scans[job.scan],
        netcdf.read(job.cycling, CYCLING),
        series=placing.series,
        dose=doses.dose_so_far(job.scan, placing.members, scans),
        clock_offset_s=placing.clock_offset_s,
        clock_offset_error_s=placing.clock_offset_error_s,
    )
    netcdf.write(placed, job.times, TIMES)


if __name__ == "__main__":
    job = Job(__doc__)
    job.parameter("scan", "identifier of the scan")
    job.input("scans", "what the scans of its series are", many=True)
    job.input("cycling", "its log with ion content")
    job.settings("placing", ScanInSeries)
    job.output("times", "netCDF file to write")
    job.run(place_on_log)
