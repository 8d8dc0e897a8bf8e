"""Maps of chemistry: ion contents of single particles by X-ray absorption or energy losses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront.comparison.sources import sample
from phasefront.comparison.sources.source import Material, Source
from phasefront.core.statistics import Interval


class Chemistry(Source):
    """A state has any number of CHEMISTRY data sets of ion content, each with an attribute
    `particle`.

    A map is of what it shows, not of the electrode: its mean weighs positions by thickness, maps of
    one particle count once, and few particles say nothing of a state (see `sample`). Systematic
    errors are taken to be common to all.
    """

    name, label, phrase, item = "chemistry", "maps", "chemistry of mapped particles", "map"
    colour, marker = "#882255", "v"
    sees_phases, optional = False, True

    def usable(self, data: Sequence[xr.Dataset], material: Material) -> list[xr.Dataset]:
        return list(data) if len(_particles(data)) >= sample.FEWEST else []

    def refused(self, data: Sequence[xr.Dataset], material: Material) -> str:
        return sample.too_few(len(_particles(data)), "mapped particle")

    def ion_content(self, data: Sequence[xr.Dataset], state: str) -> Interval:
        # Maps of one particle are off alike, so that their mean is no better than one of them.
        means = np.array([np.mean(one, axis=0) for one in _particles(data).values()])
        return sample.mean_of_sample(
            means[:, 0], means[:, 1], shared_stderr=float(means[:, 2].mean())
        )


def _particles(data: Sequence[xr.Dataset]) -> dict[str, list[tuple[float, float, float]]]:
    """Means of the maps of each particle, those without a told position left out."""
    particles: dict[str, list] = {}
    for one in data:
        if (one["mask"] == 1).any():
            particles.setdefault(str(one.attrs["particle"]), []).append(_mean(one))
    return particles


def _mean(one: xr.Dataset) -> tuple[float, float, float]:
    """Mean ion content of a map, its variance by noise, and its systematic standard error.

    Where nothing says how thick positions are, all weigh the same.
    """
    told = (one["mask"] == 1).to_numpy()
    value, noise, shared, thick = (
        one[name].to_numpy()[told]
        for name in ("value", "standard_error", "systematic_error", "thickness")
    )
    weight = np.clip(np.nan_to_num(thick), 0, None)
    weight = weight / weight.sum() if weight.sum() > 0 else np.full(len(value), 1 / len(value))
    return (
        float((weight * value).sum()), float(((weight * noise) ** 2).sum()),
        float((weight * shared).sum()),
    )  # fmt: skip
