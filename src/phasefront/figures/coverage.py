"""Intervals of fractions on virtual scans of known populations: do they hold the truth?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from phasefront.figures import style
from phasefront.virtual import intervals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What is aimed at: shares of 95 % intervals that hold the truth, and largest mean error.
WANTED, LARGEST_BIAS = (0.92, 0.98), 0.01
_SHOWN = "area"
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
    kinds = list(dict.fromkeys(table["kind"]))
    names = _group_names(found["coverage"])
    figure = style.page(style.PAGE, 2.4 + 0.21 * len(names) + 0.5)
    grid = figure.add_gridspec(2, 2, height_ratios=[2.0, 0.21 * len(names) + 0.3])
    _draw_scans(figure.add_subplot(grid[0, :]), table)
    shares, errors = (figure.add_subplot(grid[1, column]) for column in (0, 1))
    _draw_shares(shares, found["coverage"], names, kinds)
    _draw_bias(errors, found["bias"], names, kinds)
    errors.set_yticklabels([])
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
    held = intervals.held(own, "low", "high").to_numpy()
    for chosen, colour, label in (
        (held, "0.6", f"holds it ({held.sum()})"),
        (~held, style.MEASURED_COLOUR, f"does not ({(~held).sum()})"),
    ):
        low, high = (own[end].to_numpy()[chosen] - truth[chosen] for end in ("low", "high"))
        ax.vlines(at[chosen], low, high, color=colour, linewidth=0.9, label=label)
    ax.plot(at, own["found"].to_numpy() - truth, ".", color="black", markersize=2, label="found")
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set(xlim=(-1, len(own)), ylabel=f"{_SHOWN} fraction less truth")
    edges = np.flatnonzero(np.diff(truth) > 1e-9) + 0.5
    for edge in edges:
        ax.axvline(edge, color="0.9", linewidth=0.5, zorder=0)
    ax.set_xlabel("mixtures, by the population's fraction of the ion-rich phase, 0 to 1")
    ax.legend(ncols=3, loc="upper right", handlelength=1)
    style.title(ax, "a", "95 % intervals about the truth")


def _draw_shares(ax: Axes, entries, names, kinds) -> None:
    ax.axvspan(*WANTED, color="0.9", linewidth=0)
    ax.axvline(0.95, color="0.5", linewidth=0.6)
    for number, kind in enumerate(kinds):
        chosen = {
            (one["by"], one["group"]): one
            for one in entries
            if one["kind"] == kind and one["interval"] == "grains"
        }
        one = [chosen[name] for name in names]
        value, low, high = (
            np.array([entry[key] for entry in one])
            for key in ("covered", "covered_low", "covered_high")
        )
        _points(ax, value, style.bars(value, low, high), number, kinds)
    ax.set_yticks(range(len(names)), [_written(*name) for name in names])
    ax.set(ylim=(len(names) - 0.5, -0.5), xlabel="share of intervals that hold the truth")
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.0), fontsize=7, handletextpad=0.2)
    style.title(ax, "b", "Coverage, 95 % Wilson intervals")


def _draw_bias(ax: Axes, entries, names, kinds) -> None:
    ax.axvspan(-LARGEST_BIAS, LARGEST_BIAS, color="0.9", linewidth=0)
    ax.axvline(0, color="0.5", linewidth=0.6)
    for number, kind in enumerate(kinds):
        chosen = {(one["by"], one["group"]): one for one in entries if one["kind"] == kind}
        value, error = (
            np.array([(chosen.get(name) or {}).get(key) for name in names], dtype=float)
            for key in ("bias_of_area", "bias_of_area_stderr")
        )
        _points(ax, value, 1.96 * error, number, kinds)
    ax.set_yticks(range(len(names)))
    ax.set(ylim=(len(names) - 0.5, -0.5), xlabel="mean of found less that of the scanned area")
    style.title(ax, "c", "Bias, with 95 % intervals")


def _points(ax: Axes, value, error, number: int, kinds) -> None:
    at = np.arange(len(value)) + 0.2 * (number - (len(kinds) - 1) / 2)
    ax.errorbar(
        value, at, xerr=error, fmt="o", markersize=2.5, linewidth=0.8, capsize=1.5,
        color=style.rgb(number), label=kinds[number],
    )  # fmt: skip


def _written(by: str, group: str) -> str:
    if by == "effective grains":
        return f"{group} effective grains"
    if by == "fraction of the rich phase":
        return f"rich phase {group}"
    return group
