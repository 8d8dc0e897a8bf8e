"""Spots against patterns of known spots with Poisson noise, exact tails, and a genuine scan."""

import numpy as np
import pytest
from examples import example
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, optimize, special, stats

from phasefront.core.errors import InputError
from phasefront.core.threads import VARIABLE
from phasefront.diffraction.optics import distortion_errors
from phasefront.layouts.calibration import CALIBRATION
from phasefront.layouts.spots import SPOTS
from phasefront.scans import files
from phasefront.spots import detection, kernels, plain_numpy, vectors
from phasefront.spots.dark import measure_dark

DARK = (np.zeros(144, np.float32), np.zeros(144, np.float32), 0.0)  # of a camera that counts
CENTRE = (70.3, 73.8)


def halo(shape=(144, 144), *, flat=10.0, height=60.0, decay=18.0, beam=500.0, radius=5.0):
    """Expected counts of a direct beam with a diffuse halo on a flat background."""
    y, x = np.indices(shape)
    r = np.hypot(y - CENTRE[0] * shape[0] / 144, x - CENTRE[1] * shape[1] / 144)
    disk = special.expit((radius - r) / 0.5)
    return flat + height * np.exp(-r / decay) + beam * disk


def gaussian_spot(shape, x, y, sigma):
    """Share of a Gaussian spot that falls on each pixel."""

    def along(size, at):
        return np.diff(special.ndtr((np.arange(size + 1) - 0.5 - at) / sigma))

    return np.outer(along(shape[0], y), along(shape[1], x))


def disk_spot(shape, x, y, radius, fine=8):
    """Share of a uniform disk, slightly blurred, that falls on each pixel."""
    reach = int(radius) + 4
    y0, x0 = round(y) - reach, round(x) - reach
    steps = (np.arange((2 * reach + 1) * fine) + 0.5) / fine - 0.5
    inside = np.hypot(steps[:, None] + y0 - y, steps + x0 - x) < radius
    patch = ndimage.gaussian_filter(inside.astype(float), 0.5 * fine)
    patch = patch.reshape(2 * reach + 1, fine, 2 * reach + 1, fine).sum(axis=(1, 3))
    out = np.zeros(shape)
    out[y0 : y0 + 2 * reach + 1, x0 : x0 + 2 * reach + 1] = patch / patch.sum()
    return out


def scattered(rng, shape, number, *, margin, apart, free):
    """Places (x, y) away from the border, each other and the direct beam."""
    centre = np.array(CENTRE)[::-1] * shape[0] / 144
    places = []
    while len(places) < number:
        place = rng.uniform(margin, shape[0] - 1 - margin, 2)
        clear = all(np.hypot(*(place - other)) > apart for other in places)
        if clear and np.hypot(*(place - centre)) > free:
            places.append(place)
    return np.array(places)


def find(patterns, *, spot_radius, beam_radius, **keywords):
    centre = np.array(CENTRE) * patterns.shape[1] / 144
    return detection.find_pixel_spots(
        patterns, np.tile(centre, (len(patterns), 1)), spot_radius=spot_radius,
        beam_radius=beam_radius, **keywords,
    )  # fmt: skip


def recovered(rng, make_spot, *, flux, spot_radius, shape=(144, 144), patterns=16, number=12,
              saturate=None, beam_radius=None, **background):  # fmt: skip
    """Offsets, relative intensity errors over their sigma, recall, and false spots a pattern."""
    beam_radius = 6 + spot_radius if beam_radius is None else beam_radius
    base = halo(shape, **background)
    places, counts = [], []
    for _ in range(patterns):
        at = scattered(
            rng, shape, number, margin=10 + 2 * spot_radius, apart=5 * spot_radius,
            free=beam_radius + 2 * spot_radius + 4,
        )  # fmt: skip
        expected = base + sum(flux * make_spot(shape, x, y) for x, y in at)
        counts.append(rng.poisson(expected))
        places.append(at)
    counts = np.array(counts, dtype=np.uint16)
    if saturate:
        counts = np.minimum(counts, saturate).astype(np.uint8)
    found = find(counts, spot_radius=spot_radius, beam_radius=beam_radius)
    offsets, pulls, matched = [], [], 0
    for i, at in enumerate(places):
        part = slice(found.offset[i], found.offset[i + 1])
        here = np.stack([found.x[part], found.y[part]], axis=1)
        for place in at:
            distance = np.hypot(*(here - place).T) if len(here) else np.array([np.inf])
            k = distance.argmin()
            if distance[k] < spot_radius:
                matched += 1
                offsets.append(here[k] - place)
                pulls.append((found.intensity[part][k] - flux) / np.sqrt(found.variance[part][k]))
    false = (len(found.x) - matched) / patterns
    return np.array(offsets), np.array(pulls), matched / (patterns * number), false


