"""Interfaces of made grains, whose fronts are known, and of a real grain of spinel MnO2."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.collections import LineCollection
from matplotlib.text import Text
from scipy.spatial.transform import Rotation
from stages import build_phases

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.diffraction import rotations
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.crystals import read_crystal
from phasefront.experiment.settings.instruments import StatedCamera
from phasefront.grains.segmentation import find_grains
from phasefront.interfaces import kernels, shapes
from phasefront.interfaces.columns import Columns, table_of_content, table_of_probability
from phasefront.interfaces.shapes import ANGLE, WIDTH
from phasefront.interfaces.tracing import MODELS, trace_interfaces
from phasefront.layouts.interfaces import INTERFACES, Beyond, Found, Shape, Side
from phasefront.layouts.phases import UNDECIDED, UNINDEXED, VACUUM
from phasefront.report.figures.interfaces import draw_interfaces

STRUCTURES = Path(__file__).resolve().parents[2] / "config" / "structures"
NAMES = ["Na3", "Na2", "Na1"]
FILES = ["Na3V2PO42F3.cif", "Na2V2PO42F3.cif", "NaV2PO42F3.cif"]
IDENTITY = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
PARENTS = [IDENTITY, [[1, 1, 0], [-1, 1, 0], [0, 0, 1]], IDENTITY]
CONTENTS = [3.0, 2.0, 1.0]
FIELDS = [{"Na3": 3, "Na2": 2}, {"Na2": 2, "Na1": 1}]
TO_PARENT = [0, -45, 0]  # a of I4/mmm lies at 45 degrees to the parent's a
START = Rotation.from_euler("zyx", [20, 31, 47], degrees=True)
CAMERA = StatedCamera(rotation_deg=0, mirrored=False)
SIDE = 40


@pytest.fixture(scope="module")
def candidates():
    crystals = [read_crystal(STRUCTURES / f, name=n) for f, n in zip(FILES, NAMES, strict=True)]
    return CandidatePhases(
        crystals, parent_axes=PARENTS, ion_contents=CONTENTS, parent_point_group="4/mmm"
    )


def field(side=SIDE):
    return np.mgrid[:side, :side].astype("f8")


def disk(radius=14.0, centre=(19.5, 19.5), side=SIDE):
    y, x = field(side)
    return np.hypot(y - centre[0], x - centre[1]) <= radius


def behind(angle_deg, offset=0.0, width=0.0, centre=(19.5, 19.5), side=SIDE):
    """Share of columns beyond a straight front, averaged over 9 x 9 places in each position."""
    y, x = field(side)
    part = (np.arange(9) - 4) / 9
    yy, xx = y[..., None, None] + part[:, None], x[..., None, None] + part
    angle = np.deg2rad(angle_deg)
    away = (xx - centre[1]) * np.cos(angle) + (yy - centre[0]) * np.sin(angle) - offset
    return np.clip(away / max(width, 1e-9) + 0.5, 0, 1).mean(axis=(-1, -2))


def turned(parent, phase):
    """The phase's orientation (4,) whose parent lattice lies as `parent` says."""
    to_own = Rotation.from_euler("z", TO_PARENT[phase], degrees=True)
    return rotations.multiply(to_own.as_quat(scalar_first=True), parent)


def make_phases(
    inside,
    share,
    *,
    pair=(0, 1),
    error=0.08,
    seed=0,
    outliers=0.0,
    second=None,
    scan="map",
    **given,
):
    """PHASES of a crystal `inside` (y, x) whose columns hold this `share` of the first of a pair.

    Ion contents are seen with a normal error; `second` turns the other phase's lattice.
    """
    rng = np.random.default_rng(seed)
    shape = inside.shape
    rich, poor = pair
    seen = share + rng.normal(0, error, shape)
    wrong = rng.random(shape) < outliers
    seen[wrong] = rng.uniform(-0.5, 1.5, wrong.sum())
    decision = np.where(inside, np.where(seen > 0.5, rich, poor), VACUUM)
    parent = START.as_quat(scalar_first=True)
    rotation = np.zeros((*shape, 3, 4))
    for phase in range(3):
        lattice = parent if second is None or phase == rich else second.as_quat(scalar_first=True)
        rotation[..., phase, :] = turned(lattice, phase)
    width = CONTENTS[rich] - CONTENTS[poor]
    known = {
        "rotation": rotation,
        "ion_content": np.where(inside, CONTENTS[poor] + width * seen, np.nan),
        "ion_content_stderr": np.where(inside, error * width, np.nan),
    }
    return build_phases(NAMES, decision, scan=scan, **{**known, **given})


