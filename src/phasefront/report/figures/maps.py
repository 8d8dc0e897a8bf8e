"""Maps of phases, orientations, composition and reliability.

They are drawn as the scan runs: columns to the right, rows downwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.layouts.phases import MIXED, UNANSWERED, UNDECIDED, UNINDEXED, VACUUM
from phasefront.maps import frames
from phasefront.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from phasefront.experiment.settings.instruments import Camera, StatedCamera


UNDECIDED_COLOUR = "#666666"
UNINDEXED_COLOUR = "#A3A3A3"
# Hatched in white, so that it is told from every phase without its colour, too.
MIXED_COLOUR = "#4B1D73"
_MIXED_HATCH = "//////"
_KEY_PIXELS = 300  # along a side
_SURE_GAP = 10.0  # log-likelihood; past it, how sure one orientation is says nothing more


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
    crystals: Mapping[str, object],
    *,
    camera: StatedCamera | None,
    scan_step_nm: float = np.nan,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Crystal direction along x, y and z of the scan per position, or of its camera if not stated.

    Which of them it is stands below. Each decided position takes the colour key of its phase's
    Laue group (orix, TSL), drawn beside. `crystals` maps the names of the phases to crystals
    (`orix_point_group()`).
    """
    import orix.plot  # noqa: F401  registers the projection of the colour keys
    from orix.vector import Vector3d

    names = [str(name) for name in phases["phase"].values]
    groups = {name: crystals[name].orix_point_group().laue for name in names}
    directions = {"x": Vector3d.xvector(), "y": Vector3d.yvector(), "z": Vector3d.zvector()}
    own = is_own(phases)
    of = "the scan's" if camera else "the camera's" if own else "the file's"
    along = "along the beam" if own else "the file's z"
    words = {"x": f"IPF-X, {of} x", "y": f"IPF-Y, {of} y", "z": f"IPF-Z, {along}"}
    shape = phases["decision"].shape
    figure = style.page(style.PAGE, max(3.4, style.map_height(shape, columns=3) + 1.7))
    maps, keys = figure.subfigures(2, 1, height_ratios=[style.map_height(shape, columns=3), 1.5])
    for ax, letter, axis in zip(maps.subplots(1, 3), "abc", "xyz", strict=True):
        ax.imshow(direction_colours(phases, groups, directions[axis], camera=camera))
        style.title(ax, letter, words[axis])
        style.scan_axes(ax, scan_step_nm, with_labels=axis == "x")
    _draw_keys(keys, groups, labels)
    told = (
        frames.statement(camera)
        if own
        else f"directions are those of the file that {phases.attrs['map_by']} wrote"
    )
    figure.supxlabel(f"{told[:1].upper()}{told[1:]}.", fontsize=7)
    return figure


@style.styled
def draw_colour_keys(
    groups: Mapping[str, object], labels: Mapping[str, str] | None = None
) -> Figure:
    """The colour keys by themselves; `groups` maps phases to orix Laue groups."""
    figure = style.page(2.2 * len({group.name for group in groups.values()}), 1.7)
    import orix.plot  # noqa: F401  registers the projection of the colour keys

    _draw_keys(figure, groups, labels)
    return figure


def direction_colours(
    phases: xr.Dataset, groups: Mapping[str, object], direction, *, camera: Camera | None = None
) -> np.ndarray:
    """Colours (y, x, 3) of a direction (orix Vector3d) in the crystal of each position.

    The direction is one of the scan, or of the patterns where `camera` is None. `groups` maps
    phases to orix Laue groups; undecided, unindexed and vacuum positions have their own greys.
    Mixed positions take their likeliest phase, whose orientation is that of the first lattice.
    """
    from matplotlib.colors import to_rgb
    from orix.plot import DirectionColorKeyTSL
    from orix.quaternion import Rotation

    decision = style.with_likeliest(phases, MIXED)
    colours = np.empty((*decision.shape, 3))
    colours[decision == VACUUM] = to_rgb(style.VACUUM_COLOUR)
    colours[decision == UNDECIDED] = to_rgb(UNDECIDED_COLOUR)
    colours[decision == UNINDEXED] = to_rgb(UNINDEXED_COLOUR)
    for index, name in enumerate(phases["phase"].values):
        here = decision == index
        if here.any():
            seen = phases["rotation"].values[here, index].astype(float)
            rotation = Rotation(frames.on_scan(seen, camera))
            key = DirectionColorKeyTSL(groups[str(name)])
            colours[here] = key.direction2color(rotation * direction)
    return np.clip(colours, 0, 1)


