"""Intervals of fractions on virtual scans of known populations: do they hold the truth?"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from phasefront.report.figures import style
from phasefront.virtual import intervals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What is aimed at: shares of 95 % intervals that hold the truth, and largest mean error.
WANTED, LARGEST_BIAS = (0.92, 0.98), 0.01
# Fractions of the volume are nearly those of the formula units.
_KINDS, _SHOWN = ("area", "molar"), "molar"
_GROUPS = (
    "truth",
    "phase",
    "fraction of the rich phase",
    "insertion model",
    "effective grains",
)


@style.styled
def draw_coverage(table: pd.DataFrame, found: Mapping[str, Sequence[Mapping]]) -> Figure:
    """Every scan's interval about its truth; shares of intervals that hold it; mean errors.

    `table` is that of `virtual.coverage.run`, `found` what `virtual.intervals.summarise` says of
    it.
    """
    names = _group_names(found["coverage"])
    figure = style.page(style.PAGE, 2.4 + 0.25 * len(names) + 0.9)
    grid = figure.add_gridspec(2, 2, height_ratios=[2.0, 0.25 * len(names) + 0.6])
    _draw_scans(figure.add_subplot(grid[0, :]), table)
    shares, errors = (figure.add_subplot(grid[1, column]) for column in (0, 1))
    _draw_shares(shares, found["coverage"], names)
    _draw_bias(errors, found["bias"], names)
    return figure


def _group_names(entries: Sequence[Mapping]) -> list[tuple[str, str]]:
    wanted = ("all", *_GROUPS)
    seen = dict.fromkeys((one["by"], one["group"]) for one in entries if one["by"] in wanted)
    return sorted(seen, key=lambda name: wanted.index(name[0]))


def _draw_scans(ax: Axes, table: pd.DataFrame) -> None:
    """Intervals less the truth, of the ion-rich phase of each mixture, scans by their truth."""
    shown = table["kind"] == _SHOWN
    own = table[shown & (table["role"] == "rich") & table["population"].between(0, 1, "neither")]
    own = own.sort_values(["population", "scan"], kind="stable")
    at, truth = np.arange(len(own)), own["population"].to_numpy()
    held = intervals.held(own).to_numpy()
    for chosen, colour, label in (
        (held, "0.6", f"holds it ({held.sum()})"),
        (~held, style.MEASURED_COLOUR, f"does not ({(~held).sum()})"),
    ):
        low, high = (own[end].to_numpy()[chosen] - truth[chosen] for end in ("low", "high"))
        ax.vlines(at[chosen], low, high, color=colour, linewidth=0.9, label=label)
    ax.plot(at, own["unfolded"].to_numpy() - truth, ".", color="black", markersize=2, label="value")
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set(xlim=(-1, len(own)), ylabel=f"{_SHOWN} fraction less truth")
    states, first, count = np.unique(truth.round(6), return_index=True, return_counts=True)
    for edge in first[1:] - 0.5:
        ax.axvline(edge, color="0.85", linewidth=0.5, zorder=0)
    ax.set_xticks(first + (count - 1) / 2, [f"{state:g}" for state in states])
    ax.tick_params(axis="x", length=0)
    ax.set_xlabel(f"mixtures, by the population's {_SHOWN} fraction of the ion-rich phase")
    ax.legend(ncols=3, loc="lower right", bbox_to_anchor=(1.0, 0.98), handlelength=1)
    style.title(ax, "a", "95 % intervals about the truth")


def _draw_shares(ax: Axes, entries: Sequence[Mapping], names) -> None:
    ax.axvspan(*WANTED, color="0.9", linewidth=0)
    ax.axvline(0.95, color="0.5", linewidth=0.6)
    for number, kind in enumerate(_KINDS):
        value, low, high = _of_groups(
            entries, names, {"kind": kind}, ("covered", "covered_low", "covered_high")
        )
        _points(ax, value, style.bars(value, low, high), number, len(_KINDS), kind)
    ax.set_xlabel("share of intervals that hold the truth")
    ax.set_yticks(range(len(names)), [_written(*name) for name in names])
    style.title(ax, "b", "Coverage, 95 % Wilson intervals")


def _draw_bias(ax: Axes, entries: Sequence[Mapping], names) -> None:
    ax.axvspan(-LARGEST_BIAS, LARGEST_BIAS, color="0.9", linewidth=0)
    ax.axvline(0, color="0.5", linewidth=0.6)
    series = list(itertools.product(_KINDS, reversed(intervals.ESTIMATES)))
    for number, (kind, estimate) in enumerate(series):
        value, error = _of_groups(
            entries, names, {"kind": kind, "estimate": estimate},
            ("bias_of_area", "bias_of_area_stderr"),
        )  # fmt: skip
        _points(ax, value, 1.96 * error, number, len(series), f"{kind}, {estimate}")
    ax.set_xlabel("mean error against the scanned area")
    ax.set_yticks(range(len(names)), [])
    style.title(ax, "c", "Bias, with 95 % intervals")


def _of_groups(
    entries: Sequence[Mapping], names, wanted: Mapping, columns: Sequence[str]
) -> np.ndarray:
    """Values (column, group) of the entries of one series, NaN where there is none."""
    chosen = {
        (one["by"], one["group"]): [one[column] for column in columns]
        for one in entries
        if all(one[key] == value for key, value in wanted.items())
    }
    nothing = [None] * len(columns)
    return np.array([chosen.get(name, nothing) for name in names], dtype=float).T


def _points(ax: Axes, value, error, number: int, count: int, label: str) -> None:
    """One series of `count`, of which two share a colour, the second one with open markers."""
    at = np.arange(len(value)) + 0.8 / count * (number - (count - 1) / 2)
    colour = style.rgb(number // 2)
    ax.errorbar(
        value, at, xerr=error, fmt="o", markersize=2.5, linewidth=0.7, color=colour, label=label,
        markerfacecolor="white" if number % 2 else colour, markeredgewidth=0.7,
    )  # fmt: skip
    ax.set_ylim(len(value) - 0.5, -0.5)
    ax.legend(
        ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.07), fontsize=7, columnspacing=1,
        handletextpad=0.2,
    )  # fmt: skip


def _written(by: str, group: str) -> str:
    if by == "effective grains":
        return f"{group} effective grains"
    if by == "fraction of the rich phase":
        return f"rich phase {group}"
    return group
