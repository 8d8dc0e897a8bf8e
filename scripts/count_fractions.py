"""Count the phase fractions of a scan, with intervals from resampled grains."""

from phasefront.config import FractionSettings, Material
from phasefront.provenance.job import Job


def count_fractions(job):
    from phasefront import fractions, layouts, netcdf
    from phasefront.crystals import read_crystals

    crystals = read_crystals(job.cifs, job.material.names)
    counted = fractions.phase_fractions(
        netcdf.read(job.phases, layouts.PHASES),
        netcdf.read(job.grains, layouts.GRAINS),
        netcdf.read(job.confusion, layouts.CONFUSION),
        diffuse=netcdf.read(job.scan[0], layouts.SCAN)["diffuse"].values if job.scan else None,
        ion_contents=job.material.ion_contents,
        formula_volumes=[
            crystal.volume / phase.formula_units
            for crystal, phase in zip(crystals, job.material.phases, strict=True)
        ],
        thickness_exponent=job.settings.thickness_exponent,
        draws=job.settings.draws,
        seed=job.seed,
    )
    netcdf.write(counted, job.fractions, layouts.FRACTIONS)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("phases", "phase of every position").input("grains", "grains of the scan")
    job.input("confusion", "simulated confusion of the scan")
    job.input("scan", "description of the raw scan, where there is one", many=True)
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("material", Material).settings("settings", FractionSettings)
    job.parameter("seed", "seed of the bootstrap", type=int, required=True)
    job.output("fractions", "netCDF file to write")
    job.run(count_fractions)
