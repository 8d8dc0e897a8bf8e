"""Likelihood, refinement and common distortion against plain formulas and known truth."""

import numpy as np
import pytest
from examples import example_spots
from projects import ROOT
from scipy.spatial.transform import Rotation

from phasefront.diffraction import (
    excitation,
    likelihood,
    likelihood_kernels,
    optics,
    reflections,
    spot_lists,
)
from phasefront.diffraction.crystals import read_crystal
from phasefront.diffraction.likelihood import refine
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import reflection_table
from phasefront.diffraction.spot_lists import Spots
from phasefront.phases.distortion import common_distortion

# diffsims' sources hold such sequences; Python says so when it first compiles them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")

MICROSCOPE = Optics(200.0, 0.8, (0.1, 1.1), scale_sigma=0.003)
CRYSTAL = read_crystal(ROOT / "config" / "structures" / "Na3V2PO42F3.cif")
TABLE = reflection_table([CRYSTAL], max_radius=1.1)


def quaternion(rotation):
    return rotation.as_quat(canonical=True, scalar_first=True)


def drawn_spots(rotation, number=25, *, seed=0, sigma=0.0, distortion=None):
    """The strongest spots that the crystal shows."""
    qx, qy, _, weight = reflections.predict_spots(CRYSTAL, quaternion(rotation), MICROSCOPE)
    strongest = np.argsort(-weight)[:number]
    q = np.stack([qx, qy])[:, strongest]
    if distortion is not None:
        q = distortion @ q
    q += sigma * np.random.default_rng(seed).standard_normal(q.shape)
    return Spots(np.array([0, q.shape[1]]), *q, 1e4 * weight[strongest])


def refined(spots, starts, **settings):
    number = len(starts)
    zeros = np.zeros(number, dtype=int)
    return refine(spots, zeros, zeros, quaternion(starts), TABLE, MICROSCOPE, **settings)


def test_wavelength_is_that_of_diffsims():
    from diffsims.utils.sim_utils import get_electron_wavelength

    for voltage_kv in (80, 200, 300):
        theirs = get_electron_wavelength(voltage_kv)
        assert optics.electron_wavelength(voltage_kv) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("precession_deg", [0.0, 0.8])
def test_visibility_is_that_of_diffsims_and_its_slope_the_derivative(precession_deg):
    from diffsims.utils.shape_factor_models import lorentzian_precession

    terms = Optics(200.0, precession_deg, (0.1, 1.1)).terms()
    error = np.linspace(-0.03, 0.03, 31)
    for length in (0.2, 0.6, 1.1):

        def visible(at, length=length):
            """Visibility, and the slope of its logarithm, at each excitation error."""
            return np.array([likelihood_kernels.visibility_of(e, length, terms) for e in at]).T

        ours, slope = visible(error)
        theirs = lorentzian_precession(
            error, excitation.REFINED.width, length, np.deg2rad(precession_deg)
        )
        np.testing.assert_allclose(ours / ours.max(), theirs / theirs.max(), rtol=1e-9)
        (up, _), (down, _) = visible(error + 1e-7), visible(error - 1e-7)
        np.testing.assert_allclose(slope, np.log(up / down) / 2e-7, rtol=1e-4, atol=1e-3)


def test_likelihood_is_the_mixture_in_plain_numpy():
    rotation = Rotation.random(random_state=3)
    spots = drawn_spots(rotation, sigma=0.003)
    off = rotation * Rotation.from_rotvec([0.004, -0.003, 0.002])
    qx, qy, _, weight = reflections.predict_spots(CRYSTAL, quaternion(off), MICROSCOPE)
    sigma, stray = MICROSCOPE.position_sigma, MICROSCOPE.stray_share
    squares = (spots.qx[:, None] - qx) ** 2 + (spots.qy[:, None] - qy) ** 2
    near = np.exp(-squares / (2 * sigma**2)) @ (weight / weight.sum()) / (2 * np.pi * sigma**2)
    area = np.pi * (MICROSCOPE.window[1] ** 2 - MICROSCOPE.window[0] ** 2)
    expected = np.log(stray / area + (1 - stray) * near).sum()
    value, _, _ = expansion(spots, off, np.zeros(3))
    # predict_spots leaves out the faintest, a few per cent of all weight.
    assert value == pytest.approx(expected, abs=1.5)


