"""Synchrotron powder patterns with a known truth.

Made without the program that refines them: gemmi's structure factors from every atom of the cell,
so no symmetry operation, multiplicity or reflection condition enters; profiles, Lorentz factor,
background and noise are written out here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

# A line is drawn out to this many full widths; beyond, a Lorentzian holds under 1 % of its area.
_LINE_REACH_FWHM = 40.0
_ELECTRONVOLT_ANGSTROM = 12398.4198  # h c, CODATA 2018
# Caglioti's U, V and W, degree^2: made up: lines are 0.0063 to 0.0065 degree wide.
_RESOLUTION_UVW_DEG2 = (4e-5, -2e-6, 4e-5)


def simulate_pattern(
    path: str | Path,
    *,
    crystals,
    formula_units,
    molar_fractions,
    seed: int,
    wavelength: float = 0.4127,
    two_theta_range: tuple[float, float] = (2.5, 26.5),
    step: float = 0.004,
    peak_counts: float = 20000.0,
    background_counts: float = 400.0,
    cell_error: float = 1e-3,
    zero_error: float = 2e-3,
    measured: tuple[str, float] | None = None,
) -> dict:
    """Write the `.xye` pattern of a mixture and return its truth.

    Parameters
    ----------
    crystals
        One `phasefront.diffraction.crystals.Crystal` a phase.
    formula_units, molar_fractions
        Formula units per cell, and share of the sample's formula units, of each phase.
    seed
        Of noise, crystallite sizes, strains, cell changes and zero error.
    wavelength
        angstrom.
    two_theta_range, step
        First and last angle and their spacing, degrees.
    peak_counts, background_counts
        Highest point above the background, and background near the beam; counts.
    cell_error
        Largest relative change of a cell length against the CIF; lengths that are equal there
        stay equal.
    zero_error
        Largest shift of the angle scale, degrees.
    measured
        When the measurement began (ISO 8601) and how long it took (s), for the header of a pattern
        of a series.

    Returns
    -------
    dict of plain numbers and lists: `phase`, `molar_fraction`, `weight_fraction`, `cell`
    (a b c alpha beta gamma in angstrom and degrees), `crystallite_size_nm`, `strain`,
    `zero_error_deg` (observed minus true angle), `wavelength` and `seed`.

    Notes
    -----
    A phase's line has the intensity cells |F|^2 / V / (2 sin^2(theta) cos(theta)), the Lorentz
    factor of a powder ring cut by a detector slit; a synchrotron's beam is polarised normal to
    the scattering plane, so no polarisation factor enters (International Tables C, 6.2).
    Widths: Caglioti, Paoletti & Ricci, Nucl. Instrum. 3 (1958) 223, for the instrument; Scherrer
    size and uniform strain, both Lorentzian, for the sample; pseudo-Voigt of Thompson, Cox &
    Hastings, J. Appl. Cryst. 20 (1987) 79.
    """
    random = np.random.default_rng(seed)
    shares = np.asarray(molar_fractions, float)
    shares = shares / shares.sum()
    masses = np.array([crystal.cell_mass for crystal in crystals]) / np.asarray(formula_units)
    weights = shares * masses / (shares @ masses)
    cells = [_altered_cell(crystal.cell, cell_error, random) for crystal in crystals]
    sizes = random.uniform(80.0, 160.0, len(shares))
    strains = random.uniform(2e-4, 6e-4, len(shares))
    zero = random.uniform(-zero_error, zero_error)

    two_theta = np.arange(two_theta_range[0], two_theta_range[1] + step / 2, step)
    signal = np.zeros_like(two_theta)
    for crystal, cell, units, share, size, strain in zip(
        crystals, cells, formula_units, shares, sizes, strains, strict=True
    ):
        angle, intensity = powder_lines(
            crystal, cell=cell, wavelength=wavelength, two_theta_max=two_theta_range[1] + 1.0
        )
        _add_lines(
            signal, two_theta, angle + zero, share / units * intensity,
            *_widths(angle, wavelength=wavelength, size_nm=size, strain=strain),
        )  # fmt: skip
    expected = signal * peak_counts / signal.max() + background_counts * _background(two_theta)
    counts = random.poisson(expected)
    _write(path, two_theta, counts, wavelength, measured)
    return {
        "phase": [crystal.name for crystal in crystals],
        "molar_fraction": shares.tolist(),
        "weight_fraction": weights.tolist(),
        "cell": [list(map(float, cell)) for cell in cells],
        "crystallite_size_nm": sizes.tolist(),
        "strain": strains.tolist(),
        "zero_error_deg": float(zero),
        "wavelength": float(wavelength),
        "seed": int(seed),
    }


def powder_lines(crystal, *, cell, wavelength: float, two_theta_max: float):
    """Angles (degrees, n) and intensities per cell (n) of a powder's lines, by gemmi.

    X-ray form factors of International Tables C with f' of Cromer & Liberman; the sum runs over
    all atoms in the cell and all reflections of the sphere, lines at one angle are joined.
    """
    import gemmi

    structure = gemmi.SmallStructure()
    structure.cell = gemmi.UnitCell(*cell)
    structure.spacegroup_hm = "P 1"
    for atom in crystal.atoms.itertuples():
        site = gemmi.SmallStructure.Site()
        site.label = atom.label
        site.type_symbol = atom.element
        site.element = gemmi.Element(atom.element)
        site.fract = gemmi.Fractional(atom.x, atom.y, atom.z)
        site.occ = atom.occupancy
        site.u_iso = atom.u_iso
        structure.add_site(site)
    calculator = gemmi.StructureFactorCalculatorX(structure.cell)
    for element in sorted(set(crystal.atoms["element"])):
        scatterer = gemmi.Element(element)
        f_prime, _ = gemmi.cromer_liberman(
            scatterer.atomic_number, _ELECTRONVOLT_ANGSTROM / wavelength
        )
        calculator.addends.set(scatterer, f_prime)

    s_max = 2.0 * np.sin(np.radians(two_theta_max) / 2.0) / wavelength
    hkl = _half_sphere(structure.cell, s_max)
    s = np.sqrt([structure.cell.calculate_1_d2(list(h)) for h in hkl.tolist()])
    hkl, s = hkl[s <= s_max], s[s <= s_max]
    squared = np.array(
        [abs(calculator.calculate_sf_from_small_structure(structure, h)) ** 2 for h in hkl.tolist()]
    )
    s, line = np.unique(np.round(s, 9), return_inverse=True)
    squared = 2.0 * np.bincount(line, squared)
    theta = np.arcsin(s * wavelength / 2.0)
    lorentz = 1.0 / (2.0 * np.sin(theta) ** 2 * np.cos(theta))
    return np.degrees(2.0 * theta), squared * lorentz / structure.cell.volume


def _half_sphere(cell, s_max: float) -> np.ndarray:
    """One of each Friedel pair in the box around the sphere of radius s_max, (n, 3)."""
    limits = [int(s_max * length) for length in (cell.a, cell.b, cell.c)]
    h, k, l = np.mgrid[tuple(slice(-n, n + 1) for n in limits)].reshape(3, -1)  # noqa: E741
    upper = (l > 0) | ((l == 0) & ((k > 0) | ((k == 0) & (h > 0))))
    return np.stack([h, k, l], axis=1)[upper]


def _altered_cell(cell, cell_error: float, random) -> np.ndarray:
    cell = np.array(cell, float)
    lengths, index = np.unique(cell[:3], return_inverse=True)
    cell[:3] *= (1.0 + random.uniform(-cell_error, cell_error, len(lengths)))[index]
    return cell


def _widths(two_theta, *, wavelength: float, size_nm: float, strain: float):
    """Full width (degrees) and Lorentzian share of the pseudo-Voigt at each angle."""
    theta = np.radians(two_theta) / 2.0
    u, v, w = _RESOLUTION_UVW_DEG2
    gauss = np.sqrt(u * np.tan(theta) ** 2 + v * np.tan(theta) + w)
    lorentz = np.degrees(
        wavelength / (10.0 * size_nm) / np.cos(theta) + 4.0 * strain * np.tan(theta)
    )
    terms = (1.0, 2.69269, 2.42843, 4.47163, 0.07842, 1.0)
    width = sum(t * gauss ** (5 - n) * lorentz**n for n, t in enumerate(terms)) ** 0.2
    ratio = lorentz / width
    return width, 1.36603 * ratio - 0.47719 * ratio**2 + 0.11116 * ratio**3


def _add_lines(signal, two_theta, angle, intensity, width, mixing) -> None:
    """Add pseudo-Voigt lines of unit area times intensity to `signal`, in place."""
    first = np.searchsorted(two_theta, angle - _LINE_REACH_FWHM * width)
    last = np.searchsorted(two_theta, angle + _LINE_REACH_FWHM * width)
    for at, height, fwhm, eta, start, stop in zip(
        angle, intensity, width, mixing, first, last, strict=True
    ):
        offset = (two_theta[start:stop] - at) * 2.0 / fwhm
        lorentz = 2.0 / (np.pi * fwhm) / (1.0 + offset**2)
        gauss = 2.0 / fwhm * np.sqrt(np.log(2.0) / np.pi) * np.exp(-np.log(2.0) * offset**2)
        signal[start:stop] += height * (eta * lorentz + (1.0 - eta) * gauss)


def _background(two_theta) -> np.ndarray:
    """Air scatter falling from the beam, a capillary's two humps and a floor; about 1 at most."""
    air = 0.6 * np.exp(-(two_theta - 2.0) / 3.0)
    capillary = 0.25 * np.exp(-(((two_theta - 6.0) / 2.2) ** 2))
    second = 0.08 * np.exp(-(((two_theta - 14.0) / 4.0) ** 2))
    return 0.3 + air + capillary + second


def _write(path, two_theta, counts, wavelength: float, measured) -> None:
    header = f"virtual synchrotron pattern, wavelength {wavelength:.6f} angstrom"
    if measured:
        header += f"\nstart_time = {measured[0]}\nexposure_time = {measured[1]:g} s"
    header += "\n2theta_deg  counts  sigma"
    sigma = np.sqrt(np.maximum(counts, 1))
    table = np.column_stack([two_theta, counts, sigma])
    np.savetxt(path, table, fmt=("%.5f", "%.1f", "%.4f"), header=header)
