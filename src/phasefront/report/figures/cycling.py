"""A galvanostatic log: voltage and ion content in time, capacity, plateaus and states."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STATE_COLOUR = "#D55E00"
_STATE_TEXT = "#A84800"
_LABELLED = 4  # plateaus of a half cycle that are named, the longest ones


@style.styled
def draw_log(cycling: xr.Dataset, *, ion: str = "ions") -> Figure:
    """Voltage and ion content against time, voltage against capacity, and dQ/dV with plateaus.

    Colours go with the cycles. States are marked, in the ion content with their 95 % intervals.
    `ion` is written in units. Of an electrode whose mass is not known, charge stands in place of
    ion content and capacity, and dQ/dV is left out. What the data set warns of stands below the
    panels.
    """
    figure = style.page(style.PAGE, 6.2)
    grid = figure.add_gridspec(3, 2, height_ratios=[1, 1, 2.6], width_ratios=[1.4, 1])
    voltage = figure.add_subplot(grid[0, :])
    content = figure.add_subplot(grid[1, :], sharex=voltage)
    curves = figure.add_subplot(grid[2, 0])
    slopes = figure.add_subplot(grid[2, 1], sharey=curves)
    for ax in (voltage, slopes):
        ax.tick_params(labelbottom=ax is slopes, labelleft=ax is voltage)
    _draw_voltage(voltage, cycling)
    style.title(voltage, "a", "cell voltage and states")
    _draw_capacity(curves, cycling)
    if _has_mass(cycling):
        _draw_content(content, cycling)
        style.title(content, "b", "ion content from charge, with its 95 % interval")
        content.set(xlabel="time (h)", ylabel=f"x ({ion} per f.u.)")
        style.title(curves, "c", "plateaus of the first cycle (bars)")
        _draw_slopes(slopes, cycling)
        style.title(slopes, "d", "charge per voltage, plateaus as dots")
    else:
        content.plot(cycling["time"].values / 3600, cycling["charge"].values, color="0.35")
        style.title(content, "b", "charge passed by the electrode, whose mass is not known")
        content.set(xlabel="time (h)", ylabel="charge (mA h)")
        style.title(curves, "c", "voltage and states along the charge")
        slopes.remove()
    sentences = [line for line in cycling.attrs["warnings"].splitlines() if line]
    if sentences:
        wrapped = "\n".join(textwrap.fill(sentence, 120) for sentence in sentences)
        figure.supxlabel(
            wrapped, fontsize=7, color=style.MEASURED_COLOUR, x=0.02, ha="left", parse_math=False
        )
    return figure


def _has_mass(cycling: xr.Dataset) -> bool:
    return bool(np.isfinite(cycling.attrs["mass_mg"]))


def _cycle_colours(cycling: xr.Dataset) -> np.ndarray:
    """A colour for each half cycle, by its cycle, (half, 4)."""
    import matplotlib as mpl

    cycle, half = cycling["cycle"].values, cycling["half_cycle"].values
    of_half = cycle[np.searchsorted(half, np.arange(cycling.sizes["half"]))]
    return mpl.colormaps["viridis"](0.85 * of_half / max(1, of_half.max()))


def _draw_voltage(ax: Axes, cycling: xr.Dataset) -> None:
    hours, voltage = cycling["time"].values / 3600, cycling["voltage"].values
    half = cycling["half_cycle"].values
    for number, colour in enumerate(_cycle_colours(cycling)):
        # One record before, where the half cycle begins, so that the line is whole.
        rows = np.flatnonzero(half == number)
        rows = np.concatenate([rows[:1] - (rows[0] > 0), rows])
        ax.plot(hours[rows], voltage[rows], color=colour, linewidth=0.8)
    at = cycling["state_time"].values / 3600
    ax.plot(at, cycling["state_voltage"].values, "o", color=STATE_COLOUR, markersize=3.5)
    ax.set(ylabel="voltage (V)")
    ax.margins(x=0.01, y=0.1)


def _draw_content(ax: Axes, cycling: xr.Dataset) -> None:
    hours = cycling["time"].values / 3600
    low, high = cycling["ion_content_low"].values, cycling["ion_content_high"].values
    ax.fill_between(hours, low, high, color="0.85", linewidth=0)
    ax.plot(hours, cycling["ion_content"].values, color="0.35", linewidth=0.8, label="all grains")
    if cycling.attrs["inactive_share"] > 0:
        active = cycling["active_ion_content"].values
        ax.plot(hours, active, "--", color="0.35", linewidth=0.8, label="grains with contact")
        ax.legend(loc="best")
    moment, at = cycling["state_time"].values / 3600, cycling["state_ion_content"].values
    interval = style.bars(
        at, cycling["state_ion_content_low"].values, cycling["state_ion_content_high"].values
    )
    ax.errorbar(
        moment, at, yerr=interval, fmt="o", color=STATE_COLOUR, markersize=3.5, capsize=2,
        linewidth=1,
    )  # fmt: skip
    for name, here, height in zip(cycling["state"].values, moment, at, strict=True):
        late = here > 0.9 * hours[-1]
        ax.annotate(
            name, (here, height), xytext=(-5 if late else 5, 3), textcoords="offset points",
            ha="right" if late else "left", fontsize=7, color=_STATE_TEXT,
        )  # fmt: skip
    ax.margins(x=0.01, y=0.18)


def _draw_capacity(ax: Axes, cycling: xr.Dataset) -> None:
    has_mass = _has_mass(cycling)
    capacity = cycling["capacity" if has_mass else "charge"].values
    voltage, half = cycling["voltage"].values, cycling["half_cycle"].values
    colours = _cycle_colours(cycling)
    begin = np.concatenate([[0.0], np.cumsum(cycling["half_capacity"].values)[:-1]])
    sign = np.sign(cycling["half_capacity"].values)
    for number, colour in enumerate(colours):
        rows = half == number
        ax.plot(capacity[rows], voltage[rows], color=colour, linewidth=0.8)
    for number, at, start, end in _plateaus(cycling) if has_mass else ():
        if cycling["cycle"].values[np.searchsorted(half, number)] == 0:
            ends = begin[number] + sign[number] * np.array([start, end])
            ax.plot(ends, [at, at], color="black", linewidth=2.2, solid_capstyle="butt")
    at = cycling["state_capacity" if has_mass else "state_charge"].values
    level = cycling["state_voltage"].values
    ax.plot(at, level, "o", color=STATE_COLOUR, markersize=3.5, zorder=3)
    for name, here, height in zip(cycling["state"].values, at, level, strict=True):
        ax.annotate(
            name, (here, height), xytext=(0, 5), textcoords="offset points", ha="center",
            fontsize=7, color=_STATE_TEXT,
        )  # fmt: skip
    unit = "mA h g$^{-1}$" if has_mass else "mA h"
    ax.set(xlabel=f"net charge passed ({unit})", ylabel="voltage (V)")
    ax.margins(y=0.09)


def _draw_slopes(ax: Axes, cycling: xr.Dataset) -> None:
    """dQ/dV to the right on charge, to the left on discharge, on the axis of voltages of (c)."""
    grid, slopes = cycling["grid_voltage"].values, cycling["charge_per_voltage"].values
    colours = _cycle_colours(cycling)
    for slope, colour in zip(slopes, colours, strict=True):
        ax.plot(slope, grid, color=colour, linewidth=0.8)
    ax.axvline(0, color="0.6", linewidth=0.6)
    plateaus = _plateaus(cycling)
    for number, at, _, _ in plateaus:
        height = slopes[number, np.argmin(np.abs(grid - at))]
        ax.plot(height, at, "o", color=colours[number], markersize=2.5)
    room = 0.04 * np.ptp(cycling["voltage"].values)
    for number in _longest_half_cycles(cycling):
        longest = sorted((p for p in plateaus if p[0] == number), key=lambda p: p[2] - p[3])
        named = []
        for _, at, _, _ in longest:
            height = slopes[number, np.argmin(np.abs(grid - at))]
            if len(named) == _LABELLED or any(abs(at - other) < room for other in named):
                continue
            named.append(at)
            ax.annotate(
                f"{at:.2f} V", (height, at), xytext=(3 if height > 0 else -3, 2),
                textcoords="offset points", ha="left" if height > 0 else "right", fontsize=7,
            )  # fmt: skip
    ax.set(xlabel="dQ/dV (mA h g$^{-1}$ V$^{-1}$)")
    ax.margins(x=0.25)


def _plateaus(cycling: xr.Dataset) -> list[tuple[int, float, float, float]]:
    """Half cycle, voltage, and charge passed in the half cycle from and to."""
    names = ("plateau_half_cycle", "plateau_voltage", "plateau_from", "plateau_to")
    return list(zip(*(cycling[name].values for name in names), strict=True))


def _longest_half_cycles(cycling: xr.Dataset) -> list[int]:
    """The charge and the discharge in which most charge was passed, where there is one."""
    charge = cycling["half_capacity"].values
    return [
        int(np.argmax(sign * charge)) for sign in (1, -1) if np.max(sign * charge, initial=0) > 0
    ]
