"""Fit a powder pattern: weight and molar fractions of the phases, with e.s.d."""

from phasefront.experiment.settings.powder import PatternRow, PowderSettings
from phasefront.records.job import Job


def fit_pattern(job):
    from phasefront.core import netcdf
    from phasefront.diffraction.crystals import read_crystals
    from phasefront.layouts.powder import POWDER
    from phasefront.powder import files, fits

    before = [netcdf.read(path, POWDER) for path in job.before]
    fitted = fits.fit_pattern(
        files.read_pattern(
            job.pattern,
            wavelength=job.row.wavelength,
            axis=job.row.axis,
            unit=job.row.unit,
            columns=job.row.columns,
        ),
        read_crystals(job.cifs, job.names),
        name=job.row.pattern,
        wavelength=job.row.wavelength,
        ion_contents=job.ion_contents,
        formula_units=job.formula_units,
        two_theta_range=job.settings.two_theta_range,
        background_terms=job.settings.background_terms,
        start=before[0] if before else None,
    )
    for said in filter(None, (fitted.attrs["notes"], fitted.attrs["refused"])):
        print(said)
    netcdf.write(fitted, job.powder, POWDER)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("pattern", "powder pattern").settings("row", PatternRow)
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.input("before", "fit of the state before, to start from", many=True)
    job.settings("names", list[str]).settings("ion-contents", list[float])
    job.settings("formula-units", list[int]).settings("settings", PowderSettings)
    job.output("powder", "netCDF file to write")
    job.run(fit_pattern)
