"""The whole DAG on a small virtual experiment."""

import json
from pathlib import Path

import pytest

from phasefront.cli import running
from phasefront.records.record import SUFFIX


def digests(project) -> dict[str, str]:
    """Path and digest of every recorded output, as its record gives them."""
    outputs = {}
    for path in project.results.rglob(f"*{SUFFIX}"):
        output = json.loads(path.read_text())["made"]["output"]
        outputs[output["path"]] = output["sha256"]
    return outputs


def times(project) -> dict[Path, int]:
    """Modification time of every result but the logs."""
    files = [path for path in project.results.rglob("*") if path.is_file()]
    return {path: path.stat().st_mtime_ns for path in files if path.parts[-2] != "logs"}


def test_a_run_ends_with_everything_promised(finished_project):
    results = finished_project.results
    summary = json.loads((results / "summary.json").read_text())
    assert summary["run"] == "small"
    assert [state["state"] for state in summary["states"]] == ["x3.0", "x2.5"]
    for state in summary["states"]:
        for source in ("cycling", "stem", "powder"):
            assert state["x"][source]["low"] <= state["x"][source]["value"]
            assert state["x"][source]["value"] <= state["x"][source]["high"]
        for source in ("stem", "powder"):
            values = [value["value"] for value in state["fractions"][source].values()]
            assert sum(values) == pytest.approx(1, abs=1e-6)
    for scan in summary["scans"]:
        counted = sum(scan[name] for name in ("decided", "mixed", "undecided", "vacuum"))
        assert counted == scan["patterns"] == 24 * 24
        assert scan["seconds"] > 0
    truth = json.loads((results / "truth_check.json").read_text())
    for scan in truth.values():
        assert 0 <= scan["phase_accuracy_decided"] <= 1
    table = (results / "truth_check.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in table] == ["scan", *truth, "all scans"]
    report = (results / "report.html").read_text()
    assert "Comparison" in report


def test_every_output_has_a_record_that_holds(finished_project):
    done = finished_project.command("verify", "results/small")
    assert done.returncode == 0, done.stderr
    assert len(digests(finished_project)) > 40


def test_a_second_run_has_nothing_to_do(finished_project):
    assert finished_project.planned() == {}
    before = times(finished_project)
    assert finished_project.run().returncode == 0
    # The command of Snakemake's own users finds the project's profile, and the number of cores.
    done = finished_project.call(running.snakemake([finished_project.config]))
    assert done.returncode == 0, done.stderr
    assert "Nothing to be done" in done.stderr
    assert times(finished_project) == before


def test_bad_config_ends_in_one_sentence(fresh_project, tmp_path):
    project = fresh_project.copy(tmp_path / "bad")
    path = project.folder / project.config
    path.write_text(path.read_text().replace("run: small", "rum: small"))
    done = project.run()
    assert done.returncode == 2
    assert done.stderr == "config/small.yaml: rum: unknown key; write 'run'.\n"
    assert not project.results.exists()
