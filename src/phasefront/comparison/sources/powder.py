"""Powder diffraction: fractions refined from the patterns of a state."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from phasefront.comparison.sources.source import Material, Source
from phasefront.core.statistics import NORMAL_95, Interval
from phasefront.powder import misfits


class Powder(Source):
    """A state has any number of POWDER data sets.

    Several are averaged by inverse variance, with the Birge ratio where they scatter more than
    their e.s.d. say (Birge, Phys. Rev. 40, 207, 1932). Those from which a cell was refined, and
    those whose fit was refused, are named and do not count.
    """

    name, label, phrase, item = "powder", "powder XRD", "powder diffraction", "powder pattern"
    colour, marker = "#6A3D9A", "s"
    sees_phases = True

    def ion_content(self, data: Sequence[xr.Dataset], state: str) -> Interval:
        return _average(data, "ion_content")

    def fractions(self, data: Sequence[xr.Dataset], state: str, material: Material) -> Interval:
        return np.clip(_average(data, "molar_fraction"), 0.0, 1.0)

    def left_out(self, data: Sequence[xr.Dataset], material: Material) -> list[str]:
        return [_name(found) for found in data if _name(found) in material.calibrating]

    def usable(self, data: Sequence[xr.Dataset], material: Material) -> list[xr.Dataset]:
        return [found for found in _validating(data, material) if not found.attrs["refused"]]

    def refused(self, data: Sequence[xr.Dataset], material: Material) -> str:
        return _said(_validating(data, material), lambda found: str(found.attrs["refused"]))

    def unexplained(self, data: Sequence[xr.Dataset], material: Material) -> str:
        return _said(_validating(data, material), _unexplained)


def _name(pattern: xr.Dataset) -> str:
    return str(pattern.attrs["pattern"])


def _validating(data: Sequence[xr.Dataset], material: Material) -> list[xr.Dataset]:
    return [found for found in data if _name(found) not in material.calibrating]


def _said(patterns: Sequence[xr.Dataset], about: Callable[[xr.Dataset], str]) -> str:
    """What there is to say about some of a state's patterns, each after its name."""
    texts = {_name(found): about(found) for found in patterns}
    return "; ".join(f"{name}: {text}" for name, text in texts.items() if text)


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
