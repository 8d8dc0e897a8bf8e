"""Pack a finished run for a journal or an archive."""

from phasefront.config import SupplementSettings
from phasefront.provenance.job import Job


def pack_supplement(job):
    from phasefront.provenance import supplement

    supplement.pack(
        job.supplement,
        targets=job.targets,
        project=job.project,
        config=job.config,
        raw=job.raw,
        run=job.name,
        title=job.title,
        **job.settings.model_dump(),
    )


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("targets", "outputs of the run", many=True)
    job.input("config", "config file, then its tables", many=True)
    job.input("project", "code, workflow, environment and licence", many=True)
    job.parameter("raw", "paths of the raw scans", nargs="+", required=True)
    job.parameter("name", "name of the run", required=True)
    job.parameter("title", "what the run is", default="")
    job.settings("settings", SupplementSettings)
    job.output("supplement", "zip file to write")
    job.run(pack_supplement)
