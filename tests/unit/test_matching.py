"""Matching by harmonics against plain Fourier sums, diffsims and orix."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinematic import CRYSTALS, OPTICS, diffsims_patterns, octant_rotations, spots_of
from scipy.spatial.transform import Rotation

from phasefront.core.errors import InputError
from phasefront.diffraction import correlation, matching, matching_kernels, template_library
from phasefront.diffraction.correlation import ArrayCorrelator, Correlator
from phasefront.diffraction.spot_lists import Spots
from phasefront.diffraction.template_library import Library
from phasefront.diffraction.templates import simulate_templates

# diffsims' sources hold such sequences; Python says so when it first compiles them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")


@pytest.fixture(scope="module")
def templates():
    return simulate_templates(CRYSTALS, resolution_deg=3.0, **OPTICS)


@pytest.fixture(scope="module")
def library(templates):
    return Library.prepare(templates, CRYSTALS, coarse_deg=5.0)


def transformed(library, patterns):
    spots = Spots.of(spots_of(patterns))
    amplitude, number = spots.intensity**matching.PATTERN_POWER, len(patterns)
    chosen = np.arange(number)
    return library.transform(spots, amplitude, chosen, correlation.BATCH)[:number]


def test_harmonics_are_those_of_a_plain_fourier_sum(library):
    patterns = diffsims_patterns(CRYSTALS[0], octant_rotations()[:4])
    harmonics = transformed(library, patterns)
    for (qx, qy, intensity), ours in zip(patterns, harmonics, strict=True):
        plain = plain_harmonics(qx, qy, intensity**matching.PATTERN_POWER, library.shells)
        np.testing.assert_allclose(ours[:, 0] + 1j * ours[:, 1], plain, atol=2e-6)


def test_packed_templates_are_the_harmonics_to_eight_bits(library, templates):
    spots = Spots.of(templates)
    amplitude = spots.intensity**template_library.TEMPLATE_POWER
    chosen = np.flatnonzero((templates["rotation"].values == library.rotation[5]).all(axis=1))
    plain = np.zeros((1, len(library.shells), 2, len(matching_kernels.ORDERS)), np.float32)
    matching_kernels.transform(
        spots.offset, spots.qx, spots.qy, amplitude, chosen[:1], library.shells, plain
    )
    np.testing.assert_allclose(unpacked(library, 5), plain[0], atol=0.51 * library.unit[5])
    assert abs(library.harmonics[5]).max() == 127


def test_correlation_is_that_of_a_plain_fourier_sum(library):
    """Kernels against the definition: shells and azimuths summed in NumPy, every angle tried."""
    harmonics = transformed(library, diffsims_patterns(CRYSTALS[0], octant_rotations()[:4]))
    plain = harmonics[:, :, 0] + 1j * harmonics[:, :, 1]
    score, angle = Correlator(library.real, library.imaginary)(harmonics)
    lower = matching_kernels.COARSE_ORDERS - 1
    room = np.empty((3, len(matching_kernels.ORDERS)), dtype=np.float32)
    for pattern in range(4):
        for mirrored in range(2):
            for coarse in range(0, library.coarse_edge[-1], 41):
                near = coarse_template(library, coarse)
                template = unpacked(library, near)
                template = template[:, 0] + 1j * template[:, 1]
                template = template if mirrored else template.conj()
                product = (plain[pattern] * template).sum(axis=0)
                grid = (
                    np.arange(matching_kernels.COARSE_ANGLES)
                    / matching_kernels.COARSE_ANGLES
                    * 2
                    * np.pi
                )
                turned = np.exp(1j * np.outer(grid, matching_kernels.COARSE_ORDERS))
                expected = 2 * (turned @ product[lower]).real
                assert score[mirrored, pattern, coarse] == pytest.approx(expected.max(), abs=1e-5)
                at = angle[mirrored, pattern, coarse]
                assert expected[at] == pytest.approx(expected.max(), abs=1e-5)

                start = round(int(at) * matching_kernels.ANGLES / matching_kernels.COARSE_ANGLES)
                value, best = matching_kernels.best_near(
                    harmonics[pattern], library.harmonics[near], library.unit[near], mirrored,
                    start, room,
                )  # fmt: skip
                dense = best + np.linspace(-0.03, 0.03, 61)
                turned = np.exp(1j * np.outer(dense, matching_kernels.ORDERS))
                assert value == pytest.approx(2 * (turned @ product).real.max(), abs=0.02)


def coarse_template(library, coarse):
    """The template, of those near a coarse one, whose harmonics the matrix products hold."""
    near = range(library.near_edge[coarse], library.near_edge[coarse + 1])
    real = unpacked(library, np.array(near))[:, :, 0, matching_kernels.COARSE_ORDERS - 1]
    same = (real == library.real[..., coarse].T).all(axis=(1, 2))
    return near[int(np.flatnonzero(same)[0])]


def unpacked(library, near):
    return library.harmonics[near] * library.unit[near, ..., None, None, None]


def namespaces():
    import array_api_compat.numpy

    yield array_api_compat.numpy
    try:
        import array_api_compat.torch
    except ImportError:
        return
    yield array_api_compat.torch


@pytest.mark.parametrize("xp", list(namespaces()), ids=lambda xp: xp.__name__)
def test_products_in_any_array_namespace_give_what_the_kernels_give(library, xp):
    patterns = diffsims_patterns(CRYSTALS[2], Rotation.random(10, random_state=6))
    harmonics = transformed(library, patterns)
    score, angle = Correlator(library.real, library.imaginary)(harmonics)
    plain_score, plain_angle = ArrayCorrelator(library.real, library.imaginary, xp)(harmonics)
    np.testing.assert_allclose(score, plain_score, atol=2e-6)
    # Where two angles are as good as each other, rounding decides.
    assert (angle == plain_angle).mean() > 0.999
    best, plain_best = (
        library.search(harmonics, score, angle, 2),
        library.search(harmonics, plain_score, plain_angle, 2),
    )
    np.testing.assert_allclose(best[1], plain_best[1], atol=1e-5)


def test_the_fine_search_finds_the_better_half_turn_by_itself(library):
    """Even harmonics leave it open which half of a turn a coarse angle means."""
    harmonics = transformed(library, diffsims_patterns(CRYSTALS[1], octant_rotations()))
    score, angle = Correlator(library.real, library.imaginary)(harmonics)
    half = matching_kernels.COARSE_ANGLES // 2
    assert angle.max() < half
    rotation, scores = library.search(harmonics, score, angle, 3)
    turned, scores_turned = library.search(harmonics, score, angle + half, 3)
    np.testing.assert_allclose(scores, scores_turned, atol=1e-6)
    np.testing.assert_allclose(rotation, turned, atol=1e-5)


def test_without_a_gpu_one_sentence_says_so(library, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    spots = Spots.of(spots_of(diffsims_patterns(CRYSTALS[0], octant_rotations()[:1])))
    with pytest.raises(InputError, match="device: neither CuPy nor PyTorch finds a GPU"):
        matching.match(spots, library, device="gpu")


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-1.1, 1.1), st.floats(-1.1, 1.1), st.floats(0, 1e6)),
        min_size=5,
        max_size=40,
    )
)
def test_scores_lie_between_zero_and_one(library, spots):
    matches = matching.match(Spots.of(spots_of([tuple(zip(*spots, strict=True))])), library)
    assert ((matches.score >= 0) & (matches.score <= 1) | np.isnan(matches.score)).all()


def test_angle_under_symmetry_is_that_of_orix():
    from orix.quaternion import Misorientation
    from orix.quaternion import Orientation as OrixOrientation

    first, second = Rotation.random(40, random_state=1), Rotation.random(40, random_state=2)
    for crystal in CRYSTALS:
        group = crystal.orix_phase().point_group.laue_proper_subgroup
        theirs = Misorientation((first * second.inv()).as_quat(scalar_first=True))
        theirs.symmetry = (group, group)
        expected = np.minimum.reduce(
            [
                (theirs.symmetry[0][i] * OrixOrientation(theirs.data)).angle
                for i in range(group.size)
            ]
        )
        ours = [
            2 * np.arccos(matching_kernels.cosine_half_angle(a, b, crystal.symmetry))
            for a, b in zip(
                first.as_quat(scalar_first=True), second.as_quat(scalar_first=True), strict=True
            )
        ]
        np.testing.assert_allclose(ours, expected, atol=1e-6)


def plain_harmonics(qx, qy, amplitude, shells):
    radius, azimuth = np.hypot(qx, qy), np.arctan2(qy, qx)
    triangle = np.maximum(0, 1 - np.abs(radius[:, None] - shells) / (shells[1] - shells[0]))
    wave = np.exp(
        -1j * np.outer(azimuth, matching_kernels.ORDERS)
        - 0.5 * (matching_kernels.ORDERS * matching_kernels.AZIMUTHAL_SIGMA / radius[:, None]) ** 2
    )
    total = np.einsum("n,nk,ns->sk", amplitude, wave, triangle)
    return total / np.sqrt(2 * (np.abs(total) ** 2).sum())


def test_a_mirrored_template_is_the_crystal_seen_from_behind():
    """Turning the crystal by 180 degrees about y mirrors its pattern in x, exactly."""
    rotation = octant_rotations()[3]
    quaternion = np.empty(4)
    matching_kernels.orient(rotation.as_quat(scalar_first=True), 1, 0.0, quaternion)
    behind = Rotation.from_quat(quaternion, scalar_first=True)
    front, back = diffsims_patterns(CRYSTALS[2], Rotation.concatenate([rotation, behind]), 40)
    order, mirrored = (
        np.lexsort(np.round(front[:2], 4)),
        np.lexsort(np.round([back[0], -back[1]], 4)),
    )
    np.testing.assert_allclose(front[0][order], back[0][mirrored], atol=1e-6)
    np.testing.assert_allclose(front[1][order], -back[1][mirrored], atol=1e-6)
    np.testing.assert_allclose(front[2][order], back[2][mirrored], rtol=1e-4)
