"""A fit that is no result is refused, and lines that no phase explains are named."""

import numpy as np
import pandas as pd
import pytest

from phasefront.diffraction.crystals import read_crystal
from phasefront.powder import misfits
from phasefront.powder.files import read_pattern
from phasefront.powder.fits import fit_pattern
from phasefront.report.figures import powder as pictures
from phasefront.virtual.pattern import simulate_pattern

WAVELENGTH = 0.4127
NAMES = ("Na3V2PO42F3", "Na2V2PO42F3")
FORMULA_UNITS, ION_CONTENTS = (4, 2), (3, 2)
NO_FRACTIONS = ("weight_fraction", "molar_fraction", "molar_fraction_esd", "ion_content", "cell")


@pytest.fixture(scope="module")
def crystals(request):
    folder = request.config.rootpath / "config" / "structures"
    return [read_crystal(folder / f"{name}.cif") for name in NAMES]


@pytest.fixture(scope="module")
def pattern(tmp_path_factory, crystals):
    path = tmp_path_factory.mktemp("simulated") / "a.xye"
    simulate_pattern(
        path, crystals=crystals, formula_units=FORMULA_UNITS, molar_fractions=(0.6, 0.4), seed=2,
        two_theta_range=(2.0, 12.0), step=0.006, wavelength=WAVELENGTH,
    )  # fmt: skip
    return read_pattern(path, wavelength=WAVELENGTH)


def fit(pattern, crystals, **changes):
    kept = {"wavelength": WAVELENGTH, "ion_contents": ION_CONTENTS, "formula_units": FORMULA_UNITS}
    return fit_pattern(pattern, crystals, name="test", **(kept | changes))


def with_line(pattern, angle, height):
    """The pattern with one more line, of a height in shares of the strongest."""
    changed = pattern.copy()
    shape = np.exp(-(((pattern["two_theta"] - angle) / 0.02) ** 2))
    extra = height * (pattern["intensity"] - pattern["intensity"].median()).max() * shape
    changed["intensity"] += np.random.default_rng(3).poisson(extra)
    changed["sigma"] = np.sqrt(changed["intensity"])
    return changed


def angle_of(d):
    return 2 * np.degrees(np.arcsin(WAVELENGTH / (2 * d)))


def test_a_good_fit_is_a_result_without_strange_lines(pattern, crystals):
    found = fit(pattern, crystals)
    assert found.attrs["refused"] == ""
    assert found.sizes["line"] == 0
    assert np.isfinite(found["weight_fraction"]).all()


@pytest.mark.parametrize(("d", "height"), [(10.96, 0.4), (5.1, 0.12)])
def test_lines_that_no_phase_explains_are_named(pattern, crystals, d, height):
    found = fit(with_line(pattern, angle_of(d), height), crystals)
    assert found["unexplained_d"].to_numpy() == pytest.approx([d], rel=2e-3)
    assert found["unexplained_height"].to_numpy() == pytest.approx([height], rel=0.4)
    assert f"at d = {found['unexplained_d'].item():.4g} A" in found.attrs["notes"]
    drawn = pictures.draw_powder(found)
    texts = [text.get_text() for ax in drawn.axes for text in ax.texts]
    assert f"{found['unexplained_d'].item():.4g} Å" in texts


def test_a_fit_of_other_phases_is_refused_and_has_no_fractions(pattern, crystals):
    """As if the wavelength of another line had been given: all lines are elsewhere."""
    found = fit(pattern, crystals, wavelength=0.4127 * 1.03)
    assert found.attrs["refused"]
    for name in NO_FRACTIONS:
        assert np.isnan(found[name].to_numpy()).all(), name
    drawn = pictures.draw_powder(found)
    assert found.attrs["refused"][:20] in drawn.get_suptitle().replace("\n", " ")


def test_an_axis_that_nothing_states_is_blamed_for_a_refusal(pattern, crystals):
    """q in 1/nm has the numbers of angles."""
    changed = pattern.copy()
    changed["two_theta"] *= 1.03
    changed.attrs = pattern.attrs | {"axis_stated": False}
    found = fit(changed, crystals)
    assert found.attrs["refused"].endswith("it was taken for 2theta in degrees")


def test_uncertainties_a_thousand_times_too_small_are_refused(pattern, crystals):
    found = fit(pattern.assign(sigma=pattern["sigma"] / 1000), crystals)
    assert "the uncertainties, or the phases, are not those" in found.attrs["refused"]


def test_a_refused_fit_is_no_start(pattern, crystals):
    refused = fit(pattern.assign(sigma=pattern["sigma"] / 1000), crystals)
    assert fit(pattern, crystals, start=refused).attrs["started_from"] == ""


@pytest.mark.parametrize(
    ("rwp", "goodness", "noise", "poor"),
    [
        (0.69, 40.0, 1.0, True),
        (0.69, 1.2, 1.0, False),  # few counts: R is large of noise alone
        (0.69, 0.01, 0.0, True),  # sigma far too large: no noise, so R is all misfit
        (0.69, np.nan, 1.0, True),
        (0.05, 436.0, 1.0, True),  # chi squared of 190,000
        (0.12, 8.0, 1.0, False),
        (np.nan, np.nan, 1.0, False),
    ],
)
def test_figures_of_merit_decide(rwp, goodness, noise, poor):
    assert bool(misfits.why_poor(rwp, goodness, noise)) == poor


def test_noise_is_that_of_neighbours_in_units_of_sigma():
    rng = np.random.default_rng(0)
    angle = np.linspace(2, 12, 4000)
    lines = 1e4 * np.exp(-(((angle[:, None] - np.arange(3, 12)) / 0.02) ** 2)).sum(axis=1)
    intensity = 100.0 + lines + rng.normal(0, 10, len(angle))
    for factor, expected in ((1.0, 1.0), (4.0, 0.25), (0.1, 1.0)):
        made = pd.DataFrame({"two_theta": angle, "intensity": intensity, "sigma": factor * 10.0})
        assert misfits.noise(made) == pytest.approx(expected, rel=0.1)


def test_phases_must_beat_a_background_alone():
    rng = np.random.default_rng(1)
    alone = rng.normal(size=3000)
    said = misfits.why_no_better(0.999 * alone, alone, parameters=12, noise_level=1.0)
    assert said == "the phases fit no better than a background alone"
    rest = misfits.why_no_better(6 * alone, 9 * alone, parameters=12, noise_level=1.0)
    assert rest.startswith("the phases leave 44% of the chi squared")
    assert not misfits.why_no_better(2 * alone, 9 * alone, parameters=12, noise_level=1.0)