def traced(phases, candidates, *, step=10.0, minimum=4, fields=FIELDS, camera=CAMERA, **options):
    grains = find_grains(
        phases, candidates, misorientation_deg=5, min_positions=minimum, scan_step_nm=step
    )
    found = trace_interfaces(
        phases, grains, candidates, two_phase_fields=fields, camera=camera, **options
    )
    INTERFACES.check(found, "made")
    return found


def off(found, true, turn=180.0):
    """Difference of two directions in degrees."""
    return (np.asarray(found) - true + turn / 2) % turn - turn / 2


# Kernels


@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_kernel_is_the_plain_form(seed, inverted, two):
    rng = np.random.default_rng(seed)
    y, x = rng.uniform(-9, 9, (2, 30))
    front = np.array([rng.uniform(0, 7), rng.normal(0, 0.1), rng.uniform(0.05, 6), -1.0, np.inf])
    front[4] = 2.5 if two else np.inf
    table = rng.normal(size=(30, 21))
    share = shapes.share_behind(x, y, front, inverted)
    expected = sum(
        np.interp(one, np.linspace(0, 1, 21), row) for one, row in zip(share, table, strict=True)
    )
    found = kernels.log_likelihoods(table, x, y, front[None], inverted)
    assert found == pytest.approx([expected], abs=1e-9)


@pytest.mark.parametrize("width", [0.3, 1.0, 4.0])
def test_a_ramp_is_averaged_over_a_position(width):
    places = np.linspace(-4, 4, 41)
    front = np.array([0.0, 0.0, width, 0.0, np.inf])
    fine = places[:, None] + (np.arange(2001) - 1000) / 2001
    expected = np.clip(fine / width + 0.5, 0, 1).mean(axis=1)
    found = shapes.share_behind(places, np.zeros(41), front)
    assert found == pytest.approx(expected, abs=2e-4)


# Errors of fronts, on many made grains


def made_columns(size, rng, *, seen, width, wrong):
    """Columns of a round grain with a front at a random place, seen by ion contents or labels."""
    side, centre = size + 4, (size + 3) / 2 + rng.uniform(-0.5, 0.5, 2)
    inside = disk(size / 2, centre, side)
    angle, offset = rng.uniform(0, 360), rng.uniform(-0.25, 0.25) * size
    share = behind(angle, offset, width, centre, side)[inside]
    y, x = np.nonzero(inside)
    outlier = rng.random(len(y)) < wrong
    if seen == "content":
        # With the errors of cells and of mixed columns that `columns` takes for known.
        spread = np.sqrt(0.08**2 + 0.03**2 + (0.4 * share * (1 - share)) ** 2)
        value = share + spread * rng.normal(size=len(y))
        value[outlier] = rng.uniform(-0.5, 1.5, outlier.sum())
        error = np.full(len(y), 0.08)
        table = table_of_content(value, error, 0.02)
    else:
        value = (share > 0.5) ^ outlier if seen == "decision" else (rng.random(len(y)) < share)
        table, error = table_of_probability(value.astype("f8"), 0.02), np.full(len(y), np.inf)
    found = Columns(y, x, np.zeros(len(y)), value.astype("f8"), error, table, 0, 1.0)
    return found, angle, offset, centre


def errors_of_fronts(size, *, seen, width=0.0, wrong=0.0, count=150, seed=11):
    """Errors of direction (degrees), and of direction and place over their standard errors."""
    rng = np.random.default_rng([seed, size])
    rows = []
    for _ in range(count):
        columns, angle, offset, centre = made_columns(
            size, rng, seen=seen, width=width, wrong=wrong
        )
        fit = shapes.line(columns)
        turn = off(np.degrees(fit.parameters[ANGLE]), angle, 360)
        # How far the fitted front is from the true one where that one is nearest to the middle.
        true = np.deg2rad(angle)
        place = centre + offset * np.array([np.sin(true), np.cos(true)]) - np.array(fit.pivot)
        cosine, sine = np.cos(fit.parameters[ANGLE]), np.sin(fit.parameters[ANGLE])
        across = place[1] * cosine + place[0] * sine - fit.parameters[3]
        along = place[0] * cosine - place[1] * sine
        rows.append(
            (turn, turn / np.degrees(fit.stderr[ANGLE]), across / fit.stderr_across(along),
             (fit.parameters[WIDTH] - width) / fit.stderr[WIDTH])
        )  # fmt: skip
    return np.array(rows).T


