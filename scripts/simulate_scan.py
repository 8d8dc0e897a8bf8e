"""Make a virtual scan as a genuine ASTAR block file, and its truth."""

from phasefront.experiment.settings.instruments import Instrument
from phasefront.experiment.settings.virtual import Virtual
from phasefront.records.job import Job


def simulate_scan(job):
    from phasefront.core import netcdf
    from phasefront.layouts.truth import TRUTH
    from phasefront.virtual import camera, film, particles, specimen
    from phasefront.virtual.insertion import placing

    chosen = job.virtual.simulated
    state = job.virtual.states[job.state]
    grown = specimen.make_specimen(
        scan=job.scan,
        intensities=job.intensities,
        material=job.virtual.material,
        phases=[
            particles.VirtualPhase.of_cif(*phase)
            for phase in zip(job.names, job.cifs, job.ion_contents, strict=True)
        ],
        ion_content=state.ion_content,
        insertion_model=state.insertion_model,
        grains=job.virtual.grains,
        shape=job.virtual.shape,
        thickness_nm=state.thickness_nm or job.virtual.thickness_nm,
        scan_step_nm=job.step,
        seed=job.seed,
        simulated=placing.Choice(chosen.part, tuple(chosen.regimes), *job.grains),
    )
    truth = camera.simulate_scan(
        job.blo,
        grown,
        scale_nominal=job.instrument.scale,
        dose=state.dose or job.virtual.dose,
        camera=job.virtual.camera,
        detector=film.DETECTORS[job.virtual.detector],
    )
    netcdf.write(truth, job.truth, TRUTH)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("intensities", "table of Bloch-wave intensities")
    job.input("grains", "file of simulated grains, where the state takes them", many=True)
    job.settings("virtual", Virtual).settings("names", list[str]).settings("cifs", list[str])
    job.settings("ion-contents", list[float])
    job.settings("instrument", Instrument)
    job.parameter("state", "state of charge").parameter("scan", "identifier of the scan")
    job.parameter("step", "scan step in nm", type=float)
    job.parameter("seed", "seed of grains and noise", type=int, required=True)
    job.output("blo", "block file to write").output("truth", "netCDF file of the truth")
    job.run(simulate_scan)
