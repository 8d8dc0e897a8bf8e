"""Make a virtual synchrotron powder pattern, and its truth."""

from phasefront.experiment.settings.virtual import Virtual
from phasefront.records.job import Job


def simulate_pattern(job):
    import json

    from phasefront.diffraction.crystals import read_crystals
    from phasefront.virtual import particles, pattern

    content = job.virtual.states[job.state].ion_content
    poor, rich, share = particles.neighbouring_phases(job.ion_contents, content)
    fractions = [0.0] * len(job.names)
    fractions[poor] += 1 - share
    fractions[rich] += share
    truth = pattern.simulate_pattern(
        job.xye,
        crystals=read_crystals(job.cifs, job.names),
        formula_units=job.formula_units,
        molar_fractions=fractions,
        wavelength=job.wavelength,
        seed=job.seed,
    )
    job.truth.write_text(json.dumps(truth, indent=1))


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("virtual", Virtual).settings("names", list[str])
    job.settings("ion-contents", list[float]).settings("formula-units", list[int])
    job.parameter("state", "state of charge")
    job.parameter("wavelength", "wavelength, angstrom", type=float, required=True)
    job.parameter("seed", "seed of the noise", type=int, required=True)
    job.output("xye", "pattern to write").output("truth", "json file of the truth")
    job.run(simulate_pattern)
