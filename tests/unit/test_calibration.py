"""Calibration against synthetic beams, descan, spots of known crystals, and the real Au grating."""

import functools
from types import SimpleNamespace

import numpy as np
import pytest
from examples import example
from scipy import special
from scipy.spatial.transform import Rotation

from phasefront.calibration import (
    affine,
    beam,
    descan,
    ellipse,
    geometry,
    grain_scatter,
    joint_steps,
    radii,
    rings,
    solution,
    spot_mixture,
)
from phasefront.core.errors import InputError
from phasefront.diffraction import optics
from phasefront.diffraction.crystals import read_crystal
from phasefront.layouts.calibration import CALIBRATION
from phasefront.layouts.orientations import ORIENTATIONS
from phasefront.scans import files
from phasefront.spots import vectors
from phasefront.spots.dark import as_counted

STRUCTURES = ("Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3")
VOLTAGE_KV, PRECESSION_DEG = 200.0, 0.8


def disk(shape, row, column, radius, *, edge=0.5):
    y, x = np.indices(shape)
    return special.expit((radius - np.hypot(y - row, x - column)) / edge)


def halo(shape, row, column, *, height=60.0, decay=18.0):
    y, x = np.indices(shape)
    return height * np.exp(-np.hypot(y - row, x - column) / decay)


# ------------------------------------------------------------------------------------- centres


@pytest.mark.parametrize(
    ("counts", "limit", "error"), [(3000.0, 255, 0.04), (50.0, 65535, 0.08), (1.5, 65535, 0.4)]
)
def test_centres_of_disks_whether_saturated_or_faint(counts, limit, error):
    rng = np.random.default_rng(0)
    shape, radius = (96, 96), 6.0
    true = np.array([47.0, 49.0]) + rng.uniform(-4, 4, (40, 2))
    patterns = np.array(
        [
            rng.poisson(counts * (disk(shape, *at, radius) + 0.0001 * halo(shape, *at)))
            for at in true
        ]
    )
    patterns = np.minimum(patterns, limit)
    found = descan.find_centres(patterns, (47.0, 49.0), radius=radius, mask=np.ones(shape, bool))
    offset = found - true
    assert np.sqrt(np.mean(offset**2)) < error
    assert np.abs(offset.mean(axis=0)).max() < error


def test_a_pattern_without_a_beam_has_no_centre():
    empty = np.zeros((1, 64, 64))
    mask = np.ones((64, 64), bool)
    assert np.isnan(descan.find_centres(empty, (32, 32), radius=5.0, mask=mask)).all()


def test_the_beam_of_a_mean_pattern_is_found_off_centre():
    pattern = 900 * disk((128, 128), 40.3, 75.6, 7.0) + halo((128, 128), 40.3, 75.6)
    row, column, radius, hidden = beam.find_beam(pattern)
    assert not hidden
    assert (row, column) == pytest.approx((40.3, 75.6), abs=0.15)
    assert radius == pytest.approx(7.0, abs=0.4)


def test_a_beam_stop_is_masked_and_the_centre_comes_from_symmetry():
    rng = np.random.default_rng(4)
    shape, row, column = (128, 128), 61.4, 66.7
    pattern = 200 * disk(shape, row, column, 6.0) + halo(shape, row, column, height=300) + 5
    for x, y in ((20, 9), (-4, 27), (33, -12)):
        for sign in (1, -1):
            pattern += 150 * disk(shape, row + sign * y, column + sign * x, 2.0)
    y, x = np.indices(shape)
    stop = (np.abs(y - row) < 9) & (x > column - 10)
    pattern = rng.poisson(20 * np.where(stop, 0.02, 1.0) * pattern) / 20
    found = beam.find_beam(pattern)
    assert found[:2] == pytest.approx((row, column), abs=1.0)
    mask = beam.usable_pixels(pattern, (row, column))
    radius = np.hypot(y - row, x - column)
    near = (radius > 12) & (radius < 45)  # further in, the stop is all there is
    assert mask[stop & near].mean() < 0.1
    assert mask[~stop & near].mean() > 0.8


def test_hot_and_dead_pixels_are_masked():
    rng = np.random.default_rng(4)
    pattern = rng.poisson(1e4 * (1 + halo((64, 64), 32, 32, height=3.0))) / 1e3
    pattern[10, 12] *= 30
    pattern[50, 40] = 0
    mask = beam.usable_pixels(pattern, (32, 32))
    assert not mask[10, 12]
    assert not mask[50, 40]
    assert mask.sum() == mask.size - 2


def test_pixels_that_do_not_change_are_masked_whatever_the_camera_adds():
    rng = np.random.default_rng(7)
    patterns = rng.poisson(np.broadcast_to(20 * (1 + halo((64, 64), 32, 32)), (200, 64, 64))) + 60.0
    patterns[:, 10, 12] = 60
    patterns[:, :, 50] = 60 + rng.normal(0, 1, (200, 64))
    overview = beam.Overview(patterns)
    mask = beam.usable_pixels(patterns.mean(axis=0), (32, 32), patterns=overview)
    assert not mask[10, 12]
    assert not mask[:, 50].any()
    assert mask.sum() == mask.size - 65
    # Of few electrons, seldom two in a pixel, none is.
    for electrons in (0.002, 0.02, 0.1, 0.2):
        sparse = beam.Overview(rng.poisson(electrons, (200, 64, 64)))
        assert sparse.unmoved.sum() < 2


