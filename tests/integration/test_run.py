"""The whole DAG on a small virtual experiment."""

import ast
import json
import os
import random
import time
from pathlib import Path

import pytest

from phasefront.provenance.record import SUFFIX

ROOT = Path(__file__).resolve().parents[2]


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


# Which rules read what a rule makes, by the flow of the experiment. The supplement reads all.
READERS = {
    "simulate_scan": "describe_scan calibrate_scan find_spots decide_phases draw_patterns"
    " check_against_truth",
    "simulate_log": "analyse_log",
    "simulate_pattern": "fit_pattern",
    "simulate_templates": "find_orientations decide_phases simulate_confusion",
    "describe_scan": "draw_scan count_fractions",
    "calibrate_scan": "find_spots decide_phases draw_patterns draw_scan compare_calibrations",
    "find_spots": "find_orientations decide_phases draw_patterns simulate_confusion",
    "find_orientations": "decide_phases draw_patterns draw_maps export_maps",
    "decide_phases": "find_grains count_fractions draw_patterns draw_maps export_maps"
    " draw_comparison execute_notebook check_against_truth simulate_confusion",
    "find_grains": "simulate_confusion count_fractions draw_maps draw_comparison execute_notebook",
    "simulate_confusion": "count_fractions",
    "count_fractions": "tabulate_fractions compare_sources summarise_run execute_notebook"
    " check_against_truth",
    "analyse_log": "draw_log compare_sources draw_comparison execute_notebook",
    "fit_pattern": "draw_powder compare_sources",
    "compare_sources": "summarise_run draw_comparison execute_notebook",
    "summarise_run": "execute_notebook",
    "check_against_truth": "draw_truth execute_notebook",
    "rate_pairs": "draw_pairs",
}
# Two scans, two powder patterns; of everything else the experiment has one.
OF_A_SCAN = {
    "simulate_scan", "describe_scan", "calibrate_scan", "find_spots", "find_orientations",
    "decide_phases", "find_grains", "simulate_confusion", "count_fractions", "draw_scan",
    "draw_patterns", "draw_maps", "export_maps",
}  # fmt: skip
OF_A_PATTERN = {"simulate_pattern", "fit_pattern", "draw_powder"}
WITH_CIFS = {
    "simulate_pattern", "simulate_templates", "calibrate_scan", "find_orientations",
    "decide_phases", "find_grains", "simulate_confusion", "count_fractions", "fit_pattern",
    "rate_pairs", "draw_pairs", "draw_patterns", "draw_maps", "export_maps", "check_against_truth",
    "execute_notebook",
}  # fmt: skip


def jobs_after(rules, *, scans: int = 2, patterns: int = 2) -> dict[str, int]:
    """Numbers of jobs where these rules run again, for so many of the scans and patterns."""
    found, waiting = {"pack_supplement"}, list(rules)
    while waiting:
        rule = waiting.pop()
        found.add(rule)
        waiting += READERS.get(rule, "").split()
    numbers = dict.fromkeys(found, 1)
    numbers |= dict.fromkeys(found & OF_A_SCAN, scans)
    return numbers | dict.fromkeys(found & OF_A_PATTERN, patterns)


def imports(source: str) -> set[str]:
    """Names of modules, and of what else, that a program imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def scripts_that_run(module: str, folder: Path) -> set[str]:
    """Scripts of the run that import a module, or one that does, by Python's own syntax tree."""

    files = {path.relative_to(folder / "src").with_suffix("").as_posix().replace("/", "."): path
             for path in (folder / "src/phasefront").rglob("*.py")}  # fmt: skip
    graph = {name: imports(path.read_text()) for name, path in files.items()}
    scripts = {path.stem: imports(path.read_text()) for path in (folder / "scripts").glob("*.py")}
    reached = {module}
    while more := {name for name, uses in graph.items() if uses & reached} - reached:
        reached |= more
    ran = {"pack_supplement", *READERS, *" ".join(READERS.values()).split()}
    return {script for script, uses in scripts.items() if uses & reached and script in ran}


@pytest.fixture(scope="module")
def edited(finished_project, tmp_path_factory):
    """A copy for all edits, each taken back: `edited(path, change)` gives the jobs then planned."""
    project = finished_project.copy(tmp_path_factory.mktemp("edited") / "copy")

    def plan(name: str, change) -> dict[str, int]:
        path = project.folder / name
        before = path.read_bytes()
        path.write_bytes(change(before))
        try:
            return project.planned()
        finally:
            path.write_bytes(before)

    plan.folder = project.folder
    return plan


