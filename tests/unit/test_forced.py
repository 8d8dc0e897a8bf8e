"""Intensities in raw patterns: places, apertures, and their likelihood."""

import numpy as np
import pytest
from kinematic import CRYSTALS, quaternion
from scipy import integrate
from scipy.spatial.transform import Rotation

from phasefront.diffraction import reflections
from phasefront.diffraction.likelihood import Refined
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import reflection_table
from phasefront.diffraction.spot_lists import Spots
from phasefront.phases import apertures, forced

MICROSCOPE = Optics(200.0, 0.8, (0.1, 1.15), position_sigma=0.003)
RADIUS = 0.035
TABLE = reflection_table(CRYSTALS[:2], max_radius=1.15)
# I4/mmm's axes lie half way between those of the cell of 9 angstrom.
TO_TETRAGONAL = Rotation.from_rotvec([0, 0, -np.pi / 4])


def places_along(direction_of_beam, *, found=8):
    """Places of Amam against I4/mmm with a common lattice, and hkl of Amam at each."""
    rotation, _ = Rotation.align_vectors([direction_of_beam], [[0, 0, 1]])
    tetragonal = TO_TETRAGONAL * rotation
    qx, qy, hkl, weight = reflections.predict_spots(CRYSTALS[0], quaternion(rotation), MICROSCOPE)
    strongest = np.argsort(-weight)[:found]
    spots = Spots(np.array([0, found]), qx[strongest], qy[strongest], 1e4 * weight[strongest])
    both = Refined(
        quaternion(Rotation.concatenate([rotation, tetragonal])), np.ones(2), np.zeros((2, 2)),
        np.zeros(2), np.zeros(2), np.zeros(2), np.zeros(2),
    )  # fmt: skip
    places = forced.find_places(
        spots, np.arange(2), both, np.array([[0, 1]]), TABLE, MICROSCOPE, spot_radius=RADIUS
    )
    near = np.hypot(places.q[:, :1] - qx, places.q[:, 1:] - qy)
    return places, spots, hkl[near.argmin(axis=1)], near.min(axis=1)


def test_only_amam_shows_weak_reflections_along_001_and_none_along_010():
    places, _, hkl, distance = places_along([0, 0, 1])
    only_first = (places.expected[:, 1] < 0.01 * places.expected[:, 0]) & (distance < 1e-6)
    assert only_first.sum() >= 3
    h, k, ell = hkl[only_first].T
    # Allowed in Amam, forbidden in the 9 angstrom cell of I4/mmm: not of one parity.
    assert ((k + ell) % 2 == 0).all()
    assert ((h - k) % 2 != 0).all()
    none, _, _, _ = places_along([0, 1, 0])
    assert not (none.expected[:, 1] < 0.01 * none.expected[:, 0]).any()


def test_places_are_apart_from_spots_and_from_each_other():
    places, spots, _, _ = places_along([0.3, 0.1, 1])
    q = np.concatenate([places.q, np.stack([spots.qx, spots.qy], axis=1)])
    distance = np.hypot(*(q[:, None] - q[None]).transpose(2, 0, 1)) + 10 * np.eye(len(q))
    assert distance[: len(places.q)].min() > RADIUS
    assert (np.diff(places.position) >= 0).all()


def test_positions_without_spots_or_candidates_have_no_places():
    places, _, _, _ = places_along([0, 0, 1])
    assert len(places.position)
    nothing = np.zeros(0)
    empty = Refined(np.zeros((0, 4)), nothing, np.zeros((0, 2)), nothing, nothing, nothing, nothing)
    none = forced.find_places(
        Spots(np.zeros(3, dtype=int), nothing, nothing, nothing), np.zeros(0, dtype=int), empty,
        np.full((2, 2), -1), TABLE, MICROSCOPE, spot_radius=RADIUS,
    )  # fmt: skip
    assert none.expected.shape == (0, 2)
    np.testing.assert_array_equal(forced.weigh(none, np.zeros((0, 2)), 2), 0)


def test_places_do_not_depend_on_how_many_positions_are_in_memory(monkeypatch):
    rotation = Rotation.random(3, rng=2)
    shown = [
        reflections.predict_spots(CRYSTALS[0], quaternion(one), MICROSCOPE) for one in rotation
    ]
    qx, qy, _, weight = (np.concatenate(values) for values in zip(*shown, strict=True))
    offset = np.concatenate([[0], np.cumsum([len(one[0]) for one in shown])])
    each = Refined(
        np.tile(quaternion(rotation), (2, 1)), np.ones(6), np.zeros((6, 2)), *np.zeros((4, 6))
    )
    best = np.array([[0, 3], [1, -1], [2, 5]])
    found = []
    for block in (forced.BLOCK, 2, 1):
        monkeypatch.setattr(forced, "BLOCK", block)
        found.append(
            forced.find_places(
                Spots(offset, qx, qy, 1e4 * weight),
                np.repeat([0, 1], 3),
                each,
                best,
                TABLE,
                MICROSCOPE,
                spot_radius=RADIUS,
            )
        )
    assert set(found[0].position) == {0, 2}
    for other in found[1:]:
        for name, values in vars(found[0]).items():
            np.testing.assert_array_equal(getattr(other, name), values)