def _draw_keys(figure, groups: Mapping[str, object], labels: Mapping[str, str] | None) -> None:
    """One key per Laue group, titled with the phases that share it."""
    shared: dict[str, list[str]] = {}
    for name, group in groups.items():
        shared.setdefault(group.name, []).append(name)
    by_group = {group.name: group for group in groups.values()}
    for column, (symbol, names) in enumerate(shared.items(), start=1):
        ax = figure.add_subplot(
            1, len(shared), column, projection="ipf", symmetry=by_group[symbol], hemisphere="upper"
        )
        colours, extent = _key_colours(by_group[symbol])
        ax.stereographic_grid(False)
        ax.imshow(colours, extent=extent, origin="lower", zorder=0, interpolation="bilinear")
        for text in ax.texts:
            text.set_fontsize(8)
        title = ", ".join(style.labels(names, labels))
        ax.set_title(f"{title}\nLaue group {_overlined(symbol)}", pad=14)


def _key_colours(group) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """Colours (rows, columns, 4) of the sector of a Laue group, and its extent in the projection.

    orix interpolates a key from a grid of directions, which takes seconds.
    """
    from orix.plot import DirectionColorKeyTSL
    from orix.projections import InverseStereographicProjection, StereographicProjection
    from orix.vector import Vector3d

    sector = group.fundamental_sector
    edges = np.stack(StereographicProjection().vector2xy(Vector3d(sector.edges)))
    low, high = edges.min(axis=1), edges.max(axis=1)
    x, y = (np.linspace(a, b, _KEY_PIXELS) for a, b in zip(low, high, strict=True))
    across, up = np.meshgrid(x, y)
    direction = InverseStereographicProjection().xy2vector(across.ravel(), up.ravel())
    colours = np.zeros((direction.size, 4))
    colours[:, :3] = np.clip(DirectionColorKeyTSL(group).direction2color(direction), 0, 1)
    colours[:, 3] = direction <= sector
    return colours.reshape(_KEY_PIXELS, _KEY_PIXELS, 4), (low[0], high[0], low[1], high[1])


@style.styled
def draw_reliability(
    phases: xr.Dataset, orientations: xr.Dataset | None, *, scan_step_nm: float = np.nan
) -> Figure:
    """How well positions are matched: reliability, score, indexed spots, and the half-turn gap.

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
        (best["half_turn_gap"].clip(max=_SURE_GAP), "half turn", "log-likelihood that it costs"),
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


def _overlined(symbol: str) -> str:
    """A point group's symbol with the bar over the digit behind a minus sign."""
    head, minus, tail = symbol.partition("-")
    return rf"{head}$\overline{{{tail[0]}}}${tail[1:]}" if minus else symbol


def draw_decision(ax: Axes, phases: xr.Dataset, grains: xr.Dataset | None) -> None:
    """The decision of every position, with the boundaries of grains where these are given."""
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgb

    decision = phases["decision"].values.astype(int)
    answers = {MIXED: MIXED_COLOUR, VACUUM: style.VACUUM_COLOUR, UNDECIDED: UNDECIDED_COLOUR}
    answers[UNINDEXED] = UNINDEXED_COLOUR
    answers |= {index: style.rgb(index) for index in range(phases.sizes["phase"])}
    colours = np.array([to_rgb(answers[value]) for value in range(UNINDEXED, max(answers) + 1)])
    ax.imshow(colours[decision - UNINDEXED])
    y, x = np.nonzero(decision == MIXED)
    corners = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
    ax.add_collection(
        PolyCollection(
            np.stack([x, y], axis=-1)[:, None] + corners, facecolors="none", edgecolors="white",
            linewidths=0, hatch=_MIXED_HATCH,
        )
    )  # fmt: skip
    if grains is not None:
        _draw_boundaries(ax, phases, grains)


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
            facecolor=MIXED_COLOUR, edgecolor="white", linewidth=0, hatch=_MIXED_HATCH,
            label="mixed",
        )
    )  # fmt: skip
    handles.append(Patch(color=UNDECIDED_COLOUR, label="undecided"))
    handles.append(Patch(color=UNINDEXED_COLOUR, label="unindexed"))
    handles.append(
        Patch(facecolor=style.VACUUM_COLOUR, edgecolor="0.6", linewidth=0.5, label="vacuum")
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
