"""Take a map of a quantity that another program made, with its unit and error."""

from phasefront.experiment.settings.stacks import StackRow
from phasefront.records.job import Job


def import_quantity(job):
    from phasefront.chemistry.formats import read_map
    from phasefront.chemistry.imported import imported_map
    from phasefront.core import netcdf
    from phasefront.layouts.chemistry import CHEMISTRY

    row = job.row
    imported = imported_map(
        read_map(job.map),
        name=row.stack,
        source=str(job.map),
        quantity=row.quantity,
        unit=row.unit,
        error=read_map(job.error[0]) if job.error else row.error,
        systematic_error=row.systematic_error,
        thickness=read_map(job.thickness[0]) if job.thickness else None,
        thickness_unit=row.thickness_unit,
        thickness_error=row.thickness_error,
        pixel_nm=row.pixel_nm,
    )
    netcdf.write(imported, job.chemistry, CHEMISTRY)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("map", "map of a quantity").settings("row", StackRow)
    job.input("error", "map of its standard error, where the table names one", many=True)
    job.input("thickness", "map of the thickness, where the table names one", many=True)
    job.output("chemistry", "netCDF file to write")
    job.run(import_quantity)
