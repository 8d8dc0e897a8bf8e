"""The page's plots as Bokeh models: empty ones that the page fills, and the comparison."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from bokeh.core.json_encoder import serialize_json
from bokeh.core.properties import value
from bokeh.document import Document
from bokeh.models import (
    ColorBar,
    ColumnDataSource,
    CrosshairTool,
    HoverTool,
    LinearColorMapper,
    Model,
    Range1d,
    ScaleBar,
    Span,
)
from bokeh.palettes import Greys256, Magma256, Viridis256
from bokeh.plotting import figure

from phasefront.report.figures import style

FONT = "system-ui, sans-serif"
INK, FAINT, RULE = "#1f2328", "#57606a", "#d0d7de"
PALETTES = {"viridis": Viridis256, "magma": Magma256, "greys": Greys256}
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
            "hatched": ("left", "right", "top", "bottom"), "place": ("x", "y", "side", "reach"),
            "line": ("x", "y"), "fronts": ("x0", "y0", "x1", "y1"),
        }.items()
    }  # fmt: skip
    return [_map(name, across, down, cursor, shared) for name in ("map-a", "map-b")]


def _map(name: str, across: Range1d, down: Range1d, cursor: list[Span], shared: dict) -> Model:
    plot = base_plot(
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
    for part, colour, width in (("under", INK, 3.2), ("over", "white", 1.6)):
        plot.segment(
            source=shared["fronts"], line_color=colour, line_width=width, line_cap="round",
            name=f"{name}-fronts-{part}",
        )  # fmt: skip
    plot.segment(source=shared["outline"], line_color="white", line_width=4)
    plot.segment(source=shared["outline"], line_color=style.MEASURED_COLOUR, line_width=2)
    plot.line(source=shared["line"], line_color="white", line_width=3.5)
    plot.line(source=shared["line"], line_color=INK, line_width=1.5)
    for colour, width in (("white", 4), (INK, 1.8)):
        plot.rect(
            "x", "y", "side", "side", source=shared["place"], fill_alpha=0, line_color=colour,
            line_width=width,
        )  # fmt: skip
    # Of a map that was laid on the scan: where its value may be from.
    plot.circle(
        "x", "y", radius="reach", source=shared["place"], fill_alpha=0, line_color="white",
        line_width=1.5, line_dash="dotted",
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
    plot = base_plot(
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
                tooltips=[
                    ("phase", "@phase"),
                    ("hkl", "@hkl"),
                    ("d", "@d{0.000} Å"),
                    ("weight", "@weight{0.0000}"),
                ],
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
    plot = base_plot(
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
    plot.legend.click_policy = "hide"
    plot.legend.orientation = "horizontal"
    plot.add_layout(plot.legend[0], "above")
    return plot


def spectrum() -> Model:
    """The spectrum of a map's pixel: what was measured, its fit, and the parts of the fit."""
    plot = base_plot(
        name="spectrum", height=240, sizing_mode="stretch_width", x_range=Range1d(0, 1),
        y_range=Range1d(0, 1), tools="pan,wheel_zoom,box_zoom,reset", toolbar_location=None,
    )  # fmt: skip
    plot.xaxis.axis_label = "energy (eV)"
    sources = {
        name: ColumnDataSource(data={column: [] for column in columns}, name=f"spectrum-{name}")
        for name, columns in {
            "measured": ("energy", "value", "low", "high", "filled"),
            "fit": ("energy", "value"), "parts": ("energy", "value", "colour"),
        }.items()
    }  # fmt: skip
    plot.multi_line("energy", "value", source=sources["parts"], line_color="colour", line_width=1.2)
    plot.segment("energy", "low", "energy", "high", source=sources["measured"], line_color=FAINT)
    points = plot.scatter(
        "energy", "value", source=sources["measured"], size=4, line_color=INK, fill_color=INK,
        fill_alpha="filled",
    )  # fmt: skip
    plot.line("energy", "value", source=sources["fit"], line_color=INK, line_width=1.4)
    plot.add_tools(
        HoverTool(
            renderers=[points],
            tooltips=[("energy", "@energy{0.0} eV"), ("measured", "@value"),
                      ("95 %", "@low to @high")],
        )
    )  # fmt: skip
    return plot


def base_plot(**options) -> Model:
    """An empty figure in the page's style; `options` are those of `bokeh.plotting.figure`."""
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
