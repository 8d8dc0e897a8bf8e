"""A second lattice is found where there is one, and hardly ever where there is none."""

import numpy as np
import pytest
from kinematic import (
    CRYSTALS,
    NAMES,
    OPTICS,
    diffsims_patterns,
    misorientation_deg,
    quaternion,
    spots_of,
)
from scipy.spatial.transform import Rotation

from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.likelihood import Refined
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import reflection_table
from phasefront.diffraction.spot_lists import Spots
from phasefront.diffraction.template_library import Library
from phasefront.diffraction.templates import simulate_templates
from phasefront.layouts.phases import MIXED, UNDECIDED
from phasefront.orientations.indexing import find_orientations
from phasefront.phases import decisions, leftover, pairs

# diffsims' sources hold such sequences; Python says so when it first compiles them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")

MICROSCOPE = Optics(200.0, 0.8, (0.1, 1.15), position_sigma=0.002, scale_sigma=0.001)
NUMBER = 12


@pytest.fixture(scope="module")
def templates():
    return simulate_templates(CRYSTALS, resolution_deg=3.0, **OPTICS)


def scattered(patterns, *, sigma=0.0015, share=1.0, seed=0):
    """Spots with an error of position, weaker by a share."""
    rng = np.random.default_rng(seed)
    return [
        (qx + sigma * rng.standard_normal(len(qx)), qy + sigma * rng.standard_normal(len(qy)),
         share * intensity)
        for qx, qy, intensity in patterns
    ]  # fmt: skip


@pytest.fixture(scope="module")
def overlapping():
    """Spots of an Amam grain (up to 28 a position) over a weaker Cmc21 grain (14), those of Amam
    first; how many these are, and the other's orientations."""
    below, above = Rotation.random(NUMBER, random_state=1), Rotation.random(NUMBER, random_state=2)
    first = scattered(diffsims_patterns(CRYSTALS[0], below, 28), seed=3)
    second = scattered(diffsims_patterns(CRYSTALS[2], above, 14), share=0.5, seed=4)
    both = [
        tuple(np.concatenate(pair) for pair in zip(one, other, strict=True))
        for one, other in zip(first, second, strict=True)
    ]
    return spots_of(both), [len(one[0]) for one in first], above


def placed(rotation):
    """Crystals that lie so, at positions one after the other, as `leftover` takes them."""
    number = len(rotation)
    first = Refined.placed(quaternion(rotation), np.ones(number), np.zeros((number, 2)))
    return np.arange(number), np.zeros(number, dtype=int), first


def test_second_lattice_is_found_with_its_phase_and_orientation(templates, overlapping):
    spots, of_first, above = overlapping
    arrays = Spots.of(spots)
    explained = np.zeros(len(arrays.qx), dtype=bool)
    for start, number in zip(arrays.offset, of_first, strict=False):
        explained[start : start + number] = True
    found = leftover.find_second(
        arrays, explained, *placed(Rotation.random(NUMBER, random_state=1)),
        Library.prepare(templates, CRYSTALS, 5.0), reflection_table(CRYSTALS, max_radius=1.15),
        MICROSCOPE, min_spots=5,
    ).best()  # fmt: skip
    assert pairs.sure(found.probability).mean() > 0.8
    right = found.phase[1] == 2
    assert right.sum() > 0.8 * NUMBER
    lattice = Rotation.from_quat(found.refined[1].rotation[right], scalar_first=True)
    errors = [
        misorientation_deg(CRYSTALS[2], one, other)
        for one, other in zip(lattice, above[found.position[right]], strict=True)
    ]
    assert np.median(errors) < 0.5


