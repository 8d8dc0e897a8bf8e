"""Fit edges of energy losses at every position: atoms of one element over another's."""

from phasefront.experiment.settings.losses import LossSettings, RepeatDoses
from phasefront.records.job import Job


def fit_losses(job):
    import numpy as np

    from phasefront.chemistry import dose, fitted, losses, maps
    from phasefront.core import netcdf
    from phasefront.layouts.chemistry import CHEMISTRY, SPECTRA
    from phasefront.layouts.stacks import STACK

    settings = job.settings
    sections = [
        losses.CrossSection.read(path, **edge.model_dump(exclude={"path", "source"}))
        for path, edge in zip(job.sections, settings.edges, strict=True)
    ]
    cores = [netcdf.read(path, STACK) for path in job.core]
    fits = [
        losses.fit_ratio(
            core,
            netcdf.read(low, STACK),
            sections,
            ratio=settings.ratio,
            fit_ev=settings.fit_ev,
            fine_structure_ev=settings.fine_structure_ev,
            max_relative_error=settings.max_relative_error,
        )
        for core, low in zip(cores, job.low, strict=True)
    ]
    before = None
    if len(fits) > 1:
        before = dose.to_zero_dose(
            np.stack([one.value for one in fits]),
            np.stack([one.standard_error for one in fits]),
            dose.middle_doses([one.electrons_per_nm2 for one in job.doses]),
            cores[0].attrs["stack"],
        )
    found = maps.ratio_map(fits[0], cores[0], elements=settings.ratio, before=before)
    if settings.formula_atoms is not None:
        found = maps.ions_of_ratio(found, settings.formula_atoms)
    print(found.attrs["warnings"])
    netcdf.write(found, job.chemistry, CHEMISTRY)
    spectra = fitted.spectra_dataset(
        fits[0].spectra,
        cores[0].attrs["stack"],
        quantity="energy loss",
        unit="counts",
        note="" if before is None else "of the first scan, before it is extrapolated to no dose",
    )
    netcdf.write(spectra, job.spectra, SPECTRA)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("core", "edges of the stack, and of its repeats", many=True)
    job.input("low", "low loss of each of them", many=True)
    job.input("sections", "cross sections, in the order of the config's edges", many=True)
    job.settings("doses", list[RepeatDoses]).settings("settings", LossSettings)
    job.output("chemistry", "netCDF file to write")
    job.output("spectra", "netCDF file of spectra and their fits to write")
    job.run(fit_losses)
