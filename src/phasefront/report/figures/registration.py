"""Where a map of another instrument lies on a scan, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.registration.result import placements
from phasefront.report.figures import style
from phasefront.report.figures.maps import boundaries

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Squares of the checkerboard along the scan's longer side, and ellipses; chosen.
_SQUARES, _ELLIPSES = 8, 7
# Half axes, in standard deviations, of an ellipse that holds 95 % of a normal error in the plane.
_HALF_AXIS = np.sqrt(-2 * np.log(0.05))
# Length of the largest half axis over the distance of ellipses, at most; chosen.
_LARGEST = 0.45
_SHARES = (0.25, 0.5)  # of a map's range, at which its outlines are drawn; chosen


@style.styled
def draw_registration(registration: xr.Dataset, grains: xr.Dataset) -> Figure:
    """A REGISTRATION data set: either image with outlines of the other, both as a checkerboard,
    and the error of a position with ellipses that hold it with 95 %."""
    thick, mapped = (registration[f"{name}_thickness"].to_numpy() for name in ("scan", "map"))
    label = grains["label"].to_numpy()
    figure = style.page(style.PAGE, 2 * style.map_height(thick.shape, columns=2) + 0.35)
    axes = figure.subplots(2, 2)
    step = float(registration.attrs["scan_step_nm"])
    known = np.isfinite(mapped)
    image = axes[0, 0].imshow(thick, cmap="gray", vmax=style.highest(thick))
    style.colour_bar(image, "scan's signal (count)", extend="max")
    low, high = np.nanquantile(mapped, (0.02, 0.98)) if known.any() else (0.0, 0.0)
    if high > low:
        levels = [low + share * (high - low) for share in _SHARES]
        axes[0, 0].contour(mapped, levels, colors=style.MEASURED_COLOUR, linewidths=0.7)
    style.title(axes[0, 0], "a", "scan, and outlines of the map")
    image = axes[0, 1].imshow(np.ma.masked_invalid(mapped), cmap=style.with_missing("gray"))
    style.colour_bar(image, "map's thickness channel")
    draw_outlines(axes[0, 1], label)
    style.title(axes[0, 1], "b", "map, and outlines of the scan's grains")
    row, column = (np.arange(size) * _SQUARES // max(thick.shape) for size in thick.shape)
    own = (row[:, None] + column) % 2 == 0
    axes[1, 0].imshow(
        np.ma.masked_invalid(np.where(own, _ranged(thick), _ranged(mapped))),
        cmap=style.with_missing("gray"), vmin=0, vmax=1,
    )  # fmt: skip
    style.title(axes[1, 0], "c", "scan and map in squares by turns")
    error = np.ma.masked_invalid(registration["position_stderr"].to_numpy())
    image = axes[1, 1].imshow(error, cmap=style.with_missing("magma"), vmin=0)
    style.colour_bar(image, "error of a position (nm)")
    draw_outlines(axes[1, 1], label)
    factor = _ellipses(axes[1, 1], registration, known, step)
    style.title(axes[1, 1], "d", f"error; ellipses of 95 %, {factor:g} times as large")
    for ax in axes.flat:
        style.scan_axes(ax, step)
    figure.suptitle(_said(registration), fontsize=8, parse_math=False)
    return figure


def draw_outlines(ax: Axes, label: np.ndarray) -> None:
    """Edges between positions of different grains of `label` (y, x), and what is none."""
    from matplotlib.collections import LineCollection

    edges = boundaries(label, np.zeros(label.shape, dtype=bool))
    ax.add_collection(LineCollection(edges, colors="#56B4E9", linewidths=0.6))


def _said(registration: xr.Dataset) -> str:
    said = registration.attrs
    turned = "mirrored" if said["mirrored"] else "not mirrored"
    why = f" ({said['why']})" if said["why"] else ""
    if not np.isfinite(said["chi_squared"]):  # it was not fitted
        return f"{said['map']} on {said['scan']}: {said['status']}{why}"
    return (
        f"{said['map']} on {said['scan']}: {said['status']}{why}\n{turned},"
        f" turned by {said['angle_deg']:.1f} degrees, pixels"
        f" {style.with_error(said['scale'], said['scale_stderr'])} of the stated,"
        f" chi squared of a pixel {said['chi_squared']:.2f}"
    )


def _ranged(image: np.ndarray) -> np.ndarray:
    """From 0 at its 2nd percentile to 1 at its 98th."""
    if not np.isfinite(image).any():
        return image
    low, high = np.nanquantile(image, (0.02, 0.98))
    return np.clip((image - low) / max(high - low, 1e-300), 0, 1)


def _ellipses(ax: Axes, registration: xr.Dataset, known: np.ndarray, step: float) -> float:
    """Draw ellipses of 95 % where the map is known, and say how many times too large they are."""
    from matplotlib.patches import Ellipse

    best, draws = placements(registration)
    apart = max(known.shape) / _ELLIPSES
    rows, columns = (np.arange(apart / 2, size - 0.5, apart) for size in known.shape)
    at = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    at = at[known[tuple(np.rint(at).astype(int).T)]]
    if not len(at):
        return 1.0
    pixels = best.pixels(at * step)
    spread = (np.array([one.at(pixels) for one in draws]) - at * step) / step
    covariance = np.einsum("dni,dnj->nij", spread, spread) / len(draws)
    values, vectors = np.linalg.eigh(covariance)
    half = _HALF_AXIS * np.sqrt(np.clip(values, 0, None))
    factor = max(1.0, style.round_below(_LARGEST * apart / max(half.max(), 1e-6)))
    for (y, x), axes, (_, longest) in zip(at, half, vectors.transpose(0, 2, 1), strict=True):
        ax.add_patch(
            Ellipse(
                (x, y), 2 * factor * axes[1], 2 * factor * axes[0],
                angle=float(np.rad2deg(np.arctan2(longest[0], longest[1]))), fill=False,
                color="white", linewidth=0.8,
            )
        )  # fmt: skip
    return factor
