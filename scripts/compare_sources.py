"""Set all sources side by side, state by state."""

from phasefront.experiment.settings.comparison import ComparisonSettings
from phasefront.experiment.settings.states import Links
from phasefront.records.job import Job


def compare_sources(job):
    from phasefront.comparison import side_by_side
    from phasefront.comparison.sources.units import mapped_units
    from phasefront.core import netcdf
    from phasefront.layouts.chemistry import CHEMISTRY, ION_CONTENT
    from phasefront.layouts.comparison import COMPARISON
    from phasefront.layouts.cycling import CYCLING
    from phasefront.layouts.fractions import STATE_FRACTIONS
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.powder import POWDER
    from phasefront.layouts.registration import REGISTRATION
    from phasefront.layouts.tomography import CELL

    stem = netcdf.read_all(job.stem, STATE_FRACTIONS, key="state")
    cycling = netcdf.read_all(job.cycling, CYCLING, key="log")
    powder = netcdf.read_all(job.powder, POWDER, key="pattern")
    cells = netcdf.read_all(job.cells, CELL, key="cell_name")
    maps = netcdf.read_all(job.chemistry, CHEMISTRY, key="map")
    laid = netcdf.read_all(job.registrations, REGISTRATION, key="map")
    grains = netcdf.read_all(job.grains, GRAINS, key="scan")
    labels = {name: grains[one.attrs["scan"]]["label"].to_numpy() for name, one in laid.items()}
    links = job.links.root
    compared = side_by_side.compare_sources(
        states=[link.state for link in links],
        given={
            "stem": {state: [pooled] for state, pooled in stem.items()},
            "cycling": {link.state: [cycling[link.log]] for link in links if link.log},
            "powder": {link.state: [powder[name] for name in link.patterns] for link in links},
            "cells": {link.state: [cells[name] for name in link.cells] for link in links},
            "chemistry": {
                link.state: [
                    mapped_units(
                        maps[name],
                        particle=particle,
                        registration=laid.get(name),
                        label=labels.get(name),
                    )
                    for name, particle in link.maps.items()
                    if maps[name].attrs["quantity"] == ION_CONTENT
                ]
                for link in links
            },
        },
        phases=job.names,
        calibrating=job.calibrating_patterns,
        lever_fields=job.two_phase_fields,
        margin=job.settings.margin,
        fraction_margin=job.settings.fraction_margin,
    )
    netcdf.write(compared, job.comparison, COMPARISON)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("stem", "fractions of the states", many=True)
    job.input("cycling", "analysed logs", many=True)
    job.input("powder", "fitted powder patterns", many=True)
    job.input("cells", "cells of particles", many=True)
    job.input("chemistry", "maps of chemistry", many=True)
    job.input("registrations", "where these lie on scans", many=True)
    job.input("grains", "grains of the scans that they lie on", many=True)
    job.settings("links", Links).settings("settings", ComparisonSettings)
    job.settings("names", list[str])
    job.settings("two-phase-fields", list[dict[str, float]])
    job.settings("calibrating-patterns", dict[str, list[str]])
    job.output("comparison", "netCDF file to write")
    job.run(compare_sources)
