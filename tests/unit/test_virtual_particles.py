"""Grains and insertion models of the virtual experiment."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasefront.core.errors import InputError
from phasefront.virtual import particles
from phasefront.virtual.particles import VirtualPhase

PHASES = [
    VirtualPhase("rich", "A", 3),
    VirtualPhase("middle", "B", 2),
    VirtualPhase("poor", "C", 1),
]
CONTENTS = [phase.ion_content for phase in PHASES]


def make(seed=5, count=12, shape=(48, 56)):
    return particles.make_grains(
        shape, count=count, scan_step_nm=10, thickness_nm=(25, 80), rng=np.random.default_rng(seed)
    )


def react(grains, share, model, seed=1, directions=None):
    rng = np.random.default_rng(seed)
    if directions is None:
        directions = rng.normal(size=(len(grains.depth), 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    shares = particles.draw_shares(grains.volumes, share, model=model, rng=rng)
    return particles.react(
        grains, shares, model=model, front_directions=directions, scan_step_nm=10
    )


def test_grains_overlap_thin_out_and_leave_vacuum():
    grains = make()
    layers = (grains.thickness > 0).sum(axis=0)
    assert (layers == 0).mean() > 0.1
    assert (layers > 1).any()
    present = grains.thickness[grains.thickness > 0]
    assert present.min() >= 8 and present.max() <= 100
    edge = grains.thickness[(grains.depth > 0) & (grains.depth < 1)]
    assert edge.mean() < present.mean()


@settings(max_examples=25, deadline=None)
@given(
    share=st.floats(0.02, 0.98),
    model=st.sampled_from(["core-shell", "straight-front"]),
    seed=st.integers(0, 1000),
)
def test_graded_models_meet_any_share_exactly(share, model, seed):
    grains = make(seed % 5)
    rich = react(grains, share, model, seed)
    assert rich.min() >= 0 and rich.max() <= 1
    assert not rich[grains.thickness == 0].any()
    reached = (rich * grains.thickness).sum() / grains.volumes.sum()
    assert reached == pytest.approx(share, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(share=st.floats(0.1, 0.9), seed=st.integers(0, 1000))
def test_all_or_none_changes_whole_grains_and_comes_near(share, seed):
    grains = make(seed % 5)
    rich = react(grains, share, "all-or-none", seed)
    per_grain = rich.max(axis=(1, 2))
    assert set(np.unique(rich)) <= {0.0, 1.0}
    assert per_grain @ grains.volumes / grains.volumes.sum() == pytest.approx(share, abs=0.02)
    assert np.array_equal(rich > 0, (grains.thickness > 0) & (per_grain > 0)[:, None, None])


@pytest.mark.parametrize("model", particles.INSERTION_MODELS)
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_pure_states_hold_one_phase(model, share):
    grains = make()
    rich = react(grains, share, model)
    assert np.all(rich[grains.thickness > 0] == share)


@pytest.mark.parametrize("model", particles.INSERTION_MODELS)
@pytest.mark.parametrize("share", [0.0, 0.03, 0.4, 1.0])
def test_independent_grains_have_the_mean_of_their_population(model, share):
    volumes = np.random.default_rng(0).uniform(1, 9, 20_000)
    rng = np.random.default_rng(1)
    drawn = particles.draw_shares(volumes, share, model=model, independent=True, rng=rng)
    error = drawn.std() / np.sqrt(len(drawn))
    assert abs(drawn.mean() - share) <= 4 * error
    assert np.average(drawn, weights=volumes) == pytest.approx(share, abs=5 * error)
    # Five grains of such a population are no image of it.
    few = [
        particles.draw_shares(volumes[:5], share, model=model, independent=True, rng=rng)
        for _ in range(200)
    ]
    spread = np.average(few, axis=1, weights=volumes[:5]).std()
    expected = drawn.std() * np.linalg.norm(volumes[:5]) / volumes[:5].sum()
    assert spread == pytest.approx(expected, rel=0.2)
    if model == "all-or-none":
        assert set(drawn) <= {0.0, 1.0}


def test_core_is_rich_and_shell_is_poor():
    grains = make()
    rich = react(grains, 0.5, "core-shell")
    for share, depth, thickness in zip(rich, grains.depth, grains.thickness, strict=True):
        inside = thickness > 0
        assert np.all(np.diff(share[inside][depth[inside].argsort()]) >= -1e-12)


def test_straight_front_lies_across_its_normal_and_widens_when_inclined():
    grains = make()
    count = len(grains.depth)
    upright = np.tile([0.6, 0.8, 0.0], (count, 1))
    inclined = np.tile([0.6 * 0.6, 0.8 * 0.6, 0.8], (count, 1))
    y, x = np.mgrid[: grains.depth.shape[1], : grains.depth.shape[2]]
    along = 0.6 * x + 0.8 * y
    rich = react(grains, 0.5, "straight-front", directions=upright)
    for share, thickness in zip(rich, grains.thickness, strict=True):
        inside = thickness > 0
        assert np.all(np.diff(share[inside][along[inside].argsort()]) >= -1e-12)
    mixed = (rich > 0.05) & (rich < 0.95)
    wide = react(grains, 0.5, "straight-front", directions=inclined)
    assert ((wide > 0.05) & (wide < 0.95)).sum() > 2 * mixed.sum()


@pytest.mark.parametrize(
    ("ion_content", "expected"),
    [
        (3, (1, 0, 1.0)),
        (2.5, (1, 0, 0.5)),
        (2, (2, 1, 1.0)),
        (1.25, (2, 1, 0.25)),
        (1, (2, 1, 0.0)),
    ],
)
def test_lever_rule(ion_content, expected):
    assert particles.neighbouring_phases(CONTENTS, ion_content) == pytest.approx(expected)


@pytest.mark.parametrize("ion_content", [0.9, 3.1])
def test_states_outside_the_phases_are_refused(ion_content):
    with pytest.raises(InputError, match=r"ion_content.*ask for 1 to 3"):
        particles.neighbouring_phases(CONTENTS, ion_content)


def test_unknown_model_is_refused():
    with pytest.raises(InputError, match="all-or-none, core-shell, straight-front"):
        react(make(), 0.5, "domino")


@given(fraction=st.floats(0, 1), own=st.floats(50, 300), other=st.floats(50, 300))
def test_volume_share_gives_back_the_molar_fraction(fraction, own, other):
    share = particles.volume_share(fraction, formula_volume=own, other=other)
    moles, other_moles = share / own, (1 - share) / other
    assert moles / (moles + other_moles) == pytest.approx(fraction, abs=1e-12)
