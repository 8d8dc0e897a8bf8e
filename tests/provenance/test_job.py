"""A script's outputs come with records, or not at all."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from phasefront.audit.verify import verify
from phasefront.records import record
from phasefront.records.code import closure
from phasefront.records.context import VARIABLE, Context, Person
from phasefront.records.digests import digest

SCRIPT = '''
"""Count the lines of a text."""
from pydantic import BaseModel

from phasefront.core.errors import InputError
from phasefront.records.job import Job


class Settings(BaseModel):
    factor: int


def count(job):
    text = job.text.read_text()
    if not text:
        raise InputError(job.text, "the file is empty", remedy="write something into it")
    if "edit me" in text:
        job.text.write_text("edited while in use")
    job.count.write_text(str(job.settings.factor * len(text.splitlines())))
    job.copy.write_text(text)


if __name__ == "__main__":
    job = Job(__doc__).input("text", "a text").settings("settings", Settings)
    job.parameter("seed", "a seed", type=int, default=1)
    job.output("count", "number of lines").output("copy", "the text again").run(count)
'''


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "count_lines.py").write_text(SCRIPT.strip())
    (tmp_path / "text.txt").write_text("one\ntwo\n")
    return tmp_path


def run(
    folder: Path, factor: object = 2, text: str = "text.txt", **variables: str
) -> subprocess.CompletedProcess:
    return subprocess.run(
        [
            *(sys.executable, "scripts/count_lines.py", "--text", text),
            *("--settings", json.dumps({"factor": factor})),
            *("--count", "out/count.txt", "--copy", "out/copy.txt"),
        ],
        cwd=folder, capture_output=True, text=True, env=os.environ | variables,
    )  # fmt: skip


def read_record(output: Path) -> dict:
    return json.loads(record.record_path(output).read_text())


def test_outputs_come_with_records_that_name_everything(folder):
    done = run(folder)
    assert done.returncode == 0, done.stderr
    made = read_record(folder / "out/count.txt")["made"]
    assert (folder / "out/count.txt").read_text() == "4"
    assert made["output"] == {
        "name": "count",
        "path": "out/count.txt",
        "sha256": digest(folder / "out/count.txt"),
        "size": 1,
        "logical_sha256": None,
    }
    text = {"role": "text", "path": "text.txt", "size": 8, "record": None}
    assert made["inputs"] == [{**text, "sha256": digest(folder / "text.txt")}]
    assert made["rule"] == "count_lines"
    assert made["parameters"] == {"seed": 1, "settings": {"factor": 2}}
    code = {Path(entry["path"]).name for entry in made["code"]}
    assert {"count_lines.py", "job.py", "record.py", "errors.py"} <= code


def test_a_header_beside_a_raw_file_is_an_input_too(folder, monkeypatch):
    (folder / "scan.mib").write_text("one\n")
    (folder / "scan.hdr").write_text("header")
    assert run(folder, text="scan.mib").returncode == 0
    inputs = read_record(folder / "out/count.txt")["made"]["inputs"]
    assert [(entry["role"], entry["path"]) for entry in inputs] == [
        ("text", "scan.mib"),
        ("text", "scan.hdr"),
    ]
    monkeypatch.chdir(folder)
    (folder / "scan.hdr").write_text("Header")
    assert verify("out").problems[0].startswith("scan.hdr: changed since it was the text")


def test_who_and_where_are_told_only_where_the_config_says_so(folder):
    assert run(folder).returncode == 0
    told = read_record(folder / "out/count.txt")
    assert told["run"]["machine"]["host"] is None and told["run"]["people"] == []
    context = Context(people=[Person(name="Ada", orcid="0000-0002-1825-0097")], host=True)
    done = run(folder, **{VARIABLE: context.model_dump_json()})
    assert done.returncode == 0, done.stderr
    again = read_record(folder / "out/count.txt")
    assert again["run"]["machine"]["host"] == socket.gethostname()
    assert again["run"]["people"] == [
        {"name": "Ada", "orcid": "0000-0002-1825-0097", "affiliation": None}
    ]
    assert again["id"] == told["id"] and again["seal"] != told["seal"]


def test_the_repository_is_told_with_its_changes(folder):
    def git(*arguments):
        done = subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments], cwd=folder,
            capture_output=True, check=True,
        )  # fmt: skip
        return done.stdout

    def told():
        assert run(folder).returncode == 0
        return read_record(folder / "out/count.txt")["run"]["repository"]

    git("init", "-q")
    assert told() is None  # somebody else's repository, as far as the script is concerned
    git("add", "scripts", "text.txt")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD").decode().strip()
    assert told() == {"commit": commit, "dirty": False, "diff_sha256": None}
    (folder / "text.txt").write_text("three\n")
    changes = hashlib.sha256(git("diff", "HEAD", "--binary")).hexdigest()
    assert told() == {"commit": commit, "dirty": True, "diff_sha256": changes}


def test_the_same_work_has_the_same_id_in_another_folder(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for name in ("scripts/count_lines.py", "text.txt"):
        (other / name).parent.mkdir(exist_ok=True)
        (other / name).write_bytes((folder / name).read_bytes())
    run(folder), run(other)
    ids = [read_record(place / "out/count.txt")["id"] for place in (folder, other)]
    assert ids[0] == ids[1]
    run(other, factor=3)
    assert read_record(other / "out/count.txt")["id"] != ids[0]


@pytest.mark.parametrize(
    ("text", "factor", "sentence"),
    [
        ("", 2, "text.txt: the file is empty; write something into it.\n"),
        (None, 2, "text.txt: there is no such file; check the path given as text.\n"),
        ("a", "x", "--settings: factor: "),
        ("edit me", 2, "text.txt: the file changed while it was being used; "),
    ],
)
def test_bad_input_ends_in_one_sentence_and_leaves_nothing(folder, text, factor, sentence):
    if text is None:
        (folder / "text.txt").unlink()
    else:
        (folder / "text.txt").write_text(text)
    done = run(folder, factor=factor)
    assert done.returncode == 2
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1
    assert not list(folder.glob("out/*")) and not list(folder.glob("out/.*"))


def test_an_output_replaces_neither_a_device_nor_a_folder(folder):
    (folder / "out").mkdir()
    os.mkfifo(folder / "out/count.txt")
    done = run(folder)
    assert done.returncode == 2
    assert done.stderr == "out/count.txt: is there and is no file; name another output.\n"
    assert (folder / "out/count.txt").is_fifo()


def test_a_failed_run_keeps_what_was_there_before(folder):
    run(folder)
    before = {path: path.read_bytes() for path in (folder / "out").iterdir()}
    (folder / "text.txt").write_text("")
    assert run(folder).returncode == 2
    assert {path: path.read_bytes() for path in (folder / "out").iterdir()} == before


def test_what_a_killed_run_left_is_cleared_away(folder):
    (folder / "out").mkdir()
    (folder / "out/.part-123-count.txt").write_text("half")
    assert run(folder).returncode == 0
    assert not list(folder.glob("out/.part*"))


def test_records_chain_through_inputs(folder):
    run(folder)
    done = subprocess.run(
        [
            *(sys.executable, "scripts/count_lines.py", "--text", "out/copy.txt"),
            *("--settings", '{"factor": 1}', "--count", "next/c.txt", "--copy", "next/d.txt"),
        ],
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0
    entry = read_record(folder / "next/c.txt")["made"]["inputs"][0]
    assert entry["record"] == read_record(folder / "out/copy.txt")["id"]


@pytest.mark.parametrize(
    ("victim", "sentence"),
    [
        ("out/count.txt", "out/count.txt: changed since it was the output"),
        ("text.txt", "text.txt: changed since it was the text"),
        ("scripts/count_lines.py", "scripts/count_lines.py: changed since it was code"),
        ("out/count.txt.prov.json", "out/count.txt.prov.json: the record was edited"),
    ],
)
def test_tampering_is_found(folder, monkeypatch, victim, sentence):
    run(folder)
    monkeypatch.chdir(folder)
    assert verify("out").problems == []
    path = folder / victim
    if path.suffix == ".json":
        path.write_text(path.read_text().replace('"seed": 1', '"seed": 2'))
    else:
        path.write_text(path.read_text() + "#")
    assert verify("out").problems[0].startswith(sentence)


def test_deleted_swapped_and_added_files_are_found(folder, monkeypatch):
    run(folder)
    monkeypatch.chdir(folder)
    (folder / "out/extra.txt").write_text("")
    assert verify("out").problems == ["out/extra.txt: there is no record of how it was made."]
    (folder / "out/extra.txt").unlink()
    (folder / "out/count.txt").rename(folder / "out/kept")
    assert any("out/count.txt: gone" in line for line in verify("out").problems)


def test_code_closure_follows_imports_inside_functions(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("def main():\n    from phasefront.core import netcdf\n")
    names = {path.name for path in closure(script)}
    assert {"script.py", "__init__.py", "netcdf.py", "errors.py"} == names


def test_modules_that_no_import_of_the_project_names_are_recorded(folder, monkeypatch):
    """One beside the script, and one on the path that stands before Python's own."""
    script = folder / "scripts/count_lines.py"
    script.write_text(script.read_text().replace("\nfrom", "\nimport helper, colorsys\nfrom", 1))
    (folder / "scripts/helper.py").write_text("")
    (folder / "before").mkdir()
    (folder / "before/colorsys.py").write_text("")
    places = [str(folder / "before"), os.environ.get("PYTHONPATH", "")]
    done = run(folder, PYTHONPATH=os.pathsep.join(filter(None, places)))
    assert done.returncode == 0, done.stderr
    code = {entry["path"] for entry in read_record(folder / "out/count.txt")["made"]["code"]}
    assert {"scripts/helper.py", "before/colorsys.py"} <= code
    monkeypatch.chdir(folder)
    (folder / "scripts/helper.py").write_text("1")
    assert verify("out").problems[0].startswith("scripts/helper.py: changed since it was code")


def test_what_was_imported_is_the_package_of_the_record(folder):
    """Whatever the path of modules says: the files hashed are those that ran."""
    other = folder / "other/phasefront"
    shutil.copytree(
        Path(record.__file__).parents[1], other, ignore=shutil.ignore_patterns("__pycache__")
    )
    with (other / "core/errors.py").open("a") as stream:
        stream.write("\n# another\n")
    assert run(folder, PYTHONPATH=str(folder / "other")).returncode == 0
    made = read_record(folder / "out/count.txt")["made"]
    of = {entry["path"]: entry["sha256"] for entry in made["code"]}
    assert of["other/phasefront/core/errors.py"] == digest(other / "core/errors.py")
    assert all(path.startswith(("other/phasefront/", "scripts/")) for path in of)
