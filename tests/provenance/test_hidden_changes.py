"""What time stamps hide from Snakemake: changes that look old, and touches that look new."""

import os
import time
from pathlib import Path

import pytest
from forging import forge

from phasefront.core.errors import InputError
from phasefront.records.sources import Sources

SOURCES = ["raw/0.txt", "src/phasefront/diffraction/rotations.py", "envs/lock.txt"]


def put_in_place(path, text: str, *, age_s: float) -> None:
    """As `mv` and `rsync -a` do: another file under the name, with the time stamp that it had."""
    fresh = path.with_name("fresh")
    fresh.write_text(text)
    os.utime(fresh, (time.time() - age_s,) * 2)
    fresh.replace(path)


@pytest.mark.parametrize("name", SOURCES)
def test_a_changed_file_with_an_old_time_stamp_is_refused(project, monkeypatch, name):
    monkeypatch.chdir(project.folder)
    path = project.folder / name
    put_in_place(path, path.read_text() + "\n", age_s=1e6)
    with pytest.raises(InputError, match=f"^{name}: changed, but .* touch {name}") as caught:
        Sources(project.results).refuse_hidden_changes()
    assert "results/mini/" in str(caught.value)
    # Snakemake sees it from now on.
    path.touch()
    Sources(project.results).refuse_hidden_changes()


def test_all_changed_files_are_named_at_once(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    for name in SOURCES:
        put_in_place(project.folder / name, "other", age_s=1e6)
    with pytest.raises(InputError, match=f"touch {' '.join(sorted(SOURCES))}"):
        Sources(project.results).refuse_hidden_changes()


def test_a_file_that_was_only_moved_or_copied_is_not_refused(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    for name in SOURCES:
        path = project.folder / name
        put_in_place(path, path.read_text(), age_s=1e6)
    Sources(project.results).refuse_hidden_changes()


def test_what_snakemake_sees_what_is_gone_and_what_is_no_record_is_left_to_others(
    project, monkeypatch
):
    monkeypatch.chdir(project.folder)
    put_in_place(project.folder / "raw/0.txt", "other", age_s=-60)
    (project.folder / "raw/1.txt").unlink()
    put_in_place(project.results / "summary.json.prov.json", "{}", age_s=0)
    (project.results / "grains-x2.5/note.txt").unlink()
    Sources(project.results).refuse_hidden_changes()


def test_nothing_is_refused_before_the_first_run(tmp_path):
    Sources(tmp_path / "results/none").refuse_hidden_changes()


def test_a_touched_file_is_told_from_a_changed_one(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    path = Path("raw/0.txt")
    assert not Sources(project.results).only_touched(path)  # older than what was made of it
    path.touch()
    assert Sources(project.results).only_touched(path)
    path.write_text("other")
    assert not Sources(project.results).only_touched(path)
    assert not Sources(project.results).only_touched(Path("raw/unknown.txt"))
    path.unlink()
    assert not Sources(project.results).only_touched(path)


def test_a_file_that_outputs_saw_differently_is_not_taken_for_touched(project, monkeypatch):
    """As after a run that was killed halfway: what was not made again has to be."""
    monkeypatch.chdir(project.folder)
    path, table = Path("raw/0.txt"), next(project.results.rglob("table.nc"))
    path.touch()
    assert Sources(project.results).only_touched(path)

    def see_another(content):
        (entry,) = [one for one in content["made"]["inputs"] if one["path"] == str(path)]
        entry["sha256"] = "0" * 64

    forge(table, see_another)
    assert not Sources(project.results).only_touched(path)
