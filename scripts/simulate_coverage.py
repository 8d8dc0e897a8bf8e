"""Take small virtual scans of known populations through the analysis, fractions included."""

from phasefront.experiment.settings.candidates import Candidates
from phasefront.experiment.settings.coverage import CoverageSettings
from phasefront.experiment.settings.fractions import FractionSettings
from phasefront.experiment.settings.grains import GrainSettings
from phasefront.experiment.settings.instruments import Instrument
from phasefront.experiment.settings.orientations import OrientationSettings
from phasefront.experiment.settings.phases import PhaseSettings
from phasefront.experiment.settings.spots import SpotSettings
from phasefront.experiment.settings.virtual import Virtual
from phasefront.records.job import Job

SECTIONS = {
    "material": Candidates,
    "virtual": Virtual,
    "instrument": Instrument,
    "spots": SpotSettings,
    "orientations": OrientationSettings,
    "phases": PhaseSettings,
    "grains": GrainSettings,
    "fractions": FractionSettings,
    "coverage": CoverageSettings,
}


def simulate_coverage(job):
    from phasefront.core import tables
    from phasefront.layouts.coverage import COVERAGE_TABLE
    from phasefront.virtual import coverage

    study = coverage.Study(
        **{name: getattr(job, name) for name in SECTIONS},
        cifs=job.cifs,
        templates=job.templates,
        intensities=job.intensities,
        seed=job.seed,
    )
    table = coverage.run(study, job.part, report=lambda line: print(line, flush=True))
    tables.write(table, job.table, COVERAGE_TABLE)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("intensities", "table of Bloch-wave intensities")
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.input("templates", "simulated spots of the phases")
    for name, model in SECTIONS.items():
        job.settings(name, model)
    job.parameter("part", "number of the part of the study", type=int, required=True)
    job.parameter("seed", "seed of grains and noise", type=int, required=True)
    job.output("table", "csv file, a row for each scan, kind of fraction and phase")
    job.run(simulate_coverage)
