"""The ancestry of an output, in words and as a picture."""

from xml.etree import ElementTree

import pytest

from phasefront.audit.explain import ancestry, explain
from phasefront.records.chain import Records

SUMMARY = "results/mini/summary.json"


def test_words_name_raw_files_steps_settings_code_and_people(made):
    done = made.phasefront("explain", SUMMARY)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    for said in (
        "results/mini/summary.json",
        "It goes back to 2 files that no step made: raw/0.txt (text), 5 bytes, SHA-256 ",
        "1. tabulate, 2 times (scan grains-x2.5 and grains-x3.0): from text 1.txt and 0.txt;",
        "2. summarise: from tables of tabulate;",
        'settings of tabulate: {"min_positions": 10, "misorientation_deg": 5.0}',
        "files of the project; no known commit.",
        "netCDF4 ",
        "By Ada Lovelace (ORCID 0000-0002-1825-0097).",
    ):
        assert said in text, said
    assert all(len(line) <= 100 for line in done.stdout.splitlines())


def test_scans_and_what_they_were_made_from_stand_in_the_same_order(made):
    records = ancestry(made.folder / SUMMARY)
    *others, last = records.by_path.items()
    for order in (others, others[::-1]):
        text = explain(Records(records.root, dict([*order, last])))
        assert "(scan grains-x2.5 and grains-x3.0): from text 1.txt and 0.txt;" in text


def test_the_graph_holds_every_file_and_edge_and_is_the_same_each_time(made, tmp_path):
    texts = []
    for name in ("a.svg", "b.svg"):
        done = made.phasefront("explain", SUMMARY, "--graph", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1]
    root = ElementTree.fromstring(texts[0])
    space = {"svg": "http://www.w3.org/2000/svg"}
    titles = [node.text.partition(",")[0] for node in root.iterfind(".//svg:title", space)]
    assert sorted(titles) == [
        "raw/0.txt", "raw/1.txt", "results/mini/grains-x2.5/table.nc",
        "results/mini/grains-x3.0/table.nc", SUMMARY,
    ]  # fmt: skip
    assert len(root.findall(".//svg:path", space)) == 4
    width = float(root.get("width"))
    boxes = list(root.iterfind(".//svg:g/svg:rect", space))
    corners = {(float(box.get("x")), float(box.get("y"))) for box in boxes}
    assert len(corners) == 5
    assert all(float(box.get("x")) + float(box.get("width")) < width for box in boxes)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("results/mini", "results/mini: is a folder; name one output in it.\n"),
        ("raw/0.txt", "raw/0.txt: has no record of how it was made; name an output or folder of"),
        ("gone.nc", "gone.nc: has no record of how it was made; "),
    ],
)
def test_what_has_no_ancestry_is_refused(made, path, sentence):
    done = made.phasefront("explain", path)
    assert done.returncode == 2
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1
