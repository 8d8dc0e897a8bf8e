"""The rules of maps that are laid on scans."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def planned(*options):
    """Numbers of jobs by rule of a dry run of everything."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--configfile", *options, "--dry-run", "--forceall",
         "--quiet", "rules"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    words = [line.split() for line in done.stdout.splitlines()]
    return {line[0]: int(line[1]) for line in words if len(line) == 2 and line[1].isdigit()}


def test_a_dry_run_of_the_config_makes_lays_and_compares_each_map():
    counts = planned("config/multimodal.yaml")
    assert counts["simulate_losses"] == 4  # edges and low losses, each twice
    for rule in ("register_map", "draw_registration", "correlate_map", "draw_correlation"):
        assert counts[rule] == 2, rule
    for rule in ("simulate_xray_stack", "tabulate_correlations", "check_maps", "simulate_scan"):
        assert counts[rule] == 1, rule


def test_without_a_stack_nothing_is_laid():
    rules = planned("config/demo.yaml")
    assert not set(rules) & {"register_map", "correlate_map", "tabulate_correlations", "check_maps"}
