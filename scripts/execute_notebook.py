"""Execute the notebook that goes through an experiment's results."""

import re
import uuid
from typing import TYPE_CHECKING

from phasefront.experiment.settings.instruments import CamerasOfScans
from phasefront.experiment.settings.states import Links
from phasefront.records.job import Job

if TYPE_CHECKING:  # the notebook imports these: an edit of one makes it run again
    from phasefront.core import netcdf  # noqa: F401
    from phasefront.diffraction import crystals  # noqa: F401
    from phasefront.layouts import cycling, fractions, grains, phases  # noqa: F401
    from phasefront.layouts.comparison import COMPARISON  # noqa: F401
    from phasefront.maps import frames  # noqa: F401
    from phasefront.report import conclusions, tables, wording  # noqa: F401
    from phasefront.report.figures import comparison, maps, style  # noqa: F401


SCRIPT = re.compile(r"<script\b.*?</script>\s*", re.DOTALL)
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def without_chance(text: str) -> str:
    """The text with its UUIDs, by which xarray tells the parts of a table apart, numbered."""
    numbers = {}
    return UUID.sub(
        lambda found: str(uuid.UUID(int=numbers.setdefault(found[0], len(numbers)))), text
    )


def execute_notebook(job):
    import nbformat
    import papermill
    from nbconvert import HTMLExporter

    executed = papermill.execute_notebook(
        str(job.template),
        None,  # where it would be written anew before and after each cell
        parameters={
            "folder": job.folder,
            "ion": job.ion,
            "names": job.names,
            "labels": job.labels,
            "cifs": job.cifs,
            "links": job.links.model_dump(mode="json"),
            "cameras": job.cameras.model_dump(mode="json"),
        },
        kernel_name="python3",
        progress_bar=False,
    )
    notebook = nbformat.reads(without_chance(nbformat.writes(executed)), as_version=4)
    # When and for how long each cell ran is in the record; here it would change the bytes.
    for part in (notebook, *notebook.cells):
        part.metadata.pop("papermill", None)
        part.metadata.pop("execution", None)
        if "injected-parameters" in part.metadata.get("tags", ()):
            part.id = "injected-parameters"
    nbformat.write(notebook, job.notebook)
    about = {"metadata": {"name": job.folder}}
    page, _ = HTMLExporter().from_notebook_node(notebook, resources=about)
    # Nothing in it needs its scripts, which would be fetched from the network, if they still exist.
    job.page.write_text(SCRIPT.sub("", page), encoding="utf-8")


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("template", "notebook to execute").input("used", "files it reads", many=True)
    job.parameter("folder", "folder of the run's results")
    job.settings("names", list[str]).settings("labels", dict[str, str])
    job.settings("cifs", list[str]).parameter("ion", "element that moves", required=True)
    job.settings("links", Links)
    job.settings("cameras", CamerasOfScans)
    job.output("notebook", "notebook to write").output("page", "the same as HTML")
    job.run(execute_notebook)
