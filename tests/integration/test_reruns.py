"""An edit runs again exactly what depends on it, and a touch nothing: plans on a finished run."""

import ast
import csv
import json
import os
import random
import shutil
import time
from pathlib import Path

import pytest
import yaml

from phasefront.cli import running
from phasefront.records.record import SUFFIX

ROOT = Path(__file__).resolve().parents[2]


# Which rules read what a rule makes, by the flow of the experiment. The supplement reads all.
READERS = {
    "simulate_scan": "describe_scan calibrate_scan find_spots decide_phases draw_patterns"
    " draw_explorer check_against_truth",
    "simulate_log": "analyse_log",
    "simulate_pattern": "fit_pattern",
    "simulate_templates": "find_orientations decide_phases simulate_confusion",
    "describe_scan": "draw_scan count_fractions draw_explorer",
    "calibrate_scan": "find_spots decide_phases draw_patterns draw_scan compare_calibrations"
    " draw_explorer",
    "find_spots": "find_orientations decide_phases draw_patterns simulate_confusion draw_explorer"
    " find_grains export_maps",
    "find_orientations": "decide_phases draw_patterns draw_maps export_maps draw_explorer",
    "decide_phases": "find_grains count_fractions draw_patterns draw_maps export_maps"
    " draw_comparison execute_notebook check_against_truth simulate_confusion draw_explorer"
    " trace_interfaces draw_interfaces draw_morphologies",
    "find_grains": "simulate_confusion count_fractions draw_maps draw_comparison execute_notebook"
    " draw_explorer trace_interfaces draw_interfaces infer_mechanisms draw_morphologies export_maps"
    " check_against_truth",
    "trace_interfaces": "draw_interfaces infer_mechanisms draw_morphologies draw_explorer",
    "infer_mechanisms": "tabulate_mechanisms draw_morphologies draw_explorer",
    "simulate_confusion": "count_fractions",
    "count_fractions": "pool_fractions tabulate_fractions summarise_run execute_notebook"
    " check_against_truth",
    "pool_fractions": "compare_sources tabulate_fractions execute_notebook",
    "analyse_log": "draw_log compare_sources draw_comparison execute_notebook infer_mechanisms",
    "fit_pattern": "draw_powder compare_sources",
    "compare_sources": "tabulate_comparison summarise_run draw_comparison execute_notebook"
    " draw_explorer",
    "tabulate_comparison": "draw_explorer",
    "summarise_run": "execute_notebook",
    "check_against_truth": "draw_truth execute_notebook",
    "rate_pairs": "draw_pairs",
}
# Two scans, each of a state of its own, two powder patterns; of everything else one.
OF_A_SCAN = {
    "simulate_scan", "describe_scan", "calibrate_scan", "find_spots", "find_orientations",
    "decide_phases", "find_grains", "simulate_confusion", "count_fractions", "draw_scan",
    "draw_patterns", "draw_maps", "export_maps", "pool_fractions", "trace_interfaces",
    "draw_interfaces", "draw_morphologies",
}  # fmt: skip
OF_A_PATTERN = {"simulate_pattern", "fit_pattern", "draw_powder"}
WITH_CIFS = {
    "simulate_pattern", "simulate_templates", "calibrate_scan", "find_orientations",
    "decide_phases", "find_grains", "simulate_confusion", "count_fractions", "fit_pattern",
    "rate_pairs", "draw_pairs", "draw_patterns", "draw_maps", "export_maps", "check_against_truth",
    "execute_notebook", "draw_explorer", "trace_interfaces", "infer_mechanisms",
}  # fmt: skip


def jobs_after(rules, *, scans: int = 2, patterns: int = 2, in_all: int = 2) -> dict[str, int]:
    """Numbers of jobs where these rules run again, for so many of the scans and patterns.

    `in_all` is how many scans there are: shapes of grains are told within populations, so where
    one scan changes the picture of each is drawn again.
    """
    found, waiting = {"pack_supplement"}, list(rules)
    while waiting:
        rule = waiting.pop()
        found.add(rule)
        waiting += READERS.get(rule, "").split()
    numbers = dict.fromkeys(found, 1)
    numbers |= dict.fromkeys(found & OF_A_SCAN, scans)
    if "infer_mechanisms" in found:
        numbers["draw_morphologies"] = in_all
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


