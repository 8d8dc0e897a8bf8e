"""The whole DAG on a small virtual experiment."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from phasefront.provenance.record import SUFFIX


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
    assert times(finished_project) == before


AFTER_PHASES = {
    "decide_phases", "find_grains", "count_fractions", "compare_sources", "summarise_run",
    "check_against_truth", "draw_patterns", "draw_maps", "draw_comparison", "execute_notebook",
    "export_maps", "draw_truth",
}  # fmt: skip
AFTER_GRAINS = {
    "find_grains", "count_fractions", "compare_sources", "summarise_run", "draw_maps",
    "check_against_truth", "draw_truth", "draw_comparison", "execute_notebook",
}  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "rules"),
    [
        (("src/phasefront/grains.py", "\n# edited\n"), AFTER_GRAINS),
        (("scripts/decide_phases.py", "\n# edited\n"), AFTER_PHASES),
        (("config/small.yaml", "grains: {misorientation_deg: 6}\n"), AFTER_GRAINS),
        (("results/small/grains/grains-x3.0.nc", None), set()),
        (("src/phasefront/grains.py", None), set()),
    ],
    ids=["kernel", "script", "parameter", "touched output", "touched kernel"],
)
def test_exactly_what_depends_on_a_change_runs_again(finished_project, tmp_path, edit, rules):
    project = finished_project.copy(tmp_path / "copy")
    name, text = edit
    path = project.folder / name
    if text is None:
        os.utime(path)
    else:
        path.write_text(path.read_text() + text)
    assert set(project.planned()) == rules


def test_a_killed_run_resumes_to_the_same_bytes(fresh_project, finished_project, tmp_path):
    project = fresh_project.copy(tmp_path / "killed")
    process = subprocess.Popen(
        [sys.executable, "-m", "phasefront", "run", project.config, "--cores", "2"],
        cwd=project.folder, env=project.environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while not list(project.results.glob("spots/*.nc")) and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list(project.results.glob("spots/*.nc"))
    unlocked = project.command("unlock", project.config)
    assert unlocked.returncode == 0, unlocked.stderr
    done = project.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(project.results.rglob(".part-*"))
    differ = {k for k, v in digests(finished_project).items() if digests(project).get(k) != v}
    # Seconds are measured anew, and the notebook shows them; everything else is the same bytes.
    assert {Path(name).name for name in differ} <= {"summary.json", "experiment.ipynb"}


def test_bad_config_ends_in_one_sentence(fresh_project, tmp_path):
    project = fresh_project.copy(tmp_path / "bad")
    path = project.folder / project.config
    path.write_text(path.read_text().replace("run: small", "rum: small"))
    done = project.run()
    assert done.returncode == 2
    assert done.stderr == "config/small.yaml: rum: unknown key; write 'run'.\n"
    assert not project.results.exists()
