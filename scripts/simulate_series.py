"""Make the truth of a virtual in situ series, without its patterns."""

from phasefront.experiment.settings.virtual_series import SeriesPlan
from phasefront.records.job import Job


def simulate_series(job):
    from phasefront.core import netcdf
    from phasefront.layouts.truth import SERIES_TRUTH
    from phasefront.virtual import bloch_waves, specimen
    from phasefront.virtual.insitu import series
    from phasefront.virtual.particles import VirtualPhase

    phases = [
        VirtualPhase.of_cif(*phase)
        for phase in zip(job.names, job.cifs, job.ion_contents, strict=True)
    ]
    table = netcdf.read(job.intensities, bloch_waves.BLOCH_WAVES)
    truth = series.truth_of_series(
        series.planned_series(job.plan, *job.grains),
        ion_contents={phase.name: phase.ion_content for phase in phases},
        formula_volumes=specimen.formula_volumes(table, job.material, phases, job.intensities),
    )
    netcdf.write(truth, job.truth, SERIES_TRUTH)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("intensities", "table of Bloch-wave intensities")
    job.input("grains", "file of simulated grains, where some are pictured", many=True)
    job.parameter("material", "material in the table")
    job.settings("names", list[str]).settings("cifs", list[str])
    job.settings("ion-contents", list[float])
    job.settings("plan", SeriesPlan)
    job.output("truth", "netCDF file of the truth")
    job.run(simulate_series)
