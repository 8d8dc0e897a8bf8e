"""Where the pixels of a map lie on a scan: one vector a row, and one from column to column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

# Passes of the search for the row that passes through a position; each gains a factor of the
# drift's slope, which is below 0.3. Chosen.
_PASSES = 25


@dataclass(frozen=True)
class Placement:
    """The pixel in row j and column i lies at row_start[j] + i column_step.

    Both are (y, x) in nm on the scan, whose first position is the origin: `row_start` (row, 2) and
    `column_step` (2,). Any similarity or shear of the map, either mirror, and a drift from row to
    row are of this form.
    """

    row_start: np.ndarray
    column_step: np.ndarray

    def positions(self, columns: int) -> np.ndarray:
        """Where (row, column, 2) the pixels lie, nm (y, x) on the scan."""
        return self.row_start[:, None] + np.arange(columns)[:, None] * self.column_step

    def at(self, pixels: np.ndarray) -> np.ndarray:
        """Where (n, 2) fractional pixels (n, 2), rows and columns of the map, lie on the scan; the
        first and last two rows give the way on beyond them."""
        row, column = np.moveaxis(np.asarray(pixels, "f8"), -1, 0)
        low = np.clip(np.floor(row).astype(int), 0, len(self.row_start) - 2)
        part = (row - low)[..., None]
        start = self.row_start[low] * (1 - part) + self.row_start[low + 1] * part
        return start + column[..., None] * self.column_step

    def pixels(self, positions: np.ndarray) -> np.ndarray:
        """Fractional pixels (..., 2) of the map at `positions` (..., 2), nm on the scan: the
        inverse of `at`, by fixed-point steps from the map without drift."""
        positions = np.asarray(positions, "f8")
        last = len(self.row_start) - 1
        row_step = (self.row_start[last] - self.row_start[0]) / last
        inverse = np.linalg.inv(np.stack([row_step, self.column_step], axis=1))
        found = _times(positions - self.row_start[0], inverse)
        for _ in range(_PASSES):
            found = found + _times(positions - self.at(found), inverse)
        return found

    def unbinned(self, times: int, rows: int) -> Placement:
        """Of a map with `rows` rows, whose blocks of `times` x `times` pixels this one places."""
        row = (np.arange(rows) + 0.5) / times - 0.5
        column = np.full(rows, 0.5 / times - 0.5)
        return Placement(self.at(np.stack([row, column], axis=1)), self.column_step / times)

    def mirrored(self) -> bool:
        """Whether the map is turned over."""
        row_step = self.row_start[-1] - self.row_start[0]
        return bool(row_step[0] * self.column_step[1] < row_step[1] * self.column_step[0])


def _times(vectors: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """matrix @ vector of each (..., 2): two products, whose sums no library reorders."""
    y, x = vectors[..., 0], vectors[..., 1]
    return np.stack([row[0] * y + row[1] * x for row in matrix], axis=-1)


def similarity(
    shape: tuple[int, int], pixel_nm: float, *, middle: np.ndarray, angle_deg: float,
    scale: float, mirrored: bool, drift: np.ndarray | None = None,
) -> Placement:  # fmt: skip
    """Placement of a map of `shape` turned about its middle.

    Parameters
    ----------
    middle
        Where its middle lies on the scan, nm (y, x).
    angle_deg
        Turn from the scan's x towards its y.
    scale
        True over stated pixel.
    mirrored
        Whether its columns run backwards before it is turned.
    drift
        What each row (row, 2) is off in nm (y, x); none where None.
    """
    turn = np.deg2rad(angle_deg)
    x_axis = np.array([np.sin(turn), np.cos(turn)]) * scale * pixel_nm
    y_axis = np.array([np.cos(turn), -np.sin(turn)]) * scale * pixel_nm
    column_step = -x_axis if mirrored else x_axis
    rows = np.arange(shape[0]) - (shape[0] - 1) / 2
    start = np.asarray(middle, "f8") + rows[:, None] * y_axis
    start = start - (shape[1] - 1) / 2 * column_step
    return Placement(start if drift is None else start + drift, column_step)


def interpolated(image: np.ndarray, at: np.ndarray, *, order: int = 1) -> np.ndarray:
    """`image` (y, x) at fractional rows and columns `at` (..., 2); NaN beyond its margin."""
    return ndimage.map_coordinates(
        image, np.moveaxis(at, -1, 0), order=order, mode="constant", cval=np.nan
    )
