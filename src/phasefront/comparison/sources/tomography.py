"""Electron diffraction tomography: ion contents of single particles by their cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront.comparison.sources import sample
from phasefront.comparison.sources.source import Material, Measurements
from phasefront.core.statistics import NORMAL_95, Interval


class Tomography(Measurements):
    """A state has any number of CELL data sets, of particles that are a sample of the electrode.

    Particles differ, so the mean over them has the error of a sample (`sample.mean_of_sample`). A
    sample of too few particles says nothing of an electrode.
    """

    name, label, phrase, item = "cells", "3D ED", "electron diffraction tomography", "cell"
    key = "cell_name"
    colour, marker = "#117733", "^"
    sees_phases, optional = False, True

    def usable(self, data: Sequence[xr.Dataset], material: Material) -> list[xr.Dataset]:
        found = super().usable(data, material)
        return found if len(_particles(found)) >= sample.FEWEST else []

    def refused(self, data: Sequence[xr.Dataset], material: Material) -> str:
        said = super().refused(data, material)
        few = sample.too_few(len(_particles(super().usable(data, material))), "particle")
        return "; ".join(filter(None, (said, few)))

    def ion_content(self, data: Sequence[xr.Dataset], state: str) -> Interval:
        return sample.mean_of_sample(*_means(data))

    def sampled(self, data: Sequence[xr.Dataset]) -> tuple[int, float]:
        means, variances = _means(data)
        return len(means), sample.spread(means, variances)


def _means(data: Sequence[xr.Dataset]) -> tuple[list[float], list[float]]:
    """Ion contents of particles and their variances."""
    found = [_mean(cells) for cells in _particles(data).values()]
    return [mean for mean, _ in found], [variance for _, variance in found]


def _particles(data: Sequence[xr.Dataset]) -> dict[str, list[xr.Dataset]]:
    """Cells of each particle."""
    particles: dict[str, list[xr.Dataset]] = {}
    for found in data:
        particles.setdefault(str(found.attrs["particle"]), []).append(found)
    return particles


def _mean(cells: Sequence[xr.Dataset]) -> tuple[float, float]:
    """Mean ion content of one particle and its variance.

    Distortions of one microscope are common to all series of a particle, so that their mean is
    taken to be no better than the mean of their errors.
    """
    value = np.mean([found["ion_content"].item() for found in cells])
    width = [found["ion_content_high"].item() - found["ion_content_low"].item() for found in cells]
    return float(value), float(np.mean(width) / (2 * NORMAL_95)) ** 2
