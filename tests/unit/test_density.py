"""Optical densities of virtual stacks hold the truth, with the errors they state."""

import numpy as np
import pytest
from examples import example

from benchmarks.virtual_stacks import grains, measured
from phasefront.core.errors import InputError
from phasefront.layouts.stacks import DENSITY, STACK
from phasefront.stacks.density import i0_of_region, measure_density, optical_density
from phasefront.stacks.drift import lay_counts, measure_drift

ENERGY = 510 + 0.5 * np.arange(24)
CONTRAST = 0.25 + 0.9 * np.exp(-((ENERGY - 517) ** 2) / 2)


def stack_of(counts, i0, **given):
    attributes = {
        "stack": "s", "kind": "X-ray absorption", "noise_factor": 1.0, "pixel_y_nm": 40.0,
        "pixel_x_nm": 40.0,
    }  # fmt: skip
    return example(
        STACK, energy=ENERGY[: len(counts)], counts=counts, i0=i0,
        **{"i0_variance": 0.0, "dark": 0.0} | attributes | given,
    )  # fmt: skip


def density_of(stack, **given):
    return measure_density(
        stack, **{"align": False, "max_density": 1.5, "stray_share": 0.02} | given
    )


@pytest.mark.parametrize("photons", [100, 400, 10_000])
@pytest.mark.parametrize("dark", [0.0, 8.0])
def test_densities_follow_beer_and_lambert_with_the_variance_they_state(photons, dark):
    truth = np.broadcast_to(np.linspace(0, 1.2, 24)[:, None, None], (24, 60, 60))
    counts, i0 = measured(truth, photons=photons, seed=2, dark=dark)
    density, variance = optical_density(counts, i0, np.full(24, dark))
    left = (density - truth).reshape(24, -1)
    spread = np.sqrt(variance.reshape(24, -1).mean(axis=1))
    # Each mean is of 3600 pixels; half a percent of the spread is what the third order leaves.
    assert (np.abs(left.mean(axis=1)) < 4 * spread / 60 + 0.03 * spread**2 + 2e-3).all()
    np.testing.assert_allclose(left.std(axis=1), spread, rtol=0.12)


def test_where_nothing_came_through_the_density_is_not_known():
    density, variance = optical_density(
        np.array([[[5.0, 3.0, 0.0, 50.0]]]), np.array([100.0]), np.array([5.0])
    )
    assert np.isnan(density[0, 0, :3]).all()
    assert np.isinf(variance[0, 0, :3]).all()
    assert density[0, 0, 3] == pytest.approx(-np.log(0.45) - 50 / 45**2 / 2)


def test_i0_and_noise_are_those_of_the_empty_pixels():
    rng = np.random.default_rng(4)
    counts = 3.0 * rng.poisson(200, (24, 40, 50))  # three counts a photon
    i0, variance, factor = i0_of_region(counts, np.full(24, 6.0), (slice(0, 10), slice(0, 50)))
    np.testing.assert_allclose(i0, 594, atol=5 * np.sqrt(variance.max()))
    assert factor == pytest.approx(3, rel=0.05)
    assert i0.std() == pytest.approx(np.sqrt(variance.mean()), rel=0.6)


def test_drift_is_found_to_within_its_error():
    z = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        shift = np.cumsum(rng.normal(0, 0.5, (24, 2)), axis=0)
        thick = grains((72, 80), seed)
        counts, i0 = measured(CONTRAST[:, None, None] * thick, photons=300, seed=seed, shift=shift)
        found = measure_drift(
            -np.log(np.maximum(counts, 1) / i0[:, None, None]), "s", ENERGY[: len(counts)]
        )
        error = found.shift - shift
        error -= error.mean(axis=0)
        assert np.abs(error).max() < 0.4
        z.append((error / found.stderr[:, None]).ravel())
    assert 0.7 < np.std(z) < 1.6


