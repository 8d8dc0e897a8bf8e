"""Half turns and variants of a lattice: where a zone keeps them alike, and where spots tell."""

import numpy as np
import pytest
from kinematic import CRYSTALS, quaternion
from scipy.spatial.transform import Rotation

from phasefront.diffraction import reflections, rotations, zone
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.likelihood import Refined, promised_reflections
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import reflection_table
from phasefront.diffraction.spot_lists import Spots
from phasefront.diffraction.templates import shortest_rotations
from phasefront.phases import brightness
from phasefront.phases.alternatives import Alternatives
from phasefront.phases.evidence import TEMPERATURE, Starts, weigh

MICROSCOPE = Optics(200.0, 0.8, (0.1, 1.15), position_sigma=0.003)
PHASES = CandidatePhases(
    CRYSTALS, [np.eye(3), [[1, 1, 0], [-1, 1, 0], [0, 0, 1]], np.eye(3)],
    parent_point_group="4/mmm",
)  # fmt: skip
TABLE = reflection_table(CRYSTALS, max_radius=1.15)


def tilted(phase, uvw, degrees):
    """Orientation of a crystal whose zone axis lies off the beam, and the axis."""
    axis = np.array(uvw) * CRYSTALS[phase].cell[:3]
    axis /= np.linalg.norm(axis)
    on = Rotation.from_quat(shortest_rotations(axis[None]), scalar_first=True)[0]
    return on * Rotation.from_euler("x", degrees, degrees=True), axis


def found_of(phase, rotation, number=30):
    """Spots of a kinematic pattern, and the evidence where its phase lies as it does."""
    qx, qy, _, weight = reflections.predict_spots(CRYSTALS[phase], quaternion(rotation), MICROSCOPE)
    strongest = np.argsort(-weight)[:number]
    spots = Spots(
        np.array([0, len(strongest)]), qx[strongest], qy[strongest], 1e4 * weight[strongest]
    )
    starts = Starts(np.zeros(1, int), np.array([phase]), quaternion(rotation)[None], (1, 3))
    return spots, starts, weigh(spots, starts, TABLE, MICROSCOPE)


def alternatives_of(phase, rotation, **options):
    spots, starts, evidence = found_of(phase, rotation, **options)
    asked = np.array([phase])
    return Alternatives.of(asked, evidence, spots, PHASES, TABLE, MICROSCOPE), evidence, starts