def expansion(spots, rotation, nuisance):
    terms = MICROSCOPE.terms()
    matrix = rotation.as_matrix()
    every = (0, TABLE.rows.shape[1])
    shown = likelihood_kernels.reflections_shown(matrix, TABLE.rows, every, terms, 0.05)
    pairs = likelihood_kernels.near_pairs(
        spots.qx, spots.qy, likelihood_kernels.places_of(matrix, nuisance, shown), 0.05
    )
    weight, densities = np.ones(len(spots.qx)), np.empty(len(pairs[0]))
    work = np.empty((likelihood_kernels.ROWS, shown.shape[1]))
    gradient, information = np.empty(6), np.empty((6, 6))
    value = likelihood_kernels.expanded(
        spots.qx, spots.qy, weight, matrix, nuisance, shown, pairs, terms, 0.005, work, densities,
        gradient,
    )  # fmt: skip
    likelihood_kernels.inform(nuisance, pairs, terms, 0.005, work, densities, information)
    return value, gradient, information


def test_reflections_shown_are_those_near_the_ewald_sphere():
    terms, reach = MICROSCOPE.terms(), 0.03
    half = TABLE.rows.shape[1] // 2
    np.testing.assert_array_equal(TABLE.g[:, half:], -TABLE.g[:, :half])
    for seed in range(5):
        matrix = Rotation.random(random_state=seed).as_matrix()
        length = TABLE.rows[likelihood_kernels.LENGTH]
        error = np.abs(0.5 * terms.wavelength * length**2 - matrix[:, 2] @ TABLE.g)
        expected = TABLE.rows[:, error < 0.02 + length * (reach + terms.precession)]
        shown = likelihood_kernels.reflections_shown(
            matrix, TABLE.rows, (0, 2 * half), terms, reach
        )
        np.testing.assert_array_equal(
            shown[:, np.lexsort(shown)], expected[:, np.lexsort(expected)]
        )


def test_promised_reflections_are_those_of_plain_numpy():
    turns = Rotation.random(4, rng=5)
    centre = np.array([0.003, -0.002])
    crystals = likelihood.Refined(
        quaternion(turns), np.ones(4), np.tile(centre, (4, 1)), *np.zeros((4, 4))
    )
    phase = np.zeros(4, dtype=int)
    every = likelihood.promised_reflections(phase, crystals, TABLE, MICROSCOPE)
    for crystal in range(4):
        own = every.crystal == crystal
        qx, qy, _, weight = reflections.predict_spots(
            CRYSTAL, quaternion(turns[crystal]), MICROSCOPE
        )
        gap = np.linalg.norm(every.q[own][:, None] - np.stack([qx, qy], axis=1) - centre, axis=2)
        # Plain NumPy counts what is far from the Ewald sphere, too; the centre moves the window.
        strong = (weight > 0.01) & (abs(np.hypot(qx, qy) - 0.6) < 0.49)
        assert strong.sum() >= 10
        assert gap.min(axis=0)[strong].max() < 1e-12
        share = every.share[own][gap.argmin(axis=0)][strong]
        np.testing.assert_allclose(share / share.sum(), weight[strong] / weight[strong].sum())
        assert every.share[own].sum() == pytest.approx(1)
    kept = every.share > 0.01
    faintless = likelihood.promised_reflections(phase, crystals, TABLE, MICROSCOPE, faint=0.01)
    for name, values in vars(faintless).items():
        np.testing.assert_array_equal(values, getattr(every, name)[kept])