def test_a_hot_pixel_under_spots_is_masked_and_a_narrow_beam_that_sways_is_not():
    rng = np.random.default_rng(5)
    y, x = np.indices((48, 48))
    swaying = 24 + rng.uniform(-0.5, 0.5, (60, 2))
    patterns = np.array(
        [
            20 + 4000 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * 0.7**2))
            for row, column in swaying
        ]
    )
    for pattern in patterns[rng.random(60) < 0.5]:
        pattern += 3000 * np.exp(-((y - 11) ** 2 + (x - 13) ** 2) / (2 * 1.5**2))
    patterns = rng.poisson(patterns).astype(float)
    patterns[:, 10, 12] += 300
    patterns[:, 0, 30] += 300
    mask = beam.usable_pixels(patterns.mean(axis=0), (24, 24), patterns=beam.Overview(patterns))
    np.testing.assert_array_equal(np.argwhere(~mask), [[0, 30], [10, 12]])


def test_where_no_spot_covers_a_hot_pixel_the_mean_tells():
    patterns = np.random.default_rng(6).poisson(20.0, (40, 48, 48)).astype(float)
    patterns[:, 10, 12] += 300
    mask = beam.usable_pixels(patterns.mean(axis=0), (24, 24), patterns=beam.Overview(patterns))
    np.testing.assert_array_equal(np.argwhere(~mask), [[10, 12]])


def test_the_surface_follows_descan_and_ignores_outliers():
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:1:30j, 0:1:40j]
    true = np.stack([60 + 3 * x - 2 * y + x * y, 70 - 4 * y + 2 * x**2], axis=-1)
    measured = true + rng.normal(0, 0.05, true.shape)
    measured[rng.uniform(size=(30, 40)) < 0.15] += [4.0, -3.0]
    measured[3:6, 3:9] = np.nan
    fitted, residual, error = descan.fit_surface(measured)
    assert np.abs(fitted - true).max() < 0.02
    assert 0.001 < error < 0.01
    assert np.isnan(residual[4, 4])
    assert np.nanmedian(residual) == pytest.approx(0.06, abs=0.015)


def test_a_tenth_of_wild_centres_in_patches_leaves_the_surface_within_a_twentieth_of_a_pixel():
    rng = np.random.default_rng(8)
    y, x = np.mgrid[0:1:48j, 0:1:48j]
    true = np.stack([70 + 4 * x - 3 * y + x * y - y**2, 72 - 3 * y + 2 * x**2], axis=-1)
    measured = true + rng.normal(0, 0.1, true.shape)
    # Whole grains whose beam is pulled to one side, and single wild positions.
    measured[5:15, 8:20] += [0.7, 0.5]
    measured[30:40, 36:44] += [-1.5, 0.3]
    wild = rng.uniform(size=true.shape[:2]) < 0.02
    measured[wild] += rng.uniform(-20, 20, (wild.sum(), 2))
    fitted, residual, error = descan.fit_surface(measured)
    assert 0.1 < (residual > 0.5).mean() < 0.15
    assert np.sqrt(np.mean((fitted - true) ** 2)) < 0.02
    assert np.abs(fitted - true).max() < 0.05
    assert 0.002 < error < 0.05


PART = np.indices((48, 48)).transpose(1, 2, 0)
ASTRAY = {
    "joined from parts": 70 + np.tile(0.08 * PART, (3, 3, 1)),
    "turned at every part": 70 + 0.08 * np.pad(PART, ((0, 96), (0, 96), (0, 0)), "reflect"),
    "one jump": 70 + 2.0 * (np.indices((144, 144)).transpose(1, 2, 0) >= 100),
}


@pytest.mark.parametrize("truth", ASTRAY.values(), ids=ASTRAY.keys())
def test_centres_that_keep_to_no_surface_are_followed(truth):
    rng = np.random.default_rng(4)
    measured = truth + rng.normal(0, 0.05, truth.shape)
    measured[rng.random(truth.shape[:2]) < 0.1] = np.nan
    wild = rng.random(truth.shape[:2]) < 0.1
    measured[wild] += rng.uniform(-7, 7, (wild.sum(), 2))
    fitted, _, error = descan.fit_surface(measured, radius=5)
    off = np.abs(fitted - truth)
    assert np.median(off) < 0.04
    assert np.quantile(off, 0.9) < 0.1  # all but the seams
    assert 0.3 < error / np.sqrt(np.median(off**2) / 0.455) < 3
    # What a patch of bad patterns shows is no descan.
    plane = 70 + 0.01 * np.indices((144, 144)).transpose(1, 2, 0)
    bad = plane + rng.normal(0, 0.05, truth.shape)
    bad[40:85, 50:90] += 3
    assert np.abs(descan.fit_surface(bad, radius=5)[0] - plane).max() < 0.05


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 2)])
def test_the_surface_of_a_small_scan_is_a_plane_or_a_constant(shape):
    measured = np.broadcast_to([50.0, 60.0], (*shape, 2))
    fitted, residual, error = descan.fit_surface(measured)
    np.testing.assert_allclose(fitted, measured)
    np.testing.assert_allclose(residual, 0, atol=1e-9)
    assert error < 1e-6


