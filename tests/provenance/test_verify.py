"""Whatever is changed after a run, verify finds it and names it."""

import json
import shutil

import netCDF4
import pytest
from forging import rewrite

from phasefront.audit import absent
from phasefront.audit.verify import verify
from phasefront.records import record
from phasefront.records.digests import digest

TABLE = "results/mini/grains-x3.0/table.nc"
NOTE = "results/mini/grains-x3.0/note.txt"
SUMMARY = "results/mini/summary.json"


@pytest.mark.slow
def test_a_finished_run_holds_from_any_folder(made, tmp_path):
    copy = tmp_path / "unpacked"
    shutil.copytree(made.folder, copy)
    places = [
        (made.folder, "results/mini"),
        (made.folder, str(made.results)),
        (tmp_path, "unpacked/results/mini"),
        (tmp_path, "unpacked"),
        (copy / "results", "mini"),
        (copy / "scripts", "../results/mini/summary.json"),
    ]
    for folder, path in places:
        done = made.phasefront("verify", path, cwd=folder)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(" records, 0 problems\n")


def test_verify_needs_neither_snakemake_nor_git(made):
    program = (
        "import sys; sys.argv = ['phasefront', 'verify', 'results/mini']\n"
        "from phasefront.cli.main import main\n"
        "try:\n    main()\n"
        "except SystemExit as done:\n    code = done.code\n"
        "assert not {'snakemake', 'git'} & set(sys.modules)\nsys.exit(code)"
    )
    done = made.call("-c", program, PATH="")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "5 records, 0 problems\n"


def append(path):
    with path.open("ab") as stream:
        stream.write(b" ")


def change_attribute(path):
    with netCDF4.Dataset(path, "a") as file:
        file.title = "Numbers"


def repack(path):
    with netCDF4.Dataset(path) as file:
        numbers, title = file["number"][:], file.title
    with netCDF4.Dataset(path, "w") as file:
        file.title = title
        file.createDimension("n", numbers.size)
        file.createVariable("number", "f8", ("n",), zlib=True)[:] = numbers


def change_record(*keys):
    """Change one value of a record, and nothing that guards it."""

    def change(path):
        content = json.loads(path.read_text())
        place = content
        for key in keys[:-1]:
            place = place[key]
        value = place[keys[-1]]
        place[keys[-1]] = value + ("x" if isinstance(value, str) else 1)
        path.write_text(json.dumps(content))

    return change


def forge_record(part, value):
    """Change a part of a record and make id and seal fit again."""
    return lambda path: rewrite(path, lambda content: content["made"].update({part: value}))


def swap(path):
    other = path.parents[1] / "grains-x2.5" / path.name
    kept = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(kept)


def swap_with_records(path):
    swap(path)
    swap(record.record_path(path))


def remove(path):
    path.unlink()


def remove_with_record(path):
    path.unlink()
    record.record_path(path).unlink()


def replace_in(old, new):
    def replace(path):
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return replace


EDITED = "{}: the record was edited: it does not fit its hash"
CONFIG = "config/demo.yaml"


@pytest.mark.parametrize(
    ("victim", "tamper", "first"),
    [
        (NOTE, append, "{}: changed since it was the output in "),
        (TABLE, change_attribute, "{}: changed since it was the output in "),
        (TABLE, repack, "its values and attributes are the same."),
        (SUMMARY, append, "{}: changed since it was the output in "),
        ("raw/0.txt", append, "{}: changed since it was the text in "),
        ("scripts/tabulate.py", append, "{}: changed since it was code in "),
        ("src/phasefront/diffraction/rotations.py", append, "{}: changed since it was code in "),
        ("envs/lock.txt", append, "{}: changed since it was the lock in "),
        (CONFIG, replace_in("seed: ", "seed: 1"), "{}: seed is "),
        (CONFIG, replace_in("run:", "grains: {min_positions: 3}\nrun:"),
         "{}: settings.min_positions is 3, not 10; "),
        (CONFIG, replace_in("ion: Na", "ion: Li"), "{}: material.ion is Li, not Na; "),
        (CONFIG, replace_in("run:", "rum:"), "{}: rum: unknown key; write 'run'; "),
        ("config/demo/scans.tsv", replace_in("\t10", "\t11"), "step is 11.0, not 10.0; "),
        (TABLE + record.SUFFIX, change_record("made", "parameters", "seed"), EDITED),
        (TABLE + record.SUFFIX, change_record("made", "output", "size"), EDITED),
        (TABLE + record.SUFFIX, change_record("run", "started"), EDITED),
        (TABLE + record.SUFFIX, change_record("run", "wildcards", "scan"), EDITED),
        (SUMMARY + record.SUFFIX, change_record("made", "inputs", 0, "path"), EDITED),
        (TABLE + record.SUFFIX, change_record("seal"), "{}: not a record; "),
        (TABLE + record.SUFFIX, append, None),
        (TABLE + record.SUFFIX, forge_record("rule", "x"), "{}: not the record that "),
        (TABLE + record.SUFFIX, forge_record("parameters", {"seed": 1}), CONFIG + ": seed is "),
        (SUMMARY + record.SUFFIX, forge_record("parameters", {"material": {"ion": "Na"}}),
         CONFIG + ": material is "),
        (TABLE, remove, "{}: gone; it is the output in "),
        (SUMMARY, remove, "{}: gone; it is the output in "),
        ("raw/0.txt", remove, "{}: gone; it is the text in "),
        ("scripts/summarise.py", remove, "{}: gone; it is code in "),
        (TABLE + record.SUFFIX, remove, "{}: gone; results/mini/summary.json.prov.json names it"),
        (NOTE + record.SUFFIX, remove, "{}: gone; the job of " + TABLE),
        (SUMMARY + record.SUFFIX, remove, SUMMARY + ": there is no record of how it was made."),
        (NOTE, remove_with_record, NOTE + record.SUFFIX + ": gone; the job of " + TABLE),
        (TABLE, swap, "changed since it was the output in "),
        (TABLE + record.SUFFIX, swap, "the record is of results/mini/"),
        (TABLE, swap_with_records, "the record is of results/mini/"),
    ],
)  # fmt: skip
def test_tampering_is_found_and_named(project, victim, tamper, first):
    tamper(project.folder / victim)
    done = project.phasefront("verify", "results/mini")
    if first is None:  # white space is no content
        assert done.returncode == 0
        return
    assert done.returncode == 1
    line = done.stderr.splitlines()[0]
    assert line.startswith("First broken link: ")
    assert first.format(victim) in line


