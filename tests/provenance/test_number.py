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
from hypothesis import given
from hypothesis import strategies as st

from phasefront.audit import number
from phasefront.audit.graph import write_graph
from phasefront.core.errors import InputError
from phasefront.experiment.load import load
from phasefront.records import chain

LINKS = [
    {"state": "x3.0", "scans": ["grains-x3.0"], "log": "charge", "patterns": []},
    {"state": "x2.5", "scans": ["grains-x2.5"], "log": "charge", "patterns": []},
]

COUNT = '''
"""Count fractions."""

from phasefront.experiment.settings.material import Material
from phasefront.records.job import Job


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
            # Of many draws some are any number, as far as single precision tells.
            "sample": (("draw",), np.array([1 / 7, 2 / 7, 3 / 7], "f4")),
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

from phasefront.experiment.settings.states import Links
from phasefront.records.job import Job


def compare(job):
    import xarray as xr

    scans = [xr.load_dataset(path) for path in job.fractions]
    parts = {
        name: xr.concat([scan[end].sel(kind="molar", drop=True) for scan in scans], "state")
        for name, end in (("fraction", "value"), ("fraction_high", "high"))
    }
    states = [link.state for link in job.links.root]
    found = xr.Dataset(parts).assign_coords(state=states)
    found["tripled"] = 3 * found["fraction"]
    found.to_netcdf(job.comparison)
    found.to_dataframe().reset_index().to_csv(job.table, index=False)


if __name__ == "__main__":
    job = Job(__doc__).input("fractions", "fractions", many=True).settings("links", Links)
    job.output("comparison", "netCDF").output("table", "csv").run(compare)
'''

