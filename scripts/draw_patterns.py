"""Draw a few patterns, each as the likeliest phase and as the runner-up explain it."""

from phasefront.experiment.settings.instruments import Instrument
from phasefront.experiment.settings.scans import ScanLayout
from phasefront.records.job import Job


def draw_patterns(job):
    import numpy as np

    from phasefront.core import netcdf
    from phasefront.diffraction.crystals import read_crystals
    from phasefront.layouts.calibration import CALIBRATION
    from phasefront.layouts.orientations import ORIENTATIONS
    from phasefront.layouts.phases import PHASES
    from phasefront.layouts.spots import SPOTS
    from phasefront.phases import explanations
    from phasefront.report.figures import patterns as pictures
    from phasefront.report.figures import style
    from phasefront.scans import files

    spots = netcdf.read(job.spots, SPOTS)
    phases = netcdf.read(job.phases, PHASES)
    orientations = netcdf.read(job.orientations, ORIENTATIONS)
    positions, reasons = pictures.choose_positions(phases, orientations)
    patterns = calibration = None
    if job.scan:
        scan = files.open_scan(job.scan[0], job.layout)
        patterns = np.array([scan.read_rows(y, y + 1)[0, x] for y, x in positions])
        calibration = netcdf.read(job.calibration[0], CALIBRATION)
    drawn = pictures.draw_patterns(
        patterns,
        positions,
        spots=spots,
        phases=phases,
        explained=explanations.explain(
            positions,
            spots,
            phases,
            read_crystals(job.cifs, job.names),
            voltage_kv=job.instrument.voltage_kv,
            precession_deg=job.instrument.precession_deg,
        ),
        calibration=calibration,
        reasons=reasons,
        labels=job.labels,
    )
    style.save(drawn, job.patterns)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("scan", "raw scan, where there is one", many=True)
    job.input("calibration", "calibration of the raw scan", many=True)
    job.input("spots", "Bragg vectors").input("phases", "phase of every position")
    job.input("orientations", "orientations under each phase")
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("names", list[str]).settings("labels", dict[str, str])
    job.settings("instrument", Instrument)
    job.settings("layout", ScanLayout, default="{}")
    job.output("patterns", "PNG to write")
    job.run(draw_patterns)
