"""Valences of virtual stacks: right within what is stated, by other references than the truth's."""

from pathlib import Path

import numpy as np
import pytest
from examples import example
from scipy import ndimage

from benchmarks.virtual_stacks import VANADIUM_EV, grains, measured, truth_spectra
from phasefront.chemistry import misfit
from phasefront.chemistry.references import read_references
from phasefront.chemistry.spectral_fit import fit, valences_of
from phasefront.chemistry.valence import fit_valence
from phasefront.core.errors import InputError
from phasefront.layouts.chemistry import Told
from phasefront.layouts.stacks import STACK
from phasefront.stacks.density import measure_density
from phasefront.stacks.files import read_i0, read_stack

ROOT = Path(__file__).resolve().parents[2]
VALENCES = (3.0, 4.0, 5.0)
# Where whoever fits believes them; the truth has them half an electronvolt and more below.
THRESHOLDS = [(517.0, 2.0), (524.2, 1.0)]


@pytest.fixture(scope="module")
def references():
    paths = [f"{ROOT}/config/references/V{valence:.0f}.csv" for valence in VALENCES]
    return read_references(paths, ["V3+", "V4+", "V5+"], VALENCES, thresholds=THRESHOLDS)


def virtual(references, seed, *, peak=1.5, photons=10_000, shape=(40, 44), shift_ev=0.0,
            stretch=1.0, blur=0.15, stray=0.0, band_ev=0.0, of_thickness=None):  # fmt: skip
    """A stack of grains with a smooth field of valence, and that field and the thickness.

    `band_ev` is the width of the beam's spectrum, over which the light is summed that came through,
    and `of_thickness` gives valence by thickness in place of the field.
    """
    read = list(zip(references.energy, references.absorption, strict=True))
    energy = np.arange(VANADIUM_EV[0], VANADIUM_EV[-1] + 0.04, 0.05) if band_ev else VANADIUM_EV
    spectra, below = truth_spectra(read, energy - shift_ev, stretch=stretch, blur=blur)
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 5)
    valence = np.clip(3.5 + 0.75 * field / np.abs(field).max(), 3, 4.4)
    thick = grains(shape, seed)
    if of_thickness is not None:
        valence = of_thickness(thick)
    shares = [np.clip(4 - valence, 0, 1), 1 - np.abs(valence - 4), np.clip(valence - 4, 0, 1)]
    density = np.einsum("ek,kyx->eyx", spectra, shares) + below[:, None, None] / 2
    density = density * thick
    density *= peak / density.max()
    if band_ev:
        through = ndimage.gaussian_filter1d(np.exp(-density), band_ev / 0.05, axis=0)
        density = -np.log(through[::4])
    counts, i0 = measured(density, photons=photons, seed=seed, stray=stray)
    return stack_of(VANADIUM_EV, counts, i0), valence, thick


def stack_of(energy, counts, i0):
    return example(
        STACK, energy=energy, counts=counts, i0=i0, i0_variance=0.0, dark=0.0, stack="s",
        kind="X-ray absorption", noise_factor=1.0, pixel_y_nm=40.0, pixel_x_nm=40.0,
    )  # fmt: skip


def fitted(stack, references, *, align=False, max_density=1.5, stray_share=0.02, **given):
    density = measure_density(stack, align=align, max_density=max_density, stray_share=stray_share)
    settings = {"fit_ev": (509.0, 528.5), "max_shift_ev": 1.0, "max_error": 0.5}
    return fit_valence(density, references, **settings | given)


OTHERS = {
    "same lines": {},
    "broader": {"blur": 0.25},
    "other field": {"stretch": 1.05, "blur": 0.25, "stray": 0.01, "shift_ev": -0.3},
    "narrower field": {"stretch": 0.97, "blur": 0.25, "stray": 0.02, "shift_ev": 0.2},
    "thin and dim": {"peak": 0.8, "photons": 3000, "stray": 0.01},
}


