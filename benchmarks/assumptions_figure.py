"""The figure of `assumptions`: what becomes of the positions, and how sure the analysis is."""

from __future__ import annotations

import numpy as np

from phasefront.report.figures import style

_SHARES = {
    "right": "#0072B2", "wrong": "#D55E00", "mixed": style.MIXED_COLOUR,
    "undecided": style.UNDECIDED_COLOUR, "vacuum": style.VACUUM_COLOUR,
}  # fmt: skip


def draw(result: dict):
    """Figure of what `assumptions.measure` returns; a row a case."""
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 8, "axes.linewidth": 0.6, "legend.frameon": False}):
        return _drawn(result)


def _drawn(result: dict):
    from matplotlib.figure import Figure

    rows = [*result["cases"].items(), *result["missing"].items()]
    figure = Figure(figsize=(style.PAGE, 0.19 * len(rows) + 0.9), layout="constrained")
    shares, evidence = figure.subplots(1, 2, sharey=True, width_ratios=(2.2, 1))
    place = -np.arange(len(rows), dtype=float)
    place[len(result["cases"]) :] -= 0.7
    left = np.zeros(len(rows))
    for name, colour in _SHARES.items():
        width = np.array([numbers[name] for _, numbers in rows])
        shares.barh(place, width, 0.78, left=left, color=colour, label=name, linewidth=0)
        left += width
    shares.set(
        xlim=(0, 1), xlabel="share of clear positions", yticks=place,
        yticklabels=[name for name, _ in rows],
    )  # fmt: skip
    reference = rows[0][1]["evidence_per_spot"]
    evidence.axvline(reference, color="0.8", linewidth=0.8)
    evidence.plot([numbers["evidence_per_spot"] for _, numbers in rows], place, "k.", markersize=5)
    evidence.set(xlabel="log-evidence a spot", xlim=(0, 1.15 * reference))
    for ax in (shares, evidence):
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
    figure.legend(*shares.get_legend_handles_labels(), loc="outside upper center", ncols=5)
    return figure
