"""Reading powder patterns, and refining mixtures whose fractions are known.

The patterns come from phasefront.virtual.pattern, which shares no code with the refining program.
"""

import dataclasses

import gemmi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import powder as independent
from phasefront.core.errors import InputError
from phasefront.diffraction.crystals import read_crystal
from phasefront.layouts.powder import POWDER
from phasefront.powder import fits, rietveld
from phasefront.powder.files import NothingFound, read_pattern
from phasefront.powder.fits import fit_pattern
from phasefront.virtual.pattern import simulate_pattern

WAVELENGTH = 0.4127
NAMES = ("Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3")
FORMULA_UNITS = (4, 2, 4)
ION_CONTENTS = (3, 2, 1)


@pytest.fixture(scope="module")
def crystals(request):
    folder = request.config.rootpath / "config" / "structures"
    return [read_crystal(folder / f"{name}.cif") for name in NAMES]


def simulate(path, crystals, molar_fractions, *, seed, **changes):
    kept = {"two_theta_range": (2.5, 15.0), "step": 0.006, "wavelength": WAVELENGTH} | changes
    return simulate_pattern(
        path, crystals=crystals, formula_units=FORMULA_UNITS, molar_fractions=molar_fractions,
        seed=seed, **kept,
    )  # fmt: skip


def fit(path, crystals, **changes):
    kept = {
        "name": "test", "wavelength": WAVELENGTH, "ion_contents": ION_CONTENTS,
        "formula_units": FORMULA_UNITS,
    }  # fmt: skip
    return fit_pattern(read_pattern(path), crystals, **(kept | changes))


# Shares of phases


@given(
    st.lists(st.floats(0.1, 10.0), min_size=3, max_size=3),
    st.lists(st.floats(0.5, 2.0), min_size=3, max_size=3),
)
def test_covariance_of_shares_is_their_linear_response(scale, factor):
    scale, factor = np.array(scale), np.array(factor)
    covariance = np.diag((0.01 * scale) ** 2)
    share, spread = fits.shares(scale, covariance, factor)
    np.testing.assert_allclose(share, scale * factor / (scale @ factor))
    step = 1e-6 * scale
    slope = np.array(
        [
            (fits.shares(scale + move, covariance, factor)[0] - share) / move.sum()
            for move in np.diag(step)
        ]
    ).T
    np.testing.assert_allclose(spread, slope @ covariance @ slope.T, rtol=1e-3, atol=1e-10)
    np.testing.assert_allclose(spread.sum(axis=1), 0.0, atol=1e-12)


def test_asymmetric_unit_is_that_of_the_file(shared_data):
    for name in ("LiFePO4_COD4001848", "LCO", "Li2MnO3", "LiMn2O4", "Na3V2PO42F3_Amam_model"):
        path = shared_data(f"structures/{name}.cif")
        sites = gemmi.read_small_structure(str(path)).sites
        found = rietveld.asymmetric_unit(read_crystal(path))
        assert found["label"].tolist() == [site.label for site in sites]


# Fitting


MIXTURES = {"no_third": (0.5, 0.5, 0.0), "no_first": (0.0, 0.3, 0.7), "little": (0.02, 0.38, 0.6)}


@pytest.fixture(scope="module", params=list(MIXTURES))
def mixture(request, tmp_path_factory, crystals):
    path = tmp_path_factory.mktemp("mixture") / f"{request.param}.xye"
    truth = simulate(path, crystals, MIXTURES[request.param], seed=11)
    return request.param, truth, fit(path, crystals)


def test_fractions_of_simulated_mixtures_are_found(mixture):
    _, truth, result = mixture
    for kind in ("weight", "molar"):
        error = result[f"{kind}_fraction"].to_numpy() - truth[f"{kind}_fraction"]
        esd = result[f"{kind}_fraction_esd"].to_numpy()
        assert np.all(np.abs(error) < 3.0 * esd), kind
        assert np.all(np.abs(error) < 0.02), kind
        assert np.all((esd > 0.0) & (esd < 0.01)), kind
    ions = np.dot(truth["molar_fraction"], ION_CONTENTS)
    assert abs(float(result.ion_content) - ions) < 3.0 * float(result.ion_content_esd)


def test_fit_is_complete_and_good(mixture):
    name, truth, result = mixture
    POWDER.check(result, "fit")
    assert result.attrs["refined_with"].startswith("rietx 1.")
    assert 0.95 < float(result.goodness_of_fit) < 1.1
    total = result.background + result.contribution.sum("phase")
    np.testing.assert_allclose(total, result.calculated, rtol=1e-3)
    held = [NAMES[index] for index, share in enumerate(truth["molar_fraction"]) if share == 0]
    assert [note.split()[0] for note in result.attrs["notes"].split("; ") if note] == held
    for index, phase in enumerate(NAMES):
        lengths_esd = result.cell_esd.to_numpy()[index, :3]
        assert np.isnan(lengths_esd).all() == (phase in held), name


