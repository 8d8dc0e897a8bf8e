"""Reference spectra: what a stack's spectra are made up of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from phasefront.core.errors import InputError
from phasefront.stacks.columns import columns_of


@dataclass(frozen=True)
class References:
    """Spectra of compounds of known valence.

    Attributes
    ----------
    names, valences
        Of each reference.
    energy, absorption
        Each reference's energies, eV, and its absorption per atom in one unit for all.
    thresholds
        Energies, eV, and heights of the continuum's steps where the spectra are white lines alone,
        as those of multiplets are; empty where they have their continuum.
    """

    names: tuple[str, ...]
    valences: np.ndarray
    energy: tuple[np.ndarray, ...]
    absorption: tuple[np.ndarray, ...]
    thresholds: tuple[tuple[float, float], ...] = ()

    def at(self, energy: np.ndarray, *, shift: float = 0.0, broadening: float = 0.0) -> np.ndarray:
        """Spectra (energy, reference), moved up by `shift` and blurred by a Gaussian, eV."""
        return np.stack(
            [
                _blurred(energy - shift, own, values, broadening)
                for own, values in zip(self.energy, self.absorption, strict=True)
            ],
            axis=1,
        )

    def check_covers(self, low: float, high: float, margin: float, source: str | Path) -> None:
        """Raise InputError unless all reach over a range of energies and a margin, eV."""
        for name, own in zip(self.names, self.energy, strict=True):
            if own[0] > low - margin or own[-1] < high + margin:
                raise InputError(
                    source, f"the reference {name} reaches from {own[0]:g} to {own[-1]:g} eV, and"
                    f" {low - margin:g} to {high + margin:g} eV are needed: those that are fitted,"
                    " and as much as energies may be shifted", field="chemistry.references",
                    remedy="narrow chemistry.fit_ev, or give a longer reference",
                )  # fmt: skip


def read_references(
    paths: Sequence[str | Path], names: Sequence[str], valences: Sequence[float], *,
    thresholds: Sequence[tuple[float, float]] = (),
) -> References:  # fmt: skip
    """References from text files of two columns, energy in eV and absorption per atom.

    Raises InputError for a file that is no such table, or holds no absorption.
    """
    tables = [columns_of(path, "two columns, energy in eV and absorption") for path in paths]
    for path, table in zip(paths, tables, strict=True):
        if not table[:, 1].max() > 0:
            raise InputError(path, "it absorbs nowhere", remedy="give absorption per atom")
    return References(
        tuple(names), np.array(valences, dtype=float), tuple(table[:, 0] for table in tables),
        tuple(table[:, 1] for table in tables), tuple((float(e), float(w)) for e, w in thresholds),
    )  # fmt: skip


def _blurred(
    energy: np.ndarray, own: np.ndarray, values: np.ndarray, broadening: float
) -> np.ndarray:
    """A spectrum at other energies; blurred on an even grid as fine as its finest step."""
    if broadening > 0:
        step = min(float(np.diff(own).min()), broadening / 3)
        grid = np.arange(own[0], own[-1] + step, step)
        values = ndimage.gaussian_filter1d(
            np.interp(grid, own, values), broadening / step, mode="nearest"
        )
        own = grid
    return np.interp(energy, own, values)
