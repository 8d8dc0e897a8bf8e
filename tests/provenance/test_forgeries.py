"""What somebody may try who wants a record to hold: it is found, and what cannot be is known."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import netCDF4
import pytest
from forging import forge

from phasefront.audit import absent
from phasefront.audit.verify import verify
from phasefront.core.errors import InputError
from phasefront.records import chain, record
from phasefront.records.digests import digest, size

TABLE = "results/mini/grains-x3.0/table.nc"
SUMMARY = "results/mini/summary.json"


@pytest.fixture
def here(project, monkeypatch):
    """The working folder is the project."""
    monkeypatch.chdir(project.folder)
    return project


def beside(output: str) -> Path:
    return record.record_path(output)


def problems(path: str = "results/mini") -> list[str]:
    return verify(path).problems


def key_twice(text):
    """Readers see the first, Python takes the last."""
    return text.replace('"size": ', '"size": 1, "size": ', 1)


def deep(text):
    return '{"a":' * 100_000 + "1" + "}" * 100_000


@pytest.mark.parametrize(
    "damage",
    [
        key_twice,
        deep,
        lambda text: text.replace('"wall_seconds": ', '"wall_seconds": NaN, "was": ', 1),
        lambda text: text.replace('"peak_memory_mb": ', '"peak_memory_mb": 1e999, "was": ', 1),
        lambda text: text.replace('"command": [', '"command": ["\\ud800",', 1),
        lambda text: text.replace('"size": ', '"note": 1, "size": ', 1),
        lambda text: text.replace('"phasefront-record-', '"phasefront-record-9', 1),
        lambda text: text.replace("{", "\ufeff{", 1),
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: "null",
    ],
)
def test_what_is_no_record_is_named(here, damage):
    text = beside(SUMMARY).read_text()
    assert damage(text) != text
    beside(SUMMARY).write_text(damage(text))
    assert problems()[0].startswith(f"{beside(SUMMARY)}: not a record; ")


@pytest.mark.parametrize("content", [b"\xff\xfe{}", None])
def test_bytes_that_are_no_text_and_a_folder_are_no_record(here, content):
    beside(SUMMARY).unlink()
    if content is None:
        beside(SUMMARY).mkdir()
    else:
        beside(SUMMARY).write_bytes(content)
    found = problems()
    if content is None:
        assert found == [f"{SUMMARY}: there is no record of how it was made."]
    else:
        assert found[0].startswith(f"{beside(SUMMARY)}: not a record; ")


def test_a_chain_cannot_be_cut_off_at_a_made_file(here):
    forge(SUMMARY, lambda content: content["made"]["inputs"][0].update(record=None))
    (found,) = problems()
    assert found == f"{beside(TABLE)}: {beside(SUMMARY)} takes what it is of for a raw file."


def test_a_record_that_names_itself_is_found(here):
    def name_itself(content):
        output = content["made"]["output"]
        itself = {"role": "tables", "record": None, "path": SUMMARY}
        content["made"]["inputs"].append(itself | {k: output[k] for k in ("sha256", "size")})

    forge(SUMMARY, name_itself)
    assert "takes what it is of for a raw file" in problems()[0]


def test_a_chain_may_be_longer_than_pythons_stack(here):
    """And it is walked in a time that grows with its length."""
    template = json.loads(beside(SUMMARY).read_text())
    Path("results/long").mkdir()
    before = []
    for number in range(1100):
        path = Path(f"results/long/{9999 - number}.txt")  # by name the last comes first
        path.write_text(str(number))
        output = {"path": str(path), "sha256": digest(path), "size": size(path)}
        template["made"]["output"].update(output)
        template["made"]["inputs"] = before
        template["id"], template["seal"] = record.identity(template), "0" * 64
        template["seal"] = record.seal(template)
        beside(str(path)).write_text(json.dumps(template))
        before = [{"role": "text", "record": template["id"], **output}]
    assert problems("results/long") == []
    order = list(chain.collect("results/long").by_path)
    assert order == sorted(order, reverse=True)
    Path("results/long/9999.txt").write_text("another")
    assert problems(str(path))[0].startswith("results/long/9999.txt: changed since")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("../../../../../../../../etc/hostname", ": changed since"),
        ("/etc/hostname", "/etc/hostname: changed since"),
        ("/dev/zero", "/dev/zero: gone"),
        ("pipe", "pipe: gone"),
        ("a" * 300, ": cannot be read"),
        ("a\0b", ": gone"),
        ("raw/loop", "raw/loop: gone"),
    ],
)
def test_a_path_that_leads_astray_is_found_and_read_but_once(here, path, said):
    os.mkfifo("pipe")
    Path("raw/loop").symlink_to("loop")
    forge(SUMMARY, lambda content: content["made"]["inputs"][0].update(path=path))
    assert any(said in problem for problem in problems())


def test_a_file_cannot_stand_for_a_folder(here):
    """A folder has the digest of its list of files; a file may hold that list."""
    folder = Path("raw/0.zspy")
    folder.mkdir()
    (folder / "chunk").write_text("one")
    was = {"path": str(folder), "sha256": digest(folder), "size": size(folder), "record": None}
    forge(SUMMARY, lambda content: content["made"]["inputs"].append({"role": "tables", **was}))
    assert problems() == []
    listed = f"{digest(folder / 'chunk')}  chunk\n"
    shutil.rmtree(folder)
    folder.write_text(listed)
    assert digest(folder) == was["sha256"]
    assert problems()[0].startswith("raw/0.zspy: changed since it was the tables")


def test_files_behind_links_and_hidden_ones_are_found(here):
    scan = Path(TABLE).parent
    shutil.move(scan, "elsewhere")
    scan.symlink_to(Path("elsewhere").absolute())
    (scan / "loop").symlink_to(Path("results").absolute())
    assert problems() == []  # results may lie on another disk
    (scan / "note.txt").write_text("another")
    assert problems() == [
        f"{scan}/note.txt: changed since it was the output in {scan}/note.txt.prov.json."
    ]
    for name in (".hidden", "extra.csv"):
        (scan / name).write_text("1")
        assert f"{scan}/{name}: there is no record of how it was made." in problems()
    Path("results/mini/dangling").symlink_to("nowhere")
    assert "results/mini/dangling: there is no record of how it was made." in problems()


def test_a_run_is_known_through_a_link_of_another_name(here):
    Path("paper").symlink_to(Path("results/mini").absolute())
    Path("number.json").symlink_to(Path(SUMMARY).absolute())
    assert problems("paper") == []
    assert here.phasefront("explain", "number.json").returncode == 0
    Path(TABLE).write_text("another")
    assert problems("paper")[0].startswith(f"{TABLE}: changed since it was the output")


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "empty"])
def test_an_output_that_became_something_else_is_found(here, kind):
    output, kept = Path(SUMMARY), Path("kept.json")
    output.rename(kept)
    if kind == "link":
        output.symlink_to(kept.absolute())
        assert problems() == []  # a link to the same bytes
        kept.write_text("{}")
    elif kind == "folder":
        output.mkdir()
        kept.rename(output / "summary.json")
    elif kind == "pipe":
        os.mkfifo(output)
    else:
        output.touch()
    assert problems()[0].startswith(f"{SUMMARY}: {'gone' if kind == 'pipe' else 'changed'}")


def test_every_damaged_byte_of_a_packed_file_is_found(here):
    """netCDF4 fails in ways of its own where the damage is in compressed values."""
    with netCDF4.Dataset("packed.nc", "w") as file:
        file.createDimension("n", 1000)
        file.createVariable("number", "f8", ("n",), zlib=True)[:] = range(1000)
    packed = Path("packed.nc").read_bytes()
    whole = {"sha256": digest("packed.nc"), "size": len(packed)}
    forge(TABLE, lambda content: content["made"]["output"].update(whole))
    id = json.loads(beside(TABLE).read_text())["id"]
    forge(SUMMARY, lambda c: c["made"]["inputs"][0].update(whole, record=id))
    Path(TABLE).write_bytes(packed)
    assert problems() == []
    for place in range(0, len(packed), len(packed) // 40):
        Path(TABLE).write_bytes(packed[:place] + bytes([packed[place] ^ 255]) + packed[place + 1 :])
        assert problems()[0].startswith(f"{TABLE}: changed since it was the output in ")


def test_a_zip_is_to_be_unpacked_and_a_damaged_list_of_absent_files_is_named(here):
    with zipfile.ZipFile("supplement.zip", "w") as packed:
        packed.writestr("a", "b")
    with pytest.raises(InputError, match=r"supplement\.zip: is packed; unpack it"):
        verify("supplement.zip")
    for table in (b"a,b\n1,2\n", b"path,sha256\n\xff"):
        Path(absent.TABLE).write_bytes(table)
        with pytest.raises(InputError, match=r"absent\.csv: no list of absent files"):
            verify("results/mini")


def test_a_job_builds_nothing_on_a_forged_file(here, monkeypatch):
    arguments = json.loads(beside(SUMMARY).read_text())["made"]["command"][1:]
    before = Path(SUMMARY).read_bytes()
    kept = Path(TABLE).read_bytes()
    Path(TABLE).write_bytes(Path("results/mini/grains-x2.5/table.nc").read_bytes())
    done = here.call(*arguments)
    assert (done.returncode, done.stderr) == (
        2, f"{TABLE}: changed since it was made; delete it and run again.\n",
    )  # fmt: skip
    Path(TABLE).write_bytes(kept)
    beside(TABLE).write_text("{}")
    done = here.call(*arguments)
    assert done.returncode == 2
    assert done.stderr == f"{beside(TABLE)}: not a record; make its output again.\n"
    assert Path(SUMMARY).read_bytes() == before


def test_the_last_record_can_be_forged_but_not_with_the_same_id(here):
    """As docs/records.md says: its id, or the supplement's SHA-256, is to be published."""
    before = json.loads(beside(SUMMARY).read_text())
    Path(SUMMARY).write_text("{}")
    new = {"sha256": digest(SUMMARY), "size": 2}
    forge(SUMMARY, lambda content: content["made"]["output"].update(new))
    assert problems() == []
    assert json.loads(beside(SUMMARY).read_text())["id"] != before["id"]
    forge(SUMMARY, lambda content: content["run"].update(started="1999-01-01T00:00:00"))
    assert problems() == []  # times are guarded by the seal alone
