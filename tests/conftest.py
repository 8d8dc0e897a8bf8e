"""Fixtures that all tests share; among them a copy of the project with a small virtual run."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from phasefront.cli import running
from phasefront.records.record import SUFFIX

ROOT = Path(__file__).resolve().parent.parent
PARTS = (
    "Snakefile", "profiles", "workflow", "scripts", "src", "config", "envs", "notebooks",
    "Makefile", "pyproject.toml", "LICENSE", "CITATION.cff", "CHANGELOG.md",
)  # fmt: skip


WORKER = "PYTEST_XDIST_WORKER" in os.environ


def pytest_collection_modifyitems(items):
    """Files whose tests need the finished run go first, for they take longest."""
    first = {item.path for item in items if "finished_project" in item.fixturenames}
    items.sort(key=lambda item: item.path not in first)


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

    def run(self, *overriding: str, cores: int = 2) -> subprocess.CompletedProcess:
        """A complete run; config files that override the experiment's may be named."""
        return self.command("run", self.config, *overriding, "--cores", str(cores))

    def call(self, command: list[str]) -> subprocess.CompletedProcess:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )

    def planned(self, *overriding: str, options: tuple[str, ...] = ()) -> dict[str, int]:
        """Rules that Snakemake would run now, with their numbers of jobs."""
        quietly = ("--dry-run", "--quiet", "rules")
        done = self.call(running.snakemake([self.config, *overriding], *quietly, *options))
        assert done.returncode == 0, done.stderr
        lines = [line.split() for line in done.stdout.splitlines()]
        counts = {
            words[0]: int(words[1]) for words in lines if len(words) == 2 and words[1].isdigit()
        }
        return {rule: number for rule, number in counts.items() if rule not in ("all", "total")}

    def contents(self) -> dict[str, str]:
        """Digest of every result by its path, without what may differ between two runs.

        Of a record that is its part `run`. `summary.json` gives times, and so does the supplement,
        which packs records; what was made from the summary names it by its bytes.
        """
        found = {}
        for path in sorted(self.results.rglob("*")):
            name = path.relative_to(self.results).as_posix()
            if path.is_dir() or name.startswith("logs/") or name in TIMED:
                continue
            content = path.read_bytes()
            if name == "summary.json":
                parts = _without(json.loads(content), lambda key, _: key == "seconds")
                content = json.dumps(parts).encode()
            elif name.endswith(SUFFIX):
                parts = _without(json.loads(content)["made"], _describes_summary)
                content = json.dumps(parts).encode()
            found[name] = hashlib.sha256(content).hexdigest()
        return found

    def copy(self, folder: Path) -> "Project":
        """The same project, results and Snakemake's memory included, elsewhere."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)


TIMED = ("report.html", "supplement.zip", f"supplement.zip{SUFFIX}")


def _describes_summary(_, value: object) -> bool:
    return isinstance(value, dict) and str(value.get("path")).endswith("/summary.json")


def _without(value: object, drop) -> object:
    """A value of JSON without those of its parts that `drop(key, part)` names."""
    if isinstance(value, dict):
        return {key: _without(part, drop) for key, part in value.items() if not drop(key, part)}
    if isinstance(value, list):
        return [_without(part, drop) for part in value if not drop(None, part)]
    return value


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
