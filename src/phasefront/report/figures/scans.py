"""The scan itself, its geometry, and how that drifts from scan to scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@style.styled
def draw_scan(scan: xr.Dataset, *, calibration: xr.Dataset | None = None) -> Figure:
    """Mean and maximum pattern (logarithmic) and the two virtual images of a SCAN data set.

    With a CALIBRATION data set the patterns bear a scale bar in 1/angstrom and the disk of the
    bright field, else pixels.
    """
    from matplotlib.ticker import LogLocator

    figure = style.page(style.PAGE, 0.86 * style.PAGE)
    axes = figure.subplots(2, 2)
    for ax, letter, name in zip(axes[0], "ab", ("mean_pattern", "max_pattern"), strict=True):
        pattern = scan[name].values
        image = ax.imshow(pattern, norm=_log_norm(pattern), cmap=_with_floor("inferno"))
        bar = style.colour_bar(image, "counts", ticks=LogLocator(subs=(1, 2, 5)), format="%g")
        bar.minorticks_off()
        style.title(
            ax, letter, {"a": "mean pattern (log scale)", "b": "maximum of all (log scale)"}[letter]
        )
        if calibration is None:
            ax.set(xlabel="camera column (pixel)", ylabel="camera row (pixel)")
        else:
            style.scale_bar(ax, float(calibration["scale"]), "Å$^{-1}$")
            _circle_bright_field(ax, scan, calibration)
    step = float(scan.attrs["scan_step_nm"])
    for ax, letter, name in zip(axes[1], "cd", ("bright_field", "dark_field"), strict=True):
        image = ax.imshow(scan[name].values, cmap="gray")
        style.colour_bar(image, "counts per pattern")
        style.title(ax, letter, {"c": "virtual bright field", "d": "virtual dark field"}[letter])
        style.scan_axes(ax, step)
    return figure


_BELOW = 2.5  # inches, for mask and geometry


@style.styled
def draw_calibration(calibration: xr.Dataset, *, scan_step_nm: float = np.nan) -> Figure:
    """Beam centre over the scan, what the fits leave, the camera's mask, and the geometry with
    standard errors."""
    height = 2 * style.map_height(calibration["centre_x"].shape, columns=2) + _BELOW
    figure = style.page(style.PAGE, height)
    maps, below = figure.subfigures(2, 1, height_ratios=[height - _BELOW, _BELOW])
    axes = maps.subplots(2, 2)
    panels = (
        ("centre_x", "beam centre, column", "pixel", "viridis"),
        ("centre_y", "beam centre, row", "pixel", "viridis"),
        ("centre_residual", "measured − fitted centre, distance", "pixel", "magma"),
    )
    for ax, letter, (name, title, unit, colours) in zip(axes.flat, "abc", panels, strict=False):
        values = calibration[name].values
        limit = style.highest(values) if name == "centre_residual" else None
        image = ax.imshow(values, cmap=style.with_missing(colours), vmax=limit)
        bar = style.colour_bar(image, unit, extend="neither" if limit is None else "max")
        bar.formatter.set_useOffset(False)
        style.title(ax, letter, title)
        style.scan_axes(ax, scan_step_nm)
    _draw_residuals(axes[1, 1], calibration)
    camera, text = below.subplots(1, 2, width_ratios=[1, 1.7])
    _draw_mask(camera, calibration)
    _write_geometry(text, calibration)
    return figure


def _draw_mask(ax: Axes, calibration: xr.Dataset) -> None:
    """The camera's pixels: black where they are left out, and the disk around the beam, too."""
    from matplotlib.patches import Circle

    mask = calibration["mask"].values
    ax.imshow(mask, cmap="gray", vmin=0, vmax=1.15, interpolation="nearest")
    centre = [float(np.nanmean(calibration[name])) for name in ("centre_x", "centre_y")]
    for name, line in (("probe_radius", "-"), ("beam_radius", ":")):
        radius = float(calibration[name])
        ax.add_patch(Circle(centre, radius, fill=False, edgecolor="#D55E00", linestyle=line))
    style.title(ax, "e", f"pixels used; {np.mean(mask == 0):.1%} are not")
    ax.set(xlabel="camera column (pixel)", ylabel="camera row (pixel)")