def test_aperture_counts_a_disk_above_its_background():
    y, x = np.mgrid[:41, :41]
    pattern = 7.0 + 0.05 * (x - 20) + 100.0 * ((x - 20.2) ** 2 + (y - 19.7) ** 2 < 2.5**2)
    usable = np.ones((41, 41), dtype=np.int8)
    light = 100.0 * ((x - 20.2) ** 2 + (y - 19.7) ** 2 < 2.5**2).sum()
    stack = np.stack([pattern, np.full((41, 41), 7.0)])
    measured = apertures.measure(
        stack, np.array([0, 1]), np.full(2, 20.2), np.full(2, 19.7), 2.5, usable
    )
    assert measured[0, 0] == pytest.approx(light, rel=0.01)
    assert measured[1, 0] == pytest.approx(0.0)
    # Half a count a pixel at least, over the 31 pixels of the aperture.
    inside = ((x - 20.2) ** 2 + (y - 19.7) ** 2 <= (1.25 * 2.5) ** 2).sum()
    assert measured[1, 1] == pytest.approx(0.5 * np.sqrt(inside), rel=0.2)


def test_standard_error_is_that_of_repeated_patterns():
    rng = np.random.default_rng(5)
    patterns = rng.poisson(30.0, (400, 31, 31)).astype(np.uint16)
    usable = np.ones((31, 31), dtype=np.int8)
    measured = apertures.measure(
        patterns, np.arange(400), np.full(400, 15.3), np.full(400, 14.8), 2.2, usable
    )
    z = measured[:, 0] / measured[:, 1]
    assert abs(z.mean()) < 0.25
    assert 0.8 < z.std() < 1.25


@pytest.mark.parametrize("electrons", [0.03, 0.2, 1.0])
def test_sparse_electrons_are_no_light(electrons):
    """One electron is thirty counts on a dark level, and most pixels have none."""
    rng = np.random.default_rng(6)
    patterns = (30 * rng.poisson(electrons, (600, 31, 31))).astype(np.uint16)
    patterns[:300, 13:17, 22:26] += 300  # a neighbour
    measured = apertures.measure(
        patterns, np.arange(600), np.full(600, 15.3), np.full(600, 14.8), 3.0,
        np.ones((31, 31), dtype=np.int8),
    )  # fmt: skip
    for (value, sigma), off in ((measured[:300].T, 0.7), (measured[300:].T, 0.25)):
        if electrons < 0.1:
            # The median of octants with half an electron each is none: less than one is missed.
            assert abs(value.mean()) < 0.9 * 30
        else:
            assert abs((value / sigma).mean()) < off
            assert 0.7 < (value / sigma).std() < 1.35


def test_places_off_the_camera_or_on_the_beam_stop_are_not_measured():
    pattern = np.ones((1, 30, 30))
    usable = np.ones((30, 30), dtype=np.int8)
    usable[10:20, 10:20] = 0
    measured = apertures.measure(
        pattern, np.zeros(3, dtype=int), np.array([-4.0, 15.0, 24.0]), np.array([5.0, 15.0, 5.0]),
        2.0, usable,
    )  # fmt: skip
    np.testing.assert_array_equal(np.isfinite(measured[:, 0]), [False, False, True])


@pytest.mark.parametrize("mean", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("value", [-3.0, 0.0, 2.0, 15.0])
def test_density_is_the_convolution_of_exponential_and_normal(mean, value):
    intensity = np.linspace(0, max(value, 0) + 12, 2_000_001)
    normal = np.exp(-0.5 * (value - intensity) ** 2) / np.sqrt(2 * np.pi)
    expected = integrate.trapezoid(normal * np.exp(-intensity / mean) / mean, intensity)
    found = forced.exponential_density(np.array([value]), np.array([1.0]), np.array([mean]))
    assert found[0] == pytest.approx(expected, rel=1e-6)


def test_light_where_one_phase_promises_it_speaks_for_that_phase():
    places = forced.Places(np.array([0, 0, 1, 1]), np.zeros((4, 2)), np.array([[40.0, 0.0]] * 4))
    measured = np.array([[9.0, 1.0], [8.0, 1.0], [0.1, 1.0], [-0.4, 1.0]])
    shown, missing = forced.weigh(places, measured, 2)
    assert shown[0] == 0
    assert shown[1] < -2
    assert missing[1] == 0
    assert missing[0] < -1
    unmeasured = np.full((4, 2), np.nan)
    np.testing.assert_array_equal(forced.weigh(places, unmeasured, 2), 0)
