"""A copy of the project in a folder of its own, and a small virtual run in it."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    "Snakefile", "workflow", "scripts", "src", "config", "envs", "notebooks", "Makefile",
    "pyproject.toml", "LICENSE", "CITATION.cff", "CHANGELOG.md",
)  # fmt: skip


@dataclass(frozen=True)
class Project:
    """A working copy; `config` is the experiment that the tests run."""

    folder: Path
    config: str = "config/small.yaml"

    @property
    def environment(self) -> dict:
        """The copy's own package comes before the installed one."""
        return os.environ | {"PYTHONPATH": str(self.folder / "src"), "OMP_NUM_THREADS": "1"}

    @property
    def results(self) -> Path:
        return self.folder / "results/small"

    def command(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run `phasefront ...` in the copy."""
        return self.call([sys.executable, "-m", "phasefront", *arguments])

    def run(self, *overriding: str) -> subprocess.CompletedProcess:
        """A complete run; config files that override the experiment's may be named."""
        return self.command("run", self.config, *overriding, "--cores", "2")

    def call(self, command: list[str]) -> subprocess.CompletedProcess:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )

    def planned(self, *overriding: str) -> dict[str, int]:
        """Rules that a run would execute now, with their numbers of jobs."""
        command = [sys.executable, "-m", "snakemake", "--configfile", self.config, *overriding]
        done = self.call([*command, "--dry-run", "--quiet", "rules"])
        assert done.returncode == 0, done.stderr
        lines = [line.split() for line in done.stdout.splitlines()]
        counts = {
            words[0]: int(words[1]) for words in lines if len(words) == 2 and words[1].isdigit()
        }
        return {rule: number for rule, number in counts.items() if rule not in ("all", "total")}

    def copy(self, folder: Path) -> "Project":
        """The same project, results and Snakemake's memory included, elsewhere."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)


def small_experiment(demo: dict) -> dict:
    """The demo with two states and small scans."""
    kept = ["x3.0", "x2.5"]
    small = demo | {"run": "small"}
    small["states"] = [state for state in demo["states"] if state["name"] in kept]
    small["virtual"] = demo["virtual"] | {
        "shape": [24, 24],
        "states": {name: demo["virtual"]["states"][name] for name in kept},
    }
    small["orientations"] = {"resolution_deg": 4.0}
    small["tables"] = {name: f"config/small/{name}.tsv" for name in demo["tables"]}
    return small


@pytest.fixture(scope="session")
def fresh_project(tmp_path_factory) -> Project:
    """The project with the small experiment, nothing run yet."""
    folder = tmp_path_factory.mktemp("projects") / "fresh"
    # What numba has compiled comes along: a copy with the same time stamps need not compile again.
    ignore = shutil.ignore_patterns("*.egg-info")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=ignore)
        else:
            folder.mkdir(exist_ok=True)
            shutil.copy(source, folder / part)
    demo = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    (folder / "config/small").mkdir()
    (folder / "config/small.yaml").write_text(yaml.safe_dump(small_experiment(demo)))
    for name in demo["tables"]:
        lines = (ROOT / demo["tables"][name]).read_text().splitlines()
        kept = [line for line in lines if name == "cycling" or not line.count("x2.0")]
        kept = [line for line in kept if not any(x in line for x in ("x1.5", "x1.0"))]
        text = "\n".join(kept).replace("results/demo", "results/small") + "\n"
        (folder / "config/small" / f"{name}.tsv").write_text(text)
    return Project(folder)


@pytest.fixture(scope="session")
def finished_project(fresh_project, tmp_path_factory) -> Project:
    """The project after a complete run. Tests that change it work on a copy."""
    project = fresh_project.copy(tmp_path_factory.mktemp("projects") / "finished")
    done = project.run()
    assert done.returncode == 0, done.stdout + done.stderr
    return project