@pytest.mark.parametrize("truth", OTHERS.values(), ids=OTHERS)
def test_valence_is_right_and_within_its_error(references, truth):
    errors, totals = [], []
    for seed in (21, 22):
        stack, valence, _ = virtual(references, seed, **truth)
        found = fitted(stack, references)
        told = found.told == Told.TOLD
        assert told.sum() > 150
        errors.append((found.value - valence)[told])
        totals.append(np.hypot(found.standard_error, found.systematic_error)[told])
    error, total = np.concatenate(errors), np.concatenate(totals)
    assert np.sqrt(np.mean(error**2)) < 0.07
    assert np.mean(np.abs(error) < 1.96 * total) > 0.85
    assert np.median(total) < 0.15


@pytest.mark.parametrize("stretch", [1.0, 1.05], ids=["right lines", "others"])
def test_the_standard_error_is_what_repeats_scatter_by(references, stretch):
    """What references leave of all spectra alike is no noise."""
    stack, _, _ = virtual(references, 5, stretch=stretch)
    i0 = stack["i0"].values[:, None, None]
    clean = stack["counts"].values / i0
    rng = np.random.default_rng(0)
    values, errors = [], []
    for _ in range(12):
        counts = rng.poisson(clean * 3000)
        found = fitted(stack_of(VANADIUM_EV, counts, np.full(len(i0), 3000.0)), references)
        values.append(found.value)
        errors.append(found.standard_error)
    scatter = np.std(values, axis=0, ddof=1)
    everywhere = np.isfinite(scatter)
    assert everywhere.sum() > 100
    ratio = scatter[everywhere] / np.mean(errors, axis=0)[everywhere]
    # References move with noise, too.
    assert 0.8 < np.median(ratio) < 1.15


def test_counts_of_a_gain_scatter_by_more_than_their_number_says(references):
    stack, _, _ = virtual(references, 5, stretch=1.05)
    errors = []
    for gain in (1, 4):
        rng = np.random.default_rng(1)
        counts = gain * rng.poisson(stack["counts"].values / gain)
        errors.append(fitted(stack_of(VANADIUM_EV, counts, stack["i0"].values), references))
    both = (errors[0].told == Told.TOLD) & (errors[1].told == Told.TOLD)
    ratio = (errors[1].standard_error / errors[0].standard_error)[both]
    # The first has the stack's own noise and as much again.
    assert np.median(ratio) == pytest.approx(np.sqrt(5 / 2), rel=0.1)


def test_what_references_leave_pulls_as_far_as_they_are_wrong():
    """Spectra that are off by their own at every energy, far beyond what noise says."""
    rng = np.random.default_rng(3)
    energy = np.linspace(-1, 1, 96)
    lines = [np.exp(-(((energy - at) / 0.15) ** 2) / 2) for at in (-0.2, 0.1)]
    terms = np.column_stack([*lines, np.ones(96), energy])
    valences, noise = np.array([3.0, 4.0]), np.full(96, 1e-8)
    told, stated = [], []
    for _ in range(400):
        mean = terms @ [1.0, 0.8, 0.3, 0.1] + rng.normal(0, 0.05, 96)
        told.append(valences_of(fit(mean[:, None], noise[:, None], terms), valences)[0][0])
        stated.append(misfit._pulled(mean, noise, terms, valences))
    assert np.sqrt(np.mean(np.square(stated))) == pytest.approx(np.std(told), rel=0.1)
    right = terms @ [1.0, 0.8, 0.3, 0.1]
    assert misfit._pulled(right, noise, terms, valences) < 1e-6


def test_a_shift_of_the_monochromator_is_found(references):
    for shift in (-0.5, 0.4):
        stack, _, _ = virtual(references, 3, shift_ev=shift)
        found = fitted(stack, references)
        assert abs(found.shift - shift) < 0.05
    stack, _, _ = virtual(references, 3, shift_ev=0.9)
    with pytest.raises(InputError, match=r"fit only when moved by 0\.5 eV or more"):
        fitted(stack, references, max_shift_ev=0.5)


def test_thickness_is_the_density_before_the_edge_and_does_not_see_valence(references):
    stack, valence, thick = virtual(references, 8)
    found = fitted(stack, references)
    told = found.told == Told.TOLD
    assert np.corrcoef(found.thickness[told], thick[told])[0, 1] > 0.95
    partial = found.thickness[told] - np.polyval(
        np.polyfit(thick[told], found.thickness[told], 1), thick[told]
    )
    assert abs(np.corrcoef(partial, valence[told])[0, 1]) < 0.2
    z = (found.thickness - thick * found.thickness[told].sum() / thick[told].sum())[told]
    assert np.std(z / found.thickness_stderr[told]) < 2


