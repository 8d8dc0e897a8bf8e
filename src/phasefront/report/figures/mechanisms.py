"""How grains convert: populations and morphologies, habit planes, and the grains themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import laue_rotations
from phasefront.layouts.mechanisms import Counted
from phasefront.mechanisms import sphere
from phasefront.mechanisms.habit_plane import region_of
from phasefront.mechanisms.population import CONCURRENT, ONE_BY_ONE
from phasefront.report.figures import style
from phasefront.report.figures.interfaces import draw_segments
from phasefront.report.figures.maps import draw_decision, phase_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Paul Tol's muted colours (https://personal.sron.nl/~pault/), apart from those of phases.
_COLOURS = {
    "whole": "#DDDDDD", "front": "#332288", "curved front": "#88CCEE", "band": "#117733",
    "core": "#882255", "inner nucleus": "#DDCC77", "mosaic": "#CC6677", "uniform": "#999933",
    "none of these": "#000000",
}  # fmt: skip
# Natural logarithm of the posterior over its maximum at which the colour of planes ends.
_FAINTEST = -8.0
_MOST_CIRCLES = 60  # great circles that are still told apart
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@style.styled
def draw_populations(found: xr.Dataset, *, labels: Mapping[str, str] | None = None) -> Figure:
    """Of each field: shares converted, shares of grains caught by state, and morphologies."""
    fields = _with_grains(found)
    if not len(fields):
        return style.sentence(found.attrs["sentence"])
    figure = style.page(style.PAGE, 2.3 * len(fields))
    axes = figure.subplots(len(fields), 3, squeeze=False)
    letters = iter(_LETTERS)
    for row, field in zip(axes, fields, strict=True):
        name = _name(found, field, labels)
        _draw_converted(row[0], found, field)
        style.title(row[0], next(letters), name)
        _draw_caught(row[1], found, field)
        style.title(row[1], next(letters), "caught between both")
        _draw_proportions(row[2], found, field)
        caught = int(found["caught_grains"].values[field])
        style.title(row[2], next(letters), f"shapes of {caught} caught grains")
    return figure


def _draw_converted(ax: Axes, found: xr.Dataset, field: int) -> None:
    own = _own(found, field)
    caught = found["caught"].values[own] == 1
    converted = found["converted"].values[own]
    bins = np.linspace(0, 1, 11)
    ax.hist(
        [converted[~caught], converted[caught]], bins=bins, stacked=True,
        color=["#DDDDDD", "#44AA99"], label=["whole", "caught"], edgecolor="white", linewidth=0.4,
    )  # fmt: skip
    ax.set(xlim=(0, 1), xlabel="share of the grain converted", ylabel="grains")
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.legend(loc="best", fontsize=7)


def _draw_caught(ax: Axes, found: xr.Dataset, field: int) -> None:
    own = np.flatnonzero(found["population_field"].values == field)
    x = found["population_converted"].values[own]
    ends = [found[f"population_caught_share{end}"].values[own] for end in ("", "_low", "_high")]
    for (low, high), words in ((ONE_BY_ONE, "one by one"), (CONCURRENT, "side by side")):
        ax.axhspan(low, high, color="#F2F2F2", linewidth=0)
        ax.text(0.98, 0.5 * (low + high), words, ha="right", va="center", fontsize=6.5,
                color="#666666", transform=ax.get_yaxis_transform())  # fmt: skip
    ax.errorbar(x, ends[0], yerr=style.bars(*ends), fmt="o", color="black", markersize=4,
                elinewidth=0.8, capsize=2)  # fmt: skip
    for at, one in enumerate(own):
        state = str(found["state"].values[found["population_state"].values[one]])
        ax.annotate(state, (x[at], ends[0][at]), xytext=(5, -9), textcoords="offset points",
                    fontsize=6.5)  # fmt: skip
    verdict, factor = found["verdict"].values[field], found["log_bayes_factor"].values[field]
    ax.set(xlim=(0, 1), ylim=(-0.03, 1.03), xlabel="share converted at the state")
    ax.set_ylabel(f"share of grains caught\n{verdict}, ln B = {factor:.1f}")


def _draw_proportions(ax: Axes, found: xr.Dataset, field: int) -> None:
    one = found.isel(field=field)
    shown = np.flatnonzero(np.isfinite(one["proportion"].values))
    if not len(shown):
        ax.set_axis_off()
        ax.text(0.5, 0.5, "no grain is caught", ha="center", va="center", transform=ax.transAxes)
        return
    names = [str(name) for name in found["morphology"].values[shown]]
    value, low, high = (one[f"proportion{end}"].values[shown] for end in ("", "_low", "_high"))
    at = np.arange(len(names))
    ax.barh(at, value, color=[_COLOURS[name] for name in names], height=0.7)
    ax.errorbar(value, at, xerr=style.bars(value, low, high), fmt="none", ecolor="black",
                elinewidth=0.8, capsize=2)  # fmt: skip
    ax.set(xlim=(0, 1), xlabel="share of caught grains", yticks=at, yticklabels=names)
    ax.invert_yaxis()


@style.styled
def draw_planes(found: xr.Dataset, *, labels: Mapping[str, str] | None = None) -> Figure:
    """Of each field: where its habit plane's normal may lie in the parent, and the traces."""
    fields = [field for field in _with_grains(found) if np.isfinite(found["region"].values[field])]
    if not fields:
        return style.sentence(
            "No habit plane: it takes three grains or more with a straight front whose direction in"
            " the crystal is known."
        )
    columns = min(2, len(fields))
    rows = -(-len(fields) // columns)
    figure = style.page(style.PAGE, 3.4 * rows)
    axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for ax in axes[len(fields) :]:
        ax.set_axis_off()
    for ax, field, letter in zip(axes, fields, _LETTERS, strict=False):
        _draw_stereogram(ax, found, field)
        style.title(ax, letter, _name(found, field, labels))
    return figure


def _draw_stereogram(ax: Axes, found: xr.Dataset, field: int) -> None:
    """Equal-area projection of the upper hemisphere along c*."""
    one = found.isel(field=field)
    operations = rotations.matrices(laue_rotations(found.attrs["parent_point_group"]))
    density = np.repeat(one["plane_probability"].values, len(operations))
    points = sphere.variants(found["plane"].values, operations).reshape(-1, 3)
    points = np.concatenate([points, -points])
    density = np.concatenate([density, density])
    above = points[:, 2] >= 0
    x, y = _projected(points[above])
    order = np.argsort(density[above], kind="stable")
    with np.errstate(divide="ignore"):
        below = np.maximum(np.log(density[above][order] / density.max()), _FAINTEST)
    dots = ax.scatter(x[order], y[order], c=below, s=2.5, cmap="Blues", vmin=_FAINTEST, vmax=0,
                      linewidths=0, rasterized=True)  # fmt: skip
    style.colour_bar(dots, "ln of the posterior over its maximum")
    region = region_of(one["plane_probability"].values)
    inside = np.concatenate([np.repeat(region, len(operations))] * 2)[above]
    ax.scatter(x[inside], y[inside], s=3, color="#E69F00", linewidths=0)
    own = np.flatnonzero(found["trace_field"].values == field)[:_MOST_CIRCLES]
    for front in own:
        circle = _great_circle(found["trace"].values[front])
        ax.plot(*circle, color="#666666", linewidth=0.4)
    best = sphere.variants(one["normal"].values[None], operations)[0]
    best = np.concatenate([best, -best])
    ax.plot(*_projected(best[best[:, 2] >= -1e-9]), "k+", markersize=6, markeredgewidth=0.9)
    turn = np.linspace(0, 2 * np.pi, 181)
    ax.plot(np.sqrt(2) * np.cos(turn), np.sqrt(2) * np.sin(turn), color="black", linewidth=0.8)
    for name, place in (("a", (1.55, 0.0)), ("b*", (0.0, 1.55)), ("c*", (0.08, 0.08))):
        ax.text(*place, name, ha="center", va="center", fontsize=8)
    if np.isfinite(one["softest"]).all():
        soft = sphere.variants(one["softest"].values[None], operations)[0]
        soft = np.concatenate([soft, -soft])
        ax.plot(*_projected(soft[soft[:, 2] >= -1e-9]), "o", markersize=5, markerfacecolor="none",
                markeredgecolor="#B00020", markeredgewidth=0.9)  # fmt: skip
    plane = " ".join(f"{index:.2f}" for index in one["normal_indices"].values)
    outlines = float(one["against_outlines"])
    told = [
        f"({plane}) within {float(one['region']):.1f} degrees (95 %)",
        f"{int(one['traces'])} traces; p = {float(one['against_random']):.3f} against random",
        f"directions, {'not known' if np.isnan(outlines) else f'{outlines:.3f}'} against outlines",
    ]
    ax.text(0.5, -0.02, "\n".join(told), ha="center", va="top", fontsize=7, transform=ax.transAxes)
    ax.set(xlim=(-1.7, 1.7), ylim=(-1.7, 1.7), aspect="equal")
    ax.set_axis_off()


def _projected(normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lambert's equal-area projection of directions (n, 3) of the upper hemisphere."""
    scale = np.sqrt(2.0 / (1.0 + np.clip(normals[:, 2], 0.0, 1.0)))
    return normals[:, 0] * scale, normals[:, 1] * scale


def _great_circle(trace: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normals of all planes that hold a trace, projected; the upper half."""
    helper = np.eye(3)[np.argmin(np.abs(trace))]
    one = np.cross(trace, helper)
    one /= np.linalg.norm(one)
    other = np.cross(trace, one)
    turn = np.linspace(0, 2 * np.pi, 361)[:, None]
    circle = np.cos(turn) * one + np.sin(turn) * other
    start = int(np.argmin(np.where(circle[:, 2] >= 0, np.roll(circle[:, 2], 1), np.inf)))
    circle = np.roll(circle[:-1], -start, axis=0)
    return _projected(circle[circle[:, 2] >= 0])


@style.styled
def draw_morphologies(
    phases: xr.Dataset,
    grains: xr.Dataset,
    interfaces: xr.Dataset,
    found: xr.Dataset,
    *,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """The map of a scan with fitted fronts, and on each grain a pie of what shape it has."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Patch, Wedge

    figure = style.page(style.PAGE, style.map_height(phases["decision"].shape, columns=1) + 0.9)
    ax = figure.subplots()
    draw_decision(ax, phases, grains)
    draw_segments(ax, interfaces)
    scan = list(found["scan"].values).index(phases.attrs["scan"])
    names = [str(name) for name in found["morphology"].values]
    by_grain = ("population_of_grain", "number", "size", "posterior", "posterior_in_population")
    population, numbers, size, alone, posteriors = (found[name].values for name in by_grain)
    posteriors = np.where(np.isfinite(posteriors).all(axis=1)[:, None], posteriors, alone)
    x, y = (grains[f"centroid_{axis}"].values for axis in "xy")
    pies, shown = [], 0
    for grain in np.flatnonzero((found["scan_of_grain"].values == scan) & (population >= 0)):
        centre = x[numbers[grain]], y[numbers[grain]]
        radius = np.clip(0.28 * np.sqrt(size[grain] / np.pi), 1.0, 8.0)
        ends = 90 - 360 * np.concatenate([[0], np.cumsum(posteriors[grain])])
        pies += [Wedge(centre, radius, *pair) for pair in zip(ends[1:], ends[:-1], strict=True)]
        shown += 1
    colours = [_COLOURS[name] for name in names] * shown
    ax.add_collection(
        PatchCollection(pies, facecolors=colours, edgecolors="white", linewidths=0.3),
        autolim=False,
    )
    style.title(ax, "a", f"shapes of {shown} grains" if shown else "no grain of a population")
    ax.set(xlim=(-0.5, phases.sizes["x"] - 0.5), ylim=(phases.sizes["y"] - 0.5, -0.5))
    style.scan_axes(ax, float(grains.attrs["scan_step_nm"]))
    handles = [Patch(facecolor=_COLOURS[name], label=name) for name in names]
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=7)
    phase_legend(figure, [phases], labels)
    return figure


def _with_grains(found: xr.Dataset) -> np.ndarray:
    return np.flatnonzero(found["grains"].values > 0)


def _own(found: xr.Dataset, field: int) -> np.ndarray:
    """Counted grains (index) of a field."""
    population = found["population_of_grain"].values
    of_field = np.append(found["population_field"].values, -1)[population]
    return np.flatnonzero((of_field == field) & (found["counted"].values == Counted.YES))


def _name(found: xr.Dataset, field: int, labels: Mapping[str, str] | None) -> str:
    names = style.labels(found["phase"].values, labels)
    return f"{names[found['rich'].values[field]]}, {names[found['poor'].values[field]]}"
