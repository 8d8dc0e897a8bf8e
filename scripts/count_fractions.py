"""Count the phase fractions of a scan, with intervals from resampled grains."""

from phasefront.experiment.settings.fractions import FractionSettings
from phasefront.records.job import Job


def count_fractions(job):
    from phasefront.core import netcdf
    from phasefront.diffraction.candidates import CandidatePhases
    from phasefront.fractions import estimation
    from phasefront.layouts.confusion import CONFUSION
    from phasefront.layouts.fractions import FRACTIONS
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.phases import PHASES
    from phasefront.layouts.scans import SCAN

    candidates = CandidatePhases.read(job.cifs, job.names, formula_units=job.formula_units)
    by_thickness = job.scan and job.settings.molar_weight == "thickness"
    counted = estimation.phase_fractions(
        netcdf.read(job.phases, PHASES),
        netcdf.read(job.grains, GRAINS),
        netcdf.read(job.confusion[0], CONFUSION) if job.confusion else None,
        diffuse=netcdf.read(job.scan[0], SCAN)["diffuse"].values if by_thickness else None,
        ion_contents=job.ion_contents,
        formula_volumes=candidates.formula_volumes,
        thickness_exponent=job.settings.thickness_exponent,
        draws=job.settings.draws,
        seed=job.seed,
    )
    netcdf.write(counted, job.fractions, FRACTIONS)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("phases", "phase of every position").input("grains", "grains of the scan")
    job.input("confusion", "simulated confusion of the scan; a map read has none", many=True)
    job.input("scan", "description of the raw scan, where there is one", many=True)
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("names", list[str]).settings("ion-contents", list[float])
    job.settings("formula-units", list[int]).settings("settings", FractionSettings)
    job.parameter("seed", "seed of the draws", type=int, required=True)
    job.output("fractions", "netCDF file to write")
    job.run(count_fractions)