# --------------------------------------------------------------------------------------- sizes


@pytest.mark.parametrize(("sigma", "probe"), [(1.2, 9.0), (1.8, 6.0), (3.0, 8.0)])
def test_the_spots_own_size_is_measured_beside_a_larger_beam(sigma, probe):
    rng = np.random.default_rng(2)
    shape = (144, 144)
    y, x = np.indices(shape)
    expected = 10 + 2000 * disk(shape, 72, 72, probe) + halo(shape, 72, 72)
    for at in ((30, 40), (110, 50), (100, 110), (25, 100), (72, 120), (120, 80)):
        distance = (y - at[0]) ** 2 + (x - at[1]) ** 2
        expected = expected + 200 * np.exp(-0.5 * distance / sigma**2)
    patterns = rng.poisson(np.broadcast_to(expected, (4, *shape)))
    centres = np.tile([72.0, 72.0], (4, 1))
    mask = np.ones(shape, bool)
    found = radii.measure_spot_radius(
        patterns, centres, probe_radius=probe, mask=mask, dark=as_counted(shape)
    )
    assert found == pytest.approx(2 * sigma, rel=0.08)
    reach = radii.measure_beam_radius(
        patterns, centres, probe_radius=probe, spot_radius=found, mask=mask
    )
    assert probe + found <= reach < probe + found + 6


# ---------------------------------------------------------------------------- scale and ellipse


@pytest.fixture(scope="module")
def crystals(request):
    folder = request.config.rootpath / "config" / "structures"
    read = [read_crystal(folder / f"{name}.cif") for name in STRUCTURES]
    # Structure factors are worked out once for all tests.
    return [
        SimpleNamespace(
            name=crystal.name, symmetry=crystal.symmetry,
            reflections=functools.lru_cache(lambda d, c=crystal: c.reflections(round(d, 2))),
        )
        for crystal in read
    ]  # fmt: skip


def distortion(scale, ratio, angle_deg):
    """Matrix from nominal to true frequencies whose rings on the camera are long along angle."""
    turn = Rotation.from_euler("z", angle_deg, degrees=True).as_matrix()[:2, :2]
    return scale * turn @ np.diag([ratio**-0.5, ratio**0.5]) @ turn.T


def nominal_spots(
    crystals, rng, *, matrix, phases, patterns=60, grains=10, sigma=0.004, outward=0.0, overlaid=0.0
):
    """Spots of kinematic patterns in nominal frequencies, with orientations right to 0.5 degrees.

    Grains share the pseudo-tetragonal lattice: the second phase's a axis is along [110] of it.
    Spots are shifted outwards by `outward` over their frequency, and a share `overlaid` of the
    patterns also holds the spots of a second lattice, of a cell 2 per cent smaller.
    """
    reflections = [crystal.reflections(1 / 1.2) for crystal in crystals]
    lattices = Rotation.random(grains, rng=rng)
    own_axes = [Rotation.from_euler("z", turn, degrees=True) for turn in (0, -45, 0)]
    wavelength = optics.electron_wavelength(VOLTAGE_KV)
    counts, found, rotations = [], [], np.empty((1, patterns, len(crystals), 1, 4))
    for i in range(patterns):
        phase = rng.choice(phases)
        lattice = lattices[rng.integers(grains)]
        _, g, power = reflections[phase]
        g = (own_axes[phase] * lattice).inv().apply(g)
        if rng.uniform() < overlaid:
            g = np.concatenate([g, 1.02 * Rotation.random(rng=rng).apply(g)])
            power = np.concatenate([power, power])
        error = g[:, 2] - wavelength / 2 * np.sum(g**2, axis=1)
        width = np.hypot(0.01, np.radians(PRECESSION_DEG) * np.linalg.norm(g, axis=1) / 1.4)
        strength = power * np.exp(-0.5 * (error / width) ** 2) * rng.lognormal(0, 0.7, len(g))
        strength[np.linalg.norm(g[:, :2], axis=1) < 0.12] = 0
        visible = np.argsort(strength)[::-1][: rng.integers(12, 26)]
        q = g[visible, :2] + rng.normal(0, sigma, (len(visible), 2))
        q = np.concatenate([q, rng.uniform(-0.8, 0.8, (1, 2))])  # one that belongs to nothing
        nominal = np.linalg.solve(matrix, q.T).T
        found.append(nominal * (1 + outward / np.sum(nominal**2, axis=1, keepdims=True)))
        counts.append(len(q))
        for other in range(len(crystals)):
            wrong = Rotation.from_rotvec(np.radians(rng.normal(0, 0.5, 3)))
            rotations[0, i, other, 0] = (own_axes[other] * lattice * wrong).as_quat(
                scalar_first=True
            )
    qx, qy = np.concatenate(found).T
    spots = geometry.spots_dataset(counts, qx, qy, np.ones(len(qx)), np.ones(len(qx)), 0.01)
    orientations = example(
        ORIENTATIONS, phase=[crystal.name for crystal in crystals], rotation=rotations
    )
    return spots, orientations


