"""Two phases of one grain in a column: found where few spots are the second's alone."""

import numpy as np
import pytest
from kinematic import OPTICS, diffsims_patterns, misorientation_deg, quaternion, spots_of
from projects import ROOT
from scipy.spatial.transform import Rotation

from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.crystals import read_crystal
from phasefront.diffraction.likelihood import Refined, assign
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import reflection_table
from phasefront.diffraction.spot_lists import Spots
from phasefront.diffraction.templates import simulate_templates
from phasefront.layouts.phases import MIXED, UNDECIDED
from phasefront.orientations.indexing import find_orientations
from phasefront.phases import brightness, columns, kinship, pairs
from phasefront.phases.decisions import decide_phases

# diffsims' sources hold such sequences; Python says so when it first compiles them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")

NAMES = ("LiFePO4", "FePO4")
LFP = CandidatePhases(
    [read_crystal(ROOT / "config" / "structures" / f"{name}.cif") for name in NAMES],
    parent_axes=[np.eye(3)] * 2, ion_contents=[1, 0],
)  # fmt: skip
TABLE = reflection_table(LFP.crystals, max_radius=1.15)
MICROSCOPE = Optics(200.0, 0.8, (0.1, 1.15), position_sigma=0.003, scale_sigma=0.001)
SIGMA = 0.002  # of spots' places, 1/angstrom
FAINTEST = 1e-4  # intensity of a spot that is seen, relative to the brightest
RESOLVED = 0.07  # 1/angstrom, as in virtual scans
NUMBER = 24


def blurred(one, other, rng):
    """Spots of two patterns: those nearer than RESOLVED become one, in the middle of both."""
    q = np.concatenate([np.stack(pattern[:2], 1) for pattern in (one, other)])
    intensity = np.concatenate([one[2], other[2]])
    found = []
    left = np.ones(len(q), dtype=bool)
    for brightest in np.argsort(-intensity):
        own = left & (np.hypot(*(q - q[brightest]).T) < RESOLVED)
        if left[brightest]:
            found.append(
                (*np.average(q[own], axis=0, weights=intensity[own]), intensity[own].sum())
            )
            left &= ~own
    x, y, counts = np.array([one for one in found if one[2] > FAINTEST * found[0][2]]).T
    return x + SIGMA * rng.standard_normal(len(x)), y + SIGMA * rng.standard_normal(len(y)), counts


def columns_of(shares, turned_deg=0.0):
    """SPOTS of columns of two phases whose amplitudes have these `shares`, the second turned about
    the beam; orientations of the columns; the second's share in each."""
    rng = np.random.default_rng(3)
    rotation = Rotation.random(NUMBER, rng=4)
    turn = Rotation.from_rotvec([0.0, 0.0, turned_deg], degrees=True)
    both = [
        diffsims_patterns(crystal, own, 30)
        for crystal, own in zip(LFP.crystals, (rotation, rotation * turn), strict=True)
    ]
    amplitude = [
        [share * np.sqrt(one[2]).sum() for one in own]
        for share, own in zip(shares, both, strict=True)
    ]
    spots = spots_of(
        [
            blurred(
                (one[0], one[1], shares[0] ** 2 * one[2]),
                (other[0], other[1], shares[1] ** 2 * other[2]), rng,
            )
            for one, other in zip(*both, strict=True)
        ]
    )  # fmt: skip
    return spots, rotation, amplitude[1] / np.sum(amplitude, axis=0)


def found_in(shares, turned_deg=0.0):
    """Pairs found in such columns, where the first lattice is known; orientations, spots, and the
    second's share."""
    spots, rotation, share = columns_of(shares, turned_deg)
    spots = Spots.of(spots)
    first = Refined.placed(quaternion(rotation), np.ones(NUMBER), np.zeros((NUMBER, 2)))
    phase, position = np.zeros(NUMBER, dtype=int), np.arange(NUMBER)
    explained = np.zeros(len(spots.qx), dtype=bool)
    explained[assign(spots, position, phase, first, TABLE, MICROSCOPE).spot] = True
    found = columns.find_pairs(
        spots, explained, position, phase, first, LFP, TABLE, MICROSCOPE, prior=0.2
    )
    return found, rotation, spots, share


