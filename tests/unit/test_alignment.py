"""Alignment of a later scan to the first: made scans that drift, turn, shear and convert."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from phasefront.diffraction.crystals import laue_rotations
from phasefront.series import alignment
from phasefront.series.images import Picture
from phasefront.series.turns import common_turn, turns_of_grains

SYMMETRY = laue_rotations("4/mmm")


class Region:
    """A plane with grains, finer than any scan of it."""

    fine = 4

    def __init__(self, seed, *, grains=6, size=160):
        rng = np.random.default_rng(seed)
        self.rng = rng
        side = size * self.fine
        grid = np.indices((side, side)) / self.fine
        seeds = rng.uniform(0.3 * size, 0.7 * size, (grains, 2))
        # Cells about seeds, with vacuum beyond a wavy reach.
        wave = ndimage.gaussian_filter(rng.normal(size=(side, side)), 6 * self.fine)
        reach = np.array([np.hypot(*(grid - at[:, None, None])) for at in seeds])
        near = reach.argmin(axis=0)
        self.label = np.where(reach.min(axis=0) + 4 * wave / wave.std() < 11, near, -1)
        self.rotation = Rotation.random(grains, random_state=int(seed)).as_quat(scalar_first=True)
        thick = ndimage.gaussian_filter(rng.normal(size=(side, side)), 5 * self.fine)
        self.dark = np.where(self.label >= 0, 1 + 0.4 * thick / thick.std(), 0.1)
        self.start = np.array([size, size]) / 2

    def scan(self, shape, matrix, shift, *, turns=None, gains=None, wrong=0.03):
        """A scan whose position p lies at matrix (p - middle) + shift of the region's middle."""
        middle = (np.array(shape) - 1) / 2
        place = np.indices(shape).reshape(2, -1) - middle[:, None]
        at = (matrix @ place + np.asarray(shift)[:, None] + self.start[:, None]) * self.fine
        label = ndimage.map_coordinates(self.label, at, order=0, cval=-1).reshape(shape)
        dark = ndimage.map_coordinates(self.dark, at, order=1).reshape(shape)
        gains = np.ones(len(self.rotation)) if gains is None else gains
        dark = dark * np.append(gains, 1.0)[label] * (1 + 0.05 * self.rng.normal(size=shape))
        lost = self.rng.random(shape) < wrong
        label = np.where(lost, -1, label)
        rotation = self.rotation
        if turns is not None:
            turned = Rotation.from_rotvec(turns, degrees=True)
            rotation = (Rotation.from_quat(rotation, scalar_first=True) * turned.inv()).as_quat(
                scalar_first=True
            )
        # Grains are numbered anew in each scan.
        order = self.rng.permutation(len(rotation))
        number = np.append(np.argsort(order), -1)
        return Picture(number[label], rotation[order], dark)


def turned(degrees, scale=1.0):
    angle = np.radians(degrees)
    return scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def drawn(seed, shape=(64, 64)):
    """Two scans of a region, and where positions of the first lie in the second."""
    rng = np.random.default_rng([seed, 1])
    region = Region(seed)
    matrix = turned(rng.uniform(-3, 3)) + np.outer(rng.normal(0, 0.01, 2), [1, 0])
    shift = rng.uniform(-9, 9, 2)
    turns = rng.normal(0, 1.0, (len(region.rotation), 3))
    first = region.scan(shape, np.eye(2), [0, 0])
    gains = rng.uniform(0.5, 1.5, len(turns))
    second = region.scan(shape, matrix, shift, turns=turns, gains=gains)
    grid = np.indices(shape).reshape(2, -1) - (np.array(shape)[:, None] - 1) / 2
    there = np.linalg.inv(matrix) @ (grid - shift[:, None]) + (np.array(shape)[:, None] - 1) / 2
    return first, second, there.reshape(2, *shape), region


@pytest.mark.slow
def test_positions_are_found_to_a_third_of_a_step_and_errors_say_so():
    off, inside = [], []
    for seed in range(20):
        first, second, truth, _ = drawn(seed)
        found = alignment.align(first, second, SYMMETRY)
        assert not found.problem, (seed, found.problem)
        off.append(((found.places((64, 64)) - truth) ** 2).mean())
        at_middle = found.shift - (truth.mean(axis=(1, 2)) - 31.5)
        inside.append(np.abs(at_middle) < 1.96 * np.sqrt(np.diag(found.covariance)[4:]))
        assert found.stderr((64, 64)) < 0.5
    assert np.sqrt(np.mean(off)) < 0.3
    assert 0.85 <= np.mean(inside) <= 1.0