@pytest.mark.parametrize(
    ("seen", "width", "wrong"),
    [("content", 0.0, 0.02), ("content", 2.0, 0.02), ("content", 5.0, 0.02), ("label", 2.0, 0.0)],
)
@pytest.mark.parametrize("size", [12, 20])
def test_errors_of_direction_and_place_hold_what_they_should(size, seen, width, wrong):
    _, turn, place, _ = errors_of_fronts(size, seen=seen, width=width, wrong=wrong)
    for over_error in (turn, place):
        # 0.95 of 150 within three standard errors of a share.
        assert np.mean(np.abs(over_error) < 1.96) >= 0.90
        assert 0.65 < np.sqrt(np.mean(np.clip(over_error, -4, 4) ** 2)) < 1.3


@pytest.mark.parametrize(
    ("size", "clean", "wrong"), [(12, 2.3, 3.2), (20, 1.2, 1.5), (30, 0.5, 0.8)]
)
def test_directions_from_decisions_alone_are_as_sure_as_known(size, clean, wrong):
    """Beside fits of labels elsewhere; from ion contents they are surer."""
    turns = [errors_of_fronts(size, seen="decision", wrong=share)[0] for share in (0.0, 0.02)]
    spread = [float(np.sqrt(np.mean(np.clip(one, -15, 15) ** 2))) for one in turns]
    assert spread[0] < 1.25 * clean
    assert spread[1] < 1.25 * wrong
    by_content = errors_of_fronts(size, seen="content", wrong=0.02)[0]
    assert np.std(by_content) < spread[1]


def test_band_widths_hold_what_they_should():
    *_, width = errors_of_fronts(20, seen="content", width=4.0, wrong=0.02)
    assert np.mean(np.abs(width) < 1.96) >= 0.90


# Whole grains


def test_a_straight_front_has_place_direction_width_and_both_ends(candidates):
    found = traced(
        make_phases(disk(), behind(70, 3, 4.0)), candidates, thickness_nm=60, thickness_error_nm=6
    )
    assert found["found"].item() == Found.INTERFACE
    assert found["shape"].item() == Shape.LINE
    assert found.sizes["segment"] == 1
    assert off(found["direction"].item(), 160) == pytest.approx(
        0, abs=4 * found["direction_stderr"].item()
    )
    assert off(found["rich_side"].item(), 70, 360) == pytest.approx(0, abs=5)
    assert found["width"].item() == pytest.approx(4.0, abs=4 * found["width_stderr"].item())
    # A chord 3 positions off the middle of a disk of radius 14.
    assert found["length"].item() == pytest.approx(2 * np.sqrt(14**2 - 3**2), abs=1.2)
    middle = np.array([found["end_y"].mean().item(), found["end_x"].mean().item()])
    normal = np.array([np.sin(np.deg2rad(70)), np.cos(np.deg2rad(70))])
    place = (middle - 19.5) @ normal
    assert place == pytest.approx(3, abs=4 * found["stderr_across"].item())
    assert (found["end_beyond"].values == Beyond.VACUUM).all()
    assert found["rich_domains"].item() == found["poor_domains"].item() == 1
    assert found["contacts"].item() == 2
    # tan(tilt) = 4 positions of 10 nm over 60 nm
    tilt = np.degrees(np.arctan(40 / 60))
    assert found["tilt"].item() == pytest.approx(tilt, abs=4 * found["tilt_stderr"].item())
    assert found["measured_count"].item() == disk().sum()


def test_a_trace_lies_in_the_crystal_as_the_camera_says(candidates):
    phases = make_phases(disk(), behind(70, 0, 1.0))
    plain = traced(phases, candidates)
    for camera in (
        StatedCamera(rotation_deg=33, mirrored=False), StatedCamera(rotation_deg=-20, mirrored=True)
    ):  # fmt: skip
        found = traced(phases, candidates, camera=camera)
        direction = np.deg2rad(found["direction"].item()) * (-1 if camera.mirrored else 1)
        direction += np.deg2rad(camera.rotation_deg)
        in_pattern = [np.cos(direction), np.sin(direction), 0.0]
        # Up to the parent's symmetry, whose equivalents grains choose among: lengths along c.
        parent = START.apply(in_pattern)
        assert np.abs(found["trace"].values[0, 2]) == pytest.approx(np.abs(parent[2]), abs=1e-4)
        assert found["trace"].values[0] @ found["beam"].values[0] == pytest.approx(0, abs=1e-6)
    absent = traced(phases, candidates, camera=None)
    assert np.isnan(absent["trace"]).all()
    assert "not stated" in absent.attrs["directions"]
    assert absent["direction"].item() == plain["direction"].item()


