"""What the settings of an analysis do to its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from phasefront.comparison.agreement import AGREE, CANNOT_TELL, DISAGREE
from phasefront.comparison.sources import registry
from phasefront.comparison.sweep import RUN
from phasefront.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VERDICT_COLOURS = {AGREE: "#009E73", CANNOT_TELL: "#D9D9D9", DISAGREE: "#D55E00"}
_STATE_COLOURS = "viridis"


@style.styled
def draw_sweep(
    table: pd.DataFrame,
    parameters: Sequence[str],
    *,
    ion: str = "ions",
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Fractions, ion content, undecided share and verdicts against each setting that was swept.

    A column a setting, a row a quantity of each source that some variant changes (of all where none
    does), and a strip of verdicts for each pair of sources. Thick lines, with 95 % intervals, vary
    one setting of the run alone; thin lines join variants that differ in that setting only. The
    run's own value has a grey band.

    Parameters
    ----------
    table
        What `sweep.tabulate` makes of the run and its variants.
    parameters
        Columns of the table that hold what was swept.
    """
    states = list(dict.fromkeys(table["state"]))
    tested = table[(table["quantity"] == "ion_content_difference") & table["value"].notna()]
    pairs = list(dict.fromkeys(tested["source"]))
    panels = _panels(table, ion, labels)

    strip = 0.13 * len(states) + 0.3
    heights = [1.0] * len(panels) + [strip] * len(pairs)
    figure = style.page(style.PAGE, sum(heights) + 1.0)
    axes = figure.subplots(
        len(heights), len(parameters), height_ratios=heights, sharex="col", sharey="row",
        squeeze=False,
    )  # fmt: skip
    for ax, (rows, _) in zip(axes[:, 0], panels, strict=False):
        if (rows["quantity"] == "undecided").all():
            most = rows["value"].max()
            ax.set_ylim(0, 1.15 * most if most > 0 else 0.01)
    for place, parameter in enumerate(parameters):
        choices = _ordered(table[parameter])
        others = [name for name in parameters if name != parameter]
        own_others = tuple(table.loc[table["variant"] == RUN, others].iloc[0])
        for ax, (rows, ylabel) in zip(axes[:, place], panels, strict=False):
            _draw_quantity(ax, rows, parameter, others, own_others, choices, states)
            ax.set_ylabel(ylabel if place == 0 else "")
        for ax, pair in zip(axes[len(panels) :, place], pairs, strict=True):
            _draw_verdicts(ax, tested[tested["source"] == pair], parameter, choices, states)
            sources = [source.label for source in registry.sources_of(pair)]
            ax.set_ylabel(",\n".join(sources) if place == 0 else "", fontsize=6)
        for ax in axes[:, place]:
            own = choices.index(table.loc[table["variant"] == RUN, parameter].iloc[0])
            ax.axvspan(own - 0.5, own + 0.5, color="0.94", linewidth=0, zorder=-2)
        axes[-1, place].set_xticks(range(len(choices)), choices)
        axes[-1, place].set(xlabel=parameter, xlim=(-0.5, len(choices) - 0.5))
    _add_legends(figure, states, with_verdicts=bool(pairs))
    return figure


def _panels(
    table: pd.DataFrame, ion: str, labels: Mapping[str, str] | None
) -> list[tuple[pd.DataFrame, str]]:
    """Rows of the table for each row of axes, and the label of that."""
    known = {
        source: table[(table["source"] == source.name) & table["value"].notna()]
        for source in registry.SOURCES
    }
    moved = {source: rows for source, rows in known.items() if _is_moved(rows)} or known
    moved = {source: rows for source, rows in moved.items() if len(rows)}
    panels = []
    for source, rows in moved.items():
        whose = f"\n{source.label}" if len(moved) > 1 else ""
        for phase, name in _phases(rows, labels):
            of_phase = rows[(rows["quantity"] == "fraction") & (rows["phase"] == phase)]
            panels.append((of_phase, f"fraction\n{name}{whose}"))
        for quantity, label in (
            ("ion_content", f"x ({ion} per\nformula unit)"),
            ("undecided", "undecided\nshare"),
        ):
            if (rows["quantity"] == quantity).any():
                panels.append((rows[rows["quantity"] == quantity], label + whose))
    return panels


