"""Film a scan of a virtual in situ series as a genuine ASTAR block file, and write its truth."""

from phasefront.experiment.settings.instruments import Camera, Instrument
from phasefront.experiment.settings.virtual_series import SeriesPlan
from phasefront.records.job import Job


def film_scan(job):
    from phasefront.core import netcdf
    from phasefront.layouts.truth import TRUTH
    from phasefront.virtual import camera, film
    from phasefront.virtual.conditions import Conditions
    from phasefront.virtual.insitu import filming, series
    from phasefront.virtual.particles import VirtualPhase

    whole = series.planned_series(job.plan, *job.grains)
    number = [member.scan for member in whole.members].index(job.scan)
    grown = filming.specimen_of(
        whole,
        number,
        material=job.material,
        phases=[
            VirtualPhase.of_cif(*phase)
            for phase in zip(job.names, job.cifs, job.ion_contents, strict=True)
        ],
        seed=job.seed,
        intensities=job.intensities,
    )
    truth = camera.simulate_scan(
        job.blo,
        grown,
        scale_nominal=job.instrument.scale,
        dose=whole.members[number].electrons_per_position,
        gamma=float(whole.gammas[number]),
        camera=job.camera,
        detector=film.DETECTORS[job.detector],
        conditions=Conditions(liquid_nm=whole.asked.liquid_nm),
    )
    netcdf.write(truth, job.truth, TRUTH)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("intensities", "table of Bloch-wave intensities")
    job.input("grains", "file of simulated grains, where some are pictured", many=True)
    job.parameter("material", "material in the table")
    job.settings("names", list[str]).settings("cifs", list[str])
    job.settings("ion-contents", list[float])
    job.settings("camera", Camera | None)
    job.parameter("detector", "what takes the patterns")
    job.settings("instrument", Instrument)
    job.settings("plan", SeriesPlan)
    job.parameter("scan", "identifier of the scan")
    job.parameter("seed", "seed of noise", type=int, required=True)
    job.output("blo", "block file to write").output("truth", "netCDF file of the truth")
    job.run(film_scan)
