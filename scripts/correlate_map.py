"""Compare a map of chemistry with the structure of the scan that it is laid on."""

from phasefront.experiment.settings.correlation import CorrelationSettings
from phasefront.experiment.settings.stacks import StackLaying
from phasefront.records.job import Job


def correlate_map(job):
    import json

    from phasefront.core import netcdf
    from phasefront.correlation import of_map, result
    from phasefront.layouts.chemistry import CHEMISTRY
    from phasefront.layouts.correlation import CORRELATION
    from phasefront.layouts.grains import GRAINS
    from phasefront.layouts.interfaces import INTERFACES
    from phasefront.layouts.phases import PHASES
    from phasefront.layouts.registration import REGISTRATION

    registration = netcdf.read(job.registration, REGISTRATION)
    found = of_map.correlate_map(
        netcdf.read(job.chemistry, CHEMISTRY),
        registration,
        netcdf.read(job.phases, PHASES),
        netcdf.read(job.grains, GRAINS),
        netcdf.read(job.interfaces, INTERFACES),
        ion_contents=job.ion_contents,
        resolution_nm=job.laying.resolution_nm,
        probe_nm=job.probe,
        per_ion=job.laying.per_ion,
        margin=job.margin,
        distances_nm=job.settings.distances_nm,
        seed=job.seed,
    )
    print(found.attrs["answer"], found.attrs["why"])
    netcdf.write(found, job.correlation, CORRELATION)
    text = json.dumps(result.summary(found, registration), indent=1, allow_nan=False)
    job.summary.write_text(text + "\n")


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("chemistry", "map of chemistry").input("registration", "where it lies on the scan")
    job.input("phases", "phases of the scan").input("grains", "its grains")
    job.input("interfaces", "interfaces inside them")
    job.settings("laying", StackLaying).settings("settings", CorrelationSettings)
    job.settings("ion-contents", list[float]).settings("probe", float | None)
    job.parameter("margin", "difference in ion content that does not matter", type=float)
    job.parameter("seed", "seed of surrogates", type=int, required=True)
    job.output("correlation", "netCDF file to write").output("summary", "JSON of its numbers")
    job.run(correlate_map)