def test_two_parallel_fronts_are_a_band(candidates):
    share = behind(30, -5) - behind(30, 4)
    for one, domains in ((share, (1, 2)), (1 - share, (2, 1))):
        found = traced(make_phases(disk(), one), candidates)
        assert found["shape"].item() == Shape.BAND
        assert found.sizes["segment"] == 2
        assert np.abs(off(found["direction"].values, 120)).max() < 2
        assert np.diff(found["direction"].values) == pytest.approx(0)
        assert abs(np.diff(found["rich_side"].values).item()) == pytest.approx(180)
        assert (found["rich_domains"].item(), found["poor_domains"].item()) == domains
        assert found["contacts"].item() == 4


def test_a_core_and_a_shell_follow_the_outline(candidates):
    depth = 14.5 - np.hypot(*(field() - 19.5))
    core = np.clip(depth - 5 + 0.5, 0, 1)
    for share in (core, 1 - core):
        found = traced(make_phases(disk(), share), candidates)
        assert found["shape"].item() == Shape.OUTLINE
        # The disk has the area of one of radius 14.05, so its outline is 4.5 from the front.
        assert found["depth"].item() == pytest.approx(4.5, abs=0.4)
        assert found["contacts"].item() == 0
        assert (found["end_beyond"].values == Beyond.SEGMENT).all()
        # The pieces go round a circle of radius 9.5.
        assert found["length"].sum().item() == pytest.approx(2 * np.pi * 9.5, rel=0.1)
        middle = np.stack([found["end_y"].mean("end"), found["end_x"].mean("end")], axis=1)
        assert np.hypot(*(middle - 19.5).T) == pytest.approx(9.2, abs=0.9)


def test_a_bent_front_is_a_curve(candidates):
    y, x = field()
    share = np.clip(12 - np.hypot(y - 30, x - 19.5) + 0.5, 0, 1)
    found = traced(make_phases(disk(), share), candidates)
    assert found["shape"].item() == Shape.CURVE
    assert abs(found["curvature"].item()) == pytest.approx(1 / 12, rel=0.35)
    assert found.sizes["segment"] > 1
    assert found["contacts"].item() == 2


