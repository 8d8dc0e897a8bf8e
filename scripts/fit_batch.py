"""Fit a part of a batch of powder patterns: fractions of the phases, with e.s.d."""

from phasefront.experiment.settings.powder import PowderSettings
from phasefront.experiment.settings.powder_series import PatternReading
from phasefront.records.job import Job


def fit_batch(job):
    from phasefront.core import netcdf
    from phasefront.diffraction.crystals import read_crystals
    from phasefront.layouts.powder_series import BATCH_FITS
    from phasefront.powder import series

    fitted = series.fit_patterns(
        job.patterns,
        read_crystals(job.cifs, job.names),
        batch=job.batch,
        reading=job.reading,
        settings=job.settings,
        ion_contents=job.ion_contents,
        formula_units=job.formula_units,
    )
    for at, name in enumerate(fitted["pattern"].values):
        for said in filter(None, (fitted["notes"].values[at], fitted["refused"].values[at])):
            print(f"{name}: {said}")
    netcdf.write(fitted, job.fits, BATCH_FITS)


if __name__ == "__main__":
    job = Job(__doc__)
    job.parameter("batch", "identifier of the batch")
    job.input("patterns", "powder patterns", many=True).settings("reading", PatternReading)
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("names", list[str]).settings("ion-contents", list[float])
    job.settings("formula-units", list[int]).settings("settings", PowderSettings)
    job.output("fits", "netCDF file to write")
    job.run(fit_batch)
