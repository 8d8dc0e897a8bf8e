"""Maps of phases, orientations, composition and reliability.

They are drawn as the scan runs: columns to the right, rows downwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.grains.pooling import settled
from phasefront.layouts.phases import MIXED, UNANSWERED, UNDECIDED, UNINDEXED, VACUUM
from phasefront.maps import frames
from phasefront.report.figures import style
from phasefront.report.figures.orientation_colours import direction_colours, draw_keys

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from phasefront.experiment.settings.instruments import StatedCamera

_MIXED_HATCH = "//////"
_DOUBTFUL_HATCH = "......"


@style.styled
def draw_phase_map(
    phases: xr.Dataset,
    grains: xr.Dataset | None = None,
    *,
    scan_step_nm: float = np.nan,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """The decision with the outlines of the grains, and the posterior of the likeliest phase."""
    shape = phases["decision"].shape
    figure = style.page(style.PAGE, style.map_height(shape, columns=2) + 0.35)
    left, right = figure.subplots(1, 2)
    draw_decision(left, phases, grains)
    style.title(left, "a", "phase" + ("" if grains is None else " and grain boundaries"))
    style.scan_axes(left, scan_step_nm)
    if not is_own(phases):
        right.text(
            0.5, 0.5, f"a map by {phases.attrs['map_by']},\nwhich says no probabilities",
            ha="center", va="center", transform=right.transAxes,
        )  # fmt: skip
        right.set_axis_off()
        phase_legend(figure, [phases], labels)
        return figure
    posterior = phases["posterior"].max("phase").where(phases["decision"] != VACUUM)
    chance = 1 / phases.sizes["phase"] if phases.sizes["phase"] > 1 else 0
    image = right.imshow(posterior, vmin=chance, vmax=1, cmap=style.with_missing("viridis"))
    bar = style.colour_bar(image, "posterior probability")
    threshold = float(phases.attrs["decide_above"])
    bar.ax.axhline(threshold, color="black", linewidth=1.5)
    style.title(right, "b", f"posterior of the likeliest phase (line: {threshold:g})")
    style.scan_axes(right, scan_step_nm)
    phase_legend(figure, [phases], labels)
    return figure


@style.styled
def draw_phase_map_overview(
    phases: Sequence[xr.Dataset],
    *,
    titles: Sequence[str],
    grains: Sequence[xr.Dataset | None] | None = None,
    scan_steps_nm: Sequence[float] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """The decisions of several scans side by side, at most five in a row; one title each."""
    if not phases:
        return style.sentence("This experiment has no scans.")
    grains = [None] * len(phases) if grains is None else grains
    steps = [np.nan] * len(phases) if scan_steps_nm is None else scan_steps_nm
    columns = min(5, len(phases))
    rows = -(-len(phases) // columns)
    aspect = max(one["decision"].shape[0] / one["decision"].shape[1] for one in phases)
    height = rows * (min(4.0, aspect * (style.PAGE - 0.3) / columns) + 0.4) + 0.3
    figure = style.page(style.PAGE, height)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat[len(phases) :]:
        ax.set_axis_off()
    for ax, one, title, outlines, step in zip(
        axes.flat, phases, titles, grains, steps, strict=False
    ):
        draw_decision(ax, one, outlines)
        ax.set_title(title)
        ax.set(xticks=[], yticks=[])
        if np.isfinite(step):
            style.scale_bar(ax, step, "nm")
    phase_legend(figure, phases, labels)
    return figure


@style.styled
def draw_orientation_map(
    phases: xr.Dataset,
    grains: xr.Dataset,
    crystals: Mapping[str, object],
    *,
    camera: StatedCamera | None,
    scan_step_nm: float = np.nan,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Crystal direction along x, y and z of the scan per position, or of its camera if not stated.

    Which of them it is stands below. Each decided position takes the colour key of its phase's
    Laue group (orix, TSL), drawn beside. `crystals` maps the names of the phases to crystals
    (`orix_point_group()`). Orientations are those that the grains settle; dots mark positions
    whose colours would be others if the phase lay on the shared lattice in another variant, which
    neither they nor their grain tell with the probability that a decision needs.
    """
    import orix.plot  # noqa: F401  registers the projection of the colour keys
    from orix.vector import Vector3d

    names = [str(name) for name in phases["phase"].values]
    groups = {name: crystals[name].orix_point_group().laue for name in names}
    directions = {"x": Vector3d.xvector(), "y": Vector3d.yvector(), "z": Vector3d.zvector()}
    own = is_own(phases)
    shown = settled(phases, grains)
    crystal = (phases["decision"] >= 0) | (phases["decision"] == MIXED)
    doubtful = crystal.values & (grains["axes_probability"].values <= phases.attrs["decide_above"])
    of = "the scan's" if camera else "the camera's" if own else "the file's"
    along = "along the beam" if own else "the file's z"
    words = {"x": f"IPF-X, {of} x", "y": f"IPF-Y, {of} y", "z": f"IPF-Z, {along}"}
    shape = phases["decision"].shape
    figure = style.page(style.PAGE, max(3.4, style.map_height(shape, columns=3) + 1.7))
    maps, keys = figure.subfigures(2, 1, height_ratios=[style.map_height(shape, columns=3), 1.5])
    for ax, letter, axis in zip(maps.subplots(1, 3), "abc", "xyz", strict=True):
        ax.imshow(direction_colours(shown, groups, directions[axis], camera=camera))
        _draw_hatched(ax, doubtful, _DOUBTFUL_HATCH)
        style.title(ax, letter, words[axis])
        style.scan_axes(ax, scan_step_nm, with_labels=axis == "x")
    draw_keys(keys, groups, labels)
    told = (
        frames.statement(camera)
        if own
        else f"directions are those of the file that {phases.attrs['map_by']} wrote"
    )
    dotted = " Dotted: another variant of the lattice is not ruled out." if doubtful.any() else ""
    figure.supxlabel(f"{told[:1].upper()}{told[1:]}.{dotted}", fontsize=7)
    return figure