def fit(spots, orientations, crystals, *, scale_search=0.02):
    return affine.fit_affine(
        spots, orientations, crystals, voltage_kv=VOLTAGE_KV, precession_deg=PRECESSION_DEG,
        scale_search=scale_search,
    )  # fmt: skip


@pytest.mark.parametrize("phases", [[0], [1, 2], [0, 1, 2]])
def test_scale_and_ellipse_are_recovered_although_the_phases_are_not_known(crystals, phases):
    true = distortion(1.005, 1.01, 35.0)
    rng = np.random.default_rng(len(phases))
    result = fit(*nominal_spots(crystals, rng, matrix=true, phases=phases), crystals)
    scale, ratio, angle = ellipse.shape_of(result.matrix)
    assert scale == pytest.approx(1.005, abs=0.001)
    assert ratio == pytest.approx(1.01, abs=0.002)
    assert angle == pytest.approx(35.0, abs=6.0)
    assert np.abs(result.shift).max() < 0.001
    assert result.sigma == pytest.approx(0.004, rel=0.15)
    present = np.isin(np.arange(3), phases)
    assert result.phase_share[present].sum() > 0.95
    assert 8 <= result.grains <= 12 * len(phases)


@pytest.mark.parametrize("scale", [0.982, 1.018])
def test_the_scale_is_found_anywhere_in_the_range_searched(crystals, scale):
    rng = np.random.default_rng(6)
    made = nominal_spots(crystals, rng, matrix=distortion(scale, 1.0, 0.0), phases=[0, 1])
    result = fit(*made, crystals)
    assert ellipse.scale_of(result.matrix) == pytest.approx(scale, abs=0.001)


def test_an_outward_shift_of_the_spots_is_no_scale(crystals):
    rng = np.random.default_rng(12)
    made = nominal_spots(
        crystals, rng, matrix=np.eye(2), phases=[0, 1], patterns=120, grains=20, outward=4e-4
    )
    result = fit(*made, crystals, scale_search=0.004)
    assert ellipse.scale_of(result.matrix) == pytest.approx(1, abs=7e-4)
    outward_error = np.sqrt(result.covariance[5, 5])
    assert result.outward == pytest.approx(4e-4, abs=4 * outward_error)
    assert outward_error < 1.5e-4


def test_second_lattices_in_patterns_move_neither_scale_nor_ellipse(crystals):
    true = distortion(1.004, 1.01, 35.0)
    rng = np.random.default_rng(5)
    made = nominal_spots(crystals, rng, matrix=true, phases=[1], patterns=100, overlaid=0.4)
    result = fit(*made, crystals)
    error = np.sqrt(np.diag(result.covariance))[:3]
    assert np.abs(result.matrix - true).max() < 0.001
    assert (np.abs((result.matrix - true)[[0, 0, 1], [0, 1, 1]]) < 4 * error).all()


def test_residuals_show_a_distortion_beyond_an_ellipse(crystals):
    rng = np.random.default_rng(9)
    spots, orientations = nominal_spots(
        crystals, rng, matrix=np.eye(2), phases=[0], patterns=150, grains=30, sigma=0.002
    )
    # Threefold: q moves by conj(q)^2, which no affine can take up.
    moved = 0.01 * np.conj(spots["qx"] + 1j * spots["qy"]) ** 2
    spots["qx"] += moved.real.astype("f4")
    spots["qy"] += moved.imag.astype("f4")
    result = fit(spots, orientations, crystals, scale_search=0.002)
    maps = solution.binned(result.q / 0.0175, result.residual / 0.0175, (144, 144))
    x, y = np.meshgrid(0.0175 * maps["bin_x"], 0.0175 * maps["bin_y"])
    expected = 0.01 * np.conj(x + 1j * y) ** 2 / 0.0175
    found = maps["residual_x"] + 1j * maps["residual_y"]
    seen = np.isfinite(found)
    assert seen.sum() > 40
    weight = maps["residual_count"][seen]
    slope = np.sum(weight * (found * np.conj(expected)).real[seen]) / np.sum(
        weight * np.abs(expected[seen]) ** 2
    )
    assert 0.7 < slope < 1.1
    assert np.isnan(found[maps["residual_count"] < solution._LEAST_IN_BIN]).all()


def test_standard_errors_cover_the_truth(crystals):
    true = distortion(0.997, 1.006, 110.0)
    pulls = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        made = nominal_spots(crystals, rng, matrix=true, phases=[0, 2], patterns=40)
        result = fit(*made, crystals, scale_search=0.004)
        error = np.sqrt(np.diag(result.covariance))[:3]
        pulls.append((result.matrix - true)[[0, 0, 1], [0, 1, 1]] / error)
    assert 0.5 < np.sqrt(np.mean(np.square(pulls))) < 1.7


