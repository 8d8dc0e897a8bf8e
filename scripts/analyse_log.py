"""Work out the ion content along a galvanostatic log, and at the states on it."""

from phasefront.experiment.settings.candidates import Weighed
from phasefront.experiment.settings.cycling import LogRow
from phasefront.experiment.settings.states import StatesOnLog
from phasefront.records.job import Job


def analyse_log(job):
    from phasefront.core import moments, netcdf, tables
    from phasefront.cycling import analysis, logs
    from phasefront.layouts.cycling import CYCLING, CYCLING_TABLE

    row = job.row
    log = logs.read_log(job.log, columns=row.columns, timezone=row.timezone)
    started = moments.settled(
        log.attrs["started"], stated=row.start, zone=row.timezone, path=job.log, field="start",
        table="the table of logs",
    )  # fmt: skip
    analysed = analysis.analyse_log(
        log,
        name=row.log,
        states=[state.moment() for state in job.states.root],
        mass_mg=row.mass_mg,
        started=started,
        mass_error_mg=row.mass_error_mg,
        formula_mass=job.weighed.molar_mass,
        initial_content=job.weighed.ion_content,
        initial_error=job.weighed.ion_error,
        ions_per_electron=row.ions_per_electron,
        irreversible_mAh_g=row.irreversible_mah_g,
        irreversible_error_mAh_g=row.irreversible_error_mah_g,
        leakage_mA=row.leakage_ma,
        leakage_error_mA=row.leakage_error_ma,
        inactive_share=row.inactive_share,
        inactive_error=row.inactive_error,
    )
    netcdf.write(analysed, job.cycling, CYCLING)
    tables.write(analysis.tidy_table(analysed), job.table, CYCLING_TABLE)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("log", "galvanostatic log").settings("row", LogRow).settings("states", StatesOnLog)
    job.settings("weighed", Weighed).output("cycling", "netCDF file to write")
    job.output("table", "its records as csv, named as in the Battery Data Format")
    job.run(analyse_log)