def test_gradient_is_the_derivative_of_the_likelihood():
    rotation = Rotation.random(random_state=5)
    spots = drawn_spots(rotation, sigma=0.003)
    off = rotation * Rotation.from_rotvec([0.004, -0.003, 0.002])
    nuisance = np.array([0.001, 0.0005, -0.0004])
    _, gradient, information = expansion(spots, off, nuisance)
    step = 1e-6
    for parameter in range(6):
        values = []
        for sign in (1, -1):
            change = np.zeros(6)
            change[parameter] = sign * step
            turned = np.empty((3, 3))
            likelihood_kernels.turn_by(off.as_matrix(), change, turned)
            value, _, _ = expansion(spots, Rotation.from_matrix(turned), nuisance + change[3:])
            values.append(value)
        slope = (values[0] - values[1]) / (2 * step)
        # The bend of the Ewald sphere under a turn is left out: far below the visibility's slope.
        assert gradient[parameter] == pytest.approx(slope, rel=2e-2, abs=1.0)
    np.testing.assert_allclose(information, information.T)
    assert (np.linalg.eigvalsh(information) > 0).all()


def test_information_learns_the_curvature_of_a_parabola():
    rng = np.random.default_rng(2)
    root = rng.normal(size=(6, 6))
    bend, information = root @ root.T + np.eye(6), np.eye(6)
    for step in np.linalg.eigh(bend)[1].T:
        gradient = rng.normal(size=6)
        likelihood_kernels.learn(information, gradient, gradient - bend @ step, step, np.empty(6))
        np.testing.assert_allclose(information @ step, bend @ step)
    np.testing.assert_allclose(information, bend)
    before = information.copy()
    likelihood_kernels.learn(information, gradient, gradient + step, step, np.empty(6))
    np.testing.assert_array_equal(information, before)  # no maximum that way: nothing is learnt


def test_refinement_finds_the_orientation_again():
    rng = np.random.default_rng(1)
    errors = []
    for seed in range(20):
        rotation = Rotation.random(random_state=seed)
        start = rotation * Rotation.from_rotvec(rng.normal(0, 0.012, 3))
        found = refined(
            drawn_spots(rotation, sigma=0.0015, seed=seed),
            Rotation.concatenate([start]),
            scored=True,
        )
        back = Rotation.from_quat(found.rotation[0], scalar_first=True)
        errors.append(np.degrees((back.inv() * rotation).magnitude()))
        assert found.indexed[0] >= 24
        assert found.residual[0] < 0.004
        assert 0.7 < found.score[0] <= 1
    assert np.median(errors) < 0.15


def test_scale_and_centre_move_within_their_errors():
    rotation = Rotation.random(random_state=2)
    spots = drawn_spots(rotation)
    moved = spots._replace(qx=1.002 * spots.qx + 0.0006, qy=1.002 * spots.qy)
    found = refined(moved, Rotation.concatenate([rotation]))
    assert found.scale_factor[0] == pytest.approx(1.002, abs=6e-4)
    # 25 spots of 0.005 know the centre as well as its prior of 0.001 does: halfway.
    assert 0.0002 < found.centre[0, 0] < 0.0005
    assert abs(found.centre[0, 1]) < 1e-4


NONE = np.eye(2)
TRUTH = np.array([[1.004, 0.002], [0.002, 0.997]])


@pytest.fixture(scope="module")
def distorted():
    """Spots of many patterns under one distortion, and a function that finds it."""
    rotations = Rotation.random(40, random_state=7)
    patterns = [
        drawn_spots(rotation, sigma=0.001, seed=seed, distortion=TRUTH)
        for seed, rotation in enumerate(rotations)
    ]
    offset = np.cumsum([0] + [len(pattern.qx) for pattern in patterns])
    spots = Spots(
        offset, *(np.concatenate(values) for values in list(zip(*patterns, strict=True))[1:])
    )
    position, phase = np.arange(40), np.zeros(40, dtype=int)
    found = refine(spots, position, phase, quaternion(rotations), TABLE, MICROSCOPE, coarse=False)

    def of(errors, removed=NONE):
        information, right = likelihood.distortion_equations(
            spots.undistorted(removed), position, phase, found, np.ones(40), TABLE, MICROSCOPE
        )
        whole, covariance = common_distortion(
            information, right, position, removed, np.array(errors)
        )
        return whole, np.sqrt(covariance[0, 0])

    return of


