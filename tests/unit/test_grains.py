"""Grains against maps with known grains, and misorientations against orix."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from stages import build_phases

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.diffraction import rotations
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.crystals import read_crystal
from phasefront.grains import pooling
from phasefront.grains.segmentation import find_grains
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.phases import MIXED, UNDECIDED, UNINDEXED, VACUUM

STRUCTURES = Path(__file__).resolve().parents[2] / "config" / "structures"
NAMES = ["Na3", "Na2", "Na1"]
IDENTITY = np.eye(3)
DIAGONAL = np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 1]])
PARENTS = [IDENTITY, DIAGONAL, IDENTITY]
# Rotations to the parent's frame: a of I4/mmm lies at 45 degrees to the parent's a.
TO_PARENT = [0, -45, 0]


@pytest.fixture(scope="module")
def crystals():
    files = ["Na3V2PO42F3.cif", "Na2V2PO42F3.cif", "NaV2PO42F3.cif"]
    return [read_crystal(STRUCTURES / file, name=n) for file, n in zip(files, NAMES, strict=True)]


def quaternion(rotation: Rotation) -> np.ndarray:
    return rotation.as_quat(scalar_first=True)


def make_phases(decision, parent, *, likeliest=None, **given):
    """PHASES of a map of decisions and of the parent lattice's orientations (y, x, 4)."""
    decision = np.asarray(decision)
    likeliest = decision if likeliest is None else np.asarray(likeliest)
    rotation = np.stack(
        [rotations.multiply(quaternion(Rotation.from_euler("z", a, degrees=True)), parent)
         for a in TO_PARENT], axis=2,
    )  # fmt: skip
    posterior = np.full((*decision.shape, 3), 0.05)
    np.put_along_axis(posterior, np.maximum(likeliest, 0)[..., None], 0.9, axis=-1)
    return build_phases(NAMES, decision, rotation=rotation, posterior=posterior, **given)


START = Rotation.from_euler("zyx", [20, 31, 47], degrees=True)


def uniform(shape):
    return np.broadcast_to(quaternion(START), (*shape, 4)).copy()


def grains_of(phases, crystals, parents=(), group=None, **options):
    options = {"misorientation_deg": 5, "min_positions": 1, "scan_step_nm": 12.8} | options
    return find_grains(
        phases, CandidatePhases(crystals, parents, parent_point_group=group), **options
    )


def with_parents(phases, crystals, **options):
    return grains_of(phases, crystals, PARENTS, "4/mmm", **options)


@pytest.mark.parametrize("point_group", ["mmm", "4/mmm", "m-3m"])
def test_misorientation_agrees_with_orix(point_group):
    from orix.crystal_map import Phase
    from orix.quaternion import Misorientation, Orientation

    group = Phase(point_group=point_group).point_group
    first, second = Orientation.random(200).data, Orientation.random(200).data
    product = Orientation(second) * ~Orientation(first)
    expected = Misorientation(product.data, symmetry=(group, group)).reduce().angle
    found = rotations.misorientation(first, second, group.laue_proper_subgroup.data)
    np.testing.assert_allclose(found, np.degrees(expected), atol=1e-5)


def test_product_of_quaternions_is_that_of_matrices():
    first, second = Rotation.random(2, rng=1)
    found = rotations.multiply(quaternion(first), quaternion(second))
    expected = (first * second).as_matrix()
    np.testing.assert_allclose(
        Rotation.from_quat(found, scalar_first=True).as_matrix(), expected, atol=1e-12
    )


def test_phases_of_one_crystal_share_a_grain_where_they_share_a_parent(crystals):
    decision = np.repeat([[0, 1, 2, 1]], 3, axis=0)
    phases = make_phases(decision, uniform(decision.shape))
    joined = with_parents(phases, crystals)
    assert joined["label"].values.max() == 0
    assert joined["phase_count"].values.tolist() == [[3, 6, 3]]
    assert joined["spread"].values[0] < 0.05
    apart = grains_of(phases, crystals)
    assert apart["label"].values[0].tolist() == [0, 1, 2, 3]