def crippled(spots, how, rng):
    q = np.stack([spots["qx"].values, spots["qy"].values], axis=1).astype(float)
    count = spots["count"].values.ravel()
    first = spots["offset"].values[:-1]
    if how == "spots on a line":
        q = np.hypot(*q.T)[:, None] * [0.8, 0.6] * rng.choice([-1, 1], (len(q), 1))
    elif how == "spots of nothing":
        azimuth = rng.uniform(0, 2 * np.pi, len(q))
        q = rng.uniform(0.15, 0.8, (len(q), 1)) * np.stack([np.cos(azimuth), np.sin(azimuth)], 1)
    elif how == "all spots at one place":
        q[:] = [0.3, 0.2]
    elif how.startswith("spots: "):
        kept = int(how.removeprefix("spots: "))
        q = q[np.concatenate([np.arange(start, start + kept) for start in first])]
        count = np.full(len(count), kept)
    elif how == "one pattern again and again":
        q, count = np.tile(q[: count[0]], (len(count), 1)), np.full(len(count), count[0])
    return geometry.spots_dataset(count, *q.T, np.ones(len(q)), np.ones(len(q)), 0.01)


@pytest.mark.parametrize("grains", [1, 3])
@pytest.mark.parametrize(
    "how",
    ["spots: 1", "spots: 2", "spots on a line", "spots of nothing", "all spots at one place",
     "one pattern again and again", "nothing wrong"],
)  # fmt: skip
def test_what_few_or_odd_spots_do_not_say_is_refused_or_has_an_error_that_covers_it(
    crystals, how, grains
):
    rng = np.random.default_rng(grains)
    spots, orientations = nominal_spots(
        crystals, rng, matrix=np.eye(2), phases=[0], patterns=12, grains=grains
    )
    if how == "one pattern again and again":
        orientations["rotation"][:] = orientations["rotation"][:, :1].values
    try:
        result = fit(crippled(spots, how, rng), orientations, crystals)
    except InputError as error:
        assert how != "nothing wrong" or grains == 1
        assert "calibration: {method: nominal}" in str(error) or "correct the instrument" in str(
            error
        )
        return
    assert how in ("nothing wrong", "one pattern again and again", "spots: 2")
    error = ellipse.propagate(ellipse.scale_of, result.matrix, result.covariance[:3, :3])
    assert abs(ellipse.scale_of(result.matrix) - 1) < 4 * error < 0.04


@pytest.mark.parametrize("scale", [0.97, 1.03])
def test_a_scale_outside_of_the_search_is_named_and_refused(crystals, scale):
    rng = np.random.default_rng(8)
    made = nominal_spots(crystals, rng, matrix=distortion(scale, 1.0, 0.0), phases=[0])
    with pytest.raises(InputError, match=r"(2\.9|3\.0)\d % off .* 2 % are searched"):
        fit(*made, crystals)
    wider = fit(*made, crystals, scale_search=0.04)
    assert ellipse.scale_of(wider.matrix) == pytest.approx(scale, abs=0.001)


def test_a_grain_seen_often_is_not_many_grains():
    rng = np.random.default_rng(0)
    information = np.broadcast_to(100 * np.eye(2), (40, 2, 2))
    prior = np.zeros((2, 2))

    def variance(grain, score):
        return grain_scatter.covariance_by_grain(information, score, grain, prior)[0, 0]

    independent = 1 / 4000
    one = variance(np.zeros(40, int), np.zeros((40, 2)))
    effect = 1 + 39 * grain_scatter.SHARED_VARIANCE
    assert one == pytest.approx(effect * independent)
    # Of twenty grains, their own scatter counts: here that of grains whose patterns err together.
    grain = np.repeat(np.arange(20), 2)
    found = [variance(grain, np.repeat(rng.normal(0, 40, (20, 2)), 2, axis=0)) for _ in range(50)]
    true = 20 * 80**2 / 4000**2
    assert np.mean(found) == pytest.approx(true, rel=0.35)


def seen_again(made, times, misindexed, seed):
    """Spots of all patterns so many times over, each time with other patterns misindexed."""
    spots, orientations = made
    rng = np.random.default_rng(seed)
    counts = np.tile(spots["count"].values.ravel(), times)
    columns = [np.tile(spots[name].values, times) for name in ("qx", "qy", "intensity", "variance")]
    rotations = np.tile(orientations["rotation"].values, (1, times, 1, 1, 1))
    wrong = rng.random(len(counts)) < misindexed
    shape = rotations[0, wrong].shape
    turned = Rotation.random(int(np.prod(shape[:-1])), rng=rng).as_quat(scalar_first=True)
    rotations[0, wrong] = turned.reshape(shape)
    names = list(orientations["phase"].values)
    return (
        geometry.spots_dataset(counts, *columns, 0.01),
        example(ORIENTATIONS, phase=names, rotation=rotations),
    )


