"""Write a scan's map of phases and orientations for orix, MTEX and other programs."""

from phasefront.experiment.settings.instruments import CameraOfScan
from phasefront.records.job import Job


def export_maps(job):
    from phasefront.core import netcdf
    from phasefront.diffraction.crystals import read_crystals
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.orientations import ORIENTATIONS
    from phasefront.layouts.phases import PHASES
    from phasefront.maps import export

    camera = job.camera.root
    grains = netcdf.read(job.grains, GRAINS)
    found = export.crystal_map(
        netcdf.read(job.phases, PHASES),
        netcdf.read(job.orientations, ORIENTATIONS),
        grains,
        read_crystals(job.cifs, job.names),
        step_nm=grains.attrs["scan_step_nm"],
        camera=camera,
    )
    export.write_h5(found, job.h5, camera=camera)
    export.write_ang(found, job.ang, camera=camera)
    export.write_ctf(found, job.ctf, camera=camera)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("phases", "phase of every position")
    job.input("orientations", "orientations under each phase")
    job.input("grains", "grains of the scan, and its step")
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("names", list[str]).settings("camera", CameraOfScan)
    job.output("h5", "orix's HDF5 file").output("ang", ".ang file")
    job.output("ctf", "Channel 5 text file")
    job.run(export_maps)