def test_where_lines_are_too_dense_they_are_left_out_and_the_error_grows(references):
    stack, valence, _ = virtual(references, 6, peak=4.0, stray=0.02, blur=0.05, band_ev=0.3)
    density = measure_density(stack, align=False, max_density=2.2, stray_share=0.02)
    found = fitted(stack, references, max_density=2.2)
    told, cut = found.told == Told.TOLD, density["saturated"].values.any(axis=0)
    total = np.hypot(found.standard_error, found.systematic_error)
    for part in (told & cut, told & ~cut):
        assert part.sum() > 50
        assert np.mean(np.abs(found.value - valence)[part] < 1.96 * total[part]) > 0.9
    thick = found.thickness > np.median(found.thickness[told])
    assert np.median(total[told & cut & thick]) > 1.3 * np.median(total[told & ~cut & thick])
    stack, _, _ = virtual(references, 6, peak=30.0, photons=1000)
    found = fitted(stack, references)
    assert (found.told == Told.SATURATED).sum() > 100
    assert np.isnan(found.value[found.told == Told.SATURATED]).all()


def test_the_spectra_are_what_was_fitted_and_their_parts_give_the_valence(references):
    stack, _, _ = virtual(references, 5, peak=2.4, photons=20_000)
    density = measure_density(stack, align=False, max_density=1.5, stray_share=0.02)
    found = fitted(stack, references)
    spectra = found.spectra
    told = found.told == Told.TOLD
    assert spectra.names == ("V3+", "V4+", "V5+", "background")
    assert spectra.measured.shape == spectra.stderr.shape == spectra.parts.shape[1:]
    moved = {"shift": found.shift, "broadening": found.broadening}
    alone = references.at(spectra.energy, **moved)  # a part is its reference times an amount
    amount = spectra.parts[:3].sum(axis=1)[:, told] / alone.sum(axis=0)[:, None]
    by_parts = np.array(VALENCES) @ amount / amount.sum(axis=0)
    np.testing.assert_allclose(by_parts, found.value[told], rtol=1e-4)
    left = (spectra.measured - spectra.parts.sum(axis=0)) / spectra.stderr
    # Errors are of noise, and references leave a little more.
    assert 0.95 < np.nanstd(left[:, told]) < 1.25
    # Energies that were too dense are left out, and are there to be seen.
    too_dense = density["saturated"].values[np.isin(density["energy"].values, spectra.energy)] == 1
    assert too_dense[:, told].any()
    assert np.isnan(spectra.stderr[too_dense]).all()
    assert np.isfinite(spectra.measured[:, told][too_dense[:, told]]).all()


def test_where_valence_changes_with_thickness_it_says_that_it_cannot_tell_why(references):
    for of_thickness, warned in ((lambda t: 3.2 + 0.8 * t, True), (lambda t: 3.5 + 0 * t, False)):
        stack, _, _ = virtual(references, 6, peak=1.2, of_thickness=of_thickness)
        found = fitted(stack, references)
        words = "saturation or chemistry, the fit cannot tell"
        assert any(words in one for one in found.warnings) == warned


@pytest.mark.slow
@pytest.mark.parametrize("front", [False, True], ids=["a field", "a front"])
def test_chemistry_does_not_pass_for_drift(references, front):
    """A grain whose ends absorb at other energies seems to move from one energy to the next."""

    def divided(thick):
        y, x = np.indices(thick.shape)
        return np.where(y + 0.4 * x < 28, 3.1, 4.0)

    stack, valence, _ = virtual(references, 4, of_thickness=divided if front else None)
    found = measure_density(stack, align=True, max_density=2.2, stray_share=0.02)
    reach = max(float(np.abs(found[name]).max()) for name in ("shift_y", "shift_x"))
    assert reach < (0.15 if front else 0.07)
    fits = fitted(stack, references, align=True, max_density=2.2)
    told = fits.told == Told.TOLD
    total = np.hypot(fits.standard_error, fits.systematic_error)
    assert np.mean(np.abs(fits.value - valence)[told] < 1.96 * total[told]) > 0.9


