"""Batches of operando powder series in the powder table, and their files."""

from pathlib import Path

import pytest
import yaml

from phasefront.core.errors import InputError
from phasefront.experiment import values
from phasefront.experiment.batches import PATTERNS_IN_A_PART, files_matching
from phasefront.experiment.pattern_times import read_times
from phasefront.experiment.plan import Plan

ROOT = Path(__file__).resolve().parents[2]
HEAD = ("pattern", "series", "log", "path", "wavelength")
ROW = ("frames", "charging", "charge", "data/f*.xye", "0.4127")


def powder_table(*rows, head=HEAD):
    return "".join("\t".join(cells) + "\n" for cells in (head, *rows))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The demo's config with a powder table of the text given, and files f1 to f12."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").symlink_to(ROOT / "config")
    (tmp_path / "data").mkdir()
    for number in range(1, 13):
        (tmp_path / f"data/f{number}.xye").touch()

    def plan(text, **scans):
        demo = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
        for phase in demo["material"]["phases"]:
            phase.pop("cell_from", None)
        (tmp_path / "powder.tsv").write_text(text)
        demo["tables"]["powder"] = "powder.tsv"
        if scans:
            table = (ROOT / demo["tables"]["scans"]).read_text().splitlines()
            lines = [f"{table[0]}\tseries\tlog", f"{table[1]}\t{scans['series']}\tcharge"]
            (tmp_path / "scans.tsv").write_text("\n".join([*lines, *table[2:]]) + "\n")
            demo["tables"]["scans"] = "scans.tsv"
        return Plan.parse(demo, "demo.yaml")

    return plan


def test_numbers_in_names_count_by_their_size(project):
    plan = project(powder_table(ROW))
    assert plan.batches.files_of("frames") == [f"data/f{n}.xye" for n in range(1, 13)]
    assert (plan.batches.series, plan.batches.of_series("charging")) == (["charging"], ["frames"])
    plan.batches.check_files()
    assert values.value(plan, "batch.frames.reading") == {
        "wavelength": 0.4127, "axis": None, "unit": None, "columns": None,
    }  # fmt: skip


def test_batches_and_single_patterns_stand_in_one_table(project):
    single = ("p", "", "", "data/f1.xye", "0.4127", "x2.0")
    plan = project(powder_table(single, (*ROW, ""), head=(*HEAD, "state")))
    assert (list(plan.patterns.index), plan.batches.names) == (["p"], ["frames"])
    assert values.value(plan, "pattern.p.row")["state"] == "x2.0"
    assert plan.raw_files()[-1] == "data/f1.xye"
    with pytest.raises(InputError, match="'p' occurs twice"):
        project(powder_table(single, ("p", *ROW[1:], ""), head=(*HEAD, "state")))


def test_a_path_finds_no_hidden_files_or_folders(project):
    Path("data/.f.xye").touch()
    Path("data/fold.xye").mkdir()
    assert files_matching("data/*f*.xye") == [f"data/f{n}.xye" for n in range(1, 13)]
    assert files_matching(str(Path("data/f?.xye").absolute()))[0] == str(Path.cwd() / "data/f1.xye")


def test_parts_hold_all_files_in_order(project):
    for number in range(13, 2 * PATTERNS_IN_A_PART + 4):
        Path(f"data/f{number}.xye").touch()
    batches = project(powder_table(ROW)).batches
    parts = batches.parts_of("frames")
    assert list(parts) == ["000", "001", "002"]
    assert [len(part) for part in parts.values()] == [PATTERNS_IN_A_PART, PATTERNS_IN_A_PART, 3]
    assert [file for part in parts.values() for file in part] == batches.files_of("frames")
    # Further files change the last part alone.
    Path("data/f99.xye").touch()
    more = project(powder_table(ROW)).batches.parts_of("frames")
    assert [more[number] == parts[number] for number in parts] == [True, True, False]


