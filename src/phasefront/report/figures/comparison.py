"""Charge, 4D-STEM and powder side by side: one figure for a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.core.statistics import NORMAL_95
from phasefront.report.figures import style
from phasefront.report.tables import SOURCE_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


SOURCE_MARKERS = {"stem": "o", "cycling": "D", "powder": "s"}
SOURCE_COLOURS = {"stem": "#D55E00", "cycling": "#000000", "powder": "#6A3D9A"}
# Pairs wear the marker of what is compared and, where it is not charge, of the other source.
PAIR_COLOURS = {
    "stem - cycling": "#D55E00", "stem - powder": "#B8860B", "powder - cycling": "#6A3D9A",
}  # fmt: skip
PAIR_MARKERS = {"stem - cycling": "o", "stem - powder": "^", "powder - cycling": "s"}


@style.styled
def draw_comparison(
    cycling: Sequence[xr.Dataset],
    comparison: xr.Dataset,
    *,
    ion: str = "ions",
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Voltage against ion content, ion contents against charge, their differences, and fractions.

    The second panel has the lines of total least squares with their 95 % bands, the third the
    differences of each pair against the means (Bland and Altman) with the mean difference, its
    interval, and the limits of agreement. Without a log only the fractions are drawn, and of those
    the sources that have any; without any, a sentence says so. `cycling` holds the CYCLING data
    sets whose states COMPARISON names; `ion` is written in units.
    """
    names = style.labels(comparison["phase"].values, labels)
    has_fractions = bool(np.isfinite(comparison["fraction"].values).any())
    if not (cycling or has_fractions):
        return style.sentence("No source gives a phase fraction of any state: nothing to compare.")
    if not cycling:
        figure = style.page(style.PAGE, 2.6)
        _draw_fractions(figure, comparison, names, letters="abcdefgh")
        return figure
    pairs = [pair for pair in PAIR_MARKERS if comparison["states_compared"].sel(pair=pair) > 0]
    heights = [2.8, *[2.2] * bool(pairs), *[2.6] * has_fractions]
    figure = style.page(style.PAGE, sum(heights))
    rows = np.ravel(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False))
    curve, parity = rows[0].subplots(1, 2, width_ratios=[1.25, 1])
    unit = f"{ion} per formula unit"
    for log in cycling:
        _draw_curve(curve, log)
    style.title(curve, "a", "voltage and states (bars: 95 % interval of x)")
    curve.set(xlabel=f"x from charge ({unit})", ylabel="cell voltage (V)")
    curve.invert_xaxis()
    _draw_parity(parity, comparison)
    style.title(parity, "b", f"x beside charge (grey: 1:1 ± {float(comparison.attrs['margin']):g})")
    parity.set(xlabel=f"x from charge ({unit})", ylabel=f"x measured ({unit})")
    if pairs:
        _draw_differences(rows[1], comparison, pairs, unit)
    if has_fractions:
        letters = "abcdefghijklmnop"[2 + len(pairs) :]
        _draw_fractions(rows[-1], comparison, names, letters=letters)
    return figure


