"""Maps of chemistry: ion contents of single grains by X-ray absorption or energy losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from phasefront.comparison.sources import sample
from phasefront.comparison.sources.source import Material, Source
from phasefront.core.statistics import Interval

# Ions per formula unit; an error of zero would be a weight of infinity.
_LEAST_ERROR = 1e-4


class Chemistry(Source):
    """A state has any number of maps of ion content, each by its `units.mapped_units`.

    Maps are of the grains that they show, which are a sample of the electrode (see `sample`) and
    weigh by how much of them there is. A grain of several maps counts once. Few grains say nothing
    of a state. Systematic errors are taken to be common to all.
    """

    name, label, phrase, item = "chemistry", "maps", "chemistry of mapped grains", "map"
    colour, marker = "#882255", "v"
    sees_phases, optional = False, True

    def usable(self, data: Sequence[xr.Dataset], material: Material) -> list[xr.Dataset]:
        return list(data) if len(_units(data)) >= sample.FEWEST else []

    def refused(self, data: Sequence[xr.Dataset], material: Material) -> str:
        return sample.too_few(len(_units(data)), "mapped grain")

    def ion_content(self, data: Sequence[xr.Dataset], state: str) -> Interval:
        units = _units(data)
        names, number = np.unique([one.agglomerate for one in units], return_inverse=True)
        value, variance, systematic, amount = np.array([one[1:] for one in units]).T
        return sample.weighted_mean(
            value, variance, amount, number if len(names) >= sample.FEWEST else None,
            shared_stderr=float(amount @ systematic / amount.sum()),
        )  # fmt: skip

    def sampled(self, data: Sequence[xr.Dataset]) -> tuple[int, float]:
        units = _units(data)
        variances = [max(one.variance, _LEAST_ERROR**2) for one in units]
        return len(units), sample.spread([one.value for one in units], variances)


class _Unit(NamedTuple):
    """A grain, or what is taken for one, by all of its maps."""

    agglomerate: str
    value: float
    variance: float
    systematic: float
    amount: float


def _units(data: Sequence[xr.Dataset]) -> list[_Unit]:
    """Units of a state."""
    area = np.array([one.attrs["pixel_area_nm2"] for one in data])
    area = area if np.isfinite(area).all() and (area > 0).all() else np.ones(len(data))
    found: dict[str, list[_Unit]] = {}
    for one, pixel in zip(data, area, strict=True):
        if not _counts(one, data):
            continue
        for at, name in enumerate(one["unit"].to_numpy()):
            unit = _Unit(*(one[of][at].item() for of in _Unit._fields))
            found.setdefault(str(name), []).append(unit._replace(amount=pixel * unit.amount))
    return [_together(same) for same in found.values()]


def _together(maps: Sequence[_Unit]) -> _Unit:
    """A unit by all of its maps, which weigh by their errors and are taken to be off alike, so that
    together they are no better than the best of them."""
    value, variance, systematic, amount = np.array([one[1:] for one in maps]).T
    weight = 1.0 / np.maximum(variance + systematic**2, _LEAST_ERROR**2)
    weight /= weight.sum()
    return _Unit(
        maps[0].agglomerate, float(weight @ value), float(weight @ variance),
        float(weight @ systematic), float(amount.mean()),
    )  # fmt: skip


def _counts(one: xr.Dataset, data: Sequence[xr.Dataset]) -> bool:
    """Whether a map counts beside the others: of a field whose grains nobody can match, one does,
    the first, and none where another map's are known."""
    if one.attrs["matched"] or not one.sizes["unit"]:
        return True
    field = [each for each in data if each.attrs["field"] == one.attrs["field"]]
    field = [each for each in field if each.sizes["unit"]]
    return field[0] is one and not any(each.attrs["matched"] for each in field)
