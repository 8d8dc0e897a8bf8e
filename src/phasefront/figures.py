"""The pictures of a run, drawn from the data sets of its stages.

Every `draw_...` is a pure function that returns a `matplotlib.figure.Figure`; `save` writes it.
Phases keep one colour through all pictures, given by their order. `labels` maps the names of phases
to what is written in figures (which may hold LaTeX); a name without a label stands for itself.
Maps are drawn as the scan runs: columns to the right, rows downwards.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import xarray as xr

from phasefront.layouts import MIXED, UNDECIDED, VACUUM

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by the colour-blind (https://jfly.uni-koeln.de/color/), in an
# order that also differs in lightness from one to the next.
PHASE_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
UNDECIDED_COLOUR = "#666666"
# Hatched in white, so that it is told from every phase without its colour, too.
MIXED_COLOUR = "#4B1D73"
VACUUM_COLOUR = "#EFEFEF"
MEASURED_COLOUR = "#B00020"
_MIXED_HATCH = "//////"
DPI = 200
# Width of a text page with two columns, inches.
PAGE = 7.2
_SURE_GAP = 10.0  # log-likelihood; past it, how sure one orientation is says nothing more

SOURCE_MARKERS = {"stem": "o", "cycling": "D", "powder": "s"}
SOURCE_NAMES = {"stem": "4D-STEM", "cycling": "cycling", "powder": "powder XRD"}
SOURCE_COLOURS = {"stem": "#D55E00", "cycling": "#000000", "powder": "#6A3D9A"}

_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so the same on every machine
    "font.size": 8,
    "mathtext.default": "regular",
    "axes.linewidth": 0.6,
    "axes.titlesize": 8,
    "axes.titlepad": 4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "image.interpolation": "nearest",
    "lines.linewidth": 1,
    "hatch.linewidth": 0.5,
}


def save(figure: Figure, path: str | Path | BinaryIO) -> None:
    """Write a PNG whose bytes depend on the figure only: fixed resolution, no metadata.

    White margins are cut away, so what a layout leaves over at maps of odd shapes does not show.
    """
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        figure.savefig(
            path,
            format="png",
            dpi=DPI,
            bbox_inches="tight",
            pad_inches=0.04,
            metadata={"Software": None},
        )


def _styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw under the house style, whatever the caller's matplotlib settings are."""

    @functools.wraps(draw)
    def drawn(*arguments, **keywords):
        import matplotlib as mpl

        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_STYLE)
            return draw(*arguments, **keywords)

    return drawn


# ---------------------------------------------------------------------------------- scan, geometry


@_styled
def draw_scan(scan: xr.Dataset, *, calibration: xr.Dataset | None = None) -> Figure:
    """Mean and maximum pattern (logarithmic) and the two virtual images of a SCAN data set.

    With a CALIBRATION data set the patterns bear a scale bar in 1/angstrom and the disk of the
    bright field, else pixels.
    """
    from matplotlib.ticker import LogLocator

    figure = _figure(PAGE, 0.86 * PAGE)
    axes = figure.subplots(2, 2)
    for ax, letter, name in zip(axes[0], "ab", ("mean_pattern", "max_pattern"), strict=True):
        pattern = scan[name].values
        image = ax.imshow(pattern, norm=_log_norm(pattern), cmap=_with_floor("inferno"))
        bar = _colour_bar(image, "counts", ticks=LogLocator(subs=(1, 2, 5)), format="%g")
        bar.minorticks_off()
        _title(
            ax, letter, {"a": "mean pattern (log scale)", "b": "maximum of all (log scale)"}[letter]
        )
        if calibration is None:
            ax.set(xlabel="camera column (pixel)", ylabel="camera row (pixel)")
        else:
            _scale_bar(ax, float(calibration["scale"]), "Å$^{-1}$")
            _circle_bright_field(ax, scan, calibration)
    step = float(scan.attrs["scan_step_nm"])
    for ax, letter, name in zip(axes[1], "cd", ("bright_field", "dark_field"), strict=True):
        image = ax.imshow(scan[name].values, cmap="gray")
        _colour_bar(image, "counts per pattern")
        _title(ax, letter, {"c": "virtual bright field", "d": "virtual dark field"}[letter])
        _scan_axes(ax, step)
    return figure


@_styled
def draw_calibration(calibration: xr.Dataset, *, scan_step_nm: float = np.nan) -> Figure:
    """Beam centre over the scan, what the fits leave, and the geometry with standard errors."""
    height = 2 * _map_height(calibration["centre_x"].shape, columns=2) + 1.7
    figure = _figure(PAGE, height)
    maps, below = figure.subfigures(2, 1, height_ratios=[height - 1.7, 1.7])
    axes = maps.subplots(2, 2)
    panels = (
        ("centre_x", "beam centre, column", "pixel", "viridis"),
        ("centre_y", "beam centre, row", "pixel", "viridis"),
        ("centre_residual", "measured − fitted centre, distance", "pixel", "magma"),
    )
    for ax, letter, (name, title, unit, colours) in zip(axes.flat, "abc", panels, strict=False):
        values = calibration[name].values
        limit = _highest(values) if name == "centre_residual" else None
        image = ax.imshow(values, cmap=_with_missing(colours), vmax=limit)
        bar = _colour_bar(image, unit, extend="neither" if limit is None else "max")
        bar.formatter.set_useOffset(False)
        _title(ax, letter, title)
        _scan_axes(ax, scan_step_nm)
    _draw_residuals(axes[1, 1], calibration)
    _write_geometry(below.subplots(), calibration)
    return figure


