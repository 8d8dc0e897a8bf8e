"""Electron diffraction tomography: ion contents of single particles by their cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront.comparison.sources.source import Material, Measurements
from phasefront.core.statistics import NORMAL_95, Interval

# Particles that show their own spread; of two, the 95 % interval is 13 times as wide as their s.e.
FEWEST_PARTICLES = 3


class Tomography(Measurements):
    """A state has any number of CELL data sets, of particles that are a sample of the electrode.

    Particles differ, so the mean over them has the error of a sample: the variance between them is
    fitted beside the errors of each (Paule and Mandel, J. Res. NBS 87, 377, 1982), and the interval
    is Student's (Hartung and Knapp, Stat. Med. 20, 3875, 2001), though never narrower than without
    their factor. A sample of too few particles says nothing of an electrode.
    """

    name, label, phrase, item = "cells", "3D ED", "electron diffraction tomography", "cell"
    key = "cell_name"
    colour, marker = "#117733", "^"
    sees_phases, optional = False, True

    def usable(self, data: Sequence[xr.Dataset], material: Material) -> list[xr.Dataset]:
        found = super().usable(data, material)
        return found if len(_particles(found)) >= FEWEST_PARTICLES else []

    def refused(self, data: Sequence[xr.Dataset], material: Material) -> str:
        said = super().refused(data, material)
        count = len(_particles(super().usable(data, material)))
        if 0 < count < FEWEST_PARTICLES:
            few = (
                f"{count} particle{'s' * (count > 1)}, where {FEWEST_PARTICLES} are needed to tell"
                " how particles differ"
            )
            said = f"{said}; {few}" if said else few
        return said

    def ion_content(self, data: Sequence[xr.Dataset], state: str) -> Interval:
        from scipy import stats
        from statsmodels.stats.meta_analysis import combine_effects

        means = [_mean(cells) for cells in _particles(data).values()]
        with np.errstate(divide="ignore"):  # of I squared where all are the same; it is not used
            found = combine_effects(
                np.array([mean for mean, _ in means]),
                np.array([variance for _, variance in means]),
                method_re="iterated",
            )
        error = max(found.sd_eff_w_re, found.sd_eff_w_re_hksj)
        half = stats.t.ppf(0.975, len(means) - 1) * error
        return found.mean_effect_re + np.array([0.0, -half, half])


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