@pytest.mark.parametrize("misindexed", [0.0, 0.4])
def test_patterns_of_the_same_grains_seen_again_are_no_new_grains(crystals, misindexed):
    """Nor do they make errors smaller, as patterns of other grains would, by the root of two."""
    made = nominal_spots(crystals, np.random.default_rng(5), matrix=np.eye(2), phases=[0], grains=6)
    round_one = np.array([1.0, 0, 1.0, 0, 0, 0])
    once, twice = (
        affine.refine_affine(
            *seen_again(made, times, misindexed, 3), crystals, round_one, voltage_kv=VOLTAGE_KV,
            precession_deg=PRECESSION_DEG,
        )
        for times in (1, 2)
    )  # fmt: skip
    for found in (once, twice):
        assert 5 <= found.grains <= 9  # a misindexed pattern, at times, whose spots are few
    error_once, error_twice = (
        ellipse.propagate(ellipse.scale_of, found.matrix, found.covariance[:3, :3])
        for found in (once, twice)
    )
    assert error_twice > 0.85 * error_once


def test_two_grains_above_each_other_do_not_make_one_of_both():
    rng = np.random.default_rng(1)
    one, two = rng.uniform(-0.8, 0.8, (2, 20, 2))
    spots = [one] * 5 + [two] * 5 + [np.concatenate([one, two])]
    orientation = Rotation.random(3, rng=rng).as_quat(scalar_first=True)[[0] * 5 + [1] * 5 + [2]]
    offset = np.concatenate([[0], np.cumsum([len(q) for q in spots])])
    known = np.ones(11, bool)
    found = grain_scatter.grains_of_patterns(
        orientation, known, np.array([[1.0, 0, 0, 0]]), np.concatenate(spots), offset
    )
    assert len(set(found[:5])) == len(set(found[5:10])) == 1
    assert found[0] != found[5] and found.max() == 1


def test_too_few_indexed_patterns_are_an_input_error(crystals):
    made = nominal_spots(
        crystals, np.random.default_rng(0), matrix=np.eye(2), phases=[0], patterns=2
    )
    with pytest.raises(InputError, match="only 2 patterns could be indexed"):
        fit(*made, crystals)


def test_ways_that_meet_lead_where_each_would_have_led_alone(crystals):
    made = nominal_spots(crystals, np.random.default_rng(3), matrix=np.eye(2), phases=[0])
    problem = spot_mixture.SpotMixture(*made, crystals, VOLTAGE_KV, PRECESSION_DEG)
    scales = 1 + np.linspace(-0.02, 0.02, 9)
    met = problem.explore(scales)
    assert len(met) < len(scales)
    starts = [spot_mixture.JointState.start(scale, problem.rotation) for scale in scales]
    alone = [problem.climb(start, spot_mixture.ROUGH_STEPS) for start in starts]
    best, _ = problem.best_two(met)
    of_all, _ = problem.best_two(alone)
    np.testing.assert_allclose(best.parameters, of_all.parameters, rtol=0, atol=2e-5)
    # And every place that is apart from others was kept.
    matrices = np.array([state.parameters[:3] for state in met])
    for state in alone:
        assert np.abs(matrices - state.parameters[:3]).max(axis=1).min() < 0.004


def test_the_likelihood_climbs_and_its_gradient_is_right(crystals):
    made = nominal_spots(crystals, np.random.default_rng(3), matrix=np.eye(2), phases=[0])
    problem = spot_mixture.SpotMixture(*made, crystals, VOLTAGE_KV, PRECESSION_DEG)
    state = spot_mixture.JointState.start(1.004, problem.rotation)
    climbed = [problem.climb(state, steps).log_likelihood for steps in (0, 2, 4, 8, 16)]
    assert np.all(np.diff(climbed) > -0.5)
    assert climbed[-1] - climbed[0] > 100

    # Per candidate, against central differences of the log-likelihood itself.
    share = np.full(3, 1 / 3)

    def likelihood(parameters, rotation):
        state = spot_mixture.JointState(parameters, rotation, 0.006, share)
        return problem.evaluate(state)

    start = np.array([1.001, 0.0005, 0.999, 0.0002, -0.0003, 1e-4])
    gradient = likelihood(start, problem.rotation)[2]
    for k in (1, 3, 4, 5):
        step = 1e-6 * np.eye(6)[k]
        up, down = (likelihood(start + s, problem.rotation)[0] for s in (step, -step))
        difference = (up - down) / 2e-6
        # Reflections that enter or leave at the rim of the range make a few jumps.
        close = np.isclose(gradient[..., k], difference, rtol=1e-2, atol=1.0)
        assert close.mean() > 0.95
    for k in range(3):
        turn = np.zeros((*problem.rotation.shape[:2], 3))
        turn[..., k] = 1e-6
        either_way = (joint_steps.turned(problem.rotation, small) for small in (turn, -turn))
        up, down = (likelihood(start, rotation)[0] for rotation in either_way)
        close = np.isclose(gradient[..., 6 + k], (up - down) / 2e-6, rtol=2e-2, atol=3.0)
        assert close.mean() > 0.9


# ----------------------------------------------------------------------------------- whole scans


class ScanInMemory:
    """What calibration asks of `scans.Scan`."""

    path = "zeros.blo"

    def __init__(self, patterns):
        self.patterns, self.shape, self.dtype = patterns, patterns.shape, patterns.dtype

    def read_rows(self, start, stop):
        return self.patterns[start:stop]

    def blocks(self):
        for row in range(self.shape[0]):
            yield slice(row, row + 1), self.patterns[row : row + 1]


