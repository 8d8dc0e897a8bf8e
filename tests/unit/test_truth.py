"""The check against the truth, on scans whose mistakes are known."""

import json
from pathlib import Path

import numpy as np
import pytest
from examples import example
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from stages import build_fractions, build_grains, build_phases

from phasefront.core.errors import InputError
from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import read_crystal
from phasefront.layouts.phases import MIXED, UNDECIDED, VACUUM
from phasefront.layouts.truth import TRUTH
from phasefront.virtual.reliability import expected_calibration_error
from phasefront.virtual.truth import check_scan
from phasefront.virtual.zones import zone_regions

STRUCTURES = Path(__file__).resolve().parents[2] / "config" / "structures"
NAMES = ["Na3", "Na2"]
VOLUMES = np.array([220.0, 210.0])
START = Rotation.from_euler("zyx", [20, 31, 47], degrees=True).as_quat(scalar_first=True)


@pytest.fixture(scope="module")
def crystals():
    return [read_crystal(STRUCTURES / f"{name}V2PO42F3.cif", name=name) for name in NAMES]


def make_truth(weight, overlap=0, **second):
    weight = np.asarray(weight, dtype=float)
    rotation = np.broadcast_to(START, (*weight.shape, 4)).copy()
    rotation[weight.sum(axis=-1) == 0] = np.nan
    return example(
        TRUTH, phase=NAMES, weight=weight, thickness=50.0, overlap=overlap, rotation=rotation,
        scan="map", **{"second_weight": 0} | second,
    )  # fmt: skip


def checked(truth, phases, fractions, crystals, **options):
    return check_scan(truth, phases, build_grains(phases), fractions, crystals, **options)


def make_phases(decision, posterior=None, angle_deg=0.0, **given):
    decision = np.asarray(decision)
    if posterior is None:
        posterior = np.eye(2)[np.maximum(decision, 0)]
    tilt = Rotation.from_rotvec([0, 0, angle_deg], degrees=True)
    rotation = (tilt * Rotation.from_quat(START, scalar_first=True)).as_quat(scalar_first=True)
    rotation = np.broadcast_to(rotation, (*decision.shape, 2, 4))
    return build_phases(NAMES, decision, rotation=rotation, posterior=posterior, **given)


def make_fractions(value, half_width=0.1):
    value = np.asarray(value, dtype=float)
    moles = value / VOLUMES
    kinds = np.stack([value, value, moles / moles.sum()])
    return build_fractions(
        NAMES, found=kinds, value=kinds, low=kinds - half_width, high=kinds + half_width,
        formula_volume=VOLUMES, phase_ion_content=[3, 2],
    )  # fmt: skip


A, B, BOTH, EMPTY = (1, 0), (0, 1), (0.6, 0.4), (0, 0)


def test_known_mistakes(crystals):
    truth = make_truth([[A, A, A, B, B], [BOTH, BOTH, EMPTY, EMPTY, A]],
                       overlap=[[0, 0, 0, 0, 0], [0, 0, 0, 0, 1]])  # fmt: skip
    phases = make_phases([[0, 0, 1, 1, UNDECIDED], [0, 1, VACUUM, 0, VACUUM]], angle_deg=2)
    found = checked(truth, phases, make_fractions([0.5, 0.5]), crystals)
    json.dumps(found, allow_nan=False)
    assert found["phase_accuracy_decided"] == pytest.approx(3 / 4)
    assert found["phase_accuracy_mixed"] == pytest.approx(1 / 2)
    assert found["phase_accuracy_overlap"] is None
    assert found["undecided"] == pytest.approx(1 / 8)
    assert found["vacuum_missed"] == pytest.approx(1 / 2)
    assert found["crystal_missed"] == pytest.approx(1 / 8)
    assert found["orientation_error_deg_median"] == pytest.approx(2, abs=1e-3)
    # Crystal: four positions of A, two of B, two mixed.
    true = np.array([(4 + 1.2) / 8, (2 + 0.8) / 8])
    assert found["fractions_true"] == pytest.approx(dict(zip(NAMES, true, strict=True)))
    assert found["fraction_error_max"] == pytest.approx(0.15)
    moles, half = true / VOLUMES, 0.5 / VOLUMES
    assert found["fraction_error_max_molar"] == pytest.approx(
        abs(moles[0] / moles.sum() - half[0] / half.sum())
    )
    assert found["fraction_intervals_covering"] == 0
    assert found["confusion"] == {
        "Na3": {"Na3": 2, "Na2": 1, "mixed": 0, "undecided": 0, "vacuum": 0, "unindexed": 0},
        "Na2": {"Na3": 0, "Na2": 1, "mixed": 0, "undecided": 1, "vacuum": 0, "unindexed": 0},
    }