def _is_moved(rows: pd.DataFrame) -> bool:
    """Whether variants differ in a value."""
    of_quantity = rows.groupby(["state", "quantity", "phase"], dropna=False)["value"]
    return bool((of_quantity.max() > of_quantity.min()).any())


def _phases(rows: pd.DataFrame, labels: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """Name and label of every phase, in the table's order."""
    found = list(dict.fromkeys(rows.loc[rows["quantity"] == "fraction", "phase"]))
    return list(zip(found, style.labels(found, labels), strict=True))


def _ordered(values: pd.Series) -> list[str]:
    """Distinct values of a setting, numbers by size and words as they come."""
    distinct = list(dict.fromkeys(values))
    numbers = pd.to_numeric(distinct, errors="coerce")
    return distinct if np.isnan(numbers).any() else [distinct[i] for i in np.argsort(numbers)]


def _colours(states: Sequence[str]) -> dict[str, tuple]:
    import matplotlib as mpl

    shades = mpl.colormaps[_STATE_COLOURS](np.linspace(0, 0.9, len(states)))
    return dict(zip(states, map(tuple, shades), strict=True))


def _draw_quantity(
    ax: Axes,
    rows: pd.DataFrame,
    parameter: str,
    others: Sequence[str],
    own: tuple,
    choices: Sequence[str],
    states: Sequence[str],
) -> None:
    """One quantity against one setting; a line joins variants alike in all other settings.

    `own` are the run's values of these others.
    """
    offsets = np.linspace(-0.15, 0.15, len(states)) if len(states) > 1 else [0.0]
    for (state, colour), offset in zip(_colours(states).items(), offsets, strict=True):
        of_state = rows[rows["state"] == state]
        groups = of_state.groupby(list(others), sort=False) if others else [((), of_state)]
        for key, group in groups:
            at = np.array([choices.index(value) for value in group[parameter]])
            order = np.argsort(at)
            value, low, high = (group[name].to_numpy()[order] for name in ("value", "low", "high"))
            x = at[order] + offset
            if own == key:
                ax.errorbar(
                    x, value, yerr=np.nan_to_num(style.bars(value, low, high)), color=colour,
                    marker="o", markersize=3.5, capsize=1.5, linewidth=1.2, zorder=2,
                )  # fmt: skip
            else:
                ax.plot(x, value, color=colour, marker=".", markersize=3, linewidth=0.5, alpha=0.6)


def _draw_verdicts(
    ax: Axes, rows: pd.DataFrame, parameter: str, choices: Sequence[str], states: Sequence[str]
) -> None:
    """A line a state; at each value of the setting a tile for every variant that has it."""
    for level, state in enumerate(states):
        of_state = rows[rows["state"] == state]
        for place, choice in enumerate(choices):
            verdicts = list(of_state.loc[of_state[parameter] == choice, "verdict"])
            width = 0.8 / max(1, len(verdicts))
            for number, verdict in enumerate(verdicts):
                ax.barh(
                    level, 0.92 * width, left=place - 0.4 + number * width, height=0.75,
                    align="center", color=VERDICT_COLOURS[verdict], linewidth=0,
                )  # fmt: skip
    ax.set_yticks(range(len(states)), states, fontsize=6)
    ax.tick_params(length=0)
    ax.set_ylim(len(states) - 0.5, -0.5)


def _add_legends(figure: Figure, states: Sequence[str], *, with_verdicts: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=colour, marker="o", markersize=3.5, label=state)
        for state, colour in _colours(states).items()
    ]
    if with_verdicts:
        handles += [Patch(color=colour, label=name) for name, colour in VERDICT_COLOURS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(8, len(handles)))
