"""Say when each powder pattern of a batch was measured, and what its log says of that time."""

from phasefront.experiment.settings.powder_series import PatternClock
from phasefront.records.job import Job


def place_patterns(job):
    from phasefront.core import netcdf
    from phasefront.experiment.pattern_times import read_times
    from phasefront.layouts.cycling import CYCLING
    from phasefront.layouts.powder_series import BATCH_TIMES
    from phasefront.powder import placing

    stated = [read_times(path) for path in job.stated]
    measured = placing.spans(job.patterns, job.clock, stated[0] if stated else None)
    placed = placing.place_patterns(
        measured, netcdf.read(job.cycling, CYCLING), job.clock, batch=job.batch
    )
    netcdf.write(placed, job.times, BATCH_TIMES)


if __name__ == "__main__":
    job = Job(__doc__)
    job.parameter("batch", "identifier of the batch")
    job.input("patterns", "powder patterns of the batch", many=True)
    job.input("stated", "table of their times, where the files do not say them", many=True)
    job.input("cycling", "their log with ion content")
    job.settings("clock", PatternClock)
    job.output("times", "netCDF file to write")
    job.run(place_patterns)