MOSTLY = (0.8, 0.2)


def test_mixed_positions_are_right_where_there_are_two_phases(crystals):
    truth = make_truth([[A, A, BOTH, BOTH, MOSTLY, BOTH, A, EMPTY]], [[0, 0, 0, 0, 0, 1, 1, 0]])
    decision = [[0, MIXED, MIXED, 1, MIXED, MIXED, MIXED, VACUUM]]
    share = np.array(
        [[A, (0.5, 0.5), (0.7, 0.3), B, MOSTLY, BOTH, (0.5, 0.5), (np.nan,) * 2]]
    )  # fmt: skip
    phases = make_phases(decision, share=share)
    found = checked(truth, phases, make_fractions([0.5, 0.5]), crystals)
    assert found["mixed"] == pytest.approx(5 / 7)
    assert found["undecided"] == 0
    # Of the five, those of a single phase are wrong: one in one grain, one in two grains.
    assert found["mixed_right"] == pytest.approx(3 / 5)
    # Asked for where neither phase has three quarters, so not at 0.8 and 0.2.
    assert found["mixed_found"] == pytest.approx(2 / 3)
    assert found["mixed_wrong"] == pytest.approx(1 / 2)
    # Mixed at a clear position is no decision.
    assert found["phase_accuracy_decided"] == 1
    assert found["positions"]["phase_accuracy_decided"] == 1
    assert found["confusion"]["Na3"] == {
        "Na3": 1, "Na2": 0, "mixed": 2, "undecided": 0, "vacuum": 0, "unindexed": 0,
    }  # fmt: skip
    # Errors 0.1, 0.6, 0 and, of the overlap, 0.
    assert found["share_error_rms"] == pytest.approx(np.sqrt((0.01 + 0.36) / 4), abs=1e-6)
    assert found["positions"]["share_error_rms"] == 4


def test_ion_contents_are_those_of_the_formula_units(crystals):
    truth = make_truth([[A, BOTH, BOTH, B, A]], overlap=[[0, 0, 1, 0, 0]])
    amount = np.array(BOTH) / VOLUMES
    content = amount @ [3, 2] / amount.sum()
    found = [[3.1, content + 0.05, 0, 2, np.nan]]
    phases = make_phases([[0, MIXED, MIXED, 1, UNDECIDED]], ion_content=found,
                         ion_content_stderr=[[0.02, 0.03, 1, 0.01, np.nan]])  # fmt: skip
    check = checked(truth, phases, make_fractions([0.5, 0.5]), crystals)
    # Five standard errors off, less than two, none; the overlap and the unknown do not count.
    assert check["ion_content_error_rms"] == pytest.approx(
        np.sqrt((0.1**2 + 0.05**2) / 3), abs=1e-6
    )
    assert check["ion_content_covering"] == pytest.approx(2 / 3)
    assert check["positions"]["ion_content_covering"] == 3


def turned(rotation, angle_deg):
    tilt = Rotation.from_rotvec([0, angle_deg, 0], degrees=True)
    return (tilt * Rotation.from_quat(rotation, scalar_first=True)).as_quat(scalar_first=True)


