"""Work out which pairs of phases can be told apart, along which directions, with what dose."""

from phasefront.config import Instrument, Material, PhaseSettings, SpotSettings
from phasefront.provenance.job import Job


def rate_pairs(job):
    from phasefront import discrimination, layouts, netcdf
    from phasefront.crystals import read_crystals

    rated = discrimination.rate_pairs(
        read_crystals(job.cifs, job.material.names),
        voltage_kv=job.instrument.voltage_kv,
        precession_deg=job.instrument.precession_deg,
        max_radius=job.spots.max_radius,
        position_sigma=job.spots.position_sigma,
        decide_above=job.phases.decide_above,
        min_spots=job.phases.min_spots,
    )
    netcdf.write(rated, job.pairs, layouts.PAIRS)
    discrimination.tabulate(rated).to_csv(job.table, index=False, float_format="%.4g")


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("material", Material).settings("instrument", Instrument)
    job.settings("spots", SpotSettings).settings("phases", PhaseSettings)
    job.output("pairs", "netCDF file to write").output("table", "csv file to write")
    job.run(rate_pairs)
