"""The simulated powder pattern against gemmi and against itself."""

import gemmi
import numpy as np
import pytest

from phasefront.diffraction.crystals import read_crystal
from phasefront.virtual.pattern import powder_lines, simulate_pattern

WAVELENGTH = 0.4127
FORMULA_UNITS = (4, 2, 4)


@pytest.fixture(scope="module")
def crystals(request):
    folder = request.config.rootpath / "config" / "structures"
    names = ("Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3")
    return [read_crystal(folder / f"{name}.cif") for name in names]


def simulate(path, crystals, **changes):
    settings = {
        "crystals": crystals, "formula_units": FORMULA_UNITS, "molar_fractions": (0.2, 0.3, 0.5),
        "seed": 1, "wavelength": WAVELENGTH, "two_theta_range": (3.0, 13.0), "step": 0.005,
    }  # fmt: skip
    return simulate_pattern(path, **(settings | changes))


@pytest.mark.parametrize("phase", [0, 1, 2])
def test_lines_agree_with_symmetry_reduced_structure_factors(crystals, phase):
    """Summing over all atoms and reflections gives multiplicity times |F|^2 of the space group."""
    crystal = crystals[phase]
    angle, intensity = powder_lines(
        crystal, cell=crystal.cell, wavelength=WAVELENGTH, two_theta_max=10.0
    )
    structure = gemmi.read_small_structure(crystal.path)
    structure.change_occupancies_to_crystallographic()
    calculator = gemmi.StructureFactorCalculatorX(structure.cell)
    for element in set(crystal.atoms["element"]):
        scatterer = gemmi.Element(element)
        f_prime, _ = gemmi.cromer_liberman(scatterer.atomic_number, 12398.4198 / WAVELENGTH)
        calculator.addends.set(scatterer, f_prime)
    expected = {}
    for hkl in gemmi.make_miller_array(structure.cell, structure.spacegroup, dmin=2.4):
        hkl = hkl.tolist()
        operations = structure.spacegroup.operations()
        images = {tuple(op.apply_to_hkl(hkl)) for op in operations.sym_ops}
        images |= {tuple(-index for index in image) for image in images}
        d = structure.cell.calculate_d(hkl)
        factor = calculator.calculate_sf_from_small_structure(structure, hkl)
        key = round(1.0 / d, 8)
        expected[key] = expected.get(key, 0.0) + len(images) * abs(factor) ** 2
    inverse_d = np.array(sorted(expected))
    theta = np.arcsin(inverse_d * WAVELENGTH / 2.0)
    squared = np.array([expected[key] for key in inverse_d])
    lorentz = 1.0 / (2.0 * np.sin(theta) ** 2 * np.cos(theta))
    strong = intensity > 1e-6 * intensity.max()
    kept = (squared > 1e-6 * squared.max()) & (np.degrees(2 * theta) < 9.8)
    strong &= angle < 9.8
    np.testing.assert_allclose(angle[strong], np.degrees(2.0 * theta[kept]), rtol=1e-7)
    np.testing.assert_allclose(
        intensity[strong], (squared * lorentz)[kept] / crystal.volume, rtol=1e-6
    )


def test_truth_holds_weights_cells_and_errors(tmp_path, crystals):
    truth = simulate(tmp_path / "p.xye", crystals)
    assert truth["molar_fraction"] == pytest.approx([0.2, 0.3, 0.5])
    masses = np.array([417.79, 394.80, 371.81])
    amount = masses * [0.2, 0.3, 0.5]
    assert truth["weight_fraction"] == pytest.approx(amount / amount.sum(), abs=1e-5)
    for cell, crystal in zip(truth["cell"], crystals, strict=True):
        change = np.array(cell) / crystal.cell - 1.0
        assert 0.0 < np.abs(change[:3]).max() <= 1e-3
        assert np.all(change[3:] == 0.0)
    assert truth["cell"][1][0] == truth["cell"][1][1]
    assert abs(truth["zero_error_deg"]) <= 2e-3


def test_same_seed_same_bytes(tmp_path, crystals):
    first, again, other = (tmp_path / name for name in ("a.xye", "b.xye", "c.xye"))
    simulate(first, crystals)
    simulate(again, crystals)
    simulate(other, crystals, seed=2)
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != other.read_bytes()


def test_noise_is_poisson_about_the_expected_pattern(tmp_path, crystals):
    """Two seeds share nothing but the model when nothing else may vary."""
    patterns = []
    for seed in (1, 2):
        path = tmp_path / f"{seed}.xye"
        simulate(
            path, crystals, seed=seed, molar_fractions=(1, 0, 0), cell_error=0.0, zero_error=0.0,
            peak_counts=1.0, background_counts=500.0,
        )  # fmt: skip
        patterns.append(np.loadtxt(path))
    difference = patterns[0][:, 1] - patterns[1][:, 1]
    variance = patterns[0][:, 2] ** 2 + patterns[1][:, 2] ** 2
    assert np.mean(difference**2 / variance) == pytest.approx(1.0, abs=0.12)


def test_strongest_line_lies_where_bragg_says(tmp_path, crystals):
    path = tmp_path / "p.xye"
    simulate(
        path, crystals[:1], formula_units=(4,), molar_fractions=(1,), cell_error=0.0, zero_error=0.0
    )
    two_theta, counts, _ = np.loadtxt(path).T
    angle, intensity = powder_lines(
        crystals[0], cell=crystals[0].cell, wavelength=WAVELENGTH, two_theta_max=13.0
    )
    near = np.abs(two_theta - angle[np.argmax(intensity)]) < 0.02
    assert counts[near].max() > 0.9 * counts.max()


def test_intensity_follows_the_amount_of_the_phase(tmp_path, crystals):
    """With no background, the areas of two patterns of one phase at the same peak height agree."""
    angle, intensity = powder_lines(
        crystals[1], cell=crystals[1].cell, wavelength=WAVELENGTH, two_theta_max=14.0
    )
    path = tmp_path / "p.xye"
    simulate(
        path, crystals[1:2], formula_units=(2,), molar_fractions=(1,), cell_error=0.0,
        zero_error=0.0, background_counts=0.0, peak_counts=1e6,
    )  # fmt: skip
    two_theta, counts, _ = np.loadtxt(path).T
    low = (two_theta > 3.0) & (two_theta < 6.2)
    high = (two_theta >= 6.2) & (two_theta < 9.3)
    expected = intensity[(angle > 6.2) & (angle < 9.3)].sum() / intensity[angle < 6.2].sum()
    assert counts[high].sum() / counts[low].sum() == pytest.approx(expected, rel=0.05)