@pytest.mark.parametrize("half_turn", [False, True])
def test_a_second_lattice_is_right_where_it_is_the_other_grains(crystals, half_turn):
    other = turned(START, 40)
    second = np.full((1, 6, 2, 4), np.nan)
    second[0, :5] = other
    truth = make_truth([[A] * 6], overlap=[[1, 1, 1, 1, 1, 0]], second_rotation=second)
    # The other grain's; 10 degrees off; none; the first grain's again; of the first, the first
    # lattice being the second grain's; where there is one grain.
    lattices = np.stack(
        [turned(other, 2), turned(other, 10), np.full(4, np.nan), START, turned(START, 2), START]
    )
    if half_turn:
        lattices = rotations.multiply(lattices, rotations.HALF_TURN)
    first = np.broadcast_to(START, (1, 6, 2, 4)).copy()
    first[0, 4] = turned(other, 1)
    phases = make_phases([[0] * 6], second_rotation=lattices[None],
                         second_phase=[[0, 0, -1, 0, 0, 0]])  # fmt: skip
    phases["rotation"][:] = first
    found = checked(truth, phases, make_fractions([0.5, 0.5]), crystals)
    assert found["second_lattice_right"] == pytest.approx(2 / 5)
    assert found["second_lattice_found"] == pytest.approx(4 / 5)
    assert found["second_lattice_false"] == 1


def test_variants_of_a_phase_are_one_lattice(crystals):
    """A quarter turn about c: another orientation of Amam, the same lattice."""
    quarter = Rotation.from_euler("z", 90, degrees=True).as_quat(scalar_first=True)
    other = np.empty((1, 2, 2, 4))
    other[:] = turned(START, 40)
    truth = make_truth([[A, B]], overlap=[[1, 1]], second_rotation=other)
    lattices = rotations.multiply(quarter, other[:, :, 0])
    shared = {"parents": [np.eye(3), [[1, 1, 0], [-1, 1, 0], [0, 0, 1]]],
              "parent_point_group": "4/mmm"}  # fmt: skip
    for second_phase, own in (([[0, 0]], 0), ([[1, 1]], 1)):
        phases = make_phases([[0, 1]], second_rotation=lattices, second_phase=second_phase)
        for options, right in (({}, own), (shared, 1)):
            found = check_scan(
                truth, phases, build_grains(phases), make_fractions([0.5, 0.5]), crystals, **options
            )
            assert found["second_lattice_right"] == right


def test_intervals_that_hold_the_truth(crystals):
    truth, phases = make_truth([[A, B]]), make_phases([[0, 1]])
    found = checked(truth, phases, make_fractions([0.55, 0.45]), crystals)
    assert found["fraction_intervals_covering"] == 1
    assert found["fraction_error_max"] == pytest.approx(0.05)


@pytest.mark.parametrize(("angle", "expected"), [(90, (90, 0)), (180, (0, 0)), (50, (50, 40))])
def test_orientation_is_compared_under_the_phases_own_symmetry(crystals, angle, expected):
    """A rotation about c: two-fold in Amam, four-fold in I4/mmm."""
    for number, error in enumerate(expected):
        truth = make_truth([[(1, 0) if number == 0 else (0, 1)]])
        phases = make_phases([[number]], angle_deg=angle)
        found = check_scan(
            truth, phases, build_grains(phases), make_fractions([0.5, 0.5]), crystals
        )
        assert found["orientation_error_deg_median"] == pytest.approx(error, abs=0.02)


def test_half_turns_about_the_beam_are_told(crystals):
    truth, phases = make_truth([[A, A, B, B]]), make_phases([[0, 0, 1, 1]])
    rotation = phases["rotation"].values.copy()
    rotation[0, 1] = rotations.multiply(rotation[0, 1], rotations.HALF_TURN)
    phases = phases.assign(rotation=(phases["rotation"].dims, rotation))
    found = checked(truth, phases, make_fractions([0.5, 0.5]), crystals)
    assert found["orientation_half_turned"] == pytest.approx(1 / 4)
    assert found["orientation_error_deg_median"] == pytest.approx(0, abs=0.05)
    assert found["orientation_error_deg_p90"] > 10