def test_strays_make_no_second_lattice(templates):
    rng = np.random.default_rng(6)
    first = diffsims_patterns(CRYSTALS[0], Rotation.random(60, random_state=5), 25)
    patterns, explained = [], []
    for qx, qy, intensity in first:
        place = np.sqrt(rng.uniform(0.01, 1.3, 7)) * np.exp(2j * np.pi * rng.random(7))
        patterns.append(
            (np.append(qx, place.real), np.append(qy, place.imag), np.append(intensity, [50] * 7))
        )
        explained.append(np.arange(len(qx) + 7) < len(qx))
    found = leftover.find_second(
        Spots.of(spots_of(patterns)), np.concatenate(explained),
        *placed(Rotation.random(60, random_state=5)), Library.prepare(templates, CRYSTALS, 5.0),
        reflection_table(CRYSTALS, max_radius=1.15), MICROSCOPE, min_spots=5,
    ).best()  # fmt: skip
    assert pairs.sure(found.probability).sum() < 0.05 * 60


def test_two_phases_over_each_other_are_mixed_and_shared_by_amplitude(templates, overlapping):
    spots, of_first, _ = overlapping
    orientations = find_orientations(spots, templates, CRYSTALS)
    phases = decisions.decide_phases(spots, orientations, templates, CandidatePhases(CRYSTALS))
    assert phases.attrs["scan_step_nm"] == spots.attrs["scan_step_nm"] > 0
    decision, second = phases["decision"].values[0], phases["second_phase"].values[0]
    assert (second >= 0).mean() > 0.7
    mixed = decision == MIXED
    assert mixed.mean() > 0.4
    # The stronger, richer pattern decides where the other one has less than a quarter.
    assert np.isin(decision, [MIXED, UNDECIDED, 0]).mean() > 0.9
    share = phases["share"].values[0][mixed]
    np.testing.assert_allclose(share.sum(axis=1), 1, atol=1e-5)
    offset, _, _, intensity = Spots.of(spots)
    true = [
        np.sqrt(intensity[start : start + number]).sum() / np.sqrt(intensity[start:stop]).sum()
        for start, stop, number in zip(offset, offset[1:], of_first, strict=False)
    ]
    assert np.abs(share[:, 0] - np.array(true)[mixed]).max() < 0.2
    assert (phases["explained"].values[0] > 0.8).mean() > 0.7
    assert NAMES[2] in str(phases["phase"].values[2])


def test_strays_are_no_crystal(templates):
    random = np.random.default_rng(41)
    patterns = []
    for number in np.repeat([5, 6, 7], 60):
        radius = np.sqrt(random.uniform(0.15**2, 1.1**2, number))
        angle = random.uniform(0, 2 * np.pi, number)
        patterns.append(
            (radius * np.cos(angle), radius * np.sin(angle), random.uniform(1, 100, number))
        )
    spots = spots_of(patterns)
    orientations = find_orientations(spots, templates, CRYSTALS)
    # As wide as a coarse camera's list of peaks may have them, so that many are explained.
    phases = decisions.decide_phases(
        spots, orientations, templates, CandidatePhases(CRYSTALS), position_sigma=0.015,
        max_misfit=100.0, decide_above=0.5, max_residual=5.0,
    )  # fmt: skip
    explained = phases["explained"].values >= 0.5
    assert explained.mean() > 0.2
    assert (phases["over_strays"].values[explained] < np.log(20)).mean() > 0.95
    # Odds of 20 to 1 let chance have one in 21.
    assert (phases["decision"].values >= 0).mean() < 2 / 21


def test_two_grains_of_one_phase_have_one_phase(templates):
    one = scattered(diffsims_patterns(CRYSTALS[1], Rotation.random(10, random_state=7), 20), seed=8)
    other = scattered(
        diffsims_patterns(CRYSTALS[1], Rotation.random(10, random_state=9), 16), seed=10
    )
    both = [
        tuple(np.concatenate(pair) for pair in zip(a, b, strict=True))
        for a, b in zip(one, other, strict=True)
    ]
    spots = spots_of(both)
    orientations = find_orientations(spots, templates, CRYSTALS)
    phases = decisions.decide_phases(spots, orientations, templates, CandidatePhases(CRYSTALS))
    decision = phases["decision"].values[0]
    assert (decision == 1).mean() >= 0.6
    assert np.isin(decision, [1, UNDECIDED]).mean() >= 0.9
