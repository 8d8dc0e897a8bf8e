"""Execute the notebook that goes through an experiment's results."""

from typing import TYPE_CHECKING

from phasefront.config import Links, Material
from phasefront.provenance.job import Job

if TYPE_CHECKING:  # the notebook imports these: an edit of one makes it run again
    from phasefront import conclusions, crystals, layouts, netcdf  # noqa: F401
    from phasefront.figures import comparison, maps, style  # noqa: F401


def execute_notebook(job):
    import nbformat
    import papermill
    from nbconvert import HTMLExporter

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
    notebook = nbformat.read(job.notebook, as_version=4)
    # When and for how long each cell ran is in the record; here it would change the bytes.
    for part in (notebook, *notebook.cells):
        part.metadata.pop("papermill", None)
        part.metadata.pop("execution", None)
    nbformat.write(notebook, job.notebook)
    page, _ = HTMLExporter().from_notebook_node(notebook)
    job.page.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("template", "notebook to execute").input("used", "files it reads", many=True)
    job.parameter("folder", "folder of the run's results")
    job.settings("material", Material).settings("links", Links)
    job.output("notebook", "notebook to write").output("page", "the same as HTML")
    job.run(execute_notebook)