def _draw_residuals(ax: Axes, calibration: xr.Dataset) -> None:
    """Mean residual of the spots over the camera: arrows, enlarged, over their length."""
    y, x = calibration["bin_y"].values, calibration["bin_x"].values
    along_y, along_x = calibration["residual_y"].values, calibration["residual_x"].values
    length = np.hypot(along_y, along_x)
    _title(ax, "d", "spots, measured − fitted")
    if not np.isfinite(length).any():
        ax.set_axis_off()
        ax.text(0.5, 0.5, "scale and ellipse were not\nfitted on spots", transform=ax.transAxes,
                ha="center", va="center", color="0.35")  # fmt: skip
        return
    half = (x[1] - x[0]) / 2
    extent = (x[0] - half, x[-1] + half, y[-1] + half, y[0] - half)
    top = _highest(length)
    image = ax.imshow(length, extent=extent, cmap=_with_missing("magma"), vmin=0, vmax=top)
    _colour_bar(image, "pixel", extend="max")
    key = _round_below(top)
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
        return with_error(value(name), value(f"{name}_stderr"))

    attributes = calibration.attrs
    rows = (
        ("scale", f"{measured('scale')} Å$^{{-1}}$/pixel"),
        ("ellipse, long/short axis", measured("ellipse_ratio")),
        ("long axis, from x to y", f"{value('ellipse_angle'):.1f}°"),
        ("outward shift of spots × radius", f"{measured('outward_shift')} pixel$^2$"),
        ("fitted centre, standard error", f"{value('centre_stderr'):.2g} pixel"),
        ("radius of the direct beam", f"{value('probe_radius'):.2f} pixel"),
        ("radius of a Bragg spot", f"{value('spot_radius'):.2f} pixel"),
        ("spots used", f"{attributes['spots_used']}"),
        ("rms residual of the spots", f"{float(attributes['residual_rms']):.2g} Å$^{{-1}}$"),
    )
    ax.set_axis_off()
    _title(ax, "e", "geometry, with standard errors")
    for place, (name, text) in enumerate(rows):
        column, row = divmod(place, 5)
        left, height = 0.01 + 0.52 * column, 0.93 - 0.17 * row
        ax.text(left, height, name, transform=ax.transAxes, va="top")
        ax.text(left + 0.45, height, text, transform=ax.transAxes, va="top", ha="right")
    method = f"method: {attributes['method']}"
    ax.text(0.01, 0.06, method, transform=ax.transAxes, va="top", color="0.35")


@_styled
def draw_drift(columns: Mapping[str, Sequence]) -> Figure:
    """Scale, ellipse and centre of each scan beside the others.

    `columns` are those of the table that `drift.compare_calibrations` gives, by name.
    """
    drift = {name: np.asarray(column) for name, column in columns.items()}
    figure = _figure(PAGE, 4.6)
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
        _title(ax, letter, title)
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
    _title(axes[1, 0], "c", "beam centre")
    reach = drift["centre_drift"]
    _draw_by_instrument(axes[1, 1], drift, reach, np.stack([error, error]))
    axes[1, 1].set_ylabel("range over the scan (pixel)")
    axes[1, 1].set_ylim(0, 1.15 * reach.max() + 0.1)
    _title(axes[1, 1], "d", "descan")
    if len(set(drift["instrument"])) > 1:
        axes[1, 1].legend(loc="best")
    for ax in axes[1]:
        ax.set_xticks(place, scans, rotation=45, ha="right", rotation_mode="anchor")
        ax.set_xlim(-0.6, len(scans) - 0.4)
    if off.any():
        names = ", ".join(scan for scan, one in zip(scans, off, strict=True) if one)
        figure.suptitle(f"deviating: {names}", color=MEASURED_COLOUR, fontsize=8)
    return figure


def _draw_by_instrument(ax: Axes, drift: Mapping[str, np.ndarray], values, bars) -> None:
    """Values of the scans with bars (2, scans), one marker an instrument, deviating ones red."""
    instrument, off = drift["instrument"], drift["deviates"]
    for marker, name in zip("osD^v" * len(off), dict.fromkeys(instrument), strict=False):
        for colour, chosen in (("#000000", ~off), (MEASURED_COLOUR, off)):
            here = np.flatnonzero((instrument == name) & chosen)
            ax.errorbar(
                here, values[here], yerr=bars[:, here], fmt=marker, color=colour, markersize=4,
                capsize=2, label=None if colour == MEASURED_COLOUR else name,
            )  # fmt: skip


def _circle_bright_field(ax: Axes, scan: xr.Dataset, calibration: xr.Dataset) -> None:
    from matplotlib.patches import Circle

    centre = [float(np.nanmean(calibration[name])) for name in ("centre_x", "centre_y")]
    radius = float(scan.attrs["bright_field_radius_px"])
    ax.add_patch(Circle(centre, radius, fill=False, edgecolor="#56B4E9", linewidth=0.8))


# -------------------------------------------------------------------------------------------- maps


