"""Along which direction ions go through a grain: fields whose axis is known, and fields without."""

import numpy as np
import pytest
from examples import example
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage, stats

from phasefront.core import netcdf
from phasefront.correlation.autocorrelation import Covariance, surrogates
from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import laue_rotations
from phasefront.experiment.settings.instruments import Camera
from phasefront.layouts.correlation import CORRELATION
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.pathways import PATHWAYS
from phasefront.layouts.registration import ACCEPTED
from phasefront.pathways import channels, combined, gradients, profiles, tracing
from phasefront.report.figures import style
from phasefront.report.figures.pathways import draw_pathways

Y, X = np.mgrid[0:24, 0:24] - 11.5
ROUND = np.hypot(Y, X) < 11
NOISE = 0.05
STRAIGHT = Camera(rotation_deg=0, mirrored=False)
SQUARE = rotations.matrices(laue_rotations("4/mmm"))


def measured(field, seed, *, draws=60):
    """A field seen by structure and by chemistry with noise, combined."""
    rng = np.random.default_rng(seed)
    stderr = np.where(ROUND, NOISE, np.nan)
    seen = [np.where(ROUND, field + NOISE * rng.normal(size=field.shape), np.nan) for _ in "sc"]
    placed = np.repeat(seen[1][None], draws, axis=0)
    return combined.combine(
        seen[0], stderr, seen[1], stderr, placed, resolution=0, seed=seed + 1
    )  # fmt: skip


def axis(field, seed):
    content = measured(field, seed)
    return gradients.axis_of(content.value, content.draws, seed=seed)


def apart(one, other):
    return abs((one - other + 90) % 180 - 90)


def front(angle, width=3.0):
    ahead = X * np.cos(np.radians(angle)) + Y * np.sin(np.radians(angle))
    return 2.5 + 0.5 * np.tanh(ahead / width)


# ------------------------------------------------------------------------------- combination


def test_two_measurements_are_weighted_by_their_errors():
    one, other = np.full((2, 2), 3.0), np.full((2, 2), 2.0)
    found = combined.combine(
        one, np.full((2, 2), 0.1), other, np.full((2, 2), 0.2), other[None], resolution=0, seed=1
    )  # fmt: skip
    np.testing.assert_allclose(found.value, (3 / 0.01 + 2 / 0.04) / (1 / 0.01 + 1 / 0.04))


def test_where_one_is_not_known_the_other_stands_alone():
    nothing = np.full((2, 2), np.nan)
    one, error = np.array([[3.0, np.nan], [2.5, 2.0]]), np.full((2, 2), 0.1)
    found = combined.combine(one, error, nothing, nothing, nothing[None], resolution=0, seed=1)
    np.testing.assert_array_equal(found.value, one)
    assert np.isnan(found.draws[:, 0, 1]).all()


def test_draws_scatter_as_two_measurements_together_err():
    content = measured(front(0), 5, draws=400)
    np.testing.assert_allclose(content.draws.std(axis=0)[ROUND].mean(), NOISE / 2**0.5, rtol=0.05)


def test_draws_carry_what_all_positions_of_a_map_share():
    """Chemistry weighs half: half of its offset, and of its factor about its mean."""
    field = np.where(ROUND, front(0), np.nan)
    error = np.where(ROUND, 1e-6, np.nan)
    found = combined.combine(
        field, error, field, error, np.repeat(field[None], 3000, axis=0), resolution=0, seed=3,
        offset=0.2, factor=0.3,
    )  # fmt: skip
    off = (found.draws - field)[:, ROUND]
    assert off.mean(axis=1).std() == pytest.approx(0.1, rel=0.05)
    about = field[ROUND] - field[ROUND].mean()
    slopes = (off - off.mean(axis=1, keepdims=True)) @ about / (about @ about)
    assert slopes.std() == pytest.approx(0.15, rel=0.05)
    np.testing.assert_allclose(found.value[ROUND], field[ROUND])


@pytest.mark.slow
def test_an_axis_that_one_map_is_off_along_is_within_its_interval():
    """Where chemistry is the surer, its offset turns the gradient: intervals must hold that."""
    held = {True: [], False: []}
    rng = np.random.default_rng(11)
    stderr = [np.where(ROUND, NOISE * np.exp(sign * Y / 6), np.nan) for sign in (1, -1)]
    truth = 2.5 + 0.015 * X
    for seed in range(40):
        off = 0.15 * rng.normal()
        seen = [truth + one * rng.normal(size=truth.shape) for one in stderr]
        seen = [np.where(ROUND, one, np.nan) for one in (seen[0], seen[1] + off)]
        for told in held:
            content = combined.combine(
                seen[0], stderr[0], seen[1], stderr[1], np.repeat(seen[1][None], 60, axis=0),
                resolution=0, seed=seed, offset=0.15 * told,
            )  # fmt: skip
            found = gradients.axis_of(content.value, content.draws, seed=seed).direction
            wide = found[2] - found[1] >= 180
            held[told].append(wide or apart(found[0], 0) <= max(found[2] - found[0], 1e-9))
    assert np.mean(held[True]) >= 0.85 > np.mean(held[False])