def _draw_differences(figure, comparison: xr.Dataset, pairs: Sequence[str], unit: str) -> None:
    """A panel a pair: differences of states against their means, and what follows from them."""
    axes = figure.subplots(1, len(pairs), sharey=True, squeeze=False)[0]
    margin = float(comparison.attrs["margin"])
    shown = [margin]
    for number, (ax, pair) in enumerate(zip(axes, pairs, strict=True)):
        here = comparison.sel(pair=pair)
        first, second = pair.split(" - ")
        value, low, high = (here[f"difference{end}"].values for end in ("", "_low", "_high"))
        mean = comparison["ion_content"].sel(source=[first, second]).mean("source", skipna=False)
        colour = PAIR_COLOURS[pair]
        ax.axhspan(-margin, margin, color="0.92", linewidth=0, zorder=0)
        ax.axhline(0, color="0.6", linewidth=0.6, zorder=1)
        ends = [here[f"mean_difference{end}"].item() for end in ("", "_low", "_high")]
        ax.axhspan(*ends[1:], color=colour, alpha=0.18, linewidth=0, zorder=1)
        ax.axhline(ends[0], color=colour, linewidth=1.2, zorder=2)
        for k in range(here.sizes["limit"]):
            ax.axhline(
                here["limit_of_agreement"].values[k], color=colour, linestyle=(0, (4, 3)),
                linewidth=0.9, zorder=2,
            )  # fmt: skip
        ax.errorbar(
            mean, value, yerr=style.bars(value, low, high), fmt=PAIR_MARKERS[pair], color=colour,
            markersize=4.5, capsize=2, linewidth=0.9, zorder=3,
        )  # fmt: skip
        _draw_limits(ax, here, colour)
        style.title(ax, "cdefgh"[number], f"{SOURCE_NAMES[first]} − {SOURCE_NAMES[second]}")
        ax.invert_xaxis()
        ax.margins(x=0.12)
        ax.set_xlabel(f"mean x ({unit})")
        shown += [*np.abs([low, high]).ravel(), *np.abs(here["limit_of_agreement"].values)]
    reach = 1.15 * np.nanmax(shown)
    axes[0].set(ylabel="difference of x", ylim=(-reach, reach))


def _draw_limits(ax: Axes, pair: xr.Dataset, colour: str) -> None:
    """The intervals of the limits of agreement, at the right edge."""
    value, low, high = (pair[f"limit_of_agreement{end}"].values for end in ("", "_low", "_high"))
    if np.isfinite(value).all():
        ax.errorbar(
            [0.97, 0.97], value, yerr=style.bars(value, low, high), fmt="none", ecolor=colour,
            capsize=2, linewidth=0.9, transform=ax.get_yaxis_transform(),
        )  # fmt: skip


def _draw_curve(ax: Axes, cycling: xr.Dataset) -> None:
    """One log: the curve with its interval, and the states on it."""
    voltage, x = cycling["voltage"].values, cycling["ion_content"].values
    low, high = cycling["ion_content_low"].values, cycling["ion_content_high"].values
    # Each half cycle by itself: areas of charge and discharge in one polygon cancel.
    for half in np.unique(cycling["half_cycle"].values):
        here = cycling["half_cycle"].values == half
        ax.fill_betweenx(voltage[here], low[here], high[here], color="0.85", linewidth=0)
    ax.plot(x, voltage, color="0.35", linewidth=0.9)
    at, level = cycling["state_ion_content"].values, cycling["state_voltage"].values
    interval = style.bars(
        at, cycling["state_ion_content_low"].values, cycling["state_ion_content_high"].values
    )
    ax.errorbar(
        at, level, xerr=interval, fmt="o", color="#D55E00", markersize=5, capsize=2.5, linewidth=1.2
    )
    for name, here, height in zip(cycling["state"].values, at, level, strict=True):
        ax.annotate(
            name, (here, height), xytext=(-3, 6), textcoords="offset points", ha="right",
            fontsize=7, color="#A84800",
        )  # fmt: skip
    ax.margins(x=0.1, y=0.12)


def _draw_parity(ax: Axes, comparison: xr.Dataset) -> None:
    """Measured against charge, with the line of agreement and the margin of equivalence."""
    x = comparison["ion_content"]
    low, high = comparison["ion_content_low"], comparison["ion_content_high"]
    margin = float(comparison.attrs["margin"])
    sources = [str(name) for name in comparison["source"].values]
    reach = np.array([low.min(), high.max(), x.min(), x.max()], dtype=float)
    if np.isnan(reach).all():
        ax.set(xticks=[], yticks=[])
        ax.text(0.5, 0.5, "no source has an\nion content of a state", transform=ax.transAxes,
                ha="center", va="center", color="0.35")  # fmt: skip
        return
    limits = np.nanmin(reach) - 0.1, np.nanmax(reach) + 0.1
    line = np.array(limits)
    ax.fill_between(line, line - margin, line + margin, color="0.9", linewidth=0)
    ax.plot(line, line, color="0.5", linewidth=0.8)
    charge = {"source": sources.index("cycling")}
    for name in ("powder", "stem"):
        _draw_line(ax, comparison.sel(pair=f"{name} - cycling"), np.array(limits), name)
    # Open squares around filled disks: neither source hides the other.
    for name, size, filled in (("powder", 6.5, False), ("stem", 4.0, True)):
        here = {"source": sources.index(name)}
        if np.isnan(x[here]).all():
            continue
        colour = SOURCE_COLOURS[name]
        ax.errorbar(
            x[charge],
            x[here],
            xerr=style.bars(x[charge].values, low[charge].values, high[charge].values),
            yerr=style.bars(x[here].values, low[here].values, high[here].values),
            fmt=SOURCE_MARKERS[name],
            color=colour,
            markerfacecolor=colour if filled else "none",
            markersize=size,
            capsize=2,
            linewidth=1,
            label=SOURCE_NAMES[name],
        )
    ax.set(xlim=limits, ylim=limits, aspect="equal")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper left")


