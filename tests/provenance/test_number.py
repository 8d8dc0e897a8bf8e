"""A number in an output is followed to the scan, the variable and the step that it hangs on."""

import errno
import json
import re
import shutil
from decimal import ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from phasefront.config import load
from phasefront.errors import InputError
from phasefront.provenance import chain, number
from phasefront.provenance.graph import write_graph
from phasefront.provenance.number import Number, Place, find

LINKS = [
    {"state": "x3.0", "scans": ["grains-x3.0"], "log": "charge", "patterns": []},
    {"state": "x2.5", "scans": ["grains-x2.5"], "log": "charge", "patterns": []},
]

COUNT = '''
"""Count fractions."""

from phasefront.config import Material
from phasefront.provenance.job import Job


def count(job):
    import numpy as np
    import xarray as xr

    share = float(job.text.read_text().split()[-1]) / 7 + 1 / 7
    value = [[share / 2, 1 - share / 2], [share, 1 - share]]
    xr.Dataset(
        {
            "value": (("kind", "phase"), value),
            "high": (("kind", "phase"), np.ones((2, 2))),
            "decided": ((), np.int64(2833)),
            "posterior": (("y", "phase"), np.ones((5, 2), "f4")),
            "close": (("phase",), np.array([share, 0], "f4")),
            "crowd": (("y", "phase"), np.full((5, 2), share, "f4")),
        },
        {"kind": ["area", "molar"], "phase": ["Na3", "Na2"]},
        {"scan": job.fractions.stem, "margin": job.margin},
    ).to_netcdf(job.fractions)


if __name__ == "__main__":
    job = Job(__doc__).input("text", "numbers").settings("material", Material)
    job.parameter("margin", "a margin", type=float)
    job.output("fractions", "netCDF file").run(count)
'''

COMPARE = '''
"""Compare states."""

from phasefront.config import Links
from phasefront.provenance.job import Job


def compare(job):
    import pandas as pd
    import xarray as xr

    scans = [xr.load_dataset(path) for path in job.fractions]
    parts = {
        name: xr.concat([scan[end].sel(kind="molar", drop=True) for scan in scans], "state")
        for name, end in (("fraction", "value"), ("fraction_high", "high"))
    }
    states = [link.state for link in job.links.root]
    found = xr.Dataset(parts).assign_coords(state=states)
    found["doubled"] = 2 * found["fraction"]
    found.to_netcdf(job.comparison)
    table = found.to_dataframe().reset_index()
    table.to_csv(job.table, index=False)
    value = found["fraction"].sel(state="x2.5", phase="Na3").item()
    job.text.write_text(f"In the scan of x2.5 the share of Na3 is {value:.3f}. Another 2 agree.")
    job.latex.write_text(
        "\\\\begin{tabular}{ll}\\nstate & & \\u0394 \\\\\\\\\\n"
        f"x2.5 & Na3 & ${value:.2f} [{-value:.3f}, 1]$ \\\\\\\\\\n & Na2 & $2.4(3)$ \\\\\\\\\\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    job = Job(__doc__).input("fractions", "fractions", many=True).settings("links", Links)
    job.output("comparison", "netCDF").output("table", "csv").output("text", "text")
    job.output("latex", "tex").run(compare)
'''

SUM_UP = '''
"""Sum up."""

from phasefront.provenance.job import Job


def sum_up(job):
    import json
    import xarray as xr

    with xr.open_dataset(job.comparison) as found:
        states = [
            {
                "state": str(state),
                "fractions": {
                    str(phase): {
                        "value": found["fraction"].sel(state=state, phase=phase).item(),
                        "high": found["fraction_high"].sel(state=state, phase=phase).item(),
                    }
                    for phase in found["phase"].to_numpy()
                },
            }
            for state in found["state"].to_numpy()
        ]
    scans = []
    for path in job.fractions:
        with xr.open_dataset(path) as scan:
            close = scan["close"].to_numpy().astype(float).tolist()
            scans.append({"scan": path.stem, "decided": scan["decided"].item(), "close": close})
    summary = {"states": states, "scans": scans, "margin": 0.1, "sum": 0.123456789}
    job.summary.write_text(json.dumps(summary))
    job.picture.write_bytes(b"")


if __name__ == "__main__":
    job = Job(__doc__).input("comparison", "comparison").input("fractions", "scans", many=True)
    job.output("summary", "json").output("picture", "png").run(sum_up)
'''

