"""Charge, 4D-STEM and powder side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


SOURCE_MARKERS = {"stem": "o", "cycling": "D", "powder": "s"}
SOURCE_NAMES = {"stem": "4D-STEM", "cycling": "cycling", "powder": "powder XRD"}
SOURCE_COLOURS = {"stem": "#D55E00", "cycling": "#000000", "powder": "#6A3D9A"}


@style.styled
def draw_comparison(
    cycling: Sequence[xr.Dataset],
    comparison: xr.Dataset,
    *,
    ion: str = "ions",
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Voltage against ion content with the states, ion contents against charge, and fractions.

    Without a log only the fractions are drawn, and of those the sources that have any.
    `cycling` holds the CYCLING data sets whose states COMPARISON names; `ion` is written in units.
    """
    names = style.labels(comparison["phase"].values, labels)
    if not cycling:
        figure = style.page(style.PAGE, 2.6)
        _draw_fractions(figure, comparison, names, letters="abcdefgh")
        return figure
    figure = style.page(style.PAGE, 5.6)
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.25, 1])
    curve, parity = upper.subplots(1, 2, width_ratios=[1.25, 1])
    unit = f"{ion} per formula unit"
    for log in cycling:
        _draw_curve(curve, log)
    style.title(curve, "a", "voltage and states (bars: 95 % interval of x)")
    curve.set(xlabel=f"x from charge ({unit})", ylabel="cell voltage (V)")
    curve.invert_xaxis()
    _draw_parity(parity, comparison)
    style.title(
        parity, "b", f"x of 4D-STEM and powder, margin ±{float(comparison.attrs['margin']):g}"
    )
    parity.set(xlabel=f"x from charge ({unit})", ylabel=f"x measured ({unit})")
    _draw_fractions(lower, comparison, names, letters="cdefghij")
    return figure


def _draw_curve(ax: Axes, cycling: xr.Dataset) -> None:
    """One log: the curve with its interval, and the states on it."""
    voltage, x = cycling["voltage"].values, cycling["ion_content"].values
    low, high = cycling["ion_content_low"].values, cycling["ion_content_high"].values
    ax.fill_betweenx(voltage, low, high, color="0.85", linewidth=0)
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
    limits = np.nanmin(reach) - 0.1, np.nanmax(reach) + 0.1
    line = np.array(limits)
    ax.fill_between(line, line - margin, line + margin, color="0.9", linewidth=0)
    ax.plot(line, line, color="0.5", linewidth=0.8)
    charge = {"source": sources.index("cycling")}
    # Open squares around filled disks: neither source hides the other.
    for name, size, filled in (("powder", 6.5, False), ("stem", 4.0, True)):
        if name not in sources:
            continue
        here = {"source": sources.index(name)}
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
    ax.legend(loc="upper left")


def _draw_fractions(figure, comparison: xr.Dataset, names: Sequence[str], *, letters: str) -> None:
    """One panel a phase: fraction of each state by each source, with 95 % bars."""
    axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    known = np.isfinite(comparison["fraction"].values).any(axis=(0, 2))
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
        states = [str(state) for state in comparison["state"].values]
        crowded = sum(map(len, states)) * len(names) > 100
        ax.set_xticks(places, states, rotation=45 if crowded else 0)
        ax.tick_params(axis="x", length=0)
        ax.set(ylim=(-0.03, 1.03), xlim=(-0.5, places[-1] + 0.5), xlabel="state")
        style.title(ax, letters[index], name)
    axes[0].set_ylabel("molar phase fraction")
    handles, texts = axes[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=len(sources))
