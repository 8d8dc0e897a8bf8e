"""Pack a finished run for a journal or an archive."""

from phasefront.experiment.settings.supplement import SupplementSettings
from phasefront.records.job import Job


def pack_supplement(job):
    from phasefront.archive import supplement

    supplement.pack(
        job.supplement,
        targets=job.targets,
        project=job.project,
        config=job.config,
        tables=job.tables,
        raw=job.raw,
        downloads=job.fetched,
        run=job.name,
        title=job.title,
        **job.settings.model_dump(),
    )


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("targets", "outputs of the run", many=True)
    job.input("config", "config files, later ones over earlier ones", many=True)
    job.input("tables", "tables that the config names", many=True)
    job.input("project", "code, workflow, environment and licence", many=True)
    job.settings("raw", list[str]).settings("fetched", dict[str, str])
    job.parameter("name", "name of the run", required=True)
    job.parameter("title", "what the run is", default="")
    job.settings("settings", SupplementSettings)
    job.output("supplement", "zip file to write")
    job.run(pack_supplement)
