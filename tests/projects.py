"""The project that the tests are of, and copies of it in which an experiment is run."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dry_runs import dry_run

from phasefront.records.record import SUFFIX

ROOT = Path(__file__).resolve().parent.parent


def hear_interrupts() -> None:
    """Done in a child before it starts: jobs in a shell's background, as CI may be, ignore them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


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

    def dry_run(self, *options: str, configs: tuple[str, ...]) -> subprocess.CompletedProcess:
        """Snakemake with options, which run nothing, in the copy."""
        arguments = ["--configfile", *map(str, configs), *options]
        return dry_run(arguments, self.folder, self.environment)

    def planned(self, *overriding: str, options: tuple[str, ...] = ()) -> dict[str, int]:
        """Rules that Snakemake would run now, with their numbers of jobs."""
        quietly = ("--dry-run", "--quiet", "rules")
        done = self.dry_run(*quietly, *options, configs=(self.config, *overriding))
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