SHARES = {"grains-x3.0": 0 / 7 + 1 / 7, "grains-x2.5": 1 / 7 + 1 / 7}  # of raw/0.txt and raw/1.txt


@pytest.fixture(scope="module")
def counted(made, tmp_path_factory):
    """A project whose summary takes its numbers from a comparison of two scans."""
    project = type(made)(tmp_path_factory.mktemp("counted") / "project")
    shutil.copytree(made.folder, project.folder)
    scripts = {"count": COUNT, "compare": COMPARE, "sum_up": SUM_UP}
    for name, text in scripts.items():
        (project.folder / f"scripts/{name}.py").write_text(text.lstrip())
    out = "results/mini"
    material = load(project.folder / "config/demo.yaml").section("material")
    files = [f"{out}/fractions/{scan}.nc" for scan in SHARES]
    commands = [
        ["count", "--text", f"raw/{index}.txt", "--fractions", file, "--margin", "0.1",
         "--material", material]
        for index, file in enumerate(files)
    ]  # fmt: skip
    commands += [
        ["compare", "--fractions", *files, "--links", json.dumps(LINKS),
         "--comparison", f"{out}/comparison.nc", "--table", f"{out}/comparison.csv",
         "--text", f"{out}/conclusion.txt", "--latex", f"{out}/comparison.tex"],
        ["sum_up", "--comparison", f"{out}/comparison.nc", "--fractions", *files,
         "--summary", f"{out}/sums.json", "--picture", f"{out}/sums.png"],
    ]  # fmt: skip
    for name, *arguments in commands:
        done = project.call(f"scripts/{name}.py", *arguments)
        assert done.returncode == 0, done.stderr
    return project


SUMS = "results/mini/sums.json"


def explained(project, path: str, typed: str) -> str:
    """What is said of a number, blanks made one."""
    return " ".join(number.describe(number.trace(project.folder / path, typed)).split())


def test_a_number_is_traced_to_one_scan(counted):
    """States share phases, and a fraction could as well be in any of the files."""
    done = counted.phasefront("explain", SUMS, "--number", "0.28571429")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        f"{SUMS}: states x2.5 / fractions / Na3 / value = {SHARES['grains-x2.5']!r}\n"
        "  = comparison.nc: fraction[state x2.5, phase Na3]\n"
        "  = fractions/grains-x2.5.nc: value[kind molar, phase Na3], made there by count\n"
    )
    _, _, ancestry = done.stdout.partition("tex, txt).\n\n")
    assert ancestry.startswith("results/mini/fractions/grains-x2.5.nc\n")
    assert "It goes back to 1 file that no step made:\n  raw/1.txt (text)" in ancestry
    assert "raw/0.txt" not in done.stdout
    assert "sum_up" not in done.stdout


def test_the_graph_is_of_what_the_number_passes_through(counted, tmp_path):
    graph = tmp_path / "graph.svg"
    done = counted.phasefront("explain", SUMS, "--number=0.28571429", "--graph", str(graph))
    assert done.returncode == 0, done.stderr
    root = ElementTree.fromstring(graph.read_text())
    space = {"svg": "http://www.w3.org/2000/svg"}
    titles = [node.text.partition(",")[0] for node in root.iterfind(".//svg:title", space)]
    assert titles == [
        "raw/1.txt", "results/mini/fractions/grains-x2.5.nc", "results/mini/comparison.nc", SUMS
    ]  # fmt: skip
    assert len(root.findall(".//svg:path", space)) == 4
    assert list(tmp_path.iterdir()) == [graph]


def test_every_place_in_the_output_is_told(counted):
    text = explained(counted, SUMS, "0.7")
    assert f"states x2.5 / fractions / Na2 / value = {1 - SHARES['grains-x2.5']!r}" in text
    found = number.trace(counted.folder / SUMS, "0.9")
    assert [one.place.where for one in found.traces] == ["states x3.0 / fractions / Na2 / value"]
    found = number.trace(counted.folder / SUMS, "0.1")
    wheres = [one.place.where for one in found.traces]
    assert wheres[0] == "states x3.0 / fractions / Na3 / value"
    assert set(wheres) >= {"margin", "sum", "scans grains-x3.0 / close 0"}