def test_mixed_positions_belong_to_the_grain_of_their_first_lattice(crystals):
    decision = np.repeat([[0, MIXED, MIXED, 1, UNDECIDED]], 3, axis=0)
    likeliest = np.repeat([[0, 0, 1, 1, 2]], 3, axis=0)
    grains = with_parents(make_phases(decision, uniform(decision.shape), likeliest=likeliest),
                          crystals)  # fmt: skip
    assert grains["label"].values.max() == 0
    assert grains["phase_count"].values.tolist() == [[3, 3, 0]]
    assert grains["mixed_count"].values.tolist() == [6]
    assert grains["undecided_count"].values.tolist() == [3]
    assert grains["size"].values.tolist() == [15]
    decision[0, 4] = UNINDEXED  # its spots are unexplained, which leaves it in the grain
    again = with_parents(make_phases(decision, uniform(decision.shape), likeliest=likeliest),
                         crystals)  # fmt: skip
    assert again["undecided_count"].values.tolist() == [3]


def test_mean_rotation_is_that_of_the_parent(crystals):
    decision = np.repeat([[1, 1, 0, 2]], 4, axis=0)
    parent = uniform(decision.shape)
    grains = with_parents(make_phases(decision, parent), crystals)
    mean = grains["rotation"].values[0].astype("f8")
    symmetry = crystals[1].symmetry
    assert rotations.misorientation(mean, parent[0, 0], symmetry) < 0.02


def test_variants_of_the_parents_four_fold_axis_are_one_crystal(crystals):
    quarter = Rotation.from_euler("z", 90, degrees=True)
    parent = uniform((2, 6))
    parent[:, 3:] = rotations.multiply(quaternion(quarter), parent[:, 3:])
    phases = make_phases(np.zeros((2, 6), dtype=int), parent)
    assert with_parents(phases, crystals)["label"].values.max() == 0
    apart = grains_of(phases, crystals)
    assert apart["label"].values[0].tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(apart["pair_misorientation"].values, 90, atol=1e-3)


def test_half_turns_about_the_beam_are_one_crystal_of_the_commoner_orientation(crystals):
    decision = np.zeros((4, 9), dtype=int)
    parent = uniform(decision.shape)
    turned = np.random.default_rng(0).random(decision.shape) < 0.3
    turned[0, 0] = True
    parent[turned] = rotations.multiply(parent[turned], rotations.HALF_TURN)
    grains = with_parents(make_phases(decision, parent), crystals)
    assert grains.sizes["grain"] == 1
    assert grains["spread"].item() < 0.1
    mean = grains["rotation"].values[0].astype("f8")
    assert rotations.misorientation(mean, quaternion(START), crystals[1].symmetry) < 0.02


def half_turns(parent, gap):
    """What `make_phases` takes for positions of Na3 whose half turns are less likely by `gap`."""
    turned = rotations.multiply(parent, rotations.HALF_TURN)[:, :, None]
    return {"alternative_rotation": turned, "alternative_log_odds": -np.asarray(gap)[..., None]}


@pytest.mark.parametrize(("of_turned", "is_turned"), [(5.0, False), (20.0, True)])
def test_a_grain_is_the_way_that_its_positions_odds_speak_for(crystals, of_turned, is_turned):
    parent = uniform((1, 10))
    parent[0, :3] = rotations.multiply(parent[0, :3], rotations.HALF_TURN)
    gap = np.array([[of_turned] * 3 + [6.0] * 7])
    decision = np.zeros((1, 10), dtype=int)
    grains = with_parents(make_phases(decision, parent, **half_turns(parent, gap)), crystals)
    way = (
        rotations.multiply(quaternion(START), rotations.HALF_TURN)
        if is_turned
        else quaternion(START)
    )
    mean = grains["rotation"].values[0].astype("f8")
    assert rotations.misorientation(mean, way, crystals[1].symmetry) < 0.02
    expected = abs(7 * 6.0 - 3 * of_turned) / 10
    assert grains["half_turn_gap"].item() == pytest.approx(expected)
    chance = 1 / (1 + np.exp(expected * pooling.POOLED))
    assert grains["half_turn_probability"].item() == pytest.approx(chance)


def test_half_turns_about_a_tilted_zone_do_not_shift_the_mean(crystals):
    """About the zone axis they are off by twice its tilt from those about the beam."""
    axis = START.apply([0.0, 0.0, 1.0])
    off = Rotation.from_rotvec(1.5 * np.cross(axis, [1.0, 0, 0]), degrees=True).apply(axis)
    about_zone = quaternion(Rotation.from_rotvec(np.pi * off / np.linalg.norm(off)))
    right = uniform((1, 10))
    other = rotations.multiply(about_zone, right)
    found, alternative = right.copy(), other.copy()
    found[0, :4], alternative[0, :4] = other[0, :4], right[0, :4]
    phases = make_phases(
        np.zeros((1, 10), dtype=int), found, alternative_rotation=alternative[:, :, None],
        alternative_log_odds=-np.array([[0.3] * 4 + [4.0] * 6])[..., None],
    )  # fmt: skip
    grains = with_parents(phases, crystals)
    mean = grains["rotation"].values[0].astype("f8")
    assert rotations.misorientation(mean, right[0, 0], crystals[1].symmetry) < 0.05
    assert grains["spread"].item() < 0.1
    np.testing.assert_allclose(grains["orientation"].values, right, atol=1e-5)
    assert (grains["orientation_probability"].values > 0.95).all()