def _draw_residuals(ax: Axes, calibration: xr.Dataset) -> None:
    """Mean residual of the spots over the camera: arrows, enlarged, over their length."""
    y, x = calibration["bin_y"].values, calibration["bin_x"].values
    along_y, along_x = calibration["residual_y"].values, calibration["residual_x"].values
    length = np.hypot(along_y, along_x)
    style.title(ax, "d", "spots, measured − fitted")
    if not np.isfinite(length).any():
        ax.set_axis_off()
        ax.text(0.5, 0.5, "scale and ellipse were not\nfitted on spots", transform=ax.transAxes,
                ha="center", va="center", color="0.35")  # fmt: skip
        return
    half = (x[1] - x[0]) / 2
    extent = (x[0] - half, x[-1] + half, y[-1] + half, y[0] - half)
    top = style.highest(length)
    image = ax.imshow(length, extent=extent, cmap=style.with_missing("magma"), vmin=0, vmax=top)
    style.colour_bar(image, "pixel", extend="max")
    key = style.round_below(top)
    arrows = ax.quiver(
        x, y, along_x, along_y, color="#56B4E9", angles="xy", scale_units="xy",
        scale=top / (2.2 * half), width=0.006, headwidth=3.5,
    )  # fmt: skip
    ax.quiverkey(
        arrows, 0.98, 1.05, key, f"{key:g} pixel", labelpos="W", color="#0072B2",
        fontproperties={"size": 7},
    )  # fmt: skip
    ax.plot(0, 0, "+", color="white", markersize=5)
    ax.set(xlabel="column from the beam (pixel)", ylabel="row from the beam (pixel)")


def _write_geometry(ax: Axes, calibration: xr.Dataset) -> None:
    def value(name: str) -> float:
        return float(calibration[name])

    def measured(name: str) -> str:
        return style.with_error(value(name), value(f"{name}_stderr"))

    attributes = calibration.attrs
    hidden = attributes.get("centre_from", "").endswith("hidden")
    rows = (
        ("scale", f"{measured('scale')} Å$^{{-1}}$/pixel"),
        ("ellipse, long/short axis", measured("ellipse_ratio")),
        ("long axis, from x to y", f"{value('ellipse_angle'):.1f}°"),
        ("outward shift of spots × radius", f"{measured('outward_shift')} pixel$^2$"),
        ("share of the frame before", measured("afterglow")),
        ("fitted centre, standard error", f"{value('centre_stderr'):.2g} pixel"),
        (
            "radius of the shadow over the beam" if hidden else "radius of the direct beam",
            f"{value('probe_radius'):.2f} pixel",
        ),
        ("radius of a Bragg spot", f"{value('spot_radius'):.2f} pixel"),
        ("spots used", f"{attributes['spots_used']}"),
        ("rms residual of the spots", f"{float(attributes['residual_rms']):.2g} Å$^{{-1}}$"),
    )
    ax.set_axis_off()
    style.title(ax, "f", "geometry, with standard errors")
    for place, (name, text) in enumerate(rows):
        height = 0.96 - 0.82 * place / len(rows)
        ax.text(0.01, height, name, transform=ax.transAxes, va="top")
        ax.text(0.97, height, text, transform=ax.transAxes, va="top", ha="right")
    how = f"method: {attributes['method']}"
    how += f"\ncentre: {attributes['centre_from']}" if "centre_from" in attributes else ""
    if (off := float(attributes.get("series_scale_off", np.nan))) == off:
        how += f"\nscale by its own spots: {off:+.2%} off its series'"
    ax.text(0.01, 0.13, how, transform=ax.transAxes, va="top", color="0.35")


