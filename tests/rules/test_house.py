"""One script a rule, small files, and command lines that explain themselves."""

import ast
import io
import re
import subprocess
import sys
import tokenize
import types
from pathlib import Path
from typing import get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel, TypeAdapter

from phasefront.experiment.config import Experiment
from phasefront.records.code import PACKAGE, closure

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))
IMPORTS = ("import_peaks", "import_map")
RULE_FILES = sorted((ROOT / "workflow/rules").glob("*.smk"))


def rules() -> dict[str, str]:
    """Text of every rule by its name."""
    text = "\n".join(path.read_text() for path in RULE_FILES)
    parts = re.split(r"^\s*rule (\w+):$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_rule_runs_the_script_of_its_name():
    assert set(rules()) == {path.stem for path in SCRIPTS}
    for name, text in rules().items():
        assert f"scripts/{name}.py" in text
        assert f'code("{name}")' in text


def test_every_rule_tracks_its_record_and_keeps_its_log():
    for name, text in rules().items():
        assert "**recorded(" in text or "**pictured(" in text, name
        assert "> {log} 2>&1" in text, name


def test_every_rule_that_reads_a_raw_scan_tracks_its_parts():
    for name, text in rules().items():
        assert ("of_raw_scan(raw)" in text) == ("of_raw_scan(parts)" in text), name
        assert 'scan_row(wildcards)["path"]' not in text or name in (
            "import_peaks",
            "import_map",
        ), name


def test_files_that_people_name_may_have_spaces_in_their_names():
    """Snakemake quotes with `:q`; names of results are the workflow's own."""
    named = r"\{input\.(cifs|config|image|log|map|pattern|peaks|scan|table|tables)\}"
    for name, text in rules().items():
        assert not re.search(named, text), name


def test_a_parameter_has_one_name_in_its_rule_its_script_and_its_record():
    """A record finds where its parameters are stated by their names."""
    for name, text in rules().items():
        inside, _, rest = text.partition("params:")[2].partition("shell:")
        command = re.sub(r'"\s+"', "", rest.partition("> {log}")[0])
        declared = re.findall(r"^\s+(\w+)=", inside, flags=re.MULTILINE)
        passed = re.findall(r"--([\w-]+)[ =]\{params\.(\w+)", command)
        assert sorted(param for _, param in passed) == sorted(declared), name
        assert all(option.replace("-", "_") == param for option, param in passed), name


def test_all_parameters_of_rules_are_stated_by_the_experiment():
    for name, text in rules().items():
        inside = text.partition("params:")[2].partition("shell:")[0]
        given = re.findall(r"^\s+(\w+)=(\w+)", inside, flags=re.MULTILINE)
        assert {kind for param, kind in given if param != "folder"} <= {"stated"}, name


def test_no_rule_of_the_analysis_reads_the_truth():
    for name, text in rules().items():
        reads = text.partition("output:")[0]
        virtual = ("simulate_xray_stack", "simulate_losses", "check_maps")
        if name not in ("check_against_truth", "draw_truth", "execute_notebook", *virtual):
            assert "truth" not in reads, name


def test_files_stay_small():
    assert len((ROOT / "Snakefile").read_text().splitlines()) < 60
    for path in RULE_FILES:
        assert len(path.read_text().splitlines()) <= 120, path
    for path in SCRIPTS:
        assert len(path.read_text().splitlines()) < 80, path


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_explains_itself(script):
    done = subprocess.run(
        [sys.executable, str(script), "--help"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert script.read_text().splitlines()[0].strip('"') in " ".join(done.stdout.split())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_no_script_reads_the_whole_experiment(script):
    """Else an edit of one section's settings would run every rule again."""
    of_all = {"config", "load", "plan", "sweep", "tables", "consistency", "values"}
    used = {path.stem for path in closure(script) if path.parent == PACKAGE / "experiment"}
    assert not used & of_all
    assert PACKAGE / "experiment/settings/material.py" not in closure(script)


def test_what_every_script_runs_knows_nothing_of_the_experiment():
    paths = [path.relative_to(PACKAGE).parts for path in closure(PACKAGE / "records/job.py")]
    assert {path[0] for path in paths} == {"__init__.py", "core", "records"}


SETTINGS_OF = {
    "find_spots": {"base", "instruments", "scans", "spots"},
    "find_grains": {"base", "candidates", "grains"},
    "compare_sources": {"base", "comparison", "states"},
    "draw_log": set(),
}


@pytest.mark.parametrize(("script", "names"), SETTINGS_OF.items(), ids=SETTINGS_OF)
def test_a_script_knows_its_own_settings_alone(script, names):
    paths = closure(ROOT / f"scripts/{script}.py")
    used = {path.stem for path in paths if path.parent.name == "settings"}
    assert used - {"__init__"} == names


def sample_of(rule_file: Path) -> dict | None:
    """The part of a config that stands at the head of a rule file."""
    head = rule_file.read_text().partition("\n\n")[0]
    _, found, sample = head.partition("\n# config:\n")
    return yaml.safe_load(re.sub(r"^# ", "", sample, flags=re.MULTILINE)) if found else None


def refuse_unknown(kind: object, given: object, path: str) -> None:
    """Fail where a part of a config has a key or a value that no config may have there."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for key, value in given.items():
            assert key in kind.model_fields, f"{path}.{key}"
            refuse_unknown(kind.model_fields[key].annotation, value, f"{path}.{key}")
        return
    inner = [part for part in get_args(kind) if part is not type(None)]
    if get_origin(kind) is list and isinstance(given, list):
        for value in given:
            refuse_unknown(inner[0], value, path)
    elif get_origin(kind) is dict and isinstance(given, dict):
        for value in given.values():
            refuse_unknown(inner[1], value, path)
    elif get_origin(kind) is types.UnionType and isinstance(given, dict):
        refuse_unknown(inner[0], given, path)
    else:
        TypeAdapter(kind).validate_python(given)


@pytest.mark.parametrize("rule_file", RULE_FILES, ids=lambda path: path.stem)
def test_a_rule_file_shows_the_config_that_its_rules_read(rule_file):
    sample, text = sample_of(rule_file), rule_file.read_text()
    sections = set(Experiment.model_fields)
    used = {path.partition(".")[0] for path in re.findall(r'\bstated\(\s*"([^"]+)"', text)}
    used |= set(re.findall(r"PLAN\.experiment\.(\w+)", text))
    if sample is None:
        assert not used, rule_file
        return
    refuse_unknown(Experiment, sample, rule_file.stem)
    assert used & sections <= sample.keys()


def test_test_files_have_names_of_their_own():
    """Of two files of one name pytest takes the first for the second."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted(set(names)) == sorted(names)


def uncommented_numbers(source: str) -> list[str]:
    """Module constants of numbers alone that no comment stands beside, or right above."""
    commented = {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and not re.match(r"#\s*(fmt|noqa|ruff)\b", token.string)
    }
    missing = []
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        parts = list(ast.walk(node.value))
        numbers = any(
            isinstance(part, ast.Constant) and type(part.value) in (int, float) for part in parts
        )
        # Of what is made with NumPy's names alone; records, layouts and tables say what they are.
        numbers &= {part.id for part in parts if isinstance(part, ast.Name)} <= {"np"}
        if numbers and not commented & {node.lineno - 1, *range(node.lineno, node.end_lineno + 1)}:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            missing += [ast.unparse(target) for target in targets]
    return missing


def test_a_constant_without_a_comment_is_seen():
    bare = "A = 1.5\n\nB, C = -1, np.log(2)\nD: float = 3 * 2**20\nE = {'nm': [1.0]}\n"
    assert uncommented_numbers(bare) == ["A", "(B, C)", "D", "E"]
    told = "# Chosen.\nA = 1.5\nB = (\n    2,  # of them\n)\nC = f(1)\nD = 'text'\nE = True\n"
    assert uncommented_numbers(told) == []
    assert uncommented_numbers("# fmt: off\nA = 1\n") == ["A"]


def test_every_number_of_a_module_says_what_it_is_or_where_it_is_from():
    found = {
        str(path.relative_to(PACKAGE)): uncommented_numbers(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }
    assert {path: names for path, names in found.items() if names} == {}
