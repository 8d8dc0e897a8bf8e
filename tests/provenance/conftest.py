"""A small project with a chain of two steps, made once and copied for tests that change it."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from phasefront.records.context import VARIABLE, Context
from phasefront.records.record import describe_files

ROOT = Path(__file__).resolve().parents[2]

TABULATE = '''
"""Tabulate the numbers of a text."""

from phasefront.experiment.settings.grains import GrainSettings
from phasefront.records.job import Job


def tabulate(job):
    import netCDF4
    import numpy as np
    from phasefront.diffraction import rotations

    numbers = np.array(job.text.read_text().split(), float) * job.settings.misorientation_deg
    with netCDF4.Dataset(job.table, "w") as file:
        file.title = "numbers"
        file.createDimension("n", numbers.size)
        file.createVariable("number", "f8", ("n",))[:] = numbers
    job.note.write_text(f"seed {job.seed}")


if __name__ == "__main__":
    job = Job(__doc__).input("text", "numbers").settings("settings", GrainSettings)
    job.parameter("seed", "a seed", type=int).parameter("step", "a step", type=float)
    job.output("table", "netCDF file").output("note", "text").run(tabulate)
'''

SUMMARISE = '''
"""Summarise tables."""

from phasefront.experiment.settings.material import Material
from phasefront.records.job import Job


def summarise(job):
    import json
    import netCDF4

    sums = {}
    for path in job.tables:
        with netCDF4.Dataset(path) as file:
            sums[path.parent.name] = float(file["number"][:].sum())
    job.summary.write_text(json.dumps(sums))


if __name__ == "__main__":
    job = Job(__doc__).input("tables", "tables", many=True).settings("material", Material)
    job.output("summary", "json file").run(summarise)
'''


@dataclass(frozen=True)
class Project:
    """A folder with scripts, the package, a config, a lock file and results."""

    folder: Path

    @property
    def results(self) -> Path:
        return self.folder / "results/mini"

    def call(self, *command: str, cwd: Path | None = None, **variables: str):
        environment = os.environ | {"PYTHONPATH": str(self.folder / "src")} | variables
        return subprocess.run(
            [sys.executable, *command], cwd=cwd or self.folder, env=environment,
            capture_output=True, text=True,
        )  # fmt: skip

    def phasefront(self, *arguments: str, cwd: Path | None = None):
        return self.call("-m", "phasefront", *arguments, cwd=cwd)

    def context(self, monkeypatch, run: str = "mini") -> str:
        """What the workflow would leave in the environment."""
        monkeypatch.chdir(self.folder)
        context = Context(
            config=describe_files(["config/demo.yaml"]),
            tables=describe_files(["config/demo/scans.tsv"]),
            people=[{"name": "Ada Lovelace", "orcid": "0000-0002-1825-0097"}],
            outputs=[f"results/{run}/{{scan}}/table.nc", f"results/{run}/summary.json"],
            parameters={
                "tabulate": {
                    "seed": "seed_of.{scan}", "step": "scan.{scan}.step", "settings": "grains"
                },
                "summarise": {"material": "material"},
            },
        )  # fmt: skip
        return context.model_dump_json()

    def make(self, monkeypatch, run: str = "mini", only: str = "") -> None:
        """Both steps, the first for two scans of the config."""
        from phasefront.experiment.plan import Plan

        variables = {VARIABLE: self.context(monkeypatch, run)}
        plan = Plan.load("config/demo.yaml")
        scans = ("grains-x3.0", "grains-x2.5")
        for number, scan in enumerate(scans):
            out = f"results/{run}/{scan}"
            commands = [
                "scripts/tabulate.py", "--text", f"raw/{number}.txt", "--seed",
                str(plan.seed_of(scan)), "--step", str(plan.step_of(scan)),
                "--settings", plan.experiment.section("grains"),
                "--table", f"{out}/table.nc", "--note", f"{out}/note.txt",
            ]  # fmt: skip
            done = self.call(*commands, **variables)
            assert done.returncode == 0, done.stderr
        tables = [f"results/{run}/{scan}/table.nc" for scan in scans]
        done = self.call(
            "scripts/summarise.py", "--tables", *tables, "--material",
            plan.experiment.section("material"), "--summary", f"results/{run}/summary.json",
            **variables,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The project after both steps; copied, never changed."""
    project = Project(tmp_path_factory.mktemp("made") / "project")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for part in ("src", "config", "envs"):
        shutil.copytree(ROOT / part, project.folder / part, ignore=ignore)
    (project.folder / "scripts").mkdir()
    (project.folder / "scripts/tabulate.py").write_text(TABULATE.lstrip())
    (project.folder / "scripts/summarise.py").write_text(SUMMARISE.lstrip())
    (project.folder / "raw").mkdir()
    for number in range(2):
        (project.folder / f"raw/{number}.txt").write_text(f"1 2 {number}")
    with pytest.MonkeyPatch.context() as monkeypatch:
        project.make(monkeypatch)
    return project


@pytest.fixture
def project(made, tmp_path):
    """A copy of the project that a test may change."""
    shutil.copytree(made.folder, tmp_path / "copy")
    return Project(tmp_path / "copy")


def read_json(path: Path) -> dict:
    return json.loads(path.read_text())
