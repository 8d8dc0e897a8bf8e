"""Check a virtual run's phases, orientations and fractions against the truth."""

from phasefront.experiment.settings.candidates import SharedLattice
from phasefront.records.job import Job


def check_against_truth(job):
    import json

    from phasefront.core import netcdf
    from phasefront.diffraction.crystals import read_crystals
    from phasefront.layouts.fractions import FRACTIONS
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.phases import PHASES
    from phasefront.layouts.truth import TRUTH
    from phasefront.virtual.truth import check_scan

    crystals = read_crystals(job.cifs, job.names)
    phases = netcdf.read_all(job.phases, PHASES, key="scan")
    grains = netcdf.read_all(job.grains, GRAINS, key="scan")
    fractions = netcdf.read_all(job.fractions, FRACTIONS, key="scan")
    truths = netcdf.read_all(job.truth, TRUTH, key="scan")
    checked = {
        scan: check_scan(
            truth,
            phases[scan],
            grains[scan],
            fractions[scan],
            crystals,
            parents=job.shared_lattice.axes,
            parent_point_group=job.shared_lattice.point_group,
        )
        for scan, truth in truths.items()
    }
    job.check.write_text(json.dumps(checked, indent=1) + "\n")


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("truth", "truth of the scans", many=True)
    job.input("phases", "phases of the scans", many=True)
    job.input("grains", "grains of the scans", many=True)
    job.input("fractions", "fractions of the scans", many=True)
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("names", list[str]).settings("shared-lattice", SharedLattice)
    job.output("check", "json file to write")
    job.run(check_against_truth)
