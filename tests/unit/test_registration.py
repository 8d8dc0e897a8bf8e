"""Laying maps of other instruments on scans: virtual pairs of known placement, and a real one."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.correlation.following import nothing
from phasefront.correlation.verdict import Expected, judge
from phasefront.layouts.registration import REGISTRATION
from phasefront.registration import landmarks, laying
from phasefront.registration.channels import Channel, contrast_groups, extra_sigma
from phasefront.registration.laying import DRAWS, Status, lay
from phasefront.registration.placement import Placement, similarity
from phasefront.registration.result import as_dataset, laid_of, placements
from phasefront.virtual.modalities import Instrument, make_pair

SEED = 2


@pytest.fixture(scope="module")
def pair():
    return make_pair(SEED)


@pytest.fixture(scope="module")
def laid(pair):
    return lay(pair.moving, pair.fixed, pair.label)


def off(pair, placement):
    """Root mean square distance in nm of the crystal's pixels from where they truly lie."""
    columns = pair.moving.value.shape[1]
    apart = placement.positions(columns) - pair.placement.positions(columns)
    return np.sqrt((apart**2).sum(-1)[np.isfinite(pair.chemistry)].mean())


def points_of(pair, number):
    """Pixels of the crystal (number, 2), and where they truly lie."""
    inside = np.argwhere(np.isfinite(pair.chemistry))
    chosen = inside[np.linspace(0, len(inside) - 1, number).astype(int)].astype(float)
    return chosen, pair.placement.at(chosen)


def dome(shape, pixel_nm, *, radius_nm=400.0, squeeze=1.0, seed=0, sigma=0.01):
    """A round or oval heap: nothing tells it from its mirror image."""
    y, x = ((np.arange(size) - (size - 1) / 2) * pixel_nm for size in shape)
    height = np.clip(1 - (np.hypot(y[:, None], x * squeeze) / radius_nm) ** 2, 0, None)
    noise = sigma * np.random.default_rng(seed).standard_normal(shape)
    return Channel("heap", height + noise, np.full(shape, sigma), pixel_nm, pixel_nm)


