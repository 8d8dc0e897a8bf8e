"""The config: drift of its schema, and every error naming file, field and remedy."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from phasefront.core.errors import InputError
from phasefront.experiment import values
from phasefront.experiment.config import Experiment, schema
from phasefront.experiment.load import load, parse
from phasefront.experiment.plan import Plan
from phasefront.experiment.settings.base import Model
from phasefront.experiment.settings.cycling import LogRow
from phasefront.experiment.settings.powder import PatternRow
from phasefront.experiment.settings.scans import ScanRow
from phasefront.experiment.tables import read_table

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def demo(monkeypatch):
    monkeypatch.chdir(ROOT)
    return yaml.safe_load(Path("config/demo.yaml").read_text())


def test_published_schema_is_that_of_the_models():
    published = json.loads((ROOT / "workflow/schemas/experiment.schema.json").read_text())
    assert published == schema(), "run: make schema"


def test_demo_is_a_complete_plan(demo):
    plan = Plan.parse(demo, "demo.yaml")
    plan.check_files()
    assert list(plan.scans["state"]) == [state.name for state in plan.experiment.states]
    assert len({plan.seed_of(name) for name in plan.scans.index}) == len(plan.scans)


def test_virtual_experiment_without_log_and_powder_is_a_complete_plan(monkeypatch):
    monkeypatch.chdir(ROOT)
    plan = Plan.load("config/decisions.yaml")
    plan.check_files()
    assert not len(plan.logs) and not len(plan.patterns)
    assert set(plan.experiment.virtual.states) == set(plan.scans["state"])
    assert len({plan.seed_of(scan) for scan in plan.scans.index}) == len(plan.scans)
    assert all(path.startswith("results/decisions/raw/") for path in plan.raw_files())


def test_virtual_scans_may_stand_beside_a_real_log(monkeypatch):
    monkeypatch.chdir(ROOT)
    plan = Plan.load("config/lfp.yaml")
    assert {download.path for download in plan.experiment.downloads} == set(plan.logs["path"])
    assert all(path.startswith("results/lfp/raw/") for path in plan.scans["path"])
    assert set(plan.experiment.virtual.states) == set(plan.scans["state"])
    assert {state.log for state in plan.experiment.states} == set(plan.logs.index)


def test_a_virtual_state_may_have_a_dose_and_a_thickness_of_its_own(monkeypatch):
    monkeypatch.chdir(ROOT)
    virtual = load("config/decisions.yaml").virtual
    scarce, plain = virtual.states["thick-1e5-x1.5"], virtual.states["thin-1e7-x2.0"]
    assert (scarce.dose, scarce.thickness_nm) == (1e5, (60, 100))
    assert (plain.dose, virtual.dose, virtual.thickness_nm) == (None, 1e7, (28, 85))


def test_sections_do_not_depend_on_the_order_of_keys(demo):
    swapped = {key: demo[key] for key in reversed(demo)}
    swapped["material"] = {key: demo["material"][key] for key in reversed(demo["material"])}
    first, second = (parse(content, "x") for content in (demo, swapped))
    assert first.section("material") == second.section("material")


def change(content, path, value):
    *parents, last = path
    for part in parents:
        content = content[part]
    if value is None:
        del content[last]
    else:
        content[last] = value


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (["sed"], 1, "demo.yaml: sed: unknown key; write 'seed'."),
        (
            ["instruments", "astar", "precesion_deg"], 1.0,
            "demo.yaml: instruments.astar.precesion_deg: unknown key; write 'precession_deg'.",
        ),
        (
            ["material", "phases", 0, "cyf"], "x",
            "demo.yaml: material.phases.0.cyf: unknown key; write 'cif'.",
        ),
        (["material", "ion"], None, "demo.yaml: material.ion: missing; add it."),
        (
            ["material", "phases", 1, "name"], "Na3",
            "demo.yaml: material: two phases have the same name; give each its own.",
        ),
        (
            ["material", "two_phase_fields"], [{"Na3": 3, "Na7": 2}],
            "demo.yaml: material: the two-phase field {'Na3': 3.0, 'Na7': 2.0} does not name two of"
            " the phases; give each of two phases with its ion content.",
        ),
        (
            ["material", "two_phase_fields"], [{"Na3": 2, "Na2": 2}],
            "demo.yaml: material: a two-phase field has no width; give its ends two ion contents.",
        ),
        (
            ["material", "two_phase_fields"], [{"Na3": 3, "Na2": 1.8}, {"Na2": 2, "Na1": 1}],
            "demo.yaml: material: two two-phase fields overlap; keep their ion contents apart.",
        ),
        (
            ["phases"], {"decide_above": 1.5},
            "demo.yaml: phases.decide_above: 1.5 cannot be used: input should be less than 1;"
            " correct the value.",
        ),
        (
            ["orientations"], {"resolution_deg": 0.001},
            "demo.yaml: orientations.resolution_deg: 0.001 cannot be used: input should be greater"
            " than or equal to 0.1; correct the value.",
        ),
        (
            ["states", 0, "half_cycle"], 1,
            "demo.yaml: states.0: half_cycle is of a capacity, a voltage or a fraction; leave it"
            " out where time_h or rest says where the state is.",
        ),
        (
            ["states", 0, "log"], "other",
            "demo.yaml: states.x3.0.log: there is no log 'other' in the cycling table;"
            " name one of ['charge'] or add it to the table.",
        ),
        (
            ["states", 0, "time_h"], 3.0,
            "demo.yaml: states.0: give a log and exactly one of time_h, capacity_mah_g, voltage_v,"
            " fraction, rest; change it.",
        ),
        (
            ["instruments", "astar", "scale"], None,
            "demo.yaml: instruments.astar.scale: scan 'grains-x3.0' needs the camera's nominal"
            " scale; give it in 1/angstrom per pixel, to within 2 %.",
        ),
        (
            ["instruments", "astar", "camera"], {"rotation_deg": 12},
            "demo.yaml: instruments.astar.camera.mirrored: missing; add it.",
        ),
        (
            ["instruments", "astar", "camera"], {"rotation_deg": math.nan, "mirrored": False},
            "demo.yaml: instruments.astar.camera.rotation_deg: nan cannot be used: input should be"
            " a finite number; correct the value.",
        ),
        (
            ["instruments", "astar", "camera"],
            {"rotation_deg": 12, "mirrored": False, "rotation_error_deg": -1},
            "demo.yaml: instruments.astar.camera.rotation_error_deg: -1 cannot be used: input"
            " should be greater than or equal to 0; correct the value.",
        ),
        (
            ["instruments", "astar", "camera"], {"rotation": 12, "mirrored": False},
            "demo.yaml: instruments.astar.camera.rotation: unknown key; write 'rotation_deg'.",
        ),
        (
            ["virtual", "states", "x2.5", "thickness_nm"], [85, 28],
            "demo.yaml: virtual.states.x2.5.thickness_nm: the first value is larger than the"
            " second; swap them.",
        ),
        (
            ["tables", "scans"], "config/nowhere.tsv",
            "config/nowhere.tsv: there is no such file; check the config's tables section.",
        ),
        (
            ["material", "phases", 0, "cif"], "config/nowhere.cif",
            "config/nowhere.cif: there is no such file; check the path in the config and its"
            " tables.",
        ),
    ],
)  # fmt: skip
def test_errors_name_file_field_and_remedy(demo, path, value, sentence):
    change(demo, path, value)
    with pytest.raises(InputError) as caught:
        Plan.parse(demo, "demo.yaml").check_files()
    assert str(caught.value) == sentence


def test_two_phases_with_the_same_structure_are_refused(demo, tmp_path):
    copy = tmp_path / "copy.cif"
    copy.write_text(Path(demo["material"]["phases"][0]["cif"]).read_text())
    demo["material"]["phases"][2]["cif"] = str(copy)
    with pytest.raises(InputError, match="has the same structure as"):
        Plan.parse(demo, "demo.yaml").check_files()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("run: [", "line"),
        ("- 1", "not a mapping of sections"),
    ],
)
def test_what_is_no_config_is_refused(tmp_path, text, sentence):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence):
        load(path)


def test_columns_of_a_log_are_given_as_json(tmp_path):
    columns = '{"time": ["t", "h"], "voltage": ["E/V", "V"], "current": ["I", "-mA"]}'
    path = tmp_path / "cycling.tsv"
    path.write_text(f"log\tpath\tmass_mg\tcolumns\na\ta.txt\t3\t{columns}\nb\tb.mpr\t4\t\n")
    rows = read_table(path, LogRow)
    assert rows.loc["a", "columns"]["current"] == ("I", "-mA")
    assert rows.loc["b", "columns"] is None
    again = LogRow.model_validate_json(json.dumps(rows.loc["a"].to_dict()))
    assert again.columns == rows.loc["a", "columns"]
    path.write_text("log\tpath\tmass_mg\tcolumns\na\ta.txt\t3\tt in h\n")
    with pytest.raises(InputError, match=r"row 1.columns: 't in h' is no JSON; write it as \{"):
        read_table(path, LogRow)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("scan\tstate\tpath\tinstrument\na\ts\tp\ti\na\ts\tp\ti\n", "'a' occurs twice"),
        ("scan\tstate\tpath\tinstrument\n", "the table has no rows"),
        ("scan\tstate\tpath\na\ts\tp\n", "row 1.instrument: missing"),
        ("scan\tstat\tpath\tinstrument\na\ts\tp\ti\n", "row 1.stat: unknown key; write 'state'"),
        (
            "scan,state,path\na,s,p\n",
            "header: its header is one column, 'scan,state,path'; separate",
        ),
        ("scan  state  path\na  s  p\n", "its header is one column"),
        ("scan\tstate\tpath\na\ts\tp\ti\n", "the row of 'a': a row has more cells than the header"),
    ],
)
def test_tables_are_checked_row_by_row(tmp_path, text, sentence):
    path = tmp_path / "scans.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_table(path, ScanRow)


def test_blanks_around_cells_are_of_a_tables_layout(tmp_path):
    path = tmp_path / "scans.tsv"
    path.write_text("scan \tstate\t path\tinstrument\na\t s\tp q.blo  \ti  # the second\n")
    (row,) = read_table(path, ScanRow).to_dict("records")
    assert (row["scan"], row["state"], row["path"], row["instrument"]) == ("a", "s", "p q.blo", "i")


def table_of_patterns(tmp_path, demo, text):
    path = tmp_path / "powder.tsv"
    path.write_text(text)
    demo["tables"]["powder"] = str(path)
    return demo


SERIES = (
    "pattern\tstate\tpath\twavelength\n"
    "late\tx1.0\ta.xye\t0.4127\n"
    "early\tx3.0\tb.xye\t0.4127\n"
    "other\tx2.5\tc.xye\t0.7\n"
    "middle\tx2.0\td.xye\t0.4127\n"
)


def test_a_sequential_fit_starts_from_the_state_before(demo, tmp_path):
    plan = Plan.parse(table_of_patterns(tmp_path, demo, SERIES), "demo.yaml")
    names = ("early", "middle", "late", "other")
    assert [plan.pattern_before(name) for name in names] == [None, "early", "middle", None]


REFINED = "pattern\tstate\tpath\tkind\trow\np\tx2.0\tseq.csv\trefined\tx2.0.xye\n"
COLUMNS = {"program": "GSAS-II", "pattern": "name", "phases": {"Na2": {"fraction": "0:*:WgtFrac"}}}


def test_a_row_of_refined_fractions_needs_no_wavelength(demo, tmp_path):
    table_of_patterns(tmp_path, demo, REFINED)
    demo["powder"] = {"refined": COLUMNS}
    plan = Plan.parse(demo, "demo.yaml")
    assert plan.patterns_of_kind("refined") == ["p"]
    assert plan.patterns_of_kind("pattern") == []
    row = PatternRow.model_validate(values.value(plan, "pattern.p.row"))
    assert (row.row, row.wavelength) == ("x2.0.xye", None)


@pytest.mark.parametrize(
    ("table", "columns", "words"),
    [
        (REFINED, None, "powder.refined: pattern 'p' is refined elsewhere"),
        (
            REFINED,
            COLUMNS | {"phases": {"Na4": {"fraction": "x"}}},
            "powder.refined.phases: there is no phase 'Na4' in the material",
        ),
        (REFINED, COLUMNS | {"header": False}, "the table has no header"),
        (REFINED, COLUMNS | {"goodness_of_fit": 1, "chi_squared": 2}, "are both given"),
        (REFINED.replace("refined", "pattern"), COLUMNS, "row 1: a pattern has no wavelength"),
        (REFINED.replace("x2.0.xye", ""), COLUMNS, "kind and row do not go together"),
    ],
)
def test_refined_fractions_that_do_not_fit_together(demo, tmp_path, table, columns, words):
    table_of_patterns(tmp_path, demo, table)
    demo["powder"] = {"refined": columns}
    with pytest.raises(InputError) as caught:
        Plan.parse(demo, "demo.yaml")
    assert words in str(caught.value)


def test_a_config_or_table_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"run: \xff\n")
    with pytest.raises(InputError, match=r"a\.yaml: not a text in UTF-8; save it as UTF-8"):
        load(path)
    for table in (b"scan\tstate\tpath\n\xff\t1\t2\n", b"scan\tstate\na\tb\nc\td\te\n", b""):
        path.write_bytes(table)
        with pytest.raises(InputError, match=r"a\.yaml: not a table \("):
            read_table(path, ScanRow)


def test_a_camera_reaches_what_draws_directions_and_no_other_rule(demo):
    del demo["instruments"]["astar"]["camera"]
    unstated = Plan.parse(demo, "demo.yaml")
    scan = unstated.scans.index[0]
    camera = {"rotation_deg": -40.0, "mirrored": True, "rotation_error_deg": None}
    demo["instruments"]["astar"]["camera"] = {"rotation_deg": -40, "mirrored": True}
    stated = Plan.parse(demo, "demo.yaml")
    optics, of_scan = f"scan.{scan}.optics", f"scan.{scan}.camera"
    assert (
        values.value(stated, optics)
        == values.value(unstated, optics)
        == values.value(stated, "instrument.astar.optics")
    )
    assert "camera" not in values.value(stated, optics)
    assert values.value(unstated, of_scan) is None
    assert values.value(stated, of_scan) == camera
    assert values.value(stated, "cameras") == dict.fromkeys(stated.scans.index, camera)


# ------------------------------------------------------------------------ what no config can be

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(8)
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("run: a\nseed: 1\nrun: b\n", "line 3: the key 'run' is given twice; leave one of them"),
        ("run: a\nspots: {max_radius: 1, max_radius: 2}\n", "the key 'max_radius' is given twice"),
        ("run: " + "[" * 3000 + "]" * 3000, "nested more than 50 levels deep"),
        ("run: " + "[" * 60 + "]" * 60, "nested more than 50 levels deep"),
        (LAUGHS, "or of more than 100,000 values"),
        ("run: &a\n  b: *a\n", "nested more than 50 levels deep"),
        ("run: 2026-13-45\n", "not valid YAML"),
        ("seed: " + "9" * 5000 + "\n", "not valid YAML"),
        ("? [a, b]\n: 1\n", "not valid YAML"),
    ],
)
def test_a_yaml_that_is_no_config_ends_in_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load(path)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_may_have_an_underscore_and_a_refused_one_is_told_which_signs_it_may_have(demo):
    demo["states"][0]["name"] = "x_3.0"
    assert parse(demo, "x").states[0].name == "x_3.0"
    demo["states"][0]["name"] = "x/3"
    with pytest.raises(InputError) as caught:
        parse(demo, "x")
    assert str(caught.value) == (
        "x: states.0.name: 'x/3' is no name; a name has letters a to z, digits and . _ + - and"
        " begins with a letter or digit."
    )


def test_rows_whose_names_differ_by_capitals_are_refused(tmp_path):
    path = tmp_path / "scans.tsv"
    path.write_text("scan\tstate\tpath\tinstrument\na\ts\tp\ti\nA\ts\tp\ti\n")
    with pytest.raises(InputError, match="'a' and 'A' differ by capitals alone"):
        read_table(path, ScanRow)


def leaves(model, values, path=()):
    """Paths of every field of an experiment, sections and lists entered."""
    for name in model.model_fields:
        yield (*path, name)
        value = getattr(values, name)
        if isinstance(value, Model):
            yield from leaves(type(value), value, (*path, name))
        elif isinstance(value, list | dict) and value:
            key = 0 if isinstance(value, list) else next(iter(value))
            if isinstance(value[key], Model):
                yield from leaves(type(value[key]), value[key], (*path, name, key))


FILLED = {
    "calibration": {
        "method": "standard",
        "standard": {"image": "a.tif", "d_spacings": [2.0, 1.0], "scale": 0.01},
    },
    "people": [{"name": "A"}],
    "downloads": [{"path": "a", "url": "https://b.org/a", "sha256": "0" * 64}],
    "powder": {"refined": COLUMNS},
}
DEMO = yaml.safe_load((ROOT / "config/demo.yaml").read_text()) | FILLED
LEAVES = list(leaves(Experiment, parse(DEMO, "demo.yaml")))
ODD = [
    float("nan"), float("inf"), -float("inf"), -1, 0, 1e30, 10**400, "text", "", "nan", [], [1], {},
    True, None, [float("nan")] * 3, {"a": float("inf")}, "a\x00b", "\ud800",
]  # fmt: skip


def test_every_section_has_fields_that_are_tried():
    assert {path[0] for path in LEAVES} == set(Experiment.model_fields)
    assert len(LEAVES) > 100


@pytest.mark.parametrize("path", LEAVES, ids=lambda path: ".".join(map(str, path)))
def test_no_value_of_any_field_ends_in_a_traceback(demo, path):
    for value in ODD:
        content = json.loads(json.dumps(DEMO))
        node = content
        for part in path[:-1]:
            node = node.setdefault(part, {}) if isinstance(node, dict) else node[part]
        node[path[-1]] = value
        try:
            plan = Plan.parse(content, "demo.yaml")
            if path[0] == "material":  # held against the CIFs
                plan.check_files()
        except InputError as error:
            assert "\n" not in str(error)
            assert str(error).endswith(".")
            str(error).encode()  # fit to be printed


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("start", "2025-03-03T09:00:00", "has no offset from UTC; write it as 2025-03-03T09:00"),
        ("start", "3 March", "'3 March' is no moment; write it as"),
        ("timezone", "Paris", "'Paris' is no time zone; write its IANA name"),
        ("timezone", "localtime", "is no time zone"),
        ("timezone", "../Europe/Paris", "is no time zone"),
        ("inactive_share", "0.1", "inactive_share is given without mass_mg; give the mass"),
    ],
)
def test_moments_zones_and_what_needs_a_mass_are_checked(tmp_path, column, cell, message):
    path = tmp_path / "cycling.tsv"
    path.write_text(f"log\tpath\t{column}\na\ta.mpr\t{cell}\n")
    with pytest.raises(InputError, match=re.escape(message)):
        read_table(path, LogRow)


def test_a_log_needs_no_mass_and_keeps_its_start_and_zone(tmp_path):
    path = tmp_path / "cycling.tsv"
    path.write_text(
        "log\tpath\tmass_mg\tstart\ttimezone\na\ta.mpr\t\t2025-03-03T09:00:00+01:00\t\n"
        "b\tb.mpr\t3\t\tAsia/Kolkata\n"
    )
    table = read_table(path, LogRow)
    assert np.isnan(table.loc["a", "mass_mg"]) and table.loc["b", "mass_mg"] == 3
    assert table.loc["a", "start"] == "2025-03-03T09:00:00+01:00"
    assert table.loc["b", "timezone"] == "Asia/Kolkata"


SERIES_ROWS = {
    "a log alone": ({"log": "charge"}, "a scan of a series needs the log it was taken on"),
    "a series alone": ({"series": "s"}, "a scan of a series needs the log it was taken on"),
    "an offset alone": ({"clock_offset_s": "2"}, "are of a scan in a series; give series and log"),
    "electrons alone": ({"electrons_per_position": "1e6"}, "are of a scan in a series"),
    "peaks": ({"series": "s", "log": "charge", "kind": "peaks"}, "a list of peaks and a map have"),
    "a negative error": (
        {"series": "s", "log": "charge", "clock_offset_error_s": "-1"}, "clock_offset_error_s",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SERIES_ROWS)
def test_rows_of_a_series_are_whole(tmp_path, name):
    cells, message = SERIES_ROWS[name]
    row = {"scan": "a", "state": "s", "path": "a.mib", "instrument": "i"} | cells
    path = tmp_path / "scans.tsv"
    path.write_text("\t".join(row) + "\n" + "\t".join(row.values()) + "\n")
    with pytest.raises(InputError, match=message):
        read_table(path, ScanRow)


PLANS = {
    "log of a series": (
        "scans", "scan_step_nm\tseries\tlog", "10\ts\tother",
        "grains-x3.0.log: there is no log 'other' in the cycling table; name one of .'charge'",
    ),
    "virtual log without mass": (
        "cycling", "mass_mg", "", "charge.mass_mg: a virtual log is of an electrode whose mass is",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANS)
def test_plans_of_series_and_of_unknown_masses(demo, tmp_path, name):
    table, columns, cells, message = PLANS[name]
    rows = {"scans": "grains-x3.0\tx3.0\tresults/demo/raw/grains-x3.0.blo\tastar",
            "cycling": "charge\tresults/demo/raw/charge.mpt"}  # fmt: skip
    heads = {"scans": "scan\tstate\tpath\tinstrument", "cycling": "log\tpath"}
    path = tmp_path / "table.tsv"
    path.write_text(f"{heads[table]}\t{columns}\n{rows[table]}\t{cells}\n")
    demo["tables"][table] = str(path)
    with pytest.raises(InputError, match=message):
        Plan.parse(demo, "demo.yaml")


def test_a_capacity_per_gram_needs_a_mass(demo, tmp_path):
    path = tmp_path / "cycling.tsv"
    path.write_text("log\tpath\ncharge\tdata/charge.mpt\n")
    demo["tables"]["cycling"] = str(path)
    demo["states"][1] = {"name": "x2.5", "log": "charge", "capacity_mah_g": 30}
    with pytest.raises(InputError, match=r"states.x2.5.capacity_mah_g: log 'charge' has no mass"):
        Plan.parse(demo, "demo.yaml")
    demo["states"][1] = {"name": "x2.5", "log": "charge", "fraction": 0.5}
    assert Plan.parse(demo, "demo.yaml").logs.loc["charge", "mass_mg"] is None


def test_series_are_of_the_scans_that_name_them(demo, tmp_path):
    path = tmp_path / "scans.tsv"
    rows = [
        f"grains-{state}\t{state}\tresults/demo/raw/grains-{state}.blo\tastar\t10\t{cells}"
        for state, cells in (("x3.0", "s\tcharge\t1.5\t1e6"), ("x2.5", "s\tcharge\t\t"),
                             ("x2.0", "\t\t\t"))
    ]  # fmt: skip
    more = "series\tlog\tclock_offset_s\telectrons_per_position"
    path.write_text(
        "\n".join([f"scan\tstate\tpath\tinstrument\tscan_step_nm\t{more}", *rows]) + "\n"
    )
    demo["tables"]["scans"] = str(path)
    plan = Plan.parse(demo, "demo.yaml")
    assert plan.scans_in_series == plan.series_of("grains-x2.5") == ["grains-x3.0", "grains-x2.5"]
    placing = values.value(plan, "scan.grains-x3.0.placing")
    assert (placing["series"], placing["log"], placing["clock_offset_s"]) == ("s", "charge", 1.5)
    assert placing["clock_offset_error_s"] is None
    assert [member["electrons_per_position"] for member in placing["members"]] == [1e6, None]
    assert values.value(plan, "scan.grains-x2.0.placing") is None
