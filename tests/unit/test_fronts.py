"""Fronts through grains in time, on made series whose front is known."""

import numpy as np
import pytest

from phasefront.series import fronts, histories
from phasefront.series.histories import Gaps

SCANS, STILL = 20, 4


def world(seed, *, angle, speed, law="steady", onward=True, one_time=False, bent=0.0):
    """Places, times, scores and gaps of a round grain that a front goes through, 12 scans long.

    Readings lie `bent` rows further down for each column to the right of the middle.
    """
    rng = np.random.default_rng(seed)
    y, x = np.nonzero(np.hypot(*(np.mgrid[:24, :24] - 12.0)) < 8)
    time = 100.0 * np.arange(SCANS) + 3.0 * y[:, None] + 0.1 * x[:, None]
    down = y + bent * (x - 12)
    ahead = (down - 12) * np.sin(np.deg2rad(angle)) + (x - 12) * np.cos(np.deg2rad(angle))
    way = (ahead - ahead.min()) / np.ptp(ahead)
    passing = 500 + np.ptp(ahead) / speed * (way if law == "steady" else way**2)
    share = np.clip((passing[:, None] - time) / 60 + 0.5, 0, 1)
    score = 2.5 * (share if onward else 1 - share) - 1.25 + rng.normal(size=share.shape)
    score += 0.7 * rng.normal(size=(len(y), 1))
    charge = np.concatenate([np.zeros(STILL), np.arange(1, SCANS - STILL + 1)])
    gaps = Gaps.of_charge(charge if onward else -charge)
    still = np.diff(charge) == 0
    gaps = Gaps(np.where(still, 0, gaps.onward), np.where(still, 0, gaps.back))
    if one_time:
        time = np.broadcast_to(time.mean(axis=0), time.shape)
    return y, x, time, score, gaps


def fitted(seed, *, law="steady", onward=True, told_aside=False, **made):
    y, x, time, score, gaps = world(seed, onward=onward, **made)
    chain = histories.fit(score, np.ones_like(score), gaps, (1.25, -1.25))
    found = fronts.courses(chain, score, np.ones_like(score), time, onward=onward)
    if told_aside:
        down = np.repeat((made["bent"] * (x - 12.0))[:, None], SCANS, axis=1)
        found = found.read_aside(np.stack([down, 0 * down], axis=2))
    return fronts.fit(found, y, x, law=law, seed=seed)


def off(direction, true):
    return (direction - true + 180) % 360 - 180


@pytest.mark.parametrize("onward", [True, False])
@pytest.mark.parametrize("angle", [0, 90, 217])
def test_speed_direction_and_start_are_found_and_held(angle, onward):
    found = fitted(angle + 1, angle=angle, speed=0.016, onward=onward)
    assert found.speed[0] == pytest.approx(0.016, rel=0.05)
    assert found.speed[1] < 0.016 < found.speed[2]
    assert abs(off(found.direction[0], angle)) < 3
    assert off(found.direction[1], angle) < 0 < off(found.direction[2], angle)
    assert found.start[1] < 500 < found.start[2]
    assert found.start[2] - found.start[1] < 100  # a scan


def test_times_of_positions_keep_what_one_time_a_scan_would_bend():
    """At 3 s a row a front of 0.016 a second seems 0.048 of its speed faster down the rows."""
    true = fitted(3, angle=90, speed=0.016)
    bent = fitted(3, angle=90, speed=0.016, one_time=True)
    assert bent.speed[0] / true.speed[0] == pytest.approx(1 / (1 - 3 * 0.016), abs=0.03)
    across = fitted(4, angle=0, speed=0.016, one_time=True)
    assert abs(off(across.direction[0], 0)) == pytest.approx(np.degrees(np.arctan(0.048)), abs=1.5)


def test_readings_beside_their_places_bend_no_front():
    """Each column read 0.06 rows further down turns a front along the rows by 3.4 degrees."""
    made = {"angle": 90, "speed": 0.016, "bent": 0.06}
    bent, true = (fitted(3, told_aside=told, **made) for told in (False, True))
    assert off(bent.direction[0], 90) == pytest.approx(-np.degrees(np.arctan(0.06)), abs=1.5)
    assert off(true.direction[0], bent.direction[0]) == pytest.approx(3.4, abs=0.7)
    assert off(true.direction[1], 90) < 0 < off(true.direction[2], 90)


def test_times_at_places_are_those_of_readings_less_the_way_between():
    y, _, time, score, gaps = world(5, angle=0, speed=0.016)
    chain = histories.fit(score, np.ones_like(score), gaps, (1.25, -1.25))
    found = fronts.courses(chain, score, np.ones_like(score), time, onward=True)
    aside = np.random.default_rng(2).uniform(-0.5, 0.5, (len(y), SCANS, 2))
    slowness = np.broadcast_to([20.0, -5.0], (len(y), 2))
    moved = found.read_aside(aside).at_places(slowness)
    direct = fronts.courses(
        chain, score, np.ones_like(score), time - aside @ [20.0, -5.0], onward=True
    )
    for one, other in zip(moved[:3], direct[:3], strict=True):
        assert one == pytest.approx(other)


@pytest.mark.parametrize("law", ["steady", "parabolic"])
def test_the_law_that_a_front_follows_is_told(law):
    evidence = {tried: evidence_of(law, tried) for tried in ("steady", "parabolic")}
    other = "parabolic" if law == "steady" else "steady"
    assert evidence[law] > evidence[other] + 5


def evidence_of(law, tried):
    y, x, time, score, gaps = world(0, angle=40, speed=0.013, law=law)
    found = fronts.courses(
        histories.fit(score, np.ones_like(score), gaps, (1.25, -1.25)),
        score,
        np.ones_like(score),
        time,
        onward=True,
    )
    return fronts.fit(found, y, x, law=tried, seed=0).log_evidence


def test_a_grain_that_never_changes_has_no_certain_front():
    rng = np.random.default_rng(8)
    y, x, time, score, gaps = world(5, angle=0, speed=0.016)
    chain = histories.fit(score, np.ones_like(score), gaps, (1.25, -1.25))
    still = 1.25 + rng.normal(size=score.shape)
    found = fronts.fit(
        fronts.courses(chain, still, np.ones_like(still), time, onward=True), y, x, seed=1
    )
    assert found.speed[2] / found.speed[1] > 3
    assert np.ptp(found.direction[1:]) > 60


@pytest.mark.parametrize("places", [np.arange(5), np.arange(20)])
def test_too_few_positions_or_a_line_of_them_are_refused(places):
    score = np.random.default_rng(1).normal(size=(len(places), 4))
    gaps = Gaps(np.ones(3), np.zeros(3))
    found = fronts.courses(
        histories.fit(score, np.ones_like(score), gaps, (1.25, -1.25)),
        score,
        np.ones_like(score),
        np.tile(np.arange(4.0), (len(places), 1)),
        onward=True,
    )
    with pytest.raises(ValueError, match="eight positions"):
        fronts.fit(found, places, 2 * places, seed=1)


def test_the_same_seed_gives_the_same_front():
    one, other = (fitted(2, angle=10, speed=0.02) for _ in range(2))
    assert (one.speed == other.speed).all() and one.log_evidence == other.log_evidence