def refuse(stack, references, words, **given):
    with pytest.raises(InputError, match=words):
        fitted(stack, references, **given)


def test_references_that_do_not_do_are_refused(references, tmp_path):
    stack, _, _ = virtual(references, 2)
    refuse(stack, references, "reaches from 508 to 532 eV, and 506 to", fit_ev=(507.0, 528.0))
    refuse(stack, references, "more than 6 are needed", fit_ev=(509.0, 510.0))
    paths = [f"{ROOT}/config/references/V{valence}.csv" for valence in (3, 3, 5)]
    same = read_references(paths, ["V3+", "again", "V5+"], [3, 3.5, 5], thresholds=THRESHOLDS)
    refuse(stack, same, "V3[+] and again correlate by 1.0000 .* valence is not told")
    far = read_references(paths[1:], ["a", "b"], [3, 5])
    moved = [energy + 200 for energy in far.energy]
    elsewhere = type(far)(far.names, far.valences, tuple(moved), far.absorption)
    refuse(stack, elsewhere, "0 of its energies", fit_ev=None)
    nothing = tmp_path / "nothing.csv"
    nothing.write_text("500 0\n540 0\n")
    with pytest.raises(InputError, match="absorbs nowhere"):
        read_references([nothing], ["a"], [3])
    empty = stack.copy()
    empty["counts"] = empty["counts"] * 0 + np.float32(1000.0)
    empty["i0"] = empty["i0"] * 0 + 1000.0
    refuse(empty, references, "no position shows the references' edge")
    refuse(stack, references, "no position tells its valence to 1e-05", max_error=1e-5)


def test_sums_do_not_hang_on_how_spectra_are_blocked(references, monkeypatch):
    rng = np.random.default_rng(0)
    terms, spectra = rng.normal(size=(30, 4)), rng.normal(size=(30, 50))
    variance = np.where(rng.random((30, 50)) < 0.1, np.inf, 1.0)
    whole = fit(spectra, variance, terms)
    monkeypatch.setattr("phasefront.chemistry.spectral_fit._BLOCK", 7)
    parts = fit(spectra, variance, terms)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    at = 3
    known = np.isfinite(variance[:, at])
    plain = np.linalg.lstsq(terms[known], spectra[known, at], rcond=None)[0]
    np.testing.assert_allclose(whole.amplitude[at], plain)
    mean, stderr = valences_of(whole, np.array([3.0, 4.0]))
    draws = rng.multivariate_normal(whole.amplitude[at], 1e-6 * whole.covariance[at], 4000)[:, :2]
    np.testing.assert_allclose(
        (draws @ [3.0, 4.0] / draws.sum(axis=1)).std(), 1e-3 * stderr[at], rtol=0.05
    )
    assert mean[at] == pytest.approx(plain[:2] @ [3, 4] / plain[:2].sum())


def test_of_the_iron_stack_it_says_that_saturation_and_chemistry_cannot_be_told(shared_data):
    path = shared_data("modalities/stxm_fe2p_als/71214078.hdr")
    stack = read_stack(path)
    counts = stack.counts[:, 20:110:2, 20:110:2]
    files = [path.with_name(name) for name in ("reduced.t", "oxidized.t")]
    iron = read_references(files, ["reduced", "oxidized"], [2, 3])
    i0 = read_i0(path.with_name("i0.xsp"), stack.energy)
    density = measure_density(
        stack_of(stack.energy, counts, i0), align=False, max_density=4.0, stray_share=0.02
    )
    found = fit_valence(density, iron, fit_ev=(701.5, 728.5), max_shift_ev=1.0, max_error=0.3)
    told = found.told == Told.TOLD
    peak = np.nanmax(density["optical_density"].values, axis=0)
    reduced = [3 - found.value[told & (low < peak) & (peak < high)].mean()
               for low, high in ((0.9, 1.3), (2.5, 4.0))]  # fmt: skip
    assert reduced[0] - reduced[1] > 0.3  # as the fit that was published with the data
    assert found.correlation == pytest.approx(0.82, abs=0.05)
    assert any("saturation or chemistry, the fit cannot tell" in one for one in found.warnings)
