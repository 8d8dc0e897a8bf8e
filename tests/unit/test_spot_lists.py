"""Spots of many positions as ragged arrays."""

import numpy as np
from kinematic import spots_of

from phasefront.diffraction.spot_lists import Spots

COUNTS = [3, 0, 2, 4]


def drawn(counts=COUNTS):
    rng = np.random.default_rng(1)
    patterns = [rng.uniform(-1, 1, (3, count)) for count in counts]
    return spots_of(patterns), patterns


def test_each_position_has_its_own_spots_and_no_intensity_is_negative():
    dataset, patterns = drawn()
    spots = Spots.of(dataset)
    assert spots.numbers.tolist() == COUNTS
    assert spots.owner.tolist() == [0] * 3 + [2] * 2 + [3] * 4
    for position, (qx, qy, intensity) in enumerate(patterns):
        own = spots.at(position)
        np.testing.assert_allclose(own.qx, qx, atol=1e-6)
        np.testing.assert_allclose(own.qy, qy, atol=1e-6)
        np.testing.assert_allclose(own.intensity, np.maximum(intensity, 0), atol=1e-6)
        assert own.offset.tolist() == [0, len(qx)]


def test_a_part_of_the_positions_is_what_the_whole_has_there():
    dataset, _ = drawn()
    whole, part = Spots.of(dataset), Spots.of(dataset, slice(1, 3))
    assert part.offset.tolist() == [0, 0, 2]
    np.testing.assert_array_equal(part.qx, whole.qx[3:5])


def test_without_some_spots_the_others_stay_with_their_positions():
    spots = Spots.of(drawn()[0])
    left_out = np.isin(np.arange(9), [0, 3, 4, 8])
    rest = spots.without(left_out)
    assert rest.numbers.tolist() == [2, 0, 0, 3]
    np.testing.assert_array_equal(rest.qy, spots.qy[~left_out])
    assert spots.tally(left_out).tolist() == [1, 0, 2, 1]
    both = spots.amplitude(left_out) + spots.amplitude(~left_out)
    np.testing.assert_allclose(both, spots.amplitude(np.ones(9, dtype=bool)))


def test_undistorted_spots_are_where_the_map_came_from():
    spots = Spots.of(drawn()[0])
    distortion = np.array([[1.01, 0.003], [0.003, 0.99]])
    freed = spots.undistorted(distortion)
    back = distortion @ np.stack([freed.qx, freed.qy])
    np.testing.assert_allclose(back, np.stack([spots.qx, spots.qy]), atol=1e-12)
    assert freed.intensity is spots.intensity