def test_of_a_map_by_others_nothing_is_known_of_half_turns_and_variants(crystals):
    parent = uniform((1, 10))
    phases = make_phases(np.zeros((1, 10), dtype=int), parent, map_by="another program")
    grains = with_parents(phases, crystals)
    for name in ("half_turn_probability", "orientation_probability", "axes_probability"):
        assert np.isnan(grains[name].values).all()
    np.testing.assert_allclose(grains["orientation"].values, parent, atol=1e-6)


def test_along_an_even_axis_half_turns_are_no_question(crystals):
    parent = np.broadcast_to([1.0, 0, 0, 0], (2, 5, 4)).copy()
    phases = make_phases(np.zeros((2, 5), dtype=int), parent)
    grains = with_parents(phases, crystals)
    assert grains["half_turn_probability"].item() == 0
    assert np.isnan(grains["half_turn_gap"].item())


def test_a_boundary_has_another_angle_where_one_side_is_turned(crystals):
    parent = uniform((2, 8))
    parent[:, 4:] = quaternion(Rotation.from_euler("zyx", [5, 60, -20], degrees=True))
    gap = np.full((2, 8), 1.6)
    gap[:, 4:] = 0.4
    decision = np.zeros((2, 8), dtype=int)
    grains = grains_of(make_phases(decision, parent, **half_turns(parent, gap)), crystals)
    turned = rotations.multiply(parent[0, 0], rotations.HALF_TURN)
    symmetry = crystals[0].symmetry
    for name, first in (("", parent[0, 0]), ("_turned", turned)):
        found = grains[f"pair_misorientation{name}"].item()
        assert found == pytest.approx(
            rotations.misorientation(first, parent[0, 4], symmetry), abs=1e-2
        )
    sure, doubtful = 1 / (1 + np.exp(np.array([1.6, 0.4]) * pooling.POOLED))
    expected = sure * (1 - doubtful) + doubtful * (1 - sure)
    assert grains["pair_turned_probability"].item() == pytest.approx(expected, abs=1e-6)


QUARTER = quaternion(Rotation.from_euler("z", 90, degrees=True))


def of_variants(odds, half_turn=40.0):
    """PHASES of positions of Na3 in one grain that speak for variant a by the log-odds `odds` (x,),
    and for the half turn of neither, as the likelier variant is found; and (x, 4) variant a."""
    odds = np.asarray(odds, dtype=float)
    a = uniform((1, len(odds)))
    b = rotations.multiply(QUARTER, a)
    found, other = (np.where((odds >= 0)[:, None], *pair) for pair in ((a, b), (b, a)))
    turned = [rotations.multiply(one, rotations.HALF_TURN) for one in (found, other)]
    gap = np.abs(odds)[None]
    return make_phases(
        np.zeros((1, len(odds)), dtype=int), found,
        alternative_rotation=np.stack([other, *turned], axis=2),
        alternative_log_odds=-np.stack(
            [gap, np.full(gap.shape, half_turn), half_turn + gap], axis=-1
        ),
    ), a[0]  # fmt: skip


def test_a_grain_settles_the_variant_of_its_positions(crystals):
    odds = [-0.2] * 3 + [2.0] * 7
    phases, a = of_variants(odds)
    grains = with_parents(phases, crystals)
    assert grains.sizes["grain"] == 1
    expected = 1 / (1 + np.exp(-pooling.POOLED * np.mean(odds)))
    assert grains["variant_probability"].values[0, 0] == pytest.approx(expected, abs=1e-6)
    assert np.isnan(grains["variant_probability"].values[0, 1:]).all()
    angle = rotations.misorientation(
        grains["orientation"].values[0].astype("f8"), a, crystals[0].symmetry
    )
    assert angle.max() < 0.1
    # Those that agree are as sure as the grain; against it stands what others say by themselves.
    own = 1 / (1 + np.exp(-0.2))
    against = expected * (1 - own) / (expected * (1 - own) + own * (1 - expected))
    for name in ("orientation_probability", "axes_probability"):
        np.testing.assert_allclose(
            grains[name].values[0], [against] * 3 + [expected] * 7, atol=1e-5
        )
    back = pooling.settled(phases, grains)
    np.testing.assert_array_equal(back["rotation"].values[:, :, 0], grains["orientation"].values)


