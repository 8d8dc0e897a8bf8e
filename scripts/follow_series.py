"""Follow places and grains through the scans of an in situ series."""

from phasefront.experiment.settings.interfaces import TwoPhaseFields
from phasefront.records.job import Job


def follow_series(job):
    from phasefront.core import netcdf
    from phasefront.interfaces.fields import contents_of_fields
    from phasefront.layouts.cycling import CYCLING
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.phases import PHASES
    from phasefront.layouts.series import ALIGNMENT, SERIES
    from phasefront.layouts.times import TIMES
    from phasefront.series import tracking

    followed = tracking.follow_series(
        netcdf.read(job.alignment, ALIGNMENT),
        netcdf.read_all(job.phases, PHASES, key="scan"),
        netcdf.read_all(job.grains, GRAINS, key="scan"),
        netcdf.read_all(job.times, TIMES, key="scan"),
        netcdf.read(job.cycling, CYCLING),
        fields=contents_of_fields(job.names, job.ion_contents, job.fields.root),
        seed=job.seed,
    )
    netcdf.write(followed, job.series, SERIES)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("alignment", "where its scans lie on the first")
    job.input("phases", "phases of its scans", many=True)
    job.input("grains", "their grains", many=True)
    job.input("times", "when their positions were taken", many=True)
    job.input("cycling", "its log with ion content")
    job.settings("names", list[str]).settings("ion-contents", list[float])
    job.settings("fields", TwoPhaseFields)
    job.parameter("seed", "seed of draws", type=int, required=True)
    job.output("series", "netCDF file to write")
    job.run(follow_series)
