"""Single patterns with the spots that each phase explains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.layouts.phases import MIXED, UNDECIDED, UNINDEXED
from phasefront.phases.explanations import Explanation
from phasefront.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def choose_positions(phases: xr.Dataset, orientations: xr.Dataset) -> tuple[np.ndarray, list[str]]:
    """Positions worth showing: the median match of each phase, best, worst, mixed, undecided
    and unindexed.

    Returns (n, 2) rows and columns, and for each why it was chosen.
    """
    decision = phases["decision"].values
    score = orientations["score"].isel(rank=0).values
    chosen = np.maximum(style.with_likeliest(phases, MIXED), 0)
    score_of = np.take_along_axis(score, chosen[..., None], axis=-1)[..., 0]
    groups = [("median match", decision == index, 0.5) for index in range(phases.sizes["phase"])]
    groups += [
        ("best match", decision >= 0, 1.0),
        ("worst match", decision >= 0, 0.0),
        ("mixed", decision == MIXED, 0.5),
        ("undecided", decision == UNDECIDED, 0.5),
        ("unindexed", decision == UNINDEXED, 0.5),
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


@style.styled
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
        return style.sentence("No position of this scan has enough spots to be matched.")
    panels = max(len(accounts) for accounts in explained)
    columns = min(count, 2 if panels > 1 else 3)
    rows = -(-count // columns)
    across = max(columns * panels, 3)
    figure = style.page(
        style.PAGE * columns * panels / across, rows * (style.PAGE / across + 0.9) + 0.35
    )
    found = [_spots_at(spots, row, column) for row, column in positions]
    reach = 1.1 * max((np.hypot(*q[:2]).max() for q in found if len(q[0])), default=1.0)
    names = style.labels(phases["phase"].values, labels)
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
            ax.scatter(
                x, y, s=22, facecolors="none", edgecolors=style.MEASURED_COLOUR, linewidths=0.8
            )
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
        colour = style.PHASE_COLOURS[account.second_phase % len(style.PHASE_COLOURS)]
        ax.scatter(x, y, s=1.3 * size, marker="+", color=colour, linewidths=0.9)
    colour = style.PHASE_COLOURS[account.phase % len(style.PHASE_COLOURS)]
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
    style.scale_bar(ax, float(calibration["scale"]), "Å$^{-1}$")
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
    style.scale_bar(ax, 1.0, "Å$^{-1}$")
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
            style.miller(hkl[index]), here, xytext=(0, 5), textcoords="offset points", ha="center",
            fontsize=6, color=colour, path_effects=[withStroke(linewidth=1.4, foreground="white")],
        )  # fmt: skip
        placed.append(here)
        if len(placed) == labelled:
            break


def _pattern_legend(figure: Figure, with_second: bool) -> None:
    from matplotlib.lines import Line2D

    circle = Line2D(
        [], [], linestyle="", marker="o", markerfacecolor="none", color=style.MEASURED_COLOUR
    )
    handles = [circle, Line2D([], [], linestyle="", marker="x", color="0.3")]
    names = ["measured", "predicted (colour of the phase)"]
    if with_second:
        handles.append(Line2D([], [], linestyle="", marker="+", color="0.3"))
        names.append("second lattice (colour of its phase)")
    figure.legend(handles, names, loc="outside lower center", ncols=3)
