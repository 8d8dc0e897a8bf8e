"""Labels of constructed states and histories."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from phasefront.virtual.insertion import cartoons
from phasefront.virtual.insertion.morphology import (
    NONE,
    UNIFORM,
    WHOLE,
    look_at,
    morphology_of_history,
    morphology_of_state,
    shares_of_history,
)
from phasefront.virtual.insertion.outlines import draw_outlines

SIZE = 40
Y, X = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
DISK = np.hypot(Y, X) < 17
HEXAGON = np.max([np.abs(np.cos(a) * X + np.sin(a) * Y) for a in (0, 1.047, 2.094)], axis=0) < 15
SHARES = np.linspace(0.06, 0.94, 23)


def state(height, inside=DISK):
    """A smooth interface where the height is 0, rich above."""
    return np.where(inside, 1 / (1 + np.exp(-np.clip(height / 0.7, -60, 60))), 0)


def look(height, inside=DISK, inserting=True):
    return morphology_of_state(state(height, inside), inside, inserting=inserting)


SHAPES = {
    "straight across": (X - 3, "front"),
    "slanted": (0.6 * X + 0.8 * Y + 4, "front"),
    "bent": (12 - np.hypot(X - 16, Y), "curved front"),
    "hollow": (np.hypot(X - 16, Y) - 14, "curved front"),
    "rich band": (4 - np.abs(X - 1), "band"),
    "poor band": (np.abs(X - 1) - 4, "band"),
    "poor inside": (np.hypot(X - 2, Y + 1) - 8, "core"),
    "rich inside": (8 - np.hypot(X - 2, Y + 1), "inner nucleus"),
    "two islands": (np.maximum(5 - np.hypot(X - 7, Y), 5 - np.hypot(X + 7, Y)), "mosaic"),
    "island before a front": (np.maximum(X - 8, 4 - np.hypot(X + 6, Y)), "mosaic"),
    "four quarters": (X * Y / 6 + 0.3, "mosaic"),
    "three stripes": (6 * np.sin(X / 3.2), "mosaic"),
    "two corners": (
        np.maximum(10 - np.hypot(X - 16, Y - 6), 10 - np.hypot(X + 2, Y + 18)), "mosaic"
    ),
    "ring": (2.5 - np.abs(np.hypot(X, Y) - 9), NONE),
    "winding band": (4 - np.abs(X - 5 * np.sin(Y / 3)), NONE),
    "winding front": (X - 6 * np.sin(Y / 2.5), NONE),
    "slope": (X / 12, NONE),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_state_is_called_by_its_shape(name):
    height, expected = SHAPES[name]
    assert look(height) == expected


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("inside", [DISK, HEXAGON])
def test_turns_and_mirror_images_change_no_name(name, inside):
    height, _ = SHAPES[name]
    content = state(height, inside)
    for turns in range(4):
        for flip in (False, True):
            one, its = (np.rot90(array, turns) for array in (content, inside))
            one, its = (array[:, ::-1] if flip else array for array in (one, its))
            seen = morphology_of_state(one, its, inserting=True)
            assert seen == morphology_of_state(content, inside, inserting=True)


@pytest.mark.parametrize("name", SHAPES)
def test_phases_changed_with_the_direction_leave_the_name(name):
    height, expected = SHAPES[name]
    assert look(-height, inserting=False) == expected


@pytest.mark.parametrize(
    ("content", "expected"), [(0.05, WHOLE), (0.5, UNIFORM), (0.35, UNIFORM), (0.97, WHOLE)]
)
def test_a_grain_of_one_phase_is_whole_or_uniform(content, expected):
    assert morphology_of_state(content * DISK, DISK, inserting=True) == expected


def test_specks_and_short_contacts_do_not_count():
    height = X - 1.0
    content = state(height)
    content[18:20, 10:12] = 1.0  # 4 of 900 cells
    seen = look_at(content, DISK)
    assert (seen.rich_domains, seen.poor_domains, seen.contacts) == (1, 1, 2)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), direction=st.floats(0, np.pi), share=st.floats(0.2, 0.8))
def test_straight_fronts_of_any_grain_are_fronts_with_their_direction(seed, direction, share):
    inside = draw_outlines(1, SIZE, np.random.default_rng(seed))[0]
    along = np.cos(direction) * X + np.sin(direction) * Y
    content = state(along - np.quantile(along[inside], 1 - share), inside)
    assert morphology_of_state(content, inside, inserting=True) == "front"
    trace = look_at(content, inside).interfaces[0].direction_deg
    apart = (trace - np.degrees(direction) - 90) % 180
    assert min(apart, 180 - apart) < 2


def told(contents, inside=DISK, inserting=True):
    return morphology_of_history(shares_of_history(contents, inside, inserting=inserting))


def history(kind, seed=3, inside=DISK):
    return cartoons.draw_history(kind, inside, SHARES, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("front", "front"), ("core", "core"), ("inner nucleus", "inner nucleus"),
        ("uniform", UNIFORM), ("band", "band"), ("slope", NONE), ("ring", NONE),
    ],
)  # fmt: skip
def test_a_history_is_called_by_what_it_shows_longest(kind, expected):
    assert told(history(kind)) == expected


def test_a_history_is_called_the_same_however_the_grain_lies():
    for kind in ("front", "curved front", "band", "core", "mosaic", "finger"):
        states = history(kind)
        names = {
            told([np.rot90(one, k)[::flip] for one in states], np.rot90(DISK, k)[::flip])
            for k in range(4) for flip in (1, -1)
        }  # fmt: skip
        assert len(names) == 1


def test_the_direction_of_the_ions_tells_a_core_from_an_inner_nucleus():
    rich_inside = [state(radius - np.hypot(X, Y)) for radius in (6, 9, 12)]
    assert told(rich_inside) == "inner nucleus"
    assert told(rich_inside[::-1], inserting=False) == "core"


def test_a_grain_that_jumps_is_whole():
    jumping = [0.04 * DISK] * 12 + [0.96 * DISK] * 11
    assert told(jumping) == WHOLE


def test_states_of_no_majority_are_none_of_these():
    rows = [state(SHAPES[name][0]) for name in ("bent", "two islands", "rich band")]
    assert told(rows) == NONE


def test_a_front_that_bends_now_and_then_keeps_the_name_of_the_longer_part():
    straight, bent = state(SHAPES["straight across"][0]), state(SHAPES["bent"][0])
    assert told([straight] * 5 + [bent] * 4) == "front"
    assert told([straight] * 4 + [bent] * 5) == "curved front"


@pytest.mark.parametrize("kind", cartoons.KINDS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), share=st.floats(0.1, 0.9))
def test_drawings_hold_the_share_asked_for(kind, seed, share):
    rng = np.random.default_rng(seed)
    inside = draw_outlines(1, SIZE, rng)[0]
    drawn = cartoons.draw_history(kind, inside, [share], rng)[0]
    assert drawn[inside].mean() == pytest.approx(share, abs=1e-6)
    assert drawn.min() >= 0 and drawn.max() <= 1 and not drawn[~inside].any()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(24, 60))
@example(seed=4510, size=47)
def test_outlines_are_one_piece_and_keep_off_the_border(seed, size):
    from scipy import ndimage

    inside = draw_outlines(1, size, np.random.default_rng(seed))[0]
    assert ndimage.label(inside)[1] == 1
    border = np.ones_like(inside)
    border[2:-2, 2:-2] = False
    assert not (inside & border).any()
    assert inside.sum() > 0.06 * size**2  # of 6000 outlines the smallest has 0.078
