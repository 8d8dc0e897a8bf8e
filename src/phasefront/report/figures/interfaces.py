"""Grains with the interfaces fitted inside them, and ion contents from the outlines inwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.core.statistics import NORMAL_95
from phasefront.layouts.interfaces import Found, Side
from phasefront.report.figures import style
from phasefront.report.figures.maps import draw_decision, phase_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FACET_COLOUR = "#E2001A"
_MOST_NUMBERS = 60  # grains with their number beside the interface


@style.styled
def draw_interfaces(
    phases: xr.Dataset,
    grains: xr.Dataset,
    interfaces: xr.Dataset,
    *,
    labels: Mapping[str, str] | None = None,
    ion: str = "ions",
) -> Figure:
    """The map with interfaces and facets, and profiles of the ion content in two-phase grains."""
    step = float(interfaces.attrs["scan_step_nm"])
    figure = style.page(style.PAGE, style.map_height(phases["decision"].shape, columns=2) + 0.6)
    left, right = figure.subplots(1, 2)
    draw_decision(left, phases, grains)
    _draw_facets(left, interfaces)
    draw_segments(left, interfaces)
    count = int((interfaces["found"] == Found.INTERFACE).sum())
    of = f"{interfaces.sizes['grain']} grain{'' if interfaces.sizes['grain'] == 1 else 's'}"
    style.title(left, "a", f"interfaces in {count} of {of}")
    left.set(xlim=(-0.5, phases.sizes["x"] - 0.5), ylim=(phases.sizes["y"] - 0.5, -0.5))
    style.scan_axes(left, step)
    _draw_profiles(right, interfaces, step, ion)
    style.title(right, "b", "ion content from the outline inwards")
    phase_legend(figure, [phases], labels)
    directions, tilts = interfaces.attrs["directions"], interfaces.attrs["tilts"]
    figure.suptitle(f"Directions: {directions}.\nTilts: {tilts}.", fontsize=7)
    return figure


def _draw_facets(ax: Axes, interfaces: xr.Dataset) -> None:
    from matplotlib.collections import LineCollection

    ends = np.stack([interfaces["facet_x"].values, interfaces["facet_y"].values], axis=-1)
    ax.add_collection(LineCollection(ends, colors=_FACET_COLOUR, linewidths=1.2))


def draw_segments(ax: Axes, interfaces: xr.Dataset) -> None:
    """Each with the region that holds it in 95 of 100 cases, as its place and direction have it."""
    from matplotlib.collections import LineCollection, PolyCollection

    ends = np.stack([interfaces["end_x"].values, interfaces["end_y"].values], axis=-1)
    middle = ends.mean(axis=1, keepdims=True)
    half = 0.5 * interfaces["length"].values
    across = np.deg2rad(interfaces["rich_side"].values)
    normal = np.stack([np.cos(across), np.sin(across)], axis=-1)
    turn = np.deg2rad(interfaces["direction_stderr"].values)
    at = np.linspace(-1, 1, 9)
    reach = NORMAL_95 * np.hypot(
        interfaces["stderr_across"].values[:, None], at * (half * turn)[:, None]
    )
    on = middle + 0.5 * at[:, None] * (ends[:, 1:] - ends[:, :1])
    away = reach[..., None] * normal[:, None]
    regions = np.concatenate([on + away, (on - away)[:, ::-1]], axis=1)
    fitted = np.isfinite(reach).all(axis=1)
    ax.add_collection(
        PolyCollection(regions[fitted], facecolors="white", edgecolors="none", alpha=0.6)
    )
    for colour, width in (("black", 2.4), ("white", 1.2)):
        lines = LineCollection(ends, colors=colour, linewidths=width, capstyle="round")
        lines.set_linestyles(["-" if one else ":" for one in fitted] or "-")
        ax.add_collection(lines)
    offset = interfaces["segment_offset"].values
    shown = np.flatnonzero(np.diff(offset))
    for grain in shown if len(shown) <= _MOST_NUMBERS else []:
        own = slice(offset[grain], offset[grain + 1])
        longest = own.start + int(np.argmax(half[own]))
        x, y = middle[longest, 0] + 2.0 * normal[longest]
        ax.text(x, y, f"{grain}", ha="center", va="center", fontsize=6, clip_on=True)


def _draw_profiles(ax: Axes, interfaces: xr.Dataset, step: float, ion: str) -> None:
    known = np.isfinite(step)
    offset, found = interfaces["profile_offset"].values, interfaces["found"].values
    drawn = 0
    for grain in np.flatnonzero(found == Found.INTERFACE):
        own = np.arange(offset[grain], offset[grain + 1])
        own = own[interfaces["profile_side"].values[own] == Side.ALL]
        if not len(own):
            continue
        depth = interfaces["profile_depth"].values[own] * (step if known else 1.0)
        cut = bool(interfaces["cut"].values[grain])
        ax.errorbar(
            depth, interfaces["profile_ion_content"].values[own],
            yerr=interfaces["profile_stderr"].values[own], elinewidth=0.5, linewidth=0.8,
            linestyle="--" if cut else "-", color=f"C{drawn % 10}", label=f"{grain}",
        )  # fmt: skip
        drawn += 1
    ax.set(xlabel=f"distance from the outline ({'nm' if known else 'positions'})")
    ax.set_ylabel(f"{ion} per formula unit")
    if not drawn:
        ax.set_axis_off()
        ax.text(
            0.5, 0.5, "no grain with an interface\nand ion contents", ha="center", va="center",
            transform=ax.transAxes,
        )  # fmt: skip
    elif drawn <= 20:
        ax.legend(
            title="grain", fontsize=6, title_fontsize=6, loc="upper left", bbox_to_anchor=(1, 1.02)
        )