@given(
    angle=st.floats(0, 360), scale=st.floats(0.9, 1.1), mirrored=st.booleans(),
    walk=st.floats(0, 5), seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_pixels_are_found_again_from_where_they_lie(angle, scale, mirrored, walk, seed):
    rng = np.random.default_rng(seed)
    drift = rng.normal(0, walk, (30, 2)).cumsum(axis=0)
    placed = similarity(
        (30, 25), 40.0, middle=[900.0, 700.0], angle_deg=angle, scale=scale, mirrored=mirrored,
        drift=drift,
    )  # fmt: skip
    assert placed.mirrored() == mirrored
    pixels = rng.uniform(1, 24, (50, 2))
    np.testing.assert_allclose(placed.pixels(placed.at(pixels)), pixels, atol=1e-3)
    np.testing.assert_allclose(placed.positions(25)[7, 3], placed.at([[7.0, 3.0]])[0])


def test_a_map_turns_from_x_to_y_about_its_middle():
    placed = similarity(
        (3, 3), 10.0, middle=[50.0, 60.0], angle_deg=90.0, scale=1.1, mirrored=False
    )
    at = placed.positions(3)
    np.testing.assert_allclose(at[1, 1], [50, 60])
    np.testing.assert_allclose(at[1, 2], [61, 60], atol=1e-9)  # x goes to y
    np.testing.assert_allclose(at[2, 1], [50, 49], atol=1e-9)  # y to -x


@pytest.mark.parametrize("times", [1, 2, 3])
def test_blocks_of_pixels_lie_where_their_pixels_do(times):
    placed = similarity(
        (12, 12), 20.0, middle=[0.0, 0.0], angle_deg=33.0, scale=1.02, mirrored=True
    )
    blocks = similarity(
        (12 // times, 12 // times), 20.0 * times, middle=[0.0, 0.0], angle_deg=33.0, scale=1.02,
        mirrored=True,
    )  # fmt: skip
    found = blocks.unbinned(times, 12)
    np.testing.assert_allclose(found.row_start, placed.row_start, atol=1e-9)
    np.testing.assert_allclose(found.column_step, placed.column_step)


def test_means_of_blocks_have_the_errors_of_means():
    channel = Channel("one", np.arange(64.0).reshape(8, 8), np.full((8, 8), 0.6), 10.0, 10.0)
    binned = channel.binned(2)
    assert binned.pixel_nm == 20.0
    assert binned.value[0, 0] == np.mean([0, 1, 8, 9])
    np.testing.assert_allclose(binned.stderr, 0.3)
    channel.value[3, 3] = np.nan
    assert np.isnan(channel.binned(2).value[1, 1])
    assert np.isfinite(channel.binned(2).value).sum() == 15


def test_the_finer_image_is_blurred_to_the_coarser():
    both = np.hypot(extra_sigma(50.0, 30.0) * 2.3548, 30.0)
    assert both == pytest.approx(50.0, rel=1e-3)
    assert extra_sigma(30.0, 50.0) == 0.0


def test_small_grains_share_a_contrast_curve_with_what_lies_beside():
    label = np.full((20, 20), -1)
    label[:10, :10], label[12:15, 12:15] = 4, 7
    groups = contrast_groups(label)
    assert set(np.unique(groups)) == {0, 1}
    assert groups[0, 0] != groups[13, 13] == groups[19, 0]


@pytest.mark.slow
def test_a_virtual_map_is_laid_within_a_quarter_of_its_pixel(pair, laid):
    assert laid.status == Status.ACCEPTED, laid.why
    assert laid.mirrored == pair.mirrored == laid.best.mirrored()
    assert off(pair, laid.best) < 10.0
    true = np.hypot(*pair.placement.column_step) / pair.moving.pixel_nm
    assert abs(laid.scale - true) < 4 * laid.scale_stderr < 0.04


def test_draws_are_as_far_off_as_the_truth(pair, laid):
    spread = laid.spread_nm(pair.moving.value.shape[1])[np.isfinite(pair.chemistry)].mean()
    assert len(laid.draws) == 200
    assert 0.4 < off(pair, laid.best) / spread < 2.0


@pytest.mark.slow
def test_the_same_images_are_laid_the_same_to_the_last_bit(pair, laid):
    again = lay(pair.moving, pair.fixed, pair.label)
    np.testing.assert_array_equal(again.best.row_start, laid.best.row_start)
    np.testing.assert_array_equal(again.draws[-1].row_start, laid.draws[-1].row_start)


@pytest.mark.slow
def test_images_of_two_specimens_are_not_accepted(pair):
    other = make_pair(SEED + 1)
    found = lay(other.moving, pair.fixed, pair.label)
    assert found.status != Status.ACCEPTED
    assert found.why


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [None, 0.0], ids=["the fit leaves the scan", "no start"])
def test_a_map_like_nothing_on_the_scan_is_refused_and_its_file_says_why(
    tmp_path, monkeypatch, correlation
):
    """A hole where the scan has a grain: no part grows with thickness as the scan does."""
    if correlation is not None:
        alike = laying.find_starts
        monkeypatch.setattr(laying, "find_starts", lambda *images, **given: [
            one._replace(correlation=correlation) for one in alike(*images, **given)])  # fmt: skip
    fixed = dome((60, 60), 15.0, squeeze=1.4, seed=1)
    hole = dome((30, 30), 30.0, squeeze=1.4, seed=2)
    hole = replace(hole, value=hole.value.max() - hole.value)
    label = np.where(fixed.value > 0.2 * fixed.value.max(), 0, -1)
    found = lay(hole, [fixed, fixed], label)
    assert found.status == Status.REFUSED and "no part of it looks like" in found.why
    # Nobody takes it for a sure place: draws lie all over.
    assert len(found.draws) == DRAWS and np.median(found.spread_nm(30)) > 100
    said = as_dataset(found, hole, fixed, label, scan="g1")
    netcdf.write(said, tmp_path / "r.nc", REGISTRATION)
    again = laid_of(netcdf.read(tmp_path / "r.nc", REGISTRATION))
    assert again.status == Status.REFUSED and again.why == found.why and again.optima == ()
    answer, why = judge(nothing(0), again, Expected(1.0, 0.1))
    assert answer == "cannot tell" and found.why in why


@pytest.mark.slow
def test_a_heap_that_is_its_own_mirror_image_is_undecided():
    fixed = dome((80, 80), 15.0, squeeze=1.4, seed=1)
    moving = dome((32, 30), 40.0, squeeze=1.4, seed=2)
    label = np.where(fixed.value > 0.1, 0, -1)
    found = lay(moving, fixed, label)
    assert found.status == Status.UNDECIDED
    assert "may as well" in found.why
    known = lay(moving, fixed, label, mirrors=(False,))
    assert known.status == Status.UNDECIDED  # half a turn is still possible


@pytest.mark.slow
def test_landmarks_settle_what_images_cannot():
    """Of an oval heap two mirrors and two turns fit; points that are known leave one."""
    fixed = dome((80, 80), 15.0, squeeze=1.4, seed=1)
    moving = dome((32, 30), 40.0, squeeze=1.4, seed=2)
    label = np.where(fixed.value > 0.1, 0, -1)
    truth = similarity(
        (32, 30), 40.0, middle=[592.5, 592.5], angle_deg=0.0, scale=1.0, mirrored=False
    )
    rng = np.random.default_rng(3)
    pixels = np.array([[8.0, 20.0], [22.0, 8.0], [12.0, 7.0], [20.0, 21.0], [9.0, 11.0], [15, 18]])
    places = truth.at(pixels) + rng.normal(0, 10.0, pixels.shape)
    marks = np.column_stack([pixels, places, np.full(6, 10.0)])
    used, left = landmarks.split(marks, "marks.csv")
    found = lay(moving, fixed, label, landmarks=used)
    assert found.status == Status.ACCEPTED, found.why
    assert not found.mirrored
    tested = landmarks.examine(found, left)
    assert tested.held.all()
    assert (tested.off_nm < 40).all()
    wrong = left + np.array([0, 0, 150.0, 0, 0])
    assert not landmarks.examine(found, wrong).held.any()


def test_landmarks_without_errors_are_refused():
    with pytest.raises(InputError, match="no positive error"):
        landmarks.split(np.array([[1, 1, 2, 2, 0.0]]), "marks.csv")


def test_left_out_points_of_the_truth_lie_in_their_regions(pair, laid):
    pixels, places = points_of(pair, 40)
    left = np.column_stack([pixels, places, np.full(40, 0.1)])
    assert landmarks.examine(laid, left).held.mean() > 0.7


@pytest.mark.slow
def test_a_turned_map_is_laid_at_the_same_places():
    """A quarter turn of the pixels is another map of the same thing, whose rows are others."""
    still = make_pair(SEED, Instrument(drift_walk_nm=0.3))
    plain = lay(still.moving, still.fixed, still.label)
    image = still.moving
    turned = Channel(
        "turned", np.rot90(image.value).copy(), np.rot90(image.stderr).copy(), image.pixel_nm,
        image.resolution_nm,
    )  # fmt: skip
    other = lay(turned, still.fixed, still.label)
    columns = image.value.shape[1]
    places = np.rot90(plain.best.positions(columns))
    apart = np.hypot(*np.moveaxis(places - other.best.positions(turned.value.shape[1]), -1, 0))
    crystal = np.rot90(np.isfinite(still.chemistry))
    assert other.mirrored == plain.mirrored
    assert np.median(apart[crystal]) < 8.0


@pytest.mark.slow
def test_channels_that_disagree_widen_the_draws(pair):
    shifted = Channel(
        "shifted", ndimage.shift(pair.fixed.value, (0, 2), mode="nearest"), pair.fixed.stderr,
        pair.fixed.pixel_nm, pair.fixed.resolution_nm,
    )  # fmt: skip
    both = lay(pair.moving, [pair.fixed, shifted], pair.label)
    columns = pair.moving.value.shape[1]
    inside = np.isfinite(pair.chemistry)
    assert both.spread_nm(columns)[inside].mean() > 10.0
    assert len(both.draws) == 200


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"value": np.ones((40, 40))}, "the same everywhere"),
        ({"value": np.full((40, 40), np.nan)}, "in 0% of the pixels"),
        ({"value": np.ones((4, 40)), "stderr": np.ones((4, 40))}, "4 x 40 pixels"),
        ({"stderr": np.ones((40, 41))}, "have shapes"),
        ({"stderr": np.zeros((40, 40))}, "in 0% of the pixels"),
        ({"pixel_nm": 0.0}, "pixels of 0 nm"),
        ({"pixel_nm": np.nan}, "pixels of nan nm"),
        ({"resolution_nm": -1.0}, "a resolution of -1 nm"),
    ],
)
def test_images_that_nothing_can_be_laid_by_are_refused(change, problem):
    given = {
        "name": "map.tif", "value": np.random.default_rng(0).random((40, 40)),
        "stderr": np.ones((40, 40)), "pixel_nm": 40.0, "resolution_nm": 50.0,
    }  # fmt: skip
    with pytest.raises(InputError, match=problem):
        Channel(**given | change).check()


