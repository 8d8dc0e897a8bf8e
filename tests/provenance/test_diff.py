"""Two runs beside each other: what differs, and the first reason for it."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import Project
from forging import rewrite

from phasefront.records import record
from phasefront.records.digests import digest


def test_the_same_work_differs_in_nothing(project, monkeypatch):
    project.make(monkeypatch, run="other")
    for first, second in (("mini", "other"), ("results/mini", "results/other")):
        done = project.phasefront("diff", first, second)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "5 outputs are in both runs, 0 of them differ.\n"


def other_input(project):
    (project.folder / "raw/0.txt").write_text("1 2 7")


def other_parameter(project):
    project.edit("config/demo.yaml", "run:", "grains: {misorientation_deg: 6}\nrun:")


def other_script(project):
    project.edit("scripts/tabulate.py", "float) *", "float) * 2 *")


def other_module(project):
    path = "src/phasefront/experiment/settings/grains.py"
    project.edit(path, "5.0, description", "5.0, description=''")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (other_input, "input raw/0.txt (text) has other bytes"),
        (
            other_parameter,
            "parameter settings.misorientation_deg is 5.0, then 6.0",
        ),
        (
            other_script,
            "code scripts/tabulate.py is another",
        ),
    ],
)
def test_the_first_cause_explains_all_that_follows(made, project, monkeypatch, change, cause):
    change(project)
    project.make(monkeypatch)
    done = project.phasefront("diff", str(made.results), "results/mini")
    assert done.returncode == 1, done.stderr
    tables = ["grains-x2.5/table.nc", "grains-x3.0/table.nc"]
    first = ", ".join(tables[change is other_input :])
    assert done.stdout.splitlines()[2:] == [f"{first}:", f"  {cause}", "  and so in summary.json"]


def test_two_causes_are_told_apart(made, project, monkeypatch):
    other_input(project)
    project.edit("scripts/summarise.py", "sum())", "sum() + 1)")
    project.make(monkeypatch)
    lines = project.phasefront("diff", str(made.results), "results/mini").stdout
    assert "grains-x3.0/table.nc:\n  input raw/0.txt" in lines
    # What changed upstream comes first; the script's own change stands beside it.
    shutil.copy(made.folder / "raw/0.txt", project.folder / "raw/0.txt")
    project.make(monkeypatch)
    lines = project.phasefront("diff", str(made.results), "results/mini").stdout.splitlines()
    assert lines[2:] == ["summary.json:", "  code scripts/summarise.py is another"]


def test_an_environment_and_work_by_chance_are_named(made, project: Project):
    path = project.results / "summary.json.prov.json"

    def other_numpy(content):
        content["made"]["output"]["sha256"] = "0" * 64
        content["run"]["packages"]["numpy"] = "1.0"

    rewrite(path, other_numpy)
    said = project.phasefront("diff", str(made.results), "results/mini").stdout
    assert "summary.json:\n  environment: numpy 2" in said
    numpy = json.loads((made.results / path.name).read_text())["run"]["packages"]["numpy"]
    rewrite(path, lambda content: content["run"]["packages"].update(numpy=numpy))
    said = project.phasefront("diff", str(made.results), "results/mini").stdout
    assert "nothing recorded differs: the work is not deterministic" in said


def test_outputs_of_one_run_alone_are_named(made, project):
    (project.results / "summary.json").unlink()
    (project.results / "summary.json.prov.json").unlink()
    done = project.phasefront("diff", str(made.results), "results/mini")
    assert done.returncode == 1
    assert "Only in the first: summary.json." in done.stdout


def test_a_run_that_is_not_there_is_refused(made):
    done = made.phasefront("diff", "results/mini", "results/none")
    assert done.returncode == 2
    assert done.stderr == "results/none: is no folder; name the results of a run.\n"


@pytest.mark.parametrize(("other", "differ"), [((2.5, 1), 0), ((1.5, 2), 1), ((2.5, 2), 1)])
def test_how_long_jobs_took_is_no_difference(project, other, differ):
    shutil.copytree(project.results, project.folder / "results/other")
    for run, (seconds, value) in (("mini", (1.5, 1)), ("other", other)):
        path = project.folder / "results" / run / "summary.json"
        path.write_text(json.dumps({"scans": [{"seconds": seconds, "value": value}]}))
        found = json.loads(record.record_path(path).read_text())
        found["made"]["output"] |= {
            "sha256": digest(path), "path": f"results/{run}/summary.json"
        }  # fmt: skip
        found["id"] = record.identity(found)
        found["seal"] = record.seal(found)
        record.write(found, record.record_path(path))
    done = project.phasefront("diff", "results/mini", "results/other")
    assert done.stdout.startswith(f"1 outputs are in both runs, {differ} of them differ.\n")


OTHER = {"sha256": "0" * 64}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["made"]["lock"].update(OTHER), "environment: the lock file is another"),
        (lambda c: c["run"].update(threads={"OMP_NUM_THREADS": "7"}),
         "environment: other numbers of threads"),
        (lambda c: c["run"]["machine"].update(processor="an abacus"), ", then an abacus"),
        (lambda c: c["run"]["machine"].update(platform="a moon"), ", then a moon"),
        (lambda c: c["run"]["interpreter"].update(version="3.99"), ", then 3.99"),
        (lambda c: c["run"]["packages"].pop("numpy"), ", then none"),
        (lambda c: c["made"]["parameters"].update(seed=9), "parameter seed is only in the second"),
        (lambda c: c["made"]["code"].pop(), "is only in the first"),
        (lambda c: c["made"]["inputs"].pop(), "is only in the first"),
        (lambda c: c["made"]["inputs"][0].update(role="x"), "(x) is only in the second"),
    ],
)  # fmt: skip
def test_every_kind_of_cause_is_named(made, project, change, said):
    def with_other_bytes(content):
        change(content)
        content["made"]["output"].update(OTHER)

    rewrite(project.results / "summary.json.prov.json", with_other_bytes)
    lines = project.phasefront("diff", str(made.results), "results/mini").stdout.splitlines()
    assert lines[2] == "summary.json:"
    assert any(said in line for line in lines[3:])
    # Of what made no difference nothing is said.
    rewrite(project.results / "summary.json.prov.json", lambda c: c["made"]["output"].update(
        json.loads((made.results / "summary.json.prov.json").read_text())["made"]["output"]
    ))  # fmt: skip
    done = project.phasefront("diff", str(made.results), "results/mini")
    assert done.stdout == "5 outputs are in both runs, 0 of them differ.\n"


def test_several_causes_of_one_output_stand_together(made, project, monkeypatch):
    other_input(project), other_parameter(project), other_script(project)
    project.make(monkeypatch)
    lines = project.phasefront("diff", str(made.results), "results/mini").stdout.splitlines()
    both = ["  parameter settings.misorientation_deg is 5.0, then 6.0",
            "  code scripts/tabulate.py is another"]  # fmt: skip
    assert lines[2:5] == ["grains-x2.5/table.nc:", *both]
    assert lines[5:] == [
        "", "grains-x3.0/table.nc:", "  input raw/0.txt (text) has other bytes", *both,
        "  and so in summary.json",
    ]  # fmt: skip


def test_whole_projects_are_compared_too(made, project):
    """As two unpacked supplements are."""
    done = project.phasefront("diff", str(made.folder), ".")
    assert done.stdout == "5 outputs are in both runs, 0 of them differ.\n"
    rewrite(project.results / "summary.json.prov.json", lambda c: c["made"]["output"].update(OTHER))
    done = project.phasefront("diff", str(made.folder), ".")
    assert done.returncode == 1
    assert "results/mini/summary.json:" in done.stdout


def test_a_raw_file_may_have_the_name_of_an_output(made, project, monkeypatch):
    """As the notebook's template has that of the notebook."""
    for number, side in enumerate((made, project)):
        (project.folder / "note.txt").write_text(f"{number}")
        monkeypatch.chdir(project.folder)
        entry = record.describe_input("text", Path("note.txt"), digest("note.txt"))
        shutil.copytree(side.results, project.folder / f"results/run{number}")
        for path in (project.folder / f"results/run{number}").rglob("*.prov.json"):

            def change(content, run=f"results/run{number}", entry=entry, number=number):
                output = content["made"]["output"]
                output["path"] = output["path"].replace("results/mini", run)
                content["made"]["inputs"] = []
                if output["name"] == "summary":
                    output |= {"sha256": f"{number}" * 64, "path": f"{run}/note.txt"}
                    content["made"]["inputs"] = [entry.model_dump()]

            rewrite(path, change)
        folder = project.folder / f"results/run{number}"
        (folder / "summary.json.prov.json").rename(folder / "note.txt.prov.json")
    done = project.phasefront("diff", "run0", "run1")
    assert done.stdout.splitlines()[2:] == [
        "note.txt:", "  input note.txt (text) has other bytes",
    ]  # fmt: skip


def test_a_path_that_stands_in_an_output_is_named(project, monkeypatch):
    """Two runs of one project under two names: the work is the same."""
    project.edit("scripts/summarise.py", "sums[path.parent.name]", "sums[str(path)]")
    project.make(monkeypatch)
    project.make(monkeypatch, run="other")
    lines = project.phasefront("diff", "mini", "other").stdout.splitlines()
    name = "grains-x3.0/table.nc"
    assert lines[2] == "summary.json:"
    assert f"  input {name} (tables) is results/mini/{name}, then results/other/{name}" in lines
