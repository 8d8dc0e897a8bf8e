"""Work out which pairs of phases can be told apart, along which directions, with what dose."""

from phasefront.experiment.settings.instruments import Instrument
from phasefront.experiment.settings.phases import PhaseSettings
from phasefront.experiment.settings.spots import SpotSettings
from phasefront.records.job import Job


def rate_pairs(job):
    from phasefront.core import netcdf, tables
    from phasefront.diffraction.crystals import read_crystals
    from phasefront.layouts.pairs import PAIRS, PAIRS_TABLE
    from phasefront.pairs import rating, table

    rated = rating.rate_pairs(
        read_crystals(job.cifs, job.names),
        voltage_kv=job.instrument.voltage_kv,
        precession_deg=job.instrument.precession_deg,
        max_radius=job.spots.max_radius,
        position_sigma=job.spots.position_sigma,
        decide_above=job.phases.decide_above,
        min_spots=job.phases.min_spots,
    )
    netcdf.write(rated, job.pairs, PAIRS)
    tables.write(table.tabulate(rated), job.table, PAIRS_TABLE)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("names", list[str]).settings("instrument", Instrument)
    job.settings("spots", SpotSettings).settings("phases", PhaseSettings)
    job.output("pairs", "netCDF file to write").output("table", "csv file to write")
    job.run(rate_pairs)
