"""Stacks of images over energy, and maps of chemistry from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.report.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of positions with the highest mean density, the share whose mean spectrum is drawn.
_DENSEST = 0.1  # chosen


@style.styled
def draw_density(density: xr.Dataset) -> Figure:
    """A DENSITY dataset: its mean image, where it is too dense, spectra of what is dense, drift."""
    shape = (density.sizes["y"], density.sizes["x"])
    figure = style.page(style.PAGE, style.map_height(shape, columns=2) + 2.6)
    axes = figure.subplots(2, 2, height_ratios=[style.map_height(shape, columns=2), 2.6])
    energy = density["energy"].values
    values = np.ma.masked_invalid(density["optical_density"].values)
    mean = values.mean(axis=0).filled(np.nan)
    step = float(density.attrs["pixel_x_nm"])
    image = axes[0, 0].imshow(mean, cmap=style.with_missing("gray"), vmax=style.highest(mean))
    style.colour_bar(image, "optical density", extend="max")
    style.title(axes[0, 0], "a", "mean over energies")
    share = density["saturated"].values.mean(axis=0)
    image = axes[0, 1].imshow(share, cmap=style.with_missing("magma"), vmin=0, vmax=1)
    style.colour_bar(image, "share of energies")
    limit = density.attrs["max_density"]
    style.title(axes[0, 1], "b", f"left out: density above {limit:g}")
    for ax in axes[0]:
        style.scan_axes(ax, step)
    quarters = np.full((3, len(energy)), np.nan)
    known = mean[np.isfinite(mean)]
    if known.size:
        dense = mean >= np.quantile(known, 1 - _DENSEST)
        for at, spectrum in enumerate(values[:, dense]):
            if (told := spectrum.compressed()).size:
                quarters[:, at] = np.quantile(told, (0.25, 0.5, 0.75))
    axes[1, 0].fill_between(energy, quarters[0], quarters[2], color="#0072B2", alpha=0.25, lw=0)
    axes[1, 0].plot(energy, quarters[1], color="#0072B2")
    axes[1, 0].axhline(limit, color="0.5", linewidth=0.6, linestyle=":")
    axes[1, 0].set(xlabel="energy (eV)", ylabel="optical density")
    style.title(axes[1, 0], "c", "densest tenth: median and middle half")
    for name, colour in (("shift_y", "#0072B2"), ("shift_x", "#D55E00")):
        axes[1, 1].errorbar(
            energy, density[name], yerr=1.96 * density["shift_stderr"], fmt=".", markersize=3,
            color=colour, elinewidth=0.6, label={"shift_y": "rows", "shift_x": "columns"}[name],
        )  # fmt: skip
    axes[1, 1].legend(loc="best")
    axes[1, 1].set(xlabel="energy (eV)", ylabel="shift (pixel)")
    taken = "taken out" if density.attrs["aligned"] else "not measured"
    style.title(axes[1, 1], "d", f"drift, {taken}")
    return figure


@style.styled
def draw_chemistry(chemistry: xr.Dataset) -> Figure:
    """A CHEMISTRY dataset: the quantity, its two errors, and the thickness channel."""
    shape = (chemistry.sizes["y"], chemistry.sizes["x"])
    figure = style.page(style.PAGE, 2 * style.map_height(shape, columns=2))
    axes = figure.subplots(2, 2)
    unit = chemistry.attrs["unit"]
    quantity = chemistry.attrs["quantity"]
    panels = (
        ("value", quantity, quantity if unit == "1" else unit, "viridis"),
        ("standard_error", "standard error by noise", unit, "magma"),
        ("systematic_error", "systematic error", unit, "magma"),
        ("thickness", "thickness channel", chemistry.attrs["thickness_unit"], "gray"),
    )
    for ax, letter, (name, title, label, colours) in zip(axes.flat, "abcd", panels, strict=True):
        values = chemistry[name].values
        finite = values[np.isfinite(values)]
        low, high = np.percentile(finite, (0.5, 99.5)) if finite.size else (None, None)
        image = ax.imshow(values, cmap=style.with_missing(colours), vmin=low, vmax=high)
        style.colour_bar(image, "" if label == "1" else label, extend="both")
        style.title(ax, letter, title)
        style.scan_axes(ax, float(chemistry.attrs["pixel_x_nm"]))
    return figure
