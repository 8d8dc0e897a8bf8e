"""Along which directions two phases can be told apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@style.styled
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
        return style.sentence("There is one phase, and nothing to tell it from.")
    electrons = pairs["electrons"].values
    finite = electrons[np.isfinite(electrons)]
    low, high = (finite.min(), finite.max()) if len(finite) else (1.0, 10.0)
    norm = LogNorm(low, max(high, 1.01 * low))
    columns = min(3, count)
    rows = -(-count // columns)
    figure = style.page(style.PAGE, rows * (0.82 * style.PAGE / columns + 0.35))
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    names = [str(name) for name in pairs["phase"].values]
    shown = style.labels(names, labels)
    for index, ax in zip(range(count), axes.flat, strict=False):
        true, rival = (int(pairs[name].values[index]) for name in ("true_phase", "rival"))
        _draw_triangle(ax, pairs, index, crystals[names[true]], norm)
        grid = (pairs["pair_index"].values == index) & ~pairs["zone_axis"].values.any(axis=1)
        here = electrons[grid]
        words = (
            "" if np.isfinite(here).all() else f", undecidable: {100 * np.isinf(here).mean():.3g} %"
        )
        title = f"{shown[true]}\nagainst {shown[rival]}{words}"
        style.title(ax, "abcdefghijklmnopqrstuvwxyz"[index % 26], title)
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

    from phasefront.diffraction import rotations

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

    from phasefront.diffraction import rotations

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
            f"[{style.miller(name.astype(int))}]", place, xytext=(13 * away[0], 9 * away[1]),
            fontsize=7, textcoords="offset points", ha="center", va="center", annotation_clip=False,
            path_effects=[withStroke(linewidth=1.6, foreground="white")],
        )  # fmt: skip


def _is_corner(direction: np.ndarray, sector) -> bool:
    corners = sector.vertices.unit.data.reshape(-1, 3)
    return bool(len(corners) and (corners @ direction).max() > 1 - 1e-4)


def _stereographic(directions: np.ndarray) -> np.ndarray:
    """Plane coordinates (n, 2) of unit vectors of the upper hemisphere, seen from the south."""
    return directions[:, :2] / (1 + directions[:, 2:])
