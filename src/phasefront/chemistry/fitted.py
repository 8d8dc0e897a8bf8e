"""Spectra as they were fitted, position by position, and the parts whose sum the fit is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.layouts.chemistry import SPECTRA

# Windows of energy that losses are averaged in to be looked at: 10 eV wide over 1000. Chosen.
_MOST_WINDOWS = 96


@dataclass(frozen=True)
class FittedSpectra:
    """Spectra (energy, y, x), standard errors as the fit weighed them (NaN where an energy was left
    out), and parts (part, energy, y, x) by `names`; NaN where nothing was fitted."""

    energy: np.ndarray
    measured: np.ndarray
    stderr: np.ndarray
    names: tuple[str, ...]
    parts: np.ndarray


def by_terms(
    energy: np.ndarray, measured: np.ndarray, stderr: np.ndarray, terms: np.ndarray,
    amplitude: np.ndarray, names: Sequence[str], shape: tuple[int, int],
) -> FittedSpectra:  # fmt: skip
    """Of spectra (energy, position) that all have the same `terms` (energy, term).

    `amplitude` is (position, term). The first terms are the parts of `names`, and the others
    together are the background.
    """
    known = len(names)
    alone = np.einsum("ek,pk->kep", terms[:, :known], amplitude[:, :known])
    below = np.einsum("ek,pk->ep", terms[:, known:], amplitude[:, known:])
    parts = np.concatenate([alone, below[None]])
    return FittedSpectra(
        energy, measured.reshape(-1, *shape),
        np.where(np.isfinite(stderr), stderr, np.nan).reshape(-1, *shape),
        (*names, "background"), parts.reshape(known + 1, -1, *shape),
    )  # fmt: skip


def windows(channels: int) -> np.ndarray:
    """First channel of each window, at most 96 of as many channels each as can be."""
    number = min(channels, _MOST_WINDOWS)
    return np.arange(number) * channels // number


def averaged(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Means in windows of the last axis that begin at `starts`."""
    lengths = np.diff(np.append(starts, values.shape[-1]))
    return np.add.reduceat(values, starts, axis=-1) / lengths


def spectra_dataset(
    fitted: FittedSpectra, stack: str, *, quantity: str, unit: str, note: str = ""
) -> xr.Dataset:
    """A SPECTRA dataset; `note` is a sentence that whoever looks at them must know."""
    data: Mapping[str, object] = {
        "energy": fitted.energy, "measured": fitted.measured, "measured_stderr": fitted.stderr,
        "part": list(fitted.names), "model": fitted.parts,
    }  # fmt: skip
    return netcdf.build(
        SPECTRA, dict(data), {"map": stack, "quantity": quantity, "unit": unit, "note": note}
    )