@pytest.mark.parametrize(
    ("kind", "size", "flux", "shape"),
    [
        ("gaussian", 1.0, 600, (144, 144)),
        ("gaussian", 1.5, 900, (144, 144)),
        ("disk", 3.0, 2000, (144, 144)),
        ("disk", 6.0, 5000, (256, 256)),
        ("disk", 8.0, 8000, (512, 512)),
    ],
)
def test_positions_are_unbiased_and_intensities_have_honest_errors(kind, size, flux, shape):
    def make(shape, x, y):
        return (gaussian_spot if kind == "gaussian" else disk_spot)(shape, x, y, size)

    rng = np.random.default_rng(7)
    patterns = 16 if shape[0] == 144 else 6
    spot_radius = 2 * size if kind == "gaussian" else size
    offsets, pulls, recall, false = recovered(
        rng, make, flux=flux, spot_radius=spot_radius, shape=shape, patterns=patterns
    )
    assert recall > 0.99
    assert false < 0.5
    error = offsets.std(axis=0) / np.sqrt(len(offsets))
    assert np.all(np.abs(offsets.mean(axis=0)) < 0.02 + 3 * error)
    assert np.all(offsets.std(axis=0) < 0.2)
    # A Gaussian has 4 % outside the aperture.
    assert -1.6 < np.mean(pulls) < 0.5
    assert 0.7 < np.std(pulls) < 1.3


def test_position_has_no_bias_at_any_place_within_a_pixel():
    places = np.array([100, 40]) + np.random.default_rng(3).uniform(0, 1, (40, 2))
    base = halo()
    patterns = np.array([base + 5000 * gaussian_spot(base.shape, *at, 1.2) for at in places])
    found = find(patterns, spot_radius=2.4, beam_radius=9.0)
    off = np.array([nearest(found, number, *at) for number, at in enumerate(places)])
    assert np.abs(off).max() < 0.02


def nearest(found, number, x, y):
    part = slice(found.offset[number], found.offset[number + 1])
    here = np.stack([found.x[part] - x, found.y[part] - y])
    return here[:, np.hypot(*here).argmin()]


@pytest.mark.parametrize(
    "hidden",
    [[(0, 0)], [(0, 1)], [(1, 1)], [(2, 0)], [(-1, 0), (-1, 1)], [(-2, k) for k in range(-9, 10)]],
    ids=["peak", "beside", "corner", "flank", "two", "stop"],
)
def test_pixels_that_cannot_be_used_do_not_move_a_spot(hidden):
    """Dead pixels once pushed spots off by up to half a pixel, and the cell of a whole grain."""
    rng = np.random.default_rng(21)
    places = np.array([100, 40]) + rng.uniform(-0.5, 0.5, (40, 2))
    base = halo()
    patterns = np.array([base + 5000 * gaussian_spot(base.shape, *at, 1.3) for at in places])
    mask = np.ones(base.shape, bool)
    for row, column in hidden:
        mask[40 + row, 100 + column] = False
    patterns[:, ~mask] = 0
    found = find(patterns, spot_radius=2.6, beam_radius=9.0, mask=mask)
    off = np.array([nearest(found, number, *at) for number, at in enumerate(places)])
    assert np.abs(off).max() < 0.025
    assert np.abs(off.mean(axis=0)).max() < 0.015


def test_the_edge_of_the_camera_does_not_move_a_spot():
    rng = np.random.default_rng(22)
    places = np.stack([rng.uniform(1.5, 4.5, 40), rng.uniform(40, 41, 40)], axis=1)
    base = halo()
    patterns = np.array([base + 5000 * gaussian_spot(base.shape, *at, 1.3) for at in places])
    found = find(patterns, spot_radius=2.6, beam_radius=9.0)
    off = np.array([nearest(found, number, *at) for number, at in enumerate(places)])
    assert np.abs(off).max() < 0.025


@pytest.mark.parametrize(
    ("background", "gain", "read_noise", "blur"),
    [
        ({"flat": 20.0}, 1.0, 0.0, 0.0),
        ({"flat": 2.0, "height": 10.0}, 1.0, 0.0, 0.0),
        ({"flat": 0.3, "height": 1.0, "beam": 50.0}, 1.0, 0.0, 0.0),
        ({"flat": 0.03, "height": 0.1, "beam": 5.0}, 1.0, 0.0, 0.0),
        ({"flat": 20.0, "height": 50.0}, 5.0, 3.0, 1.0),
    ],
    ids=["many", "some", "few", "sparse", "camera"],
)
def test_noise_alone_makes_as_many_spots_as_stated(background, gain, read_noise, blur):
    rng = np.random.default_rng(11)
    patterns = gain * rng.poisson(np.broadcast_to(halo(**background), (150, 144, 144)))
    patterns = ndimage.gaussian_filter(patterns.astype(float), (0, blur, blur))
    patterns += rng.normal(0, read_noise, patterns.shape) + (100 if read_noise else 0)
    found = find(patterns, spot_radius=3.4, beam_radius=12.0, false_alarms=1.0)
    assert 0.5 < len(found.x) / len(patterns) < 1.6