@pytest.mark.parametrize("part", [0.0, 0.2, 0.5])
def test_counts_that_are_moved_scatter_as_it_says_and_keep_their_outlines(part):
    rng = np.random.default_rng(1)
    shift = np.array([[part, -2 * part], [3 + part, 1.0]])
    laid, factor = lay_counts(rng.poisson(400.0, (2, 120, 130)).astype(float), shift)
    inner = laid[:, 20:-20, 20:-20].reshape(2, -1)
    np.testing.assert_allclose(inner.var(axis=1) / 400, factor, rtol=0.05)
    # A smooth outline, moved and laid back: nothing of it is lost, as linear interpolation would.
    y, x = np.indices((50, 60))
    outline = [1000 + 400 * np.tanh((y - dy + 0.6 * (x - dx) - 40) / 2) for dy, dx in shift]
    laid = lay_counts(np.array(outline), shift)[0][:, 8:-8, 8:-8]
    still = 1000 + 400 * np.tanh((y + 0.6 * x - 40) / 2)[8:-8, 8:-8]
    assert np.abs(laid - still).max() < 1.5


def test_a_drifting_stack_gives_the_density_of_a_still_one():
    thick = grains((72, 80), 5)
    truth = CONTRAST[:, None, None] * thick
    shift = np.cumsum(np.random.default_rng(5).normal(0, 0.4, (24, 2)), axis=0)
    shift -= shift.mean(axis=0)
    counts, i0 = measured(truth, photons=3000, seed=5, shift=shift)
    flat = thick > 0.95 * thick.max()
    errors = {}
    for align in (True, False):
        found = density_of(stack_of(counts, i0), align=align)["optical_density"].values
        errors[align] = np.sqrt(np.nanmean((found - truth)[:, thick > 0.05] ** 2))
    assert errors[True] < 0.6 * errors[False]
    found = density_of(stack_of(counts, i0), align=True)
    z = (found["optical_density"].values - truth)[:, flat] / np.sqrt(
        found["variance"].values[:, flat]
    )
    assert 0.7 < np.nanstd(z) < 1.5
    DENSITY.check(found, "density")


def test_what_is_too_dense_is_marked_whatever_the_noise():
    truth = np.broadcast_to(np.linspace(0.5, 3, 24)[:, None, None], (24, 20, 20))
    counts, i0 = measured(truth, photons=500, seed=1)
    marked = density_of(stack_of(counts, i0))["saturated"].values.mean(axis=(1, 2))
    above = truth[:, 0, 0] > 1.5
    assert (marked[above & (truth[:, 0, 0] > 1.65)] > 0.9).all()
    assert (marked[truth[:, 0, 0] < 1.35] < 0.1).all()


def test_stacks_that_cannot_be_laid_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="shows nothing that tells where it lies"):
        measure_drift(np.ones((6, 40, 40)), "s", ENERGY[:6])
    with pytest.raises(InputError, match=r"drift by .* more than half of the frame|shows nothing"):
        measure_drift(rng.normal(size=(6, 40, 40)), "s", ENERGY[:6])
    with pytest.raises(InputError, match="too small to be aligned"):
        measure_drift(rng.normal(size=(6, 40, 4)), "s", ENERGY[:6])
    # A grain that leaves the frame.
    thick = grains((60, 60), 1)
    far = np.stack([np.linspace(0, 80, 6), np.zeros(6)], axis=1)
    counts, i0 = measured(np.ones((6, 1, 1)) * thick, photons=1e5, seed=0, shift=far)
    with pytest.raises(InputError, match=r"half of the frame|shows nothing"):
        measure_drift(-np.log(counts / i0[:, None, None]), "s", ENERGY[: len(counts)])


def test_a_stack_without_photons_has_no_density():
    with pytest.raises(InputError, match="energy loss, which has no optical density"):
        density_of(stack_of(np.ones((24, 9, 9)), 1.0, kind="energy loss"))
