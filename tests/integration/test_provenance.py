"""The records of a whole run: by their schema, in another folder, and after a change of config."""

import json
import re
import shutil
import zipfile
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
import yaml
from projects import ROOT, Project

from phasefront.audit import number
from phasefront.audit.settings import Settings
from phasefront.audit.verify import verify
from phasefront.core import netcdf, tables
from phasefront.core.statistics import NORMAL_95
from phasefront.layouts.calibration import CALIBRATION
from phasefront.layouts.fractions import FRACTIONS
from phasefront.layouts.powder import POWDER
from phasefront.records import chain
from phasefront.records.code import closure
from phasefront.report import columns
from phasefront.report.tables import PRINTED_TABLE, printed

SUMMARY = "results/small/summary.json"


@pytest.fixture(scope="module")
def records(finished_project):
    return chain.collect(finished_project.results)


def test_every_record_is_as_the_published_schema_says(finished_project, records):
    published = json.loads((ROOT / "workflow/schemas/record.schema.json").read_text())
    check = jsonschema.Draft202012Validator(published)
    files = list(finished_project.results.rglob("*.prov.json"))
    assert len(files) == len(records.by_path) > 40
    for file in files:
        check.validate(json.loads(file.read_text()))


def test_records_say_what_the_workflow_knows(records):
    record = records.by_path["results/small/maps/grains-x3.0.ang"]
    assert record.made.rule == "export_maps"
    assert record.run.wildcards == {"scan": "grains-x3.0"}
    assert [file.path for file in record.run.config] == ["config/small.yaml"]
    assert "config/small/scans.tsv" in [file.path for file in record.run.tables]
    assert record.run.threads["OMP_NUM_THREADS"] == "1"
    pattern = records.by_path["results/small/truth/powder-x3.0.json"]
    assert pattern.run.wildcards == {"pattern": "powder-x3.0"}
    assert records.by_path[SUMMARY].run.wildcards == {}


def test_records_hold_in_a_copy_with_neither_workflow_nor_repository(finished_project, tmp_path):
    copy = tmp_path / "unpacked"
    for part in ("results", "src", "scripts", "config", "envs", "notebooks"):
        shutil.copytree(finished_project.folder / part, copy / part)
    # It was made of the workflow, too.
    (copy / "results/small/supplement.zip").unlink()
    (copy / "results/small/supplement.zip.prov.json").unlink()
    done = Project(tmp_path).command("verify", "unpacked/results/small")
    assert done.returncode == 0, done.stderr
    path = copy / "results/small/raw/grains-x3.0.blo"
    with path.open("r+b") as stream:
        stream.seek(100_000)
        stream.write(b"\xff\xfe")
    done = Project(tmp_path).command("verify", "unpacked/results/small")
    assert done.returncode == 1
    assert done.stderr.startswith(f"First broken link: {path.relative_to(tmp_path)}: changed since")


def test_every_parameter_is_compared_with_the_config(finished_project, records):
    """All but what wildcards and inputs say already."""
    settings = Settings(records.root)
    for record in records.by_path.values():
        assert settings.difference(record) is None, record.made.output.path
        stated, given = record.run.stated, record.made.parameters
        assert stated.keys() <= given.keys(), record.made.rule
        assert given.keys() - stated.keys() <= {"name", "folder", "scan"}, record.made.rule
    spots = records.by_path["results/small/spots/grains-x3.0.nc"]
    assert spots.run.stated == {
        "settings": "spots", "layout": "scan.grains-x3.0.layout", "step": "scan.grains-x3.0.step"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("people: [{name: Ada}]\nrecord_host: true\nfractions: {}\n", None),
        ("seed: 7\n", "seed is "),
        ("spots: {position_sigma: 0.006}\n", "position_sigma is 0.006, not 0.005"),
        ("comparison: {margin: 0.2}\n", "settings.margin is 0.2, not 0.1"),
    ],
)
def test_only_a_change_that_was_used_breaks_records(finished_project, tmp_path, section, said):
    project = finished_project.copy(tmp_path / "copy")
    path = project.folder / project.config
    content = [line for line in path.read_text().splitlines() if not line.startswith("seed:")]
    if said is None or not said.startswith("seed"):
        content = path.read_text().splitlines()
    path.write_text("\n".join(content) + "\n" + section)
    done = project.command("verify", SUMMARY)
    if said is None:
        assert done.returncode == 0, done.stderr
        assert "changed, but nothing that " in done.stdout
        assert set(project.planned()) == {"pack_supplement"}  # it holds the config
    else:
        assert done.returncode == 1
        assert said in done.stderr
        assert len(project.planned()) > 1


