"""Infer how the grains of all scans convert: morphologies, populations, habit planes, order."""

from phasefront.experiment.settings.candidates import SharedLattice
from phasefront.experiment.settings.instruments import CamerasOfScans
from phasefront.experiment.settings.interfaces import TwoPhaseFields
from phasefront.experiment.settings.mechanisms import MechanismSettings
from phasefront.experiment.settings.states import Links
from phasefront.records.job import Job


def infer_mechanisms(job):
    from phasefront.core import netcdf
    from phasefront.diffraction.candidates import CandidatePhases
    from phasefront.interfaces.fields import contents_of_fields
    from phasefront.layouts.cycling import CYCLING
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.interfaces import INTERFACES
    from phasefront.layouts.mechanisms import MECHANISMS
    from phasefront.mechanisms import gathering, inference
    from phasefront.mechanisms.elastic import energies_of_fields
    from phasefront.mechanisms.morphology import Morphologist

    candidates = CandidatePhases.read(
        job.cifs,
        job.names,
        parent_axes=job.shared_lattice.axes,
        parent_point_group=job.shared_lattice.point_group,
    )
    fields = list(contents_of_fields(job.names, job.ion_contents, job.fields.root))
    states = {scan: link.state for link in job.links.root for scan in link.scans}
    inferred = inference.infer_mechanisms(
        netcdf.read_all(job.interfaces, INTERFACES, key="scan"),
        netcdf.read_all(job.grains, GRAINS, key="scan"),
        Morphologist.read(job.snapshots),
        states=states,
        directions=gathering.directions_of(
            [netcdf.read(path, CYCLING) for path in job.cycling],
            states.values(),
            job.settings.direction,
        ),
        phases=job.names,
        fields=fields,
        parent_point_group=job.shared_lattice.point_group,
        camera_errors={
            scan: camera.rotation_error_deg
            for scan, camera in job.cameras.root.items()
            if camera and camera.rotation_error_deg
        },
        seed=job.seed,
        energies=energies_of_fields(candidates, fields, job.settings.elasticity),
    )
    netcdf.write(inferred, job.mechanisms, MECHANISMS)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("interfaces", "interfaces inside the grains of every scan", many=True)
    job.input("grains", "grains of every scan", many=True)
    job.input("cycling", "galvanostatic logs", many=True)
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.input("snapshots", "simulated grains that morphologies are learned from")
    job.settings("links", Links).settings("cameras", CamerasOfScans)
    job.settings("names", list[str]).settings("ion-contents", list[float])
    job.settings("fields", TwoPhaseFields).settings("shared-lattice", SharedLattice)
    job.settings("settings", MechanismSettings)
    job.parameter("seed", "seed of draws", type=int, required=True)
    job.output("mechanisms", "netCDF file to write")
    job.run(infer_mechanisms)