@pytest.mark.parametrize(
    "module", ["grains", "matching", "figures.maps", "netcdf", "virtual.pattern", "plan"]
)
def test_an_edited_module_reruns_the_rules_that_import_it(edited, module):
    rules = scripts_that_run(f"phasefront.{module}", edited.folder)
    name = f"src/phasefront/{module.replace('.', '/')}.py"
    assert edited(name, lambda text: text + b"\n# edited\n") == jobs_after(rules)


def test_the_syntax_tree_finds_what_a_person_finds():
    assert scripts_that_run("phasefront.drift", ROOT) == {"compare_calibrations"}
    assert scripts_that_run("phasefront.cycling", ROOT) == {"analyse_log", "simulate_log"}
    assert scripts_that_run("phasefront.plan", ROOT) == set()


def test_the_notebook_runs_again_with_what_it_imports():
    cells = json.loads((ROOT / "notebooks/experiment.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    used = {name for name in imports("\n".join(code)) if name.startswith("phasefront.")}
    files = {name for name in used if (ROOT / f"src/{name.replace('.', '/')}.py").is_file()}
    assert len(files) > 4
    for module in files:
        assert "execute_notebook" in scripts_that_run(module, ROOT)


EDITS = {
    "script": ("scripts/decide_phases.py", {"decide_phases"}, {}),
    "last script": ("scripts/draw_truth.py", {"draw_truth"}, {}),
    "structure": ("config/structures/Na2V2PO42F3.cif", WITH_CIFS, {}),
    "log": ("results/small/raw/charge.mpt", {"analyse_log"}, {}),
    "powder pattern": (
        "results/small/raw/powder-x2.5.xye", {"fit_pattern"}, {"patterns": 1}
    ),
    "notebook": ("notebooks/experiment.ipynb", {"execute_notebook"}, {}),
    "caption": ("workflow/report/phases.rst", set(), {}),
    "lock": ("envs/lock.txt", set(READERS), {}),
}  # fmt: skip


@pytest.mark.parametrize(("name", "rules", "only"), EDITS.values(), ids=EDITS)
def test_an_edited_file_reruns_the_rules_that_read_it(edited, name, rules, only):
    assert edited(name, lambda text: text + b"\n") == jobs_after(rules, **only)


def test_an_edited_scan_reruns_the_rules_that_read_it(edited):
    readers = READERS["simulate_scan"].split()
    assert edited(
        "results/small/raw/grains-x2.5.blo", lambda scan: scan[:-1] + bytes([scan[-1] ^ 1])
    ) == jobs_after(readers, scans=1)


SETTINGS = {
    "grains: {misorientation_deg: 6}": {"find_grains"},
    "spots: {position_sigma: 0.006}": {
        "calibrate_scan", "find_spots", "find_orientations", "decide_phases", "rate_pairs"
    },
    "comparison: {margin: 0.2}": {"compare_sources"},
    "powder: {background_terms: 9}": {"fit_pattern"},
    "supplement: {include_raw: true}": set(),
    "phases: {decide_above: 0.9}": {"decide_phases", "rate_pairs"},
}  # fmt: skip


@pytest.mark.parametrize(("line", "rules"), SETTINGS.items(), ids=SETTINGS)
def test_a_changed_setting_reruns_the_rules_that_get_it(edited, line, rules):
    planned = edited("config/small.yaml", lambda text: text + f"{line}\n".encode())
    assert planned == jobs_after(rules)


def test_touched_files_rerun_nothing(finished_project, tmp_path):
    project = finished_project.copy(tmp_path / "touched")
    files = [path for part in project.folder.iterdir() for path in (part, *part.rglob("*"))]
    files = [path for path in files if path.is_file() and ".snakemake" not in path.parts]
    random.Random(1).shuffle(files)  # so that many an input is newer than what was made of it
    for second, path in enumerate(files, start=int(time.time()) - len(files)):
        os.utime(path, (second, second))
    assert project.planned() == {}


@pytest.mark.slow
def test_another_number_of_cores_in_another_folder_gives_the_same_bytes(
    fresh_project, finished_project, tmp_path
):
    project = fresh_project.copy(tmp_path / "elsewhere")
    done = project.run(cores=4)  # two threads a scan instead of one
    assert done.returncode == 0, done.stdout + done.stderr
    expected, found = finished_project.contents(), project.contents()
    assert found.keys() == expected.keys()
    assert len(found) > 100
    assert {name for name in expected if found[name] != expected[name]} == set()


def test_bad_config_ends_in_one_sentence(fresh_project, tmp_path):
    project = fresh_project.copy(tmp_path / "bad")
    path = project.folder / project.config
    path.write_text(path.read_text().replace("run: small", "rum: small"))
    done = project.run()
    assert done.returncode == 2
    assert done.stderr == "config/small.yaml: rum: unknown key; write 'run'.\n"
    assert not project.results.exists()
