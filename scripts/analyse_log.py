"""Work out the ion content along a galvanostatic log, and at the states on it."""

from phasefront.config import LogRow, Material, StatesOnLog
from phasefront.provenance.job import Job


def analyse_log(job):
    from phasefront import cycling, layouts, logs, netcdf

    analysed = cycling.analyse_log(
        logs.read_log(job.log),
        name=job.row.log,
        states=[state.moment() for state in job.states.root],
        mass_mg=job.row.mass_mg,
        mass_error_mg=job.row.mass_error_mg,
        formula_mass=job.material.pristine_molar_mass,
        initial_content=job.material.pristine_ion_content,
        initial_error=job.material.pristine_ion_error,
        irreversible_mAh_g=job.row.irreversible_mah_g,
        irreversible_error_mAh_g=job.row.irreversible_error_mah_g,
    )
    netcdf.write(analysed, job.cycling, layouts.CYCLING)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("log", "galvanostatic log").settings("row", LogRow).settings("states", StatesOnLog)
    job.settings("material", Material).output("cycling", "netCDF file to write")
    job.run(analyse_log)
