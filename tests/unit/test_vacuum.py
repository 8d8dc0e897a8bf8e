"""Vacuum by spots and background: what is called so, and what is not."""

import numpy as np
import pytest

from phasefront.phases import vacuum

SHAPE, EMPTY, MIN_SPOTS = (20, 24), 20.0, 5


def scan(rng, *, crystal, liquid=None, lost=0.0, added=10.0, zones=4):
    """Counts of spots and levels of a map; of a share `lost` of the crystal the spots are missing.

    Levels scatter by 0.2 and what a crystal adds varies by its thickness; a liquid adds 15 in one
    zone where it is.
    """
    thickness = np.where(crystal, rng.uniform(0.4, 1.6, SHAPE), 0.0)
    level = EMPTY + rng.normal(0, 0.2, (*SHAPE, zones)) + added * thickness[..., None]
    if liquid is not None:
        level[liquid, 1] += 15.0
    seen = crystal & (rng.uniform(size=SHAPE) >= lost)
    return np.where(seen, rng.poisson(20, SHAPE) + MIN_SPOTS, rng.poisson(0.1, SHAPE)), level


def found(count, level):
    return vacuum.find_vacuum(count, level, false_alarms=0.1, min_spots=MIN_SPOTS)


LEFT = np.broadcast_to(np.arange(SHAPE[1]) < 14, SHAPE)


@pytest.mark.parametrize("lost", [0.0, 0.3, 0.7, 0.95])
def test_crystal_without_spots_is_no_vacuum(lost):
    count, level = scan(np.random.default_rng(1), crystal=LEFT, lost=lost)
    vacuum_there = found(count, level)
    assert not vacuum_there[LEFT].any()
    assert vacuum_there[~LEFT].mean() > 0.97


@pytest.mark.parametrize("lost", [0.0, 0.3, 0.7])
def test_where_all_is_crystal_nothing_is_vacuum(lost):
    count, level = scan(np.random.default_rng(2), crystal=np.ones(SHAPE, bool), lost=lost)
    assert found(count, level).mean() < 0.01


@pytest.mark.parametrize("rate", [0.3, 0.8, 1.3, 2.0])
def test_where_noise_makes_more_spots_than_were_asked_for_vacuum_is_found(rate):
    """Once none was found where a quarter of the empty places had three spots of noise."""
    rng = np.random.default_rng(5)
    count, level = scan(rng, crystal=LEFT)
    count[~LEFT] = rng.poisson(rate, (~LEFT).sum())
    called = found(count, level)
    assert not called[LEFT].any()
    few = ~LEFT & (count < MIN_SPOTS)
    assert called[few].mean() > 0.98


@pytest.mark.parametrize("share", [0.1, 0.2, 0.4])
def test_crystals_of_few_spots_are_no_noise(share):
    rng = np.random.default_rng(6)
    count, level = scan(rng, crystal=LEFT)
    faint = ~LEFT & (rng.uniform(size=SHAPE) < share)
    count[faint] = rng.integers(3, MIN_SPOTS, faint.sum())
    called = found(count, level)
    assert not called[faint | LEFT].any()


def test_where_nothing_is_crystal_all_is_vacuum():
    count, level = scan(np.random.default_rng(3), crystal=np.zeros(SHAPE, bool))
    level += np.linspace(0, 0.8, SHAPE[1])[:, None]  # the beam's current drifts
    assert found(count, level).mean() > 0.99


@pytest.mark.parametrize("slope", [0.3, -0.4])
@pytest.mark.parametrize("lost", [0.0, 0.5])
def test_a_level_that_moves_while_the_scan_runs_is_followed(slope, lost):
    rows = np.arange(SHAPE[0])[:, None]
    crystal = LEFT | ((rows >= 8) & (rows < 11))  # three rows without an empty place
    count, level = scan(np.random.default_rng(8), crystal=crystal, lost=lost)
    called = found(count, level + slope * rows[..., None])
    assert not called[crystal].any()
    assert called[~crystal].mean() > 0.95


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sway", [1.5, 2.0, 2.5])
def test_a_level_is_found_again_after_rows_without_an_empty_place(sway, seed):
    """The beam's place moves a liquid's level to and fro: the slope of some rows once led away
    over the crystals and never back, and half of the empty places were lost."""
    shape = (32, 32)
    rows, columns = np.indices(shape)
    rng = np.random.default_rng(seed)
    crystal = (rows >= 8) & (rows < 18) | (columns < 20)
    count = np.where(crystal, rng.poisson(20, shape) + MIN_SPOTS, rng.poisson(0.1, shape))
    level = 49 + sway * np.sin(2 * np.pi * (columns / 24 + rows / 9)) + rng.normal(0, 0.3, shape)
    called = found(count, np.repeat((level + 28 * crystal)[..., None], 4, axis=-1))
    assert not called[crystal].any()
    assert called[~crystal & (count < 2)].mean() > 0.97