def test_a_camera_is_compared_where_directions_are_given_and_nowhere_else(
    finished_project, tmp_path
):
    project = finished_project.copy(tmp_path / "copy")
    path = project.folder / project.config
    stated = {"rotation_deg": 12.0, "mirrored": True, "rotation_error_deg": None}
    content = yaml.safe_load(path.read_text())
    content["instruments"]["astar"]["camera"] = stated
    path.write_text(yaml.safe_dump(content))
    settings, broken = Settings(project.folder), {}
    for record in chain.collect(project.results).by_path.values():
        if said := settings.difference(record):
            broken[record.made.rule] = said
            given = record.made.parameters
            for name in {"camera", "cameras"} & given.keys():
                scans = dict.fromkeys(["grains-x3.0", "grains-x2.5"], stated)
                given[name] = stated if name == "camera" else scans
                assert settings.difference(record) is None
                given[name] = json.loads(json.dumps(given[name]).replace("12.0", "13.0"))
                assert "12.0, not 13.0" in settings.difference(record)
    assert broken.keys() == {
        "draw_maps", "export_maps", "trace_interfaces", "infer_mechanisms", "execute_notebook",
        "draw_explorer",
    }  # fmt: skip
    assert all(said.endswith((", not 0.0", ", not False")) for said in broken.values())


def test_a_table_that_names_another_raw_file_breaks_records(finished_project, tmp_path):
    project = finished_project.copy(tmp_path / "copy")
    table = project.folder / "config/small/scans.tsv"
    names = ("raw/grains-x3.0.blo", "raw/grains-x2.5.blo")
    text = table.read_text().replace(names[0], "?").replace(names[1], names[0])
    table.write_text(text.replace("?", names[1]))
    done = project.command("verify", SUMMARY)
    assert done.returncode == 1
    assert f"'results/small/{names[1]}' is not what the virtual run makes" in done.stderr


@pytest.mark.slow
def test_any_output_that_is_gone_with_its_record_is_missed(finished_project, tmp_path):
    project = finished_project.copy(tmp_path / "copy")
    unmissed = []
    for record in sorted(project.results.rglob("*.prov.json")):
        output = record.with_name(record.name.removesuffix(".prov.json"))
        kept = output.read_bytes(), record.read_bytes()
        output.unlink(), record.unlink()
        if not verify(project.results).problems:
            unmissed.append(output.name)
        output.write_bytes(kept[0]), record.write_bytes(kept[1])
    assert unmissed == ["supplement.zip"]  # nothing is made from it


def test_all_code_that_ran_was_known_to_the_workflow(finished_project, records):
    """So an edit of any of it makes its rules run again."""
    for record in records.by_path.values():
        code = {finished_project.folder / entry.path for entry in record.made.code}
        script = finished_project.folder / "scripts" / f"{record.made.rule}.py"
        names = [path.relative_to(ROOT) for path in closure(ROOT / "scripts" / script.name)]
        assert code == {finished_project.folder / name for name in names}


def test_a_number_is_explained_back_to_the_crystals(finished_project, tmp_path):
    graph = tmp_path / "graph.svg"
    done = finished_project.command("explain", SUMMARY, "--graph", str(graph))
    assert done.returncode == 0, done.stderr
    for said in ("bloch_waves.nc", "find_spots, 2 times", "seed ", "decide_above", "Lock file"):
        assert said in done.stdout
    assert "fractions/grains-x3.0.nc" in graph.read_text()


def test_a_fraction_is_explained_by_the_scan_of_its_state_alone(finished_project):
    results = finished_project.results
    file = results / "fractions/grains-x2.5.nc"
    counted = netcdf.read(file, FRACTIONS).sel(kind="molar", phase="Na3")
    value = counted["value"].item()
    found = number.trace(results / "summary.json", f"{value:.9f}")
    (traced,) = found.traces
    assert traced.place.where == "states / x2.5 / fractions / stem / Na3 / value"
    assert [(place.path, place.where) for place in traced.before] == [
        ("results/small/comparison.nc", "fraction[state x2.5, source stem, phase Na3]"),
        ("results/small/states/x2.5.nc", "value[kind molar, phase Na3]"),
        ("results/small/fractions/grains-x2.5.nc", "value[kind molar, phase Na3]"),
    ]
    paths = " ".join(found.narrowed().by_path)
    assert "raw/grains-x2.5.blo" in paths
    assert "x3.0" not in paths
    done = finished_project.command("explain", SUMMARY, "--number", f"{value:.9f}")
    assert f"{traced.place.where} = {value!r}\n  = comparison.nc: " in done.stdout