def test_positions_that_are_surer_than_their_grain_keep_their_variant(crystals):
    phases, a = of_variants([-9.0] * 2 + [3.0] * 20)
    grains = with_parents(phases, crystals)
    found = grains["orientation"].values[0].astype("f8")
    angle = rotations.misorientation(found, a, crystals[0].symmetry)
    assert (angle[:2] > 85).all()
    assert (angle[2:] < 0.1).all()
    doubted = grains["orientation_probability"].values[0, :2]
    assert (doubted < 1 / (1 + np.exp(-9.0))).all()


def test_a_doubtful_half_turn_leaves_the_axes_sure(crystals):
    phases, _ = of_variants([30.0] * 6, half_turn=0.1)
    grains = with_parents(phases, crystals)
    probability = 1 / (1 + np.exp(-0.1 * pooling.POOLED))
    np.testing.assert_allclose(grains["orientation_probability"].values, probability, atol=1e-5)
    np.testing.assert_allclose(grains["axes_probability"].values, 1, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    odds=st.lists(st.floats(-6, 6), min_size=1, max_size=8),
    half_turn=st.floats(0, 6), order=st.permutations(range(3)),
)  # fmt: skip
def test_probabilities_are_some_and_do_not_depend_on_the_order(crystals, odds, half_turn, order):
    phases, _ = of_variants(odds, half_turn)
    names = ["orientation_probability", "axes_probability", "variant_probability"]
    first = with_parents(phases, crystals)
    again = with_parents(phases.isel(alternative=order), crystals)
    for name in names:
        values = first[name].values
        assert ((values >= 0) & (values <= 1 + 1e-6) | np.isnan(values)).all()
        np.testing.assert_allclose(again[name].values, values, atol=1e-6)
    axes = first["axes_probability"].values
    assert (axes >= first["orientation_probability"].values - 1e-6).all()


@pytest.mark.parametrize(("angle", "count"), [(4.5, 1), (5.5, 2)])
def test_threshold_divides_grains(crystals, angle, count):
    parent = uniform((4, 8))
    tilt = Rotation.from_rotvec(angle * np.array([1, 2, 2]) / 3, degrees=True)
    parent[:, 4:] = rotations.multiply(quaternion(tilt), parent[:, 4:])
    grains = with_parents(make_phases(np.zeros((4, 8), dtype=int), parent), crystals)
    assert grains.sizes["grain"] == count
    if count == 2:
        np.testing.assert_allclose(grains["pair_misorientation"].values, angle, atol=0.01)
        assert grains["pair_length"].values.tolist() == [4]
        assert (grains["pair_a"].item(), grains["pair_b"].item()) == (0, 1)
    else:
        # Half the positions on either side of the mean.
        np.testing.assert_allclose(grains["spread"].values, angle / 2, atol=0.01)


def test_spread_tells_of_a_drift_that_chains(crystals):
    steps = np.linspace(0, 40, 31)
    drift = Rotation.from_rotvec(steps[:, None] * [1, 0, 0], degrees=True)
    parent = quaternion(drift * START)[None]
    phases = make_phases(np.full((1, 31), 2), parent)
    grains = with_parents(phases, crystals)
    assert grains.sizes["grain"] == 1
    np.testing.assert_allclose(grains["spread"].item(), np.std(steps), rtol=0.02)


def test_undecided_join_by_their_likeliest_phase_and_vacuum_never_does(crystals):
    decision = np.array([[0, UNDECIDED, 0, VACUUM, 1], [0, 0, UNDECIDED, VACUUM, 1]])
    likeliest = np.array([[0, 1, 0, 0, 1], [0, 0, 2, 0, 1]])
    grains = with_parents(
        make_phases(decision, uniform(decision.shape), likeliest=likeliest), crystals
    )
    assert grains["label"].values.tolist() == [[0, 0, 0, -1, 1], [0, 0, 0, -1, 1]]
    assert grains["phase_count"].values.tolist() == [[4, 0, 0], [0, 2, 0]]
    assert grains["undecided_count"].values.tolist() == [2, 0]
    assert grains["size"].values.tolist() == [6, 2]