@pytest.mark.parametrize("degrees", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("uvw", [(2, 1, 3), (1, 2, 1)])
def test_half_a_turn_is_about_the_zone_axis_whatever_its_tilt(uvw, degrees):
    rotation, axis = tilted(0, uvw, degrees)
    spots, starts, evidence = found_of(0, rotation)
    half_turned = zone.half_turned(
        spots, starts.position, starts.phase, evidence.refined, TABLE, MICROSCOPE
    )
    expected = quaternion(Rotation.from_rotvec(np.pi * axis) * rotation)
    angle = rotations.misorientation(half_turned[0], expected, CRYSTALS[0].symmetry)
    assert angle < 1.2  # about the beam it were off by twice the tilt
    other = weigh(
        spots, Starts(starts.position, starts.phase, half_turned, (1, 3)), TABLE, MICROSCOPE
    )
    gap = evidence.log_evidence[0, 0] - other.log_evidence[0, 0]
    assert abs(gap) < 2


def test_one_row_of_spots_turns_about_the_beam():
    rotation, _ = tilted(0, (2, 1, 3), 0.0)
    spots, starts, evidence = found_of(0, rotation, number=1)
    row = spots._replace(
        offset=np.array([0, 2]), qx=np.append(spots.qx, -spots.qx),
        qy=np.append(spots.qy, -spots.qy), intensity=np.tile(spots.intensity, 2),
    )  # fmt: skip
    half_turned = zone.half_turned(
        row, starts.position, starts.phase, evidence.refined, TABLE, MICROSCOPE
    )
    about_beam = rotations.multiply(evidence.refined.rotation, rotations.HALF_TURN)
    assert rotations.misorientation(half_turned, about_beam, CRYSTALS[0].symmetry) < 1.5


def test_a_tetragonal_phase_has_its_half_turn_alone_and_along_c_not_even_that():
    oblique, _, _ = alternatives_of(1, tilted(1, (2, 1, 3), 1.0)[0])
    assert (oblique.best >= 0).sum() == 2
    along_c, _, _ = alternatives_of(1, tilted(1, (0, 0, 1), 0.3)[0])
    assert (along_c.best >= 0).sum() == 1


def test_reflections_of_one_variant_alone_tell_it_along_100():
    """Along a, Amam shows reflections that b does not; half turns are one by symmetry."""
    rotation, _ = tilted(0, (1, 0, 0), 0.0)
    found, _, _ = alternatives_of(0, rotation, number=60)
    assert (found.best >= 0).sum() == 2
    assert found.log_odds[0, 1] < -TEMPERATURE * 5
    angle = rotations.misorientation(
        found.rotation[0, :2], quaternion(rotation), CRYSTALS[0].symmetry
    )
    np.testing.assert_allclose(angle, [0, 90], atol=0.5)


@pytest.mark.parametrize("changed", [False, True])
def test_intensities_tell_variants_that_promise_the_same_places(changed):
    """A crystal and its variant have their spots in the same places, to 0.2 %; how bright they
    are is the crystal's, or, where a and b change places, the variant's."""
    rotation, _ = tilted(2, (2, 1, 3), 0.3)
    variant = rotations.multiply(PHASES.variants[2][1], quaternion(rotation))
    spots, _, evidence = found_of(2, rotation, number=60)
    lies_so = variant if changed else quaternion(rotation)
    promised, _ = brightness.expected(
        spots, np.zeros(1, int), np.array([2]),
        Refined.placed(lies_so[None], np.ones(1), np.zeros((1, 2))), TABLE, MICROSCOPE,
    )  # fmt: skip
    spots = spots._replace(intensity=np.maximum(1e8 * promised, 1.0))
    found = Alternatives.of(np.array([2]), evidence, spots, PHASES, TABLE, MICROSCOPE)
    assert (found.beyond <= 0).all()
    bright = found.beyond[found.best[0]]
    axes = rotations.misorientation(found.rotation[0], lies_so, CRYSTALS[2].symmetry) < 1
    half = (
        rotations.misorientation(
            found.rotation[0],
            rotations.multiply(lies_so, rotations.HALF_TURN),
            CRYSTALS[2].symmetry,
        )
        < 2
    )  # about the zone axis: off by twice the tilt
    assert bright[axes].max() > bright[~axes & ~half].max() + 2


def test_spots_that_a_glide_plane_forbids_tell_less_than_places_have_it():
    """Along b, Cmc21 has no h0l of odd l, which its variant has: 0kl."""
    rotation, _ = tilted(2, (0, 1, 0), 0.0)
    spots, starts, _ = found_of(2, rotation, number=40)
    variant = rotations.multiply(PHASES.variants[2][1], quaternion(rotation))
    promise = [
        promised_reflections(
            np.array([2]), Refined.placed(one[None], np.ones(1), np.zeros((1, 2))), TABLE,
            MICROSCOPE,
        )
        for one in (quaternion(rotation), variant)
    ]  # fmt: skip
    apart = np.linalg.norm(promise[1].q[:, None] - promise[0].q, axis=2).min(axis=1)
    forbidden = np.where(apart > 0.02, promise[1].share, 0.0).argsort()[-2:]
    faint = spots._replace(
        offset=np.array([0, len(spots.qx) + 2]),
        qx=np.append(spots.qx, promise[1].q[forbidden, 0]),
        qy=np.append(spots.qy, promise[1].q[forbidden, 1]),
        intensity=np.append(spots.intensity, np.full(2, spots.intensity.min())),
    )
    gaps = []
    for seen in (spots, faint):
        evidence = weigh(seen, starts, TABLE, MICROSCOPE)
        found = Alternatives.of(np.array([2]), evidence, seen, PHASES, TABLE, MICROSCOPE)
        its = rotations.misorientation(found.rotation[0], variant, CRYSTALS[2].symmetry) < 3
        places = found.refined.log_likelihood[found.best[0]]
        others = ~its & (found.best[0] >= 0)
        gaps.append(
            [
                np.max(of[its]) - np.max(of[others])
                for of in (places, found.log_odds[0] / TEMPERATURE)
            ]
        )
    by_places, by_all = np.diff(gaps, axis=0)[0]
    assert by_places > 10
    assert by_all < 0.6 * by_places
    assert gaps[1][1] < 0


def test_the_raw_pattern_may_choose_another_orientation():
    rotation, _ = tilted(2, (2, 1, 3), 0.5)
    found, evidence, _ = alternatives_of(2, rotation)
    assert (found.best >= 0).sum() == 4
    forced = np.zeros(found.best.shape)
    forced[0, 2] = 60.0
    weighed = found.weighed(forced)
    assert weighed.best[0, 0] == found.best[0, 2]
    assert (np.diff(weighed.log_odds[0]) <= 0).all()
    assert weighed.log_odds[0, 0] == 0
    chosen = weighed.chosen(evidence)
    np.testing.assert_allclose(chosen.rotation[0, 2], found.rotation[0, 2])
    # The phase is as likely as its likeliest orientation makes it.
    assert chosen.log_evidence[0, 2] >= evidence.log_evidence[0, 2]
    np.testing.assert_array_equal(chosen.log_evidence[0, :2], evidence.log_evidence[0, :2])


def test_another_phase_is_asked_about_where_it_turns_out_likelier():
    rotation, _ = tilted(0, (2, 1, 3), 0.5)
    spots, starts, _ = found_of(0, rotation)
    both = starts.joined(np.zeros(1, int), np.array([2]), quaternion(rotation)[None])
    evidence = weigh(spots, both, TABLE, MICROSCOPE)
    arguments = (evidence, spots, PHASES, TABLE, MICROSCOPE)
    first = Alternatives.of(np.array([0]), *arguments)
    assert first.asked.tolist() == [0]
    assert first.of_others(np.array([0]), False, *arguments).best.tolist() == first.best.tolist()
    other = first.of_others(np.array([2]), False, *arguments)
    assert other.asked.tolist() == [2]
    assert np.isnan(other.variables(np.array([0]))["alternative_log_odds"]).all()
    assert np.isfinite(other.variables(np.array([2]))["alternative_log_odds"]).all()


def test_positions_without_a_lattice_have_none():
    rotation, _ = tilted(0, (2, 1, 3), 0.5)
    spots, _, _ = found_of(0, rotation)
    nobody = Starts(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 4)), (1, 3))
    evidence = weigh(spots, nobody, TABLE, MICROSCOPE)
    none = Alternatives.of(np.array([0]), evidence, spots, PHASES, TABLE, MICROSCOPE)
    assert (none.best < 0).all()
    assert none.asked.tolist() == [-1]
    assert np.isnan(none.weighed(np.zeros(none.best.shape)).rotation).all()
    assert (none.chosen(evidence).best < 0).all()
