"""One output made again from its record alone."""

import importlib.util
import json
import marshal
import shutil
import tempfile
from pathlib import Path

import pytest
from forging import forge

from phasefront.records import record

TABLE = "results/mini/grains-x3.0/table.nc"
SUMMARY = "results/mini/summary.json"


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    """Where scratch folders are made."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path / "scratch"


def contents(folder: Path) -> dict[Path, bytes]:
    """All files but what Python compiles on the way."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {path: path.read_bytes() for path in files}


@pytest.mark.parametrize("output", [TABLE, SUMMARY])
def test_the_same_bytes_come_out_and_nothing_is_left_behind(made, scratch, output):
    before = contents(made.folder)
    done = made.phasefront("reproduce", output)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{output}: made again by ")
    assert done.stdout.endswith(", same bytes.\n")
    assert contents(made.folder) == before
    assert not list(scratch.iterdir())


def test_it_runs_the_step_and_not_the_output_that_lies_there(project):
    (project.folder / TABLE).unlink()
    assert project.phasefront("reproduce", TABLE).returncode == 0
    assert not (project.folder / TABLE).exists()


def test_one_step_alone_is_made(project):
    (project.folder / "raw/0.txt").unlink()
    assert project.phasefront("reproduce", SUMMARY).returncode == 0


@pytest.mark.parametrize(
    ("victim", "output", "sentence"),
    [
        ("raw/0.txt", TABLE, "raw/0.txt: {}; it is the text of tabulate; put it back"),
        (TABLE, SUMMARY, TABLE + ": {}; it is the tables of summarise; put it back"),
        ("scripts/tabulate.py", TABLE, "scripts/tabulate.py: {}; it is code of tabulate; "),
        (
            "src/phasefront/diffraction/rotations.py",
            TABLE,
            "src/phasefront/diffraction/rotations.py: {}; it is code",
        ),
    ],
)
def test_what_is_gone_or_another_is_named(project, victim, output, sentence, scratch):
    path = project.folder / victim
    content = path.read_bytes()
    path.unlink()
    done = project.phasefront("reproduce", output)
    assert done.returncode == 2
    assert done.stderr.startswith(sentence.format("gone"))
    path.write_bytes(content + b" ")
    done = project.phasefront("reproduce", output)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{victim}: not what it was as ")
    assert not list(scratch.iterdir())


def test_other_bytes_are_told_and_kept(project, scratch):
    project.edit("scripts/summarise.py", "import json\n", "import json, time\n")
    project.edit("scripts/summarise.py", "(sums)", "(sums | {'t': time.time()})")
    path = record.record_path(project.folder / SUMMARY)
    content = json.loads(path.read_text())
    for entry in content["made"]["code"]:
        if entry["path"] == "scripts/summarise.py":
            (digest,) = record.describe_files([project.folder / entry["path"]])
            entry["sha256"] = digest.sha256
    content["id"] = record.identity(content)
    content["seal"] = record.seal(content)
    path.write_text(json.dumps(content))
    done = project.phasefront("reproduce", SUMMARY)
    assert done.returncode == 1
    assert f"{SUMMARY}: made again by summarise, other bytes; the new file is " in done.stdout
    new = Path(done.stdout.partition("the new file is ")[2].partition(".json")[0] + ".json")
    assert "t" in json.loads(new.read_text())
    assert new.is_relative_to(scratch)


def test_a_command_that_is_none_of_the_recorded_code_is_not_run(project):
    program = "import pathlib; pathlib.Path('/tmp/never').touch()"
    forge(
        project.folder / SUMMARY,
        lambda content: content["made"].update(command=["python", "-c", program]),
    )
    done = project.phasefront("reproduce", SUMMARY)
    assert done.returncode == 2
    assert f"{SUMMARY}.prov.json: its command runs -c, which is not in its code; " in done.stderr


def test_files_outside_the_project_are_read_there_and_never_written(project, scratch):
    outside = project.folder.parent / "outside"
    outside.mkdir()
    shutil.copy(project.folder / "raw/0.txt", outside / "0.txt")
    command = json.loads(record.record_path(project.folder / TABLE).read_text())["made"]["command"]
    places = {
        "raw/0.txt": "../outside/0.txt", TABLE: "../outside/table.nc",
        TABLE.replace("table.nc", "note.txt"): str(outside / "note.txt"),
    }  # fmt: skip
    done = project.call(*(places.get(part, part) for part in command[1:]))
    assert done.returncode == 0, done.stderr
    before = contents(outside)
    for name in ("table.nc", "note.txt"):
        done = project.phasefront("reproduce", f"../outside/{name}")
        assert done.returncode == 0, done.stdout + done.stderr
    assert contents(outside) == before
    assert not list(scratch.iterdir())


def test_a_module_that_was_compiled_from_other_text_is_found(project, monkeypatch):
    """Python runs what lies in __pycache__ where the source's time and size fit; records hash the
    source. Made again, the source is what runs."""
    source = project.folder / "src/phasefront/diffraction/rotations.py"
    text, stat = source.read_text(), source.stat()
    fake = f"{text}\nimport json\ntrue = json.dumps\n"
    fake += "json.dumps = lambda *a, **b: true(*a, **b) if b else '{}'\n"
    header = importlib.util.MAGIC_NUMBER + bytes(4)
    header += int(stat.st_mtime).to_bytes(4, "little") + stat.st_size.to_bytes(4, "little")
    compiled = Path(importlib.util.cache_from_source(source))
    compiled.parent.mkdir(exist_ok=True)
    compiled.write_bytes(header + marshal.dumps(compile(fake, str(source), "exec")))
    project.edit(
        "scripts/summarise.py",
        "    import json\n",
        "    from phasefront.diffraction import rotations\n    import json\n",
    )
    project.make(monkeypatch)
    assert (project.folder / SUMMARY).read_text() == "{}"
    assert project.phasefront("verify", SUMMARY).returncode == 0
    done = project.phasefront("reproduce", SUMMARY)
    assert done.returncode == 1
    assert "made again by summarise, other bytes" in done.stdout


def test_a_job_may_read_the_code_that_runs(project):
    """As the packing of a supplement does."""
    project.edit("scripts/tabulate.py", "job.text.read_text()", "str(len(job.text.read_text()))")
    command = json.loads(record.record_path(project.folder / TABLE).read_text())["made"]["command"]
    places = {"raw/0.txt": "scripts/tabulate.py"}
    done = project.call(*(places.get(part, part) for part in command[1:]))
    assert done.returncode == 0, done.stderr
    assert project.phasefront("reproduce", TABLE).returncode == 0
