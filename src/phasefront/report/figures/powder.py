"""A powder pattern with its fit."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.report.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_REFUSED = "#B00020"
_MOST_ARROWS = 5  # unexplained lines that are marked, strongest first


@style.styled
def draw_powder(powder: xr.Dataset, *, labels: Mapping[str, str] | None = None) -> Figure:
    """Observed, calculated and background; the share of each phase; ticks; difference over sigma.

    The ticks are all reflections of each phase. The right column enlarges the surroundings of the
    strongest reflection. Arrows show lines that no phase explains. A fit that was refused has its
    reason over the panels and no fractions. Intensities are on a square-root scale, on which
    counting noise is equally high everywhere.
    """
    figure = style.page(style.PAGE, 5.4)
    axes = figure.subplots(
        4, 2, sharex="col", sharey="row", width_ratios=[2.6, 1],
        height_ratios=[3, 1.6, 0.14 * powder.sizes["phase"], 1],
    )  # fmt: skip
    angle = powder["two_theta"].values
    observed, calculated, background = (
        powder[name].values for name in ("observed", "calculated", "background")
    )
    residual = (observed - calculated) / powder["sigma"].values
    names = style.labels(powder["phase"].values, labels)
    ticks = [
        powder["reflection"].values[powder["reflection_phase"].values == index]
        for index in range(len(names))
    ]
    for fit, shares, marks, difference in axes.T:
        fit.plot(angle, observed, ".", color="0.25", markersize=2, label="observed")
        fit.plot(angle, calculated, color="#D55E00", linewidth=0.9, label="calculated")
        fit.plot(angle, background, color="0.55", linewidth=0.9, label="background")
        for index, name in enumerate(names):
            share = np.clip(powder["contribution"].values[index], 0, None)
            label = f"{name}: {_fraction(powder, index)}"
            shares.plot(angle, share, color=style.rgb(index), linewidth=0.9, label=label)
        marks.eventplot(
            ticks, colors=[style.rgb(index) for index in range(len(names))],
            lineoffsets=np.arange(len(names))[::-1], linelengths=0.8, linewidths=0.4,
        )  # fmt: skip
        marks.set_ylim(-0.6, len(names) - 0.4)
        marks.set_yticks([])
        difference.plot(angle, residual, color="0.25", linewidth=0.6)
        difference.axhline(0, color="#D55E00", linewidth=0.6)
        difference.set_xlabel("2θ (degree)")
    for ax in axes[:2].flat:
        ax.set_yscale("function", functions=(_signed_sqrt, _signed_square))
    _zoom(axes, angle, observed - background, observed, residual)
    wavelength = float(powder.attrs["wavelength"])
    quality = (
        f"$R_{{wp}}$ = {100 * float(powder['rwp']):.1f} %, goodness of fit "
        f"{float(powder['goodness_of_fit']):.2f}, λ = {wavelength:g} Å"
    )
    refused = str(powder.attrs["refused"])
    style.title(axes[0, 0], "a", f"REFUSED; {quality}" if refused else quality)
    if refused:
        reason = textwrap.fill(f"no result: {refused}", 100)
        figure.suptitle(
            reason, fontsize="medium", color=_REFUSED, x=0.01, ha="left", parse_math=False
        )
    _mark_unexplained(axes[0], powder, observed)
    style.title(axes[0, 1], "b", "strongest reflection")
    axes[0, 0].set_ylabel("intensity (counts, sqrt scale)")
    axes[1, 0].set_ylabel("phases (counts)")
    axes[3, 0].set_ylabel("difference/σ")
    figure.align_ylabels(axes[:, 0])
    axes[0, 0].legend(loc="upper right")
    handles, texts = axes[1, 0].get_legend_handles_labels()
    figure.legend(
        handles, texts, loc="outside lower center", ncols=1 if len(texts) < 3 else 2,
        title="weight fraction ± standard error (× goodness of fit); molar fraction",
    )  # fmt: skip
    return figure


def _mark_unexplained(panels, powder: xr.Dataset, observed: np.ndarray) -> None:
    """Arrows at the strongest lines that no phase explains, with their spacings."""
    angles = powder["unexplained_two_theta"].values[:_MOST_ARROWS]
    tops = np.interp(angles, powder["two_theta"].values, observed)
    spacings = powder["unexplained_d"].values
    if len(angles):
        panels[0].set_ylim(top=1.8 * np.nanmax(observed))  # room for arrows
    for ax in panels:
        low, high = ax.get_xlim()
        for angle, top, spacing in zip(angles, tops, spacings, strict=False):
            if low <= angle <= high:
                ax.annotate(
                    f"{spacing:.4g} Å", (angle, top), (0, 16), textcoords="offset points",
                    ha="center", fontsize="small", color=_REFUSED,
                    arrowprops={"arrowstyle": "->", "color": _REFUSED},
                )  # fmt: skip


def _zoom(axes, angle, peaks, observed, residual) -> None:
    centre = angle[np.nanargmax(peaks)]
    half = 0.02 * (angle[-1] - angle[0])
    axes[0, 0].set_xlim(angle[0], angle[-1])
    axes[0, 1].set_xlim(centre - half, centre + half)
    axes[0, 0].set_ylim(0.8 * np.nanmin(observed), 1.1 * np.nanmax(observed))
    axes[1, 0].set_ylim(0, 1.1 * np.nanmax(peaks))
    reach = max(4.0, 1.1 * np.nanpercentile(np.abs(residual), 99.8))
    axes[3, 0].set_ylim(-reach, reach)


def _fraction(powder: xr.Dataset, index: int) -> str:
    if powder.attrs["refused"]:
        return "refused"
    weight, molar = (
        style.with_error(float(powder[name][index]), float(powder[f"{name}_esd"][index]))
        for name in ("weight_fraction", "molar_fraction")
    )
    return f"{weight}; {molar}"


def _signed_sqrt(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.sqrt(np.abs(values))


def _signed_square(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.square(values)