@pytest.mark.parametrize(
    "output",
    [
        "fractions/grains-x3.0.nc",
        "figures/drift.png",
        "summary.json",
        # Compiled anew and alone, where the run had kernels that other rules compiled.
        pytest.param("phases/grains-x2.5.nc", marks=pytest.mark.slow),
    ],
)
def test_a_step_of_the_run_is_made_again_to_the_same_bytes(finished_project, output):
    done = finished_project.command("reproduce", f"results/small/{output}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(", same bytes.\n")


def test_a_copy_of_the_run_differs_in_nothing(finished_project, tmp_path):
    shutil.copytree(finished_project.folder / "results", tmp_path / "results")
    done = finished_project.command("diff", "small", str(tmp_path / "results/small"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def unpacked(finished_project, tmp_path_factory):
    """The payload of the run's supplement, where a reader unpacked it."""
    folder = tmp_path_factory.mktemp("reader")
    with zipfile.ZipFile(finished_project.results / "supplement.zip") as packed:
        packed.extractall(folder)
    return folder / "phasefront-small/data"


def test_the_supplement_alone_plans_the_whole_run(fresh_project, unpacked, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(unpacked, again, ignore=shutil.ignore_patterns("results"))
    assert Project(again).planned() == fresh_project.planned()


def test_every_column_of_the_supplements_tables_is_explained(unpacked, tmp_path):
    text, explained = (unpacked / "COLUMNS.md").read_text(), set()
    for path in (unpacked / "results/small").rglob("*.csv"):
        table = path.relative_to(unpacked / "results/small").as_posix()
        (declared,) = [one for one in columns.TABLES if one.is_at(table)]
        if declared is PRINTED_TABLE:
            # Sources that a run may lack have columns in those that have them.
            there = {
                name: one
                for name, one in declared.columns.items()
                if not {"cells", "chemistry"} & set(name.split())
            }
            declared = replace(declared, columns=there)
        frame = tables.read(path, declared)
        tables.write(frame, tmp_path / "again.csv", declared)
        assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()
        assert list(declared.declared(frame.columns)) == list(frame.columns)
        assert f"## {declared.file}" in text
        for name, column in declared.columns.items():
            assert f"| `{name}` | {column.units} | {column.meaning} |" in text
        explained.add(declared.file)
    assert {"comparison.csv", "fractions.csv", "truth_check.csv"} < explained
    assert "## sweep.csv" not in text


def test_the_methods_tell_what_was_measured(unpacked):
    text = (unpacked / "METHODS.md").read_text()
    assert (
        "simulated, not measured" in text and "astar (200 kV, precession semi-angle 0.8°)" in text
    )
    for path in (unpacked / "results/small/calibration").glob("*.nc"):
        found = netcdf.read(path, CALIBRATION)
        half = NORMAL_95 * found["scale_stderr"].item()
        scale = printed(found["scale"].item() + half * np.array([0, -1, 1]))
        assert f"| {path.stem} | {scale} |" in text
    for path in (unpacked / "results/small/fractions").glob("*.nc"):
        found = netcdf.read(path, FRACTIONS)
        counts = " | ".join(str(found[name].item()) for name in ("patterns", "decided", "mixed"))
        assert f"| {path.stem} | {counts} |" in text
    for path in (unpacked / "results/small/powder").glob("*.nc"):
        found = netcdf.read(path, POWDER)
        assert (
            f"| {100 * found['rwp'].item():.2f} | {found['goodness_of_fit'].item():.2f} |" in text
        )


def test_the_notebook_is_a_page_that_needs_no_network(unpacked):
    page = (unpacked / "results/small/notebooks/experiment.html").read_text()
    assert "<script" not in page and "<title>results/small</title>" in page
    assert "data:image/png;base64" in page
    assert "camera rotation 0 degrees (error not stated), not mirrored" in page
    assert not re.findall(r"""(?:src|href)=["']https?://(?!orix)""", page)
