"""4D-STEM: fractions of the phases in the scanned grains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasefront.comparison.sources.source import Material, Source
from phasefront.core.statistics import Interval


class Stem(Source):
    """A state has one STATE_FRACTIONS, in which its scans are pooled."""

    name, label, phrase, item = "stem", "4D-STEM", "4D-STEM", "scan"
    colour, marker = "#D55E00", "o"
    sees_phases = True

    def ion_content(self, data: Sequence[xr.Dataset], state: str) -> Interval:
        (fractions,) = data
        return np.array([fractions[f"ion_content{end}"].item() for end in ("", "_low", "_high")])

    def fractions(self, data: Sequence[xr.Dataset], state: str, material: Material) -> Interval:
        (fractions,) = data
        molar = fractions.sel(kind="molar")
        return np.stack([molar[name].to_numpy() for name in ("value", "low", "high")])

    def unexplained(self, data: Sequence[xr.Dataset], material: Material) -> str:
        return "; ".join(fractions.attrs["notes"] for fractions in data)
