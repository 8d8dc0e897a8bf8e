"""Along which direction the ion content of grains changes, and channels of the structure there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.layouts.pathways import WAYS
from phasefront.layouts.registration import ACCEPTED
from phasefront.report.figures import style
from phasefront.report.figures.registration import draw_outlines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOWER = 2.6  # height of the lower row in inches; chosen
_LEVELS = 5  # lines of equal content; chosen
_MOST = 6  # grains whose profiles are drawn, the largest; chosen
_ENDS = ("", "_low", "_high")


@style.styled
def draw_pathways(pathways: xr.Dataset, grains: xr.Dataset, *, ion: str) -> Figure:
    """A PATHWAYS data set: levels of ion content with the axes of grains and channels, its error,
    profiles along axes, and angles to channels. A sentence where the map is not laid."""
    said = pathways.attrs
    if said["status"] != ACCEPTED:
        return style.sentence(f"{said['map']} on {said['scan']}:\n{said['answer']}")
    label, step = grains["label"].to_numpy(), float(said["scan_step_nm"])
    content, stderr = (pathways[name].to_numpy() for name in ("content", "content_stderr"))
    height = style.map_height(content.shape, columns=2)
    figure = style.page(style.PAGE, height + _LOWER + 0.3)
    upper, lower = figure.subfigures(2, 1, height_ratios=[height, _LOWER])
    maps, below = upper.subplots(1, 2), lower.subplots(1, 2)
    for ax, values, unit, colours in (
        (maps[0], content, f"{ion} per formula unit", "viridis"),
        (maps[1], stderr, "standard error", "magma"),
    ):
        shown = np.ma.masked_invalid(np.where(label >= 0, values, np.nan))
        span = np.nanpercentile(shown.filled(np.nan), (1, 99)) if shown.count() else (None, None)
        image = ax.imshow(
            shown, cmap=style.with_missing(colours), vmin=span[0], vmax=span[1]
        )  # fmt: skip
        style.colour_bar(image, unit, extend="both")
        draw_outlines(ax, label)
        ax.autoscale(False)
    if np.isfinite(content).any():
        levels = np.linspace(*np.nanpercentile(content, (5, 95)), _LEVELS)
        if np.ptp(levels) > 0:
            maps[0].contour(content, levels=levels, colors="white", linewidths=0.4)
    _draw_axes(maps[0], pathways, label)
    style.title(maps[0], "a", "axes (red), channels (white)")
    style.title(maps[1], "b", "its error")
    for ax in maps:
        style.scan_axes(ax, step)
    _draw_profiles(below[0], pathways, ion)
    style.title(below[0], "c", "along the axis, and across (dashed)")
    _draw_angles(below[1], pathways)
    style.title(below[1], "d", "from the axis to the nearest channel")
    return figure


def _draw_axes(ax: Axes, pathways: xr.Dataset, label: np.ndarray) -> None:
    for at, grain in enumerate(pathways["label"].to_numpy()):
        y, x = np.nonzero(label == grain)
        middle, reach = (x.mean(), y.mean()), 0.4 * np.sqrt(len(y))
        of_grain = pathways["shown_label"].to_numpy() == grain
        for direction in pathways["shown_direction"].to_numpy()[of_grain]:
            _line(ax, middle, direction, reach, color="white", linewidth=0.8, linestyle=":")
        direction, low, high = (float(pathways[f"direction{end}"][at]) for end in _ENDS)
        if np.isfinite(direction):
            strength = float(pathways["anisotropy"][at])
            for one, width in ((low, 0.5), (high, 0.5), (direction, 0.6 + 1.6 * strength)):
                _line(ax, middle, one, reach, color="tab:red", linewidth=width)


def _line(ax: Axes, middle: tuple[float, float], direction: float, reach: float, **how) -> None:
    along = reach * np.array([np.cos(np.radians(direction)), np.sin(np.radians(direction))])
    (x, y), (dx, dy) = middle, along
    ax.plot([x - dx, x + dx], [y - dy, y + dy], **how)


def _draw_profiles(ax: Axes, pathways: xr.Dataset, ion: str) -> None:
    place = pathways["place"].to_numpy()
    known = np.isfinite(pathways["profile"].to_numpy()).sum(axis=(1, 2))
    for number, at in enumerate(np.argsort(-known)[:_MOST]):
        colour = f"C{number}"
        for way, dashes in zip(range(len(WAYS)), ("-", "--"), strict=True):
            value, low, high = (pathways[f"profile{end}"].to_numpy()[at, way] for end in _ENDS)
            ax.plot(place, value, dashes, color=colour, linewidth=1.0)
            if way == 0:
                ax.fill_between(place, low, high, color=colour, alpha=0.2, linewidth=0)
    ax.set(xlabel="from the grain's middle (nm)", ylabel=f"{ion} per formula unit")


def _draw_angles(ax: Axes, pathways: xr.Dataset) -> None:
    value, low, high = (pathways[f"channel_angle{end}"].to_numpy() for end in _ENDS)
    names = [
        f"{grain} (p = {chance:.2g})" if np.isfinite(chance) else f"{grain} (none on the map)"
        for grain, chance in zip(
            pathways["label"].to_numpy(), pathways["channel_chance"].to_numpy(), strict=True
        )
    ]
    place, told = np.arange(len(names)), np.isfinite(value)
    ax.errorbar(
        value[told], place[told], xerr=style.bars(value[told], low[told], high[told]), fmt="o",
        markersize=3, color=style.MEASURED_COLOUR, elinewidth=0.8,
    )  # fmt: skip
    ax.set_yticks(place, names)
    ax.set(xlim=(0, 90), xlabel="degrees", ylabel="grain")
    ax.set_ylim(max(len(names), 1) - 0.5, -0.5)
