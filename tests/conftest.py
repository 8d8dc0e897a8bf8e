"""Fixtures that all tests share; among them a copy of the project with a small virtual run."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest
import yaml
from projects import ROOT, Project

PARTS = (
    "Snakefile", "profiles", "workflow", "scripts", "src", "config", "envs", "notebooks",
    "Makefile", "pyproject.toml", "LICENSE", "CITATION.cff", "CHANGELOG.md",
)  # fmt: skip


WORKER = "PYTEST_XDIST_WORKER" in os.environ


def pytest_collection_modifyitems(items):
    """Files whose tests need the finished run go first, for they take longest."""
    first = {item.path for item in items if "finished_project" in item.fixturenames}
    items.sort(key=lambda item: item.path not in first)


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
    _remember_small_files(folder / "src/phasefront/records/digests.py")
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


def _remember_small_files(module: Path) -> None:
    """Let files of 4 kB count as large, so that small runs go the ways of large ones, too."""
    text = module.read_text()
    assert "LARGE = 4 << 20" in text
    module.write_text(text.replace("LARGE = 4 << 20", "LARGE = 4 << 10"))


@pytest.fixture(scope="session")
def finished_project(fresh_project, tmp_path_factory) -> Project:
    """The project after a complete run. Tests that change it work on a copy.

    Where several processes share the tests, one runs it for all, and each has a copy.
    """
    base = tmp_path_factory.getbasetemp()
    common = base.parent if WORKER else base
    made, done = common / "finished", common / "finished.done"
    with (common / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(made, ignore_errors=True)
            project = fresh_project.copy(made)
            ended = project.run(cores=os.cpu_count())
            assert ended.returncode == 0, ended.stdout + ended.stderr
            done.touch()
    return Project(made).copy(base / "projects/finished") if WORKER else Project(made)


@pytest.fixture(scope="session")
def shared_data():
    """Path of a real file by its name under ../shared/data; skips the test where it is absent."""

    def find(name: str) -> Path:
        path = ROOT.parent / "shared" / "data" / name
        if not path.exists():
            pytest.skip(f"real file {name} is not on this machine (../shared/data)")
        return path

    return find