@_styled
def draw_phase_map(
    phases: xr.Dataset,
    grains: xr.Dataset | None = None,
    *,
    scan_step_nm: float = np.nan,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """The decision with the outlines of the grains, and the posterior of the likeliest phase."""
    shape = phases["decision"].shape
    figure = _figure(PAGE, _map_height(shape, columns=2) + 0.35)
    left, right = figure.subplots(1, 2)
    _draw_decision(left, phases, grains)
    _title(left, "a", "phase" + ("" if grains is None else " and grain boundaries"))
    _scan_axes(left, scan_step_nm)
    posterior = phases["posterior"].max("phase").where(phases["decision"] != VACUUM)
    chance = 1 / phases.sizes["phase"] if phases.sizes["phase"] > 1 else 0
    image = right.imshow(posterior, vmin=chance, vmax=1, cmap=_with_missing("viridis"))
    bar = _colour_bar(image, "posterior probability")
    threshold = float(phases.attrs["decide_above"])
    bar.ax.axhline(threshold, color="black", linewidth=1.5)
    _title(right, "b", f"posterior of the likeliest phase (line: {threshold:g})")
    _scan_axes(right, scan_step_nm)
    _phase_legend(figure, [phases], labels)
    return figure


@_styled
def draw_phase_map_overview(
    phases: Sequence[xr.Dataset],
    *,
    titles: Sequence[str],
    grains: Sequence[xr.Dataset | None] | None = None,
    scan_steps_nm: Sequence[float] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """The decisions of several scans side by side, at most five in a row; one title each."""
    grains = [None] * len(phases) if grains is None else grains
    steps = [np.nan] * len(phases) if scan_steps_nm is None else scan_steps_nm
    columns = min(5, len(phases))
    rows = -(-len(phases) // columns)
    aspect = max(one["decision"].shape[0] / one["decision"].shape[1] for one in phases)
    height = rows * (min(4.0, aspect * (PAGE - 0.3) / columns) + 0.4) + 0.3
    figure = _figure(PAGE, height)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat[len(phases) :]:
        ax.set_axis_off()
    for ax, one, title, outlines, step in zip(
        axes.flat, phases, titles, grains, steps, strict=False
    ):
        _draw_decision(ax, one, outlines)
        ax.set_title(title)
        ax.set(xticks=[], yticks=[])
        if np.isfinite(step):
            _scale_bar(ax, step, "nm")
    _phase_legend(figure, phases, labels)
    return figure


@_styled
def draw_orientation_map(
    phases: xr.Dataset,
    crystals: Mapping[str, object],
    *,
    scan_step_nm: float = np.nan,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Crystal direction along the frame's x, y and z per position.

    Each decided position takes the colour key of its phase's Laue group (orix, TSL), drawn beside.
    `crystals` maps the names of the phases to crystals (`orix_point_group()`).
    """
    import orix.plot  # noqa: F401  registers the projection of the colour keys
    from orix.vector import Vector3d

    names = [str(name) for name in phases["phase"].values]
    groups = {name: crystals[name].orix_point_group().laue for name in names}
    directions = {"x": Vector3d.xvector(), "y": Vector3d.yvector(), "z": Vector3d.zvector()}
    words = {"x": "IPF-X, along columns", "y": "IPF-Y, along rows", "z": "IPF-Z, along the beam"}
    shape = phases["decision"].shape
    figure = _figure(PAGE, max(3.4, _map_height(shape, columns=3) + 1.7))
    maps, keys = figure.subfigures(2, 1, height_ratios=[_map_height(shape, columns=3), 1.5])
    for ax, letter, axis in zip(maps.subplots(1, 3), "abc", "xyz", strict=True):
        ax.imshow(direction_colours(phases, groups, directions[axis]))
        _title(ax, letter, words[axis])
        _scan_axes(ax, scan_step_nm, with_labels=axis == "x")
    _draw_keys(keys, groups, labels)
    return figure


def direction_colours(phases: xr.Dataset, groups: Mapping[str, object], direction) -> np.ndarray:
    """Colours (y, x, 3) of a frame direction (orix Vector3d) in the crystal of each position.

    `groups` maps phases to orix Laue groups; undecided and vacuum positions have their own greys.
    Mixed positions take their likeliest phase, whose orientation is that of the first lattice.
    """
    from matplotlib.colors import to_rgb
    from orix.plot import DirectionColorKeyTSL
    from orix.quaternion import Rotation

    decision = _with_likeliest(phases, MIXED)
    colours = np.empty((*decision.shape, 3))
    colours[decision == VACUUM] = to_rgb(VACUUM_COLOUR)
    colours[decision == UNDECIDED] = to_rgb(UNDECIDED_COLOUR)
    for index, name in enumerate(phases["phase"].values):
        here = decision == index
        if here.any():
            rotation = Rotation(phases["rotation"].values[here, index].astype(float))
            key = DirectionColorKeyTSL(groups[str(name)])
            colours[here] = key.direction2color(rotation * direction)
    return np.clip(colours, 0, 1)


def _with_likeliest(phases: xr.Dataset, *answers: int) -> np.ndarray:
    """The decision (y, x), where it is one of `answers` the index of the likeliest phase."""
    decision = phases["decision"].values
    likeliest = phases["posterior"].fillna(-1).argmax("phase").values
    return np.where(np.isin(decision, answers), likeliest, decision)


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
        ax.plot_ipf_color_key(show_title=False)
        for text in ax.texts:
            text.set_fontsize(8)
        title = ", ".join(_labels(names, labels))
        ax.set_title(f"{title}\nLaue group {_overlined(symbol)}", pad=14)


@_styled
def draw_reliability(
    phases: xr.Dataset, orientations: xr.Dataset, *, scan_step_nm: float = np.nan
) -> Figure:
    """How well positions are matched: reliability, score, indexed spots, and the half-turn gap.

    All but the reliability are those of the decided phase, or where mixed or undecided of the
    likeliest one.
    """
    decision = phases["decision"]
    chosen = decision.copy(data=_with_likeliest(phases, MIXED, UNDECIDED, VACUUM))
    best = orientations.isel(rank=0, phase=chosen)
    crystal = decision != VACUUM
    panels = (
        (phases["reliability"], "reliability", "1 − next/best score"),
        (best["score"], "score", "normalised correlation"),
        (best["indexed"], "indexed spots", "spots per pattern"),
        (best["half_turn_gap"].clip(max=_SURE_GAP), "half turn", "log-likelihood that it costs"),
    )
    shape = decision.shape
    figure = _figure(PAGE, 2 * _map_height(shape, columns=2, beside=1.2))
    axes = figure.subplots(2, 2).ravel()
    for ax, letter, (values, title, unit) in zip(axes, "abcd", panels, strict=True):
        shown = values.where(crystal)
        image = ax.imshow(shown, vmin=0, vmax=_highest(shown), cmap=_with_missing("viridis"))
        _colour_bar(image, unit, extend="max")
        _title(ax, letter, title)
        _scan_axes(ax, scan_step_nm, with_labels=letter == "a")
    return figure


@_styled
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
        return _sentence("No position of this scan has a cell of a lattice that phases share.")
    figure = _figure(PAGE, 2 * _map_height(phases["decision"].shape, columns=2, beside=1.2))
    for ax, letter, (name, title, unit, colours) in zip(
        figure.subplots(2, 2).ravel(), "abcd", panels, strict=True
    ):
        values = shown[name].values
        is_error = name.endswith("stderr")
        lowest = 0.0 if is_error else -_highest(-values)
        image = ax.imshow(values, vmin=lowest, vmax=_highest(values), cmap=_with_missing(colours))
        bar = _colour_bar(image, unit, extend="max" if is_error else "both")
        bar.formatter.set_useOffset(False)
        if grains is not None:
            _draw_boundaries(ax, phases, grains)
        _title(ax, letter, title)
        _scan_axes(ax, scan_step_nm, with_labels=letter == "a")
    return figure


def choose_positions(phases: xr.Dataset, orientations: xr.Dataset) -> tuple[np.ndarray, list[str]]:
    """Positions worth showing: the median match of each phase, best, worst, mixed and undecided.

    Returns (n, 2) rows and columns, and for each why it was chosen.
    """
    decision = phases["decision"].values
    score = orientations["score"].isel(rank=0).values
    chosen = np.maximum(_with_likeliest(phases, MIXED), 0)
    score_of = np.take_along_axis(score, chosen[..., None], axis=-1)[..., 0]
    groups = [("median match", decision == index, 0.5) for index in range(phases.sizes["phase"])]
    groups += [
        ("best match", decision >= 0, 1.0),
        ("worst match", decision >= 0, 0.0),
        ("mixed", decision == MIXED, 0.5),
        ("undecided", decision == UNDECIDED, 0.5),
    ]
    positions, reasons = [], []
    for reason, mask, quantile in groups:
        candidates = np.argwhere(mask & np.isfinite(score_of))
        if len(candidates) == 0:
            continue
        order = np.argsort(score_of[tuple(candidates.T)], kind="stable")
        position = tuple(candidates[order[round(quantile * (len(order) - 1))]].tolist())
        if position not in positions:
            positions.append(position)
            reasons.append(reason)
    return np.array(positions, dtype=int).reshape(-1, 2), reasons


# qx and qy (n,) in 1/angstrom, hkl (n, 3) and weight (n,).
Predicted = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Explanation:
    """One phase's account of one pattern; of a second lattice, too, where that was found."""

    phase: int
    predicted: Predicted | None  # in the frame of the spots; None where it has no orientation
    spots: int  # found in the pattern
    explained: int  # of these, within three standard errors of a predicted one
    log_evidence: float  # less that of the likeliest phase
    forced_evidence: float  # the same for intensities in the raw pattern
    second_phase: int = -1
    second: Predicted | None = None
    explained_by_both: int = 0


@_styled
def draw_patterns(
    patterns: np.ndarray | None,
    positions: np.ndarray,
    *,
    spots: xr.Dataset,
    phases: xr.Dataset,
    explained: Sequence[Sequence[Explanation]],
    calibration: xr.Dataset | None = None,
    reasons: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    labelled: int = 5,
) -> Figure:
    """Patterns side by side as several phases explain them: circles measured, crosses predicted.

    Parameters
    ----------
    patterns
        (n, ky, kx) counts, shown as square roots; None where only the spots are known.
    positions
        (n, 2) row and column of each pattern in the scan.
    explained
        Per pattern the explanations to draw, the likeliest first (see `explanations.explain`). The
        `labelled` heaviest predicted spots inside a picture bear their indices.
    calibration
        CALIBRATION data set; needed where there are patterns.
    """
    from matplotlib.transforms import offset_copy

    count = len(positions)
    if count == 0:
        return _sentence("No position of this scan has enough spots to be matched.")
    panels = max(len(accounts) for accounts in explained)
    columns = min(count, 2 if panels > 1 else 3)
    rows = -(-count // columns)
    across = max(columns * panels, 3)
    figure = _figure(PAGE * columns * panels / across, rows * (PAGE / across + 0.9) + 0.35)
    found = [_spots_at(spots, row, column) for row, column in positions]
    reach = 1.1 * max((np.hypot(*q[:2]).max() for q in found if len(q[0])), default=1.0)
    names = _labels(phases["phase"].values, labels)
    cells = np.ravel(figure.subfigures(rows, columns, squeeze=False))
    for index, (row, column) in enumerate(positions):
        reason = "pattern" if reasons is None else reasons[index]
        letter = "abcdefghijklmnopqrstuvwxyz"[index]
        cells[index].suptitle(
            rf"$\mathbf{{{letter}}}$  {reason} (row {row}, column {column})", fontsize=8
        )
        axes = cells[index].subplots(1, panels, squeeze=False)[0]
        posterior = np.nan_to_num(phases["posterior"].values[row, column])
        for place, (ax, account) in enumerate(zip(axes, explained[index], strict=True)):
            if patterns is None:
                to_picture = _empty_picture(ax, reach, *found[index])
            else:
                to_picture = _picture(ax, patterns[index], calibration, (row, column))
            x, y = to_picture(*found[index][:2])
            ax.scatter(x, y, s=22, facecolors="none", edgecolors=MEASURED_COLOUR, linewidths=0.8)
            _draw_account(ax, to_picture, account, labelled)
            probability = _probability(posterior[account.phase])
            ax.set_title(f"{names[account.phase]}\nposterior {probability}", fontsize=7)
            text = _account_text(account, likeliest=place == 0, of=names)
            below_bar = offset_copy(ax.transAxes, fig=figure, y=-20, units="points")
            ax.text(0.5, 0, text, transform=below_bar, ha="center", va="top", fontsize=6.5)
    _pattern_legend(figure, any(one.second is not None for all_ in explained for one in all_))
    return figure


def _draw_account(ax: Axes, to_picture: Callable, account: Explanation, labelled: int) -> None:
    if account.predicted is None:
        ax.text(0.5, 0.03, "no orientation found", transform=ax.transAxes, ha="center", fontsize=6)
        return
    if account.second is not None:
        qx, qy, _, weight = account.second
        x, y = to_picture(qx, qy)
        size = _size_of(weight)
        # A white seam tells it from a cross below it.
        ax.scatter(x, y, s=1.3 * size, marker="+", color="white", linewidths=2.0)
        colour = PHASE_COLOURS[account.second_phase % len(PHASE_COLOURS)]
        ax.scatter(x, y, s=1.3 * size, marker="+", color=colour, linewidths=0.9)
    colour = PHASE_COLOURS[account.phase % len(PHASE_COLOURS)]
    _draw_predicted(ax, to_picture, account.predicted, colour, labelled)


def _account_text(account: Explanation, *, likeliest: bool, of: Sequence[str]) -> str:
    lines = [f"explains {account.explained} of {account.spots} spots"]
    if account.second is not None:
        lines.append(f"{account.explained_by_both} with a second: {of[account.second_phase]}")
    elif not likeliest:
        lines.append(f"log-evidence {_signed(account.log_evidence)}")
        if account.forced_evidence != 0:
            lines[-1] += f", intensities {_signed(account.forced_evidence)}"
    return "\n".join(lines)


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def _size_of(weight: np.ndarray) -> np.ndarray:
    """Areas of markers: strong reflections large, weak ones not too small to be seen."""
    return 6.0 + 20.0 * np.sqrt(weight / weight.max())


def _probability(value: float) -> str:
    return "> 0.999" if value > 0.999 else f"{value:.3f}"


def _picture(ax: Axes, pattern: np.ndarray, calibration: xr.Dataset, position) -> Callable:
    """Show a pattern; the function returned turns qx, qy into its pixels."""
    from matplotlib.colors import PowerNorm

    low, high = np.percentile(pattern, [1, 99.8])
    norm = PowerNorm(0.5, vmin=low, vmax=max(high, low + 1))
    ax.imshow(pattern, norm=norm, cmap="gray_r")
    ax.set(xlim=(-0.5, pattern.shape[1] - 0.5), ylim=(pattern.shape[0] - 0.5, -0.5))
    ax.set_autoscale_on(False)
    _scale_bar(ax, float(calibration["scale"]), "Å$^{-1}$")
    to_pixel = np.linalg.inv(calibration["affine"].values)
    centre = np.array([float(calibration[name][position]) for name in ("centre_x", "centre_y")])

    def to_picture(qx: np.ndarray, qy: np.ndarray) -> np.ndarray:
        return to_pixel @ np.stack([qx, qy]) + centre[:, None]

    return to_picture


def _empty_picture(
    ax: Axes, reach: float, qx: np.ndarray, qy: np.ndarray, intensity: np.ndarray
) -> Callable:
    """Axes in 1/angstrom for spots without a pattern; grey disks grow with the intensity."""
    ax.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal")
    _scale_bar(ax, 1.0, "Å$^{-1}$")
    ax.plot(0, 0, marker="+", color="0.5", markersize=8)
    strength = np.sqrt(np.clip(intensity, 0, None))
    ax.scatter(qx, qy, s=22 * strength / max(strength.max(initial=0), 1e-9), color="0.75")
    return lambda qx, qy: np.stack([qx, qy])


def _spots_at(spots: xr.Dataset, row: int, column: int) -> tuple[np.ndarray, ...]:
    """qx, qy and intensity."""
    position = row * spots.sizes["x"] + column
    own = slice(*spots["offset"].values[position : position + 2])
    return tuple(spots[name].values[own] for name in ("qx", "qy", "intensity"))


def _draw_predicted(ax: Axes, to_picture: Callable, predicted, colour: str, labelled: int) -> None:
    from matplotlib.patheffects import withStroke

    qx, qy, hkl, weight = predicted
    x, y = to_picture(qx, qy)
    ax.scatter(x, y, s=_size_of(weight), marker="x", color=colour, linewidths=0.9)
    (left, right), (bottom, top) = ax.get_xlim(), sorted(ax.get_ylim())
    margin = 0.06 * (right - left)
    inside = (x > left + margin) & (x < right - margin) & (y > bottom + margin) & (y < top - margin)
    placed: list[np.ndarray] = []
    for index in np.argsort(-np.asarray(weight), kind="stable"):
        here = np.array([x[index], y[index]])
        crowded = any(np.abs(here - other).max() < 0.13 * (right - left) for other in placed)
        if not inside[index] or crowded:
            continue
        ax.annotate(
            _miller(hkl[index]), here, xytext=(0, 5), textcoords="offset points", ha="center",
            fontsize=6, color=colour, path_effects=[withStroke(linewidth=1.4, foreground="white")],
        )  # fmt: skip
        placed.append(here)
        if len(placed) == labelled:
            break


def _pattern_legend(figure: Figure, with_second: bool) -> None:
    from matplotlib.lines import Line2D

    circle = Line2D([], [], linestyle="", marker="o", markerfacecolor="none", color=MEASURED_COLOUR)
    handles = [circle, Line2D([], [], linestyle="", marker="x", color="0.3")]
    names = ["measured", "predicted (colour of the phase)"]
    if with_second:
        handles.append(Line2D([], [], linestyle="", marker="+", color="0.3"))
        names.append("second lattice (colour of its phase)")
    figure.legend(handles, names, loc="outside lower center", ncols=3)


# ----------------------------------------------------------------------- charge, powder, all three


@_styled
def draw_comparison(
    cycling: Sequence[xr.Dataset],
    comparison: xr.Dataset,
    *,
    ion: str = "ions",
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Voltage against ion content with the states, ion contents against charge, and fractions.

    Without a log only the fractions are drawn, and of those the sources that have any.
    `cycling` holds the CYCLING data sets whose states COMPARISON names; `ion` is written in units.
    """
    names = _labels(comparison["phase"].values, labels)
    if not cycling:
        figure = _figure(PAGE, 2.6)
        _draw_fractions(figure, comparison, names, letters="abcdefgh")
        return figure
    figure = _figure(PAGE, 5.6)
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.25, 1])
    curve, parity = upper.subplots(1, 2, width_ratios=[1.25, 1])
    unit = f"{ion} per formula unit"
    for log in cycling:
        _draw_curve(curve, log)
    _title(curve, "a", "voltage and states (bars: 95 % interval of x)")
    curve.set(xlabel=f"x from charge ({unit})", ylabel="cell voltage (V)")
    curve.invert_xaxis()
    _draw_parity(parity, comparison)
    _title(parity, "b", f"x of 4D-STEM and powder, margin ±{float(comparison.attrs['margin']):g}")
    parity.set(xlabel=f"x from charge ({unit})", ylabel=f"x measured ({unit})")
    _draw_fractions(lower, comparison, names, letters="cdefghij")
    return figure


def _draw_curve(ax: Axes, cycling: xr.Dataset) -> None:
    """One log: the curve with its interval, and the states on it."""
    voltage, x = cycling["voltage"].values, cycling["ion_content"].values
    low, high = cycling["ion_content_low"].values, cycling["ion_content_high"].values
    ax.fill_betweenx(voltage, low, high, color="0.85", linewidth=0)
    ax.plot(x, voltage, color="0.35", linewidth=0.9)
    at, level = cycling["state_ion_content"].values, cycling["state_voltage"].values
    interval = _bars(
        at, cycling["state_ion_content_low"].values, cycling["state_ion_content_high"].values
    )
    ax.errorbar(
        at, level, xerr=interval, fmt="o", color="#D55E00", markersize=5, capsize=2.5, linewidth=1.2
    )
    for name, here, height in zip(cycling["state"].values, at, level, strict=True):
        ax.annotate(
            name, (here, height), xytext=(-3, 6), textcoords="offset points", ha="right",
            fontsize=7, color="#A84800",
        )  # fmt: skip
    ax.margins(x=0.1, y=0.12)


def _draw_parity(ax: Axes, comparison: xr.Dataset) -> None:
    """Measured against charge, with the line of agreement and the margin of equivalence."""
    x = comparison["ion_content"]
    low, high = comparison["ion_content_low"], comparison["ion_content_high"]
    margin = float(comparison.attrs["margin"])
    sources = [str(name) for name in comparison["source"].values]
    reach = np.array([low.min(), high.max(), x.min(), x.max()], dtype=float)
    limits = np.nanmin(reach) - 0.1, np.nanmax(reach) + 0.1
    line = np.array(limits)
    ax.fill_between(line, line - margin, line + margin, color="0.9", linewidth=0)
    ax.plot(line, line, color="0.5", linewidth=0.8)
    charge = {"source": sources.index("cycling")}
    # Open squares around filled disks: neither source hides the other.
    for name, size, filled in (("powder", 6.5, False), ("stem", 4.0, True)):
        if name not in sources:
            continue
        here = {"source": sources.index(name)}
        colour = SOURCE_COLOURS[name]
        ax.errorbar(
            x[charge],
            x[here],
            xerr=_bars(x[charge].values, low[charge].values, high[charge].values),
            yerr=_bars(x[here].values, low[here].values, high[here].values),
            fmt=SOURCE_MARKERS[name],
            color=colour,
            markerfacecolor=colour if filled else "none",
            markersize=size,
            capsize=2,
            linewidth=1,
            label=SOURCE_NAMES[name],
        )
    ax.set(xlim=limits, ylim=limits, aspect="equal")
    ax.legend(loc="upper left")


def _draw_fractions(figure, comparison: xr.Dataset, names: Sequence[str], *, letters: str) -> None:
    """One panel a phase: fraction of each state by each source, with 95 % bars."""
    axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    known = np.isfinite(comparison["fraction"].values).any(axis=(0, 2))
    comparison = comparison.isel(source=np.flatnonzero(known))
    sources = [str(name) for name in comparison["source"].values]
    places = np.arange(comparison.sizes["state"])
    offsets = np.linspace(-0.22, 0.22, len(sources)) if len(sources) > 1 else [0.0]
    for index, (ax, name) in enumerate(zip(axes, names, strict=True)):
        ax.set_facecolor((*_rgb(index), 0.06))
        for place in places[1:]:
            ax.axvline(place - 0.5, color="0.85", linewidth=0.6, zorder=0)
        for number, (source, offset) in enumerate(zip(sources, offsets, strict=True)):
            value, low, high = (
                comparison[field].values[:, number, index]
                for field in ("fraction", "fraction_low", "fraction_high")
            )
            ax.errorbar(
                places + offset, value, yerr=_bars(value, low, high), linestyle="",
                marker=SOURCE_MARKERS[source], color=SOURCE_COLOURS[source], markersize=4.5,
                capsize=2, linewidth=1, label=SOURCE_NAMES[source], clip_on=False,
            )  # fmt: skip
        states = [str(state) for state in comparison["state"].values]
        crowded = sum(map(len, states)) * len(names) > 100
        ax.set_xticks(places, states, rotation=45 if crowded else 0)
        ax.tick_params(axis="x", length=0)
        ax.set(ylim=(-0.03, 1.03), xlim=(-0.5, places[-1] + 0.5), xlabel="state")
        _title(ax, letters[index], name)
    axes[0].set_ylabel("molar phase fraction")
    handles, texts = axes[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=len(sources))


@_styled
def draw_powder(powder: xr.Dataset, *, labels: Mapping[str, str] | None = None) -> Figure:
    """Observed, calculated and background; the share of each phase; the difference over sigma.

    The right column enlarges the surroundings of the strongest reflection. Intensities are on a
    square-root scale, on which counting noise is equally high everywhere.
    """
    figure = _figure(PAGE, 5.2)
    axes = figure.subplots(
        3, 2, sharex="col", sharey="row", height_ratios=[3, 1.6, 1], width_ratios=[2.6, 1]
    )
    angle = powder["two_theta"].values
    observed, calculated, background = (
        powder[name].values for name in ("observed", "calculated", "background")
    )
    residual = (observed - calculated) / powder["sigma"].values
    names = _labels(powder["phase"].values, labels)
    for fit, shares, difference in axes.T:
        fit.plot(angle, observed, ".", color="0.25", markersize=2, label="observed")
        fit.plot(angle, calculated, color="#D55E00", linewidth=0.9, label="calculated")
        fit.plot(angle, background, color="0.55", linewidth=0.9, label="background")
        for index, name in enumerate(names):
            share = np.clip(powder["contribution"].values[index], 0, None)
            label = f"{name}: {_fraction(powder, index)}"
            shares.plot(angle, share, color=_rgb(index), linewidth=0.9, label=label)
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
    _title(axes[0, 0], "a", quality)
    _title(axes[0, 1], "b", "strongest reflection")
    axes[0, 0].set_ylabel("intensity (counts, sqrt scale)")
    axes[1, 0].set_ylabel("phases (counts)")
    axes[2, 0].set_ylabel("difference/σ")
    figure.align_ylabels(axes[:, 0])
    axes[0, 0].legend(loc="upper right")
    handles, texts = axes[1, 0].get_legend_handles_labels()
    figure.legend(
        handles, texts, loc="outside lower center", ncols=1 if len(texts) < 3 else 2,
        title="weight fraction ± standard error (× goodness of fit); molar fraction",
    )  # fmt: skip
    return figure


def _zoom(axes, angle, peaks, observed, residual) -> None:
    centre = angle[np.nanargmax(peaks)]
    half = 0.02 * (angle[-1] - angle[0])
    axes[0, 0].set_xlim(angle[0], angle[-1])
    axes[0, 1].set_xlim(centre - half, centre + half)
    axes[0, 0].set_ylim(0.8 * np.nanmin(observed), 1.1 * np.nanmax(observed))
    axes[1, 0].set_ylim(0, 1.1 * np.nanmax(peaks))
    reach = max(4.0, 1.1 * np.nanpercentile(np.abs(residual), 99.8))
    axes[2, 0].set_ylim(-reach, reach)


def _fraction(powder: xr.Dataset, index: int) -> str:
    weight, molar = (
        with_error(float(powder[name][index]), float(powder[f"{name}_esd"][index]))
        for name in ("weight_fraction", "molar_fraction")
    )
    return f"{weight}; {molar}"


def _signed_sqrt(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.sqrt(np.abs(values))


def _signed_square(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.square(values)


# ------------------------------------------------------------------------------------------- truth


@_styled
def draw_probabilities(
    reliability: Mapping[str, Sequence[Mapping]], *, labels: Mapping[str, str] | None = None
) -> Figure:
    """How often each phase was there against the posterior it was given, and how often that was.

    `reliability` maps phases to bins as `virtual.checks.pool_reliability` gives them.
    """
    figure = _figure(PAGE, 3.6)
    most = max((one["count"] for bins in reliability.values() for one in bins), default=1)
    axes = figure.subplots(
        2, len(reliability), sharex=True, sharey="row", height_ratios=[3, 1], squeeze=False
    )
    for index, ((curve, count), (name, bins)) in enumerate(
        zip(axes.T, reliability.items(), strict=True)
    ):
        curve.plot([0, 1], [0, 1], color="0.5", linewidth=0.8)
        curve.set(xlim=(0, 1), ylim=(0, 1))
        _title(curve, "abcdefgh"[index], _labels([name], labels)[0])
        count.set(yscale="log", ylim=(0.7, 2 * most), xlabel="posterior probability")
        if not bins:  # unclipped bars of nothing have no place in a layout
            continue
        at, found, low, high, number, start, stop = (
            np.array([one[key] for one in bins])
            for key in (
                "posterior", "frequency", "frequency_low", "frequency_high", "count", "from", "to"
            )
        )  # fmt: skip
        curve.errorbar(
            at, found, yerr=_bars(found, low, high), fmt="o", color=_rgb(index), markersize=4,
            capsize=2, linewidth=1, clip_on=False,
        )  # fmt: skip
        count.bar(start, number, stop - start, align="edge", color=_rgb(index), linewidth=0)
    axes[0, 0].set_ylabel("share that has the phase")
    axes[1, 0].set_ylabel("positions")
    figure.align_ylabels(axes[:, 0])
    return figure


@_styled
def draw_confusion(regions: Mapping[str, Mapping]) -> Figure:
    """Decisions (columns) by true phase (rows), in all directions of the beam and by zone axis.

    `regions` is as `virtual.checks.pool_confusion` gives it. Per cent of each row; in front of it
    the number of positions that it is taken of.
    """
    first = next(iter(regions.values()))["confusion"]
    phases, answers = list(first), list(next(iter(first.values())))
    columns, rows = 2, -(-len(regions) // 2)
    figure = _figure(PAGE, rows * (0.24 * len(phases) + 0.5) + 0.3)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat[len(regions) :]:
        ax.set_axis_off()
    for index, (ax, (name, region)) in enumerate(zip(axes.flat, regions.items(), strict=False)):
        count = np.array([[region["confusion"][row][one] for one in answers] for row in phases])
        total = count.sum(axis=1)
        share = count / np.maximum(total, 1)[:, None]
        ax.imshow(share, vmin=0, vmax=1, cmap="Blues", aspect="auto")
        for (row, column), value in np.ndenumerate(share):
            if total[row]:
                text = "0" if count[row, column] == 0 else f"{100 * value:.1f}"
                ax.text(
                    column, row, text, ha="center", va="center", fontsize=7,
                    color="white" if value > 0.6 else "0.3" if text == "0" else "black",
                )  # fmt: skip
        ax.set_yticks(
            range(len(phases)), [f"{p} ({n})" for p, n in zip(phases, total, strict=True)]
        )
        ax.set_xticks(range(len(answers)), answers, fontsize=7)
        ax.tick_params(length=0)
        if index + columns < len(regions):
            ax.set_xticklabels([])
        words = name
        if "angle_deg_mean" in region:
            mean, largest = region["angle_deg_mean"], region["angle_deg_max"]
            words += f", {mean:.0f}° off on average, {largest:.0f}° at most"
        _title(ax, "abcdefghijklmnopqrstuvwxyz"[index], words)
    figure.supxlabel("decided (per cent of the row)", fontsize=8)
    figure.supylabel("true phase (number of positions)", fontsize=8)
    return figure


# ---------------------------------------------------------------------------- telling phases apart


@_styled
def draw_pairs(
    pairs: xr.Dataset,
    crystals: Mapping[str, object],
    *,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Electrons that a decision needs by the beam's direction, for each ordered pair of phases.

    One sector of the true phase's Laue group in stereographic projection, with its lowest zone
    axes. Each point has the colour of the nearest direction of a PAIRS data set; hatched where no
    number of electrons decides. `crystals` maps the names of the phases to crystals.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm

    count = pairs.sizes["pair"]
    if count == 0:
        return _sentence("There is one phase, and nothing to tell it from.")
    electrons = pairs["electrons"].values
    finite = electrons[np.isfinite(electrons)]
    low, high = (finite.min(), finite.max()) if len(finite) else (1.0, 10.0)
    norm = LogNorm(low, max(high, 1.01 * low))
    columns = min(3, count)
    rows = -(-count // columns)
    figure = _figure(PAGE, rows * (0.82 * PAGE / columns + 0.35))
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    names = [str(name) for name in pairs["phase"].values]
    shown = _labels(names, labels)
    for index, ax in zip(range(count), axes.flat, strict=False):
        true, rival = (int(pairs[name].values[index]) for name in ("true_phase", "rival"))
        _draw_triangle(ax, pairs, index, crystals[names[true]], norm)
        grid = (pairs["pair_index"].values == index) & ~pairs["zone_axis"].values.any(axis=1)
        here = electrons[grid]
        words = (
            "" if np.isfinite(here).all() else f", undecidable: {100 * np.isinf(here).mean():.3g} %"
        )
        title = f"{shown[true]}\nagainst {shown[rival]}{words}"
        _title(ax, "abcdefghijklmnopqrstuvwxyz"[index % 26], title)
    bar = figure.colorbar(
        ScalarMappable(norm, _PAIRS_COLOURS), ax=axes, fraction=0.03, aspect=28, pad=0.02
    )
    bar.set_label("electrons in a pattern that decide")
    bar.outline.set_linewidth(0.6)
    return figure


_PAIRS_COLOURS = "viridis_r"
_TRIANGLE_PIXELS = 300  # across a radius of the stereographic projection
_CROWDED = 0.13  # of that radius: of two zone axes so near, the lower one bears its indices


def _draw_triangle(ax: Axes, pairs: xr.Dataset, index: int, crystal, norm) -> None:
    from orix.vector import Vector3d
    from scipy.spatial import cKDTree

    from phasefront import rotations

    sector = crystal.orix_point_group().laue.fundamental_sector
    operations = rotations.matrices(crystal.symmetry)
    own = pairs["pair_index"].values == index
    beams, electrons = pairs["beam"].values[own], pairs["electrons"].values[own]
    images = np.concatenate([beams @ turn.T for turn in operations])
    images = np.concatenate([images, -images])

    edge = _stereographic(sector.edges.unit.data)
    low, high = edge.min(axis=0), edge.max(axis=0)
    x, y = (
        np.linspace(start, stop, max(2, round((stop - start) * _TRIANGLE_PIXELS)))
        for start, stop in zip(low, high, strict=True)
    )
    across, up = np.meshgrid(x, y)
    square = across**2 + up**2
    mesh = np.stack([2 * across, 2 * up, 1 - square], axis=-1) / (1 + square)[..., None]
    inside = (Vector3d(mesh) <= sector) & (square <= 1 + 1e-6)
    nearest = cKDTree(images).query(mesh)[1] % len(beams)
    value = np.where(inside, electrons[nearest], np.nan)
    extent = (low[0], high[0], low[1], high[1])
    ax.imshow(
        np.where(np.isfinite(value), value, np.nan), norm=norm, cmap=_PAIRS_COLOURS,
        extent=extent, origin="lower",
    )  # fmt: skip
    never = np.isinf(value)
    if never.any():
        ax.contourf(x, y, never, levels=[0.5, 1.5], colors="white", hatches=["/////"])
    ax.plot(*edge.T, color="black", linewidth=0.8)
    _label_axes(ax, pairs["zone_axis"].values[own], beams, sector, crystal)
    margin = 0.12 * (high - low).max()
    ax.set(xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin))
    ax.set_aspect("equal")


def _label_axes(ax: Axes, zone_axis: np.ndarray, beams: np.ndarray, sector, crystal) -> None:
    """Mark the zone axes inside the sector, with the indices of the equivalent that lies there."""
    from matplotlib.patheffects import withStroke
    from orix.vector import Vector3d

    from phasefront import rotations

    operations = rotations.matrices(crystal.symmetry)
    middle = _stereographic(sector.center.unit.data[:1])[0]
    labelled: list[np.ndarray] = []
    for uvw, beam in zip(zone_axis, beams, strict=True):
        images = np.concatenate([operations @ beam, -(operations @ beam)])
        inside = np.flatnonzero((Vector3d(images) <= sector) & (images[:, 2] > -1e-6))
        if not uvw.any() or not len(inside):
            continue
        image = images[inside[0]]
        along = crystal.reciprocal @ image
        name = np.round(along * np.linalg.norm(uvw @ np.linalg.inv(crystal.reciprocal).T))
        place = _stereographic(image[None])[0]
        out = place - middle
        corner = _is_corner(image, sector)
        away = out / max(np.linalg.norm(out), 1e-9) if corner else np.array([0.0, 1.0])
        ax.plot(*place, marker="o", color="black", markersize=2.5, clip_on=False)
        if any(np.linalg.norm(place - other) < _CROWDED for other in labelled):
            continue
        labelled.append(place)
        ax.annotate(
            f"[{_miller(name.astype(int))}]", place, xytext=(13 * away[0], 9 * away[1]), fontsize=7,
            textcoords="offset points", ha="center", va="center", annotation_clip=False,
            path_effects=[withStroke(linewidth=1.6, foreground="white")],
        )  # fmt: skip


def _is_corner(direction: np.ndarray, sector) -> bool:
    corners = sector.vertices.unit.data.reshape(-1, 3)
    return bool(len(corners) and (corners @ direction).max() > 1 - 1e-4)


def _stereographic(directions: np.ndarray) -> np.ndarray:
    """Plane coordinates (n, 2) of unit vectors of the upper hemisphere, seen from the south."""
    return directions[:, :2] / (1 + directions[:, 2:])


# ------------------------------------------------------------------------------------------- pieces


def with_error(value: float, error: float) -> str:
    """A value and its standard error, rounded to two digits of the error: '0.01024 ± 0.00012'."""
    if not (np.isfinite(error) and error > 0):
        return f"{value:.4g}"
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def _sentence(text: str) -> Figure:
    """A figure that says why there is no picture."""
    figure = _figure(PAGE, 0.6)
    figure.text(0.5, 0.5, text, ha="center", va="center")
    return figure


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.05, h_pad=0.06, hspace=0.03)
    return figure


def _map_height(shape: tuple[int, int], *, columns: int, beside: float = 0.75) -> float:
    """Height of a row of maps across the page, with titles and ticks, inches.

    `beside` is what each map needs at its sides.
    """
    width = PAGE / columns - beside
    return float(np.clip(width * shape[0] / shape[1], 0.5, 6.0)) + 0.65


def _labels(names: Sequence[str], labels: Mapping[str, str] | None) -> list[str]:
    return [(labels or {}).get(str(name)) or str(name) for name in names]


def _rgb(index: int) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(PHASE_COLOURS[index % len(PHASE_COLOURS)])


def _title(ax: Axes, letter: str, text: str) -> None:
    ax.set_title(rf"$\mathbf{{{letter}}}$  {text}", loc="left")


def _bars(value: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Distances down and up; an end on the wrong side of the value by rounding counts as none."""
    return np.clip([value - low, high - value], 0, None)


def _miller(hkl: np.ndarray) -> str:
    """Indices with bars over negative ones, set apart where one has two digits."""
    parts = [rf"\overline{{{-h}}}" if h < 0 else f"{h}" for h in map(int, hkl)]
    return "$" + (r"\," if np.abs(hkl).max() > 9 else "").join(parts) + "$"


def _overlined(symbol: str) -> str:
    """A point group's symbol with the bar over the digit behind a minus sign."""
    head, minus, tail = symbol.partition("-")
    return rf"{head}$\overline{{{tail[0]}}}${tail[1:]}" if minus else symbol


def _with_missing(name: str):
    """A colour map in which masked positions are grey as vacuum is."""
    import matplotlib as mpl

    return mpl.colormaps[name].with_extremes(bad=VACUUM_COLOUR)


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


def _highest(values: np.ndarray | xr.DataArray) -> float | None:
    """Where a colour scale ends, so that a few wild positions do not take all of it."""
    finite = np.asarray(values)[np.isfinite(values)]
    return float(np.percentile(finite, 99.5)) if finite.size else None


def _colour_bar(image, label: str, **options):
    """A colour bar along the right side of an image, as high as the image whatever its shape."""
    ax = image.axes
    place = ax.inset_axes((1.03, 0.04, 0.04, 0.92))
    return ax.figure.colorbar(image, cax=place, label=label, **options)


def _draw_decision(ax: Axes, phases: xr.Dataset, grains: xr.Dataset | None) -> None:
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgb

    decision = phases["decision"].values.astype(int)
    answers = {MIXED: MIXED_COLOUR, VACUUM: VACUUM_COLOUR, UNDECIDED: UNDECIDED_COLOUR}
    answers |= {index: _rgb(index) for index in range(phases.sizes["phase"])}
    colours = np.array([to_rgb(answers[value]) for value in range(MIXED, max(answers) + 1)])
    ax.imshow(colours[decision - MIXED])
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

    edges = _boundaries(grains["label"].values, phases["decision"].values == UNDECIDED)
    ax.add_collection(LineCollection(edges, colors="black", linewidths=0.5, capstyle="round"))


def _boundaries(label: np.ndarray, undecided: np.ndarray) -> np.ndarray:
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


def _phase_legend(
    figure: Figure, phases: Sequence[xr.Dataset], labels: Mapping[str, str] | None
) -> None:
    from matplotlib.patches import Patch

    names = _labels(phases[0]["phase"].values, labels)
    handles = [Patch(color=_rgb(index), label=name) for index, name in enumerate(names)]
    handles.append(
        Patch(
            facecolor=MIXED_COLOUR, edgecolor="white", linewidth=0, hatch=_MIXED_HATCH,
            label="mixed",
        )
    )  # fmt: skip
    handles.append(Patch(color=UNDECIDED_COLOUR, label="undecided"))
    handles.append(Patch(facecolor=VACUUM_COLOUR, edgecolor="0.6", linewidth=0.5, label="vacuum"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def _scan_axes(ax: Axes, step_nm: float, *, with_labels: bool = True) -> None:
    """A scale bar where the step of the scan is known, else rows and columns."""
    if np.isfinite(step_nm):
        ax.set(xticks=[], yticks=[])
        _scale_bar(ax, step_nm, "nm")
    elif with_labels:
        ax.set(xlabel="column (position)", ylabel="row (position)")


def _scale_bar(ax: Axes, size_of_pixel: float, unit: str) -> None:
    """A bar of a round length below the left corner of a picture, outside the data."""
    from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

    left, right = ax.get_xlim()
    length = _round_below(0.3 * (right - left) * size_of_pixel)
    value, shown = (length / 1000, "µm") if unit == "nm" and length >= 1000 else (length, unit)
    ax.set(xticks=[], yticks=[])
    bar = AnchoredSizeBar(
        ax.transData, length / size_of_pixel, f"{value:g} {shown}", "upper left", pad=0,
        borderpad=0, sep=2, frameon=False, size_vertical=0.012 * abs(np.diff(ax.get_ylim())[0]),
        bbox_to_anchor=(0, -0.02), bbox_transform=ax.transAxes,
    )  # fmt: skip
    bar.set_clip_on(False)
    ax.add_artist(bar)


def _round_below(length: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `length`."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(max(step for step in (1, 2, 5) if step * power <= length * (1 + 1e-9)) * power)
