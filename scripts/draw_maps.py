"""Draw a scan's maps: phases with grain outlines, orientations, composition, reliability."""

from phasefront.experiment.settings.instruments import CameraOfScan
from phasefront.records.job import Job


def draw_maps(job):
    from phasefront.core import netcdf
    from phasefront.diffraction.crystals import read_crystals
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.orientations import ORIENTATIONS
    from phasefront.layouts.phases import PHASES
    from phasefront.report.figures import maps, style

    phases = netcdf.read(job.phases, PHASES)
    orientations = netcdf.read(job.orientations[0], ORIENTATIONS) if job.orientations else None
    grains = netcdf.read(job.grains, GRAINS)
    crystals = {crystal.name: crystal for crystal in read_crystals(job.cifs, job.names)}
    step, labels = grains.attrs["scan_step_nm"], job.labels
    drawn = maps.draw_phase_map(phases, grains, scan_step_nm=step, labels=labels)
    style.save(drawn, job.decision)
    # How a map of another program lies to the scan, only its file knows.
    camera = job.camera.root if maps.is_own(phases) else None
    drawn = maps.draw_orientation_map(
        phases, grains, crystals, camera=camera, scan_step_nm=step, labels=labels
    )
    style.save(drawn, job.ipf)
    drawn = maps.draw_composition(phases, grains, scan_step_nm=step, ion=job.ion)
    style.save(drawn, job.composition)
    drawn = maps.draw_reliability(phases, grains, orientations, scan_step_nm=step)
    style.save(drawn, job.reliability)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("phases", "phase of every position").input("grains", "grains of the scan")
    job.input("orientations", "orientations under each phase; a map read has none", many=True)
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("names", list[str]).settings("labels", dict[str, str])
    job.parameter("ion", "element that moves", required=True).settings("camera", CameraOfScan)
    job.output("decision", "PNG of the phase map")
    job.output("ipf", "PNG of the orientation maps").output("reliability", "PNG of its maps")
    job.output("composition", "PNG of the maps of ion content and axial ratio")
    job.run(draw_maps)
