"""Ion contents of single particles in the explorer: one mark a cell, by state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from bokeh.models import ColumnDataSource, HoverTool, Whisker

from phasefront.report.explorer.charts import base_plot

if TYPE_CHECKING:
    from bokeh.models import Model

_BESIDE = 0.7  # of a state's width that its particles share


def particles(
    cells: Mapping[str, xr.Dataset], colours: Mapping[str, str], states: Sequence[str], ion: str
) -> list[Model]:
    """A plot of the CELL data sets that have an ion content, in their phases' colours; none without
    any."""
    told = {name: found for name, found in cells.items() if not found.attrs["refused"]}
    if not told:
        return []
    plot = base_plot(name="particles", width=330, height=300, toolbar_location=None, tools="")
    plot.yaxis.axis_label = f"x of particles ({ion} per formula unit)"
    plot.xaxis.ticker = list(range(len(states)))
    plot.xaxis.major_label_overrides = dict(enumerate(states))
    columns: dict[str, list] = {
        **{end: [found[name].item() for found in told.values()] for end, name in _ENDS.items()},
        "x": _places([found.attrs["state"] for found in told.values()], states),
        "colour": [colours[found.attrs["phase"]] for found in told.values()],
        "cell": list(told),
        **{name: [found.attrs[name] for found in told.values()] for name in _TOLD},
    }
    points = ColumnDataSource(columns)
    bars = Whisker(base="x", lower="low", upper="high", source=points, line_color="colour")
    for head in (bars.lower_head, bars.upper_head):
        head.size = 6
    plot.add_layout(bars)
    marks = plot.scatter(
        "x", "value", source=points, size=7, fill_color="colour", line_color="white",
        name="particles",
    )  # fmt: skip
    tooltips = [("cell", "@cell"), ("particle", "@particle"), ("setting of", "@phase")]
    tooltips += [("x", "@value{0.000}"), ("95 %", "@low{0.000} to @high{0.000}")]
    tooltips += [("c / a", "@ratio{0.0000}"), ("notes", "@notes")]
    plot.add_tools(HoverTool(renderers=[marks], tooltips=tooltips))
    return [plot]


_ENDS = {
    "value": "ion_content", "low": "ion_content_low", "high": "ion_content_high", "ratio": "ratio",
}  # fmt: skip
_TOLD = ("particle", "phase", "notes")


def _places(of: Sequence[str], states: Sequence[str]) -> list[float]:
    """Where marks stand, side by side around the place of their state."""
    places = np.zeros(len(of))
    for at, state in enumerate(states):
        own = [k for k, one in enumerate(of) if one == state]
        for k, one in enumerate(own):
            places[one] = at + _BESIDE * ((k + 0.5) / len(own) - 0.5)
    return places.tolist()
