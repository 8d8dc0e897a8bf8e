"""Na over V from virtual energy losses: right to a tenth by other cross sections than the truth."""

import numpy as np
import pytest
from examples import example
from scipy import ndimage, signal, special

from benchmarks.virtual_stacks import grains
from phasefront.chemistry import low_loss
from phasefront.chemistry.dose import middle_doses, to_zero_dose
from phasefront.chemistry.fitted import averaged, windows
from phasefront.chemistry.losses import CrossSection, fit_ratio
from phasefront.core.errors import InputError
from phasefront.layouts.chemistry import Told
from phasefront.layouts.stacks import STACK
from phasefront.stacks.files import read_stack
from phasefront.stacks.measured import measured_stack

CORE, LOW = 460 + 1.0 * np.arange(860), -15 + 0.25 * np.arange(480)
# Onset, eV, cross section there, and how fast it falls: of V L without white lines, O K, F K, Na K.
EDGES = {
    "V": (513, 60.0, 3.0),
    "O": (532, 20.0, 4.0),
    "F": (685, 12.0, 4.1),
    "Na": (1072, 4.0, 4.3),
}
ATOMS = {"V": 2.0, "O": 8.0, "F": 3.0}
# White lines of V, which no atom's cross section has.
WHITE = [(511.0, 531.0)]


def section(element, energy, *, other=0.0, white=False):
    """A cross section: a step that falls as a power; `other` is how far it is another's."""
    onset, height, power = EDGES[element]
    step = special.expit((energy - onset) / 0.5)
    values = height * (1 + 0.3 * other) * step * (energy / onset) ** -(power + 1.5 * other)
    if white and element == "V":
        for line, size in ((518.0, 300.0), (525.0, 200.0)):
            values = values + size * np.exp(-((energy - line) ** 2) / 4.5)
    return values


def sections(*, other=0.1, relative_error=0.05, beam=200.0):
    energy = np.arange(400.0, 1500.0)
    others = {"Na": other, "V": -other}
    return [
        CrossSection(name, energy, np.where(energy < EDGES[name][0] - 3, 0, section(
            name, energy, other=others.get(name, 0.0))), relative_error, beam, 30.0)
        for name in EDGES
    ]  # fmt: skip


def virtual(seed, sodium, thick, *, electrons=3e11, dual_shift=0.3, metal=0.0):
    """Low loss and edges of one map, by plural scattering; `electrons` go to each position."""
    rng = np.random.default_rng(seed)
    shape = thick.shape
    loss = np.arange(-15.0, 300.0, 0.25)
    plasmon = np.where(loss > 0, 1 / ((loss - 24) ** 2 + 12**2), 0) + metal * np.exp(
        -((loss - 5.8) ** 2) / 0.3
    )
    plasmon /= plasmon.sum()
    zero = np.exp(-(loss**2) / (2 * 0.4**2))
    zero /= zero.sum()
    low, core = np.zeros((len(LOW), *shape)), np.zeros((len(CORE), *shape))
    for y, x in np.ndindex(shape):
        mean_free = thick[y, x]
        spectrum, term = zero * np.exp(-mean_free), zero * np.exp(-mean_free)
        for order in range(1, 6):
            term = signal.fftconvolve(term, plasmon)[60 : 60 + len(loss)] * mean_free / order
            spectrum = spectrum + term
        shift = dual_shift * rng.uniform(-1, 1)
        low[:, y, x] = np.interp(LOW - shift, loss, spectrum)
        grid = np.arange(160.0, 1340.0)
        bare = 4e-7 * (grid / 460) ** -3.1 * (0.3 + mean_free)
        for name, atoms in (ATOMS | {"Na": sodium[y, x]}).items():
            bare = bare + 1e-9 * mean_free * atoms * section(name, grid, white=True)
        kernel = spectrum.reshape(-1, 4).sum(axis=1)  # -15 eV on, channels of 1 eV
        scattered = signal.fftconvolve(bare, kernel)
        core[:, y, x] = np.interp(
            CORE - shift, grid[0] - 14.625 + np.arange(len(scattered)), scattered
        )
    return (
        stack_of("low", LOW, rng.poisson(np.clip(low, 0, None) * electrons * 1e-3)),
        stack_of("core", CORE, rng.poisson(np.clip(core, 0, None) * electrons)),
    )


def stack_of(name, energy, counts, **given):
    attributes = {
        "stack": name, "kind": "energy loss", "beam_kev": 200.0, "collection_mrad": 30.0,
        "pixel_y_nm": 5.0, "pixel_x_nm": 5.0,
    }  # fmt: skip
    return example(STACK, energy=energy, counts=counts, **attributes | given)


def fitted(core, low, given=None, **changes):
    settings = {
        "ratio": ("Na", "V"), "fit_ev": (470.0, 1300.0), "fine_structure_ev": WHITE,
        "max_relative_error": 0.5,
    }  # fmt: skip
    return fit_ratio(core, low, given or sections(), **settings | changes)


