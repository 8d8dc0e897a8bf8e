"""Fit reference spectra to every position of an X-ray stack: valence, or ion content from it."""

from phasefront.experiment.settings.chemistry import ChemistrySettings
from phasefront.records.job import Job


def fit_valence(job):
    from phasefront.chemistry import fitted, maps, valence
    from phasefront.chemistry.references import read_references
    from phasefront.core import netcdf
    from phasefront.layouts.chemistry import CHEMISTRY, SPECTRA
    from phasefront.layouts.stacks import DENSITY

    settings, density = job.settings, netcdf.read(job.density, DENSITY)
    fit = valence.fit_valence(
        density,
        read_references(
            job.references,
            [reference.name for reference in settings.references],
            [reference.valence for reference in settings.references],
            thresholds=settings.thresholds,
        ),
        fit_ev=settings.fit_ev,
        max_shift_ev=settings.max_shift_ev,
        max_error=settings.max_error,
    )
    for warning in fit.warnings:
        print(warning)
    found = maps.valence_map(fit, density)
    if settings.ion_content is not None:
        found = maps.ion_content(found, **settings.ion_content.model_dump())
    netcdf.write(found, job.chemistry, CHEMISTRY)
    spectra = fitted.spectra_dataset(
        fit.spectra, density.attrs["stack"], quantity="optical density", unit="1"
    )
    netcdf.write(spectra, job.spectra, SPECTRA)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("density", "optical density of the stack")
    job.input("references", "reference spectra, in the order of the config's", many=True)
    job.settings("settings", ChemistrySettings).output("chemistry", "netCDF file to write")
    job.output("spectra", "netCDF file of spectra and their fits to write")
    job.run(fit_valence)