def test_single_electrons_are_enough():
    rng = np.random.default_rng(5)
    _, pulls, recall, false = recovered(
        rng, lambda shape, x, y: gaussian_spot(shape, x, y, 1.5), flux=30, spot_radius=3.0,
        flat=0.02, height=0.3, beam=20.0, beam_radius=10.0,
    )  # fmt: skip
    assert recall > 0.97
    assert false < 0.4
    assert 0.7 < np.std(pulls) < 1.4


def test_spots_of_known_strength_are_found_as_often_as_theory_says():
    # A spot that stands 4 sigma over the threshold is found, one at the threshold half the time.
    rng = np.random.default_rng(9)
    threshold = detection.detection_threshold(144**2, spot_radius=3.0, false_alarms=0.1)
    flat = 40.0
    # Filter response of a spot of flux f: f / (4 pi s^2) / sqrt(flat / (4 pi s^2)).
    for excess, low, high in ((0.0, 0.3, 0.75), (4.0, 0.99, 1.0)):
        flux = (threshold + excess) * np.sqrt(flat * 4 * np.pi * 1.5**2)
        _, _, recall, _ = recovered(
            rng, lambda shape, x, y: gaussian_spot(shape, x, y, 1.5), flux=flux, spot_radius=3.0,
            flat=flat, height=0.0, patterns=24,
        )  # fmt: skip
        assert low <= recall <= high


def test_saturation_and_a_bright_neighbour_do_no_harm():
    rng = np.random.default_rng(1)
    offsets, _, recall, false = recovered(
        rng, lambda shape, x, y: gaussian_spot(shape, x, y, 1.6), flux=9000, spot_radius=3.2,
        saturate=255, beam=3000.0,
    )  # fmt: skip
    assert recall == 1.0
    assert false < 0.5
    assert np.abs(offsets.mean(axis=0)).max() < 0.02

    expected = halo(height=0.0)
    for x, y, flux in ((100, 40, 20000), (110, 40, 500)):
        expected = expected + flux * gaussian_spot(expected.shape, x, y, 1.5)
    found = find(rng.poisson(expected)[None], spot_radius=3.0, beam_radius=9.0)
    assert np.hypot(found.x - 110, found.y - 40).min() < 1.0


def test_nothing_is_found_on_the_edge_of_a_beam_stop_that_is_masked():
    rng = np.random.default_rng(2)
    expected = halo(beam=0.0)
    mask = np.ones(expected.shape, bool)
    mask[64:78, 60:] = False
    places = scattered(rng, expected.shape, 8, margin=16, apart=20, free=30)
    places = places[np.abs(places[:, 1] - 71) > 14]
    expected = expected + sum(800 * gaussian_spot(expected.shape, x, y, 1.5) for x, y in places)
    patterns = rng.poisson(np.broadcast_to(expected * np.where(mask, 1, 0.02), (20, 144, 144)))
    found = find(patterns, spot_radius=3.0, beam_radius=9.0, mask=mask)
    assert len(found.x) == pytest.approx(20 * len(places), abs=5)


def test_background_and_noise_agree_with_plain_numpy():
    rng = np.random.default_rng(5)
    expected = halo() + 500 * gaussian_spot((144, 144), 30, 40, 1.6)
    mask = np.ones(expected.shape, bool)
    mask[60:80, 100:] = False
    pattern = np.where(mask, rng.poisson(expected), 0).astype(np.float32)
    metrics = detection.ROUND, (1.05, 0.1, (1 + 0.1**2) / 1.05), detection.ROUND
    for spot_radius, metric in zip((2.0, 3.2, 7.0), metrics, strict=True):
        plan = detection.Plan(pattern.shape, spot_radius, mask, 0.1)
        rows = plan.room(1)
        kernels.load(pattern[None], plan.valid, *DARK, plan.reach, rows)
        background, variance, _, _, _, outside = kernels.background_and_noise(
            rows[0],
            *CENTRE,
            np.array(metric),
            0.0,
            plan.taps,
            plan.valid,
            plan.paired,
            plan.weight,
            9.0,
            spot_radius / 2,
        )
        plain = plain_numpy.background_and_noise(pattern, *CENTRE, metric, plan, 9.0)
        np.testing.assert_allclose(background[outside], plain[0][outside], rtol=1e-4)
        np.testing.assert_allclose(variance[outside], plain[1][outside], rtol=1e-3)


