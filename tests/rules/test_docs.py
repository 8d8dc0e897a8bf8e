"""Pages say what the code says, and lead to what is there."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
import yaml

from docs.make import architecture, constants_page, pages
from phasefront.cli import main
from phasefront.experiment.config import Experiment
from phasefront.experiment.load import parse

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_drawing_is_that_of_the_code(tmp_path):
    again = tmp_path / "architecture.svg"
    architecture.save(again)
    assert again.read_text() == architecture.DRAWING.read_text(), "run make docs"


def test_every_package_stands_in_a_layer_and_says_what_it_is():
    layers = [package for layer in architecture.layers() for package in layer]
    folders = {path.parent.name for path in (ROOT / "src/phasefront").glob("*/__init__.py")}
    assert {name for name, _ in layers} == folders
    assert all(said.endswith(".") for _, said in layers)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_links_lead_to_files(page):
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_what_pages_name_of_the_code_is_there(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"\b(?:src|scripts|workflow|tests|benchmarks|profiles)/[\w/.]*\w", text):
        assert list(ROOT.glob(f"{name}*")), name


def samples(page):
    """Indented blocks of a page from their first line that names a section of a config."""
    for block in re.findall(r"(?:^(?: {4}.*|\s*)\n)+", page.read_text(encoding="utf-8"), re.M):
        lines = [line[4:] for line in block.splitlines()]
        found = [line.partition(":")[0] in Experiment.model_fields for line in lines]
        if any(found):
            yield "\n".join(lines[found.index(True) :])


def laid_over(content, sample):
    """A config with a sample's keys in place of its own, as later files override earlier ones."""
    both = isinstance(content, dict) and isinstance(sample, dict)
    if not both:
        return sample
    return content | {key: laid_over(content.get(key), value) for key, value in sample.items()}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_samples_of_a_config_are_read_as_they_stand(page):
    demo = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    for sample in samples(page):
        parse(laid_over(demo, yaml.safe_load(sample)), page.name)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_commands_of_pages_are_there(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"(?:bin/|`)phasefront (\w+)", text):
        assert callable(getattr(main, name)), name
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
    for name in re.findall(r"(?:`|^ {4})make ([a-z][\w-]*)", text, re.M):
        assert name in targets, name
    for name in re.findall(r"python -m ((?:benchmarks|docs|phasefront)\.[\w.]*\w)", text):
        assert importlib.util.find_spec(name), name


def test_the_page_of_the_benchmark_says_what_was_measured(tmp_path, monkeypatch):
    bench = tmp_path / "indexing.json"
    measured = {
        "phases": ["LFP", "FP"], "resolution_deg": 2.0, "patterns": {"ours": 16384, "theirs": 512},
        "patterns_per_s": {"ours": 3000.4, "theirs": 1.25},
        "phase_accuracy": {"ours": 1.0, "theirs": 0.875},
        "orientation_error_deg": {
            "ours": {"median": 0.08, "p90": 0.18}, "theirs": {"median": 1.2, "p90": 88.0}
        },
        "peak_memory_mb": {"ours": 454.2, "theirs": 1082.0},
        "ratio_pyxem": 36.4, "ratio_py4dstem": None,
    }  # fmt: skip
    finer = measured | {"resolution_deg": 1.0, "ratio_pyxem": 105.8}
    machine = {"cores": 2, "cpu": "some processor", "load_average": [0.21, 0, 0]}
    bench.write_text(json.dumps(measured | {"settings": {"finer": finer}, "machine": machine}))
    monkeypatch.setattr(pages, "BENCH", bench)
    whole_run = tmp_path / "run.json"
    monkeypatch.setattr(pages, "WHOLE_RUN", whole_run)
    page = pages.speed_page()
    assert "| LFP / FP at 2° | theirs | 512 | 1.2 | 0.875 | 1.20° / 88.00° | 1082 MB |" in page
    assert "| LFP / FP at 1° | ours | 16384 | 3000 |" in page
    assert "on 2 cores of some processor (load 0.2 at the start)" in page
    assert page.endswith(
        "phasefront is, on LFP / FP at 2°: 36 times as fast as pyxem's default; LFP / FP at 1°: "
        "106 times as fast as pyxem's default.\n"
    )
    rule = {"jobs": 2, "wall_s": 7.04, "work_s": 5.0, "peak_memory_mb": 426.4}
    run = {"wall_s": 168.2, "cpu_s": 242.0, "positions_per_s": 390.6, "rules": {"find_spots": rule}}
    whole_run.write_text(
        json.dumps(
            {
                "machine": {"cores": 2, "cpu": "a processor", "load_average": [1.5, 2, 3]},
                "sizes": [{"side": 256} | run],
                "planning": [{"scans": 200, "wall_s": 14.0, "peak_memory_mb": 367.2}],
            }
        )
    )
    page = pages.speed_page()
    assert "| 256 x 256 | 168 | 242 | 391 | 426 MB |" in page
    assert "| find_spots | 2 | 7.0 | 5.0 | 426 MB |" in page
    assert "| 200 | 14 | 367 MB |" in page


