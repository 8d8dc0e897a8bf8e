"""The drawing of docs/simulated_grains.md: grains of every regime on their way.

`python -m benchmarks.insertion_figure` writes `docs/simulated_grains.png`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from phasefront.core import netcdf
from phasefront.report.figures import style
from phasefront.virtual.insertion.regimes import PARTS
from phasefront.virtual.insertion.table import DATA_FILE, FULL, INSERTION

FIGURE = Path(__file__).resolve().parent.parent / "docs" / "simulated_grains.png"
_GRAINS = 6  # of each regime; their states follow each other


@style.styled
def draw(table):
    """One row of grains for each regime, a column for each part."""
    parts = table["part"].values
    rows = max(int(np.sum(parts == part)) for part in PARTS)
    figure = style.page(style.PAGE, 0.5 * rows)
    axes = figure.subplots(rows, len(PARTS), squeeze=False)
    for ax in axes.ravel():
        ax.axis("off")
    for column, part in enumerate(PARTS):
        for row, regime in enumerate(np.flatnonzero(parts == part)):
            _draw_regime(axes[row, column], table, regime)
    for column, part in enumerate(PARTS):
        figure.text((column + 0.5) / len(PARTS), 1.0, part, ha="center", va="bottom", weight="bold")
    return figure


def _draw_regime(ax, table, regime: int) -> None:
    grains = np.flatnonzero(table["grain_regime"].values == regime)
    chosen = grains[np.linspace(0, len(grains) - 1, _GRAINS).astype(int)]
    states = np.arange(_GRAINS) % table.sizes["state"]
    share = table["share"].values[chosen, states] / FULL
    inside = table["inside"].values[chosen] == 1
    strip = np.concatenate(np.where(inside, share, np.nan), axis=1)
    ax.imshow(strip, vmin=0, vmax=1, cmap="cividis", aspect="equal")
    ax.set_title(table["regime"].values[regime], fontsize=6, pad=1)


if __name__ == "__main__":
    style.save(draw(netcdf.read(DATA_FILE, INSERTION)), FIGURE)
