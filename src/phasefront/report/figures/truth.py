"""What the check against the truth of a virtual run found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from phasefront.report.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@style.styled
def draw_probabilities(
    reliability: Mapping[str, Sequence[Mapping]], *, labels: Mapping[str, str] | None = None
) -> Figure:
    """How often each phase was there against the posterior it was given, and how often that was.

    `reliability` maps phases to bins as `virtual.checks.pool_reliability` gives them.
    """
    figure = style.page(style.PAGE, 3.6)
    most = max((one["count"] for bins in reliability.values() for one in bins), default=1)
    axes = figure.subplots(
        2, len(reliability), sharex=True, sharey="row", height_ratios=[3, 1], squeeze=False
    )
    for index, ((curve, count), (name, bins)) in enumerate(
        zip(axes.T, reliability.items(), strict=True)
    ):
        curve.plot([0, 1], [0, 1], color="0.5", linewidth=0.8)
        curve.set(xlim=(0, 1), ylim=(0, 1))
        style.title(curve, "abcdefgh"[index], style.labels([name], labels)[0])
        count.set(yscale="log", ylim=(0.7, 2 * most), xlabel="posterior probability")
        if not bins:  # unclipped bars of nothing have no place in a layout
            continue
        at, found, low, high, number, start, stop = (
            np.array([one[key] for one in bins])
            for key in (
                "posterior", "frequency", "frequency_low", "frequency_high", "count", "from", "to"
            )
        )  # fmt: skip
        curve.errorbar(
            at, found, yerr=style.bars(found, low, high), fmt="o", color=style.rgb(index),
                markersize=4,
            capsize=2, linewidth=1, clip_on=False,
        )  # fmt: skip
        count.bar(start, number, stop - start, align="edge", color=style.rgb(index), linewidth=0)
    axes[0, 0].set_ylabel("share that has the phase")
    axes[1, 0].set_ylabel("positions")
    figure.align_ylabels(axes[:, 0])
    return figure


@style.styled
def draw_confusion(regions: Mapping[str, Mapping]) -> Figure:
    """Decisions (columns) by true phase (rows), in all directions of the beam and by zone axis.

    `regions` is as `virtual.checks.pool_confusion` gives it. Per cent of each row; in front of it
    the number of positions that it is taken of.
    """
    first = next(iter(regions.values()))["confusion"]
    phases, answers = list(first), list(next(iter(first.values())))
    columns, rows = 2, -(-len(regions) // 2)
    figure = style.page(style.PAGE, rows * (0.24 * len(phases) + 0.5) + 0.3)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat[len(regions) :]:
        ax.set_axis_off()
    for index, (ax, (name, region)) in enumerate(zip(axes.flat, regions.items(), strict=False)):
        count = np.array([[region["confusion"][row][one] for one in answers] for row in phases])
        total = count.sum(axis=1)
        share = count / np.maximum(total, 1)[:, None]
        ax.imshow(share, vmin=0, vmax=1, cmap="Blues", aspect="auto")
        for (row, column), value in np.ndenumerate(share):
            if total[row]:
                text = "0" if count[row, column] == 0 else f"{100 * value:.1f}"
                ax.text(
                    column, row, text, ha="center", va="center", fontsize=7,
                    color="white" if value > 0.6 else "0.3" if text == "0" else "black",
                )  # fmt: skip
        ax.set_yticks(
            range(len(phases)), [f"{p} ({n})" for p, n in zip(phases, total, strict=True)]
        )
        ax.set_xticks(range(len(answers)), answers, fontsize=7)
        ax.tick_params(length=0)
        if index + columns < len(regions):
            ax.set_xticklabels([])
        words = name
        if "angle_deg_mean" in region:
            mean, largest = region["angle_deg_mean"], region["angle_deg_max"]
            words += f", {mean:.0f}° off on average, {largest:.0f}° at most"
        style.title(ax, "abcdefghijklmnopqrstuvwxyz"[index], words)
    figure.supxlabel("decided (per cent of the row)", fontsize=8)
    figure.supylabel("true phase (number of positions)", fontsize=8)
    return figure
