"""Write a scan's map of phases and orientations for orix, MTEX and other programs."""

from phasefront.config import CameraOfScan, Material
from phasefront.provenance.job import Job


def export_maps(job):
    from phasefront import layouts, maps, netcdf
    from phasefront.crystals import read_crystals

    camera = job.camera.root
    found = maps.crystal_map(
        netcdf.read(job.phases, layouts.PHASES),
        netcdf.read(job.orientations, layouts.ORIENTATIONS),
        read_crystals(job.cifs, job.material.names),
        step_nm=job.step,
        camera=camera,
    )
    maps.write_h5(found, job.h5, camera=camera)
    maps.write_ang(found, job.ang, camera=camera)
    maps.write_ctf(found, job.ctf, camera=camera)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("phases", "phase of every position")
    job.input("orientations", "orientations under each phase")
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.parameter("step", "scan step in nm, nan where unknown", type=float)
    job.settings("material", Material).settings("camera", CameraOfScan)
    job.output("h5", "orix's HDF5 file").output("ang", ".ang file")
    job.output("ctf", "Channel 5 text file")
    job.run(export_maps)