def test_a_mosaic_is_no_shape_and_its_domains_are_counted(candidates):
    y, x = field()
    share = ((y // 7 + x // 7) % 2).astype("f8")
    found = traced(make_phases(disk(), share), candidates)
    assert found["found"].item() == Found.INTERFACE
    assert found["shape"].item() == Shape.NONE
    assert found["misfit_share"].item() > 0.06
    assert found["rich_domains"].item() + found["poor_domains"].item() > 5
    assert found.sizes["segment"] > 10


def test_one_share_everywhere_is_no_interface(candidates):
    found = traced(make_phases(disk(), np.full((SIDE, SIDE), 0.45)), candidates)
    assert found["found"].item() == Found.UNIFORM
    assert found["rich_share"].item() == pytest.approx(0.45, abs=0.02)
    assert found.sizes["segment"] == 0
    assert np.isnan(found["misorientation"].item())


def test_a_few_wrong_positions_are_no_interface(candidates):
    share = np.zeros((SIDE, SIDE))
    share[[15, 22, 25], [17, 28, 12]] = 1
    found = traced(make_phases(disk(), share), candidates)
    assert found["found"].item() == Found.NOT_SURE
    assert found.sizes["segment"] == 0


@pytest.mark.parametrize("wrong", [0.02, 0.05])
@pytest.mark.parametrize("by_decision", [False, True])
def test_scattered_wrong_positions_are_taken_for_no_interface(candidates, wrong, by_decision):
    rng, inside = np.random.default_rng(7), disk(8, (9.5, 9.5), 20)
    for seed in range(12):
        share = (rng.random(inside.shape) < wrong) * 1.0
        phases = make_phases(inside, share, seed=seed)
        if by_decision:
            phases = build_phases(
                NAMES, phases["decision"].values, rotation=phases["rotation"].values,
                posterior=np.full(phases["posterior"].shape, np.nan),
            )  # fmt: skip
        assert traced(phases, candidates)["found"].item() in (Found.ONE_PHASE, Found.NOT_SURE)


@pytest.mark.parametrize("seed", range(3))
def test_one_phase_is_counted_whole(candidates, seed):
    found = traced(make_phases(disk(), np.zeros((SIDE, SIDE)), seed=seed), candidates)
    assert found["found"].item() == Found.ONE_PHASE
    assert found["rich"].item() == -1
    assert found.sizes["segment"] == 0
    assert (np.diff(found["profile_offset"]) > 10).all()


def test_phases_that_are_no_field_are_said_to_be_none(candidates):
    phases = make_phases(disk(), behind(0), pair=(0, 2))
    assert traced(phases, candidates)["found"].item() == Found.NO_FIELD
    stated = traced(phases, candidates, fields=[{"Na3": 3, "Na1": 1}])
    assert stated["found"].item() == Found.INTERFACE
    assert (stated["rich"].item(), stated["poor"].item()) == (0, 2)


def test_without_fields_neighbouring_ion_contents_are_one(candidates):
    found = traced(make_phases(disk(), behind(0)), candidates, fields=[])
    assert found["found"].item() == Found.INTERFACE


def test_phases_of_one_ion_content_are_each_a_field_with_the_next(candidates):
    alike = dataclasses.replace(candidates, ion_contents=[2.0, 1.0, 1.0])
    for pair, expected in (
        ((0, 1), Found.INTERFACE),
        ((0, 2), Found.INTERFACE),
        ((1, 2), Found.NO_FIELD),
    ):
        share = behind(0)
        decision = np.where(disk(), np.where(share > 0.5, *pair), VACUUM)
        rotation = make_phases(disk(), share)["rotation"].values
        found = traced(build_phases(NAMES, decision, rotation=rotation), alike, fields=[])
        assert found["found"].item() == expected


def test_a_third_phase_is_left_out_and_counted(candidates):
    phases = make_phases(disk(), behind(0))
    third = disk(4, (19.5, 9))
    decision = np.where(third, 2, phases["decision"].values)
    content = np.where(third, 1.0, phases["ion_content"].values)
    phases = make_phases(disk(), behind(0), ion_content=content)
    phases = build_phases(
        NAMES, decision, **{n: phases[n].values for n in ("rotation", "ion_content",
                                                          "ion_content_stderr")}
    )  # fmt: skip
    found = traced(phases, candidates)
    assert found["other_count"].item() == third.sum()
    assert (found["rich"].item(), found["poor"].item()) == (0, 1)
    assert off(found["direction"].item(), 90) == pytest.approx(0, abs=3)


def test_undecided_positions_of_a_third_phase_make_no_interface(candidates):
    """A rim that is likely Na1 has little left of Na3 and less of Na2: nothing to tell these by."""
    inside = disk()
    rim = inside & ~disk(9)
    decision = np.where(inside, np.where(rim, UNDECIDED, 1), VACUUM)
    decision[19, 18:22] = 0
    posterior = np.full((*inside.shape, 3), np.nan)
    posterior[inside] = [0.01, 0.98, 0.01]
    posterior[rim] = [0.08, 0.02, 0.90]
    phases = make_phases(inside, np.zeros(inside.shape))
    found = traced(
        build_phases(
            NAMES, decision, rotation=phases["rotation"].values, posterior=posterior,
        ),
        candidates,
    )  # fmt: skip
    assert found["found"].item() == Found.NOT_SURE
    assert found["posterior_count"].item() == (inside & ~rim).sum()


def test_a_rare_phase_beside_two_that_are_no_field_is_no_interface(candidates):
    share = behind(30)
    decision = np.where(disk(), np.where(share > 0.5, 0, 2), VACUUM)
    decision[19, 18:22] = 1
    rotation = make_phases(disk(), share)["rotation"].values
    found = traced(build_phases(NAMES, decision, rotation=rotation), candidates)
    assert found["found"].item() == Found.NO_FIELD


def test_a_map_of_another_program_is_read_by_its_decisions(candidates):
    phases = make_phases(disk(), behind(25, 1))
    nothing = np.full(phases["posterior"].shape, np.nan)
    phases = build_phases(
        NAMES, phases["decision"].values, rotation=phases["rotation"].values, posterior=nothing
    ).assign_attrs(map_by="EDAX")
    found = traced(phases, candidates)
    assert found["found"].item() == Found.INTERFACE
    assert found["decision_count"].item() == disk().sum()
    assert off(found["direction"].item(), 115) == pytest.approx(
        0, abs=4 * found["direction_stderr"].item()
    )
    by_content = traced(make_phases(disk(), behind(25, 1)), candidates)
    assert found["direction_stderr"].item() > by_content["direction_stderr"].item()
    assert np.isnan(found["trace"]).all()
    assert "EDAX" in found.attrs["directions"]
    # It says no ion contents, so there is no profile of them.
    assert found.sizes["profile_row"] == 0


def test_phases_of_no_known_ion_content_are_read_by_their_posterior(candidates):
    rng = np.random.default_rng(2)
    share = behind(25, 1)
    likelihood = np.where(share > 0.5, 1.0, -1.0) * 3 + rng.normal(0, 1, share.shape)
    rich = 1 / (1 + np.exp(-2 * likelihood))
    posterior = np.stack([rich, 1 - rich, 0 * rich], axis=-1)
    phases = make_phases(disk(), share, posterior=posterior)
    found = traced(
        phases.assign(ion_content=phases["ion_content"] * np.nan), candidates, camera=None
    )
    assert found["posterior_count"].item() == disk().sum()
    assert found["measured_count"].item() == found["decision_count"].item() == 0
    assert off(found["direction"].item(), 115) == pytest.approx(
        0, abs=4 * found["direction_stderr"].item()
    )


def test_a_second_lattice_of_the_same_grain_gives_its_share(candidates):
    """Columns of both phases, resolved: the first lattice's cell is that of a pure phase."""
    share = behind(25, 1, 6.0)
    both = (share > 0.1) & (share < 0.9) & disk()
    first = np.where(share > 0.5, 1.0, 0.0)
    pure = make_phases(disk(), np.where(both, first, share), error=0.03)
    second = np.where(both, np.where(share > 0.5, 1, 0), -1)
    rotation = np.full((*share.shape, 4), np.nan)
    for phase in (0, 1):
        rotation[second == phase] = pure["rotation"].values[second == phase][:, phase]
    known = {n: pure[n].values for n in ("rotation", "ion_content", "ion_content_stderr")}
    phases = build_phases(
        NAMES, pure["decision"].values, **known, second_phase=second, second_rotation=rotation,
        second_share=np.where(both, np.minimum(share, 1 - share), np.nan),
        posterior=np.stack([first, 1 - first, 0 * first], axis=-1),
    )  # fmt: skip
    assert traced(phases, candidates)["width"].item() == pytest.approx(6.0, abs=0.6)
    # Of another grain above it, the second lattice says nothing of this one.
    away = (Rotation.from_euler("x", 30, degrees=True) * START).as_quat(scalar_first=True)
    other = np.where(both[..., None], away, np.nan)
    apart = phases.assign(second_rotation=phases["second_rotation"].copy(data=other.astype("f4")))
    assert traced(apart, candidates)["width"].item() < 2


def test_undecided_positions_say_what_they_measured(candidates):
    phases = make_phases(disk(), behind(25, 1, 5.0))
    between = np.abs(behind(25, 1, 5.0) - 0.5) < 0.4
    decision = np.where(between & disk(), UNDECIDED, phases["decision"].values)
    names = ("rotation", "ion_content", "ion_content_stderr")
    found = traced(
        build_phases(NAMES, decision, **{n: phases[n].values for n in names}), candidates
    )
    assert found["width"].item() == pytest.approx(5.0, abs=4 * found["width_stderr"].item())


@pytest.mark.parametrize("positions", [4, 6, 7])
def test_a_grain_of_too_few_positions_has_none(candidates, positions):
    inside = np.zeros((9, 9), dtype=bool)
    inside[4, 1 : 1 + positions] = True
    share = np.zeros((9, 9))
    share[4, 3:] = 1
    found = traced(make_phases(inside, share), candidates)
    assert found["found"].item() == Found.TOO_FEW
    assert found.sizes["segment"] == 0


def test_an_unknown_step_leaves_positions_and_no_tilt(candidates):
    phases = make_phases(disk(), behind(70, 3, 4.0))
    found = traced(phases, candidates, step=np.nan, thickness_nm=60, thickness_error_nm=6)
    assert np.isnan(found.attrs["scan_step_nm"])
    assert found["width"].item() == pytest.approx(4.0, abs=1)
    assert np.isnan(found["tilt"].item())
    assert found.attrs["tilts"] == "none: scan step not known"


@pytest.mark.parametrize("empty", [VACUUM, UNINDEXED])
def test_an_empty_scan_has_a_valid_file(candidates, tmp_path, empty):
    phases = build_phases(NAMES, np.full((5, 6), empty))
    found = traced(phases, candidates)
    assert found.sizes["grain"] == 0
    netcdf.write(found, tmp_path / "none.nc", INTERFACES)
    again = netcdf.read(tmp_path / "none.nc", INTERFACES)
    assert list(again["model"].values) == list(MODELS)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12))
