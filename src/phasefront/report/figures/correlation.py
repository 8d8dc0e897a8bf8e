"""Chemistry of a map beside the structure that a scan saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.core.statistics import NORMAL_95
from phasefront.layouts.chemistry import ION_CONTENT
from phasefront.layouts.registration import ACCEPTED
from phasefront.report.figures import style
from phasefront.report.figures.registration import draw_outlines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOWER = 2.8  # height of the lower row in inches; chosen
_ENDS = ("", "_low", "_high")


@style.styled
def draw_correlation(correlation: xr.Dataset, grains: xr.Dataset, *, ion: str) -> Figure:
    """A CORRELATION data set: both maps, their difference in standard errors, one against the
    other, and slopes of the parts. A sentence where the map is not laid."""
    said = correlation.attrs
    if said["status"] != ACCEPTED:
        return style.sentence(
            f"{said['map']} on {said['scan']} is {said['status']}:\n{said['registration_why']}"
        )
    structure, chemistry = (correlation[name].to_numpy() for name in ("structure", "chemistry"))
    step, label = float(said["scan_step_nm"]), grains["label"].to_numpy()
    height = style.map_height(structure.shape, columns=3)
    figure = style.page(style.PAGE, height + _LOWER + 0.3)
    upper, lower = figure.subfigures(2, 1, height_ratios=[height, _LOWER])
    maps, below = upper.subplots(1, 3), lower.subplots(1, 2)
    same = said["quantity"] == ION_CONTENT
    name = f"{ion} per formula unit" if same else _with_unit(said)
    both = np.concatenate([structure[label >= 0], chemistry[label >= 0]])
    span = np.nanpercentile(both, (1, 99)) if np.isfinite(both).any() else (None, None)
    _draw_map(maps[0], structure, label, f"{ion} per formula unit", span if same else (None, None))
    style.title(maps[0], "a", "by structure")
    _draw_map(maps[1], chemistry, label, name, span if same else (None, None))
    style.title(maps[1], "b", f"by chemistry ({said['map']})")
    error = _total_error(correlation, same)
    if same:
        pull = (chemistry - structure) / error
        _draw_map(maps[2], pull, label, "standard errors", (-3, 3), colours="RdBu_r")
        style.title(maps[2], "c", "chemistry - structure")
    else:
        _draw_map(maps[2], error, label, name, (0, None), colours="magma")
        style.title(maps[2], "c", "error of the chemistry")
    for ax in maps:
        style.scan_axes(ax, step)
    _draw_against(below[0], correlation, label)
    below[0].set(xlabel=f"{ion} per formula unit by structure", ylabel=f"{name} by chemistry")
    style.title(below[0], "d", "one against the other")
    _draw_slopes(below[1], correlation)
    style.title(below[1], "e", f"slopes: {said['answer']}")
    return figure


def _with_unit(said: dict) -> str:
    return str(said["quantity"]) + ("" if said["unit"] == "1" else f" ({said['unit']})")


def _total_error(correlation: xr.Dataset, both: bool) -> np.ndarray:
    """Standard error (y, x) of the chemistry, or of its difference from the structure."""
    names = ["chemistry_stderr", "chemistry_systematic", "registration_stderr"]
    names += ["structure_stderr"] * both
    return np.sqrt(sum(correlation[name].to_numpy() ** 2 for name in names))


def _draw_map(
    ax: Axes, values: np.ndarray, label: np.ndarray, unit: str, span: tuple,
    colours: str = "viridis",
) -> None:  # fmt: skip
    shown = np.ma.masked_invalid(np.where(label >= 0, values, np.nan))
    image = ax.imshow(shown, cmap=style.with_missing(colours), vmin=span[0], vmax=span[1])
    style.colour_bar(image, unit, extend="both")
    draw_outlines(ax, label)


def _draw_against(ax: Axes, correlation: xr.Dataset, label: np.ndarray) -> None:
    """Points as far apart as the statistics take them, with the line of the stated slope."""
    attributes = correlation.attrs
    stride = max(1, round(float(attributes["map_pixel_nm"]) / float(attributes["scan_step_nm"])))
    at = np.s_[stride // 2 :: stride, stride // 2 :: stride]
    x, y, where = (
        values[at] for values in (
            correlation["structure"].to_numpy(), correlation["chemistry"].to_numpy(), label
        )
    )  # fmt: skip
    known = np.isfinite(x) & np.isfinite(y) & (where >= 0)
    if not known.any():
        return
    distance = correlation["interface_distance"].to_numpy()[at][known]
    ax.scatter(x[known], y[known], s=6, color="0.75", linewidths=0)
    near = np.isfinite(distance)
    if near.any():
        points = ax.scatter(
            x[known][near], y[known][near], s=6, c=distance[near], cmap="viridis", linewidths=0
        )
        style.colour_bar(points, "from the interface (nm)")
    slope, low, high = (correlation[f"slope{end}"].to_numpy()[0] for end in _ENDS)
    if np.isfinite(slope):
        line = np.array([x[known].min(), x[known].max()])
        off, middle = line - x[known].mean(), y[known].mean()
        ends = np.sort([middle + one * off for one in (low, high)], axis=0)
        ax.fill_between(line, *ends, color=style.MEASURED_COLOUR, alpha=0.2, linewidth=0)
        ax.plot(line, middle + slope * off, color=style.MEASURED_COLOUR)


def _draw_slopes(ax: Axes, correlation: xr.Dataset) -> None:
    value, low, high = (correlation[f"slope{end}"].to_numpy() for end in _ENDS)
    names = [str(name) for name in correlation["part"].to_numpy()]
    counts = [
        f"{name}\n({number:.0f} of {points})" if np.isfinite(number) else f"{name}\n(too few)"
        for name, number, points in zip(
            names, correlation["effective"].to_numpy(), correlation["points"].to_numpy(),
            strict=True,
        )
    ]  # fmt: skip
    place = np.arange(len(names))
    told = np.isfinite(value)
    ax.errorbar(
        value[told], place[told], xerr=style.bars(value[told], low[told], high[told]), fmt="o",
        markersize=3, color=style.MEASURED_COLOUR, elinewidth=0.8,
    )  # fmt: skip
    error = float(correlation.attrs["slope_systematic"])
    if told.any() and told[0] and error > 0:
        ax.errorbar(value[0], 0, xerr=NORMAL_95 * error, fmt="none", color="0.6", elinewidth=3,
                    zorder=0)  # fmt: skip
    if np.isfinite(wanted := float(correlation.attrs["expected_slope"])):
        ax.axvline(wanted, color="0.4", linestyle="--", linewidth=0.8)
    ax.set_yticks(place, counts)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlabel("slope of chemistry against structure")