def test_position_is_the_maximum_of_the_filter_response():
    rng = np.random.default_rng(8)
    pattern = rng.poisson(halo() + 900 * gaussian_spot((144, 144), 100.3, 41.6, 1.7))
    y, x = np.indices(pattern.shape)
    sigma, level = 1.6, 15.0

    def response(at):
        weight = np.exp(-0.5 * ((y - at[0]) ** 2 + (x - at[1]) ** 2) / sigma**2)
        return -(weight * (pattern - level)).sum()

    best = optimize.minimize(response, [42, 100], method="Nelder-Mead", options={"xatol": 1e-4})
    plan = detection.Plan(pattern.shape, 2 * sigma, None, 0.1)
    rows, room = plan.room(1), kernels.patch_room(sigma)
    kernels.load(pattern[None].astype(np.float32), plan.valid, *DARK, plan.reach, rows)
    whole = kernels.fill_patch(
        rows[0], plan.valid, True, plan.reach, 42, 100, level, 0.0, 0.0, room
    )  # fmt: skip
    down, across, _ = kernels.locate(room, whole, sigma, kernels.filter_room(sigma))
    py, px = 42 + down, 100 + across
    # The kernel leaves out the filter's tails beyond three sigma.
    assert np.hypot(py - best.x[0], px - best.x[1]) < 0.05


@settings(max_examples=20, deadline=None)
@given(
    st.floats(0.003, 30.0),
    st.floats(0.5, 12.0).filter(lambda z: z > 0.5),
    st.floats(0.5, 4.0),
    st.sampled_from([0.0, 0.1, 1.0]),
)
def test_significance_is_the_saddlepoint_of_filtered_noise(electrons, ratio, gain, read_noise):
    # K(t) and the solution of K'(t) = H by quadrature and root finding, as in the docstring.
    area, sigma2 = 30.0, 30.0 / (4 * np.pi)
    peak = 2 / area
    variance = electrons + read_noise**2  # of a pixel, in squared electrons
    height = ratio * np.sqrt(variance / area)
    r = np.linspace(0, 9 * np.sqrt(sigma2), 4001)
    weight = peak * np.exp(-0.5 * r**2 / sigma2)

    def cumulant(t):
        single = np.trapezoid(electrons * np.expm1(t * weight) * 2 * np.pi * r, r)
        return single + 0.5 * read_noise**2 / area * t**2

    def slope(t):
        single = np.trapezoid(electrons * weight * np.exp(t * weight) * 2 * np.pi * r, r)
        return single + read_noise**2 / area * t

    target = electrons + height
    t = optimize.brentq(lambda t: slope(t) - target, 0, 60 / peak)
    expected = np.sqrt(2 * (t * target - cumulant(t)))
    single = (gain, (gain * read_noise) ** 2, 0.0)
    found = kernels.significance_of(gain * height, gain**2 * variance / area, single, area)
    assert found == pytest.approx(expected, rel=2e-3, abs=2e-3)


def test_threshold_follows_the_tail_of_a_gaussian_field():
    # Far out the expected number of maxima is the integral of the Euler characteristic density.
    for rate in (0.01, 0.1, 1.0):
        u = detection.detection_threshold(20736, spot_radius=3.0, false_alarms=rate)
        number = 20736 / (2 * 1.5**2) * (2 * np.pi) ** -1.5 * u * np.exp(-(u**2) / 2)
        assert number == pytest.approx(rate, rel=1e-6)
    assert stats.norm.sf(u) < 1e-3
    with pytest.raises(ValueError, match="false_alarms"):
        detection.detection_threshold(1000, spot_radius=3.0, false_alarms=0.0)


def calibration_of(shape, *, camera=(144, 144), scale=0.01, outward=0.0):
    y, x = np.indices(shape)
    affine = scale * np.array([[1.01, 0.002], [0.002, 0.99]])
    return example(
        CALIBRATION, centre_y=CENTRE[0] + 0.1 * y, centre_x=CENTRE[1] - 0.2 * x, affine=affine,
        affine_stderr=0.0, scale=scale, scale_stderr=0.0, probe_radius=5.0, spot_radius=3.0,
        beam_radius=9.0, ky=camera[0], kx=camera[1], outward_shift=outward, scan="v",
        dark_rows=0.0, dark_columns=0.0, dark_reach=0.0, electron=0.0, afterglow=0.0,
    )  # fmt: skip


