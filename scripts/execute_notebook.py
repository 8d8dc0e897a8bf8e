"""Execute the notebook that goes through an experiment's results."""

from phasefront.config import Links, Material
from phasefront.provenance.job import Job


def execute_notebook(job):
    import papermill

    papermill.execute_notebook(
        str(job.template),
        str(job.notebook),
        parameters={
            "folder": job.folder,
            "material": job.material.model_dump(mode="json"),
            "links": job.links.model_dump(mode="json"),
        },
        kernel_name="python3",
        progress_bar=False,
    )


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("template", "notebook to execute").input("used", "files it reads", many=True)
    job.parameter("folder", "folder of the run's results")
    job.settings("material", Material).settings("links", Links)
    job.output("notebook", "notebook to write")
    job.run(execute_notebook)