def test_spacings_are_found(mixture):
    _, truth, result = mixture
    for cell, esd, true in zip(
        result.cell.to_numpy(), result.cell_esd.to_numpy(), truth["cell"], strict=True
    ):
        if np.isnan(esd).any():
            continue
        for hkl in ([0, 0, 2], [2, 0, 0], [1, 1, 3]):
            found = gemmi.UnitCell(*cell).calculate_d(hkl)
            assert found == pytest.approx(gemmi.UnitCell(*true).calculate_d(hkl), rel=3e-4)


def test_cells_that_are_off_by_a_third_of_a_percent_are_caught(tmp_path, crystals):
    path = tmp_path / "off.xye"
    truth = simulate(path, crystals, (0.4, 0.3, 0.3), seed=5)
    start = [
        dataclasses.replace(
            crystal, cell=(*(np.array(crystal.cell[:3]) * (1 + change)), *crystal.cell[3:])
        )
        for crystal, change in zip(crystals, (0.003, -0.003, 0.003), strict=True)
    ]
    result = fit(path, start)
    error = result.weight_fraction.to_numpy() - truth["weight_fraction"]
    assert np.all(np.abs(error) < 3.0 * result.weight_fraction_esd.to_numpy())


def test_shifts_between_models_are_shared_among_phases():
    two = np.array([[0.003, -0.003]])
    np.testing.assert_allclose(fits.between_models(two), two.T @ two)
    three = np.array([[0.004, -0.004, 0.0], [0.001, 0.001, -0.002]])
    added = fits.between_models(three)
    np.testing.assert_allclose(added.sum(axis=0), 0, atol=1e-12)
    assert np.trace(added) == pytest.approx(np.sum(three**2))
    assert added[2, 2] == pytest.approx((0.002**2 + np.sum(three**2) / 3) / 2)
    np.testing.assert_array_equal(fits.between_models(np.zeros((2, 1))), 0)


@pytest.mark.slow
def test_same_input_same_numbers_and_published_esd(tmp_path, crystals):
    """The covariance taken from inside the program gives the e.s.d. that it publishes."""
    path = tmp_path / "a.xye"
    simulate(path, crystals, (0.3, 0.4, 0.3), seed=3, two_theta_range=(2.5, 11.0))
    pattern = read_pattern(path)
    refined = rietveld.refine(
        pattern, crystals, wavelength=WAVELENGTH, background_terms=20, cell_tolerance=0.01,
        guess=rietveld.first_guess(crystals, None, 0.01), source=path,
    ).result  # fmt: skip
    result = fit(path, crystals)
    published = refined.qpa.phases
    assert result.weight_fraction.to_numpy() == pytest.approx(
        [row.weight_fraction for row in published], rel=1e-3
    )
    esd = np.sqrt(result.weight_fraction_esd**2 - result.weight_fraction_shift**2)
    assert esd.to_numpy() == pytest.approx(
        [row.weight_fraction_stderr for row in published], rel=1e-3
    )
    assert np.array_equal(result.calculated.to_numpy(), refined.y_calc)


@pytest.mark.parametrize("number", [1, 3])
def test_a_fit_takes_the_threads_that_its_job_has(tmp_path, crystals, monkeypatch, number):
    from rietx.model.compiled import n_threads

    monkeypatch.setenv("OMP_NUM_THREADS", str(number))
    path = tmp_path / "a.xye"
    simulate(path, crystals, (0.3, 0.4, 0.3), seed=3, two_theta_range=(2.5, 11.0))
    empty = read_pattern(path).assign(intensity=0.0)
    with pytest.raises(NothingFound):
        fit_pattern(
            empty, crystals, name="a", wavelength=WAVELENGTH, ion_contents=ION_CONTENTS,
            formula_units=FORMULA_UNITS,
        )  # fmt: skip
    assert n_threads() == number


@pytest.mark.slow
def test_phases_that_cannot_be_told_apart_get_an_esd_that_says_so(tmp_path, crystals):
    path = tmp_path / "twice.xye"
    simulate(path, crystals, (1.0, 0.0, 0.0), seed=4, two_theta_range=(2.5, 11.0))
    twin = dataclasses.replace(crystals[0], name="twin")
    result = fit(path, [crystals[0], twin], formula_units=(4, 4), ion_contents=(3, 1))
    assert "cannot be told apart" in result.attrs["notes"]
    assert np.all(result.weight_fraction_esd > 0.25)
    assert float(result.ion_content_esd) > 0.5