def test_grains_of_another_grid_are_refused(pair):
    with pytest.raises(InputError, match="on the scan's grid"):
        lay(pair.moving, pair.fixed, pair.label[1:])


def test_a_registration_is_written_and_read_again(pair, laid, tmp_path):
    made = as_dataset(laid, pair.moving, pair.fixed, pair.label, scan="soc50")
    path = tmp_path / "registration.nc"
    netcdf.write(made, path, REGISTRATION)
    found = netcdf.read(path, REGISTRATION)
    assert found.attrs["status"] == "accepted"
    best, draws = placements(found)
    np.testing.assert_array_equal(best.row_start, laid.best.row_start)
    np.testing.assert_array_equal(draws[7].column_step, laid.draws[7].column_step)
    inside = pair.label >= 0
    laid_here = found["map_thickness"].to_numpy()[inside]
    there = np.isfinite(laid_here)
    assert there.mean() > 0.8
    assert np.corrcoef(laid_here[there], pair.fixed.value[inside][there])[0, 1] > 0.8
    assert np.nanmedian(found["position_stderr"].to_numpy()[inside]) < 15.0


def test_rows_give_the_way_on_beyond_the_map():
    placed = Placement(np.array([[0.0, 0.0], [10.0, 0.0], [22.0, 0.0]]), np.array([0.0, 10.0]))
    np.testing.assert_allclose(placed.at([[-1.0, 0.0], [3.0, 1.0]]), [[-10, 0], [34, 10]])


