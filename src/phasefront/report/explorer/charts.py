"""The page's plots as Bokeh models: empty ones that the page fills, and the comparison."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np
import xarray as xr
from bokeh.core.json_encoder import serialize_json
from bokeh.core.properties import value
from bokeh.document import Document
from bokeh.models import (
    BoxAnnotation,
    ColorBar,
    ColumnDataSource,
    CrosshairTool,
    HoverTool,
    LinearColorMapper,
    Model,
    Range1d,
    ScaleBar,
    Slope,
    Span,
    Whisker,
)
from bokeh.palettes import Greys256, Magma256, Viridis256
from bokeh.plotting import figure

from phasefront.comparison.sources import registry
from phasefront.report.figures import style

FONT = "system-ui, sans-serif"
INK, FAINT, RULE = "#1f2328", "#57606a", "#d0d7de"
PALETTES = {"viridis": Viridis256, "magma": Magma256, "greys": Greys256}
# matplotlib's markers of the sources by Bokeh's names.
_MARKERS = {"o": "circle", "s": "square", "D": "diamond", "^": "triangle", "v": "inverted_triangle"}
_ID = re.compile(r'"(p\d+)"')


def document(roots: Sequence[Model]) -> tuple[dict, list[str]]:
    """A Bokeh document as JSON, and the ids of its roots.

    Ids are numbered by their first use: Bokeh counts on from what the process made before.
    """
    made = Document()
    for root in roots:
        made.add_root(root)
    numbers: dict[str, str] = {}
    text = _ID.sub(
        lambda found: f'"{numbers.setdefault(found[1], f"b{len(numbers) + 1}")}"',
        serialize_json(made.to_json(deferred=False)),
    )
    return json.loads(text), [numbers[root.id] for root in roots]


def maps_of_scan() -> list[Model]:
    """Two maps with one cursor and one section, and their parts by name."""
    across, down = Range1d(0, 1), Range1d(1, 0)
    cursor = [
        Span(dimension="height", line_color=INK, line_width=0.6, line_alpha=0.6),
        Span(dimension="width", line_color=INK, line_width=0.6, line_alpha=0.6),
    ]
    shared = {
        name: ColumnDataSource(data={column: [] for column in columns}, name=name)
        for name, columns in {
            "edges": ("x0", "y0", "x1", "y1"), "outline": ("x0", "y0", "x1", "y1"),
            "hatched": ("left", "right", "top", "bottom"), "place": ("x", "y", "side"),
            "line": ("x", "y"),
        }.items()
    }  # fmt: skip
    return [_map(name, across, down, cursor, shared) for name in ("map-a", "map-b")]


def _map(name: str, across: Range1d, down: Range1d, cursor: list[Span], shared: dict) -> Model:
    plot = _plot(
        name=name, x_range=across, y_range=down, tools="pan,wheel_zoom,box_zoom,reset",
        active_scroll="wheel_zoom", toolbar_location=None, min_border=0,
    )  # fmt: skip
    plot.axis.visible = False
    plot.grid.visible = False
    plot.background_fill_color = style.VACUUM_COLOUR
    plot.outline_line_color = RULE
    place = ColumnDataSource(
        data={"image": [], "x": [], "y": [], "dw": [], "dh": []}, name=f"{name}-image"
    )
    mapper = LinearColorMapper(
        palette=Viridis256, low=0, high=1, nan_color=style.VACUUM_COLOUR, name=f"{name}-mapper"
    )
    square = {"image": "image", "x": "x", "y": "y", "dw": "dw", "dh": "dh"}
    plot.image(
        **square, source=place, color_mapper=mapper, name=f"{name}-values", visible=False,
    )  # fmt: skip
    colours = ColumnDataSource(data=dict(place.data), name=f"{name}-colours")
    plot.image_rgba(**square, source=colours, name=f"{name}-rgba")
    plot.quad(
        source=shared["hatched"], fill_alpha=0, line_alpha=0, hatch_pattern="/",
        hatch_color="white", hatch_weight=0.8, hatch_scale=6, name=f"{name}-hatch",
    )  # fmt: skip
    plot.segment(source=shared["edges"], line_color="black", line_width=0.7, name=f"{name}-edges")
    plot.segment(source=shared["outline"], line_color="white", line_width=4)
    plot.segment(source=shared["outline"], line_color=style.MEASURED_COLOUR, line_width=2)
    plot.line(source=shared["line"], line_color="white", line_width=3.5)
    plot.line(source=shared["line"], line_color=INK, line_width=1.5)
    for colour, width in (("white", 4), (INK, 1.8)):
        plot.rect(
            "x", "y", "side", "side", source=shared["place"], fill_alpha=0, line_color=colour,
            line_width=width,
        )  # fmt: skip
    plot.add_tools(CrosshairTool(overlay=cursor))
    plot.add_layout(
        ColorBar(
            color_mapper=mapper, height=8, title="", name=f"{name}-bar", visible=False,
            title_text_font=FONT, title_text_font_size="11px", title_text_font_style="normal",
            major_label_text_font=FONT, major_label_text_font_size="11px", padding=4,
            label_standoff=3, title_standoff=3,
        ),
        "below",
    )  # fmt: skip
    plot.add_layout(
        ScaleBar(
            range=across, unit="nm", location="bottom_left", bar_length=0.28, name=f"{name}-scale",
            background_fill_color="white", background_fill_alpha=0.8, border_line_color=None,
            label_text_font=FONT, label_text_font_size="11px", padding=5, margin=6,
        )
    )  # fmt: skip
    return plot


def pattern() -> Model:
    """The picture of one pattern with the spots found and predicted, in 1/angstrom."""
    plot = _plot(
        name="pattern", x_range=Range1d(-1, 1), y_range=Range1d(1, -1), min_border=2,
        tools="pan,wheel_zoom,reset", active_scroll="wheel_zoom", toolbar_location=None,
        frame_width=340, frame_height=340,
    )  # fmt: skip
    plot.axis.axis_label_text_font_size = "11px"
    plot.xaxis.axis_label = "q along the camera's rows (1/Å)"
    plot.grid.visible = False
    plot.background_fill_color = "white"
    source = ColumnDataSource(
        data={"image": [], "x": [], "y": [], "dw": [], "dh": []}, name="pattern-image"
    )
    plot.image(
        "image", "x", "y", "dw", "dh", source=source,
        color_mapper=LinearColorMapper(palette=Greys256[::-1], name="pattern-mapper"),
    )  # fmt: skip
    found = ColumnDataSource(
        data={name: [] for name in ("x", "y", "q", "d", "intensity")}, name="measured"
    )
    circles = plot.scatter(
        "x", "y", source=found, size=11, fill_alpha=0, line_width=1.2,
        line_color=style.MEASURED_COLOUR,
    )  # fmt: skip
    plot.add_tools(
        HoverTool(
            renderers=[circles],
            tooltips=[("measured", "@q{0.0000} 1/Å"), ("d", "@d{0.000} Å"),
                      ("intensity", "@intensity{0.0}")],
        )
    )  # fmt: skip
    for name, marker, width in (("predicted", "x", 1.4), ("second", "cross", 1.6)):
        columns = ("x", "y", "size", "hkl", "d", "weight", "phase")
        source = ColumnDataSource(data={column: [] for column in columns}, name=name)
        if name == "second":
            plot.scatter(
                "x", "y", size="size", marker=marker, source=source, line_color="white",
                line_width=3.2,
            )  # fmt: skip
        marks = plot.scatter(
            "x", "y", size="size", marker=marker, source=source, line_width=width,
            line_color=INK, name=f"{name}-marks",
        )  # fmt: skip
        plot.add_tools(
            HoverTool(
                renderers=[marks],
                tooltips=[("@phase", "@hkl"), ("d", "@d{0.000} Å"), ("weight", "@weight{0.0000}")],
            )
        )
    texts = ColumnDataSource(data={"x": [], "y": [], "text": []}, name="indices")
    plot.text(
        "x", "y", "text", source=texts, text_font=value(FONT), text_font_size="11px",
        text_align="center",
        text_baseline="bottom", y_offset=-6, text_color=INK, background_fill_color="white",
        background_fill_alpha=0.75, padding=1,
    )  # fmt: skip
    return plot


def profile() -> Model:
    """Misorientation along a line on the map."""
    plot = _plot(
        name="profile",
        height=190,
        sizing_mode="stretch_width",
        tools="",
        toolbar_location=None,
        x_range=Range1d(0, 1),
        y_range=Range1d(0, 1),
    )
    plot.xaxis.axis_label = "distance along the line"
    plot.yaxis.axis_label = "misorientation (°)"
    source = ColumnDataSource(
        data={name: [] for name in ("distance", "to_first", "to_last", "row", "column")},
        name="profile-source",
    )
    for column, colour, words in (
        ("to_first", style.PHASE_COLOURS[0], "to the line's start"),
        ("to_last", style.PHASE_COLOURS[5], "to the position before"),
    ):
        plot.line("distance", column, source=source, line_color=colour, line_width=1.5,
                  legend_label=words)  # fmt: skip
    plot.add_tools(
        HoverTool(
            mode="vline", tooltips=[("row, column", "@row, @column"),
                                    ("to start", "@to_first{0.00}°"),
                                    ("to the last", "@to_last{0.00}°")],
        )
    )  # fmt: skip
    plot.legend.location = "top_left"
    plot.legend.click_policy = "hide"
    return plot


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
    plot = _plot(name="contents", width=330, height=300, toolbar_location=None, tools="")
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
    plot = _plot(
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


def _plot(**options):
    plot = figure(**{"min_border": 6, "lod_threshold": None, **options})
    plot.toolbar.logo = None
    plot.outline_line_color = RULE
    plot.title.text_font, plot.title.text_font_size = FONT, "12px"
    plot.title.text_font_style = "bold"
    for axis in plot.axis:
        axis.axis_label_text_font = axis.major_label_text_font = FONT
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = axis.major_label_text_font_size = "11px"
        axis.axis_label_text_color = axis.major_label_text_color = FAINT
        axis.axis_line_color = axis.major_tick_line_color = "#8c959f"
        axis.minor_tick_line_color = None
    plot.grid.grid_line_color = "#eaeef2"
    return plot