def test_spots_are_as_sure_of_scale_and_ellipse_as_their_calibration():
    rng = np.random.default_rng(0)
    scale, errors = 0.01, (4e-4, 2e-4, 3e-4)  # of scale, stretch and shear, relative
    drawn = errors * rng.normal(size=(200_000, 3))
    xx, yy = 1 + drawn[:, 0] + drawn[:, 1], 1 + drawn[:, 0] - drawn[:, 1]
    calibration = calibration_of((1, 1), scale=scale).assign(scale_stderr=scale * errors[0])
    calibration["affine_stderr"].values[:] = scale * np.array(
        [[xx.std(), errors[2]], [errors[2], yy.std()]]
    )
    spots = vectors.find_spots([(slice(0, 1), np.zeros((1, 1, 144, 144)))], calibration)
    SPOTS.check(spots, "test")
    np.testing.assert_allclose(distortion_errors(spots), errors, rtol=0.02)


def test_a_calibration_that_is_not_sure_of_anything_is_refused():
    calibration = calibration_of((1, 1)).assign(scale_stderr=np.nan)
    with pytest.raises(InputError, match=r"v: scale_stderr: .* no standard errors .* again"):
        vectors.find_spots([(slice(0, 1), np.zeros((1, 1, 144, 144)))], calibration, scan="v")


def small_scan(rng, shape):
    """Patterns with three spots at fixed spatial frequencies whatever the centre."""
    calibration = calibration_of(shape)
    q = np.array([[0.3, 0.2], [-0.35, 0.1], [0.05, -0.45]])
    step = np.linalg.solve(calibration["affine"].values, q.T).T
    scan = np.empty((*shape, 144, 144), np.uint16)
    for i, j in np.ndindex(shape):
        expected = np.full((144, 144), 10.0)
        for dx, dy in step:
            x = float(calibration["centre_x"][i, j]) + dx
            y = float(calibration["centre_y"][i, j]) + dy
            expected += 3000 * gaussian_spot(expected.shape, x, y, 1.5)
        scan[i, j] = rng.poisson(expected)
    return scan, calibration, q


def test_the_outward_shift_of_the_calibration_is_taken_off():
    scan, calibration, _ = small_scan(np.random.default_rng(0), (1, 2))
    blocks = [(slice(0, 1), scan)]
    plain = vectors.find_spots(blocks, calibration)
    moved = vectors.find_spots(blocks, calibration_of((1, 2), outward=0.8))
    affine = calibration["affine"].values
    before, after = (
        np.linalg.solve(affine, np.stack([found["qx"], found["qy"]])) for found in (plain, moved)
    )
    radius = np.linalg.norm(before, axis=0)
    np.testing.assert_allclose(radius - np.linalg.norm(after, axis=0), 0.8 / radius, rtol=1e-3)


def test_a_scan_gives_spatial_frequencies_whatever_its_blocks_and_threads(monkeypatch):
    scan, calibration, q = small_scan(np.random.default_rng(0), (4, 3))
    whole = vectors.find_spots([(slice(0, 4), scan)], calibration, scan="v", scan_step_nm=5.0)
    SPOTS.check(whole, "test")
    counts = whole["count"].values
    assert counts.sum() == whole.sizes["spot"] == whole["offset"][-1]
    measured = np.stack([whole["qx"], whole["qy"]], axis=1)
    strong = whole["intensity"].values > 1000
    assert strong.sum() == 36
    distance = np.linalg.norm(measured[strong][:, None] - q, axis=2).min(axis=1)
    assert distance.max() < 0.002

    rows = [(slice(i, i + 1), scan[i : i + 1]) for i in range(4)]
    monkeypatch.setenv(VARIABLE, "1")
    alone = vectors.find_spots(rows, calibration, scan="v", scan_step_nm=5.0)
    assert alone.identical(whole)

    near = vectors.find_spots(rows, calibration, max_radius=0.4)
    assert np.hypot(near["qx"], near["qy"]).max() <= 0.4


def test_patterns_that_do_not_fit_or_are_not_finite_are_refused():
    scan, calibration, _ = small_scan(np.random.default_rng(0), (2, 2))
    broken = scan.astype(np.float32)
    broken[1, 0, 3, 4] = np.nan
    with pytest.raises(InputError, match="v: position y=1, x=0: 1 values are NaN"):
        vectors.find_spots([(slice(0, 2), broken)], calibration, scan="v")
    with pytest.raises(InputError, match="do not fit"):
        vectors.find_spots([(slice(0, 2), scan[:, :, :100])], calibration, scan="v")


