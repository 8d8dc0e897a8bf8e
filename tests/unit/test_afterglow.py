"""What a camera's screen still shows of the frame before."""

import numpy as np
import pytest

from phasefront.spots.afterglow import measure_afterglow, without_afterglow

CAMERA, ROWS, COLUMNS = (64, 64), 24, 32
USABLE = np.hypot(*(np.indices(CAMERA) - 31.5)) > 10


class Scan:
    def __init__(self, counts):
        self.counts, self.shape = counts, counts.shape

    def read_rows(self, start, stop):
        return self.counts[start:stop]


def light(seed, *, overlap=0.0, width=4):
    """Expected counts (y, x, ky, kx) of crystals some positions wide, each of 15 spots of its own.

    Half of their boundaries are sharp; at the others each reaches over to the position beside it,
    by up to a share that is the same on both sides.
    """
    rng = np.random.default_rng(seed)
    y, x = np.indices(CAMERA)
    patterns = []
    for _ in range(40):
        at, bright = rng.uniform(3, 60, (15, 2)), rng.exponential(400, 15)
        square = (y[..., None] - at[:, 0]) ** 2 + (x[..., None] - at[:, 1]) ** 2
        patterns.append(np.exp(-square / (2 * 1.3**2)) @ bright)
    crystal = rng.integers(len(patterns), size=(ROWS, COLUMNS // width)).repeat(width, axis=1)
    sharp = 20 + np.array(patterns)[crystal]
    out = sharp.copy()
    for right in range(width, COLUMNS, width):
        over = np.maximum(rng.uniform(-overlap, overlap, ROWS), 0)[:, None, None]
        change = over * (sharp[:, right] - sharp[:, right - 1])
        out[:, right - 1] += change
        out[:, right] -= change
    return out


def filmed(expected, share, *, seed=0, dtype=np.uint16, dose=1.0):
    counts = np.random.default_rng(seed).poisson(dose * expected) / dose
    counts[:, 1:] += share * counts[:, :-1]
    if np.dtype(dtype).kind == "u":
        counts = np.minimum(np.rint(counts), np.iinfo(dtype).max)
    return Scan(counts.astype(dtype))


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.int32])
@pytest.mark.parametrize("share", [0.004, 0.01, 0.03, 0.1])
@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_the_share_is_found_within_its_error(share, overlap, dtype):
    found = measure_afterglow(filmed(light(1, overlap=overlap), share, dtype=dtype), USABLE)
    # Of what a frame shows, itself with the one before.
    wanted = share / (1 + share)
    assert found.error < max(1e-3, 0.05 * share)
    assert found.share == pytest.approx(wanted, abs=4 * found.error + 0.02 * wanted)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.5])
def test_grains_that_overlap_are_none(overlap, seed):
    found = measure_afterglow(filmed(light(seed, overlap=overlap), 0.0, seed=seed), USABLE)
    assert found.share == 0


@pytest.mark.parametrize("dose", [1e-3, 1e-2])
def test_few_electrons_do_not_tell_it(dose):
    found = measure_afterglow(filmed(light(2), 0.004, dose=dose, dtype=np.float32), USABLE)
    assert found.share == 0
    assert not found.error < 1e-3


def test_frames_in_another_order_than_they_were_taken_have_none():
    scan = filmed(light(3), 0.02)
    assert measure_afterglow(scan, USABLE).share > 0.015
    assert measure_afterglow(Scan(scan.counts[:, ::-1]), USABLE).share == 0
    there_and_back = scan.counts.copy()
    there_and_back[1::2] = there_and_back[1::2, ::-1]
    assert measure_afterglow(Scan(there_and_back), USABLE).share == 0


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (1, 12)])
def test_a_scan_too_small_does_not_tell(shape):
    counts = filmed(light(4), 0.05).counts[: shape[0], : shape[1]]
    found = measure_afterglow(Scan(counts), USABLE)
    assert found.share == 0
    assert np.isnan(found.error)


@pytest.mark.parametrize("level", [0, 7])
def test_a_scan_of_nothing_does_not_tell(level):
    counts = np.full((ROWS, COLUMNS, *CAMERA), level, np.uint8)
    found = measure_afterglow(Scan(counts), USABLE)
    assert found.share == 0
    assert np.isnan(found.error)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_do_not_tell(value):
    scan = filmed(light(7), 0.05, dtype=np.float32)
    scan.counts[3, 4, 5:9, 6] = value
    assert measure_afterglow(scan, USABLE).share == 0


def test_a_masked_camera_does_not_tell():
    assert measure_afterglow(filmed(light(5), 0.05), np.zeros(CAMERA, bool)).share == 0


def test_spots_of_the_frame_before_are_taken_off():
    expected = light(6)
    share = 0.03
    shown = expected.copy()
    shown[:, 1:] += share * expected[:, :-1]
    left = without_afterglow(shown, share / (1 + share))
    np.testing.assert_array_equal(left[:, 0], shown[:, 0].astype(np.float32))
    # Where the crystal before was as wide as two frames it is gone; within one, in proportion.
    np.testing.assert_allclose(left[:, 4], expected[:, 4], rtol=1e-3)
    np.testing.assert_allclose(left[:, 6], expected[:, 6], rtol=1e-3)


def test_patterns_of_a_camera_without_it_are_left_as_they_are():
    counts = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    assert without_afterglow(counts, 0.0) is counts
