"""Powder diffraction: fractions refined from the patterns of a state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront.comparison.sources.source import Material, Measurements
from phasefront.core.statistics import NORMAL_95, Interval
from phasefront.powder import misfits


class Powder(Measurements):
    """A state has any number of POWDER data sets.

    Several are averaged by inverse variance, with the Birge ratio where they scatter more than
    their e.s.d. say (Birge, Phys. Rev. 40, 207, 1932).
    """

    name, label, phrase, item = "powder", "powder XRD", "powder diffraction", "powder pattern"
    key = "pattern"
    colour, marker = "#6A3D9A", "s"
    sees_phases = True

    def ion_content(self, data: Sequence[xr.Dataset], state: str) -> Interval:
        return _average(data, "ion_content")

    def fractions(self, data: Sequence[xr.Dataset], state: str, material: Material) -> Interval:
        return np.clip(_average(data, "molar_fraction"), 0.0, 1.0)

    def unexplained(self, data: Sequence[xr.Dataset], material: Material) -> str:
        return self._said(data, material, _unexplained)


def _unexplained(pattern: xr.Dataset) -> str:
    return misfits.lines_in_words(
        pattern["unexplained_d"].to_numpy(), pattern["unexplained_height"].to_numpy()
    )


def _average(patterns: Sequence[xr.Dataset], name: str) -> Interval:
    """Mean over patterns by inverse variance, with its 95 % interval."""
    value = np.array([found[name].to_numpy() for found in patterns])
    esd = np.array([found[f"{name}_esd"].to_numpy() for found in patterns])
    if len(value) == 1:
        mean, error = value[0], esd[0]
    else:
        # An e.s.d. of zero (a phase fixed at its bound) must not outweigh all others.
        weight = 1 / np.maximum(esd, 1e-6) ** 2
        mean = np.sum(weight * value, axis=0) / np.sum(weight, axis=0)
        chi_squared = np.sum(weight * (value - mean) ** 2, axis=0) / (len(value) - 1)
        error = np.sqrt(np.maximum(chi_squared, 1.0) / np.sum(weight, axis=0))
    return np.stack([mean, mean - NORMAL_95 * error, mean + NORMAL_95 * error])
