"""Make a virtual scan as a genuine ASTAR block file, and its truth."""

from phasefront.config import Instrument, Material, Virtual
from phasefront.provenance.job import Job


def simulate_scan(job):
    from phasefront import layouts, netcdf
    from phasefront.virtual import camera

    state = job.virtual.states[job.state]
    truth = camera.simulate_scan(
        job.blo,
        intensities=job.intensities,
        material=job.virtual.material,
        state_ion_content=state.ion_content,
        phases=[(phase.name, phase.ion_content) for phase in job.material.phases],
        insertion_model=state.insertion_model,
        shape=job.virtual.shape,
        scale_nominal=job.instrument.scale,
        scan_step_nm=job.step,
        seed=job.seed,
        scan=job.scan,
    )
    netcdf.write(truth, job.truth, layouts.TRUTH)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("intensities", "table of Bloch-wave intensities")
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("virtual", Virtual).settings("material", Material)
    job.settings("instrument", Instrument)
    job.parameter("state", "state of charge").parameter("scan", "identifier of the scan")
    job.parameter("step", "scan step in nm", type=float)
    job.parameter("seed", "seed of grains and noise", type=int, required=True)
    job.output("blo", "block file to write").output("truth", "netCDF file of the truth")
    job.run(simulate_scan)
