"""All sources side by side: one figure for a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.comparison.sources import registry
from phasefront.core.statistics import NORMAL_95
from phasefront.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Pairs of the reference wear colour and marker of the other source; those of two others these.
_PAIR_LOOKS = (("#B8860B", "^"), ("#2E8B57", "v"), ("#8B4513", "<"), ("#4682B4", ">"))
_MOST_ACROSS = 3  # panels, for the width of a page
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


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
    interval, and the limits of agreement. Without a log that gives an ion content only the
    fractions are drawn, and of those the sources that have any; without any, a sentence says so.
    `cycling` holds the CYCLING data sets whose states COMPARISON names; `ion` is written in units.
    """
    names = style.labels(comparison["phase"].values, labels)
    cycling = [log for log in cycling if np.isfinite(log["ion_content"].values).any()]
    has_fractions = bool(np.isfinite(comparison["fraction"].values).any())
    if not (cycling or has_fractions):
        return style.sentence("No source gives a phase fraction of any state: nothing to compare.")
    if not cycling:
        figure = style.page(style.PAGE, 2.6)
        _draw_fractions(figure, comparison, names, letters="abcdefgh")
        return figure
    pairs = [str(pair) for pair in comparison["pair"].values[comparison["states_compared"] > 0]]
    down = -(-len(pairs) // _MOST_ACROSS)
    heights = [2.8, *[2.2 * down] * bool(pairs), *[2.6] * has_fractions]
    figure = style.page(style.PAGE, sum(heights))
    rows = np.ravel(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False))
    curve, parity = rows[0].subplots(1, 2, width_ratios=[1.25, 1])
    unit, charge = f"{ion} per formula unit", registry.reference().phrase
    for log in cycling:
        _draw_curve(curve, log)
    style.title(curve, "a", "voltage and states (bars: 95 % interval of x)")
    curve.set(xlabel=f"x from {charge} ({unit})", ylabel="cell voltage (V)")
    curve.invert_xaxis()
    _draw_parity(parity, comparison)
    style.title(
        parity, "b", f"x beside {charge} (grey: 1:1 ± {float(comparison.attrs['margin']):g})"
    )
    parity.set(xlabel=f"x from {charge} ({unit})", ylabel=f"x measured ({unit})")
    if pairs:
        _draw_differences(rows[1], comparison, pairs, unit)
    if has_fractions:
        letters = _LETTERS[2 + len(pairs) :]
        _draw_fractions(rows[-1], comparison, names, letters=letters)
    return figure


def _draw_differences(figure, comparison: xr.Dataset, pairs: Sequence[str], unit: str) -> None:
    """A panel a pair: differences of states against their means, and what follows from them."""
    across = min(_MOST_ACROSS, len(pairs))
    down = -(-len(pairs) // across)
    axes = figure.subplots(down, across, sharey=True, squeeze=False)
    for ax in axes.flat[len(pairs) :]:
        ax.set_axis_off()
    looks = _looks(comparison)
    margin = float(comparison.attrs["margin"])
    shown = [margin]
    for number, (ax, pair) in enumerate(zip(axes.flat, pairs, strict=False)):
        here = comparison.sel(pair=pair)
        first, second = registry.sources_of(pair)
        value, low, high = (here[f"difference{end}"].values for end in ("", "_low", "_high"))
        mean = (
            comparison["ion_content"]
            .sel(source=[first.name, second.name])
            .mean("source", skipna=False)
        )
        colour, marker = looks[pair]
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
            mean, value, yerr=style.bars(value, low, high), fmt=marker, color=colour,
            markersize=4.5, capsize=2, linewidth=0.9, zorder=3,
        )  # fmt: skip
        _draw_limits(ax, here, colour)
        style.title(ax, _LETTERS[2 + number], f"{first.label} − {second.label}")
        ax.invert_xaxis()
        ax.margins(x=0.12)
        ax.set_xlabel(f"mean x ({unit})")
        shown += [*np.abs([low, high]).ravel(), *np.abs(here["limit_of_agreement"].values)]
    reach = 1.15 * np.nanmax(shown)
    for ax in axes[:, 0]:
        ax.set(ylabel="difference of x", ylim=(-reach, reach))


def _looks(comparison: xr.Dataset) -> dict[str, tuple[str, str]]:
    """Colour and marker of each pair."""
    found, free = {}, 0
    for pair in map(str, comparison["pair"].values):
        first, second = registry.sources_of(pair)
        if second is registry.reference():
            found[pair] = first.colour, first.marker
        else:
            found[pair] = _PAIR_LOOKS[free % len(_PAIR_LOOKS)]
            free += 1
    return found


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
    first, *others = map(registry.named, sources)
    charge = {"source": 0}
    for number, source in reversed(list(enumerate(others))):
        pair = comparison.sel(pair=registry.pair_name((source.name, first.name)))
        _draw_line(ax, pair, np.array(limits), source.colour, "--" if number else "-")
    # Larger open markers around smaller and filled ones: no source hides another.
    for number, source in reversed(list(enumerate(others))):
        here = {"source": 1 + number}
        if np.isnan(x[here]).all():
            continue
        colour = source.colour
        ax.errorbar(
            x[charge],
            x[here],
            xerr=style.bars(x[charge].values, low[charge].values, high[charge].values),
            yerr=style.bars(x[here].values, low[here].values, high[here].values),
            fmt=source.marker,
            color=colour,
            markerfacecolor="none" if number else colour,
            markersize=4.0 + 2.5 * number,
            capsize=2,
            linewidth=1,
            label=source.label,
        )
    ax.set(xlim=limits, ylim=limits, aspect="equal")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper left")


def _draw_line(ax: Axes, pair: xr.Dataset, ends: np.ndarray, colour: str, linestyle: str) -> None:
    """The line of total least squares with its 95 % band."""
    slope = pair["slope"].item()
    if not np.isfinite(slope):
        return
    x = np.linspace(*ends, 50)
    value = pair["intercept"].item() + slope * x
    design = np.stack([np.ones_like(x), x])
    variance = np.einsum("in,ij,jn->n", design, pair["line_covariance"].values, design)
    half = NORMAL_95 * np.sqrt(variance)
    ax.fill_between(x, value - half, value + half, color=colour, alpha=0.15, linewidth=0)
    ax.plot(x, value, color=colour, linewidth=0.9, linestyle=linestyle)


def _draw_fractions(figure, comparison: xr.Dataset, names: Sequence[str], *, letters: str) -> None:
    """One panel a phase: fraction of each state by each source, with 95 % bars.

    A cross stands where what a source has of a state was refused.
    """
    axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    known = np.isfinite(comparison["fraction"].values).any(axis=(0, 2))
    seeing = [registry.named(str(name)).sees_phases for name in comparison["source"].values]
    known |= seeing & (comparison["refused"].values != "").any(axis=0)
    comparison = comparison.isel(source=np.flatnonzero(known))
    refused = comparison["refused"].values != ""
    sources = [registry.named(str(name)) for name in comparison["source"].values]
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
                marker=source.marker, color=source.colour, markersize=4.5,
                capsize=2, linewidth=1, label=source.label, clip_on=False,
            )  # fmt: skip
            lost = refused[:, number] & np.isnan(value)
            if lost.any():
                ax.plot(
                    places[lost] + offset, np.zeros(lost.sum()), "x", clip_on=False,
                    color=source.colour, label=f"{source.label}, refused",
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
