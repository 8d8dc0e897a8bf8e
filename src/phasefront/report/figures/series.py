"""In situ series: maps through time, fronts of grains, and the cell beside its population."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.report.figures import style
from phasefront.series.course import Course
from phasefront.series.wording import likeliest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Panels of a filmstrip that a page can show, and in a row.
_MOST, _IN_ROW = 20, 5
# Milliseconds a scan is shown in the film, and the last one.
_FRAME_MS, _LAST_MS = 500, 2000
# Pixels of an inch of the film: a talk's slide is some 1000 wide.
_FILM_DPI = 110
# Grains whose fronts are drawn each in a panel.
_MOST_GRAINS = 12
# Of the log beside the scans, in parts of their time; and of the largest current what is none.
_MARGIN, _FLOWS = 0.05, 0.02


@style.styled
def draw_filmstrip(found: xr.Dataset, *, labels: Mapping[str, str] | None = None) -> Figure:
    """Maps through time: above what each scan says alone, below what all say together."""
    scans = found.sizes["scan"]
    shown = np.unique(np.linspace(0, scans - 1, min(scans, _MOST)).round().astype(int))
    columns = min(_IN_ROW, len(shown))
    rows = -(-len(shown) // columns)
    height, width = found["label"].shape
    panel = style.PAGE / columns
    tall = min(max(height / width, 0.15), 3.0)
    figure = style.page(style.PAGE, rows * (2 * panel * tall + 0.55) + 0.4)
    axes = figure.subplots(2 * rows, columns, squeeze=False)
    for at in range(rows * columns):
        above, below = axes[2 * (at // columns) : 2 * (at // columns) + 2, at % columns]
        if at >= len(shown):
            above.axis("off")
            below.axis("off")
            continue
        scan = int(shown[at])
        _draw_states(above, found["single"].values[scan])
        _draw_states(below, found["smooth"].values[scan])
        above.set_title(_moment(found, scan), fontsize=6.5)
        if at % columns == 0:
            above.set_ylabel("alone", fontsize=7)
            below.set_ylabel("with all", fontsize=7)
    _legend(figure, found, labels)
    return figure


def write_film(
    found: xr.Dataset, path: str | Path, *, labels: Mapping[str, str] | None = None
) -> None:
    """Write the maps through time as an animation (GIF) beside charge and share converted."""
    from PIL import Image

    frames = []
    for scan in range(found.sizes["scan"]):
        buffer = io.BytesIO()
        figure = _frame(found, scan, labels=labels)
        figure.savefig(buffer, format="png", dpi=_FILM_DPI, metadata={"Software": None})
        frames.append(Image.open(buffer).convert("RGB"))
    # One palette for all, so that colours do not flicker.
    palette = frames[-1].quantize(128, dither=Image.Dither.NONE)
    frames = [one.quantize(palette=palette, dither=Image.Dither.NONE) for one in frames]
    times = [_FRAME_MS] * (len(frames) - 1) + [_LAST_MS]
    frames[0].save(
        path, format="GIF", save_all=True, append_images=frames[1:], duration=times, loop=0
    )


@style.styled
def _frame(found: xr.Dataset, scan: int, *, labels: Mapping[str, str] | None = None) -> Figure:
    figure = style.page(style.PAGE, 3.4)
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1, 1.1]})
    _draw_states(left, found["smooth"].values[scan])
    left.set_title(_moment(found, scan))
    hours = found["mean_time"].values / 3600
    _draw_converted(right, found)
    right.axvline(hours[scan], color="black", linewidth=0.8)
    right.set_xlabel("time on the log (h)")
    _legend(figure, found, labels)
    return figure


@style.styled
def draw_fronts(found: xr.Dataset, course: Course) -> Figure:
    """When places of each grain convert, along the way of its front, with 95 % intervals, and when
    current flows by the log's `course`."""
    told = np.flatnonzero((found["converts"].values == 1) & np.isfinite(found["direction"].values))
    if not len(told):
        return style.sentence("No grain converts by enough positions that a front could be told.")
    told = told[np.argsort(found["begin"].values[told])][:_MOST_GRAINS]
    columns = min(3, len(told) + 1)
    rows = -(-(len(told) + 1) // columns)
    figure = style.page(style.PAGE, 2.2 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    _draw_change(axes[0], found, told)
    figure.colorbar(axes[0].images[0], ax=axes[0], shrink=0.8, label="converts at (h)")
    for ax, grain in zip(axes[1:], told, strict=False):
        _draw_front(ax, found, int(grain), course)
    for ax in axes[len(told) + 1 :]:
        ax.axis("off")
    return figure


def _draw_change(ax: Axes, found: xr.Dataset, told: np.ndarray) -> None:
    ax.imshow(found["change"].values / 3600, cmap="viridis")
    for grain in told:
        y, x = found["entry"].values[grain]
        way = np.radians(found["direction"].values[grain])
        reach = 0.6 * np.sqrt(found["size"].values[grain])
        ax.annotate(
            "", (x + reach * np.cos(way), y + reach * np.sin(way)), (x, y),
            arrowprops={"arrowstyle": "->", "color": "#B00020", "lw": 1.0},
        )  # fmt: skip
        ax.text(x, y, str(grain), fontsize=6.5, color="black", ha="center", va="center")
    ax.set(xticks=[], yticks=[])
    ax.set_title("time of change, and ways of fronts")


def _draw_front(ax: Axes, found: xr.Dataset, grain: int, course: Course) -> None:
    own = found["label"].values == grain
    y, x = np.nonzero(own)
    way = np.radians(found["direction"].values[grain])
    along = (x * np.cos(way) + y * np.sin(way)) * found.attrs["scan_step_nm"]
    along -= along.min()
    value, low, high = (found[f"change{end}"].values[own] / 3600 for end in ("", "_low", "_high"))
    known = np.isfinite(value)
    ax.errorbar(
        value[known], along[known], xerr=style.bars(value[known], low[known], high[known]),
        fmt=".", color="#444444", ecolor="#CCCCCC", elinewidth=0.5, markersize=1.5, zorder=1,
    )  # fmt: skip
    hours, _, current = _of_series(found, course)
    flows = np.abs(current) > _FLOWS * np.abs(current).max()
    ax.fill_between(
        hours, 0, 1, where=flows, color="#F2F2F2", transform=ax.get_xaxis_transform(), linewidth=0,
        zorder=0,
    )  # fmt: skip
    speed = [found[f"speed{end}"].values[grain] for end in ("", "_low", "_high")]
    told = likeliest(found, "law", grain)
    ax.set_title(
        f"grain {grain}: {speed[0]:.3g} nm/s\n({speed[1]:.3g} to {speed[2]:.3g}), {told}",
        fontsize=6.5,
    )
    ax.set(xlabel="time on the log (h)", ylabel="along the front's way (nm)")


@style.styled
def draw_cell(found: xr.Dataset, course: Course) -> Figure:
    """Voltage and current of the log's `course`, with the scans on it, beside what has converted
    and what is caught, against time."""
    figure = style.page(style.PAGE, 4.2)
    above, middle, below = figure.subplots(3, 1, sharex=True)
    hours = found["mean_time"].values / 3600
    of_log, voltage, current = _of_series(found, course)
    above.plot(of_log, voltage, color="black")
    above.plot(hours, found["voltage"].values, "o", color="black", markersize=3)
    above.set_ylabel("voltage (V)")
    other = above.twinx()
    other.plot(of_log, current, color="#999999")
    other.set_ylabel("current (mA)", color="#777777")
    _draw_converted(middle, found)
    value, low, high = (found[f"caught_share{end}"].values for end in ("", "_low", "_high"))
    below.fill_between(hours, low, high, color="#44AA99", alpha=0.25, linewidth=0)
    below.plot(hours, value, "o-", color="#44AA99", markersize=3)
    below.set(ylim=(-0.03, 1.03), ylabel="share of grains\nbetween both phases")
    below.set_xlabel("time on the log (h)")
    return figure


def _of_series(found: xr.Dataset, course: Course) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hours, voltage (V) and current (mA) of the log's records from the first scan to the last."""
    time = found["mean_time"].values
    margin = _MARGIN * np.ptp(time)
    during = (course.elapsed >= time[0] - margin) & (course.elapsed <= time[-1] + margin)
    return course.elapsed[during] / 3600, course.voltage[during], course.current[during]


def _draw_converted(ax: Axes, found: xr.Dataset) -> None:
    hours = found["mean_time"].values / 3600
    value, low, high = (found[f"converted_share{end}"].values for end in ("", "_low", "_high"))
    ax.fill_between(hours, low, high, color=style.PHASE_COLOURS[1], alpha=0.25, linewidth=0)
    ax.plot(hours, value, "o-", color=style.PHASE_COLOURS[1], markersize=3)
    ax.set(ylim=(-0.03, 1.03), ylabel="share of area\nconverted")


def _draw_states(ax: Axes, states: np.ndarray) -> None:
    """Colours of the phases by their posterior (y, x, state); unseen white."""
    from matplotlib.colors import to_rgb

    colours = [
        to_rgb(name)
        for name in (style.PHASE_COLOURS[0], style.MIXED_COLOUR, style.PHASE_COLOURS[1])
    ]
    image = np.nan_to_num(states) @ np.array(colours)
    image[np.isnan(states[..., 0])] = 1.0
    ax.imshow(np.clip(image, 0, 1))
    ax.set(xticks=[], yticks=[])


def _moment(found: xr.Dataset, scan: int) -> str:
    hours = found["mean_time"].values[scan] / 3600
    return f"{hours:.2f} h, {found['charge'].values[scan]:.3g} mA h"


def _legend(figure: Figure, found: xr.Dataset, labels: Mapping[str, str] | None) -> None:
    from matplotlib.patches import Patch

    rich, poor = style.labels([found.attrs["rich"], found.attrs["poor"]], labels)
    written = (rich, "mixed", poor)
    colours = (style.PHASE_COLOURS[0], style.MIXED_COLOUR, style.PHASE_COLOURS[1])
    figure.legend(
        handles=[Patch(color=c, label=w) for c, w in zip(colours, written, strict=True)],
        loc="outside lower center", ncols=3, fontsize=7,
    )  # fmt: skip