@pytest.fixture(scope="module")
def made():
    shape = (8, 9)
    sodium = ndimage.gaussian_filter(np.random.default_rng(1).uniform(0, 4, shape), 1.5)
    thick = 0.3 + 0.6 * grains(shape, 3, number=9)
    return sodium, thick, *virtual(2, sodium, thick)


def test_the_ratio_is_right_to_a_tenth_and_within_its_error(made):
    sodium, _, low, core = made
    found = fitted(core, low)
    told = found.told == Told.TOLD
    assert told.mean() > 0.9
    truth = (sodium / 2)[told]
    error = found.value[told] - truth
    assert abs(np.mean(error / truth)) < 0.1
    assert np.sqrt(np.mean((error / truth) ** 2)) < 0.1
    total = np.hypot(found.standard_error, found.systematic_error)[told]
    assert np.mean(np.abs(error) < 1.96 * total) > 0.9


def test_with_the_same_cross_sections_only_noise_is_left(made):
    sodium, _, low, core = made
    found = fitted(core, low, sections(other=0.0))
    z = ((found.value - sodium / 2) / found.standard_error)[found.told == Told.TOLD]
    assert abs(z.mean()) < 0.8
    assert 0.6 < z.std() < 1.4
    assert 0.7 < np.median(found.misfit) < 1.5


def test_the_spectra_are_means_of_counts_and_their_parts_sum_to_the_fit(made):
    _, _, low, core = made
    found = fitted(core, low)
    spectra, told = found.spectra, found.told == Told.TOLD
    assert spectra.names == ("V", "O", "F", "Na", "fine structure", "background")
    energy = core["energy"].values
    assert len(spectra.energy) == 96 and (np.diff(spectra.energy) > 0).all()
    assert energy[0] <= spectra.energy[0] and spectra.energy[-1] <= energy[-1]
    left = (spectra.measured - spectra.parts.sum(axis=0)) / spectra.stderr
    # Means, with the errors of means: pixels differ by counting alone.
    assert np.std(left[:, told]) == pytest.approx(1.0, abs=0.2)
    # No edge before its onset, however it was scattered.
    before = spectra.energy < EDGES["Na"][0] - 40
    assert np.abs(spectra.parts[3, before]).max() < 1e-3 * spectra.parts[3].max()


@pytest.mark.parametrize("channels", [1, 95, 96, 97, 860])
def test_windows_hold_every_channel_once(channels):
    starts = windows(channels)
    values = np.random.default_rng(channels).normal(size=(2, channels))
    lengths = np.diff(np.append(starts, channels))
    assert len(starts) == min(channels, 96) and np.ptp(lengths) <= 1
    np.testing.assert_allclose((averaged(values, starts) * lengths).sum(-1), values.sum(-1))


def test_thickness_over_the_mean_free_path_is_found(made):
    _, thick, low, core = made
    found = fitted(core, low)
    np.testing.assert_allclose(found.thickness, thick, atol=0.06)
    assert (found.thickness_stderr < 0.01).all()


def test_a_line_of_metallic_sodium_is_told(made):
    sodium, thick, low, core = made
    assert not fitted(core, low).warnings
    metal, _ = virtual(2, sodium, thick, metal=2e-3)
    (warning,) = fitted(core, metal).warnings
    assert "a line at 5.8 eV stands out" in warning
    assert "metallic Na" in warning


def test_sodium_that_leaves_is_extrapolated_to_no_dose():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.5, 1.5, (10, 12))
    doses = middle_doses([400.0, 400.0, 400.0])
    np.testing.assert_allclose(doses, [200, 600, 1000])
    errors = np.full((3, *truth.shape), 0.04)
    values = truth * np.exp(-doses / 2500)[:, None, None] + rng.normal(0, 0.04, errors.shape)
    values[1, 2, 3] = np.nan
    found = to_zero_dose(values, errors, doses, "s")
    assert abs(found.decay_dose - 2500) < 3 * found.decay_dose_stderr
    total = np.hypot(found.standard_error, found.decay_error)
    z = (found.value - truth) / total
    assert np.isfinite(z).all()
    assert 0.6 < z.std() < 1.3
    assert abs((found.value / truth).mean() - 1) < 0.03
    steady = to_zero_dose(np.ones((3, 4, 4)), errors[:, :4, :4], doses, "s")
    np.testing.assert_allclose(steady.value, 1, atol=1e-3)
    with pytest.raises(InputError, match="repeats are of one dose"):
        to_zero_dose(values, errors, np.full(3, 200.0), "s")
    with pytest.raises(InputError, match="no position is told by all"):
        to_zero_dose(values * np.nan, errors, doses, "s")


def refuse(core, low, words, given=None, **changes):
    with pytest.raises(InputError, match=words):
        fitted(core, low, given, **changes)


