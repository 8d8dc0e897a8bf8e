"""Put the fits of an operando powder series in the order of time, on their log."""

from phasefront.records.job import Job


def gather_powder_series(job):
    from phasefront.core import netcdf, tables
    from phasefront.layouts.powder_series import (
        BATCH_FITS,
        BATCH_TIMES,
        POWDER_SERIES,
        POWDER_SERIES_TABLE,
    )
    from phasefront.powder import series

    gathered = series.gather(
        [netcdf.read(path, BATCH_TIMES) for path in job.times],
        [netcdf.read(path, BATCH_FITS) for path in job.fits],
    )
    netcdf.write(gathered, job.series, POWDER_SERIES)
    tables.write(series.rows(gathered), job.table, POWDER_SERIES_TABLE)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("times", "when patterns were measured, of each batch", many=True)
    job.input("fits", "fits of all parts of them", many=True)
    job.output("series", "netCDF file to write").output("table", "csv file to write")
    job.run(gather_powder_series)
