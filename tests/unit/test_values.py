"""What rules are given of an experiment, by paths: the same in the workflow and in an audit."""

import json
import math
import re
from pathlib import Path

import pytest
import yaml

from phasefront.core.errors import InputError
from phasefront.experiment import values
from phasefront.experiment.config import Experiment
from phasefront.experiment.plan import Plan
from phasefront.experiment.settings.candidates import Candidates

ROOT = Path(__file__).resolve().parents[2]
STATED = re.compile(r'\bstated\(\s*f?"([^"]+)"')


@pytest.fixture
def demo(monkeypatch):
    monkeypatch.chdir(ROOT)
    return yaml.safe_load((ROOT / "config/demo.yaml").read_text())


def paths_of_rules() -> set[str]:
    """Paths of all parameters, for one scan, log, pattern, cell and instrument of the demo."""
    text = "\n".join(file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk"))
    text = text.replace("{PLAN.instruments[0]}", "astar")
    named = {
        "scan": "grains-x2.5", "log": "charge", "pattern": "powder-x2.5", "batch": "frames",
        "cell": "p1", "stack": "m1", "series": "charging",
    }  # fmt: skip
    return {path.format(**named, instrument="astar") for path in STATED.findall(text)}


def test_every_path_of_a_rule_leads_to_a_value_that_is_json(demo, tmp_path):
    cells = tmp_path / "cells.tsv"
    cells.write_text("cell\tstate\tphase\tpaths\np1\tx2.5\tNa3\tp1.celllist\n")
    demo["tables"]["cells"] = str(cells)
    stacks = tmp_path / "stacks.tsv"
    stacks.write_text(
        "stack\tstate\tpath\tkind\tquantity\tunit\terror\nm1\tx2.5\tm1.npy\tmap\tV\t1\t0.1\n"
    )
    demo["tables"]["stacks"] = str(stacks)
    standard = {"image": "a.tif", "d_spacings": [2.0, 1.0], "scale": 0.01}
    demo["calibration"] = {"method": "standard", "standard": standard}
    head, *rows = Path(demo["tables"]["powder"]).read_text().splitlines()
    batch = "frames\t\tdata/*.xye\t0.4127\tcharging\tcharge"
    table = tmp_path / "powder.tsv"
    table.write_text("\n".join([f"{head}\tseries\tlog", *(f"{row}\t\t" for row in rows), batch]))
    demo["tables"]["powder"] = str(table)
    plan, paths = Plan.parse(demo, "demo.yaml"), paths_of_rules()
    of_series = Plan.load("config/insitu.yaml")
    assert len(paths) > 35
    for path in paths:
        if "virtual_series" in path or path.startswith("series."):
            path = path.replace("grains-x2.5", "charging-01")
            found = values.value(of_series, path)
        elif path == "stack.m1.virtual":
            found = values.value(Plan.load("config/multimodal.yaml"), "stack.stxm.virtual")
        else:
            found = values.value(plan, path)
        assert json.loads(json.dumps(found)) == found, path
        given = values.text(found)
        assert given == found or json.loads(given) == found


def test_what_rules_are_given_of_scans_logs_and_patterns(demo):
    plan = Plan.parse(demo, "demo.yaml")
    assert values.value(plan, "scan.grains-x2.5.step") == 10
    assert values.value(plan, "scan.grains-x2.5.state") == "x2.5"
    assert values.value(plan, "scan.grains-x2.5.layout") == {
        "scan_shape": None,
        "skip": 0,
        "flyback": 0,
    }
    assert values.value(plan, "log.charge.row")["mass_mg"] == 3.42
    assert [state["rest"] for state in values.value(plan, "log.charge.states")] == [0, 1, 2, 3, 4]
    row = values.value(plan, "pattern.powder-x1.5.row")
    assert (row["wavelength"], row["axis"]) == (0.4127, None)
    assert values.value(plan, "links")[1] == {
        "state": "x2.5", "scans": ["grains-x2.5"], "log": "charge", "patterns": ["powder-x2.5"],
        "cells": [], "maps": {},
    }  # fmt: skip
    assert values.value(plan, "raw_paths")[0] == "results/demo/raw/grains-x3.0.blo"
    assert values.value(plan, "instruments_of_raw_scans") == ["astar"] * 5
    assert values.value(plan, "seed_of.grains-x2.5") == plan.seed_of("grains-x2.5")


def test_what_rules_are_given_of_the_material(demo):
    plan = Plan.parse(demo, "demo.yaml")
    phases = demo["material"]["phases"]
    for path, name in (
        ("names", "name"), ("cifs", "cif"), ("ion_contents", "ion_content"),
        ("formula_units", "formula_units"), ("shared_lattice.axes", "parent_axes"),
    ):  # fmt: skip
        assert values.value(plan, f"material.{path}") == [phase[name] for phase in phases]
    assert values.value(plan, "material.shared_lattice.point_group") == "4/mmm"
    assert values.value(plan, "material.labels") == {
        phase["name"]: phase["label"] for phase in phases
    }
    assert values.value(plan, "material.weighed") == {
        "molar_mass": 417.79, "ion_content": 3.0, "ion_error": 0.01
    }  # fmt: skip
    candidates = Candidates.model_validate(values.value(plan, "material.candidates"))
    assert candidates.shared_lattice == plan.experiment.material.shared_lattice
    assert "label" not in values.value(plan, "material.candidates")["phases"][0]


@pytest.mark.parametrize("path", ["material.candidates", "material.weighed", "material.names"])
def test_a_label_or_a_two_phase_field_is_in_no_value_of_physics(demo, path):
    before = values.value(Plan.parse(demo, "demo.yaml"), path)
    demo["material"]["two_phase_fields"] = []
    for phase in demo["material"]["phases"]:
        phase["label"] = "another"
        phase["cell_from"] = ["powder-x3.0"]
    assert values.value(Plan.parse(demo, "demo.yaml"), path) == before


def test_a_variant_changes_the_sections_that_it_sweeps_alone(demo):
    demo["sweep"] = {"grid": {"spots.position_sigma": [0.006]}}
    plan = Plan.parse(demo, "demo.yaml")
    variant = "sweep/spots__position_sigma~0.006/"
    assert values.value(plan, "spots.position_sigma") == 0.005
    assert values.value(plan, "spots.position_sigma", variant) == 0.006
    assert values.value(plan, "scan.grains-x2.5.step", variant) == 10
    assert values.value(plan, "variants") == [
        {"spots.position_sigma": 0.005}, {"spots.position_sigma": 0.006}
    ]  # fmt: skip
    assert plan.sweep.experiment_of(variant) is plan.sweep.experiment_of(variant)


@pytest.mark.parametrize(
    "path", ["scan.grains-x9.step", "scan.grains-x2.5.dose", "spots.colour", "log.x.row", "nothing"]
)
def test_a_path_that_leads_to_nothing_is_named(demo, path):
    with pytest.raises(InputError, match=rf"demo\.yaml: nothing stands at {re.escape(path)}"):
        values.value(Plan.parse(demo, "demo.yaml"), path)


def test_no_section_of_a_config_has_the_name_of_another_kind_of_path():
    others = {"seed_of", *values._OF_ONE, *values._OF_ALL}
    assert not others & set(Experiment.model_fields)


def test_a_step_that_no_table_gives_reaches_a_script_as_no_number(demo, tmp_path):
    table = tmp_path / "scans.tsv"
    rows = Path(demo["tables"]["scans"]).read_text().replace("\tastar\t10", "\tastar\t")
    table.write_text(rows)
    demo["tables"]["scans"] = str(table)
    step = values.value(Plan.parse(demo, "demo.yaml"), "scan.grains-x2.5.step")
    assert math.isnan(step)
    assert math.isnan(float(values.text(step)))