def test_snakemake_tracks_what_records_name_and_nothing_else(finished_project):
    done = finished_project.call(running.snakemake([finished_project.config], "--detailed-summary"))
    assert done.returncode == 0, done.stderr
    tracked = {
        row["output_file"]: set(row["input-file(s)"].split(","))
        for row in csv.DictReader(done.stdout.splitlines(), delimiter="\t")
        if not row["output_file"].endswith(SUFFIX)
    }
    assert len(tracked) > 40
    for output, files in tracked.items():
        made = json.loads((finished_project.folder / f"{output}{SUFFIX}").read_text())["made"]
        named = {file["path"] for file in (*made["inputs"], *made["code"], made["lock"])}
        assert files == named, output


def planning(project):
    """`plan(path, change)` gives the jobs that Snakemake plans after an edit, then taken back."""

    def plan(name: str, change, *options: str) -> dict[str, int]:
        path = project.folder / name
        before = path.read_bytes()
        path.write_bytes(change(before))
        try:
            return project.planned(options=options)
        finally:
            path.write_bytes(before)

    plan.folder = project.folder
    return plan


@pytest.fixture(scope="module")
def edited(finished_project, tmp_path_factory):
    """Plans on a copy for all edits."""
    return planning(finished_project.copy(tmp_path_factory.mktemp("edited") / "copy"))


@pytest.mark.parametrize(
    "module",
    [
        "grains.segmentation",
        "diffraction.matching",
        "report.figures.maps",
        "core.netcdf",
        "virtual.pattern",
        "experiment.plan",
    ],
)
def test_an_edited_module_reruns_the_rules_that_import_it(edited, module):
    rules = scripts_that_run(f"phasefront.{module}", edited.folder)
    name = f"src/phasefront/{module.replace('.', '/')}.py"
    assert edited(name, lambda text: text + b"\n# edited\n") == jobs_after(rules)


def test_the_syntax_tree_finds_what_a_person_finds():
    assert scripts_that_run("phasefront.calibration.drift", ROOT) == {"compare_calibrations"}
    assert scripts_that_run("phasefront.cycling.ion_content", ROOT) == {
        "analyse_log",
        "simulate_log",
    }
    assert scripts_that_run("phasefront.experiment.plan", ROOT) == set()


@pytest.mark.slow
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
    "result": (
        "results/small/grains/grains-x2.5.nc", READERS["find_grains"].split(), {"scans": 1}
    ),
    "notebook": ("notebooks/experiment.ipynb", {"execute_notebook"}, {}),
    "script of a page": (
        "src/phasefront/report/explorer/explorer.js", {"draw_explorer"}, {}
    ),
    "caption": ("workflow/report/phases.rst", set(), {}),
    "config's layout": ("config/small.yaml", set(), {}),
    "table's layout": ("config/small/scans.tsv", set(), {}),
    "rule file's layout": ("workflow/rules/grains.smk", set(), {}),
    "profile": ("profiles/default/config.yaml", set(), {}),
    "lock": ("envs/lock.txt", set(READERS), {}),
    "layout of the comparison": (
        "src/phasefront/layouts/comparison.py", {"compare_sources"}, {}
    ),
    "settings of the comparison": (
        "src/phasefront/experiment/settings/comparison.py", {"compare_sources"}, {}
    ),
    "layout of fractions": ("src/phasefront/layouts/fractions.py", {"count_fractions"}, {}),
    "checks of the material": (
        "src/phasefront/experiment/settings/material.py", set(), {}
    ),
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
    "interfaces: {outliers: 0.01}": {"trace_interfaces"},
    "mechanisms: {direction: {x2.5: charge}}": {"infer_mechanisms"},
    "powder: {background_terms: 9}": {"fit_pattern"},
    "fractions: {molar_weight: area}": {"count_fractions"},
    "supplement: {include_raw: true}": set(),
    "report: {explorer: {patterns_mb: 1}}": {"draw_explorer"},
    "phases: {decide_above: 0.9}": {"decide_phases", "rate_pairs"},
}  # fmt: skip


@pytest.mark.parametrize(("line", "rules"), SETTINGS.items(), ids=SETTINGS)
def test_a_changed_setting_reruns_the_rules_that_get_it(edited, line, rules):
    planned = edited("config/small.yaml", lambda text: text + f"{line}\n".encode())
    assert planned == jobs_after(rules)


