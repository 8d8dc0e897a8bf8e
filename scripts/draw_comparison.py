"""Draw the comparison of the sources, and the phase maps of all states in a row."""

from phasefront.experiment.settings.states import Links
from phasefront.records.job import Job


def draw_comparison(job):
    from phasefront.core import netcdf
    from phasefront.layouts.comparison import COMPARISON
    from phasefront.layouts.cycling import CYCLING
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.phases import PHASES
    from phasefront.report.figures import comparison, maps, style

    labels = job.labels
    drawn = comparison.draw_comparison(
        list(netcdf.read_all(job.cycling, CYCLING, key="log").values()),
        netcdf.read(job.comparison, COMPARISON),
        ion=job.ion,
        labels=labels,
    )
    style.save(drawn, job.figure)
    phases = netcdf.read_all(job.phases, PHASES, key="scan")
    grains = netcdf.read_all(job.grains, GRAINS, key="scan")
    shown = [(link.state, scan) for link in job.links.root for scan in link.scans]
    drawn = maps.draw_phase_map_overview(
        [phases[scan] for _, scan in shown],
        titles=[state for state, _ in shown],
        grains=[grains[scan] for _, scan in shown],
        scan_steps_nm=[grains[scan].attrs["scan_step_nm"] for _, scan in shown],
        labels=labels,
    )
    style.save(drawn, job.overview)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("comparison", "comparison of the sources")
    job.input("cycling", "analysed logs", many=True)
    job.input("phases", "phases of the scans", many=True)
    job.input("grains", "grains of the scans", many=True)
    job.settings("labels", dict[str, str]).parameter("ion", "element that moves", required=True)
    job.settings("links", Links)
    job.output("figure", "PNG of the comparison").output("overview", "PNG of the maps")
    job.run(draw_comparison)