def test_a_scan_of_zeros_or_with_nan_is_refused():
    patterns = np.zeros((2, 3, 32, 32), np.float32)
    with pytest.raises(InputError, match=r"zeros.blo: every pixel of the mean pattern is 0"):
        geometry.calibrate_centres(ScanInMemory(patterns), name="zeros", scale_nominal=0.01)
    patterns[1, 2, 3, 4] = np.nan
    with pytest.raises(InputError, match=r"zeros.blo: position y=1, x=2: 1 values are NaN"):
        geometry.calibrate_centres(ScanInMemory(patterns), name="zeros", scale_nominal=0.01)


def test_the_genuine_scan_is_calibrated_without_its_phase(shared_data):
    scan = files.open_scan(shared_data("scans/astar_3x2.blo"))
    found = geometry.calibrate_centres(scan, name="astar", scale_nominal=0.01)
    CALIBRATION.check(found, "test")
    np.testing.assert_allclose(found["centre_y"], 72.1, atol=0.3)
    np.testing.assert_allclose(found["centre_x"], 73.25, atol=0.3)
    assert float(found["centre_residual"].max()) < 0.15
    # Spots are far smaller than the saturated beam.
    assert float(found["spot_radius"]) == pytest.approx(3.3, abs=0.4)
    assert 7 < float(found["probe_radius"]) < 10
    # Nothing was measured: all is as sure as the range that a scale is searched in.
    assert float(found["scale_stderr"]) == pytest.approx(0.01 * 0.01)
    assert found.attrs["error_kind"] == "stated, not measured: 1 %, half of scale_search"
    assert found["mask"].values.all()


def test_a_scan_with_a_standard_is_less_sure_than_the_standard(shared_data):
    scan = files.open_scan(shared_data("scans/astar_3x2.blo"))
    standard = geometry.calibrate_centres(
        scan, name="standard", scale_nominal=0.01, scale_search=0.002
    ).assign_attrs(error_kind="scatter of rings")
    assert float(standard["scale_stderr"]) == pytest.approx(0.001 * 0.01)
    found = geometry.calibrate_with_standard(scan, name="astar", standard=standard)
    CALIBRATION.check(found, "test")
    assert found.attrs["error_kind"] == "scatter of rings, and 0.3 % for lenses set anew"
    both = np.hypot(0.001, optics.LENSES_SET_ANEW)
    assert float(found["scale_stderr"]) == pytest.approx(both * 0.01)
    assert float(found["ellipse_ratio_stderr"]) == pytest.approx(2 * both)
    np.testing.assert_allclose(list(vectors.constants(found).values()), both)
    np.testing.assert_allclose(list(vectors.constants(standard).values()), 0.001)


# ---------------------------------------------------------------------------- rings of a standard

GOLD = 4.0782 / np.sqrt([3, 4, 8, 11, 12, 16, 19, 20])


def picture_of_rings(rng, matrix, shape=(128, 128), row=62.3, column=65.8):
    y, x = np.indices(shape)
    q = np.linalg.norm(np.einsum("ij,j...->i...", matrix, np.stack([x - column, y - row])), axis=0)
    image = 4000 * np.exp(-q / 0.25) + 2e4 * disk(shape, row, column, 4.0) + 20
    for d, height in zip(GOLD, (900, 400, 300, 300, 60, 20, 60, 60), strict=True):
        image += height * np.exp(-0.5 * ((q - 1 / d) / 0.015) ** 2)
    return rng.poisson(image)


@pytest.mark.slow
def test_rings_give_back_their_geometry():
    rng = np.random.default_rng(0)
    matrix = 0.0202 * distortion(1.0, 1.03, 60.0)
    shape, row, column = (128, 128), 62.8, 65.4
    y, x = np.indices(shape)
    q = np.linalg.norm(np.einsum("ij,j...->i...", matrix, np.stack([x - column, y - row])), axis=0)
    image = 16000 * np.exp(-q / 0.25) + 8e4 * disk(shape, row, column, 3.0) + 80
    for d, height in zip(GOLD, (900, 400, 300, 300, 60, 20, 60, 60), strict=True):
        image += 4 * height * np.exp(-0.5 * ((q - 1 / d) / 0.015) ** 2)
    found = rings.calibrate_rings(
        rng.poisson(image), d_spacings=GOLD, scale_nominal=0.0206, name="made"
    )
    CALIBRATION.check(found, "test")
    assert float(found["scale"]) == pytest.approx(0.0202, rel=1e-3)
    assert float(found["ellipse_ratio"]) == pytest.approx(1.03, abs=0.001)
    assert float(found["ellipse_angle"]) == pytest.approx(60.0, abs=2.0)
    assert float(found["centre_y"].squeeze()) == pytest.approx(row, abs=0.1)
    assert float(found["centre_x"].squeeze()) == pytest.approx(column, abs=0.1)
    np.testing.assert_allclose(found["affine"], matrix, atol=4 * found["affine_stderr"].max())