def test_what_is_broken_upstream_comes_first(project):
    append(project.folder / SUMMARY)
    append(project.folder / TABLE)
    append(project.folder / "raw/0.txt")
    lines = project.phasefront("verify", "results/mini").stderr.splitlines()
    named = [line.removeprefix("First broken link: ").partition(":")[0] for line in lines]
    assert list(dict.fromkeys(named)) == ["raw/0.txt", TABLE, SUMMARY]


def test_one_output_is_verified_with_all_it_goes_back_to_and_no_more(project):
    append(project.folder / NOTE)
    assert project.phasefront("verify", SUMMARY).returncode == 0
    append(project.folder / "raw/1.txt")
    done = project.phasefront("verify", SUMMARY)
    assert done.returncode == 1
    assert "raw/1.txt: changed" in done.stderr


def test_an_added_file_is_found(project):
    (project.results / "grains-x3.0/extra.csv").write_text("1")
    done = project.phasefront("verify", "results/mini")
    assert done.returncode == 1
    assert "results/mini/grains-x3.0/extra.csv: there is no record" in done.stderr
    (project.results / "grains-x3.0/extra.csv").unlink()
    (project.results / "logs").mkdir()
    (project.results / "logs/tabulate.log").write_text("said")
    assert project.phasefront("verify", "results/mini").returncode == 0


def test_a_record_from_another_run_is_found(project, monkeypatch):
    project.make(monkeypatch, run="other")
    shutil.copy(
        project.folder / "results/other/summary.json.prov.json",
        project.results / "summary.json.prov.json",
    )
    done = project.phasefront("verify", "results/mini")
    assert done.returncode == 1
    assert "the record is of results/other/summary.json, not of results/mini" in done.stderr
    assert project.phasefront("verify", "results/other").returncode == 0


def test_a_change_of_an_unrelated_section_is_a_note(project, monkeypatch):
    before = record.read(project.folder / f"{SUMMARY}{record.SUFFIX}").id
    project.edit("config/demo.yaml", "run:", "powder: {background_terms: 5}\nrun:")
    done = project.phasefront("verify", "results/mini")
    assert done.returncode == 0, done.stderr
    assert "config/demo.yaml: changed, but nothing that " in done.stdout
    project.make(monkeypatch)
    after = record.read(project.folder / f"{SUMMARY}{record.SUFFIX}")
    assert after.id == before
    assert project.phasefront("verify", "results/mini").stdout == "5 records, 0 problems\n"


def test_inputs_that_a_supplement_names_may_be_absent_but_not_another(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    path = project.folder / "raw/0.txt"
    sha256 = digest(path)
    path.unlink()
    assert verify("results/mini").problems
    table = project.folder / absent.TABLE
    table.write_text(absent.table({"raw/0.txt": {"size": 5, "sha256": "0" * 64}}))
    assert verify("results/mini").problems
    table.write_text(absent.table({"raw/0.txt": {"size": 5, "sha256": sha256}}))
    report = verify("results/mini")
    assert report.problems == []
    assert report.notes == ["raw/0.txt: not here; by its digest it is what was used."]
    path.write_text("another")
    assert verify("results/mini").problems


def test_a_folder_without_records_is_refused(project):
    done = project.phasefront("verify", "scripts")
    assert done.returncode == 2
    assert done.stderr.startswith("scripts: has no record of how it was made; ")