def test_the_page_of_decisions_says_how_many_are_wrong_and_where(tmp_path, monkeypatch):
    numbers = {name: 0.25 for name, _ in pages.DECISION_COLUMNS.values()}
    bins = [{"from": 0.9, "to": 1.0, "count": 40, "posterior": 0.95, "frequency": 0.9}]
    grains = {"half turn": {"A": {"grains": 9, "sure": 8, "wrong": 0}}}
    grains["variant"] = {"A": {"grains": 9, "sure": 6, "wrong": 1}}
    one = numbers | {
        "settled_grains": grains, "phase_accuracy_decided": 0.975, "mixed_found": None,
        "confidence": bins,
        "positions": dict.fromkeys(numbers, 40) | {"mixed_found": 0},
    }  # fmt: skip
    checks = tmp_path / "truth_check.json"
    checks.write_text(json.dumps({"thin": one, "thick": one | {"phase_accuracy_decided": 1.0}}))
    monkeypatch.setattr(pages, "DECISIONS", checks)
    page = pages.decisions_page()
    assert "| thin | 0.975 | 0.250 | 0.250 | – | 0.250 |" in page
    assert "| all scans | 0.988 | 0.250 |" in page
    assert "Of 80 decided positions of one grain and one phase 1 is wrong (1 in thin).\n" in page
    assert "| thin-1e5" not in page
    assert "| half turn | A | 18 | 16 | 0 |" in page
    assert "| variant | A | 18 | 12 | 2 |" in page
    assert "2 of the grains that are called sure are wrong (1 in thin, 1 in thick)." in page
    assert " Of 80 positions 20 have a sure orientation.\n" in page
    checks.write_text(json.dumps({"thick": one | {"phase_accuracy_decided": 1.0}}))
    assert "Of 40 decided positions of one grain and one phase none is wrong.\n" in (
        pages.decisions_page()
    )


def test_the_page_of_constants_has_every_row_that_was_measured(tmp_path, monkeypatch):
    fitted = {
        "constant": "a.FITTED", "value": 0.4, "best": 0.8, "as_good": [0.2, 1.3], "score": -0.5,
        "gain": 0.25, "gain_stderr": 0.125,
    }  # fmt: skip
    one = {"changed": 0.0, "right": 1.0, "undecided": 0.03, "log_probability": -0.01}
    chosen = {"as it is": one, "b.CHOSEN x 0.5": one | {"right": 0.75, "changed": 0.5}}
    chosen["b.CHOSEN x 2"] = {"refused": "a sentence"}
    pairs = {"as it is": {"moved": 0.0, "median_by": 1.0, "never": 0.0}}
    pairs |= {f"c.PAIR x {by}": {"moved": 0.1, "median_by": 2, "never": 0} for by in ("0.5", "2")}
    contents = {"FITTED": {"seeds": [1, 2], "constants": [fitted]}, "CHOSEN": chosen}
    for name, content in (contents | {"OF_PAIRS": pairs}).items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        monkeypatch.setattr(constants_page, name, path)
    page = constants_page.constants_page()
    assert "| `a.FITTED` | 0.4 | 0.8 | 0.2 to 1.3 | -0.5000 | 0.2500 ± 0.1250 |" in page
    assert "| `b.CHOSEN` | 0.5000 | refused | 0.0300 | refused | -0.0100 | refused |" in page
    assert "| `c.PAIR` | 0.1000 | 0.1000 | 2.0000 | 2.0000 | 0.0000 | 0.0000 |" in page
    assert "right is 0.7500, over all rows" in " ".join(page.split())
