"""Hold virtual maps of chemistry, and where they were laid, against their truth."""

from phasefront.records.job import Job


def check_maps(job):
    from phasefront.core import netcdf, tables
    from phasefront.layouts.chemistry import CHEMISTRY
    from phasefront.layouts.correlation import CORRELATION
    from phasefront.layouts.map_truth import MAP_CHECK_TABLE, MAP_TRUTH
    from phasefront.layouts.registration import REGISTRATION
    from phasefront.virtual.map_checks import check_maps

    found = check_maps(
        netcdf.read_all(job.truth, MAP_TRUTH, key="stack"),
        netcdf.read_all(job.chemistry, CHEMISTRY, key="map"),
        netcdf.read_all(job.registrations, REGISTRATION, key="map"),
        netcdf.read_all(job.correlations, CORRELATION, key="map"),
    )
    tables.write(found, job.table, MAP_CHECK_TABLE)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("truth", "truth of the maps", many=True)
    job.input("chemistry", "the maps", many=True)
    job.input("registrations", "where they were laid", many=True)
    job.input("correlations", "chemistry beside structure", many=True)
    job.output("table", "csv file to write")
    job.run(check_maps)