def test_what_cannot_be_fitted_is_refused(made):
    *_, low, core = made
    refuse(core.assign_attrs(beam_kev=np.nan), low, "beam energy is not known.*give beam_kev")
    refuse(
        core, low, "taken with 200 kV, and the cross section of V is for 80", sections(beam=80.0)
    )
    refuse(core.assign_attrs(collection_mrad=50.0), low, "with 50 mrad, .* for 30 mrad")
    refuse(core.assign_attrs(kind="X-ray absorption"), low, "no energy losses")
    refuse(core, low.isel(x=slice(3)), "a map of 8 x 9, its low loss low of 8 x 3")
    refuse(core, low, "450 and 1300 are to be fitted|450 to 1300 are", fit_ev=(450.0, 1300.0))
    refuse(core, low, "edge of Na at .* is not within", fit_ev=(470.0, 1000.0))
    refuse(core, low, "too few for a background", fit_ev=(508.0, 1300.0))
    refuse(core, low.isel(energy=slice(100, None)), "do not hold a zero loss")
    refuse(core, core.assign_attrs(stack="low"), "do not hold a zero loss")
    moved = low.assign_coords(energy=low["energy"] + 60 - 45.0)
    refuse(core, moved, "no zero loss|do not hold a zero loss")
    refuse(core, low, "no position tells Na/V to 0.001 %", max_relative_error=1e-5)


def test_cross_sections_are_read_or_refused(tmp_path):
    path = tmp_path / "na.csv"
    stated = {"relative_error": 0.1, "beam_kev": 200.0, "collection_mrad": 30.0}
    path.write_text("# eV, barn/eV\n1000, 0\n1072, 0\n1073, 4\n1300, 2\n")
    assert CrossSection.read(path, "Na", **stated).onset == 1073
    for text in ("1000 0\n1300 0\n", "1000 -1\n1300 2\n"):
        path.write_text(text)
        with pytest.raises(InputError, match="below 0, or nowhere above"):
            CrossSection.read(path, "Na", **stated)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("eels/LSMO_linescan_low_loss.hspy", 0.2, 3),
        ("eels/LSMO_STO_linescan_low_loss.hspy", 0.1, 3),
    ],
)
def test_real_low_losses_have_a_thickness(shared_data, name, least, most):
    low = read_stack(shared_data(f"modalities/{name}"))
    shift = low_loss.zero_shifts(low.energy, low.counts, name)
    thick, stderr = low_loss.relative_thickness(
        low.energy, low_loss.aligned(low.energy, low.counts, shift)
    )
    assert ((least < thick) & (thick < most)).all()
    assert (stderr < 0.01).all()


def test_a_real_spectrum_image_without_its_beam_energy_is_refused(shared_data):
    names = [
        f"modalities/eels_ti/TiO2_EELS Spectrum Image ({part}-loss).dm4" for part in ("high", "low")
    ]
    core, low = (
        measured_stack(read_stack(shared_data(name)), name=str(at)) for at, name in enumerate(names)
    )
    assert np.isnan(core.attrs["beam_kev"])
    refuse(core, low, "beam energy is not known")


def test_titanium_in_real_oxides_has_the_lines_of_a_full_valence(shared_data):
    """No d electron leaves four lines, t2g and eg of L3 and of L2, as rutile and anatase have
    (Brydson et al., J. Phys.: Condens. Matter 1, 797, 1989); of one reference alone a valence is
    not fitted."""
    core, low = (
        read_stack(shared_data(f"modalities/eels_ti/TiO2_EELS Spectrum Image ({part}-loss).dm4"))
        for part in ("high", "low")
    )
    shift = low_loss.zero_shifts(low.energy, low.counts, "low")
    laid = low_loss.aligned(core.energy, core.counts.astype(float), shift)
    edge = (core.energy > 455) & (core.energy < 475)
    found = {}
    for name, counts in (("as read", core.counts), ("aligned", laid)):
        mean = ndimage.gaussian_filter1d(counts[edge][:, :, :8].mean(axis=(1, 2)), 12)  # 0.3 eV
        at, said = signal.find_peaks(mean, prominence=0.05 * np.ptp(mean))
        assert len(at) == 4
        np.testing.assert_allclose(np.diff(core.energy[edge][at]), [2.7, 2.9, 2.2], atol=0.3)
        found[name] = said["prominences"].min() / np.ptp(mean)
    assert found["aligned"] > found["as read"]
    # SrTiO3 under LaSrMnO3, 1 eV a channel: L3 and L2 of titanium in its three rows alone.
    line = read_stack(shared_data("modalities/eels/LSMO_STO_linescan.hspy"))
    edge = (line.energy > 450) & (line.energy < 475)
    for place in range(3):
        counts = line.counts[edge, 0, place].astype(float)
        at, _ = signal.find_peaks(counts, prominence=0.05 * np.ptp(counts))
        np.testing.assert_allclose(np.diff(line.energy[edge][at]), [5.0], atol=1)
    assert np.isfinite(line.beam_kev)
