"""The report of a run, which Snakemake writes of all that it made."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from phasefront.cli import running
from phasefront.records.record import SUFFIX


@dataclass(frozen=True)
class Report:
    """The report of the run of an experiment's configs."""

    configs: list[Path]
    results: Path

    @property
    def path(self) -> Path:
        return self.results / "report.html"

    @property
    def part(self) -> Path:
        """Where Snakemake is to write it."""
        return self.results / ".part-report.html"

    def is_new(self) -> bool:
        """Whether nothing is newer than it."""
        made = (path.stat().st_mtime for path in self.results.rglob(f"*{SUFFIX}"))
        return self.path.exists() and self.path.stat().st_mtime >= max(made, default=0.0)

    def finish(self) -> int:
        """Finish what Snakemake wrote, or have it write where something is newer; then say where
        explorer and report are. Returns Snakemake's exit status."""
        from phasefront.report.explorer import PAGE
        from phasefront.report.scripts_in_pages import with_inert_data

        if not self.part.exists() and not self.is_new():
            command = running.snakemake(self.configs, "--report", str(self.part))
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                print(done.stderr, file=sys.stderr)
                return done.returncode
        if self.part.exists():
            page = self.part.read_text(encoding="utf-8")
            self.part.write_text(with_inert_data(page), encoding="utf-8")
            self.part.replace(self.path)
        explorer = self.results / PAGE
        if explorer.exists():
            run = self.results.name
            print(f"Explorer: {explorer} (every raw pattern: phasefront view {run})")
        print(f"Report: {self.path}")
        print(f"Summary: {self.results / 'summary.json'}")
        return 0