SUM_UP = '''
"""Sum up."""

from phasefront.records.job import Job


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
            scans.append({"scan": path.stem, "decided": scan["decided"].item()})
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
         "--comparison", f"{out}/comparison.nc", "--table", f"{out}/comparison.csv"],
        ["sum_up", "--comparison", f"{out}/comparison.nc", "--fractions", *files,
         "--summary", f"{out}/sums.json", "--picture", f"{out}/sums.png"],
    ]  # fmt: skip
    for name, *arguments in commands:
        done = project.call(f"scripts/{name}.py", *arguments)
        assert done.returncode == 0, done.stderr
    return project


SUMS = "results/mini/sums.json"


def wheres(project, path: str, typed: str) -> list[str]:
    return [one.place.where for one in number.trace(project.folder / path, typed).traces]


@pytest.mark.slow
def test_a_number_is_traced_to_one_scan(counted):
    """States share phases, and a fraction could as well be in any of the files."""
    done = counted.phasefront("explain", SUMS, "--number", "0.286")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        f"{SUMS}: states / x2.5 / fractions / Na3 / value = {SHARES['grains-x2.5']!r}\n"
        "  = comparison.nc: fraction[state x2.5, phase Na3]\n"
        "  = fractions/grains-x2.5.nc: value[kind molar, phase Na3], made there by count\n"
        "\nresults/mini/fractions/grains-x2.5.nc\n"
    )
    assert "It goes back to 1 file that no step made:\n  raw/1.txt (text)" in done.stdout
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


def test_every_place_in_the_output_is_told_and_a_handful_followed(counted):
    assert wheres(counted, SUMS, "0.9") == ["states / x3.0 / fractions / Na2 / value"]
    # The exact one before those that are rounded.
    assert wheres(counted, SUMS, "0.1") == [
        "margin", "states / x3.0 / fractions / Na3 / value", "sum"
    ]  # fmt: skip
    found = number.trace(counted.folder / SUMS, "1")
    assert (len(found.traces), found.count) == (number.HANDFUL, 6)
    assert "1 more of its numbers read 1: more digits tell them apart." in number.describe(found)


def test_a_short_number_is_explained_by_the_file_at_hand(counted):
    """1 and 2833 stand in every file: where they are from, their value does not tell."""
    found = number.trace(counted.folder / SUMS, "2833")
    assert [one.place.where for one in found.traces] == [
        f"scans / {scan} / decided" for scan in SHARES
    ]
    assert all(one.before == () and one.ends == (SUMS,) for one in found.traces)
    assert "So short a value stands in many places" in number.describe(found)


def test_a_table_is_followed_as_netcdf_is(counted):
    found = number.trace(counted.folder / "results/mini/comparison.csv", "0.286")
    wanted = {f"row {labels}; column fraction" for labels in ("x2.5, Na3", "Na3, x2.5")}
    (traced,) = (one for one in found.traces if one.place.where in wanted)
    assert traced.before[0].where == "value[kind molar, phase Na3]"
    assert traced.ends == ("results/mini/fractions/grains-x2.5.nc",)


def test_what_is_worked_out_in_the_file_itself_is_explained_as_a_whole(counted):
    text = number.describe(number.trace(counted.folder / SUMS, "0.1234568"))
    assert f"{SUMS}: sum = 0.123456789\n  made there: it stands in no input" in text
    assert "It goes back to 2 files that no step made:\n  raw/0.txt" in text


def test_what_is_not_here_is_not_searched(counted, tmp_path):
    shutil.copytree(counted.folder / "results", tmp_path / "results")
    (tmp_path / "results/mini/comparison.nc").unlink()
    found = number.trace(tmp_path / SUMS, "0.286")
    assert found.ends == ["results/mini/fractions/grains-x2.5.nc"]


@pytest.mark.parametrize(
    ("path", "typed", "sentence"),
    [
        (SUMS, "0.77", "sums.json: no number in it reads 0.77; name a file such as summary.json ("
         ".csv, .json or .nc), with digits that it shows."),
        (SUMS, "-0.286", "sums.json: no number in it reads -0.286; "),
        (SUMS, "0.286(3)", "--number: '0.286(3)' is not a number; give one such as 0.49 or"),
        ("results/mini/sums.png", "0.77", "sums.png: numbers are not followed from a file of this "
         "kind; name a file such as summary.json"),
        ("raw/0.txt", "1", "raw/0.txt: has no record of how it was made; "),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_refused(counted, path, typed, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        number.trace(counted.folder / path, typed)


def test_a_printed_number_is_sought_where_its_step_wrote_it_in_full(counted):
    with pytest.raises(InputError, match=f"; name {SUMS}, where the same step wrote it in full"):
        number.trace(counted.folder / "results/mini/sums.png", "0.286")


def test_a_refusal_is_one_sentence_and_exit_code_2(counted):
    done = counted.phasefront("explain", SUMS, "--number=\N{MINUS SIGN}0.286")
    assert done.returncode == 2
    assert done.stderr.startswith(f"{SUMS}: no number in it reads ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize("name", ["a.json", "a.nc", "a.csv"])
def test_a_damaged_output_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"{\x89PNG")
    with pytest.raises(InputError, match="cannot be read"):
        list(number.find(tmp_path / name, name, number.rounded("1")))


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
    decimals=st.integers(0, 9),
    rounding=st.sampled_from([ROUND_HALF_UP, ROUND_HALF_DOWN]),
)
def test_a_value_reads_as_itself_rounded_and_not_as_what_is_next_to_it(value, decimals, rounding):
    unit = Decimal(1).scaleb(-decimals)
    written = Decimal(repr(value)).quantize(unit, rounding=rounding)
    for text in (f"{written:f}", f"{written:e}", f"{written:f}".replace("-", "\N{MINUS SIGN}")):
        array = np.array([value, value + 2.1 * float(unit), np.nan, np.inf])
        assert number.rounded(text)(array).tolist() == [True, False, False, False]


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
    found = number.rounded(typed)(np.array(inside + outside, float))
    assert found.tolist() == [True] * len(inside) + [False] * len(outside)


@given(text=st.text())
def test_what_is_no_number_is_no_number(text):
    if not re.fullmatch(
        r"\s*[-+\N{MINUS SIGN}]?(\d+\.?\d*|\.\d+)([eE][-+\N{MINUS SIGN}]?\d+)?\s*", text
    ):
        with pytest.raises(InputError, match="is not a number"):
            number.rounded(text)
