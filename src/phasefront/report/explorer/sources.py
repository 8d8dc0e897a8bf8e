"""The sources side by side as Bokeh plots: ion contents, and fractions of each phase."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from bokeh.models import (
    BoxAnnotation,
    ColumnDataSource,
    HoverTool,
    Model,
    Range1d,
    Slope,
    Whisker,
)

from phasefront.comparison.sources import registry
from phasefront.report.explorer.charts import INK, base_plot
from phasefront.report.figures import style

# matplotlib's markers of the sources by Bokeh's names.
_MARKERS = {"o": "circle", "s": "square", "D": "diamond", "^": "triangle", "v": "inverted_triangle"}


def comparison(data: xr.Dataset, names: Sequence[str], ion: str) -> list[Model]:
    """Ion contents by every source, and the fractions of each phase: hover, click the legend.

    Without an ion content by the reference, sources stand beside each other in each state.
    """
    sources = [registry.named(str(name)) for name in data["source"].values]
    states = [str(state) for state in data["state"].values]
    plots = []
    if np.isfinite(data["ion_content"].values).any():
        plots.append(_contents(data, sources, states, ion))
    if np.isfinite(data["fraction"].values).any():
        plots += [
            _fractions(data, sources, states, index, name) for index, name in enumerate(names)
        ]
    _hide_together(plots)
    return plots


def _contents(data: xr.Dataset, sources: list, states: list[str], ion: str) -> Model:
    all_ends = [data[f"ion_content{end}"].values for end in ("", "_low", "_high")]
    value = all_ends[0]
    reference = registry.reference()
    at = [source.name for source in sources].index(reference.name)
    against = np.isfinite(value[:, at]).any()
    plot = base_plot(name="contents", width=330, height=300, toolbar_location=None, tools="")
    unit = f"{ion} per formula unit"
    plot.yaxis.axis_label = f"x measured ({unit})"
    if against:
        plot.xaxis.axis_label = f"x from {reference.phrase} ({unit})"
        margin = float(data.attrs["margin"])
        ends = np.array([np.nanmin(value) - 0.3, np.nanmax(value) + 0.3])
        plot.varea(
            x=ends, y1=ends - margin, y2=ends + margin, fill_color="#eaeef2", level="underlay"
        )
        plot.add_layout(Slope(gradient=1, y_intercept=0, line_color="#8c959f", line_width=1))
    else:
        plot.xaxis.ticker = list(range(len(states)))
        plot.xaxis.major_label_overrides = dict(enumerate(states))
    for number, source in enumerate(sources):
        # The reference lies on the line; its bars lie across.
        x = value[:, at] if against else np.arange(len(states)) + 0.12 * (number - 1)
        own = (ends[:, number] for ends in all_ends)
        _points(plot, source, states, x, *own, across=against and number == at)
    return plot


def _fractions(data: xr.Dataset, sources: list, states: list[str], phase: int, name: str) -> Model:
    plot = base_plot(
        name=f"fractions-{phase}", width=210, height=300, toolbar_location=None, tools="",
        y_range=Range1d(-0.04, 1.04), x_range=Range1d(-0.5, len(states) - 0.5),
        title=name,
    )  # fmt: skip
    plot.title.text_color = INK
    plot.yaxis.axis_label = "molar phase fraction" if phase == 0 else None
    plot.xaxis.ticker = list(range(len(states)))
    plot.xaxis.major_label_overrides = dict(enumerate(states))
    plot.add_layout(
        BoxAnnotation(fill_color=style.PHASE_COLOURS[phase % len(style.PHASE_COLOURS)],
                      fill_alpha=0.06, level="underlay")
    )  # fmt: skip
    value, low, high = (data[f"fraction{end}"].values for end in ("", "_low", "_high"))
    known = [k for k in range(len(sources)) if np.isfinite(value[:, k]).any()]
    for place, number in enumerate(known):
        x = np.arange(len(states)) + 0.2 * (place - (len(known) - 1) / 2)
        ends = (values[:, number, phase] for values in (value, low, high))
        _points(plot, sources[number], states, x, *ends)
    return plot


def _points(plot, source, states, x, value, low, high, *, across=False) -> None:
    known = np.flatnonzero(np.isfinite(value) & np.isfinite(x))
    columns = {"x": x, "value": value, "low": low, "high": high}
    data = {name: np.asarray(values, float)[known].tolist() for name, values in columns.items()}
    data["state"] = [states[one] for one in known]
    points = ColumnDataSource(data)
    bars = Whisker(
        base="value" if across else "x", lower="low", upper="high", source=points,
        dimension="width" if across else "height", line_color=source.colour, line_width=1.2,
    )  # fmt: skip
    for head in (bars.lower_head, bars.upper_head):
        head.size = 6
        head.line_color = source.colour
    plot.add_layout(bars)
    marks = plot.scatter(
        "x", "value", source=points, marker=_MARKERS.get(source.marker, "circle"), size=8,
        fill_color=source.colour, line_color="white", line_width=0.8, legend_label=source.label,
        name=f"source-{source.name}",
    )  # fmt: skip
    marks.js_link("visible", bars, "visible")
    plot.add_tools(
        HoverTool(
            renderers=[marks],
            tooltips=[("state", "@state"), (source.label, "@value{0.000}"),
                      ("95 %", "@low{0.000} to @high{0.000}")],
        )
    )  # fmt: skip
    plot.legend.click_policy = "hide"
    plot.legend.location = "top_left"
    plot.legend.background_fill_alpha = 0.7
    plot.legend.border_line_color = None
    plot.legend.label_text_font_size = "11px"


def _hide_together(plots: Sequence[Model]) -> None:
    """A click in the first plot's legend hides the source in all; the others need none."""
    first = {marks.name: marks for marks in plots[0].renderers if marks.name} if plots else {}
    for plot in plots[1:]:
        plot.legend.visible = False
        for marks in plot.renderers:
            if marks.name in first:
                first[marks.name].js_link("visible", marks, "visible")