REPLACED = {
    "step of a scan": (
        "config/small/scans.tsv", "x2.5.blo\tastar\t10", "x2.5.blo\tastar\t11",
        {"simulate_scan", "find_spots", "find_grains"}, {"scans": 1},
    ),
    "mass on the log": (
        "config/small/cycling.tsv", "3.42", "3.43", {"simulate_log", "analyse_log"}, {}
    ),
    "wavelength of a powder pattern": (
        "config/small/powder.tsv", "x2.5.xye\t0.4127", "x2.5.xye\t0.4128",
        {"simulate_pattern", "fit_pattern"}, {"patterns": 1},
    ),
    "label of a phase": (
        "config/small.yaml", "label: NaV$_2$", "label: Na$_1$V$_2$",
        {"draw_pairs", "draw_patterns", "draw_maps", "draw_interfaces", "draw_powder",
         "draw_comparison", "draw_truth", "tabulate_fractions", "tabulate_comparison",
         "tabulate_mechanisms", "draw_morphologies", "execute_notebook", "draw_explorer"}, {},
    ),
    "two-phase field": (
        "config/small.yaml", "- Na1: 1\n    Na2: 2\n", "- Na1: 1.02\n    Na2: 2\n",
        {"compare_sources", "trace_interfaces", "infer_mechanisms"}, {},
    ),
    "what was weighed": (
        "config/small.yaml", "pristine_ion_error: 0.01", "pristine_ion_error: 0.02",
        {"analyse_log"}, {},
    ),
    "camera of an instrument": (
        "config/small.yaml", "mirrored: false\n      rotation_deg: 0",
        "mirrored: true\n      rotation_deg: 12",
        {"draw_maps", "export_maps", "execute_notebook", "draw_explorer", "trace_interfaces",
         "infer_mechanisms"}, {},
    ),
    "command of a rule": (
        "workflow/rules/grains.smk", "python scripts", "python -O scripts", {"find_grains"}, {}
    ),
    "settings that a rule gets": (
        "workflow/rules/cycling.smk", 'states=stated("log.{log}.states")',
        "states='{}'", {"analyse_log"}, {},
    ),
    "files that a rule reads": (
        "workflow/rules/report.smk", 'cifs=PLAN.cifs,\n        code=code("execute_notebook")',
        'cifs=PLAN.cifs[:2],\n        code=code("execute_notebook")', {"execute_notebook"}, {},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "rules", "only"), REPLACED.values(), ids=REPLACED)
def test_a_changed_row_or_rule_reruns_what_it_is_for(edited, name, old, new, rules, only):
    def change(text: bytes) -> bytes:
        assert text.count(old.encode()) == 1
        return text.replace(old.encode(), new.encode())

    assert edited(name, change) == jobs_after(rules, **only)


def test_another_scan_leaves_the_others_alone(edited):
    def add(table: bytes) -> bytes:
        row = table.splitlines()[-1]
        return table + row.replace(b"grains-x2.5", b"more-x2.5") + b"\n"

    # With 12 cores the jobs of two scans get six each, those of three four.
    planned = edited("config/small/scans.tsv", add, "--cores", "12")
    assert planned == jobs_after({"simulate_scan", "compare_calibrations"}, scans=1, in_all=3)


def without_truth(project) -> None:
    """Let the project's raw files count as measured: a virtual experiment names no others."""
    path = project.folder / project.config
    config = yaml.safe_load(path.read_text())
    del config["virtual"]
    path.write_text(yaml.safe_dump(config))


BESIDE = "data/a.hdr"
INSIDE = "data/b.zspy/Experiments/grains/data/0.0.0.0"


@pytest.fixture(scope="module")
def edited_in_parts(finished_project, tmp_path_factory):
    """As `edited`, of a copy whose scans are a file with a header beside it, and a folder."""
    project = finished_project.copy(tmp_path_factory.mktemp("edited") / "parts")
    without_truth(project)
    for name in ("data/a.mib", BESIDE, INSIDE):
        path = project.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    table = project.folder / "config/small/scans.tsv"
    text = table.read_text()
    for state, raw in (("x3.0", "data/a.mib"), ("x2.5", "data/b.zspy")):
        text = text.replace(f"results/small/raw/grains-{state}.blo", raw)
    table.write_text(text)
    # Results stand as if they were made of these.
    done = project.call(running.snakemake([project.config], "--touch"))
    assert done.returncode == 0, done.stderr
    return planning(project)