def test_grains_that_are_sure_of_half_turn_and_variant_are_counted_and_the_wrong_ones(crystals):
    """Five grains of two positions: right, of the other variant and sure, of it and unsure, half
    turned and sure, and right where half turns are no question."""
    quarter = Rotation.from_euler("z", 90, degrees=True).as_quat(scalar_first=True)
    variant, half_turned = (
        rotations.multiply(quarter, START), rotations.multiply(START, rotations.HALF_TURN)
    )  # fmt: skip
    lies_so = np.repeat([START, variant, variant, half_turned, START], 2, axis=0)
    phases = make_phases([[0] * 10], orientation_stderr=[[0.1] * 9 + [0.6]])
    phases["rotation"][:] = lies_so[None, :, None]
    grains = build_grains(
        phases, label=np.repeat(np.arange(5), 2)[None], half_turn_gap=[1, 2, 1, 3, np.nan],
        half_turn_probability=[0.1, 0.01, 0.2, 0.02, 0.0],
        variant_probability=np.array([[0.99, 0.97, 0.6, 0.99, 0.99], [np.nan] * 5]).T,
    )  # fmt: skip
    parents = [np.eye(3), [[1, 1, 0], [-1, 1, 0], [0, 0, 1]]]
    found = check_scan(
        make_truth([[A] * 10]), phases, grains, make_fractions([0.5, 0.5]), crystals,
        parents=parents, parent_point_group="4/mmm",
    )  # fmt: skip
    nothing = {"grains": 0, "sure": 0, "wrong": 0}
    assert found["settled_grains"] == {
        "half turn": {"Na3": {"grains": 4, "sure": 2, "wrong": 1}, "Na2": nothing},
        # The tetragonal phase has no variants.
        "variant": {"Na3": {"grains": 5, "sure": 4, "wrong": 1}},
    }
    # All are probably right; the last has the larger standard error.
    assert found["orientation_sure"] == pytest.approx(0.9)


def test_nothing_decided(crystals):
    truth, phases = make_truth([[EMPTY, EMPTY]]), make_phases([[VACUUM, VACUUM]])
    found = check_scan(
        truth, phases, build_grains(phases), make_fractions([np.nan, np.nan]), crystals
    )
    json.dumps(found, allow_nan=False)
    assert found["phase_accuracy_decided"] is None
    assert found["expected_calibration_error"] is None
    assert found["orientation_error_deg_median"] is None
    assert found["fraction_error_max"] is None


def test_bins_of_reliability_hold_what_was_said_and_what_came_true(crystals):
    said = np.array([0.97, 0.97, 0.97, 0.995, 0.3, 0.3])
    truth = make_truth([[A, A, B, A, B, B]])
    phases = make_phases(
        [[0, 0, 0, 0, 1, VACUUM]], posterior=np.stack([[said], [1 - said]], -1),
        explained=np.ones((1, 6)),
    )  # fmt: skip
    found = checked(truth, phases, make_fractions([0.5, 0.5]), crystals)
    low, near, sure = found["reliability"]["Na3"]
    assert (near["from"], near["to"], near["count"]) == (0.95, 0.99, 3)
    assert near["posterior"] == pytest.approx(0.97)
    assert near["frequency"] == pytest.approx(2 / 3)
    assert (sure["count"], sure["frequency"]) == (1, 1)
    # One of the two is called vacuum.
    assert (low["from"], low["count"], low["frequency"]) == (0.3, 1, 0)
    assert [one["count"] for one in found["reliability"]["Na2"]] == [1, 3, 1]
    assert sum(one["count"] for one in found["confidence"]) == 5
    excess = [one["count"] * abs(one["frequency"] - one["posterior"]) for one in
              found["confidence"]]  # fmt: skip
    assert found["expected_calibration_error"] == pytest.approx(sum(excess) / 5)


def along(crystal, index):
    """An orientation that has the beam along a lattice direction."""
    axis = np.array(index) @ np.linalg.inv(crystal.reciprocal).T
    turn, _ = Rotation.align_vectors(axis[None] / np.linalg.norm(axis), [[0, 0, 1.0]])
    return turn.as_quat(scalar_first=True)


