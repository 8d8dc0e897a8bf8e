"""Positions of a map held against a rectangle of rows and columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from phasefront.core.errors import InputError

# Of a step: positions are written with few decimals (ASTAR's .ctf: 0.1 nm). Chosen, under half.
_OFF_GRID = 0.3
_REMEDY = "export the whole map on a square grid, row by row, with no position left out"


def raster(
    path: Path, x: np.ndarray, y: np.ndarray, *, counts: tuple[int, int] | None = None,
    steps: tuple[float, float] | None = None,
) -> tuple[tuple[int, int], tuple[float, float]]:  # fmt: skip
    """Shape (ny, nx) and steps (y, x) of positions (n,) that go along x first.

    `counts` and `steps`, both (y, x), are those of the header, if it has any; without them they
    are those of the positions. A step is NaN where there is a single position and the header has
    no step.

    Raises InputError where the positions are no such rectangle, or another than the header's.
    """
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError(path, "has positions that are NaN or infinite", remedy=_REMEDY)
    ny, nx = counts or _counted(y)
    if ny * nx != len(x):
        says = "its header says" if counts else "rows of the first one's length would be"
        raise InputError(
            path, f"has {len(x)} positions, but {says} {nx} columns and {ny} rows",
            field="positions", remedy=_REMEDY,
        )  # fmt: skip
    grid_x, grid_y = x.reshape(ny, nx), y.reshape(ny, nx)
    step = [
        float((values[-1] - values[0]) / (size - 1)) if size > 1 else np.nan
        for values, size in ((grid_y[:, 0], ny), (grid_x[0], nx))
    ]
    if steps is not None:
        step = [value if value > 0 else np.nan for value in steps]
    for size, value, name in ((ny, step[0], "y"), (nx, step[1], "x")):
        if size > 1 and not value > 0:
            raise InputError(
                path, f"its {size} positions along {name} have no step between them",
                field="positions", remedy=_REMEDY,
            )  # fmt: skip
    # orix gives no coordinates to a map of one column; the header has its rows and their step.
    if not (counts and steps and 1 in counts and not x.any() and not y.any()):
        _check(path, grid_x - x[0], step[1], "x")
        _check(path, (grid_y - y[0]).T, step[0], "y")
    return (ny, nx), (step[0], step[1])


def _counted(y: np.ndarray) -> tuple[int, int]:
    """Rows, the last one perhaps incomplete, and columns: as many as share the first y."""
    nx = int(np.argmax(y != y[0])) or len(y)
    return -(-len(y) // nx), nx


def _check(path: Path, places: np.ndarray, step: float, name: str) -> None:
    """Refuse where `places` (lines, along) are not 0, 1, 2, ... steps in every line."""
    expected = np.arange(places.shape[1]) * (step if np.isfinite(step) else 0.0)
    slack = _OFF_GRID * step if np.isfinite(step) else 1e-6 * np.abs(places).max()
    off = np.abs(places - expected) > slack
    if off.any():
        raise InputError(
            path, f"{off.sum()} of {off.size} positions are not where a square grid with a step of"
            f" {step:g} has them", field=name, remedy=_REMEDY,
        )  # fmt: skip
