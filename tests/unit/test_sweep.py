"""Sweeps: what the variants are, what is refused, and the table and picture of what they did."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr
import yaml
from hypothesis import given
from hypothesis import strategies as st
from snakemake.utils import update_config
from test_comparison import compare, make_fractions

from phasefront.comparison import sweep as compared
from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.experiment import sweep
from phasefront.experiment import variants as folders
from phasefront.experiment.load import load, merged
from phasefront.experiment.plan import Plan
from phasefront.experiment.settings.sweep import Sweep
from phasefront.layouts.comparison import COMPARISON
from phasefront.layouts.fractions import STATE_FRACTIONS
from phasefront.report.figures.sweep import VERDICT_COLOURS, draw_sweep

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def demo(monkeypatch):
    monkeypatch.chdir(ROOT)
    return yaml.safe_load(Path("config/demo.yaml").read_text())


def grid(**sections):
    """A grid from section={field: values}."""
    return {"grid": {f"{s}.{field}": v for s, of in sections.items() for field, v in of.items()}}


def test_a_grid_is_every_combination_and_the_run_itself_comes_first(demo):
    wanted = grid(orientations={"resolution_deg": [1, 2, 4]}, phases={"decide_above": [0.9, 0.95]})
    space = Plan.parse(demo | {"sweep": wanted}, "demo.yaml").sweep
    assert space.parameters == ["orientations.resolution_deg", "phases.decide_above"]
    resolution, decide = space.parameters
    # Demo's own values are 2 and 0.95: they are no change.
    assert space.variants == [
        {}, {resolution: 1, decide: 0.9}, {resolution: 1}, {decide: 0.9},
        {resolution: 4, decide: 0.9}, {resolution: 4},
    ]  # fmt: skip
    assert space.settings[0] == {resolution: 2, decide: 0.95}
    assert [set(values) for values in space.settings] == [set(space.parameters)] * 6
    for changes, labels in zip(space.variants, space.labels, strict=True):
        experiment = space.experiment_of(folders.folder_of(labels))
        assert experiment.orientations.resolution_deg == changes.get(resolution, 2)
        assert experiment.phases.decide_above == changes.get(decide, 0.95)
        assert folders.changes_in(folders.folder_of(labels)) == labels
    assert space.experiment_of("") is space.experiment


def test_combinations_are_taken_as_they_are_given(demo):
    wanted = [{"grains.min_positions": 20}, {"powder.two_theta_range": [5, 30]}]
    space = Plan.parse(demo | {"sweep": {"combinations": wanted}}, "demo.yaml").sweep
    assert space.labels == [
        {}, {"grains__min_positions": "20"}, {"powder__two_theta_range": "5..30"}
    ]  # fmt: skip
    variant = "sweep/powder__two_theta_range~5..30/"
    assert space.experiment_of(variant).powder.two_theta_range == (5, 30)


CHOICES = {
    "comparison.margin": [0.1, 0.2], "powder.background_terms": [8, 10, 12],
    "phases.min_spots": [4, 5], "phases.decide_above": [0.9, 0.95],
}  # fmt: skip
COMBINATION = st.fixed_dictionaries(
    {}, optional={k: st.sampled_from(v) for k, v in CHOICES.items()}
)
SHUFFLED = COMBINATION.flatmap(lambda c: st.permutations(list(c.items()))).map(dict)


@given(st.lists(SHUFFLED, min_size=1, max_size=4))
def test_settings_come_in_one_order_whatever_that_of_the_config(combinations):
    experiment = load(ROOT / "config/demo.yaml")
    swept = experiment.model_copy(update={"sweep": Sweep(combinations=combinations)})
    try:
        space = sweep.expand(swept, "x")
    except InputError as error:
        assert "twice" in str(error) or "every variant is the run" in str(error)
        return
    for changes, labels in zip(space.variants, space.labels, strict=True):
        assert list(changes) == [path for path in space.parameters if path in changes]
        assert list(labels) == [name for name in space.choices if name in labels]


def test_a_variant_that_the_sweep_has_no_more_is_named(demo):
    space = Plan.parse(demo | {"sweep": grid(phases={"decide_above": [0.9]})}, "demo.yaml").sweep
    with pytest.raises(InputError, match=r"phases__decide_above~0\.8: the sweep has no"):
        space.experiment_of("sweep/phases__decide_above~0.8/")


def test_without_a_sweep_there_is_the_run_alone(demo):
    space = Plan.parse(demo, "demo.yaml").sweep
    assert (space.variants, space.parameters) == ([{}], [])


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (
            grid(phases={"decide_abov": [0.9]}),
            "sweep.phases.decide_abov: there is no setting 'decide_abov'; write 'decide_above'.",
        ),
        (
            grid(phase={"decide_above": [0.9]}),
            "sweep.phase.decide_above: there is no setting 'phase'; write 'phases'.",
        ),
        (
            grid(phases={"decide_above": [0.9, 1.2]}),
            "sweep.phases.decide_above: 1.2 cannot be used: input should be less than 1; correct"
            " the value.",
        ),
        (
            grid(material={"ion": ["K"]}),
            "sweep.material.ion: a sweep varies settings that results depend on, and this is none;"
            " sweep calibration,"
            " spots, orientations, phases, grains, fractions, powder, comparison, or"
            " give that experiment a config of its own.",
        ),
        (
            {"grid": {"phases": [{}]}},
            "sweep.phases: this is a section, not a setting; name a setting in it: phases.NAME.",
        ),
        (
            grid(phases={"decide_above.x": [1]}),
            "sweep.phases.decide_above.x: there is no setting 'x'; leave it out.",
        ),
        (
            grid(calibration={"standard.scale": [0.02]}),
            "sweep.calibration.standard.scale: there is no setting 'scale'; leave it out.",
        ),
        (
            grid(calibration={"method": ["standard"]}),
            "sweep.calibration: method and standard do not go together; give both or neither.",
        ),
        (
            grid(phases={"decide_above": [0.9, 0.95, 0.9]}),
            "sweep: {'phases.decide_above': 0.9} occurs twice; leave one of the two out.",
        ),
        (
            grid(phases={"decide_above": [0.95]}),
            "sweep: every variant is the run itself; give other values.",
        ),
        (grid(phases={"decide_above": []}), "sweep.grid.phases.decide_above: [] cannot be used"),
        ({}, "sweep: neither or both of grid and combinations; give one of them."),
        ({"grids": {}}, "sweep.grids: unknown key; write 'grid'."),
    ],
)
def test_what_cannot_be_swept_is_refused_in_one_sentence(demo, wanted, sentence):
    with pytest.raises(InputError) as caught:
        Plan.parse(demo | {"sweep": wanted}, "demo.yaml")
    assert str(caught.value).startswith(f"demo.yaml: {sentence}")


VALUES = st.sampled_from([0, 1, "x", [1, 2], None])
NAMES = st.sampled_from("abc")
SECTIONS = st.dictionaries(NAMES, VALUES | st.dictionaries(NAMES, VALUES, max_size=2), max_size=2)
CONTENT = st.dictionaries(NAMES, VALUES | SECTIONS, max_size=3)


@given(CONTENT, CONTENT)
def test_config_files_override_each_other_as_those_of_snakemake_do(below, above):
    found = merged(below, above)
    expected = yaml.safe_load(yaml.safe_dump(below))
    update_config(expected, above)
    assert found == expected


def test_a_later_config_file_changes_what_it_names_alone(demo, tmp_path):
    later = tmp_path / "later.yaml"
    later.write_text("phases: {decide_above: 0.9}\nvirtual: {shape: [8, 8]}\n")
    both, first = load("config/demo.yaml", later), load("config/demo.yaml")
    assert (both.phases.decide_above, both.virtual.shape) == (0.9, (8, 8))
    assert both.virtual.states == first.virtual.states
    assert load("config/demo.yaml", "config/demo/sweep.yaml").sweep.grid
    later.write_text("phases: {decide_abov: 0.9}\n")
    with pytest.raises(InputError) as caught:
        load("config/demo.yaml", later)
    sentence = "phases.decide_abov: unknown key; write 'decide_above'."
    assert str(caught.value) == f"config/demo.yaml {later}: {sentence}"


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_labels_tell_values_apart(first, second):
    assert float(folders.label(first)) == pytest.approx(first, rel=1e-11)
    if abs(first - second) > 1e-11 * second:
        assert folders.label(first) != folders.label(second)


def build_fractions(scan, *, patterns, vacuum, undecided):
    """Of FRACTIONS only what is counted."""
    counts = {"patterns": patterns, "vacuum": vacuum, "undecided": undecided - 1, "unindexed": 1}
    return xr.Dataset(counts, attrs={"scan": scan})


def test_undecided_is_the_share_of_the_crystal_over_all_scans_of_a_state():
    states = {
        "s": build_fractions("a, b", patterns=200, vacuum=100, undecided=20),
        "t": build_fractions("c", patterns=10, vacuum=0, undecided=0),
        "empty": build_fractions("d", patterns=10, vacuum=10, undecided=0),
    }
    rows = compared.undecided_shares(states)
    assert list(rows["state"]) == ["s", "t"]
    assert list(rows["value"]) == [20 / 100, 0]


def result_table(x, verdict, undecided):
    """The comparison of one state whose phases are A (3 ions) and B (2 ions)."""
    rows = [
        ("s", "fraction", "stem", "A", x - 2, x - 2.1, x - 1.9, ""),
        ("s", "fraction", "stem", "B", 3 - x, 2.9 - x, 3.1 - x, ""),
        ("s", "ion_content", "stem", "", x, x - 0.1, x + 0.1, ""),
        ("s", "ion_content_difference", "stem - cycling", "", 0.1, 0.0, 0.2, verdict),
        ("s", "undecided", "stem", "", undecided, None, None, ""),
    ]
    names = ["state", "quantity", "source", "phase", "value", "low", "high", "verdict"]
    return pd.DataFrame(rows, columns=names)


SETTINGS = [{"a.b": 2.0, "c.d": k} for k in ("own",)] + [
    {"a.b": 4.0, "c.d": "own"}, {"a.b": 2.0, "c.d": "other"}, {"a.b": 10.0, "c.d": "other"}
]  # fmt: skip
TABLES = [
    result_table(2.5, "agree", 0.01), result_table(2.6, "disagree", 0.02),
    result_table(2.7, "cannot tell", 0.03), result_table(2.8, "disagree", 0.04),
]  # fmt: skip


def test_the_table_names_each_variant_by_what_it_changes():
    table = compared.tabulate(SETTINGS, TABLES)
    assert list(dict.fromkeys(table["variant"])) == [
        "run",
        "a.b=4",
        "c.d=other",
        "a.b=10 c.d=other",
    ]
    x = table[table["quantity"] == "ion_content"].set_index(["a.b", "c.d"])["value"]
    assert x.to_dict() == {
        ("2", "own"): 2.5, ("4", "own"): 2.6, ("2", "other"): 2.7, ("10", "other"): 2.8
    }  # fmt: skip
    assert len(table) == 4 * len(TABLES[0])


def test_the_picture_shows_every_variant_in_order_of_the_setting():
    figure = draw_sweep(compared.tabulate(SETTINGS, TABLES), ["a.b", "c.d"])
    figure.canvas.draw()
    axes = [ax for ax in figure.axes if ax.get_xlabel() or ax.has_data()]
    by_place = {(round(ax.get_position().x0, 2), round(ax.get_position().y0, 3)): ax for ax in axes}
    columns = sorted({x for x, _ in by_place})
    assert len(columns) == 2
    left = [by_place[key] for key in sorted(by_place, key=lambda k: -k[1]) if key[0] == columns[0]]
    ion_content, verdicts = left[2], left[4]
    # 2, 4 and 10 by size, not as words; thick for the run's own c.d, thin for the other.
    assert [tick.get_text() for tick in left[-1].get_xticklabels()] == ["2", "4", "10"]
    lines = [list(line.get_xydata()[:, 1]) for line in ion_content.lines if len(line.get_xdata())]
    assert [2.5, 2.6] in lines and [2.7, 2.8] in lines
    tiles = sorted((tile.get_x(), tile.get_facecolor()) for tile in verdicts.patches[:4])
    named = {mpl_colour(colour): verdict for verdict, colour in VERDICT_COLOURS.items()}
    assert [named[colour] for _, colour in tiles] == [
        "agree", "cannot tell", "disagree", "disagree"
    ]  # fmt: skip


def test_the_picture_shows_each_source_that_a_setting_moves():
    def tables(charge, stem):
        return [
            table.assign(value=value).query("quantity == 'ion_content'").assign(source=source)
            for table in TABLES[:1]
            for source, value in (("cycling", charge), ("stem", stem))
        ]

    def labels_of(*variants):
        settings = [{"a.b": float(number)} for number in range(len(variants))]
        swept = compared.tabulate(settings, [pd.concat(tables(*one)) for one in variants])
        axes = draw_sweep(swept, ["a.b"]).axes
        return [ax.get_ylabel().replace("\n", " ") for ax in axes if ax.get_ylabel()]

    content = "x (ions per formula unit)"
    assert labels_of((2.5, 2.4), (2.6, 2.4)) == [content]
    assert labels_of((2.5, 2.4), (2.6, 2.3)) == [f"{content} charge", f"{content} 4D-STEM"]
    assert len(labels_of((2.5, 2.4), (2.5, 2.4))) == 2


def mpl_colour(colour):
    from matplotlib.colors import to_rgba

    return to_rgba(colour)


def test_the_script_sets_the_variants_side_by_side(tmp_path):
    """One scan; the first variant has results of its own, and the second shares them."""
    files = {"comparisons": [], "states": []}
    for number, content in enumerate([2.5, 2.6]):
        fractions = make_fractions(content)
        for name, data, layout in (
            ("states", fractions.assign_attrs(state="half"), STATE_FRACTIONS),
            ("comparisons", compare(stem={"half": fractions}), COMPARISON),
        ):
            path = tmp_path / f"{name}{number}.nc"
            netcdf.write(data, path, layout)
            files[name].append(path)
    swept = [{"grains.min_positions": count} for count in (10, 20, 30)]
    table, figure = tmp_path / "sweep.csv", tmp_path / "sweep.png"
    done = subprocess.run(
        [
            sys.executable, "scripts/summarise_sweep.py",
            "--comparisons", *files["comparisons"], files["comparisons"][1],
            "--states", *files["states"], files["states"][1],
            "--settings", json.dumps(swept),
            "--labels", load(ROOT / "config/demo.yaml").section("material.labels"), "--ion", "Na",
            "--table", table, "--figure", figure,
        ],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = pd.read_csv(table).set_index(["grains.min_positions", "quantity", "source"])["value"]
    content = [made.loc[count, "ion_content", "stem"].item() for count in (10, 20, 30)]
    assert content == [2.5, 2.6, 2.6]
    assert made.loc[20, "undecided", "stem"].item() == pytest.approx(20 / 90)
    assert figure.read_bytes().startswith(b"\x89PNG")
