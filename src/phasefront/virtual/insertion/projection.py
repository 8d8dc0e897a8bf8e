"""What a beam sees of a grain: shares of the rich phase in columns through its thickness."""

from __future__ import annotations

import numpy as np

# Steps along the beam are no longer than this in any direction of the grid, cells.
_STEP = 0.5


def project(
    share: np.ndarray,
    inside: np.ndarray,
    to_grid: np.ndarray,
    *,
    thickness: float,
    shape: tuple[int, int],
    length: float = np.inf,
    step: float = 1.0,
    centre: tuple[float, float] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Columns of a grain that is cut by two planes across the beam.

    A plane front that is inclined by theta from the beam, measured across its trace, shows as a
    band of mixed columns, `thickness` times tan(theta) wide, in which shares change linearly.

    Parameters
    ----------
    share
        Share of the rich phase in the cells, over rows and columns, or over layers, rows and
        columns. A grain of two dimensions is the same all along the third.
    inside
        Cells of the grain, like `share`.
    to_grid
        (3, 3) rotation from the frame of the patterns (x, y, and z against the beam) to the axes of
        the grid: column, row, layer.
    thickness
        Of the cut, in cells; of a grain of three dimensions its own shape may be thinner.
    shape
        Rows and columns of positions.
    length
        Of a grain of two dimensions along the third, in cells, middle in the middle.
    step
        Cells from one position to the next.
    centre
        Row and column of the position that sees the middle of the grid; the field's middle if None.

    Returns
    -------
    Share of the rich phase in every column of the grain, 0 beside it, and thickness in cells, both
    of `shape`.
    """
    from scipy import ndimage

    centre = centre or tuple((n - 1) / 2 for n in shape)
    count = max(4, int(np.ceil(thickness / _STEP)))
    z = ((np.arange(count) + 0.5) / count - 0.5) * thickness
    y, x = ((np.arange(n) - middle) * step for n, middle in zip(shape, centre, strict=True))
    place = np.stack(np.broadcast_arrays(x, y[:, None], z[:, None, None]))  # (3, z, y, x)
    axes = np.tensordot(np.asarray(to_grid, float), place, axes=1)
    where = [axes[number] for number in range(share.ndim)][::-1]  # as the array's axes
    where = [at + (n - 1) / 2 for at, n in zip(where, share.shape, strict=True)]
    within = ndimage.map_coordinates(inside.astype(float), where, order=0)
    if share.ndim == 2:
        within = within * (np.abs(axes[2]) <= length / 2)
    rich = ndimage.map_coordinates(_extended(share, inside), where, order=1) * within
    total = within.sum(axis=0)
    column = np.where(total > 0, rich.sum(axis=0) / np.maximum(total, 1), 0.0)
    return column, total / count * thickness


def band_width(thickness: float, normal: np.ndarray) -> float:
    """Width of the band of mixed columns of a plane front, in the unit of the thickness.

    `normal` (3,) is the plane's, in the frame of the patterns.

    Raises
    ------
    ValueError
        The plane lies across the beam: every column is mixed.
    """
    across = np.hypot(normal[0], normal[1])
    if across < 1e-9 * np.linalg.norm(normal):
        raise ValueError("a plane across the beam has no band of finite width")
    return float(thickness * abs(normal[2]) / across)


def _extended(share: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Shares with those of the nearest cell of the grain outside, so that none is mixed with 0."""
    from scipy import ndimage

    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    return share[tuple(nearest)]
