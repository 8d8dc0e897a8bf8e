"""A virtual X-ray stack of sodium vanadium fluorophosphate at V L: Beer and Lambert's law, a probe,
drift, dark counts, light of higher orders and Poisson's noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from scipy import ndimage, special

from phasefront.virtual.mapping import Sight, Specimen

ENERGIES_EV = 506 + 0.2 * np.arange(116)  # below V L3 to below O K
# Optical density of a nm below V L, and what the continua of L3 and L2 add: 0.11 and 0.17 of 100 nm
# below and above, by xraydb's tables; white lines of some five times the step are made up.
_BELOW, _STEPS, _LINE = 1.1e-3, (4e-4, 2e-4), 6e-3
_ONSETS_EV = (516.5, 523.5)  # of the continua; chosen off those of the fit's thresholds
# Another crystal field than that of the fit: lines lie so many times as far from their mean as the
# references', are blurred by so many eV more, and energies are off by so many. Chosen.
_STRETCH, _BLUR_EV, _OFF_EV = 1.03, 0.15, 0.2
_FALL = 8e-3  # of the density below the edge, a share of it per eV; made up
_FRAME_NM = 2.0  # step by which the specimen moves from energy to energy; chosen
_I0_SLOPE = 0.03  # by which the light falls over the stack, a share of it; chosen
_GRID_EV = 0.05  # of spectra before they are measured


def spectra(references: Sequence[np.ndarray]) -> np.ndarray:
    """White lines and continua (energy, reference), optical density of a nm at ENERGIES_EV.

    `references` (n, 2) are those of V3+ and V4+, eV and absorption in one unit, white lines alone.
    """
    fine = np.arange(495.0, 545.0, _GRID_EV)
    highest = max(table[:, 1].max() for table in references)
    found = []
    for own, values in (table.T for table in references):
        centre = np.average(own, weights=values)
        line = np.interp((fine - centre - _OFF_EV) / _STRETCH + centre, own, values) / _STRETCH
        line = ndimage.gaussian_filter1d(line, _BLUR_EV / _GRID_EV) * _LINE / highest
        steps = sum(
            height * special.expit((fine - onset - _OFF_EV) / 0.5)
            for onset, height in zip(_ONSETS_EV, _STEPS, strict=True)
        )
        found.append(np.interp(ENERGIES_EV, fine, line + steps))
    return np.stack(found, axis=1)


def xray_counts(
    specimen: Specimen, sight: Sight, references: Sequence[np.ndarray], *, light: float,
    stray_share: float, dark_counts: float, seed: int,
) -> np.ndarray:  # fmt: skip
    """Counts (energy, row, column) of a specimen whose V is 3+ and 4+ as charges add up to nothing.

    x = 9 - 2 v for Na_x V_2 (PO4)_2 F_3, so that x of 3 is V3+ and x of 1 V4+.
    """
    rng = np.random.default_rng([seed, 1])
    valence = np.clip((9 - specimen.ion_content) / 2, 3, 4)
    shares = np.stack([4 - valence, valence - 3])
    own = spectra(references)
    moves = rng.normal(0, _FRAME_NM, (len(ENERGIES_EV), 2)).cumsum(axis=0)
    moves -= moves.mean(axis=0)  # what is laid on each other lies where the mean of the images does
    counts = np.empty((len(ENERGIES_EV), len(sight.placement.row_start), sight.columns))
    for at, energy in enumerate(ENERGIES_EV):
        per_nm = _BELOW * (1 - _FALL * (energy - ENERGIES_EV[0]))
        per_nm = per_nm + own[at, 0] * shares[0] + own[at, 1] * shares[1]
        through = sight.of(np.exp(-per_nm * specimen.thickness), beside=1.0, shift_nm=moves[at])
        i0 = light * (1 - _I0_SLOPE * at / len(ENERGIES_EV))
        counts[at] = i0 * ((1 - stray_share) * through + stray_share) + dark_counts
    return rng.poisson(counts).astype("f4")


def write_hermes(path: str | Path, energy_ev: np.ndarray, counts: np.ndarray, pixel_nm: float):
    """Write counts (energy, y, x) as HDF5 of PIXELATOR, as the beamline HERMES does."""
    with h5py.File(path, "w") as file:
        group = file.create_group("entry1/Counter0")
        group.create_dataset("data", data=counts, compression="gzip")
        group["energy"] = energy_ev
        for name, size in zip(("sample_y", "sample_x"), counts.shape[1:], strict=True):
            group[name] = pixel_nm / 1000 * np.arange(size)
        file["entry1/collection/beamline"] = np.array([b"Hermes"])
