"""What follows from a comparison, in words and in tables."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import compare, make_cycling, make_fractions, make_powder

from phasefront.fractions.pooling import pool_state
from phasefront.report import conclusions, tables

STATES = ("x3.0", "x2.5", "x2.0", "x1.5", "x1.0")
TRUTH = np.array([3.0, 2.5, 2.0, 1.5, 1.0])


def molar(content):
    rich, poor = max(content - 2, 0), max(2 - content, 0)
    return rich, 1 - rich - poor, poor


def five_states(*, stem=0.0, error=0.03, powder=0.0, charge_error=0.01, **options):
    """All sources know five states; 4D-STEM and powder are off by the given ion contents."""
    stem = np.broadcast_to(stem, 5)
    return compare(
        states=STATES,
        stem={
            name: make_fractions(x + off, error, molar=molar(x))
            for name, x, off in zip(STATES, TRUTH, stem, strict=True)
        },
        cycling=dict.fromkeys(
            STATES, make_cycling(dict(zip(STATES, TRUTH, strict=True)), charge_error)
        ),
        powder={
            name: [make_powder(molar(x), content=x + powder)]
            for name, x in zip(STATES, TRUTH, strict=True)
        },
        **options,
    )


def one_state(**sources):
    return compare(states=("half",), **sources)


def first_pair(compared, **options):
    return conclusions.conclude(compared, **options)["pairs"][0]


def test_agreement_is_said_with_what_carries_it():
    found = first_pair(five_states(stem=0.01), ion="Na")
    assert found["verdict"] == "agree"
    assert found["states"] == 5
    assert found["difference"]["value"] == pytest.approx(0.01)
    assert found["slope"]["low"] < 1 < found["slope"]["high"]
    assert found["sentence"].startswith(
        "4D-STEM and charge agree on average over 5 states: the mean difference of ion content"
        " (4D-STEM minus charge) is +0.010 ["
    )
    assert "within the margin of 0.1 Na per formula unit (p < 0.001)." in found["sentence"]
    assert "does not differ from 1:1" in found["sentence"]
    assert "Single states: 5 agree, 0 disagree and 0 remain open." in found["sentence"]


def test_a_mean_difference_is_disagreement():
    compared = five_states(stem=0.4)
    found = first_pair(compared)
    assert found["verdict"] == "disagree"
    assert "4D-STEM and charge disagree over 5 states: they differ by more" in found["sentence"]
    assert conclusions.conclude(compared)["verdict"] == "disagree"
    assert conclusions.conclude(compared)["sentence"] == (
        "The sources taken together disagree: 4D-STEM and charge disagree, 4D-STEM and powder"
        " diffraction disagree, powder diffraction and charge agree."
    )


def test_a_tilt_is_disagreement_though_the_mean_agrees():
    found = first_pair(five_states(stem=0.2 * (TRUTH - 2)))
    assert abs(found["difference"]["value"]) < 0.01
    assert found["verdict"] == "disagree"
    assert "their difference changes with the ion content" in found["sentence"]
    assert found["p_one_to_one"] < 0.05


def test_one_state_that_stands_out_is_disagreement():
    found = first_pair(five_states(stem=[0, 0, 0.25, 0, 0]))
    assert found["verdict"] == "disagree"
    assert "x2.0 differs by +0.250" in found["sentence"]


def test_fractions_that_differ_at_one_ion_content_are_disagreement():
    """Half Na3 and half Na1 hold as many ions as all Na2."""
    compared = one_state(
        stem={"half": make_fractions(2.0, 0.02, molar=(0.5, 0, 0.5))},
        powder={"half": [make_powder((0, 1, 0))]},
    )
    found = conclusions.conclude(compared)["pairs"][1]
    assert found["verdict"] == "disagree"
    assert "the fraction of Na2 in half differs by -1.00" in found["sentence"]


@pytest.mark.parametrize(
    ("stem", "error", "words"),
    [
        (2.52, 0.3, "its interval allows both no difference and one beyond the margin of 0.1"),
        (2.58, 0.02, "though it is not zero, it may or may not exceed the margin of 0.1"),
    ],
)
def test_what_cannot_be_told_and_why(stem, error, words):
    compared = one_state(
        stem={"half": make_fractions(stem, error)}, cycling={"half": make_cycling({"half": 2.5}, 0)}
    )
    found = first_pair(compared)
    assert found["verdict"] == "cannot tell"
    assert "one cannot tell in the one state that both know" in found["sentence"]
    assert words in found["sentence"]


def test_one_state_has_no_line_and_no_mean():
    compared = one_state(
        stem={"half": make_fractions(2.5, 0.01)}, cycling={"half": make_cycling({"half": 2.5})}
    )
    found = conclusions.conclude(compared)
    assert found["pairs"][0]["verdict"] == "agree"
    assert (
        "agree in the one state that both know: the difference of"
        in (found["pairs"][0]["sentence"])
    )
    assert found["pairs"][0]["slope"] is None
    assert "line" not in found["pairs"][0]["sentence"]
    assert found["sentence"] == "The two sources agree: 4D-STEM and charge agree."


def test_missing_sources_cannot_be_told():
    found = conclusions.conclude(one_state(stem={"half": make_fractions()}))
    assert found["verdict"] == "cannot tell"
    assert found["sentence"].endswith("no state has two of them.")
    assert {pair["verdict"] for pair in found["pairs"]} == {"cannot tell"}
    assert all("no state has an ion content by both" in p["sentence"] for p in found["pairs"])
    json.dumps(found, allow_nan=False)


def test_patterns_that_calibrated_are_named():
    calibrating = {"p1": ["Na3"], "p2": ["Na3", "Na2"]}
    patterns = [make_powder(molar(2.5)).assign_attrs(pattern=name) for name in calibrating]
    compared = compare(
        states=STATES, stem={name: make_fractions() for name in STATES},
        powder={"x2.5": patterns}, calibrating=calibrating,
    )  # fmt: skip
    assert np.isnan(compared["ion_content"].sel(source="powder")).all()
    found = conclusions.conclude(compared, calibrating=calibrating)
    assert found["left_out"] == ["p1", "p2"]
    assert "Powder pattern p1 is left out: the cell of Na3 was refined" in found["sentence"]
    assert "the cell of Na3 and Na2 was refined" in found["sentence"]
    table = tables.comparison_table(compared)
    noted = table[(table["state"] == "x2.5") & (table["note"] != "")]
    assert set(noted["source"]) == {"powder"} and set(noted["note"]) == {"left out: p1, p2"}


def test_patterns_that_were_refused_are_named_and_do_not_count():
    """The reason stands in the table, the text and the summary, and no value anywhere."""
    refused = make_powder(np.full(3, np.nan)).assign_attrs(pattern="p1", refused="R_wp is 0.69")
    strange = make_powder([0.2, 0.5, 0.3]).assign_attrs(pattern="p2")
    strange = strange.drop_dims("line").assign(
        {f"unexplained_{name}": ("line", [value]) for name, value in
         (("two_theta", 2.2), ("d", 10.96), ("height", 0.4))}
    )  # fmt: skip
    states = ("half", "both")
    compared = compare(
        states=states, stem={name: make_fractions() for name in states},
        powder={"half": [refused], "both": [refused, strange]},
    )  # fmt: skip
    written = conclusions.summary(compared, {}, run="r", seconds={})
    json.dumps(written, allow_nan=False)
    half, both = written["states"]
    assert half["x"]["powder"] is None and half["fractions"]["powder"] is None
    assert both["fractions"]["powder"]["Na3"]["value"] == pytest.approx(0.2)
    assert written["conclusions"]["refused"] == ["p1: R_wp is 0.69"] * 2
    line = "p2: no phase explains lines at d = 10.96 A (40%), of the strongest line"
    assert written["conclusions"]["unexplained"] == [line]
    sentence = written["conclusions"]["sentence"]
    assert "Powder pattern refused: p1: R_wp is 0.69." in sentence
    assert f"Powder pattern {line}." in sentence
    table = tables.comparison_table(compared)
    notes = table[table["source"] == "powder"].groupby("state")["note"].first()
    assert notes["half"] == "refused: p1: R_wp is 0.69"
    assert notes["both"] == f"refused: p1: R_wp is 0.69; {line}"
    assert table[(table["state"] == "half") & (table["source"] == "powder")]["value"].isna().all()


def test_a_scan_whose_calibration_gave_way_is_named():
    """In table, text and summary, each scan of a state by its name."""
    counted = make_fractions()
    counted = counted.fillna({"formula_volume": 100.0, "unit_amount": 1.0})
    scans = {name: counted.assign_attrs(scan=name) for name in ("s1", "s2", "s3")}
    scans["s2"].attrs["notes"] = "its grains agree on a scale"
    states = {"one": ["s1"], "two": ["s2"], "both": ["s1", "s2"]}
    pooled = {
        state: pool_state(state, [scans[name] for name in names], seed=1)
        for state, names in states.items()
    }
    compared = compare(states=tuple(states), stem=pooled)
    written = conclusions.summary(compared, scans, run="r", seconds={})
    text = "s2: its grains agree on a scale"
    assert written["conclusions"]["unexplained"] == [text, text]
    assert f"Scan {text}." in written["conclusions"]["sentence"]
    assert [scan["notes"] for scan in written["scans"]] == [[], [scans["s2"].attrs["notes"]], []]
    notes = tables.comparison_table(compared).query("source == 'stem'").groupby("state")["note"]
    assert [text in note for note in notes.first()[list(states)]] == [False, True, True]


def test_the_mass_of_a_log_is_one_error_in_all_its_states():
    """Five states of one log err together, those of five logs do not."""
    one = compare(
        states=STATES, powder={s: [make_powder(molar(x))] for s, x in zip(STATES, TRUTH, strict=1)},
        cycling=dict.fromkeys(STATES, make_cycling(dict(zip(STATES, TRUTH, strict=1)), 0.05)),
    )  # fmt: skip
    logs = {
        s: make_cycling({s: x}, 0.05, log=f"log-{s}") for s, x in zip(STATES, TRUTH, strict=True)
    }
    five = compare(states=STATES, powder={s: [make_powder(molar(x))] for s, x in
                   zip(STATES, TRUTH, strict=True)}, cycling=logs)  # fmt: skip
    widths = [
        (c["mean_ion_content_high"] - c["mean_ion_content_low"]).sel(source="cycling").item()
        for c in (one, five)
    ]
    assert widths[0] == pytest.approx(2 * 1.96 * 0.05, rel=1e-3)
    assert widths[1] == pytest.approx(widths[0] / np.sqrt(5), rel=1e-3)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(-0.3, 0.3), min_size=5, max_size=5), st.floats(1.0, 3.0))
def test_a_wider_margin_never_makes_a_pair_agree_less(off, factor):
    order = ["disagree", "cannot tell", "agree"]
    narrow, wide = (five_states(stem=off, margin=m, fraction_margin=m) for m in (0.1, 0.1 * factor))
    for one, other in zip(
        narrow["overall_verdict"].values, wide["overall_verdict"].values, strict=True
    ):
        assert order.index(one) <= order.index(other)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((2.5, 2.5 - 0.0314, 2.5 + 0.0314), "2.500(16)"),
        ((1.0, 1.0, 1.386), "1.00 [1.00, 1.39]"),
        ((3.0, 3.0, 3.0), "3"),
        ((np.nan, np.nan, np.nan), "--"),
        ((-0.0001, -0.03, 0.04), "0.000 [-0.030, 0.040]"),
        ((0.4, 0.4 - 0.0996 * 1.96, 0.4 + 0.0996 * 1.96), "0.40(10)"),
    ],
)
def test_values_are_printed_to_their_errors(values, text):
    assert tables.printed(np.array(values)) == text


def test_tidy_table_has_every_state_and_all_states():
    table = tables.comparison_table(five_states())
    per_state = 3 * 4 + 3 * 4
    assert (table["state"].value_counts().loc[list(STATES)] == per_state).all()
    overall = table[table["state"] == "all states"]
    # Means, and for each pair two limits of agreement, an intercept and a slope.
    assert len(overall) == per_state + 3 * 4
    row = overall.query("quantity == 'slope' and source == 'stem - cycling'").squeeze()
    assert row["low"] < row["value"] < row["high"] and 0 < row["p"] <= 1
    row = table.query(
        "state == 'x2.5' and source == 'powder' and phase == 'Na2' and quantity == 'fraction'"
    ).squeeze()
    assert row["value"] == 0.5


def test_latex_table_has_the_rules_and_a_line_for_each_quantity():
    compared = five_states()
    text = tables.latex_table(compared, {"Na2": "Na$_2$"})
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(lines) == 1 + 6 * 4
    assert all(line.count("&") == 7 for line in lines)
    assert text.count(r"\midrule") == 6 and r"\toprule" in text and r"\bottomrule" in text
    assert lines[1].startswith("x3.0 & $x$ & $3.000(10)$ & $3.000(30)$ & ")
    assert " & Na$_2$ & " in text
    assert re.search(r"\^\{=\}\$", lines[1])
    assert tables.printed_table(compared).shape == (24, 8)