def test_common_distortion_is_found_from_many_patterns(distorted):
    distortion, scale_stderr = distorted([0.01, 0.01, 0.01])
    np.testing.assert_allclose(distortion, TRUTH, atol=2e-4)
    # Between the 1e-3 1/angstrom that spots are off, over the frequencies of all, and the 5e-3 that
    # are expected of them.
    assert 2e-5 < scale_stderr < 1e-3


def test_a_distortion_is_as_far_from_none_as_its_errors_allow(distorted):
    distortion, scale_stderr = distorted([0.0, 0.0, 0.01])
    assert scale_stderr == 0
    np.testing.assert_allclose(np.diag(distortion), 1.0, atol=1e-12)
    assert distortion[0, 1] == pytest.approx(0.002, abs=2e-4)
    # What is too much in spots that were freed of it already is taken back.
    removed = np.array([[1.002, 0.0], [0.0, 1.001]])
    distortion, _ = distorted([0.0, 0.0, 0.01], removed)
    np.testing.assert_allclose(np.diag(distortion @ removed), 1.0, atol=1e-5)


@pytest.mark.parametrize("error", [1e-4, 3e-4, 1e-2])
def test_it_does_not_matter_how_much_of_a_distortion_was_removed_before(distorted, error):
    whole, scale_stderr = distorted([error] * 3)
    for share in (0.3, 0.6, 1.0):
        removed = np.eye(2) + share * (whole - np.eye(2))
        rest, same = distorted([error] * 3, removed)
        np.testing.assert_allclose(rest @ removed, whole, atol=1e-5)
        assert same == pytest.approx(scale_stderr, rel=0.02)
    # The tighter, the less of it is believed.
    assert 0 < whole[0, 1] < 0.0022


def test_quaternion_and_matrix_are_inverse():
    for quaternion_ in quaternion(Rotation.random(50, random_state=0)):
        matrix = likelihood_kernels.matrix_of(quaternion_)
        expected = Rotation.from_quat(quaternion_, scalar_first=True).as_matrix()
        np.testing.assert_allclose(matrix, expected, atol=1e-12)
        np.testing.assert_allclose(
            likelihood_kernels.quaternion_of(matrix), quaternion_, atol=1e-12
        )
    for axis in np.eye(3):
        turn = quaternion(Rotation.from_rotvec(np.pi * axis))
        back = likelihood_kernels.quaternion_of(likelihood_kernels.matrix_of(turn))
        assert abs(back @ turn) == pytest.approx(1)


def test_window_of_a_scan_without_spots():
    spots = example_spots(np.zeros((1, 1)), [], [])
    assert spot_lists.observed_window(spots) == (0.0, 1.0)


def test_candidates_that_index_too_few_spots_are_given_up():
    truth = Rotation.random(random_state=2)
    spots = drawn_spots(truth, number=12, sigma=0.001, seed=2)
    starts = Rotation.concatenate([truth, Rotation.random(300, random_state=3)])
    whole, short = refined(spots, starts), refined(spots, starts, least=7)
    given_up = np.isnan(short.log_likelihood)
    assert 30 < given_up.sum() < 300
    assert (whole.indexed[given_up] < 7).all()
    assert (short.indexed[given_up] == 0).all()
    for name, values in vars(short.taken(~given_up)).items():
        np.testing.assert_array_equal(values, getattr(whole, name)[~given_up])