def test_the_type_of_the_counts_does_not_matter():
    rng = np.random.default_rng(4)
    expected = halo(height=10.0, beam=50.0) + 500 * gaussian_spot((144, 144), 30, 40, 1.5)
    counts = np.minimum(rng.poisson(expected), 255).astype(np.uint8)[None]
    plain = find(counts, spot_radius=3.0, beam_radius=9.0)
    for dtype in (np.uint16, np.float32, ">u2", np.int64):
        found = find(counts.astype(dtype), spot_radius=3.0, beam_radius=9.0)
        np.testing.assert_array_equal([found.x, found.y], [plain.x, plain.y])
        np.testing.assert_array_equal(found.intensity, plain.intensity)


@pytest.mark.parametrize("unit", [1e36, 1e39])
def test_counts_whose_squares_are_no_numbers_come_to_an_end(unit):
    counts = unit * np.random.default_rng(1).poisson(3, (1, 144, 144))
    with np.errstate(all="ignore"):
        assert len(find(counts, spot_radius=2.7, beam_radius=6.0).x) == 0


def test_patterns_without_anything_have_no_spots():
    empty = np.zeros((2, 144, 144), np.uint8)
    assert len(find(empty, spot_radius=3.0, beam_radius=9.0).x) == 0
    constant = np.full((2, 144, 144), 7, np.uint8)
    assert len(find(constant, spot_radius=3.0, beam_radius=9.0).x) == 0


def test_the_visible_spots_of_a_genuine_scan_are_found_in_all_its_patterns(shared_data):
    scan = files.open_scan(shared_data("scans/astar_3x2.blo"))
    patterns = scan.read_rows(0, 3).reshape(-1, 144, 144)
    found = detection.find_pixel_spots(
        patterns, np.tile([72.1, 73.3], (6, 1)), spot_radius=3.3, beam_radius=10.8
    )
    # Read off the screen by eye, to a pixel or two.
    visible = [
        (58.7, 38.8), (42.4, 66.4), (105.0, 78.1), (37.0, 86.1), (100.7, 98.0), (32.7, 105.9),
        (96.2, 118.2), (77.5, 52.5), (68.8, 92.2), (90.0, 44.2), (121.0, 50.5), (23.3, 52.4),
        (27.8, 33.1), (132.7, 103.6), (75.2, 12.7), (64.4, 112.4), (54.0, 58.4), (56.4, 100.5),
    ]  # fmt: skip
    for i in range(6):
        x, y = (v[found.offset[i] : found.offset[i + 1]] for v in (found.x, found.y))
        assert 20 <= len(x) <= 40
        for at in visible:
            assert np.hypot(x - at[0], y - at[1]).min() < 2.5
    # What is no noise is there again: nearly all spots recur in another pattern of the grain.
    recurring = [
        any(
            np.hypot(
                found.x[k] - found.x[found.offset[j] : found.offset[j + 1]],
                found.y[k] - found.y[found.offset[j] : found.offset[j + 1]],
            ).min() < 2.5
            for j in range(6) if j != i
        )
        for i in range(6)
        for k in range(found.offset[i], found.offset[i + 1])
    ]  # fmt: skip
    assert np.mean(recurring) > 0.95


# ------------------------------------------------------------------------- cameras as they store


def stored(rng, electrons, *, gain, offset=0.0, grey=1.0, full=255.0, read=0.0, gamma=1.0):
    """What a camera stores of expected electrons: gain, read noise, offset, gamma, grey steps."""
    counts = gain * rng.poisson(electrons) + rng.normal(0, read, electrons.shape) + offset
    counts = full * (np.clip(counts, 0, full) / full) ** gamma
    return np.clip(np.rint(counts / grey) * grey, 0, full).astype(np.float32)


@pytest.mark.parametrize(
    ("electrons", "camera"),
    [
        (20, {"gain": 1, "grey": 8, "offset": 7}),
        (20, {"gain": 1, "grey": 32}),
        (20, {"gain": 1, "grey": 32, "offset": 7}),
        (2e3, {"gain": 0.02, "grey": 1, "offset": 5}),
        (2e5, {"gain": 2e-4, "grey": 1, "offset": 5}),
        (2e6, {"gain": 2e-5, "grey": 1, "offset": 5.3}),
        (2e4, {"gain": 2e-3, "grey": 1, "offset": 5.3, "gamma": 0.567}),
        (5, {"gain": 40, "grey": 40}),
        (0.5, {"gain": 40, "grey": 8, "full": 65535, "read": 2}),
        (0.05, {"gain": 40, "grey": 1, "full": 65535, "read": 2, "offset": 100}),
        (60, {"gain": 1, "grey": 1, "full": 130}),
    ],
    ids=lambda value: (
        "-".join(f"{k}{v:g}" for k, v in value.items()) if type(value) is dict else ""
    ),
)
def test_noise_of_any_camera_makes_no_more_spots_than_stated(electrons, camera):
    rng = np.random.default_rng(61)
    background = halo(flat=electrons, height=2.5 * electrons, beam=50 * electrons)
    patterns = stored(rng, np.broadcast_to(background, (40, 144, 144)), **camera)
    found = find(patterns, spot_radius=3.4, beam_radius=12.0)
    assert len(found.x) <= stats.poisson.ppf(0.999, 1.5 * 0.1 * len(patterns))


