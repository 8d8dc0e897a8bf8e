"""Make a virtual galvanostatic charge as an EC-Lab text file, and its truth."""

from phasefront.experiment.settings.cycling import LogRow
from phasefront.experiment.settings.virtual import Virtual
from phasefront.records.job import Job


def simulate_log(job):
    from phasefront.virtual import log
    from phasefront.virtual.insitu import pulse_log

    if job.row.log in job.virtual.logs:
        pulses = job.virtual.logs[job.row.log]
        truth = pulse_log.simulate_pulses(job.mpt, pulses, seed=job.seed)
        truth.to_json(job.truth, orient="records", indent=1)
        return
    # A charge passes the states from the most to the least ions.
    contents = {name: state.ion_content for name, state in job.virtual.states.items()}
    truth = log.simulate_log(
        job.mpt,
        states=dict(sorted(contents.items(), key=lambda state: -state[1])),
        mass_mg=job.row.mass_mg,
        mass_error_mg=job.row.mass_error_mg,
        irreversible_mAh_g=job.row.irreversible_mah_g,
        irreversible_error_mAh_g=job.row.irreversible_error_mah_g,
        formula_mass=job.formula_mass,
        seed=job.seed,
    )
    truth.to_json(job.truth, orient="records", indent=1)


if __name__ == "__main__":
    job = Job(__doc__)
    job.settings("virtual", Virtual)
    job.parameter("formula-mass", "g/mol of the weighed compound", type=float, required=True)
    job.settings("row", LogRow)
    job.parameter("seed", "seed of the noise", type=int, required=True)
    job.output("mpt", "log to write").output("truth", "json file of the truth")
    job.run(simulate_log)
