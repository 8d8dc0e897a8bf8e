"""Fractions of maps with known answers, and the coverage of their intervals."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from examples import example
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from stages import build_phases

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.experiment.load import load
from phasefront.fractions import electrode
from phasefront.fractions.estimation import phase_fractions
from phasefront.fractions.pooling import pool_fractions
from phasefront.fractions.table import fraction_table
from phasefront.fractions.unfolding import unfold
from phasefront.layouts.confusion import CONFUSION
from phasefront.layouts.fractions import FRACTIONS
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.phases import MIXED, UNDECIDED, UNINDEXED, VACUUM

ROOT = Path(__file__).parents[2]
NAMES = ["a", "b", "c"]
CONTENTS = [3.0, 2.0, 1.0]
VOLUMES = [220.0, 215.0, 210.0]


def make_scan(
    decision, label, *, names=NAMES, step=10.0, name="map", error=1e-6, posterior=None, share=None
):
    """PHASES and GRAINS, as far as fractions read them, of maps of decisions and grains."""
    decision, label = np.asarray(decision), np.asarray(label)
    count = int(label.max(initial=-1)) + 1
    if posterior is None:
        posterior = np.where(decision[..., None] == np.arange(len(names)), 1 - error, error)
        posterior = posterior / posterior.sum(axis=-1, keepdims=True)
    given = {"posterior": posterior} if share is None else {"posterior": posterior, "share": share}
    phases = build_phases(names, decision, scan=name, **given)
    inside = [label == grain for grain in range(count)]
    phase_count = [[np.sum(g & (decision == k)) for k in range(len(names))] for g in inside]
    grains = example(
        GRAINS, phase=names, label=label, size=[g.sum() for g in inside],
        phase_count=np.reshape(phase_count, (count, len(names))),
        mixed_count=[np.sum(g & (decision == MIXED)) for g in inside],
        undecided_count=[np.sum(g & (decision == UNDECIDED)) for g in inside],
        scan=name, scan_step_nm=step, misorientation_deg=5.0,
    )  # fmt: skip
    return phases, grains


def make_confusion(rates, *, names=NAMES, grain=(0,), positions=1000.0, name="map"):
    """CONFUSION whose grains all decide as `rates` (phase, phase) say; the rest is undecided."""
    decided = positions * np.broadcast_to(rates, (len(grain), *np.shape(rates))).astype(float)
    simulated = np.full(decided.shape[:2], positions)
    return example(
        CONFUSION, phase=names, grain=grain, decided=decided, simulated=simulated,
        undecided=simulated - decided.sum(axis=-1), scan=name,
    )  # fmt: skip


def fractions_of(
    decision, label, *, contents=CONTENTS, volumes=VOLUMES, draws=400, confusion=None,
    diffuse=None, exponent=(1.0, 2.0), **scan,
):  # fmt: skip
    phases, grains = make_scan(decision, label, **scan)
    return phase_fractions(
        phases, grains, confusion, diffuse=diffuse, ion_contents=contents,
        formula_volumes=volumes, thickness_exponent=exponent, draws=draws, seed=1,
    )  # fmt: skip


def of_area(found):
    """What is known without the thickness."""
    return found.sel(kind=["area", "molar"])


U, V = UNDECIDED, VACUUM
DECISION = np.array([[0, 0, 0, V, 1, 1], [0, 0, U, V, 1, U], [V, V, V, V, 1, 2]])
LABEL = np.array([[0, 0, 0, -1, 1, 1], [0, 0, 0, -1, 1, 1], [-1, -1, -1, -1, 1, -1]])


def test_known_map():
    found = fractions_of(DECISION, LABEL)
    np.testing.assert_allclose(found["value"].sel(kind="area"), [5 / 10, 4 / 10, 1 / 10])
    moles = np.array([5 / 220, 4 / 215, 1 / 210])
    np.testing.assert_allclose(found["value"].sel(kind="molar"), moles / moles.sum())
    np.testing.assert_allclose(found["ion_content"], moles @ CONTENTS / moles.sum())
    counts = {n: int(found[n]) for n in ("patterns", "decided", "undecided", "vacuum")}
    assert counts == {"patterns": 18, "decided": 10, "undecided": 2, "vacuum": 6}
    # Two grains, and the position of phase c outside them.
    np.testing.assert_array_equal(found["unit_amount"][0], [[5, 0, 0], [0, 4, 0], [0, 0, 1]])
    np.testing.assert_allclose(found["effective_grains"], 10**2 / (25 + 16 + 1))


def test_mixed_positions_count_for_each_phase_by_its_share():
    decision = np.array([[0, MIXED, V, MIXED], [0, U, V, 1]])
    label = np.array([[0, 0, -1, -1], [0, 0, -1, -1]])
    share = np.full((2, 4, 3), np.nan)
    share[:, 0] = 1, 0, 0
    share[0, 1], share[0, 3], share[1, 3] = (0.75, 0.25, 0), (0, 0.5, 0.5), (0, 1, 0)
    found = fractions_of(decision, label, share=share)
    # A grain of two and a half, and a patch outside it.
    np.testing.assert_allclose(found["unit_amount"][0], [[2.75, 0.25, 0], [0, 1.5, 0.5]])
    area = found.sel(kind="area")
    np.testing.assert_allclose(area["value"], [2.75 / 5, 1.75 / 5, 0.5 / 5])
    # Only the undecided position is unknown.
    np.testing.assert_allclose(area["bound_low"], [2.75 / 6, 1.75 / 6, 0.5 / 6])
    np.testing.assert_allclose(area["bound_high"], [3.75 / 6, 2.75 / 6, 1.5 / 6])
    counts = {n: int(found[n]) for n in ("patterns", "decided", "mixed", "undecided", "vacuum")}
    assert counts == {"patterns": 8, "decided": 3, "mixed": 2, "undecided": 1, "vacuum": 2}


def test_a_scan_of_mixed_positions_has_the_fractions_of_their_shares():
    share = np.broadcast_to([0.3, 0.7, 0.0], (6, 8, 3))
    label = np.repeat(np.arange(6), 8).reshape(6, 8)
    found = fractions_of(np.full((6, 8), MIXED), label, share=share).sel(kind="area")
    np.testing.assert_allclose(found["value"], [0.3, 0.7, 0], atol=1e-6)
    assert (found["low"] <= found["value"]).all() and (found["value"] <= found["high"]).all()


def test_bounds_give_all_or_no_undecided_positions_to_a_phase():
    found = fractions_of(DECISION, LABEL)
    area = found.sel(kind="area")
    np.testing.assert_allclose(area["bound_low"], [5 / 12, 4 / 12, 1 / 12])
    np.testing.assert_allclose(area["bound_high"], [7 / 12, 6 / 12, 3 / 12])
    molar = found.sel(kind="molar", phase="a")
    rest = 4 / 215 + 1 / 210
    # The densest other phase takes the most from a.
    np.testing.assert_allclose(molar["bound_low"], 5 / 220 / (5 / 220 + rest + 2 / 210))
    np.testing.assert_allclose(molar["bound_high"], 7 / 220 / (7 / 220 + rest))


def test_patches_outside_grains_count_as_they_hang_together():
    decision = [[0, 0, V, 1], [V, 1, V, 1], [2, V, 0, V]]
    found = fractions_of(decision, np.full((3, 4), -1))
    assert sorted(found["unit_amount"].to_numpy()[0].tolist()) == [
        [0, 0, 1], [0, 2, 0], [1, 0, 0], [2, 1, 0],
    ]  # fmt: skip


@pytest.mark.parametrize("nothing", [UNDECIDED, VACUUM])
def test_nothing_decided(nothing):
    found = fractions_of(np.full((3, 3), nothing), np.full((3, 3), -1))
    assert np.isnan(found["value"]).all()
    assert np.isnan(found["ion_content"])
    assert float(found["effective_grains"]) == 0
    found = of_area(found)
    # Of three phases, each with a third of the prior grain.
    assert (found["high"] - found["low"] > 0.8).all()
    np.testing.assert_array_equal(found["bound_low"], 0)
    np.testing.assert_array_equal(found["bound_high"], 1)


def test_grains_that_agree_keep_an_honest_interval():
    label = np.repeat(np.arange(10), 20).reshape(10, 20)
    found = fractions_of(np.zeros((10, 20), int), label, draws=4000)
    area = found.sel(kind="area")
    np.testing.assert_array_equal(area["value"], [1, 0, 0])
    assert area["high"].to_numpy()[0] == 1
    # 10 of 10, with a third of the prior grain for each phase; nothing is missed above 1. That
    # unseen grains may be partial takes it a little lower.
    expected = stats.beta(10 + 1 / 3, 2 / 3).ppf(0.05)
    assert area["low"].to_numpy()[0] == pytest.approx(expected, abs=0.04)
    assert found["ion_content_high"] == 3
    assert 2.3 < found["ion_content_low"] < 2.9


def drawn_of(grain_area, *, seed=0, draws=2000):
    count = grain_area.shape[1]
    return electrode.draw_fractions([grain_area], response=np.eye(count), draws=draws, seed=seed)


def test_whole_equal_grains_give_jeffreys_interval():
    grain_area = 7.0 * np.eye(2)[[0] * 13 + [1] * 7]
    expected = stats.beta(13.5, 7.5).ppf([0.025, 0.5, 0.975])
    found = np.quantile(drawn_of(grain_area, draws=20000)[:, 0], [0.025, 0.5, 0.975])
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_partial_equal_grains_give_students_interval():
    share = 0.5 + 0.05 * np.random.default_rng(2).standard_normal(30)
    drawn = drawn_of(np.stack([share, 1 - share], axis=1), draws=20000)[:, 0]
    expected = stats.t(29, share.mean(), stats.sem(share)).interval(0.95)
    # The prior grain, and that an unseen whole one may be there, change its width of 0.04 little.
    np.testing.assert_allclose(np.quantile(drawn, [0.025, 0.975]), expected, atol=0.002)


def test_a_single_partial_grain_leaves_the_fraction_open():
    low, high = ends_of(np.array([[50.0, 50.0]]))
    assert low[0] < 0.25 and high[0] > 0.75


def test_tails_follow_the_distance_to_the_limits():
    draws = np.repeat(np.linspace(0, 1, 2001)[:, None], 4, axis=1)
    low, high = electrode.interval(draws, np.array([0.0, 0.5, 1.0, np.nan]))
    np.testing.assert_allclose(low, [0, 0.025, 0.05, 0.025], atol=1e-9)
    np.testing.assert_allclose(high, [0.95, 0.975, 1, 0.975], atol=1e-9)


def ends_of(grain_area):
    share = grain_area.sum(axis=0) / grain_area.sum()
    return np.array(electrode.interval(drawn_of(grain_area), share))


def test_a_scan_with_three_mixed_positions_is_nearly_one_without():
    pure = np.tile([100.0, 0, 0], (12, 1))
    stained = pure.copy()
    stained[:3] += [-0.5, 0.5, 0]
    np.testing.assert_allclose(ends_of(stained), ends_of(pure), atol=0.01)


# Chosen: what one position in sixty of one of twelve grains may move an end by.
LARGEST_STEP = 0.02


@settings(max_examples=25, deadline=None)
@given(kind=st.sampled_from(["all-or-none", "core-shell", "straight-front"]),
       rich=st.sampled_from([0.0, 0.05, 0.3, 0.95]), seed=st.integers(0, 2**31),
       grain=st.integers(0, 11))  # fmt: skip
def test_a_position_moves_no_end_far(kind, rich, seed, grain):
    rng = np.random.default_rng(seed)
    share = np.full(12, rich)
    if kind == "all-or-none":
        share = (rng.random(12) < rich).astype(float)
    elif rich:
        logit = np.log(rich / (1 - rich)) + 0.7 * rng.standard_normal(12)
        share = 1 / (1 + np.exp(-logit))
    grain_area = 60 * np.stack([share, 1 - share], axis=1)
    moved = grain_area.copy()
    step = np.clip(1 if share[grain] < 0.5 else -1, -moved[grain, 0], moved[grain, 1])
    moved[grain] += [step, -step]
    assert np.abs(ends_of(moved) - ends_of(grain_area)).max() <= LARGEST_STEP


def test_interval_narrows_with_grains_and_not_with_positions():
    def width(grains, positions):
        pattern = np.repeat(np.arange(grains) % 2, positions).reshape(grains, positions)
        label = np.repeat(np.arange(grains), positions).reshape(grains, positions)
        found = fractions_of(pattern, label).sel(kind="area")
        return float((found["high"] - found["low"])[0])

    assert width(8, 100) == pytest.approx(width(8, 5))
    assert width(80, 5) < 0.45 * width(8, 5)


def test_mistakes_that_the_simulation_makes_leave_a_pure_scan_possible():
    rng = np.random.default_rng(3)
    label = np.repeat(np.arange(12), 100).reshape(12, 100)
    decision = (rng.random(label.shape) < 0.02).astype(int)
    rates = np.array([[0.98, 0.02], [0.02, 0.98]])
    two = {"names": ["a", "b"], "contents": CONTENTS[:2], "volumes": VOLUMES[:2]}
    sure, honest = (
        of_area(fractions_of(decision, label, **two, confusion=confusion))
        for confusion in (None, make_confusion(rates, names=["a", "b"], grain=range(12)))
    )
    assert sure["high"].to_numpy()[0, 0] < 0.99
    np.testing.assert_array_equal(honest["high"].to_numpy()[:, 0], 1)
    np.testing.assert_array_equal(honest["low"].to_numpy()[:, 1], 0)
    assert honest["ion_content_high"] == 3
    np.testing.assert_array_equal(honest["found"], sure["found"])
    np.testing.assert_array_equal(sure["found"], sure["value"])
    assert (honest["value"][:, 0] > honest["found"][:, 0]).all()


def test_response_and_efficiency_weigh_simulated_grains_by_their_size():
    label = np.array([[0, 0, 0, 1]])
    confusion = make_confusion(np.zeros((2, 2)), names=["a", "b"], grain=[0, 1], positions=1e6)
    # Of a, grain 0 decides all, one in ten for b; grain 1 decides nothing. Grains of b are right.
    decided = np.array([[[0.9, 0.1], [0, 1.0]], [[0.0, 0], [0, 0.5]]]) * 1e6
    confusion["decided"] = (("grain", "true_phase", "phase"), decided)
    found = fractions_of([[0, 0, 0, 1]], label, names=["a", "b"], contents=CONTENTS[:2],
                         volumes=VOLUMES[:2], confusion=confusion)  # fmt: skip
    np.testing.assert_allclose(found["response"], [[0.9, 0.1], [0, 1]])
    np.testing.assert_allclose(found["efficiency"], [0.75, 0.875], atol=1e-5)
    np.testing.assert_allclose(found["condition_number"], np.linalg.cond([[0.9, 0.1], [0, 1]]))
    # 3/4 of the decided are called a, of which 9 in 10 of a are: 5/6 before efficiency.
    true = np.array([5 / 6 / 0.75, 1 / 6 / 0.875])
    np.testing.assert_allclose(found.sel(kind="area")["value"], true / true.sum(), atol=1e-5)
    np.testing.assert_allclose(found.sel(kind="area")["found"], [0.75, 0.25])


def test_a_scan_without_a_simulated_grain_is_not_unfolded():
    nothing = make_confusion(np.eye(3), grain=())
    found, plain = (fractions_of(DECISION, LABEL, confusion=c) for c in (nothing, None))
    assert found.identical(plain)
    assert np.isnan(found["condition_number"])
    np.testing.assert_array_equal(found["response"], np.eye(3))
    np.testing.assert_array_equal(found["efficiency"], 1)


def test_a_phase_that_is_never_decided_keeps_finite_fractions():
    rates = np.diag([0.9, 0.9, 0.0])
    found = of_area(fractions_of(DECISION, LABEL, confusion=make_confusion(rates)))
    assert np.isfinite(found["value"]).all()
    np.testing.assert_allclose(found["value"].sum("phase"), 1)


THICK = np.where(LABEL == 0, 3.0, 1.0)


def weighed_scan():
    """DECISION on vacuum of ten counts and more of it around, with an excess of thickness."""
    decision, label = (np.pad(m, 2, constant_values=c) for m, c in ((DECISION, V), (LABEL, -1)))
    thick = np.pad(THICK, 2)
    return decision, label, np.where(decision == V, 10.0, 10.0 + thick)


def test_thickness_weighs_positions_by_a_power_of_the_excess():
    decision, label, diffuse = weighed_scan()
    found = fractions_of(decision, label, diffuse=diffuse, exponent=(2.0, 2.0))
    amount = np.array([5 * 9, 4, 1])
    np.testing.assert_allclose(found["value"].sel(kind="thickness"), amount / amount.sum())
    moles = amount / VOLUMES
    np.testing.assert_allclose(found["value"].sel(kind="molar"), moles / moles.sum())
    assert found.attrs["molar_weight"] == "thickness"
    # The undecided one in grain a weighs nine, that in grain b one.
    thick = found.sel(kind="thickness")
    np.testing.assert_allclose(thick["bound_low"], amount / (amount.sum() + 10))
    np.testing.assert_allclose(thick["bound_high"], (amount + 10) / (amount.sum() + 10))
    plain = fractions_of(decision, label)
    np.testing.assert_allclose(found["value"].sel(kind="area"), plain["value"].sel(kind="area"))


def test_draws_spread_over_the_exponents():
    decision, label = np.zeros((2, 400), int), np.arange(800).reshape(2, 400) // 2
    decision[1], decision[:, -30:], label[:, -30:] = 1, V, -1
    label = np.unique(label, return_inverse=True)[1].reshape(label.shape) - 1
    diffuse = np.where(decision == V, 5.0, 5.0 + np.array([[4.0], [1.0]]))
    two = {"names": ["a", "b"], "contents": CONTENTS[:2], "volumes": VOLUMES[:2]}
    found = fractions_of(decision, label, diffuse=diffuse, draws=2000, **two)
    middle, low, high = (
        found[n].sel(kind="thickness").to_numpy()[0] for n in ("value", "low", "high")
    )
    assert middle == pytest.approx(4**1.5 / (4**1.5 + 1))
    assert low < 0.82 and high > 0.93  # 4/5 to 16/17


@pytest.mark.parametrize("diffuse", [None, np.full(DECISION.shape, 9.0)])
def test_without_enough_vacuum_thickness_is_unknown_and_said_to_be(diffuse):
    found = fractions_of(DECISION, LABEL, diffuse=diffuse)
    for name in ("found", "value", "low", "high", "bound_high", "sample"):
        assert np.isnan(found[name].sel(kind="thickness")).all()
    assert found.attrs["molar_weight"] == "area"


def test_unindexed_positions_are_counted_apart():
    phases, grains = make_scan(DECISION, LABEL)
    undecided = np.argwhere(phases["decision"].to_numpy() == U)
    phases["decision"][tuple(undecided[0])] = UNINDEXED
    options = {"ion_contents": CONTENTS, "formula_volumes": VOLUMES, "draws": 100, "seed": 1}
    found = phase_fractions(phases, grains, **options)
    assert (int(found["undecided"]), int(found["unindexed"])) == (1, 1)
    assert (
        sum(int(found[n]) for n in ("decided", "mixed", "undecided", "unindexed", "vacuum")) == 18
    )
    plain = fractions_of(DECISION, LABEL, draws=100)
    np.testing.assert_array_equal(found["bound_low"], plain["bound_low"])


def test_threshold_sweep():
    decision = np.array([[0, 0, 1, MIXED], [U, U, U, V]])
    sure = np.array([[0.99999, 0.96, 0.97, 0.6], [0.85, 0.93, 0.99, 0.6]])
    best = np.array([[0, 0, 1, 0], [1, 0, 1, 0]])
    posterior = np.where(best[..., None] == [0, 1], sure[..., None], 1 - sure[..., None])
    phases, grains = make_scan(decision, np.zeros((2, 4), int), names=["a", "b"],
                               posterior=posterior)  # fmt: skip
    phases["explained"][:] = 1.0
    phases["explained"][1, 1] = 0.1  # undecided at any threshold
    found = phase_fractions(phases, grains, ion_contents=[2, 1], formula_volumes=[1, 1],
                            draws=100, seed=1).set_coords("threshold")  # fmt: skip
    area = dict(
        zip(found["threshold"].to_numpy(), found["swept_area"].to_numpy().tolist(), strict=True)
    )
    # (1, 2) was refused for another reason than its posterior.
    assert area[0.5] == area[0.8] == [2.5, 2.5]
    assert area[0.9] == area[0.95] == [2.5, 1.5]
    assert area[0.98] == area[0.999] == [1.5, 0.5]
    crystal = found["swept_area"].sum("phase") + found["swept_undecided"]
    np.testing.assert_array_equal(crystal, 7)
    at_limit = found["swept_area"].to_numpy()[list(area).index(0.95)]
    np.testing.assert_array_equal(at_limit, found["unit_amount"].to_numpy()[0].sum(axis=0))


confusions = st.floats(0, 0.1).map(lambda e: np.array([[1 - e, e / 2, e / 2], [e, 1 - e, 0],
                                                       [0, e, 1 - e]]))  # fmt: skip


efficiencies = arrays("f8", 3, elements=st.floats(0.2, 1))


@given(response=confusions, efficiency=efficiencies, seed=st.integers(0, 2**31))
def test_unfolding_finds_the_true_fractions(response, efficiency, seed):
    true = np.random.default_rng(seed).dirichlet([5, 5, 5], size=7)
    decided = true * efficiency
    found = decided / decided.sum(axis=1, keepdims=True) @ response
    np.testing.assert_allclose(unfold(found, response, efficiency), true, atol=1e-10)


@given(response=confusions, seed=st.integers(0, 2**31))
def test_unfolding_is_the_nearest_on_the_simplex(response, seed):
    rng = np.random.default_rng(seed)
    found = rng.dirichlet([0.2, 0.2, 0.2])
    best = unfold(found, response, np.ones(3))
    assert (best >= 0).all()
    np.testing.assert_allclose(best.sum(), 1)
    others = rng.dirichlet([1, 1, 1], size=500)
    near = np.concatenate([others, 0.99 * best + 0.01 * others])
    distance = np.linalg.norm(found - near @ response, axis=1)
    assert np.linalg.norm(found - best @ response) <= distance.min() + 1e-6


def test_unfolding_stops_at_zero():
    response = np.array([[0.98, 0.02], [0.02, 0.98]])
    np.testing.assert_allclose(unfold(np.array([0.99, 0.01]), response, np.ones(2)), [1, 0])
    # Phases that a scan cannot tell apart at all.
    alike = unfold(np.array([0.7, 0.3]), np.full((2, 2), 0.5), np.ones(2))
    np.testing.assert_allclose(alike, 0.5)


def test_same_seed_same_draws():
    first, second = (fractions_of(DECISION, LABEL)["sample"] for _ in range(2))
    np.testing.assert_array_equal(first, second)


grain_areas = arrays("f8", st.tuples(st.integers(1, 12), st.integers(2, 4)), elements=st.floats(
    0, 500, allow_subnormal=False)).filter(lambda a: np.all(a.sum(axis=1) > 1e-3))  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(grain_area=grain_areas, error=st.floats(0, 0.05), seed=st.integers(0, 2**31))
def test_draws_are_fractions(grain_area, error, seed):
    count = grain_area.shape[1]
    options = {"response": (1 - count * error) * np.eye(count) + error, "draws": 20, "seed": seed}
    draws = electrode.draw_fractions([grain_area], **options)
    assert draws.shape == (20, count)
    assert (draws >= 0).all()
    np.testing.assert_allclose(draws.sum(axis=1), 1)
    # The unit of area does not matter.
    np.testing.assert_allclose(
        draws, electrode.draw_fractions([3.7 * grain_area], **options), atol=1e-6
    )


maps = arrays("i8", (5, 6), elements=st.integers(-3, 2))


@settings(max_examples=40, deadline=None)
@given(decision=maps, label=arrays("i8", (5, 6), elements=st.integers(-1, 3)))
def test_fractions_sum_to_one_and_intervals_are_ordered(decision, label):
    label[decision == VACUUM] = -1
    label = np.unique(label, return_inverse=True)[1].reshape(label.shape) - int(label.min() < 0)
    found = fractions_of(decision, label, draws=100)
    counts = ("decided", "mixed", "undecided", "unindexed", "vacuum")
    assert sum(int(found[name]) for name in counts) == found["patterns"] == 30
    assert found["ion_content_low"] <= found["ion_content_high"]
    found = of_area(found)
    assert (found["low"] <= found["high"]).all()
    assert (found["bound_low"] <= found["bound_high"]).all()
    if ((decision >= 0) | (decision == MIXED)).any():
        np.testing.assert_allclose(found["value"].sum("phase"), 1)
        assert ((found["low"] <= found["value"]) & (found["value"] <= found["high"])).all()
        assert (found["bound_low"] <= found["value"] + 1e-12).all()
        assert (found["value"] <= found["bound_high"] + 1e-12).all()
        assert found["ion_content_low"] <= found["ion_content"] <= found["ion_content_high"]


@settings(max_examples=20, deadline=None)
@given(decision=maps, order=st.permutations(range(3)))
def test_order_of_phases_does_not_matter(decision, order):
    decision[decision == MIXED] = UNDECIDED  # whose shares, by default, follow the order
    decision[0, 0] = 0
    label = np.where(decision >= -1, np.arange(6) // 2, -1)
    label = np.unique(label, return_inverse=True)[1].reshape(label.shape) - int(label.min() < 0)
    plain = fractions_of(decision, label, draws=10000)
    place = np.argsort(order)
    permuted = fractions_of(
        np.where(decision >= 0, place[decision], decision), label, draws=10000,
        names=[NAMES[k] for k in order], contents=[CONTENTS[k] for k in order],
        volumes=[VOLUMES[k] for k in order],
    )  # fmt: skip
    plain, same = of_area(plain), of_area(permuted.sel(phase=NAMES))
    for name in ("value", "bound_low", "bound_high"):
        np.testing.assert_allclose(plain[name], same[name])
    for name in ("low", "high", "ion_content_low"):
        np.testing.assert_allclose(plain[name], same[name], atol=0.08)


def test_pooled_scans_are_one_population():
    whole = fractions_of(DECISION, LABEL)
    left = fractions_of(DECISION[:, :4], LABEL[:, :4], name="left")
    right = fractions_of(DECISION[:, 4:], np.maximum(LABEL[:, 4:] - 1, -1), name="right")
    pooled = pool_fractions([left, right], seed=1)
    assert pooled.attrs["scan"] == "left, right"
    for name in ("value", "low", "high", "bound_low", "decided", "undecided", "ion_content_low",
                 "swept_area", "swept_undecided", "effective_grains"):  # fmt: skip
        np.testing.assert_allclose(pooled[name], whole[name])


def test_pool_of_one_scan_is_that_scan():
    only = fractions_of(DECISION, LABEL)
    assert pool_fractions([only]).identical(only)


def test_pooling_unfolds_by_the_responses_of_all_scans():
    rates = np.array([[0.9, 0.1], [0.0, 0.8]])
    two = {"names": ["a", "b"], "contents": CONTENTS[:2], "volumes": VOLUMES[:2]}
    confusion = make_confusion(rates, names=["a", "b"], positions=1e6)
    one = fractions_of([[0, 0, 1]], [[0, 0, 0]], **two, confusion=confusion)
    pooled = pool_fractions([one, one])
    for name in ("response", "efficiency", "found", "value", "condition_number", "bound_high"):
        np.testing.assert_allclose(pooled[name], one[name], rtol=1e-6)
    # A scan without simulated grains is taken to answer as the others do.
    blind = fractions_of([[0, 0, 1]], [[0, 0, 0]], **two)
    np.testing.assert_allclose(pool_fractions([one, blind])["response"], one["response"])


def test_pooled_thickness_is_relative_to_each_scan_and_needs_all():
    decision, label, diffuse = weighed_scan()
    thin = fractions_of(decision, label, diffuse=diffuse)
    bright = fractions_of(decision, label, diffuse=20 + 7 * (diffuse - 10))
    pooled = pool_fractions([thin, bright])
    np.testing.assert_allclose(pooled["value"], thin["value"])
    blind = pool_fractions([thin, fractions_of(decision, label)])
    assert np.isnan(blind["value"].sel(kind="thickness")).all()
    assert blind.attrs["molar_weight"] == "area"


def test_table_has_a_row_for_each_kind_and_phase():
    one = fractions_of(DECISION, LABEL)
    table = fraction_table([("scan", "map", one), ("experiment", "run", one)])
    assert len(table) == 2 * 3 * 3
    row = table.set_index(["level", "kind", "phase"]).loc[("scan", "molar", "b")]
    assert row["value"] == one["value"].sel(kind="molar", phase="b").item()
    assert (row["undecided"], row["vacuum"], row["name"]) == (2, 6, "map")


def test_tabulate_by_its_command_line(tmp_path):
    decision, label, diffuse = weighed_scan()
    paths = []
    for name in ("one", "two", "three"):
        found = fractions_of(decision, label, diffuse=diffuse, name=name)
        paths.append(tmp_path / f"{name}.nc")
        netcdf.write(found, paths[-1], FRACTIONS)
    states = []
    for state, scans in (("x", paths[:2]), ("y", paths[2:])):
        states.append(tmp_path / f"state-{state}.nc")
        done = subprocess.run(
            [sys.executable, "scripts/pool_fractions.py", "--fractions", *scans, "--name", state,
             "--seed", "1", "--pooled", states[-1]],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    labels = load(ROOT / "config/demo.yaml").section("material.labels")
    pictures = []
    for number in (1, 2):
        table, figure = tmp_path / f"{number}.csv", tmp_path / f"{number}.png"
        done = subprocess.run(
            [sys.executable, "scripts/tabulate_fractions.py", "--fractions", *paths, "--states",
             *states, "--labels", labels, "--seed", "1", "--name", "run",
             "--table", table, "--figure", figure],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        pictures.append(figure.read_bytes())
    assert pictures[0] == pictures[1]
    rows = pd.read_csv(table)
    assert rows.groupby("level").size().to_dict() == {"scan": 27, "state": 18, "experiment": 9}
    whole = rows[(rows["level"] == "experiment") & (rows["kind"] == "area")]
    assert (whole["patterns"] == 3 * decision.size).all()
    # Three alike are found as one is, and known better.
    one = rows[(rows["name"] == "one") & (rows["kind"] == "area")]
    np.testing.assert_allclose(whole["value"], one["value"])
    assert ((whole["high"] - whole["low"]).to_numpy() < (one["high"] - one["low"]).to_numpy()).all()


def test_pooling_weights_positions_by_their_area():
    first = fractions_of([[0, 0]], [[0, 0]], step=10.0)
    second = fractions_of([[1]], [[0]], step=20.0)
    pooled = pool_fractions([first, second], seed=1)
    np.testing.assert_allclose(pooled["value"].sel(kind="area"), [1 / 3, 2 / 3, 0])
    unknown = fractions_of([[1]], [[0]], step=np.nan)
    pooled = pool_fractions([first, unknown], seed=1)
    np.testing.assert_allclose(pooled["value"].sel(kind="area"), [2 / 3, 1 / 3, 0])


def test_fractions_are_written_and_read_back(tmp_path):
    found = fractions_of(DECISION, LABEL)
    netcdf.write(found, tmp_path / "fractions.nc", FRACTIONS)
    again = netcdf.read(tmp_path / "fractions.nc", FRACTIONS)
    np.testing.assert_array_equal(again["value"], found["value"])


def test_unusable_input_is_refused():
    phases, _ = make_scan(DECISION, LABEL)
    _, grains = make_scan(DECISION[:2], LABEL[:2])
    options = {"ion_contents": CONTENTS, "formula_volumes": VOLUMES, "seed": 1}
    with pytest.raises(InputError, match="do not fit"):
        phase_fractions(phases, grains, **options)
    with pytest.raises(InputError, match="diffuse levels"):
        fractions_of(DECISION, LABEL, diffuse=np.zeros((2, 2)))
    with pytest.raises(InputError, match="simulated phases"):
        fractions_of(DECISION, LABEL, confusion=make_confusion(np.eye(2), names=["a", "b"]))
    with pytest.raises(InputError, match="grains that the scan does not have"):
        fractions_of(DECISION, LABEL, confusion=make_confusion(np.eye(3), grain=[7]))
    with pytest.raises(InputError, match="formula volume"):
        fractions_of(DECISION, LABEL, volumes=[220, 0, 210])
    other = fractions_of(DECISION, LABEL, names=["a", "b", "d"])
    with pytest.raises(InputError, match="phases differ"):
        pool_fractions([fractions_of(DECISION, LABEL), other], seed=1)
    other = fractions_of(DECISION, LABEL, exponent=(1.0, 1.6))
    with pytest.raises(InputError, match="settings differ"):
        pool_fractions([fractions_of(DECISION, LABEL), other], seed=1)


def pure(rng, share, count):
    return np.eye(len(share))[rng.choice(len(share), size=count, p=share)]


def mixed(concentration):
    return lambda rng, share, count: rng.dirichlet(concentration * np.array(share), size=count)


# Grains as insertion models leave them: all-or-none; straight fronts (any share, hence 2 to 3);
# core-shell of one depth (much the same share in each).
POPULATIONS = {
    "pure": (pure, (0.0, 1.0, 0.0)),
    "all-or-none": (pure, (0.4, 0.6)),
    "all-or-none, few": (pure, (0.1, 0.9)),
    "all-or-none, three phases": (pure, (0.6, 0.25, 0.15)),
    "straight-front": (mixed(2.5), (0.5, 0.5)),
    "core-shell": (mixed(12), (0.3, 0.7)),
    "core-shell, thin": (mixed(12), (0.07, 0.93)),
}
DECIDE_ABOVE = 0.95


def decide(rng, areas, separation):
    """A scan with a grain in each row, 100 positions to the unit of `areas` (grain, phase).

    The evidence of each phase is normal, higher by `separation` sigma for the true one; posteriors
    are what Bayes' rule makes of it.
    """
    count = areas.shape[1]
    rows = [np.repeat(np.arange(count), np.round(100 * row).astype(int)) for row in areas]
    true = np.full((len(rows), max(map(len, rows))), VACUUM)
    for row, phases in zip(true, rows, strict=True):
        row[: len(phases)] = phases
    evidence = rng.standard_normal((*true.shape, count))
    evidence += separation * (true[..., None] == np.arange(count))
    posterior = np.exp(separation * evidence)
    posterior /= posterior.sum(axis=-1, keepdims=True)
    decision = np.where(posterior.max(axis=-1) > 0.95, posterior.argmax(axis=-1), UNDECIDED)
    label = np.where(true == VACUUM, -1, np.arange(len(rows))[:, None])
    return np.where(true == VACUUM, VACUUM, decision), label, posterior


def simulate(rng, count, separation, grains):
    """CONFUSION of 100 positions of each phase in each grain."""
    decided = np.zeros((grains, count, count))
    for true in range(count):
        decision, _, _ = decide(rng, np.tile(np.eye(count)[true], (grains, 1)), separation)
        for phase in range(count):
            decided[:, true, phase] = np.sum(decision == phase, axis=1)
    confusion = make_confusion(
        np.eye(count), names=NAMES[:count], grain=range(grains), positions=100
    )
    return confusion.assign(
        decided=(("grain", "true_phase", "phase"), decided),
        undecided=(("grain", "true_phase"), 100 - decided.sum(axis=-1)),
    )


def coverage(population, *, grains, separation, scans, draws):
    """Share of 95 % intervals that hold the population's fractions, and errors (scan, phase)."""
    make, share = POPULATIONS[population]
    share, count = np.array(share), len(share)
    rng = np.random.default_rng(0)
    hits, errors = [], []
    for _ in range(scans):
        areas = rng.lognormal(sigma=0.5, size=(grains, 1)) * make(rng, share, grains)
        decision, label, posterior = decide(rng, areas, separation)
        confusion = simulate(rng, count, separation, grains)
        found = fractions_of(
            decision, label, posterior=posterior, names=NAMES[:count], contents=CONTENTS[:count],
            volumes=VOLUMES[:count], draws=draws, confusion=confusion,
        ).sel(kind="area")  # fmt: skip
        # A handful of mistakes varies by itself: misses below 0.003 do not count.
        low, high = found["low"].to_numpy() - 0.003, found["high"].to_numpy() + 0.003
        hits.append((low <= share) & (share <= high))
        errors.append(found["value"].to_numpy() - share)
    return np.mean(hits), np.array(errors)


def test_intervals_cover_the_population_on_average():
    covered = [
        coverage(name, grains=12, separation=3, scans=30, draws=200)[0] for name in POPULATIONS
    ]
    # 210 scans: standard error near 0.015; quantiles of 200 draws cost about 0.01.
    assert 0.91 < np.mean(covered) < 0.99


@pytest.mark.slow
@pytest.mark.parametrize("separation", [2, 4])
@pytest.mark.parametrize("grains", [3, 6, 12, 30])
@pytest.mark.parametrize("population", POPULATIONS)
def test_intervals_cover_each_population(population, grains, separation):
    """Phases that are told apart badly (1 % wrong) and well."""
    covered, errors = coverage(
        population, grains=grains, separation=separation, scans=200, draws=400
    )
    # Standard error near 0.016. The least are 0.85 (twelve all-or-none grains, few of one phase)
    # and 0.87 (three pure ones, badly decided: the number of mistakes varies by itself).
    assert covered > 0.8
    # Mistakes make pure scans look mixed.
    stderr = errors.std(axis=0) / np.sqrt(len(errors))
    assert (np.abs(errors.mean(axis=0)) < 4 * stderr + 0.015).all()