def test_too_short_a_range_and_unseen_phases_are_refused(tmp_path, crystals):
    path = tmp_path / "a.xye"
    simulate(path, crystals, (0.3, 0.4, 0.3), seed=3, two_theta_range=(2.5, 8.0))
    with pytest.raises(InputError, match="only 17 points to fit"):
        fit(path, crystals, two_theta_range=(4.0, 4.1))
    with pytest.raises(InputError, match=r"no reflection of .*NaV2PO42F3 is in range"):
        fit(path, crystals, two_theta_range=(2.5, 3.2), background_terms=3)
    empty = tmp_path / "empty.xye"
    simulate(empty, crystals, (1, 0, 0), seed=3, two_theta_range=(2.5, 8.0), peak_counts=0.0)
    with pytest.raises(InputError, match="none of the phases was found"):
        fit(empty, crystals)


@pytest.mark.slow
def test_a_fit_starts_from_the_one_before(tmp_path, crystals):
    """Two states of one sample: the second starts from the first, and finds the same."""
    paths = [tmp_path / f"{number}.xye" for number in range(2)]
    for path, molar in zip(paths, ((0.6, 0.4, 0.0), (0.3, 0.7, 0.0)), strict=True):
        simulate(path, crystals, molar, seed=8, two_theta_range=(2.5, 11.0))
    given = {"ion_contents": ION_CONTENTS[:2], "formula_units": FORMULA_UNITS[:2]}
    before = fit(paths[0], crystals[:2], name="before", **given)
    cold = fit(paths[1], crystals[:2], **given)
    warm = fit(paths[1], crystals[:2], start=before, **given)
    assert warm.attrs["started_from"] == "before"
    assert cold.attrs["started_from"] == ""
    # Seed 8 gives both the same cells and widths, so the start is close to the truth.
    assert warm.attrs["iterations"] < cold.attrs["iterations"]
    shift = np.abs(warm.weight_fraction - cold.weight_fraction)
    assert np.all(shift < 0.3 * cold.weight_fraction_esd)
    assert float(warm.rwp) == pytest.approx(float(cold.rwp), rel=1e-3)
    with pytest.raises(InputError, match="was fitted with other phases"):
        fit(paths[1], crystals[1:], start=before, **given)


def refined_by_another_program(system, share, *, seed):
    phases = independent.SYSTEMS[system]
    weights = [share] + [(1 - share) / (len(phases) - 1)] * (len(phases) - 1)
    made = independent.mixture(phases, weights, seed=seed)
    found = independent.refine(made)
    return made, found, (found.weight_fraction - made.weight_fraction).to_numpy()


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_fractions_of_mixtures_that_another_program_made(share):
    made, found, error = refined_by_another_program("lfp", share, seed=71)
    assert np.all(np.abs(error) < 3 * found.weight_fraction_esd)
    assert np.all(np.abs(error) < 0.005)
    assert float(found.weight_fraction[0]) > 5 * float(found.weight_fraction_esd[0])
    np.testing.assert_allclose(found.cell[:, :3], made.cells, rtol=3e-4)


def test_plates_and_a_steep_background_do_not_break_fractions():
    phases = independent.SYSTEMS["lfp"]
    made = independent.mixture(phases, [0.3, 0.7], seed=73, oriented=True)
    found = independent.refine(made)
    error = (found.weight_fraction - made.weight_fraction).to_numpy()
    # Without preferred orientation the goodness of fit is near 3, and errors near 0.01.
    assert np.all(np.abs(error) < 0.003)
    assert float(found.goodness_of_fit) < 1.1


def test_grains_at_random_have_no_preferred_orientation():
    reflections = np.linspace(0, 1, 2001)  # cosine, uniform over the sphere
    for r in (0.75, 1.0, 1.2):
        factor = independent.march(reflections**2, r)
        assert factor.mean() == pytest.approx(1.0, abs=2e-3)
    np.testing.assert_allclose(independent.march(reflections**2, 1.0), 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.02, 0.25, 0.75])
def test_fractions_of_three_overlapping_phases_that_another_program_made(share):
    _, found, error = refined_by_another_program("nvpf", share, seed=72)
    assert np.all(np.abs(error) < 3 * found.weight_fraction_esd)
    assert np.all(np.abs(error) < 0.01)
    there = float(found.weight_fraction[0]) > 1.96 * float(found.weight_fraction_esd[0])
    assert there == (share > 0)


@pytest.mark.slow
def test_intervals_cover_the_truth(tmp_path, crystals):
    """Of 95 % intervals over 15 mixtures nearly all hold the truth; deviations are near 1 e.s.d."""
    deviations = []
    for seed in range(15):
        molar = np.random.default_rng(seed).dirichlet([1.0, 1.0, 1.0])
        path = tmp_path / f"{seed}.xye"
        truth = simulate(path, crystals, molar, seed=seed)
        result = fit(path, crystals)
        error = result.weight_fraction.to_numpy() - truth["weight_fraction"]
        deviations.append(error / result.weight_fraction_esd.to_numpy())
    deviations = np.array(deviations)
    assert np.mean(np.abs(deviations) < 1.96) > 0.85
    assert 0.5 < np.sqrt(np.mean(deviations**2)) < 1.5