@example(301667, 1, 8)
@settings(max_examples=30, deadline=None)
def test_any_map_has_a_valid_file(candidates, seed, rows, columns):
    rng = np.random.default_rng(seed)
    decision = rng.choice([-4, -2, -1, 0, 0, 1, 1, 2], (rows, columns))
    phases = make_phases(decision >= 0, (decision == 0).astype("f8"), error=0.2, seed=seed % 1000)
    known = {n: phases[n].values for n in ("rotation", "ion_content", "ion_content_stderr")}
    found = traced(build_phases(NAMES, decision, **known), candidates, minimum=1)
    assert found["segment_offset"].values[-1] == found.sizes["segment"]
    assert np.isfinite(found["end_y"]).all()
    assert (found["length"].values <= np.hypot(rows, columns) + 2).all()


def test_a_cut_grain_is_flagged_and_its_ends_say_so(candidates):
    found = traced(make_phases(disk(16, (2, 19.5)), behind(0)), candidates)
    assert found["cut"].item() == 1
    assert sorted(found["end_beyond"].values[0]) == [Beyond.VACUUM, Beyond.SCAN_EDGE]
    assert not (found["facet_beyond"].values == Beyond.SCAN_EDGE).any()


def two_grains(gap):
    """A crystal with the neighbour's lattice 20 degrees off, `gap` positions of vacuum between."""
    y, x = field()
    first = (x >= 4) & (x < 20) & (np.abs(y - 19.5) < 14)
    other = (x >= 20 + gap) & (x < 36) & (np.abs(y - 19.5) < 14)
    phases = make_phases(first | other, behind(90))
    rotation = phases["rotation"].values.copy()
    away = (Rotation.from_euler("x", 20, degrees=True) * START).as_quat(scalar_first=True)
    for phase in range(3):
        rotation[other, phase] = turned(away, phase)
    names = ("ion_content", "ion_content_stderr")
    return build_phases(
        NAMES, phases["decision"].values, rotation=rotation, **{n: phases[n].values for n in names}
    )