@pytest.mark.parametrize("turn, drift", [(2.5, (0.0, 0.0)), (-1.5, (0.02, -0.03))])
def test_turn_scale_and_drift_are_told_apart(turn, drift):
    """A turn of 2.5 degrees is seen as a turn; drift shears the rows of the later scan."""
    region = Region(3, grains=10)
    first = region.scan((64, 64), np.eye(2), [0, 0])
    matrix = turned(turn) + np.outer(drift, [1, 0])
    found = alignment.align(first, region.scan((64, 64), matrix, [2, -3]), SYMMETRY)
    parts = found.parts
    assert parts["turn"] == pytest.approx(turn, abs=0.4)
    assert parts["scale"] == pytest.approx(1.0, abs=0.01)
    assert [parts["drift_y"], parts["drift_x"]] == pytest.approx(drift, abs=0.008)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turn", [-26.0, 12.0, 29.0])
def test_a_scan_that_turned_far_is_found_by_its_grains(turn, mirrored):
    """In a cell through which liquid flows; patterns may be mirrored against the scan."""
    region = Region(3, grains=10)
    first = region.scan((64, 64), np.eye(2), [0, 0])
    about = np.random.default_rng(7).normal(0, 1.0, (10, 3))
    about[:, 2] += -turn if mirrored else turn
    other = region.scan((64, 64), turned(turn), [2, -3], turns=about)
    assert abs(common_turn(first, other, SYMMETRY)) == pytest.approx(abs(turn), abs=2)
    found = alignment.align(first, other, SYMMETRY)
    assert not found.problem
    assert found.parts["turn"] == pytest.approx(turn, abs=0.6)
    assert found.agreeing > 0.9


def test_a_scan_that_turned_further_is_refused():
    region = Region(3, grains=10)
    first = region.scan((64, 64), np.eye(2), [0, 0])
    other = region.scan((64, 64), turned(41), [0, 0], turns=np.tile([0, 0, 41.0], (10, 1)))
    assert alignment.align(first, other, SYMMETRY).problem


def test_grains_keep_their_names_and_say_how_they_turned():
    region = Region(8)
    turns = np.random.default_rng(0).normal(0, 1.5, (6, 3))
    first = region.scan((64, 64), np.eye(2), [0, 0])
    second = region.scan((64, 64), np.eye(2), [4, 2], turns=turns)
    found = alignment.align(first, second, SYMMETRY)
    vectors = turns_of_grains(first, second, found.partner, SYMMETRY)
    for grain in range(6):
        if found.partner[grain] < 0:
            continue
        # The same crystal by its orientation, whatever its number.
        (same,) = np.flatnonzero(np.isclose(region.rotation, first.rotation[grain]).all(axis=1))
        np.testing.assert_allclose(vectors[grain], turns[same], atol=1e-6)
    assert (found.partner >= 0).sum() >= 5


def test_another_region_is_no_alignment():
    first = Region(1).scan((64, 64), np.eye(2), [0, 0])
    other = Region(2).scan((64, 64), np.eye(2), [0, 0])
    assert alignment.align(first, other, SYMMETRY).problem


def test_a_scan_that_moved_far_covers_little():
    region = Region(4)
    first = region.scan((64, 64), np.eye(2), [0, 0])
    far = region.scan((64, 64), np.eye(2), [40, 44])
    found = alignment.align(first, far, SYMMETRY)
    assert "of the first scan lies in it" in found.problem


@pytest.mark.parametrize(
    "shape, other", [((40, 64), (64, 40)), ((1, 30), (1, 30)), ((3, 3), (9, 5))]
)
def test_scans_of_any_shape_are_aligned_or_refused(shape, other):
    region = Region(5)
    first = region.scan(shape, np.eye(2), [0, 0])
    second = region.scan(other, np.eye(2), [1, 1])
    found = alignment.align(first, second, SYMMETRY)
    assert found.problem or np.isfinite(found.places(shape)).all()


def test_scans_without_grains_say_that_they_are_none():
    empty = Picture(np.full((8, 8), -1), np.zeros((0, 4)), np.ones((8, 8)))
    found = alignment.align(empty, empty, SYMMETRY)
    assert found.problem and not (found.partner >= 0).any()
