"""Why a position has its answer: the sentence names the rule of the verdict that settled it."""

from types import SimpleNamespace

import numpy as np
import pytest
from stages import build_phases

from phasefront.layouts.phases import MIXED, UNDECIDED, UNINDEXED, VACUUM
from phasefront.phases import reasons, verdict
from phasefront.phases.lattices import CLEAR

NAMES = ["A", "B", "C"]


def decided_as(count, seed):
    """PHASES of random positions with a decision each, made by `verdict`'s own rules."""
    random = np.random.default_rng(seed)
    posterior = random.dirichlet([0.15] * 3, count)
    misfit = np.where(random.random(count) < 0.2, 9.0, 1.0)
    misfit[random.random(count) < 0.05] = np.inf
    phase_misfit = np.where(random.random(count) < 0.2, 9.0, 1.0)
    phase_misfit[random.random(count) < 0.05] = np.inf
    far = random.random(count) < 0.2  # spots lie too far from their places
    second_phase = np.where(random.random(count) < 0.5, -1, random.integers(0, 3, count))
    second_share = np.where(second_phase >= 0, random.random(count), 0.0)
    probability = np.where(random.random(count) < 0.5, 0.0, random.random(count))
    second_posterior = np.full((count, 3), 0.01)
    sure = random.random(count) < 0.6
    second_posterior[np.arange(count), second_phase] = np.where(sure, 0.98, 0.6)
    content = random.random(count)
    mixed = random.random(count) < 0.2
    between = np.stack([content, 1 - content, np.zeros(count)], axis=1)

    cell = SimpleNamespace(mixed=mixed.astype(float), share=between)
    second = SimpleNamespace(phase=second_phase)
    strays = np.where(random.random(count) < 0.1, 1.0, 50.0)
    fits = (misfit <= 4) & ~far & (strays > np.log(20))
    decision, share = verdict._decide(
        posterior, fits, fits & (phase_misfit <= 4), cell, second, second_share,
        second_posterior, 0.95,
    )  # fmt: skip
    row = (1, count)
    phases = build_phases(
        NAMES, decision.reshape(row), posterior=posterior.reshape(*row, 3),
        share=share.reshape(*row, 3), cell_misfit=misfit.reshape(row),
        phase_misfit=phase_misfit.reshape(row), second_phase=second_phase.reshape(row),
        second_share=second_share.reshape(row), second_probability=probability.reshape(row),
        explained=np.full(row, 0.9), over_strays=strays.reshape(row),
        ion_content=content.reshape(row), ion_content_stderr=np.full(row, 0.1),
    )  # fmt: skip
    return phases, far, sure, mixed


def test_the_rule_named_is_the_one_that_stands_against_an_answer():
    phases, far, sure, between = decided_as(20_000, 1)
    rule = np.array(reasons.RULES)[reasons.deciding_rules(phases)[0]]
    decision = phases["decision"].values[0]
    misfit = phases["cell_misfit"].values[0]
    top = phases["posterior"].values[0].max(axis=-1)
    region = phases["phase_misfit"].values[0]
    two = phases["second_phase"].values[0] >= 0
    assert set(rule[decision == UNDECIDED]) == {
        "chance", "no_cell", "cell", "pair", "posterior", "foreign", "region",
        "second_unsure", "residual",
    }  # fmt: skip
    assert (phases["over_strays"].values[0, rule == "chance"] == 1).all()
    assert (misfit[rule == "cell"] > 4).all() and np.isinf(misfit[rule == "no_cell"]).all()
    assert (top[(rule == "posterior") | (rule == "pair")] <= 0.95).all()
    pair = phases["second_probability"].values[0]
    assert (pair[rule == "pair"] > 1 / 21).all()
    alone = (rule == "posterior") & (phases["second_phase"].values[0] < 0)
    assert (pair[alone] <= 1 / 21).all()
    assert np.isinf(region[rule == "foreign"]).all() and np.isfinite(region[rule == "region"]).all()
    assert (region[rule == "region"] > 4).all() and (top[rule == "region"] > 0.95).all()
    # What is left over is what PHASES does not hold.
    assert far[rule == "residual"].all() and not two[rule == "residual"].any()
    assert (far | ~sure | between)[rule == "second_unsure"].all()
    assert two[rule == "second_unsure"].all()


def test_answers_of_two_lattices_say_which_counts():
    phases, _, _, between = decided_as(20_000, 2)
    rule = np.array(reasons.RULES)[reasons.deciding_rules(phases)[0]]
    decision, second = phases["decision"].values[0], phases["second_phase"].values[0]
    likeliest = phases["posterior"].values[0].argmax(axis=-1)
    share = phases["second_share"].values[0]
    assert set(rule[decision == MIXED]) == {"two_lattices", "between"}
    assert (share[rule == "two_lattices"] > 1 - CLEAR).all()
    assert (second[rule == "decided"] == -1).all()
    same, strong = rule == "second_same", rule == "second_strong"
    assert (second[same] == decision[same]).all() and (likeliest[same] == decision[same]).all()
    assert (second[strong] == decision[strong]).all() and (
        likeliest[strong] != second[strong]
    ).all()
    assert (phases["share"].values[0][strong].max(axis=-1) == 1).all()
    # A cell between two phases is never made one of them by a second lattice.
    assert not between[(decision >= 0) & (second >= 0)].any()
    weak = rule == "second_weak"
    assert (second[weak] != decision[weak]).all() and (share[weak] <= 1 - CLEAR).all()


def test_places_without_enough_spots_say_what_they_lack():
    explained = np.array([[np.nan, np.nan, 0.2]])
    phases = build_phases(NAMES, [[VACUUM, UNINDEXED, UNINDEXED]], explained=explained)
    said = [reasons.sentence(phases, 0, column, NAMES) for column in range(3)]
    assert "no crystal" in said[0]
    assert "not that of the scan's empty places" in said[1]
    assert "20 %" in said[2] and "50 %" in said[2]


def test_a_sentence_holds_the_numbers_of_the_position():
    phases = build_phases(
        NAMES, [[UNDECIDED]], posterior=np.array([[[0.2, 0.7, 0.1]]]), explained=np.full((1, 1), 1),
        cell_misfit=np.ones((1, 1)), phase_misfit=np.ones((1, 1)),
    )  # fmt: skip
    said = reasons.sentence(phases, 0, 0, ["alpha", "beta", "gamma"])
    assert "beta" in said and "0.7000" in said and "0.95" in said


def test_a_map_of_another_program_is_not_explained():
    phases = build_phases(NAMES, [[0, UNDECIDED, UNINDEXED]])
    phases.attrs["map_by"] = "TSL OIM"
    for column in range(3):
        assert "TSL OIM" in reasons.sentence(phases, 0, column, NAMES)


@pytest.mark.parametrize("rule", reasons.RULES)
def test_every_sentence_can_be_filled_in(rule):
    phases = build_phases(NAMES, [[0]])
    filled = reasons.SENTENCES[rule].format(**reasons.facts(phases.isel(y=0, x=0), NAMES))
    assert filled.endswith(".") and "{" not in filled
