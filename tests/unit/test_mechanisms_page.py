"""The study of mechanisms, its small parts, and the page that its numbers are written to."""

import json

import numpy as np
import pytest

from benchmarks import fronts, habit_planes, literature, populations
from docs.make import mechanisms
from phasefront.mechanisms.morphology import MORPHOLOGIES


@pytest.fixture(scope="module")
def papers():
    return literature.table()


def test_the_papers_counts_give_their_intervals_and_verdicts(papers):
    chueh = papers["chueh"]
    assert (chueh["low"], chueh["high"]) == pytest.approx((0.011, 0.038), abs=0.001)
    assert chueh["verdict"] == "one by one"
    assert chueh["charge_over_transit"] == 50
    # Where no grain is caught, twenty of them suffice to say so.
    assert papers["none_caught"]["20"]["verdict"] == "one by one"
    shift = papers["smallest_shift"]
    assert shift["Robert 2013"] == pytest.approx(0.006, abs=0.0005)
    assert shift["Chueh 2013"] == pytest.approx(0.08, abs=0.005)


def test_lattices_turn_across_soft_planes_as_was_seen_and_not_across_100(papers):
    """Mu 2016: 1.4 degrees on average, normals near a and slightly off."""
    lfp = papers["lfp"]
    turns = lfp["turn_of_soft_planes_deg"]
    assert turns["low"] < 1.4 < turns["high"]
    assert lfp["planes"]["(100)"]["turn_deg"] < 0.01
    assert lfp["planes"]["softest"]["turn_deg"] > 1.4
    assert lfp["near_share"] == pytest.approx(0.28, abs=0.01)


def test_directions_of_twenty_positions_are_as_good_as_wanted():
    clean, poor = (fronts._row(5, 1, (seen, 20)) for seen in ("clean", "poor"))
    assert clean["sd_deg"] <= 1.5
    assert poor["sd_deg"] <= 3.5
    for row in (clean, poor):
        assert row["fronts"] == 36 and row["found"] > 0.9 and row["covered"] > 0.8


def test_planes_of_more_grains_are_nearer():
    few, many = (habit_planes._row(5, 8, ("mmm", np.nan, grains, 2.0)) for grains in (5, 20))
    assert many["error_deg"] < few["error_deg"]
    assert many["region_deg"] < few["region_deg"]


def confusion():
    rows = {name: dict.fromkeys(MORPHOLOGIES, 0) for name in MORPHOLOGIES}
    rows["front"]["front"], rows["front"]["band"] = 75, 25
    return rows


def study(papers):
    """A file of the study in which most numbers are made up."""
    grains = {
        "grains": 100, "right": 0.75, "ece": 0.031, "confusion": confusion(),
        "bins": [{"from": 0.7, "answers": 100, "confidence": 0.781, "right": 0.75}],
    }  # fmt: skip
    exact = {"one by one": 0.9, "concurrent": 0.001, "cannot be told": 0.099}
    row = {"repeats": 80, "error_deg": 4.25, "region_deg": 9.0, "covered": 0.95}
    return {
        "literature": papers,
        "fronts": [
            {"seen": "clean", "positions": 20, "fronts": 36, "found": 1.0, "astray": 0.0,
             "sd_deg": 0.274, "stated_deg": 0.3, "covered": 0.96}
        ],
        "habit_planes": [
            {"symmetry": "mmm", "tilts": tilts, "grains": 10, "trace_deg": 2.0, **row}
            for tilts in (False, True)
        ],
        "habit_regions": {"repeats": 200, "covered": 0.945},
        "random_fronts": {"repeats": 240, "rejected": 0.046},
        "covariates": [{"grains": 30, "found_of_none": 0.04, "power": 0.79, "covered": 0.9}],
        "snapshots": {
            "told": {
                "alike": 0.117,
                "grains": {"all": grains, "200 to 449": grains},
                "grains of 20 by tilt": {"0 to 34": grains, "65 to 90": {**grains, "right": 0.4}},
                "caught": {"200 to 449": {"recall": 0.9, "false_alarm": 0.01}},
                "populations": {
                    "10": {"populations": 40, "state": {
                        "right": 0.925, "ece": 0.04,
                        "bins": [
                            {"from": 0.6, "answers": 10, "confidence": 0.65, "right": 0.6},
                            {"from": 0.8, "answers": 20, "confidence": 0.85, "right": 0.9},
                            {"from": 0.9, "answers": 20, "confidence": 0.95, "right": 1.0},
                        ],
                    }}
                },
            },
            "detection": {"recall": 0.85, "false_alarm": 0.02, "stated_recall": 0.8,
                          "stated_false_alarm": 0.03},
            "verdicts": [{"share": 0.02, "grains": 30, "repeats": 4000, "drawn": exact}],
        },
    }  # fmt: skip


def test_the_page_says_what_the_study_found(papers, tmp_path, monkeypatch):
    path = tmp_path / "mechanisms.json"
    path.write_text(json.dumps(study(papers)))
    monkeypatch.setattr(mechanisms, "STUDY", path)
    page = mechanisms.page()
    for said in (
        "| clean | 20 | 1.00 | 0.27° | 0.30° | 0.000 | 0.960 |",
        "hold the plane\nin 0.945 of 200",
        "| mmm | without | 2° | 4.2 (9.0) |",
        "in 0.950 (mmm, without tilts), 0.950 (mmm, with tilts).",
        "| 2% | one by one | 0.900 |",
        "| 10 | 40 | 0.925 | 0.040 | 40 | 0.950 |",
        "0.75 (0 to 34 degrees), 0.40 (65 to 90 degrees)",
        "n / (1 + (n - 1) 0.12)",
        "| 200 to 449 | 100 | 0.750 | 0.031 | 0.900 | 0.010 |",
        "| front | 0.00 | 0.75 | 0.00 | 0.25 |",
        "caught 2.0% [1.1%, 3.8%]: one by one; a grain takes 1/50 of the charge",
        '## "LiFePO4 {101}"',
    ):
        assert said in page, said


@pytest.mark.slow
def test_effects_are_seldom_seen_where_there_are_none():
    (row,) = populations.covariates(5, [30], 12)
    assert row["found_of_none"] <= 0.25
    assert row["power"] >= 0.4