@style.styled
def draw_reliability(
    phases: xr.Dataset, grains: xr.Dataset, orientations: xr.Dataset | None, *,
    scan_step_nm: float = np.nan,
) -> Figure:  # fmt: skip
    """How well positions are matched: reliability, score, indexed spots, and how sure it is which
    orientation of those hardly told apart they have.

    A map that another program made (`orientations` is None) has none of these. All but the
    reliability are those of the decided phase, or where mixed or undecided of the likeliest one.
    """
    if orientations is None:
        program = phases.attrs["map_by"]
        return style.sentence(f"This map was made by {program}; nothing was matched here.")
    decision = phases["decision"]
    chosen = decision.copy(data=style.with_likeliest(phases, MIXED, *UNANSWERED, VACUUM))
    best = orientations.isel(rank=0, phase=chosen)
    crystal = decision != VACUUM
    panels = (
        (phases["reliability"], "reliability", "1 − next/best score"),
        (best["score"], "score", "normalised correlation"),
        (best["indexed"], "indexed spots", "spots per pattern"),
        (grains["orientation_probability"], "half turn and variant", "probability of being right"),
    )
    shape = decision.shape
    figure = style.page(style.PAGE, 2 * style.map_height(shape, columns=2, beside=1.2))
    axes = figure.subplots(2, 2).ravel()
    for ax, letter, (values, title, unit) in zip(axes, "abcd", panels, strict=True):
        shown = values.where(crystal)
        image = ax.imshow(
            shown, vmin=0, vmax=style.highest(shown), cmap=style.with_missing("viridis")
        )
        style.colour_bar(image, unit, extend="max")
        style.title(ax, letter, title)
        style.scan_axes(ax, scan_step_nm, with_labels=letter == "a")
    return figure


@style.styled
def draw_composition(
    phases: xr.Dataset, grains: xr.Dataset | None = None, *, scan_step_nm: float = np.nan,
    ion: str = "ions",
) -> Figure:  # fmt: skip
    """Ion content and axial ratio of the lattice that the phases share, each with its error.

    Only where the position is decided or mixed. `ion` is written in the unit.
    """
    known = phases["decision"].isin([MIXED, *range(phases.sizes["phase"])])
    panels = (
        ("ion_content", "ion content from the cell", f"{ion} per formula unit", "viridis"),
        ("ion_content_stderr", "its standard error", f"{ion} per formula unit", "magma"),
        ("axial_ratio", "axial ratio", "c over mean of a and b", "viridis"),
        ("axial_ratio_stderr", "its standard error", "c over mean of a and b", "magma"),
    )
    shown = {name: phases[name].where(known) for name, *_ in panels}
    if not np.isfinite(shown["ion_content"]).any():
        return style.sentence("No position of this scan has a cell of a lattice that phases share.")
    figure = style.page(
        style.PAGE, 2 * style.map_height(phases["decision"].shape, columns=2, beside=1.2)
    )
    for ax, letter, (name, title, unit, colours) in zip(
        figure.subplots(2, 2).ravel(), "abcd", panels, strict=True
    ):
        values = shown[name].values
        is_error = name.endswith("stderr")
        lowest = 0.0 if is_error else -style.highest(-values)
        image = ax.imshow(
            values, vmin=lowest, vmax=style.highest(values), cmap=style.with_missing(colours)
        )
        bar = style.colour_bar(image, unit, extend="max" if is_error else "both")
        bar.formatter.set_useOffset(False)
        if grains is not None:
            _draw_boundaries(ax, phases, grains)
        style.title(ax, letter, title)
        style.scan_axes(ax, scan_step_nm, with_labels=letter == "a")
    return figure