@pytest.mark.slow
@pytest.mark.parametrize("part", [BESIDE, INSIDE])
def test_an_edited_part_of_a_scan_reruns_the_rules_that_read_the_scan(edited_in_parts, part):
    planned = edited_in_parts(part, lambda text: text + b"edited")
    expected = jobs_after(READERS["simulate_scan"].split(), scans=1)
    assert planned == {rule: n for rule, n in expected.items() if not rule.endswith("truth")}


def test_an_edited_ion_content_leaves_alone_what_knows_structures_only(edited_in_parts):
    """Calibration, spots, templates and orientations: a measured scan does not change with it."""

    def edit(config: bytes) -> bytes:
        content = yaml.safe_load(config)
        assert content["material"]["phases"][0]["ion_content"] == 3
        content["material"]["phases"][0]["ion_content"] = 2.98
        return yaml.safe_dump(content).encode()

    planned = edited_in_parts("config/small.yaml", edit)
    expected = jobs_after({"decide_phases", "fit_pattern"})
    assert planned == {rule: n for rule, n in expected.items() if not rule.endswith("truth")}


def test_a_touched_part_of_a_scan_reruns_nothing(edited_in_parts):
    touch(edited_in_parts.folder / "data")
    assert edited_in_parts(BESIDE, lambda text: text) == {}


def touch(*folders: Path) -> None:
    """Give what is in folders times of its own, in any order, as a copy or a checkout may."""
    found = [path for folder in folders for path in (folder, *folder.rglob("*"))]
    random.Random(1).shuffle(found)  # so that many an input is newer than what was made of it
    for second, path in enumerate(found, start=int(time.time()) - len(found)):
        os.utime(path, (second, second))


def test_touched_files_rerun_nothing(finished_project, tmp_path):
    project = finished_project.copy(tmp_path / "touched")
    touch(*(path for path in project.folder.iterdir() if path.name != ".snakemake"))
    sizes = [path.stat().st_size for path in (project.results / "raw").iterdir()]
    assert max(sizes) > 1_000_000  # from where on Snakemake by itself goes by time stamps
    assert project.planned() == {}
    assert project.planned(options=("--cores", "7")) == {}


@pytest.mark.slow
def test_a_scan_too_large_for_snakemake_to_hash_may_be_touched(finished_project, tmp_path):
    project = finished_project.copy(tmp_path / "large")
    without_truth(project)
    scan, table = project.folder / "data/a.blo", project.folder / "config/small/scans.tsv"
    scan.parent.mkdir(exist_ok=True)
    shutil.copy(project.results / "raw/grains-x2.5.blo", scan)
    table.write_text(table.read_text().replace("results/small/raw/grains-x2.5.blo", "data/a.blo"))
    until = ("--until", "describe_scan", "--max-checksum-file-size", "0")
    done = project.call(running.snakemake([project.config], *until))
    assert done.returncode == 0, done.stderr
    scan.touch()
    assert project.planned(options=until) == {}
    content = scan.read_bytes()
    scan.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert project.planned(options=until) == {"describe_scan": 1}


@pytest.mark.slow
def test_a_change_behind_an_old_time_stamp_stops_a_run(finished_project, tmp_path):
    project = finished_project.copy(tmp_path / "hidden")
    structure = project.folder / "config/structures/Na2V2PO42F3.cif"
    fresh = structure.with_name("fresh.cif")
    fresh.write_bytes(structure.read_bytes() + b"\n")
    os.utime(fresh, (0, 0))
    fresh.replace(structure)
    sentence = "config/structures/Na2V2PO42F3.cif: changed, but its time stamp is older than"
    done = project.call(running.snakemake([project.config], "--dry-run"))
    assert done.returncode == 1
    assert sentence in done.stdout
    done = project.run()
    assert done.returncode == 2
    assert done.stderr.startswith(sentence)
    structure.touch()
    assert project.planned() == jobs_after(WITH_CIFS)