def test_small_patches_are_no_grain_and_labels_go_by_first_position(crystals):
    decision = np.array([[2, VACUUM, 0, 0], [VACUUM, 1, VACUUM, 0], [1, 1, VACUUM, 0]])
    phases = make_phases(decision, uniform(decision.shape))
    grains = with_parents(phases, crystals, min_positions=3)
    assert grains["label"].values.tolist() == [[-1, -1, 0, 0], [-1, 1, -1, 0], [1, 1, -1, 0]]
    np.testing.assert_allclose(grains["centroid_y"].values, [0.75, 5 / 3])
    np.testing.assert_allclose(grains["centroid_x"].values, [2.75, 2 / 3], rtol=1e-6)


def test_outline_encloses_the_grain(crystals):
    decision = np.full((9, 9), VACUUM)
    decision[2:7, 3:6] = 0
    decision[4, 4] = VACUUM
    grains = with_parents(make_phases(decision, uniform(decision.shape)), crystals)
    assert grains["outline_offset"].values.tolist()[0] == 0
    y, x = grains["outline_y"].values, grains["outline_x"].values
    assert (y.min(), y.max(), x.min(), x.max()) == (1.5, 6.5, 2.5, 5.5)
    # Shoelace: the cut corners take an eighth of a position each, the hole is not cut out.
    area = 0.5 * abs(np.sum(y[:-1] * np.diff(x) - x[:-1] * np.diff(y)))
    assert area == pytest.approx(5 * 3 - 4 / 8)


def test_scan_without_crystals_has_no_grains(crystals):
    decision = np.full((3, 4), VACUUM)
    phases = make_phases(decision, np.full((3, 4, 4), np.nan))
    grains = with_parents(phases, crystals)
    assert grains.sizes["grain"] == 0
    assert (grains["label"].values == -1).all()
    assert grains["outline_offset"].values.tolist() == [0]


def test_positions_without_an_orientation_belong_to_no_grain(crystals):
    decision = np.zeros((1, 5), dtype=int)
    phases = make_phases(decision, uniform((1, 5)))
    phases["rotation"][0, 2] = np.nan
    assert with_parents(phases, crystals)["label"].values.tolist() == [[0, 0, -1, 1, 1]]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_equivalent_descriptions_give_the_same_grains(crystals, seed):
    rng = np.random.default_rng(seed)
    seeds = Rotation.random(3, rng=rng)
    apart = rotations.misorientation(
        quaternion(seeds)[:, None], quaternion(seeds)[None], crystals[1].symmetry
    )
    assume(apart[np.triu_indices(3, 1)].min() > 10)
    grain = np.sort(rng.integers(0, 3, (6, 8)), axis=1)
    parent = quaternion(seeds)[grain]
    decision = rng.integers(0, 3, grain.shape)
    plain = with_parents(make_phases(decision, parent), crystals)
    four_fold = crystals[1].symmetry[rng.integers(0, 8, grain.shape)]
    sign = rng.choice([-1, 1], (*grain.shape, 1))
    other = with_parents(
        make_phases(decision, sign * rotations.multiply(four_fold, parent)), crystals
    )
    np.testing.assert_array_equal(plain["label"].values, other["label"].values)
    assert plain["spread"].values.max() < 0.1
    assert other["spread"].values.max() < 0.1


def test_grains_are_written_and_read_back(crystals, tmp_path):
    decision = np.zeros((6, 7), dtype=int)
    grains = with_parents(make_phases(decision, uniform(decision.shape)), crystals)
    netcdf.write(grains, tmp_path / "grains.nc", GRAINS)
    assert netcdf.read(tmp_path / "grains.nc", GRAINS).attrs["scan_step_nm"] == 12.8


@pytest.mark.parametrize(
    ("parents", "group", "field"),
    [
        (PARENTS, None, "parent_point_group"),
        (PARENTS, "five", "parent_point_group"),
        ([IDENTITY, DIAGONAL[[1, 0, 2]], None], "4/mmm", "parent_axes"),
        ([IDENTITY, DIAGONAL[:2], None], "4/mmm", "parent_axes"),
    ],
)
def test_unusable_parents_are_refused(crystals, parents, group, field):
    phases = make_phases(np.zeros((2, 2), dtype=int), uniform((2, 2)))
    with pytest.raises(InputError) as error:
        grains_of(phases, crystals, parents, group)
    assert error.value.field == field
