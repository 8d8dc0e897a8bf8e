"""Phase fractions of each scan, what they rest on, and how they follow the threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.fractions.pooling import scans_of
from phasefront.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_ACROSS = 5  # panels, for the width of a page
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_KIND_MARKERS = {"area": "o", "thickness": "^", "molar": "s"}


@style.styled
def draw_fractions(
    scans: Mapping[str, xr.Dataset],
    states: Mapping[str, xr.Dataset],
    *,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """One panel a phase with the fractions of every scan, and one a scan with its threshold sweep.

    `scans` maps names to FRACTIONS data sets, `states` to STATE_FRACTIONS, with the same phases. A
    state of several scans is drawn after them as one more scan.
    """
    pooled = {f"{name} (all)": state for name, state in states.items() if len(scans_of(state)) > 1}
    scans = {**scans, **pooled}
    first = next(iter(scans.values()))
    names = style.labels(first["phase"].values, labels)
    across = min(_MOST_ACROSS, len(scans))
    down = -(-len(scans) // across)
    figure = style.page(style.PAGE, 3.0 + 1.7 * down)
    upper, lower = figure.subfigures(2, 1, height_ratios=[3.0, 1.7 * down])
    axes = upper.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for index, (ax, name) in enumerate(zip(axes, names, strict=True)):
        _draw_phase(ax, list(scans.values()), index)
        crowded = sum(map(len, scans)) * len(names) > 100
        ax.set_xticks(range(len(scans)), list(scans), rotation=60 if crowded else 0)
        style.title(ax, _LETTERS[index], name)
    axes[0].set_ylabel("phase fraction")
    handles, texts = axes[0].get_legend_handles_labels()
    upper.legend(handles, texts, loc="outside lower center", ncols=3)
    panels = lower.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for ax in panels.flat[len(scans) :]:
        ax.set_axis_off()
    for number, (ax, (scan, found)) in enumerate(zip(panels.flat, scans.items(), strict=False)):
        _draw_sweep(ax, found, names)
        style.title(ax, _LETTERS[(len(names) + number) % 26], scan)
    for ax in panels[:, 0]:
        ax.set_ylabel("share")
    panels[-1, across // 2].set_xlabel("posterior that a decision needs")
    handles, texts = panels[0, 0].get_legend_handles_labels()
    lower.legend(handles, texts, loc="outside lower center", ncols=len(handles))
    return figure


def _draw_phase(ax: Axes, scans: Sequence[xr.Dataset], phase: int) -> None:
    """Kinds side by side in each scan, with what is found, unfolded, its intervals and bounds."""
    ax.set_facecolor((*style.rgb(phase), 0.06))
    kinds = [str(kind) for kind in scans[0]["kind"].values]
    for kind, shift in zip(kinds, (-0.27, 0.0, 0.27), strict=True):
        at = np.arange(len(scans)) + shift
        found, value, low, high, bound_low, bound_high = (
            np.array([scan[name].sel(kind=kind).values[phase] for scan in scans])
            for name in (
                "found", "value", "low", "high", "bound_low", "bound_high",
            )
        )  # fmt: skip
        last = kind == kinds[-1]
        ax.bar(
            at, bound_high - bound_low, 0.2, bound_low, color="0.8", linewidth=0,
            label="bounds of what is found" if last else None,
        )  # fmt: skip
        ax.errorbar(
            at - 0.03, value, yerr=style.bars(value, low, high), fmt=_KIND_MARKERS[kind],
            color=style.rgb(phase), ecolor=style.rgb(phase), markersize=3, elinewidth=1.2,
            label=f"{kind}, 95 % of the electrode",
        )  # fmt: skip
        ax.plot(
            at - 0.03, found, "_", color="black", markersize=5, markeredgewidth=0.9,
            label="found, before unfolding" if last else None,
        )  # fmt: skip
    for place in range(1, len(scans)):
        ax.axvline(place - 0.5, color="0.85", linewidth=0.6, zorder=0)
    ax.tick_params(axis="x", length=0)
    ax.set(ylim=(-0.03, 1.03), xlim=(-0.5, len(scans) - 0.5))


def _draw_sweep(ax: Axes, found: xr.Dataset, names: Sequence[str]) -> None:
    """Area fractions and the undecided share of the crystal against the threshold."""
    threshold = found["threshold"].values
    area, undecided = found["swept_area"].values, found["swept_undecided"].values
    decided = area.sum(axis=1)
    share = np.divide(area, decided[:, None], out=np.full(area.shape, np.nan),
                      where=decided[:, None] > 0)  # fmt: skip
    crystal = decided + undecided
    left = np.divide(undecided, crystal, out=np.full(len(crystal), np.nan), where=crystal > 0)
    at = -np.log10(1 - threshold)
    for index, name in enumerate(names):
        ax.plot(at, share[:, index], ".-", color=style.rgb(index), markersize=3, label=name)
    ax.plot(at, left, "--", color="0.4", label="undecided or unindexed, of the crystal")
    ax.axvline(-np.log10(1 - found.attrs["decide_above"]), color="0.6", linewidth=0.8, zorder=0)
    shown = np.array([0.5, 0.9, 0.99, 0.999])
    ax.set_xticks(-np.log10(1 - shown), [f"{one:g}" for one in shown])
    ax.set(ylim=(-0.03, 1.03))