@pytest.mark.parametrize("electrons", [0.003, 0.03, 0.1, 0.3, 3.0])
@pytest.mark.parametrize("spot_radius", [2.2, 4.0])
def test_electrons_that_differ_over_read_noise_make_no_spots(electrons, spot_radius):
    # Three times the read noise each, with a standard deviation of 0.63 of themselves.
    rng = np.random.default_rng(64)
    number = rng.poisson(electrons, (60, 144, 144))
    patterns = 12 * rng.gamma(np.maximum(number / 0.4, 1e-9), 0.4) * (number > 0)
    patterns = np.rint(patterns + rng.normal(60, 4, patterns.shape))
    found = find(patterns.astype(np.uint16), spot_radius=spot_radius, beam_radius=8.0)
    assert len(found.x) <= stats.poisson.ppf(0.999, 3 * 0.1 * len(patterns))


@pytest.mark.parametrize(
    ("electrons", "flux", "camera"),
    [
        (20, 1500, {"gain": 1, "grey": 16, "offset": 7}),
        (2e4, 3e5, {"gain": 2e-3, "grey": 1, "offset": 5.3, "gamma": 0.567}),
        (2e6, 3e7, {"gain": 2e-5, "grey": 1, "offset": 5.3}),
        (0.05, 60, {"gain": 40, "grey": 1, "full": 65535, "read": 2, "offset": 100}),
    ],
)
def test_spots_are_found_between_grey_steps(electrons, flux, camera):
    rng = np.random.default_rng(62)
    places = scattered(rng, (144, 144), 10, margin=16, apart=17, free=24)
    expected = halo(flat=electrons, height=electrons, beam=50 * electrons)
    expected = expected + sum(flux * gaussian_spot(expected.shape, x, y, 1.7) for x, y in places)
    patterns = stored(rng, np.broadcast_to(expected, (6, 144, 144)), **camera)
    found = find(patterns, spot_radius=3.4, beam_radius=12.0)
    for x, y in places:
        assert np.sum(np.hypot(found.x - x, found.y - y) < 1.0) == 6
    assert len(found.x) <= 6 * 10 + 3


def analog(rng, expected, *, read, spread=0.0, blur=0.0, level=0.0):
    """What a camera shows that does not count: a unit for each electron, or so, blurred."""
    number = rng.poisson(expected)
    counts = np.where(
        number > 0, rng.gamma(np.maximum(number / max(spread, 1e-3), 1e-9), max(spread, 1e-3)), 0
    )
    return ndimage.gaussian_filter(counts, (0, blur, blur)) + rng.normal(
        level, read, expected.shape
    )


@settings(max_examples=15, deadline=None)
@given(
    st.floats(2e-3, 0.03),
    st.sampled_from([(0.01, 0, 0.6), (0.02, 0, 0.5), (0.02, 0.05, 0), (0.06, 0, 0)]),
    st.floats(1.5, 4.5), st.floats(-50, 1e4),
)  # fmt: skip
def test_single_electrons_of_a_camera_that_does_not_count_are_no_spots(
    electrons, camera, spot_radius, level
):
    rng = np.random.default_rng(65)
    read, spread, blur = camera
    expected = np.broadcast_to(electrons, (64, 144, 144))
    patterns = analog(rng, expected, read=read, spread=spread, blur=blur, level=level)
    usable = np.ones((144, 144), bool)
    dark = measure_dark(patterns, patterns.mean(axis=0), usable)
    assert abs(np.median(dark.rows) - level) < read
    assert 3.5 * read < dark.reach < 8 * read
    assert 0.8 < dark.electron < 1.2
    found = find(patterns, spot_radius=spot_radius, beam_radius=8.0, dark=dark, false_alarms=0.2)
    assert len(found.x) <= stats.poisson.ppf(0.999, 2 * 0.2 * len(patterns))


def test_spots_are_found_among_the_single_electrons_of_a_camera_that_does_not_count():
    rng = np.random.default_rng(66)
    places = scattered(rng, (144, 144), 12, margin=16, apart=17, free=24)
    expected = halo(flat=0.01, height=0.3, beam=50.0)
    expected = expected + sum(20 * gaussian_spot(expected.shape, x, y, 1.2) for x, y in places)
    patterns = analog(
        rng, np.broadcast_to(expected, (64, 144, 144)), read=0.02, blur=0.5, level=3.0
    )
    away = np.hypot(*(np.indices((144, 144)) - np.reshape(CENTRE, (2, 1, 1)))) > 15
    dark = measure_dark(patterns, patterns.mean(axis=0), away)
    assert dark.reach > 0
    found = find(patterns, spot_radius=2.6, beam_radius=10.0, dark=dark)
    hit = sum(np.sum(np.hypot(found.x - x, found.y - y) < 1.5) for x, y in places)
    assert hit > 0.98 * 12 * 64
    assert len(found.x) - hit < 0.4 * 64


