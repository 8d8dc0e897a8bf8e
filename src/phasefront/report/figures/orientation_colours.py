"""Colours of orientations, and the keys that say what direction a colour is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasefront.layouts.phases import MIXED, UNDECIDED, UNINDEXED, VACUUM
from phasefront.maps import frames
from phasefront.report.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from phasefront.experiment.settings.instruments import Camera

_KEY_PIXELS = 300  # along a side


@style.styled
def draw_colour_keys(
    groups: Mapping[str, object], labels: Mapping[str, str] | None = None
) -> Figure:
    """The colour keys by themselves; `groups` maps phases to orix Laue groups."""
    figure = style.page(2.2 * len({group.name for group in groups.values()}), 1.7)
    import orix.plot  # noqa: F401  registers the projection of the colour keys

    draw_keys(figure, groups, labels)
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
    colours[decision == UNDECIDED] = to_rgb(style.UNDECIDED_COLOUR)
    colours[decision == UNINDEXED] = to_rgb(style.UNINDEXED_COLOUR)
    for index, name in enumerate(phases["phase"].values):
        here = decision == index
        if here.any():
            seen = phases["rotation"].values[here, index].astype(float)
            rotation = Rotation(frames.on_scan(seen, camera))
            key = DirectionColorKeyTSL(groups[str(name)])
            colours[here] = key.direction2color(rotation * direction)
    return np.clip(colours, 0, 1)


def draw_keys(figure, groups: Mapping[str, object], labels: Mapping[str, str] | None) -> None:
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


def _overlined(symbol: str) -> str:
    """A point group's symbol with the bar over the digit behind a minus sign."""
    head, minus, tail = symbol.partition("-")
    return rf"{head}$\overline{{{tail[0]}}}${tail[1:]}" if minus else symbol
