"""Take the weight fractions of a powder pattern from a table that another program made."""

from phasefront.experiment.settings.powder import PatternRow, PowderSettings
from phasefront.records.job import Job


def import_fractions(job):
    from phasefront.core import netcdf
    from phasefront.diffraction.crystals import read_crystals
    from phasefront.layouts.powder import POWDER
    from phasefront.powder import refined_tables

    refined = refined_tables.read_fractions(
        job.table,
        read_crystals(job.cifs, job.names),
        job.settings.refined,
        name=job.row.pattern,
        row=job.row.row,
        wavelength=job.row.wavelength,
        ion_contents=job.ion_contents,
        formula_units=job.formula_units,
    )
    netcdf.write(refined, job.powder, POWDER)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("table", "table of refined fractions").settings("row", PatternRow)
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("names", list[str]).settings("ion-contents", list[float])
    job.settings("formula-units", list[int]).settings("settings", PowderSettings)
    job.output("powder", "netCDF file to write")
    job.run(import_fractions)