@pytest.mark.parametrize(
    ("gap", "beyond", "grain"), [(0, Beyond.GRAIN, 1), (2, Beyond.CRACK, 1), (9, Beyond.VACUUM, -1)]
)
def test_ends_and_facets_say_what_they_meet(candidates, gap, beyond, grain):
    found = traced(two_grains(gap), candidates)
    assert found.sizes["grain"] == 2
    ends = found["end_beyond"].values[0], found["end_grain"].values[0]
    at = int(found["end_x"].values[0].argmax())
    assert (ends[0][at], ends[1][at]) == (beyond, grain)
    assert (ends[0][1 - at], ends[1][1 - at]) == (Beyond.VACUUM, -1)
    facet = found["end_facet"].values[0, at]
    assert found["facet_beyond"].values[facet] == beyond
    assert found["facet_grain"].values[facet] == grain
    assert off(found["facet_direction"].values[facet], 90) == pytest.approx(0, abs=2)
    assert found["facet_offset"].values[1] > facet


def test_lattices_of_both_phases_are_held_against_each_other(candidates):
    second = Rotation.from_rotvec(np.deg2rad(1.4) * np.array([0, 0, 1.0])) * START
    found = traced(make_phases(disk(), behind(70), second=second), candidates)
    assert found["misorientation"].item() == pytest.approx(1.4, abs=1e-3)
    assert np.abs(found["misorientation_axis"].values[0, 2]) == pytest.approx(1, abs=1e-3)


# Facets


def polygon(corners):
    from skimage.draw import polygon2mask

    return polygon2mask((SIDE, SIDE), corners)


def test_facets_lie_as_the_polygon_does(candidates):
    rng = np.random.default_rng(3)
    over_error, missed, total = [], 0, 0
    for _ in range(25):
        turns = np.sort(
            rng.uniform(0, 2 * np.pi) + np.arange(4) * np.pi / 2 + rng.uniform(-0.3, 0.3, 4)
        )
        corners = 19.5 + 15 * np.stack([np.sin(turns), np.cos(turns)], axis=1)
        inside = polygon(corners)
        found = traced(make_phases(inside, np.zeros((SIDE, SIDE))), candidates)
        along = np.roll(corners, -1, axis=0) - corners
        true = np.degrees(np.arctan2(along[:, 0], along[:, 1])) % 180
        for one in true:
            total += 1
            away = np.abs(off(found["facet_direction"].values, one))
            if not len(away) or away.min() > 8:
                missed += 1
                continue
            nearest = int(away.argmin())
            over_error.append(away[nearest] / found["facet_direction_stderr"].values[nearest])
    assert missed <= 0.05 * total
    assert np.mean(np.array(over_error) < 1.96) > 0.85


@pytest.mark.parametrize("radius", [10.3, 14, 17, 40])
def test_a_round_grain_has_no_facets(candidates, radius):
    side = 2 * int(radius) + 10
    inside = disk(radius, (side / 2 - 0.5, side / 2 - 0.3), side)
    found = traced(make_phases(inside, np.zeros((side, side))), candidates)
    assert found.sizes["facet"] == 0


# Profiles


