"""Take the phase of every position from a map that another program made."""

from phasefront.experiment.settings.maps import MapSettings
from phasefront.records.job import Job


def import_map(job):
    from phasefront.core import netcdf
    from phasefront.diffraction.crystals import read_crystals
    from phasefront.layouts.phases import PHASES
    from phasefront.maps import formats, imported

    phases = imported.import_map(
        formats.read_map(job.map),
        read_crystals(job.cifs, job.names),
        name=job.name,
        given=job.settings.phases,
        least=job.settings.least,
        scan_step_nm=job.step,
    )
    netcdf.write(phases, job.phases, PHASES)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("map", ".ang, .ctf or orix's .h5").parameter("name", "identifier of the scan")
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.parameter("step", "scan step in nm, nan where unknown", type=float)
    job.settings("names", list[str]).settings("settings", MapSettings)
    job.output("phases", "netCDF file to write")
    job.run(import_map)
