"""Read a stack of images over energy, with its I0 and dark counts."""

from phasefront.experiment.settings.stacks import StackRow
from phasefront.records.job import Job


def read_stack(job):
    from phasefront.core import netcdf
    from phasefront.layouts.stacks import STACK
    from phasefront.stacks import files
    from phasefront.stacks.measured import measured_stack

    row = job.row
    measured = measured_stack(
        files.read_stack(job.stack, pixel_nm=row.pixel_nm),
        name=row.stack,
        i0_path=str(job.i0[0]) if job.i0 else None,
        i0_region=row.i0_region,
        dark_counts=row.dark_counts,
        beam_kev=row.beam_kev,
    )
    if measured.attrs["notes"]:
        print(measured.attrs["notes"])
    netcdf.write(measured, job.measured, STACK)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("stack", "stack of images").settings("row", StackRow)
    job.input("i0", "I0, text of two columns, where the table names one", many=True)
    job.output("measured", "netCDF file to write")
    job.run(read_stack)