WRONG = {
    "state": (powder_table((*ROW, "x2.0"), head=(*HEAD, "state")), "patterns of a series have no"),
    "kind": (powder_table((*ROW, "refined"), head=(*HEAD, "kind")), "have no kind, which is of a"),
    "no files": (powder_table(("a", "s", "charge", "", "0.4")), "by a table of times; give one"),
    "files twice": (
        powder_table((*ROW, "t.csv"), head=(*HEAD, "times")), "by a table of times; give one"
    ),
    "no log": (powder_table(("a", "s", "", "x*", "0.4")), "row 1.log: missing; add it"),
    "unknown log": (
        powder_table(("a", "s", "gone", "x*", "0.4")),
        "powder.tsv: a.log: there is no log 'gone' in the cycling table; name one of ['charge']",
    ),
    "wavelengths": (
        powder_table(ROW, ("b", "charging", "charge", "g*", "0.5")),
        "b.wavelength: wavelength is 0.5, and 0.4127 in 'frames' of the same series; correct",
    ),
    "capitals": (
        powder_table(ROW, ("b", "Charging", "charge", "g*", "0.4127")),
        "series: the series 'charging' and 'Charging' differ by capitals alone",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_batch_that_does_not_fit_is_refused(project, name):
    text, words = WRONG[name]
    with pytest.raises(InputError) as caught:
        project(text)
    assert words in str(caught.value)


def test_a_series_of_scans_has_another_name(project):
    with pytest.raises(InputError, match="series: the series 'charging' is one of scans, too; "):
        project(powder_table(ROW), series="charging")
    assert project(powder_table(ROW), series="other").batches.series == ["charging"]


def times_row(path="t.tsv"):
    return powder_table(
        ("frames", "charging", "charge", path, "0.4127"), head=(*HEAD[:3], "times", "wavelength")
    )


@pytest.mark.parametrize(("suffix", "tab"), [("tsv", "\t"), ("csv", ",")])
def test_a_table_of_times_names_the_files(project, suffix, tab):
    rows = [("path", "start"), ("data/f3.xye", "2025-03-03 09:00:00"), ("./data/f1.xye", "x")]
    Path(f"t.{suffix}").write_text("# a comment\n" + "\n".join(map(tab.join, rows)) + "\n")
    plan = project(times_row(f"t.{suffix}"))
    assert plan.batches.files_of("frames") == ["data/f3.xye", "data/f1.xye"]
    plan.batches.check_files()
    assert list(read_times(f"t.{suffix}")["exposure_s"]) == ["", ""]


FILES = {
    "no match": (powder_table((*ROW[:3], "g*.xye", "0.4")), "", "frames.path: no file matches 'g*"),
    "no table": (times_row("gone.tsv"), "", "gone.tsv: there is no such file; correct times in"),
    "other suffix": (times_row("t.txt"), "path\tstart\n", "ends with .tsv or .csv, not '.txt'"),
    "absent": (
        times_row(), "path\tstart\ndata/g1\tx\ndata/f1.xye\tx\ndata/g2\tx\n",
        "t.tsv: path: 'data/g1' is not there, nor are 1 others; correct the paths",
    ),
    "column missing": (times_row(), "path\ttime\ndata/f1.xye\tx\n", "it has a column 'time'; give"),
    "no start": (times_row(), "path\texposure_s\ndata/f1.xye\t1\n", "it has no column 'start'"),
    "no rows": (times_row(), "path\tstart\n", "t.tsv: the table has no rows"),
    "empty": (times_row(), "", "t.tsv: not a table (No columns"),
    "cell missing": (times_row(), "path\tstart\ndata/f1.xye\t\n", "start: row 1 has none; fill it"),
    "twice": (
        times_row(), "path\tstart\ndata/f1.xye\tx\n./data/f1.xye\ty\n", "'data/f1.xye' occurs twice"
    ),
    "two batches": (
        powder_table(ROW, ("b", "charging", "charge", "data/f1*.xye", "0.4127")), "",
        "b.path: 'data/f1.xye' is in 'frames', too; leave it in one of them",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_not_there_are_refused(project, name):
    text, times, words = FILES[name]
    for suffix in ("tsv", "txt"):
        Path(f"t.{suffix}").write_text(times)
    plan = project(text)
    with pytest.raises(InputError) as caught:
        plan.check_files()
    assert words in str(caught.value)


def test_more_files_than_a_command_takes_are_refused(project):
    long = "x" * 200
    for number in range(500):
        Path(f"data/g{long}{number}.xye").touch()
    plan = project(powder_table((*ROW[:3], "data/g*.xye", "0.4127")))
    with pytest.raises(
        InputError, match=r"the paths of 500 files are 1\d{5} characters long, more"
    ):
        plan.check_files()


def test_a_file_whose_name_no_job_can_have_is_refused(project):
    Path("data/f{1}.xye").touch()
    with pytest.raises(InputError, match="has signs that no path may have"):
        project(powder_table(ROW)).check_files()