def test_regions_are_named_after_low_index_axes(crystals):
    orthorhombic, tetragonal = (zone_regions(START[None], crystal)[0] for crystal in crystals)
    assert orthorhombic == ["[100]", "[010]", "[001]", "[110]", "[101]", "[011]", "[111]"]
    assert tetragonal == ["[100]", "[001]", "[110]", "[101]", "[111]"]


@pytest.mark.parametrize("index", [(1, 0, 0), (0, -1, 0), (0, 1, -1), (-1, 1, -1), (1, 1, 0)])
def test_beam_along_an_axis_is_in_its_region(crystals, index):
    names, region, angle = zone_regions(along(crystals[0], index)[None], crystals[0])
    assert names[region[0]] == f"[{''.join(str(abs(i)) for i in index)}]"
    assert angle[0] == pytest.approx(0, abs=1e-4)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**31), size=st.floats(0.1, 5))
def test_angle_to_the_axis_is_that_of_the_tilt(crystals, seed, size):
    rng = np.random.default_rng(seed)
    tilt = Rotation.from_rotvec(size * np.array([*_unit_pair(rng), 0]), degrees=True)
    on_axis = Rotation.from_quat(along(crystals[0], (0, 0, 1)), scalar_first=True)
    operation = Rotation.from_quat(rng.choice(crystals[0].symmetry), scalar_first=True)
    found = (operation * on_axis * tilt).as_quat(scalar_first=True)
    names, region, angle = zone_regions(found[None], crystals[0])
    assert names[region[0]] == "[001]"
    assert angle[0] == pytest.approx(size, abs=1e-4)


def _unit_pair(rng):
    angle = rng.uniform(0, 2 * np.pi)
    return np.cos(angle), np.sin(angle)


def test_confusion_is_told_by_region(crystals):
    truth = make_truth([[A, A, B, EMPTY]])
    rotation = truth["rotation"].values.copy()
    rotation[0, 0] = along(crystals[0], (0, 0, 1))
    rotation[0, 1] = rotation[0, 2] = along(crystals[0], (1, 1, 1))
    truth = truth.assign(rotation=(truth["rotation"].dims, rotation))
    phases = make_phases([[0, 1, UNDECIDED, VACUUM]])
    check = checked(truth, phases, make_fractions([0.5, 0.5]), crystals)
    found = check["confusion_by_zone"]
    assert list(found) == ["[001]", "[111]"]
    assert found["[001]"]["confusion"]["Na3"]["Na3"] == 1
    assert found["[111]"]["confusion"]["Na3"]["Na2"] == 1
    assert found["[111]"]["confusion"]["Na2"]["undecided"] == 1
    assert found["[111]"]["angle_deg_max"] == pytest.approx(0, abs=1e-2)


def test_calibration_error_of_known_bins():
    confidence = np.array([0.95] * 10 + [0.55] * 10)
    correct = np.array([True] * 9 + [False] + [True] * 3 + [False] * 7)
    found = expected_calibration_error(confidence, correct)
    assert found == pytest.approx((abs(9 - 9.5) + abs(3 - 5.5)) / 20)


def test_calibrated_posteriors_have_little_error():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 20000)
    correct = rng.random(20000) < confidence
    assert expected_calibration_error(confidence, correct) < 0.02
    assert expected_calibration_error(np.sqrt(confidence), correct) > 0.08


def test_other_scans_and_phases_are_refused(crystals):
    truth, phases = make_truth([[A, B]]), make_phases([[0], [1]])
    with pytest.raises(InputError, match="positions"):
        checked(truth, phases, make_fractions([0.5, 0.5]), crystals)
    phases = make_phases([[0, 1]]).assign_coords(phase=["Na3", "other"])
    with pytest.raises(InputError, match="different phases"):
        checked(truth, phases, make_fractions([0.5, 0.5]), crystals)
