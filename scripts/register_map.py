"""Lay a map of chemistry on a scan by images that grow with thickness."""

from phasefront.experiment.settings.registration import RegistrationSettings
from phasefront.experiment.settings.stacks import StackLaying
from phasefront.records.job import Job


def register_map(job):
    from phasefront.core import netcdf
    from phasefront.layouts.chemistry import CHEMISTRY
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.registration import REGISTRATION
    from phasefront.layouts.scans import SCAN
    from phasefront.registration import landmarks, laying, result, sides

    grains = netcdf.read(job.grains, GRAINS)
    moving = sides.side_of_map(
        netcdf.read(job.chemistry, CHEMISTRY),
        job.laying.resolution_nm,
        unlike=job.settings.unlike,
    )
    fixed = sides.sides_of_scan(
        netcdf.read(job.description, SCAN), grains, job.settings.channels, job.settings.probe_nm
    )
    label = grains["label"].to_numpy()
    used = left = tested = None
    if job.landmarks:
        used, left = landmarks.split(
            landmarks.read_landmarks(job.landmarks[0]), str(job.landmarks[0])
        )
    laid = laying.lay(moving, fixed, label, seed=job.seed, landmarks=used)
    if left is not None:
        tested = landmarks.examine(laid, left)
        laid = landmarks.settle(laid, tested)
    print(laid.status.name.lower(), laid.why)
    netcdf.write(
        result.as_dataset(laid, moving, fixed[0], label, scan=job.laying.scan, tested=tested),
        job.registration,
        REGISTRATION,
    )


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("chemistry", "map of chemistry with its thickness channel")
    job.input("description", "what the scan is").input("grains", "its grains")
    job.input("landmarks", "points found in both, where the table names them", many=True)
    job.settings("laying", StackLaying).settings("settings", RegistrationSettings)
    job.parameter("seed", "seed of draws", type=int, required=True)
    job.output("registration", "netCDF file to write")
    job.run(register_map)