@pytest.mark.slow
def test_real_frames_of_a_particle_are_laid_on_its_ptychograph(shared_data):
    """STXM at two energies, between which the particle moved by 24 x 15 pixels, on a ptychograph
    that lies mirrored to both: the mirror is found, and one scale."""
    folder = "modalities/stxm_ptycho_cosmic"
    with h5py.File(shared_data(f"{folder}/ptycho-scan-856eV.cxi")) as file:
        image = file["entry_1/image_1/data"][()]
        half_width, _, distance = file["entry_1/instrument_1/detector_1/corner_position"][()]
    wavelength_nm = 1239.84 / 856.0
    pixel_nm = wavelength_nm * distance / (2 * half_width)
    density = -2 * np.log(np.abs(image) / np.quantile(np.abs(image), 0.9))
    fixed = Channel(
        "ptychograph", density, np.full(density.shape, 0.02), pixel_nm, 2 * pixel_nm
    ).binned(3)
    label = np.where(fixed.value > 0.15, 0, -1)
    scales = []
    for number in ("003", "019"):
        counts = np.loadtxt(shared_data(f"{folder}/stxm-scan_a{number}.xim"))
        density = -np.log(counts / np.quantile(counts, 0.9))
        noise = 1.4826 * np.median(np.abs(density - np.median(density)))
        # Two energies and a partly coherent probe: densities are alike to some 8 %.
        error = np.hypot(noise, 0.08 * density.clip(0))
        found = lay(Channel(number, density, error, 27.2, 100.0), fixed, label)
        assert found.mirrored
        assert found.status == Status.ACCEPTED, found.why
        assert abs(found.angle_deg - 180) < 2
        scales.append(found.scale)
    assert abs(scales[0] / scales[1] - 1) < 0.01