def test_a_number_that_recurs_is_followed_where_names_agree(counted):
    """1 stands in every file, at every position; 2833 in both scans."""
    found = number.trace(counted.folder / SUMS, "1")
    assert [one.place.where for one in found.traces] == [
        f"states {state} / fractions / {phase} / high"
        for state in ("x3.0", "x2.5") for phase in ("Na3", "Na2")
    ]  # fmt: skip
    for one, scan in zip(found.traces[::2], SHARES, strict=True):
        of_scan = f"results/mini/fractions/{scan}.nc"
        assert {place.path for place in one.before} <= {"results/mini/comparison.nc", of_scan}
        assert {(end.path, end.where) for end in one.ends} == {
            (of_scan, f"high[kind {kind}, phase Na3]") for kind in ("area", "molar")
        }
        assert one.others > 5
    found = number.trace(counted.folder / SUMS, "2833")
    for one, scan in zip(found.traces, SHARES, strict=True):
        assert one.place.where == f"scans {scan} / decided"
        assert [place.path for place in one.ends] == [f"results/mini/fractions/{scan}.nc"]


def test_single_precision_is_equal_after_the_cast(counted, tmp_path):
    """Of ten equal positions none is named, so the one variable with a name is taken."""
    found = number.trace(counted.folder / SUMS, "0.28571430")
    (one,) = found.traces
    assert one.place.where == "scans grains-x2.5 / close 0"
    assert [(end.path, end.where) for end in one.ends] == [
        ("results/mini/fractions/grains-x2.5.nc", "close[phase Na3]")
    ]
    share = SHARES["grains-x2.5"]
    xr.Dataset({"close": ((), np.float32(share)), "other": ((), share + 1e-12)}).to_netcdf(
        tmp_path / "a.nc"
    )
    places, count = find(tmp_path / "a.nc", "a.nc", share)
    assert [place.where for place in places] == ["close"]
    assert count == 1


def test_a_rounded_text_goes_by_what_the_same_job_wrote_in_full(counted):
    share = SHARES["grains-x2.5"]
    text = explained(counted, "results/mini/comparison.tex", "0.29")
    assert text.startswith(
        "results/mini/comparison.tex: row x2.5, Na3; column Δ = 0.29"
        f" ≈ comparison.nc: fraction[state x2.5, phase Na3] = {share!r}"
        f" ≈ fractions/grains-x2.5.nc: value[kind molar, phase Na3] = {share!r}, made there by"
    )
    text = explained(counted, "results/mini/conclusion.txt", "0.286")
    assert 'line 1, "…n of x2.5 the share of Na3 is 0.286. Another 2 agree." = 0.286 ≈' in text
    assert f"fractions/grains-x2.5.nc: value[kind molar, phase Na3] = {share!r}, made" in text
    assert "raw/0.txt" not in text


def test_a_table_goes_by_the_names_of_its_row(counted):
    text = explained(counted, "results/mini/comparison.csv", "0.286")
    assert "comparison.csv: row Na3, x2.5; column fraction = 0.285714" in text or (
        "comparison.csv: row x2.5, Na3; column fraction = 0.285714" in text
    )
    assert "= fractions/grains-x2.5.nc: value[kind molar, phase Na3], made there by count" in text


def test_what_is_worked_out_in_the_file_itself_is_explained_as_a_whole(counted):
    text = explained(counted, SUMS, "0.1234568")
    assert f"{SUMS}: sum = 0.123456789, made there by sum_up =:" in text
    assert "It goes back to 2 files that no step made: raw/0.txt" in text
    text = explained(counted, "results/mini/comparison.nc", "0.571")
    assert "doubled[state x2.5, phase Na3]" in text
    assert "made there by compare =:" in text


def test_settings_that_hold_it_are_named(counted):
    text = explained(counted, "results/mini/fractions/grains-x3.0.nc", "0.10")
    assert "attribute margin = 0.1, made there by count, whose settings hold it as margin" in text


def test_what_is_not_here_is_said_to_be_unsearched(counted, tmp_path):
    shutil.copytree(counted.folder / "results", tmp_path / "results")
    (tmp_path / "results/mini/comparison.nc").unlink()
    found = number.trace(tmp_path / SUMS, "0.286")
    assert found.absent == ("results/mini/comparison.nc",)
    assert "\nNot here, and not searched: results/mini/comparison.nc.\n" in number.describe(found)
    assert found.ends == ["results/mini/fractions/grains-x2.5.nc"]


