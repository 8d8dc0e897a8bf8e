"""Make a virtual X-ray stack of the grains of a virtual scan, and its truth."""

from phasefront.experiment.settings.virtual_maps import VirtualStackPlan
from phasefront.records.job import Job


def simulate_xray_stack(job):
    from phasefront.core import netcdf
    from phasefront.layouts.map_truth import MAP_TRUTH
    from phasefront.layouts.truth import TRUTH
    from phasefront.stacks.columns import columns_of
    from phasefront.virtual import mapping, xray_stack

    plan, asked = job.plan, job.plan.asked
    specimen = mapping.specimen_of(netcdf.read(job.specimen, TRUTH))
    sight = mapping.sight_of(
        asked, plan.resolution_nm, specimen.thickness.shape, specimen.step_nm, plan.map_seed
    )
    counts = xray_stack.xray_counts(
        specimen,
        sight,
        [columns_of(path, "two columns, eV and absorption") for path in job.references],
        light=asked.light,
        stray_share=asked.stray_share,
        dark_counts=plan.dark_counts,
        seed=plan.seed,
    )
    xray_stack.write_hermes(job.hdf5, xray_stack.ENERGIES_EV, counts, asked.pixel_nm)
    truth = mapping.truth_of_map(sight, specimen, stack=plan.stack, scan=plan.scan)
    netcdf.write(truth, job.truth, MAP_TRUTH)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("specimen", "truth of the scan")
    job.input("references", "white lines of V3+ and of V4+", many=True)
    job.settings("plan", VirtualStackPlan)
    job.output("hdf5", "stack to write, as HERMES does").output("truth", "netCDF of its truth")
    job.run(simulate_xray_stack)