@pytest.mark.parametrize("turned_deg", [0.0, 1.0])
def test_a_phase_beside_its_like_is_found(turned_deg):
    found, rotation, spots, _ = found_in((0.65, 0.35), turned_deg)
    assert len(np.unique(found.position)) > 0.9 * NUMBER
    assert (found.phase[1] == 1).all() and pairs.likelier(found.probability).all()
    for position, lattice in zip(found.position, found.refined[1].rotation, strict=True):
        own = Rotation.from_quat(lattice, scalar_first=True)
        assert misorientation_deg(LFP.crystals[1], own, rotation[position]) < 2.0
    assert 0.03 < pairs.closest(spots) < 0.2


def test_the_share_counts_what_is_not_resolved():
    found, _, spots, true = found_in((0.65, 0.35))
    best = found.best()
    entry, spot = brightness.listed(spots, best.position)
    _, turned, of = best.brightest_first(spots, TABLE, MICROSCOPE)
    merged = np.where(turned[entry], 1 - of.part[spot], of.part[spot])
    expected, _ = best.expected(spots, TABLE, MICROSCOPE)
    resolved = pairs.shared_out(expected, entry, spots.intensity[spot], len(best.position))

    def bias(part):
        counts = np.where(expected.sum(axis=0) > 0, spots.intensity[spot], 0.0)
        own, other = (np.bincount(entry, np.sqrt(counts * share)) for share in (1 - part, part))
        return np.median(other / (own + other) - true[best.position])

    assert -0.12 < bias(merged) < 0.0
    assert bias(resolved) < bias(merged) - 0.02
    assert of.shared.any() and not (of.shared & ~of.explained.any(axis=0)).any()


def test_columns_of_two_phases_are_decided_so():
    templates = simulate_templates(LFP.crystals, resolution_deg=3.0, **OPTICS)

    def decided(*shares):
        spots, *_ = columns_of(shares)
        orientations = find_orientations(spots, templates, LFP.crystals)
        return decide_phases(spots, orientations, templates, LFP)

    both, alone = decided(0.6, 0.4), decided(1.0, 1e-6)
    two = both["second_phase"].values >= 0
    assert two.mean() > 0.8
    # Where a scan has no other columns, some cells look like those of a phase that is missing.
    assert np.isin(both["decision"].values, [MIXED, UNDECIDED])[two].mean() > 0.9
    assert (both["decision"].values == MIXED).mean() > 0.4
    assert (both["second_probability"].values[two] > 0.5).all()
    assert not (alone["second_phase"].values >= 0).any()
    assert not (alone["decision"].values == MIXED).any()


def test_one_phase_alone_has_no_second():
    found, *_ = found_in((1.0, 1e-6))
    assert not len(found.position)


def test_phases_lend_each_other_their_orientation_and_back():
    rotation = quaternion(Rotation.random(5, rng=6))
    entry, other, lent = kinship.lent(np.zeros(5, dtype=int), rotation, LFP)
    assert (other == 1).all() and set(entry) == set(range(5))
    again, phase, back = kinship.lent(other, lent, LFP)
    angle = kinship.angles(back, rotation[entry[again]], phase, LFP.crystals)
    nearest = np.full(5, np.inf)
    np.minimum.at(nearest, entry[again], angle)
    assert (nearest < 1e-3).all()


def test_spots_of_which_no_pattern_has_two_are_told_apart_anywhere():
    for numbers in ([0, 0, 0], [0, 1, 1]):
        offset = np.concatenate([[0], np.cumsum(numbers)])
        x = np.arange(offset[-1], dtype=float)
        assert pairs.closest(Spots(offset, x, x, np.ones_like(x))) == np.inf
