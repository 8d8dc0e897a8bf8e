"""The band at a front, fitted to contents of made grains whose front is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasefront.series import alignment, bands, fronts, histories
from phasefront.series.grain_fronts import _at_edge, _Outline
from phasefront.series.histories import Gaps

SCANS, FIRST, BAND = 16, 400.0, 60.0


def made(seed, *, angle, onward=True, misread=0.0, shaken=0.0, turned=0.0, shear=0.0, off=0.0):
    """A round grain through which a front goes at 0.016 a second: fits by times and by contents.

    Scans see the front `shaken` places beside where it is (standard deviation), and lie on the
    first `turned` degrees from each other (standard deviation), so that they read places aside.
    Every other scan sees the front `off` s late; whoever fits knows that it may be by 10 s.
    """
    rng, other = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    y, x = np.nonzero(np.hypot(*(np.mgrid[:24, :24] - 12.0)) < 8)
    time = 100.0 * np.arange(SCANS) + 3.0 * y[:, None] + 0.1 * x[:, None]
    place = np.stack([y, x], axis=1).astype("f8")
    turns = [alignment._rotation(turned * one).ravel() for one in other.normal(size=SCANS)]
    values = [np.append(turn, [0.0, 0.0]) for turn in turns]
    read = [
        alignment.back(one, (24, 24), alignment.nearest(one, (24, 24), (24, 24))[0][:, y, x]).T
        for one in values
    ]
    read = np.stack(read, axis=1)
    way = np.array([np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))])
    passing = FIRST + BAND / 2 + (read @ way - (place @ way).min()) / 0.016
    beside = shaken / 0.016 * rng.normal(size=SCANS)
    flows = np.arange(SCANS) % 2 == 0
    share = np.clip((passing + beside - time - off * flows) / BAND + 0.5, 0, 1)
    share = share if onward else 1 - share
    stderr = np.full(share.shape, 0.1)
    content = 2 + share + 0.07 * rng.normal(size=share.shape) + 0.07 * rng.normal(size=(len(y), 1))
    wrong = rng.random(share.shape) < misread
    content = np.where(wrong, rng.uniform(2, 3, share.shape), content)
    gaps = Gaps(*((np.ones(SCANS - 1), np.zeros(SCANS - 1)) if onward else
                  (np.zeros(SCANS - 1), np.ones(SCANS - 1))))  # fmt: skip
    chain = histories.fit(content, stderr, gaps, (3.0, 2.0))
    found = fronts.fit(fronts.courses(chain, content, stderr, time, onward=onward), y, x, seed=seed)
    late = np.broadcast_to(10.0 * flows * (off > 0), time.shape)
    return found, bands.refine(
        found, chain, content, stderr, time, place, read, late=late, shear=shear, onward=onward
    )


@pytest.mark.parametrize("onward", [True, False])
@pytest.mark.parametrize("angle", [0, 90, 217])
def test_a_band_tells_its_front_to_a_part_of_the_way_between_places(angle, onward):
    _, found = made(angle, angle=angle, onward=onward)
    assert found.start[0] == pytest.approx(FIRST, abs=10)  # of 62 s from place to place
    assert found.start[1] < FIRST < found.start[2] < found.start[1] + 80
    assert found.speed[0] == pytest.approx(0.016, rel=0.02)
    assert found.speed[1] < 0.016 < found.speed[2]
    assert abs((found.direction[0] - angle + 180) % 360 - 180) < 1.5


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1000), angle=st.floats(0, 360))
def test_contents_tell_where_a_front_is_whichever_way_it_goes(seed, angle):
    by_times, by_contents = made(seed, angle=angle)
    assert by_contents.start[0] == pytest.approx(FIRST, abs=20)
    assert by_contents.start[1] < FIRST < by_contents.start[2]
    assert by_contents.positions == by_times.positions
    assert by_contents.ahead.min() == 0


@pytest.mark.slow
def test_scans_that_lie_turned_on_the_first_turn_no_front():
    off = []
    for seed in range(3):
        _, found = made(seed, angle=80.0 * seed, turned=2.0)
        off.append((found.direction[0] - 80 * seed + 180) % 360 - 180)
        assert found.start[0] == pytest.approx(FIRST, abs=12)
        assert found.speed[0] == pytest.approx(0.016, rel=0.015)
    assert np.abs(off).max() < 0.25  # were all read at the first scan's places: 0.3 to 0.9


@pytest.mark.slow
def test_a_first_scan_that_may_lean_widens_directions_alone():
    _, firm = made(2, angle=30)
    _, leaning = made(2, angle=30, shear=0.01)
    lean = np.rad2deg(0.01 * np.cos(np.deg2rad(30)))  # of a front that goes so against the rows
    more = np.sqrt(np.ptp(leaning.direction[1:]) ** 2 - np.ptp(firm.direction[1:]) ** 2) / 2
    assert 1.9 * lean < more < 2.4 * lean  # Student's quantile
    assert np.ptp(leaning.start) < 1.1 * np.ptp(firm.start)


@pytest.mark.slow
def test_a_clock_that_is_off_while_the_current_flows_is_in_the_intervals():
    _, right = made(3, angle=70)
    _, late = made(3, angle=70, off=15.0)
    for found in (right, late):
        assert found.start[1] < FIRST < found.start[2]
        assert found.speed[1] < 0.016 < found.speed[2]
    assert np.ptp(late.start) > np.ptp(right.start)


def test_a_band_that_no_scan_sees_tells_nothing():
    seen = bands._Seen(
        np.zeros((20, 4, 2)), np.ones((20, 4)), np.zeros((20, 4)), np.zeros((20, 4)),
        np.broadcast_to(np.eye(4), (20, 4, 4)),
    )  # fmt: skip
    assert bands._fitted(seen, np.array([-5.0, 0.1, 0.1, 0.0])) is None


def test_misread_places_hardly_move_it():
    _, found = made(4, angle=30, misread=0.03)
    assert found.start[0] == pytest.approx(FIRST, abs=20)


@pytest.mark.slow
def test_scans_that_lie_badly_on_the_first_widen_its_interval():
    _, still = made(5, angle=30)
    _, shaken = made(5, angle=30, shaken=0.5)
    assert np.ptp(shaken.start) > 1.2 * np.ptp(still.start)
    assert shaken.start[1] < FIRST < shaken.start[2]


def test_an_edge_lies_anywhere_in_the_step_before_the_first_position():
    speed = 0.02  # positions a second: 50 s from one to the next
    found = _at_edge(np.array([1000.0, 999.99, 1000.01]), speed)
    true = 1000 - 50 * np.linspace(0, 1, 2001)
    assert found[0] == pytest.approx(true.mean())
    assert np.mean((true > found[1]) & (true < found[2])) == pytest.approx(0.95, abs=0.001)
    wide = _at_edge(np.array([1000.0, 970.0, 1060.0]), speed)
    assert wide - wide[0] == pytest.approx([0, -np.hypot(30, 23.75), np.hypot(60, 23.75)])


def test_a_front_is_seen_to_begin_where_bare_support_lies_before_it():
    inside = np.zeros((12, 12), bool)
    inside[3:9, 3:9] = True
    entry = np.array([5.0, 3.0])
    assert _Outline(inside, ~inside).shows(entry, 0.0)
    covered = ~inside & (np.arange(12) > 2)[None]  # another grain lies at its left
    assert not _Outline(inside, covered).shows(entry, 0.0)
    cut = np.zeros((12, 12), bool)
    cut[3:9, :6] = True
    assert not _Outline(cut, ~cut).shows(np.array([5.0, 0.0]), 0.0)