def test_the_real_gold_grating_has_the_published_scale_and_ellipse(shared_data):
    from skimage.io import imread

    image = imread(shared_data("calibration/au_xgrating_20cm.tif"))
    found = rings.calibrate_rings(image, d_spacings=GOLD, scale_nominal=0.0102, name="au")
    # Published: 0.010237 per pixel after the affine below, which maps the camera's pixels to round
    # ones and leaves their size alone along one axis.
    published = 0.010237 * np.array([[0.9758, 0.0155], [0.0155, 0.9901]])
    scale, ratio, angle = ellipse.shape_of(published)
    assert float(found["scale"]) == pytest.approx(scale, rel=0.005)
    assert float(found["ellipse_ratio"]) == pytest.approx(ratio, abs=0.005)
    assert float(found["ellipse_angle"]) == pytest.approx(angle, abs=3.0)


@pytest.mark.slow
def test_a_standards_scale_does_not_depend_on_the_nominal_one():
    true, rng = 0.0201, np.random.default_rng(1)
    image = picture_of_rings(rng, true * distortion(1.0, 1.02, 60.0))
    found = [
        rings.calibrate_rings(image, d_spacings=GOLD, scale_nominal=true * off, name="made")
        for off in (0.956, 1.0, 1.047)
    ]
    scales = np.array([float(one["scale"]) for one in found])
    error = float(found[1]["scale_stderr"])
    assert np.ptp(scales) < 0.02 * error
    assert abs(scales[1] - true) < 4 * error < 0.01 * true
    assert "rings" in found[1].attrs["error_kind"]
    for off, percent in ((0.91, "9.9"), (1.1, "9.1")):
        with pytest.raises(InputError, match=rf"{percent} % from the nominal .* 5 % are allowed"):
            rings.calibrate_rings(image, d_spacings=GOLD, scale_nominal=true * off, name="made")


@pytest.mark.slow
def test_a_picture_without_rings_gives_no_scale():
    rng = np.random.default_rng(2)
    y, x = np.indices((128, 128))
    image = rng.poisson(
        400 * np.exp(-np.hypot(y - 63, x - 65) / 20) + 2e4 * disk((128, 128), 63, 65, 4.0) + 20
    )
    with pytest.raises(InputError):
        rings.calibrate_rings(image, d_spacings=GOLD, scale_nominal=0.02, name="none")


def test_one_ring_is_not_enough():
    image = np.add(100.0, 500 * disk((64, 64), 32, 32, 4.0))
    with pytest.raises(InputError, match="1 ring is too few"):
        rings.calibrate_rings(image, d_spacings=[2.0], scale_nominal=0.02, name="x.tif")


# ---------------------------------------------------------------------------- virtual scans


@pytest.mark.slow
def test_virtual_scans_are_calibrated_within_their_standard_errors(request, tmp_path):
    """Dynamical spots, a camera's gamma, overlapping grains and two phases in one grain."""
    from phasefront.diffraction.templates import simulate_templates
    from phasefront.virtual import camera, specimen
    from phasefront.virtual.particles import VirtualPhase

    folder = request.config.rootpath / "config" / "structures"
    crystals = [read_crystal(folder / f"{name}.cif") for name in STRUCTURES]
    templates = simulate_templates(
        crystals, voltage_kv=VOLTAGE_KV, precession_deg=PRECESSION_DEG, resolution_deg=2.0
    )
    phases = [
        VirtualPhase.of_cif(name, folder / f"{name}.cif", ions)
        for name, ions in zip(STRUCTURES, (3, 2, 1), strict=True)
    ]
    pulls = []
    for seed, (ions, grains) in enumerate([(3.0, 14), (2.5, 14), (2.0, 30), (1.4, 30), (1.0, 14)]):
        rng = np.random.default_rng(seed)
        grown = specimen.make_specimen(
            scan="s", material="nvpf", phases=phases, ion_content=ions,
            insertion_model="core-shell" if ions % 1 else "all-or-none", seed=300 + seed,
            shape=(24, 24), scan_step_nm=25.0, grains=grains,
        )  # fmt: skip
        truth = camera.simulate_scan(
            tmp_path / "s.blo", grown, scale_nominal=0.0175,
            scale_error=rng.uniform(-0.015, 0.015), ellipse_ratio=1 + rng.uniform(0, 0.03),
            ellipse_angle_deg=rng.uniform(0, 180), threads=2,
        )  # fmt: skip
        found = geometry.calibrate(
            files.open_scan(tmp_path / "s.blo"), name="s", crystals=crystals, templates=templates,
            scale_nominal=0.0175,
        )  # fmt: skip
        for axis in "yx":
            off = found[f"centre_{axis}"] - truth[f"centre_{axis}"]
            assert np.sqrt(np.mean(off**2)) < 0.05
        scale, ratio, _ = ellipse.shape_of(truth["affine"].values)
        assert float(found["scale"]) == pytest.approx(scale, rel=1e-3)
        assert float(found["ellipse_ratio"]) == pytest.approx(ratio, rel=1e-3)
        assert float(found["scale_stderr"]) < 5e-4 * scale
        pulls.append((float(found["scale"]) - scale) / float(found["scale_stderr"]))
    assert np.sqrt(np.mean(np.square(pulls))) < 2
    assert abs(np.mean(pulls)) < 1.5