def test_a_level_that_moves_faster_over_rows_without_an_empty_place_is_found_again():
    """Contamination grew while the first crystals were scanned: the slope of the rows before did
    not lead to the level after them, and four in five of the empty places were lost."""
    shape = (32, 32)
    rows, columns = np.indices(shape)
    rng = np.random.default_rng(3)
    crystal = (rows >= 4) & (rows < 8) | (columns < 20)
    count = np.where(crystal, rng.poisson(20, shape) + MIN_SPOTS, rng.poisson(0.1, shape))
    level = 49 + 0.9 * np.maximum(rows - 3, 0) + rng.normal(0, 0.3, shape)
    called = found(count, np.repeat((level + 28 * crystal)[..., None], 4, axis=-1))
    assert not called[crystal].any()
    assert called[~crystal & (count < 2)].mean() > 0.97


def test_a_drop_of_liquid_is_no_vacuum():
    liquid = ~LEFT & (np.arange(SHAPE[0])[:, None] < 8)
    count, level = scan(np.random.default_rng(4), crystal=LEFT, liquid=liquid)
    called = found(count, level)
    assert not called[liquid].any()
    assert called[~LEFT & ~liquid].mean() > 0.97


def test_a_liquid_everywhere_hides_no_empty_place():
    everywhere = np.ones(SHAPE, bool)
    count, level = scan(np.random.default_rng(5), crystal=LEFT, liquid=everywhere, lost=0.5)
    called = found(count, level)
    assert not called[LEFT].any()
    assert called[~LEFT].mean() > 0.97


def test_a_background_that_crystals_leave_alone_tells_nothing():
    count, level = scan(np.random.default_rng(6), crystal=LEFT, lost=0.5, added=0.0)
    assert not found(count, level).any()


@pytest.mark.parametrize(("count", "answer"), [(0, True), (9, False)])
def test_a_single_position(count, answer):
    assert found(np.array([[count]]), np.full((1, 1, 4), EMPTY)).item() is answer


def test_spots_few_electrons_and_the_beams_place_do_not_move_the_background():
    rng = np.random.default_rng(7)
    mask = np.ones((128, 128), bool)
    mask[60:70, 80:] = False
    centres = np.array([63.0, 64.0]) + rng.uniform(-2.5, 2.5, (30, 2))
    y, x = np.indices(mask.shape)
    radius = np.hypot(y - centres[:, 0, None, None], x - centres[:, 1, None, None])
    expected = 0.05 + 0.4 * np.exp(-0.5 * ((radius - 25) / 6) ** 2)
    patterns = rng.poisson(1000 * expected) / 1000
    background = vacuum.Background(mask, (63.0, 64.0), 8.0, 3.0)
    plain = background.levels(patterns, centres)
    assert np.ptp(plain, axis=0).max() < 0.15 * plain.max()
    assert plain.max(axis=1).mean() > 3 * plain[:, 3].mean()
    spotted = patterns.copy()
    for row, column in rng.integers(5, 120, (12, 2)):
        spotted[:, row : row + 3, column : column + 3] += 30.0
    np.testing.assert_allclose(background.levels(spotted, centres), plain, rtol=0.25)
    few = background.levels(rng.poisson(expected), centres)
    np.testing.assert_allclose(few.mean(axis=0), plain.mean(axis=0), rtol=0.2)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_means_over_squares_are_those_of_plain_numpy(dtype):
    rng = np.random.default_rng(11)
    patterns = rng.poisson(9.0, (7, 400)).astype(dtype)
    number = rng.integers(1, 30, 12)
    start = np.cumsum(number) - number
    pixel = rng.permutation(400)[: number.sum()]
    chosen = np.array([5, 0, 3])
    plain = np.add.reduceat(patterns[chosen][:, pixel], start, axis=1, dtype=np.float64) / number
    means = np.empty(plain.shape)
    vacuum.means_of(0, len(chosen), patterns, chosen, pixel, start, number, means)
    np.testing.assert_array_equal(means, plain)