@pytest.mark.parametrize(
    ("path", "typed", "sentence"),
    [
        (SUMS, "0.77", "sums.json: no number in it reads 0.77; give the digits that the file sho"),
        (SUMS, "-0.286", "sums.json: no number in it reads -0.286; "),
        (SUMS, "0.286(3)", "--number: '0.286(3)' is not a number; give one such as 0.49 or"),
        ("results/mini/sums.png", "1", "sums.png: numbers cannot be read from a file of this kind; "
         "name a file of the kinds csv, json, nc, tex and txt."),
        ("raw/0.txt", "1", "raw/0.txt: has no record of how it was made; "),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_refused(counted, path, typed, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        number.trace(counted.folder / path, typed)


def test_a_refusal_is_one_sentence_and_exit_code_2(counted):
    done = counted.phasefront("explain", SUMS, "--number=\N{MINUS SIGN}0.286")
    assert done.returncode == 2
    assert done.stderr.startswith(f"{SUMS}: no number in it reads ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize("content", ["{", "[1, 2", "\x89PNG"])
def test_a_damaged_output_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match="cannot be read"):
        find(tmp_path / "a.json", "a.json", Number.parse("1"))
    (tmp_path / "a.nc").write_text(content)
    with pytest.raises(InputError, match="cannot be read"):
        find(tmp_path / "a.nc", "a.nc", Number.parse("1"))


def test_a_graph_that_cannot_be_written_is_one_sentence(counted):
    before = sorted(counted.results.iterdir())
    for target in ("gone/graph.svg", "", "sums.json/graph.svg"):
        with pytest.raises(InputError, match=r"the graph cannot be written \([a-z ]*\); name a "):
            write_graph(chain.collect(counted.folder / SUMS), counted.results / target)
    done = counted.phasefront("explain", SUMS, "--graph", "gone/graph.svg")
    assert done.returncode == 2
    assert done.stderr.startswith("gone/graph.svg: the graph cannot be written (no such file")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert sorted(counted.results.iterdir()) == before


def test_a_full_disk_leaves_the_graph_that_was_there(counted, tmp_path, monkeypatch):
    def fill(path: Path, text: str, **_):
        path.write_bytes(text[:10].encode())
        raise OSError(errno.ENOSPC, "No space left on device")

    graph = tmp_path / "graph.svg"
    graph.write_text("before")
    monkeypatch.setattr(Path, "write_text", fill)
    records = number.trace(counted.folder / SUMS, "0.286").narrowed()
    with pytest.raises(InputError, match=r"cannot be written \(no space left on device\)"):
        write_graph(records, graph)
    assert graph.read_text() == "before"
    assert list(tmp_path.iterdir()) == [graph]


@given(
    value=st.floats(min_value=-1e6, max_value=1e6, allow_subnormal=False),
    decimals=st.integers(0, 12),
    rounding=st.sampled_from([ROUND_HALF_UP, ROUND_HALF_DOWN]),
)
def test_a_value_reads_as_itself_rounded_and_as_nothing_next_to_it(value, decimals, rounding):
    unit = Decimal(1).scaleb(-decimals)
    rounded = Decimal(repr(value)).quantize(unit, rounding=rounding)
    for text in (f"{rounded:f}", f"{rounded:e}", f"{rounded:f}".replace("-", "\N{MINUS SIGN}")):
        typed = Number.parse(text)
        assert typed.reads(value)
        array = np.array([value, value + 2.1 * float(unit) + 1e-9 * abs(value), np.nan, np.inf])
        assert typed.read_in(array).tolist() == [True, False, False, False]
    off = Decimal(repr(value)) - rounded
    beside = rounded + (2 * unit if off >= 0 else -2 * unit)
    assert not Number(beside).reads(value)


@pytest.mark.parametrize(
    ("typed", "inside", "outside"),
    [
        ("0.49", [0.485, 0.4897, 0.49, 0.495], [0.4849, 0.4951, -0.49]),
        ("0.4897", [0.48965, 0.48974], [0.4896, 0.49]),
        ("1.2e-3", [0.00115, 0.00124], [0.00114, 0.0013]),
        ("\N{MINUS SIGN}0.02", [-0.015, -0.0249], [0.02, -0.026]),
        ("+3", [2.5, 3, 3.4], [2.4, 3.6]),
        ("1e3", [500, 1400], [499, 1600]),
    ],
)
def test_rounding_goes_by_the_last_digit(typed, inside, outside):
    parsed = Number.parse(typed)
    assert all(parsed.reads(value) for value in inside)
    assert not any(parsed.reads(value) for value in outside)
    assert parsed.read_in(np.array(inside + outside, float)).tolist() == (
        [True] * len(inside) + [False] * len(outside)
    )


@given(text=st.text())
def test_what_is_no_number_is_no_number(text):
    if not re.fullmatch(
        r"\s*[-+\N{MINUS SIGN}]?(\d+\.?\d*|\.\d+)([eE][-+\N{MINUS SIGN}]?\d+)?\s*", text
    ):
        with pytest.raises(ValueError, match="is not a number"):
            Number.parse(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0.418(47)", [0.418]),
        ("1.00 [0.90, 1.39] =", [1.00, 0.90, 1.39]),
        ("x2.5, 4D-STEM of grains-3, v1.2.3, H2O, phases.decide_above=2", []),
        ("from -0.3 to \N{MINUS SIGN}1.5e-3, 0.1-0.2", [-0.3, -0.0015, 0.1, 0.2]),
        ("$-0.020(69)^{\\mathrm{?}}$", [-0.02]),
        ("Na$_3$V$_2$(PO$_4$)$_2$F$_3$", []),
        ("p = 0.97). Single", [0.97]),
    ],
)
def test_numbers_of_a_text_are_not_those_of_its_names(tmp_path, text, found):
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    places = [
        place
        for value in (*found, 2.5, 2.0, 3.0, 4.0, 1.2, 69.0, 47.0)
        for place in find(tmp_path / "a.txt", "a.txt", value)[0]
    ]
    assert [place.value for place in places] == found
    ends = {place.value: place.names & {"low", "high"} for place in places}
    if text.startswith("1.00"):
        assert ends == {1.0: set(), 0.9: {"low"}, 1.39: {"high"}}


def test_netcdf_places_are_named_by_coordinates_and_the_unnamed_come_as_a_few(tmp_path):
    xr.Dataset(
        {
            "share": (("state", "phase"), [[0.5, 0.25], [0.75, 0.5]]),
            "count": (("y",), np.full(1000, 7, "i4")),
            "at": (("time",), [0.125]),
        },
        {"state": ["x3.0", "x2.5"], "phase": ["Na3", "Na2"], "time": [60.0]},
        {"limit": 0.5, "scan": "a"},
    ).to_netcdf(tmp_path / "a.nc")
    places, count = find(tmp_path / "a.nc", "a.nc", 0.5)
    assert [place.where for place in places] == [
        "attribute limit", "share[state x3.0, phase Na3]", "share[state x2.5, phase Na2]"
    ]  # fmt: skip
    assert count == 3
    assert {"x2.5", "Na2", "share", "scan", "a"} <= places[-1].names
    places, count = find(tmp_path / "a.nc", "a.nc", 7)
    assert (len(places), count) == (number.HANDFUL, 1000)
    assert all(place.numbered for place in places)
    places, _ = find(tmp_path / "a.nc", "a.nc", 0.125)
    assert [place.where for place in places] == ["at[time 60]"]


def test_a_whole_number_is_rounded_only_where_it_does_not_stand(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 3, "b": 2.9, "c": [{"scan": "s", "d": 5.2}, 7.1]}')
    for typed, wheres in {"3": ["a"], "5": ["c s / d"], "7": ["c 1"]}.items():
        places, _ = find(tmp_path / "a.json", "", Number.parse(typed), exact_first=True)
        assert [place.where for place in places] == wheres


def test_variants_of_a_sweep_are_told_apart_by_what_they_vary():
    files = ["r/c.nc", "r/sweep/a__b_c~2/c.nc", "r/sweep/a__b_c~4/c.nc"]
    below = Place("r/sweep.csv", "", 1.0, number._words("a.b_c=4")).names
    rated = [
        number._agreement(number._in_role(Place(file, "", 1.0, frozenset()), "made", files), below)
        for file in files
    ]
    assert rated[1] is None
    assert rated[2] == max(rated[0], rated[2])