def _draw_line(ax: Axes, pair: xr.Dataset, ends: np.ndarray, name: str) -> None:
    """The line of total least squares with its 95 % band."""
    slope = pair["slope"].item()
    if not np.isfinite(slope):
        return
    x = np.linspace(*ends, 50)
    value = pair["intercept"].item() + slope * x
    design = np.stack([np.ones_like(x), x])
    variance = np.einsum("in,ij,jn->n", design, pair["line_covariance"].values, design)
    half = NORMAL_95 * np.sqrt(variance)
    colour = SOURCE_COLOURS[name]
    ax.fill_between(x, value - half, value + half, color=colour, alpha=0.15, linewidth=0)
    ax.plot(x, value, color=colour, linewidth=0.9, linestyle="-" if name == "stem" else "--")


def _draw_fractions(figure, comparison: xr.Dataset, names: Sequence[str], *, letters: str) -> None:
    """One panel a phase: fraction of each state by each source, with 95 % bars.

    A cross stands where the fit of a state's powder patterns was refused.
    """
    axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    known = np.isfinite(comparison["fraction"].values).any(axis=(0, 2))
    refused = np.array([bool(text) for text in comparison["refused"].values])
    known |= refused.any() & (comparison["source"].values == "powder")
    comparison = comparison.isel(source=np.flatnonzero(known))
    sources = [str(name) for name in comparison["source"].values]
    places = np.arange(comparison.sizes["state"])
    offsets = np.linspace(-0.22, 0.22, len(sources)) if len(sources) > 1 else [0.0]
    for index, (ax, name) in enumerate(zip(axes, names, strict=True)):
        ax.set_facecolor((*style.rgb(index), 0.06))
        for place in places[1:]:
            ax.axvline(place - 0.5, color="0.85", linewidth=0.6, zorder=0)
        for number, (source, offset) in enumerate(zip(sources, offsets, strict=True)):
            value, low, high = (
                comparison[field].values[:, number, index]
                for field in ("fraction", "fraction_low", "fraction_high")
            )
            ax.errorbar(
                places + offset, value, yerr=style.bars(value, low, high), linestyle="",
                marker=SOURCE_MARKERS[source], color=SOURCE_COLOURS[source], markersize=4.5,
                capsize=2, linewidth=1, label=SOURCE_NAMES[source], clip_on=False,
            )  # fmt: skip
            lost = refused & np.isnan(value)
            if source == "powder" and lost.any():
                ax.plot(
                    places[lost] + offset, np.zeros(lost.sum()), "x", clip_on=False,
                    color=SOURCE_COLOURS[source], label=f"{SOURCE_NAMES[source]}, refused",
                )  # fmt: skip
        states = [str(state) for state in comparison["state"].values]
        crowded = sum(map(len, states)) * len(names) > 100
        ax.set_xticks(places, states, rotation=45 if crowded else 0)
        ax.tick_params(axis="x", length=0)
        ax.set(ylim=(-0.03, 1.03), xlim=(-0.5, places[-1] + 0.5), xlabel="state")
        style.title(ax, letters[index], name)
    axes[0].set_ylabel("molar phase fraction")
    handles, texts = axes[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=len(handles))
