"""Spots on the way between the places of two phases, by formulas and by simulation."""

import numpy as np
import pytest
from projects import ROOT
from scipy.integrate import quad
from scipy.spatial.transform import Rotation
from scipy.special import expit

from phasefront.diffraction.crystals import read_crystal
from phasefront.diffraction.likelihood import Refined, promised_reflections
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import reflection_table
from phasefront.diffraction.spot_lists import Spots
from phasefront.phases import merged

NAMES = ("LiFePO4", "FePO4")
CRYSTALS = [read_crystal(ROOT / "config" / "structures" / f"{name}.cif") for name in NAMES]
TABLE = reflection_table(CRYSTALS, max_radius=1.15)
SIGMA = 0.004
MICROSCOPE = Optics(200.0, 0.8, (0.1, 1.15), position_sigma=SIGMA, scale_sigma=0.001)
APART = 0.08
NUMBER = 30


def columns_of(spot, one, other):
    """What a spot has of two lattices of one reflection each, of shares 0.3 and 0.5."""
    out = np.zeros((1, merged._WAY + merged._PARTS))
    edge = np.array([0, 1])
    merged._place_all(
        0, 1, edge, spot[:1], spot[1:], np.zeros(1, int), edge, one[None], np.array([0.3]), edge,
        other[None], np.array([0.5]), SIGMA, APART, edge, out,
    )  # fmt: skip
    return out[0]


def normal(offset):
    return np.exp(-0.5 * np.sum(np.square(offset)) / SIGMA**2) / (2 * np.pi * SIGMA**2)


@pytest.mark.parametrize("length", [0.0, 0.003, 0.03])
def test_a_part_of_the_way_holds_normal_densities_evenly_spread(length):
    one, way = np.array([0.4, -0.2]), length * np.array([0.6, 0.8])
    spot = one + 0.3 * way + np.array([0.002, -0.003])
    found = columns_of(spot, one, one + way)
    for part in range(merged._PARTS):
        low, high = part / merged._PARTS, (part + 1) / merged._PARTS
        mean = quad(lambda t: normal(spot - one - t * way), low, high)[0] / (high - low)
        assert found[merged._WAY + part] == pytest.approx(0.4 * mean, rel=1e-3)
    assert found[merged._ONE] == pytest.approx(0.3 * normal(spot - one))
    assert found[merged._OTHER] == pytest.approx(0.5 * normal(spot - one - way))
    assert not found[[merged._ONLY_ONE, merged._ONLY_OTHER]].any()


def test_reflections_far_apart_are_no_way():
    one = np.array([0.4, -0.2])
    found = columns_of(one + 0.001, one, one + np.array([0.0, 1.1 * APART]))
    assert (
        found[merged._ONLY_ONE]
        == found[merged._ONE]
        == pytest.approx(0.3 * normal(0.001 * np.ones(2)))
    )
    assert not found[merged._WAY :].any() and not found[merged._ONLY_OTHER]


def test_parts_of_the_way_are_as_likely_as_ratios_of_independent_intensities():
    rng = np.random.default_rng(1)
    share = 0.3
    other, one = share * rng.exponential(size=200_000), (1 - share) * rng.exponential(size=200_000)
    true = np.histogram(other / (one + other), merged._EDGES)[0] / len(one)
    np.testing.assert_allclose(merged._mixture(share)[merged._WAY :], true, atol=0.005)
    assert merged._mixture(share).sum() == pytest.approx(2.0)  # of either kind of reflections


def gains(share, *, seed=1, strain=0.0, first=0):
    """Of columns with this share of FePO4, whose spots are drawn from the reflections of both; the
    `first` of the pair is the lattice that is known."""
    rng = np.random.default_rng(seed)
    rotation = Rotation.random(NUMBER, rng=2).as_quat(scalar_first=True)
    lattice = Refined.placed(rotation, np.ones(NUMBER), np.zeros((NUMBER, 2)))
    phase = np.zeros(NUMBER, dtype=int)
    one, other = (
        promised_reflections(phase + k, lattice, TABLE, MICROSCOPE, faint=0.005) for k in (0, 1)
    )
    q, numbers = [], []
    for i in range(NUMBER):
        own, second = one.q[one.crystal == i], other.q[other.crystal == i]
        apart = np.hypot(*(own[:, None] - second[None]).transpose(2, 0, 1))
        mate = apart.argmin(axis=1)
        ratio = np.log(share / (1 - share)) + rng.logistic(size=len(own)) if share else -np.inf
        way = expit(ratio) * np.ones(len(own))
        way[apart.min(axis=1) > APART] = 0.0
        q.append(own + way[:, None] * (second[mate] - own))
        numbers.append(len(own))
    q = (1 + strain) * np.concatenate(q)
    q += SIGMA * rng.standard_normal(q.shape)
    spots = Spots(np.concatenate([[0], np.cumsum(numbers)]), *q.T, np.ones(len(q)))
    both = np.stack([phase + first, phase + 1 - first])
    return merged.gains(
        spots, np.arange(NUMBER), both, (lattice, lattice), TABLE, MICROSCOPE, apart=APART
    )


def test_columns_of_two_phases_are_told_from_one_phase():
    alone = gains(0.0)
    assert alone.max() < 0 and np.median(alone) < -5
    medians = [np.median(gains(share)) for share in (0.15, 0.3, 0.45)]
    assert medians == sorted(medians) and medians[0] > 5
    assert (gains(0.3) > 3).mean() > 0.9


def test_the_other_phase_alone_is_no_column_of_two():
    assert gains(0.0, first=1).max() < 0


def test_a_strained_crystal_is_no_column_of_two():
    assert (gains(0.0, strain=0.003) > 0).mean() < 0.05


def test_no_pairs_have_no_gains():
    nothing = Refined.placed(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 2)))
    spots = Spots(np.array([0, 1]), *np.ones((3, 1)))
    none = np.zeros(0, dtype=int)
    found = merged.gains(
        spots, none, np.zeros((2, 0), dtype=int), (nothing, nothing), TABLE, MICROSCOPE, apart=APART
    )
    assert found.shape == (0,)