@pytest.mark.parametrize("width", [0.3, 0.6, 1.2])
@pytest.mark.parametrize(("electrons", "read"), [(0.0, 1.0), (3.0, 0.0), (30.0, 3.0)])
@pytest.mark.parametrize("strength", [2.0, 20.0, 200.0])
def test_spots_are_not_taken_for_single_electrons(width, electrons, read, strength):
    rng = np.random.default_rng(67)
    shape = (96, 96)
    noise = np.sqrt(electrons + read**2)
    expected = np.full((64, *shape), electrons)
    for pattern in expected:
        for x, y in rng.uniform(4, 91, (30, 2)):
            pattern += strength * noise * rng.exponential() * gaussian_spot(shape, x, y, width)
    patterns = rng.poisson(expected) + rng.normal(0, read, expected.shape)
    assert measure_dark(patterns, patterns.mean(axis=0), np.ones(shape, bool)).reach == 0


def test_rows_and_columns_that_stand_off_make_no_spots():
    rng = np.random.default_rng(68)
    expected = np.broadcast_to(halo(flat=1.0, height=4.0, beam=100.0), (120, 144, 144))
    patterns = rng.poisson(expected) + rng.normal(40, 1.5, expected.shape)
    rows, columns = np.zeros((2, 144))
    rows[[20, 21, 90]] = 1.5, 2.0, -3.0
    columns[[33, 34, 110, 111]] = 2.0, 2.0, 1.5, 2.0
    patterns += rows[:, None] + columns
    away = np.hypot(*(np.indices((144, 144)) - np.reshape(CENTRE, (2, 1, 1)))) > 15
    dark = measure_dark(patterns, patterns.mean(axis=0), away)
    assert np.abs(dark.rows - rows).max() < 0.1
    assert np.abs(dark.columns - columns).max() < 0.1
    assert np.count_nonzero(dark.rows) + np.count_nonzero(dark.columns) == 7
    plain, corrected = (
        find(patterns, spot_radius=3.0, beam_radius=10.0, dark=one) for one in (None, dark)
    )
    assert len(plain.x) > 100
    assert len(corrected.x) <= stats.poisson.ppf(0.999, 1.5 * 0.1 * len(patterns))


def test_a_liquids_ring_is_background():
    rng = np.random.default_rng(63)
    y, x = np.indices((144, 144))
    radius = np.hypot(y - CENTRE[0], x - CENTRE[1])
    for width in (4.0, 7.0):
        ring = 2000 * np.exp(-0.5 * ((radius - 20) / width) ** 2)
        patterns = rng.poisson(np.broadcast_to(halo(flat=100.0) + ring, (30, 144, 144)))
        found = find(patterns.astype(np.uint16), spot_radius=3.0, beam_radius=9.0)
        assert len(found.x) <= stats.poisson.ppf(0.999, 1.5 * 0.1 * len(patterns))


@pytest.mark.parametrize("angle_deg", [0, 30, 100])
def test_a_ring_on_a_camera_that_shows_ellipses_is_background(angle_deg):
    rng = np.random.default_rng(64)
    turn = np.deg2rad(angle_deg)
    axis = np.array([np.sin(turn), np.cos(turn)])  # long axis, as row and column
    along = np.outer(axis, axis)
    inverse = along / 1.04 + 1.04 * (np.eye(2) - along)  # of a camera 8 % out of round
    metric = inverse @ inverse
    away = np.indices((144, 144)) - np.reshape(CENTRE, (2, 1, 1))
    radius = np.sqrt(np.einsum("iyx,ij,jyx->yx", away, metric, away))
    ring = 3000 * np.exp(-0.5 * ((radius - 35) / 6) ** 2)
    patterns = rng.poisson(np.broadcast_to(100.0 + ring, (30, 144, 144))).astype(np.uint16)
    metrics = detection.ROUND, (metric[0, 0], metric[0, 1], metric[1, 1])
    round_rings, ellipses = (
        find(patterns, spot_radius=3.0, beam_radius=9.0, metric=one) for one in metrics
    )
    assert len(round_rings.x) > 60
    assert len(ellipses.x) <= stats.poisson.ppf(0.999, 1.5 * 0.1 * len(patterns))