def test_a_profile_is_the_mean_at_each_depth(candidates):
    y, x = field()
    depth = 14 - np.hypot(y - 19.5, x - 19.5)
    content = 2.0 + 0.05 * np.clip(depth, 0, 10)
    phases = make_phases(disk(), np.zeros((SIDE, SIDE)), ion_content=content)
    found = traced(phases, candidates)
    own = found["profile_side"].values == Side.ALL
    place = found["profile_depth"].values[own]
    error = found["profile_stderr"].values[own]
    expected = 2.0 + 0.05 * np.clip(place - 0.3, 0, 10)
    assert found["profile_ion_content"].values[own] == pytest.approx(expected, abs=0.05)
    assert found["profile_count"].values[own].sum() == disk().sum()
    assert (error > 0).all()
    # All of the outline is towards vacuum.
    assert (found["profile_side"].values == Side.VACUUM).sum() == own.sum()
    assert not (found["profile_side"].values == Side.GRAIN).any()


# The figure


def drawn(phases, candidates, **options):
    grains = find_grains(phases, candidates, misorientation_deg=5, min_positions=4, scan_step_nm=10)
    found = trace_interfaces(phases, grains, candidates, two_phase_fields=FIELDS, **options)
    figure = draw_interfaces(phases, grains, found, ion="Na")
    figure.canvas.draw()
    return figure, [text.get_text() for text in figure.findobj(Text)]


def test_the_figure_shows_fronts_where_they_are(candidates):
    figure, texts = drawn(make_phases(disk(), behind(90, 3)), candidates)
    assert "interfaces in 1 of 1 grain" in " ".join(texts)
    fronts = [
        one.get_segments() for one in figure.axes[0].collections if isinstance(one, LineCollection)
    ]
    level = [ends[0] for ends in fronts if len(ends) == 1]
    assert len(level) == 2  # white on black
    assert level[0][:, 1] == pytest.approx(22.5, abs=0.5)
    assert "camera rotation not stated" in figure.get_suptitle()


@pytest.mark.parametrize("decision", [VACUUM, UNDECIDED, 0])
def test_the_figure_of_no_interface_says_so(candidates, decision):
    shape = (3, 7)
    rotation = np.tile(START.as_quat(scalar_first=True), (*shape, 3, 1))
    phases = build_phases(NAMES, np.full(shape, decision), rotation=rotation)
    _, texts = drawn(phases, candidates)
    assert "no grain with an interface\nand ion contents" in texts


# Input that does not fit


def test_grains_of_another_scan_are_refused(candidates):
    phases = make_phases(disk(), behind(0))
    other = make_phases(disk(), behind(0), scan="other")
    grains = find_grains(other, candidates, misorientation_deg=5, min_positions=4, scan_step_nm=10)
    with pytest.raises(InputError, match="not those of the phases of map"):
        trace_interfaces(phases, grains, candidates)


def test_a_field_of_unknown_phases_is_refused(candidates):
    with pytest.raises(InputError, match="does not name two of"):
        traced(make_phases(disk(), behind(0)), candidates, fields=[{"Na3": 3, "Na9": 2}])


# Real grains


@pytest.mark.parametrize("state", ["pristine", "discharged"])
def test_a_real_spinel_is_one_phase_before_and_a_mosaic_after(shared_data, candidates, state):
    """|g220| / |g002| of two grains of MnO2: 1.44 where cubic, 1.60 where tetragonal."""
    maps = np.load(shared_data("mechanisms/spinel_maps.npz"))
    inside = maps[f"{state}_mask"]
    ratio = maps[f"{state}_g220"] / maps[f"{state}_g002"]
    share = (ratio - 1.442) / (1.60 - 1.442)
    scatter = np.abs(np.diff(np.where(inside, share, np.nan), axis=1))
    error = 1.4826 * np.nanmedian(scatter) / np.sqrt(2)
    decision = np.where(inside, np.where(share > 0.5, 0, 1), VACUUM)
    shape = inside.shape
    rotation = np.stack(
        [
            np.tile(turned(START.as_quat(scalar_first=True), phase), (*shape, 1))
            for phase in range(3)
        ],
        axis=2,
    )
    phases = build_phases(
        NAMES, decision, rotation=rotation, ion_content=2 + share,
        ion_content_stderr=np.full(shape, error),
    )  # fmt: skip
    found = traced(phases, candidates, step=np.nan, minimum=50)
    assert found.sizes["grain"] == 1
    if state == "pristine":
        assert found["found"].item() in (Found.ONE_PHASE, Found.NOT_SURE, Found.UNIFORM)
        assert found.sizes["segment"] == 0
    else:
        assert found["found"].item() == Found.INTERFACE
        assert found["shape"].item() == Shape.NONE
        assert found["rich_domains"].item() + found["poor_domains"].item() >= 4