def is_own(phases: xr.Dataset) -> bool:
    """Whether phasefront decided, rather than a program whose map was read."""
    return not phases.attrs["map_by"]


def draw_decision(ax: Axes, phases: xr.Dataset, grains: xr.Dataset | None) -> None:
    """The decision of every position, with the boundaries of grains where these are given."""
    from matplotlib.colors import to_rgb

    decision = phases["decision"].values.astype(int)
    answers = {
        MIXED: style.MIXED_COLOUR, VACUUM: style.VACUUM_COLOUR,
        UNDECIDED: style.UNDECIDED_COLOUR, UNINDEXED: style.UNINDEXED_COLOUR,
    }  # fmt: skip
    answers |= {index: style.rgb(index) for index in range(phases.sizes["phase"])}
    colours = np.array([to_rgb(answers[value]) for value in range(UNINDEXED, max(answers) + 1)])
    ax.imshow(colours[decision - UNINDEXED])
    _draw_hatched(ax, decision == MIXED, _MIXED_HATCH)
    if grains is not None:
        _draw_boundaries(ax, phases, grains)


def _draw_hatched(ax: Axes, where: np.ndarray, hatch: str) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    y, x = np.nonzero(where)
    if not len(y):
        return
    corners = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
    # In one path: a hatch is drawn over the whole picture for each.
    squares = Path.make_compound_path_from_polys(np.stack([x, y], axis=-1)[:, None] + corners)
    ax.add_patch(PathPatch(squares, facecolor="none", edgecolor="white", linewidth=0, hatch=hatch))


def _draw_boundaries(ax: Axes, phases: xr.Dataset, grains: xr.Dataset) -> None:
    from matplotlib.collections import LineCollection

    edges = boundaries(grains["label"].values, np.isin(phases["decision"].values, UNANSWERED))
    ax.add_collection(LineCollection(edges, colors="black", linewidths=0.5, capstyle="round"))


def boundaries(label: np.ndarray, undecided: np.ndarray) -> np.ndarray:
    """Edges (n, 2, 2), as (x, y) of both ends, between positions of different grains.

    Edges amid undecided positions, where orientations are noise, are left out.
    """
    across = (label[:, 1:] != label[:, :-1]) & ~(undecided[:, 1:] & undecided[:, :-1])
    rows, columns = np.nonzero(across)
    upright = np.stack(
        [np.stack([columns + 0.5, rows - 0.5], -1), np.stack([columns + 0.5, rows + 0.5], -1)], 1
    )
    down = (label[1:] != label[:-1]) & ~(undecided[1:] & undecided[:-1])
    rows, columns = np.nonzero(down)
    level = np.stack(
        [np.stack([columns - 0.5, rows + 0.5], -1), np.stack([columns + 0.5, rows + 0.5], -1)], 1
    )
    return np.concatenate([upright, level])


def phase_legend(
    figure: Figure, phases: Sequence[xr.Dataset], labels: Mapping[str, str] | None
) -> None:
    """What the colours of decisions mean, below the figure."""
    from matplotlib.patches import Patch

    names = style.labels(phases[0]["phase"].values, labels)
    handles = [Patch(color=style.rgb(index), label=name) for index, name in enumerate(names)]
    handles.append(
        Patch(
            facecolor=style.MIXED_COLOUR, edgecolor="white", linewidth=0, hatch=_MIXED_HATCH,
            label="mixed",
        )
    )  # fmt: skip
    handles.append(Patch(color=style.UNDECIDED_COLOUR, label="undecided"))
    handles.append(Patch(color=style.UNINDEXED_COLOUR, label="unindexed"))
    handles.append(
        Patch(facecolor=style.VACUUM_COLOUR, edgecolor="0.6", linewidth=0.5, label="vacuum")
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