@style.styled
def draw_drift(columns: Mapping[str, Sequence]) -> Figure:
    """Scale, ellipse and centre of each scan beside the others.

    `columns` are those of the table that `drift.compare_calibrations` gives, by name.
    """
    drift = {name: np.asarray(column) for name, column in columns.items()}
    figure = style.page(style.PAGE, 4.6)
    axes = figure.subplots(2, 2, sharex=True)
    scans = list(drift["scan"])
    place = np.arange(len(scans))
    off = drift["deviates"]
    for ax, letter, name, title in (
        (axes[0, 0], "a", "scale", "scale against the other scans"),
        (axes[0, 1], "b", "ellipse", "ellipse against the other scans"),
    ):
        percent = 100 * drift[f"{name}_deviation"]
        z = drift[f"{name}_z"]
        error = np.abs(np.divide(percent, z, out=np.zeros_like(z), where=z != 0))
        ax.axhspan(-0.2 if name == "scale" else 0, 0.2, color="0.92", linewidth=0)
        ax.axhline(0, color="0.5", linewidth=0.8)
        # How different an ellipse is has no sign.
        down = 1.96 * error if name == "scale" else np.minimum(1.96 * error, percent)
        _draw_by_instrument(ax, drift, percent, np.stack([down, 1.96 * error]))
        style.title(ax, letter, title)
        ax.set_ylabel("difference (%)")
        if not np.isfinite(percent).any():
            ax.text(0.5, 0.5, "no two scans with standard errors", transform=ax.transAxes,
                    ha="center", va="center", color="0.35")  # fmt: skip
    error = 1.96 * drift["centre_stderr"]
    for name, marker in (("centre_y", "o"), ("centre_x", "s")):
        values = drift[name]
        axes[1, 0].errorbar(
            place, values, yerr=error, fmt=marker, color="#000000", markersize=4, capsize=2,
            markerfacecolor="none" if name == "centre_x" else "#000000",
            label={"centre_y": "row", "centre_x": "column"}[name],
        )  # fmt: skip
    axes[1, 0].legend(loc="best")
    axes[1, 0].set_ylabel("mean beam centre (pixel)")
    style.title(axes[1, 0], "c", "beam centre")
    reach = drift["centre_drift"]
    _draw_by_instrument(axes[1, 1], drift, reach, np.stack([error, error]))
    axes[1, 1].set_ylabel("range over the scan (pixel)")
    axes[1, 1].set_ylim(0, 1.15 * reach.max() + 0.1)
    style.title(axes[1, 1], "d", "descan")
    if len(set(drift["instrument"])) > 1:
        axes[1, 1].legend(loc="best")
    for ax in axes[1]:
        ax.set_xticks(place, scans, rotation=45, ha="right", rotation_mode="anchor")
        ax.set_xlim(-0.6, len(scans) - 0.4)
    if off.any():
        names = ", ".join(scan for scan, one in zip(scans, off, strict=True) if one)
        figure.suptitle(f"deviating: {names}", color=style.MEASURED_COLOUR, fontsize=8)
    return figure


def _draw_by_instrument(ax: Axes, drift: Mapping[str, np.ndarray], values, bars) -> None:
    """Values of the scans with bars (2, scans), one marker an instrument, deviating ones red."""
    instrument, off = drift["instrument"], drift["deviates"]
    for marker, name in zip("osD^v" * len(off), dict.fromkeys(instrument), strict=False):
        for colour, chosen in (("#000000", ~off), (style.MEASURED_COLOUR, off)):
            here = np.flatnonzero((instrument == name) & chosen)
            ax.errorbar(
                here, values[here], yerr=bars[:, here], fmt=marker, color=colour, markersize=4,
                capsize=2, label=None if colour == style.MEASURED_COLOUR else name,
            )  # fmt: skip


def _circle_bright_field(ax: Axes, scan: xr.Dataset, calibration: xr.Dataset) -> None:
    from matplotlib.patches import Circle

    centre = [float(np.nanmean(calibration[name])) for name in ("centre_x", "centre_y")]
    radius = float(scan.attrs["bright_field_radius_px"])
    ax.add_patch(Circle(centre, radius, fill=False, edgecolor="#56B4E9", linewidth=0.8))


def _with_floor(name: str):
    """A colour map for a logarithmic scale: no counts at all take the lowest colour."""
    import matplotlib as mpl

    colours = mpl.colormaps[name]
    return colours.with_extremes(bad=colours(0.0), under=colours(0.0))


def _log_norm(pattern: np.ndarray):
    from matplotlib.colors import LogNorm

    positive = pattern[pattern > 0]
    if positive.size == 0:
        return LogNorm(0.1, 1)
    high = float(positive.max())
    return LogNorm(min(max(float(np.percentile(positive, 5)), 1e-4 * high), 0.5 * high), high)
