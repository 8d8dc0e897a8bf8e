"""Draw the explorer: one page in which any position of the run can be looked at."""

from phasefront.experiment.settings.candidates import SharedLattice
from phasefront.experiment.settings.instruments import CamerasOfScans
from phasefront.experiment.settings.report import ExploredScans, ExplorerSettings
from phasefront.records.job import Job


def draw_explorer(job):
    from phasefront.core import netcdf
    from phasefront.diffraction.candidates import CandidatePhases
    from phasefront.layouts.comparison import COMPARISON
    from phasefront.layouts.mechanisms import MECHANISMS
    from phasefront.layouts.series import SERIES
    from phasefront.layouts.tomography import CELL
    from phasefront.report.explorer import assembly, page
    from phasefront.report.explorer.laid import LaidMaps
    from phasefront.report.explorer.series import series_parts
    from phasefront.series.wording import sentences

    rows = job.scans.root
    candidates = CandidatePhases.read(
        job.cifs,
        job.names,
        parent_axes=job.shared_lattice.axes,
        parent_point_group=job.shared_lattice.point_group,
    )
    shown = assembly.read_scans(rows, vars(job), job.cameras.root)
    mechanisms = [netcdf.read(path, MECHANISMS) for path in job.mechanisms]
    followed = netcdf.read_all(job.series, SERIES, key="series")
    laid = LaidMaps.read(job.correlations, job.registrations, job.spectra)
    embedded = assembly.embedded_patterns(rows, shown, job.raw, job.settings.patterns_mb)
    run = assembly.whole_run(
        job.name,
        job.title,
        job.ion,
        job.labels,
        candidates,
        shown,
        netcdf.read(job.comparison, COMPARISON),
        job.conclusion.read_text(encoding="utf-8"),
        *mechanisms,
        cells=netcdf.read_all(job.cells, CELL, key="cell_name"),
        laid=laid,
    )
    parts = assembly.scan_parts(
        rows, shown, embedded, candidates, job.phases, job.name, laid, *mechanisms
    )
    films = series_parts(followed, sentences(job.judged), run.facts["phases"])
    texts = (path.read_text(encoding="utf-8") for path in (job.program, job.style))
    with job.explorer.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(page.compose(run, parts, films, *texts))


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("comparison", "comparison of the sources").input("conclusion", "what follows")
    # Of scans, in the order of the settings; a list of spots has no raw scan, a map no spots.
    job.input("phases", "phases of every scan", many=True)
    job.input("grains", "grains of every scan", many=True)
    job.input("interfaces", "interfaces inside their grains", many=True)
    job.input("mechanisms", "how grains convert; none without scans", many=True)
    job.input("cells", "of particles", many=True).input("series", "in situ series", many=True)
    job.input("judged", "of series", many=True).input("correlations", "laid maps", many=True)
    job.input("registrations", "where they lie", many=True)
    job.input("spectra", "fitted spectra", many=True).input("spots", "spots", many=True)
    job.input("orientations", "orientations under each phase", many=True)
    job.input("calibration", "calibrations", many=True).input("description", "scans", many=True)
    job.input("raw", "raw scans", many=True)
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.input("program", "the page's own script").input("style", "its style sheet")
    job.settings("scans", ExploredScans).settings("cameras", CamerasOfScans)
    job.settings("settings", ExplorerSettings)
    job.settings("names", list[str]).settings("labels", dict[str, str])
    job.settings("shared-lattice", SharedLattice)
    job.parameter("ion", "element that moves", required=True)
    job.parameter("name", "name of the run").parameter("title", "its title", default="")
    job.output("explorer", "HTML page to write")
    job.run(draw_explorer)
