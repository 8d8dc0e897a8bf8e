"""Phases along an operando powder series, against charge and time, with the voltage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@style.styled
def draw_powder_series(
    series: xr.Dataset, cycling: xr.Dataset, *, labels: Mapping[str, str] | None = None
) -> Figure:
    """Voltage and molar fractions against charge, and the fractions against time.

    Parameters
    ----------
    series
        POWDER_SERIES data set.
    cycling
        CYCLING data set of its log.
    labels
        What is written of phases.

    Bands are intervals of 95 %. A band against charge ends where the current turns, and at a
    pattern whose fit was refused; crosses mark these.
    """
    figure = style.page(style.PAGE, 5.6)
    grid = figure.add_gridspec(3, 1, height_ratios=[1, 1.6, 1.6])
    voltage = figure.add_subplot(grid[0])
    charge = figure.add_subplot(grid[1], sharex=voltage)
    time = figure.add_subplot(grid[2])
    voltage.tick_params(labelbottom=False)
    voltage.plot(cycling["charge"].values, cycling["voltage"].values, color="0.6", linewidth=0.8)
    voltage.plot(
        series["charge"].values, series["voltage"].values, "o", color=style.MEASURED_COLOUR,
        markersize=2,
    )  # fmt: skip
    voltage.set(ylabel="voltage (V)")
    voltage.margins(x=0.02, y=0.1)
    style.title(voltage, "a", "cell voltage: log and patterns")
    names = style.labels(series["phase"].values, labels)
    out = series["current"].values > 0
    _draw_fractions(charge, series, series["charge"].values, names, runs=_runs(out), filled=out)
    charge.set(xlabel="charge passed (mA h)", ylabel="molar fraction")
    charge.legend(loc="best")
    style.title(charge, "b", "phases against charge; filled: on charge, open: on discharge or rest")
    hours = series["time"].values / 3600
    whole = [np.arange(len(hours))]
    _draw_fractions(time, series, hours, names, runs=whole, filled=out)
    time.set(xlabel="time (h)", ylabel="molar fraction")
    style.title(time, "c", "phases against time")
    return figure


def _draw_fractions(
    ax: Axes, series: xr.Dataset, x: np.ndarray, names, *, runs: list[np.ndarray], filled
) -> None:
    value, low, high = (series[f"molar_fraction{end}"].values for end in ("", "_low", "_high"))
    refused = series["refused"].values != ""
    for index, name in enumerate(names):
        colour = style.rgb(index)
        for run in runs:
            ax.fill_between(
                x[run], low[run, index], high[run, index], color=colour, alpha=0.25, linewidth=0
            )
            ax.plot(x[run], value[run, index], color=colour, linewidth=0.6)
        ax.plot(x[filled], value[filled, index], "o", color=colour, markersize=2.4, label=name)
        ax.plot(
            x[~filled], value[~filled, index], "o", color=colour, markersize=2.4,
            markerfacecolor="white", markeredgewidth=0.6, label="" if filled.any() else name,
        )  # fmt: skip
    if refused.any():
        ax.plot(
            x[refused], np.full(refused.sum(), -0.03), "x", color=style.MEASURED_COLOUR,
            markersize=3, label="refused",
        )  # fmt: skip
    ax.set_ylim(-0.06, 1.06)
    ax.margins(x=0.02)


def _runs(flags: np.ndarray) -> list[np.ndarray]:
    """Positions of neighbours that are alike."""
    return np.split(np.arange(len(flags)), np.flatnonzero(np.diff(flags)) + 1)
