"""Virtual energy losses of sodium vanadium fluorophosphate: edges with white lines and plural
scattering, ions that leave with the dose, and Poisson's noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import signal, special

from phasefront.virtual.mapping import Sight, Specimen

# Channels of the edges, from below V L to beyond Na K, and of the low loss; chosen.
CORE_EV, LOW_EV = 460 + 1.0 * np.arange(860), -15 + 0.25 * np.arange(480)
# Onset in eV, cross section there and the power that it falls with, in one made-up unit: V L
# without white lines, O K, F K, Na K. Those that a fit is given differ from them.
_EDGES = {
    "V": (513, 60.0, 3.0),
    "O": (532, 20.0, 4.0),
    "F": (685, 12.0, 4.1),
    "Na": (1072, 4.0, 4.3),
}
_ATOMS = {"V": 2.0, "O": 8.0, "F": 3.0}  # in a formula unit; ions beside them
_WHITE = ((518.0, 300.0, 4.5), (525.0, 200.0, 4.5))  # eV, height, twice the variance; made up
_FREE_PATH_NM = 130.0  # of inelastic scattering at 200 kV; made up
_PLASMON_EV, _WIDTH_EV, _SPREAD_EV = 24.0, 12.0, 0.4  # and of the zero loss; made up
_ORDERS = 5  # of plural scattering: of two free paths a hundredth is beyond
_BACKGROUND, _POWER = 4e-7, 3.1  # of losses at 460 eV below the edges; made up
_ALOFT = 0.05  # of the background without a specimen, a share of that of one free path; made up
_PER_ATOM = 1e-9  # of the beam that one unit of cross section takes in a free path; made up
_SHIFT_EV = 0.3  # by which the zero loss wanders; chosen
_LOW_SHARE = 1e-3  # of the electrons that the low loss is taken with; chosen
_STEP_EV = 0.25  # of spectra before they are measured


def edge(element: str, energy_ev: np.ndarray, *, white: bool) -> np.ndarray:
    """Cross section of an atom at energies in eV, with white lines of V or without."""
    onset, height, power = _EDGES[element]
    step = special.expit((energy_ev - onset) / 0.5)
    values = height * step * (energy_ev / onset) ** -power
    if white and element == "V":
        for line, size, wide in _WHITE:
            values = values + size * np.exp(-((energy_ev - line) ** 2) / wide)
    return values


def loss_counts(
    specimen: Specimen, sight: Sight, *, low: bool, electrons: float, ions_left: float,
    shift_seed: int, seed: int,
) -> np.ndarray:  # fmt: skip
    """Counts (energy, row, column) at LOW_EV or CORE_EV; `electrons` go to each pixel.

    `ions_left` is the share of the ions that the beam has left there. Edges and their low loss,
    taken together, have one `shift_seed`, of where the zero loss is.
    """
    rng = np.random.default_rng([seed, 2])
    thick, content = sight.content(specimen)
    loss = np.arange(-15.0, 300.0, _STEP_EV)
    plasmon = np.where(loss > 0, 1 / ((loss - _PLASMON_EV) ** 2 + _WIDTH_EV**2), 0)
    plasmon /= plasmon.sum()
    zero = np.exp(-(loss**2) / (2 * _SPREAD_EV**2))
    orders = [zero / zero.sum()]
    start = round(15 / _STEP_EV)
    for order in range(1, _ORDERS + 1):
        term = signal.fftconvolve(orders[-1], plasmon)[start : start + len(loss)] / order
        orders.append(term)
    grid = np.arange(160.0, 1340.0)
    atoms = {name: edge(name, grid, white=True) for name in _EDGES}
    fixed = sum(number * atoms[name] for name, number in _ATOMS.items())
    energy = LOW_EV if low else CORE_EV
    counts = np.empty((len(energy), *thick.shape))
    shifts = np.random.default_rng([shift_seed, 3]).uniform(-_SHIFT_EV, _SHIFT_EV, thick.shape)
    for y, x in np.ndindex(thick.shape):
        paths = thick[y, x] / _FREE_PATH_NM
        spectrum = np.exp(-paths) * sum(term * paths**n for n, term in enumerate(orders))
        shift = shifts[y, x]
        if low:
            counts[:, y, x] = np.interp(LOW_EV - shift, loss, spectrum)
            continue
        bare = _BACKGROUND * (grid / CORE_EV[0]) ** -_POWER * (_ALOFT + paths)
        ions = content[y, x] * ions_left
        bare = bare + _PER_ATOM * paths * (fixed + ions * atoms["Na"])
        kernel = spectrum.reshape(-1, round(1 / _STEP_EV)).sum(axis=1)
        scattered = signal.fftconvolve(bare, kernel)
        at = grid[0] - 15 + (1 - _STEP_EV) / 2 + np.arange(len(scattered))
        counts[:, y, x] = np.interp(CORE_EV - shift, at, scattered)
    return rng.poisson(np.clip(counts, 0, None) * electrons * (_LOW_SHARE if low else 1)).astype(
        "f4"
    )


def write_losses(
    path: str | Path, energy_ev: np.ndarray, counts: np.ndarray, *, pixel_nm: float,
    beam_kev: float, collection_mrad: float = 30.0,
) -> None:  # fmt: skip
    """Write counts (energy, y, x) as a spectrum image of HyperSpy, by rosettasciio."""
    from rsciio.hspy import file_writer

    rows, columns = counts.shape[1:]
    navigation = {"offset": 0.0, "scale": pixel_nm, "units": "nm", "navigate": True}
    detector = {"EELS": {"collection_angle": collection_mrad}}
    instrument = {"beam_energy": beam_kev, "convergence_angle": 10.0, "Detector": detector}
    signal_image = {
        "data": np.moveaxis(counts, 0, -1),
        "axes": [
            {"name": "y", "size": rows, "index_in_array": 0, **navigation},
            {"name": "x", "size": columns, "index_in_array": 1, **navigation},
            {"name": "Energy loss", "size": len(energy_ev), "offset": float(energy_ev[0]),
             "index_in_array": 2, "scale": float(energy_ev[1] - energy_ev[0]), "units": "eV",
             "navigate": False},
        ],
        "metadata": {
            "General": {"title": ""}, "Signal": {"signal_type": "EELS"},
            "Acquisition_instrument": {"TEM": instrument},
        },
        "original_metadata": {}, "package_info": {"package": "", "package_version": ""},
        "attributes": {"_lazy": False}, "learning_results": {}, "tmp_parameters": {}, "models": {},
    }  # fmt: skip
    file_writer(str(path), signal_image)
