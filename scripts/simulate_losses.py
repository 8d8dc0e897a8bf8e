"""Make a virtual spectrum image of the grains of a virtual scan, and its truth."""

from phasefront.experiment.settings.virtual_maps import VirtualStackPlan
from phasefront.records.job import Job


def simulate_losses(job):
    import math

    from phasefront.core import netcdf
    from phasefront.layouts.map_truth import MAP_TRUTH
    from phasefront.layouts.truth import TRUTH
    from phasefront.virtual import loss_stack, mapping

    plan, asked = job.plan, job.plan.asked
    low = plan.kind == "low-loss"
    specimen = mapping.specimen_of(netcdf.read(job.specimen, TRUTH))
    sight = mapping.sight_of(
        asked, plan.resolution_nm, specimen.thickness.shape, specimen.step_nm, plan.map_seed
    )
    decay = asked.decay_per_nm2
    counts = loss_stack.loss_counts(
        specimen,
        sight,
        low=low,
        electrons=asked.light,
        ions_left=math.exp(-plan.electrons_before / decay) if decay else 1.0,
        shift_seed=plan.shift_seed,
        seed=plan.seed,
    )
    energy = loss_stack.LOW_EV if low else loss_stack.CORE_EV
    loss_stack.write_losses(
        job.hspy, energy, counts, pixel_nm=asked.pixel_nm, beam_kev=plan.beam_kev
    )
    truth = mapping.truth_of_map(sight, specimen, stack=plan.stack, scan=plan.scan)
    netcdf.write(truth, job.truth, MAP_TRUTH)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("specimen", "truth of the scan").settings("plan", VirtualStackPlan)
    job.output("hspy", "spectrum image to write").output("truth", "netCDF of its truth")
    job.run(simulate_losses)
