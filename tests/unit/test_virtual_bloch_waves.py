"""The bundled table of dynamical intensities: geometry and physics."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from phasefront.core import netcdf
from phasefront.diffraction.crystals import read_crystal
from phasefront.virtual import bloch_waves

STRUCTURES = Path(__file__).parents[2] / "config" / "structures"
NVPF = ("Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3")
WAVELENGTH = 0.0250793  # angstrom, 200 kV


@pytest.fixture(scope="module")
def table():
    return netcdf.read(bloch_waves.DATA_FILE, bloch_waves.BLOCH_WAVES)


def spots_of(table, pattern):
    offset = table["offset"].values
    return slice(offset[pattern], offset[pattern + 1])


def patterns_of(table, phase):
    return np.flatnonzero(table["phase"].values == phase)


def orientation(table, pattern):
    return Rotation.from_quat(table["rotation"].values[pattern], scalar_first=True)


def test_electrons_are_conserved(table):
    intensity, direct = table["intensity"].values, table["direct"].values
    assert intensity.min() >= 0 and direct.min() > 0
    total = direct + np.array(
        [intensity[spots_of(table, p)].sum(axis=0) for p in range(len(direct))]
    )
    assert total.max() < 1.001
    assert total.min() > 0.9  # what is missing went beyond the largest radius


@pytest.mark.parametrize("phase", NVPF)
def test_spots_lie_where_the_orientation_puts_the_reflections(table, phase):
    crystal = read_crystal(STRUCTURES / f"{phase}.cif")
    assert table["formula_volume"].values[patterns_of(table, phase)[0]] == pytest.approx(
        crystal.volume / (crystal.formula["P"] / 2)
    )
    for pattern in patterns_of(table, phase)[:5]:
        spots = spots_of(table, pattern)
        g = table["hkl"].values[spots] @ crystal.reciprocal
        expected = orientation(table, pattern).inv().apply(g)[:, :2]
        assert table["qx"].values[spots] == pytest.approx(expected[:, 0], abs=1e-6)
        assert table["qy"].values[spots] == pytest.approx(expected[:, 1], abs=1e-6)


def test_phases_share_the_lattice_of_a_grain(table):
    first, second, third = (patterns_of(table, phase)[:6] for phase in NVPF)
    for a, b, c in zip(first, second, third, strict=True):
        lattice = orientation(table, a).inv()
        tetragonal, last = orientation(table, b).inv(), orientation(table, c).inv()
        assert last.apply(np.eye(3)) == pytest.approx(lattice.apply(np.eye(3)), abs=1e-9)
        # a of the body-centred cell lies along a - b of the 9 angstrom cell, c is common.
        diagonal = lattice.apply([1, -1, 0]) / np.sqrt(2)
        assert tetragonal.apply([1, 0, 0]) == pytest.approx(diagonal, abs=1e-9)
        assert tetragonal.apply([0, 0, 1]) == pytest.approx(lattice.apply([0, 0, 1]), abs=1e-9)


@pytest.mark.parametrize("phase", NVPF)
def test_thin_crystals_scatter_kinematically(table, phase):
    """At 5 nm intensities follow |F|^2 and the excitation error, electrons along -z."""
    crystal = read_crystal(STRUCTURES / f"{phase}.cif")
    hkl, g_all, squared = crystal.reflections(1 / 1.2)
    number = {tuple(index): row for row, index in enumerate(hkl)}
    thickness = 10 * float(table["thickness"].values[0])
    azimuth = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    agreement, reversed_agreement = [], []
    for pattern in patterns_of(table, phase)[:8]:
        spots = spots_of(table, pattern)
        rows = [number.get(tuple(index), -1) for index in table["hkl"].values[spots]]
        found = np.array(rows) >= 0
        rows = np.array(rows)[found]
        g = orientation(table, pattern).inv().apply(g_all[rows])
        across = np.hypot(g[:, 0], g[:, 1])[:, None]
        measured = np.sqrt(table["intensity"].values[spots][found, 0])
        for sense, results in ((1, agreement), (-1, reversed_agreement)):
            error = sense * g[:, 2] - WAVELENGTH * (g**2).sum(axis=1) / 2
            precessed = error[:, None] + across * np.deg2rad(0.8) * np.cos(azimuth)
            rocking = (np.sinc(precessed * thickness) ** 2).mean(axis=1)
            results.append(np.corrcoef(measured, np.sqrt(squared[rows] * rocking))[0, 1])
    assert np.median(agreement) > 0.97
    assert np.median(reversed_agreement) < np.median(agreement) - 0.02


def test_axes_of_a_phase_follow_the_stated_relation():
    first, tetragonal = (read_crystal(STRUCTURES / f"{phase}.cif") for phase in NVPF[:2])
    turn = bloch_waves.axes_rotation(first, tetragonal, "a/2-b/2,a/2+b/2,c")
    assert turn.apply([1, -1, 0]) == pytest.approx([np.sqrt(2), 0, 0], abs=1e-9)
    assert turn.apply([0, 0, 1]) == pytest.approx([0, 0, 1], abs=1e-9)


def test_precession_cone_has_the_stated_angle_all_around():
    beams = bloch_waves.precession_cone(0.8, 60).apply([0, 0, 1])
    assert np.rad2deg(np.arccos(beams[:, 2])) == pytest.approx(np.full(60, 0.8))
    assert beams[:, :2].mean(axis=0) == pytest.approx([0, 0], abs=1e-12)
