"""The rules of the virtual in situ series."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "config/insitu.yaml"


def test_a_dry_run_of_the_config_films_every_scan():
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--configfile", CONFIG, "--dry-run", "--forceall",
         "--quiet", "rules"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    words = [line.split() for line in done.stdout.splitlines()]
    counts = {line[0]: line[1] for line in words if len(line) == 2}
    assert counts["film_scan"] == "27"
    assert counts["simulate_series"] == "3"
    assert counts["place_on_log"] == "27"
    assert "simulate_scan" not in counts


def test_the_analysis_reads_no_truth():
    """Only rules that check against it, or are of the virtual run, name it."""
    virtual = {"virtual.smk", "virtual_series.smk", "virtual_maps.smk"}
    allowed = virtual | {"truth.smk", "targets.smk"}
    named = {
        path.name
        for path in (ROOT / "workflow/rules").glob("*.smk")
        if "truth/{" in path.read_text()
    }
    assert named <= allowed