# ---------------------------------------------------------------------------------- the axis


@given(angle=st.floats(0, 180), seed=st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_a_front_through_a_grain_is_found_whatever_its_direction(angle, seed):
    found = axis(front(angle), seed)
    assert apart(found.direction[0], angle) < 6
    assert found.direction[1] <= found.direction[0] <= found.direction[2]
    assert found.anisotropy[0] > 0.85


def test_intervals_of_the_direction_hold_the_truth():
    held = []
    for seed in range(30):
        found = axis(front(40.0, width=8.0), seed)
        held.append(found.direction[1] <= 40 <= found.direction[2])
    assert np.mean(held) >= 0.85


def test_a_core_has_no_axis():
    found = axis(2.5 + 0.5 * np.tanh((np.hypot(Y, X) - 6) / 2), 3)
    assert found.anisotropy[0] < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rough", "blurred", "smooth"])
def test_maps_without_any_axis_are_as_likely_as_chance_has_it(kind):
    """Smooth fields have one gradient across a small grain, whatever made them."""
    rng = np.random.default_rng(8)
    if kind == "rough":
        made = surrogates(ROUND, Covariance(0.0, 0.05, 8.0), 60, rng)
    else:
        width = {"blurred": 1.5, "smooth": 5.0}[kind]
        made = ndimage.gaussian_filter(rng.normal(size=(60, 48, 48)), (0, width, width))
        made = 0.2 * (made / made.std())[:, :24, :24]
    chances = [axis(np.nan_to_num(one), seed).chance for seed, one in enumerate(made)]
    assert np.mean(np.array(chances) < 0.05) <= 0.15
    assert 0.25 < np.mean(chances) < 0.75


def test_a_grain_too_small_for_gradients_has_none():
    value = np.full((6, 6), np.nan)
    value[:3, :3] = 2.0
    found = gradients.axis_of(value, value[None], seed=1)
    assert np.isnan([*found.direction, *found.anisotropy, found.chance]).all()


# ---------------------------------------------------------------------------------- channels


def test_equivalent_channels_lie_on_the_map_and_one_along_the_beam_does_not():
    directions = np.array([[1.0, 0, 0], [0, 0, 1.0]])
    angles, parts, which = channels.on_map(directions, np.eye(3), SQUARE)
    assert set(np.round(angles).astype(int)) == {0, 90} and set(which) == {0}
    np.testing.assert_allclose(parts, 1.0)
    tilted = rotations.matrices(np.array([np.cos(0.4), np.sin(0.4), 0, 0]))
    angles, parts, _ = channels.on_map(directions[1:], tilted, SQUARE)
    np.testing.assert_allclose(angles, 90.0)
    np.testing.assert_allclose(parts, np.sin(0.8))


@given(seed=st.integers(0, 2**31))
@settings(max_examples=5, deadline=None)
def test_axes_in_any_direction_lie_near_channels_as_often_as_chance_has_it(seed):
    rng = np.random.default_rng(seed)
    seen = channels.on_map(np.array([[1.0, 0.2, 0.1]]), np.eye(3), SQUARE)
    chances = [
        channels.along(angle, np.array([angle]), seen).chance for angle in rng.uniform(0, 180, 400)
    ]
    assert stats.kstest(chances, "uniform").pvalue > 1e-4


def test_grains_along_channels_tell_together_what_one_does_not():
    seen = channels.on_map(np.array([[1.0, 0, 0]]), np.eye(3), np.eye(3)[None])
    near = [channels.along(angle, np.full(10, angle), seen) for angle in (8.0, 175.0, 12.0, 170.0)]
    assert all(one.chance > 0.05 and one.nearest == 0 for one in near)
    assert channels.together(np.array([one.chance for one in near])) < 0.01
    assert np.isnan(channels.together(np.array([np.nan])))


def test_without_a_channel_on_the_map_nothing_is_said():
    seen = channels.on_map(np.array([[0, 0, 1.0]]), np.eye(3), SQUARE)
    found = channels.along(10.0, np.array([10.0]), seen)
    assert np.isnan(found.chance) and found.nearest == -1


# ---------------------------------------------------------------------------------- profiles


@pytest.mark.parametrize("angle", [0.0, 60.0, 135.0])
def test_a_profile_follows_the_content_along_its_direction(angle):
    content = measured(front(angle), 2)
    found = profiles.profile(content.value, content.draws, angle, np.arange(-9.0, 9.5, 1.5))
    expected = 2.5 + 0.5 * np.tanh(found.place / 3.0)
    np.testing.assert_allclose(found.value, expected, atol=0.06)
    assert (found.low <= found.value).all() and (found.value <= found.high).all()
    across = profiles.profile(content.value, content.draws, angle + 90, found.place)
    assert np.nanmax(np.abs(across.value - 2.5)) < 0.12


# ------------------------------------------------------------------------- a scan with its map


def laid(angle, *, status=ACCEPTED, slope=1.0):
    """CORRELATION and GRAINS of a round grain that a front crosses."""
    rng = np.random.default_rng(4)
    true = np.where(ROUND, front(angle), np.nan)
    seen = [true + NOISE * rng.normal(size=true.shape) for _ in range(2)]
    chemistry = 7.0 + slope * seen[1] if slope != 1.0 else seen[1]
    error = np.full(true.shape, NOISE)
    correlation = example(
        CORRELATION, structure=seen[0], structure_stderr=error, chemistry=chemistry,
        chemistry_stderr=abs(slope) * error, draw_chemistry=np.repeat(chemistry[None], 30, axis=0),
    )  # fmt: skip
    correlation.attrs |= {
        "scan": "s", "map": "m", "status": status, "expected_slope": slope, "scan_step_nm": 10.0,
        "map_pixel_nm": 10.0,
    }  # fmt: skip
    grains = example(
        GRAINS, label=np.where(ROUND, 0, -1), rotation=np.array([[1.0, 0, 0, 0]])
    )  # fmt: skip
    return correlation, grains


def traced(*given, channels=((0, 1, 0),), camera=STRAIGHT):
    return tracing.trace_pathways(
        *given, channels, axes=np.diag([10.0, 6.0, 5.0]), operations=np.eye(3)[None],
        camera=camera, seed=1,
    )  # fmt: skip


@pytest.mark.parametrize("slope", [1.0, -2.0])
def test_a_front_along_a_channel_lies_along_it_whatever_the_quantity(slope):
    found = traced(*laid(90.0, slope=slope))
    assert found["channel_angle"].item() < 5 and found["channel"].item() == 0
    assert found["shown_direction"].to_numpy() == pytest.approx([90.0])
    np.testing.assert_allclose(
        found["content"].to_numpy()[ROUND], front(90.0)[ROUND], atol=5 * NOISE
    )
    assert found.attrs["channel_chance"] < 0.06
    along = found.sel(way="along")["profile"].to_numpy()[0]
    assert np.ptp(along[np.isfinite(along)]) == pytest.approx(1.0, abs=0.1)


def test_a_grain_is_traced_alike_wherever_it_lies_on_the_scan():
    """It is looked at in its own box: a wide margin changes nothing but the surrogates' numbers."""
    near = traced(*laid(60.0))
    correlation, grains = laid(60.0)
    margin = {"y": (7, 20), "x": (30, 4)}
    wide = correlation.pad(margin, constant_values=np.nan)
    label = np.pad(grains["label"].to_numpy(), list(margin.values()), constant_values=-1)
    far = traced(wide, example(GRAINS, label=label, rotation=grains["rotation"].to_numpy()))
    assert far["content"].shape == (51, 58)
    # Draws' noise differs, for it is that of a larger map.
    assert apart(far["direction"].item(), near["direction"].item()) < 1
    assert far["anisotropy"].item() == pytest.approx(near["anisotropy"].item(), abs=0.02)
    assert far["chance"].item() == pytest.approx(near["chance"].item(), abs=0.1)
    np.testing.assert_allclose(
        far["content"].to_numpy()[7:31, 30:54], near["content"].to_numpy(), equal_nan=True
    )


def test_a_map_that_is_not_laid_tells_no_pathway():
    found = traced(*laid(90.0, status="undecided"))
    assert found.sizes["grain"] == 0 and "the map is undecided" in found.attrs["answer"]


def test_a_quantity_of_no_known_slope_leaves_structure_alone():
    found = traced(*laid(30.0, slope=np.nan))
    assert "structure alone" in found.attrs["sources"]
    assert apart(found["direction"].item(), 30.0) < 6


def test_without_the_cameras_place_no_channel_is_drawn():
    found = traced(*laid(90.0), camera=None)
    assert np.isnan(found["channel_angle"].item()) and not found.sizes["shown"]
    assert "camera" in found.attrs["answer"]


def test_pathways_are_drawn_and_what_is_not_laid_is_said(tmp_path):
    widths = []
    for status in (ACCEPTED, "refused"):
        correlation, grains = laid(40.0, status=status)
        netcdf.write(traced(correlation, grains), tmp_path / "p.nc", PATHWAYS)
        read = netcdf.read(tmp_path / "p.nc", PATHWAYS)
        style.save(draw_pathways(read, grains, ion="Na"), tmp_path / f"{status}.png")
        with Image.open(tmp_path / f"{status}.png") as picture:
            widths.append(picture.size[0])
    assert widths[0] > 2 * widths[1] > 200
