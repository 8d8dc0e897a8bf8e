"""Fronts through the grains of a virtual series, each a function of place and charge.

A front moves by the charge that the electrode passes, so it stops where the current does. It stands
along the beam, so that its band of mixed columns has one width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from phasefront.virtual.insertion.table import FULL


@dataclass(frozen=True)
class Still:
    """No front: the grain keeps its ions."""

    def rich(self, y: np.ndarray, x: np.ndarray, charge: float | np.ndarray) -> np.ndarray:
        """Share of the ion-rich phase in columns at places, when a charge has passed."""
        return np.ones(np.broadcast_shapes(np.shape(y), np.shape(charge)))


@dataclass(frozen=True)
class Straight:
    """A straight front; lengths in positions, charge in mA h."""

    normal: float  # direction in which it goes, radian from x towards y
    entered: tuple[float, float]  # row and column of the place that it reaches first
    origin: float  # coordinate along the normal of the middle of the band at nucleation
    width: float  # of the band
    begins: float  # charge at nucleation,
    ends: float  # and when the band has left the grain
    speed: float  # positions per mA h

    def coordinate(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Of places along the normal."""
        return np.cos(self.normal) * x + np.sin(self.normal) * y

    def place(self, charge: float | np.ndarray) -> np.ndarray:
        """Coordinate of the middle of the band: from nucleation on, speed times charge further."""
        return self.origin + self.speed * np.maximum(np.asarray(charge) - self.begins, 0)

    def rich(self, y: np.ndarray, x: np.ndarray, charge: float | np.ndarray) -> np.ndarray:
        """See `Still.rich`."""
        return np.clip((self.coordinate(y, x) - self.place(charge)) / self.width + 0.5, 0, 1)


@dataclass(frozen=True)
class Pictured:
    """Fronts of a simulated grain, whose pictures lie flat in the plane of the scan.

    Its area converts evenly with charge. Between two pictures the distance to the front is
    interpolated (Raya and Udupa, IEEE Trans. Med. Imaging 9, 33, 1990), so that fronts move and do
    not fade. Before the first and after the last they go on from these.
    """

    distance: np.ndarray  # (picture, row, column) cells to the front, positive where rich
    depth: np.ndarray  # (row, column) cells to the outline, positive inside
    converted: np.ndarray  # (picture,) share of its area that has converted, from 0 to 1
    cell: float  # positions a cell
    turn: float  # radian from x towards y
    middle: tuple[float, float]
    width: float  # of the band, positions
    begins: float  # charge in mA h,
    ends: float

    @classmethod
    def of(cls, table: xr.Dataset, number: int, *, area: float, **given) -> Pictured:
        """A grain of an INSERTION table from which ions leave, over an area in positions."""
        inside, share, converted = _pictures(table, number)
        inside = np.pad(inside, _MARGIN)
        share = np.pad(share, ((0, 0), (_MARGIN, _MARGIN), (_MARGIN, _MARGIN)))
        distance = np.stack([_distance(_spread(one, inside) > _FRONT) for one in share])
        first = distance[0] + (1 - min(0.0, distance[0][inside].min()))
        last = distance[-1] - (1 + max(0.0, distance[-1][inside].max()))
        return cls(
            distance=np.concatenate([first[None], distance, last[None]]),
            depth=_distance(inside), converted=np.array([0.0, *converted, 1.0]),
            cell=float(np.sqrt(area / inside.sum())), **given,
        )  # fmt: skip

    def depth_at(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Distance in positions to the outline, positive inside."""
        return self.cell * _between(self.depth, *self._cells(y, x))

    def rich(self, y: np.ndarray, x: np.ndarray, charge: float | np.ndarray) -> np.ndarray:
        """See `Still.rich`."""
        y, x, charge = np.broadcast_arrays(y, x, charge)
        part = np.clip((charge - self.begins) / (self.ends - self.begins), 0, 1)
        at = np.interp(part, self.converted, np.arange(len(self.converted)))
        # Half a width early and late, so that the band is outside before and after.
        early = self.width / self.cell * (0.5 - part)
        distance = _between(self.distance, at, *self._cells(y, x)) + early
        return np.clip(distance * self.cell / self.width + 0.5, 0, 1)

    def _cells(self, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        down, along = y - self.middle[0], x - self.middle[1]
        cosine, sine = np.cos(self.turn) / self.cell, np.sin(self.turn) / self.cell
        centre = (np.array(self.depth.shape) - 1) / 2
        return centre[0] + cosine * down - sine * along, centre[1] + cosine * along + sine * down


Front = Still | Straight | Pictured

# Share of the rich phase in a picture at the middle of a front.
_FRONT = 0.5
# Chosen: of a grain's area, what a picture shows to have converted since the last one, at least;
# and so many such pictures a grain has.
_LEAST_STEP, _LEAST_PICTURES = 0.02, 3
_MARGIN = 3  # cells about a picture, so that its outline lies inside
# Positions from a straight front's band to the first and last place of its grain at most, for
# corners that lie between the places that it is given by.
_BESIDE = 1.0


def shows_fronts(table: xr.Dataset, number: int) -> bool:
    """Whether a grain of an INSERTION table was simulated, and ions leave it by fronts."""
    family = table["family"].values[table["grain_regime"].values[number]]
    leaving = family == "phase field" and table["inserting"].values[number] == 0
    return bool(leaving) and len(_pictures(table, number)[2]) >= _LEAST_PICTURES


def straight_through(
    inside_y: np.ndarray, inside_x: np.ndarray, *, normal: float, width: float, begins: float,
    ends: float,
) -> Straight:  # fmt: skip
    """The straight front that crosses a grain, given by places (n,) in it, within a charge.

    The whole band is before the grain at nucleation, and behind it at the end.
    """
    along = np.cos(normal) * inside_x + np.sin(normal) * inside_y
    first, way = along.argmin(), float(np.ptp(along)) + width + 2 * _BESIDE
    return Straight(
        normal=normal, entered=(float(inside_y[first]), float(inside_x[first])),
        origin=float(along[first]) - width / 2 - _BESIDE, width=width, begins=begins, ends=ends,
        speed=way / (ends - begins),
    )  # fmt: skip


def _pictures(table: xr.Dataset, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells of a grain (row, column), shares of the rich phase (picture, row, column), and shares
    of its area that have converted (picture,); without pictures in which no front has moved.

    What has lost its ions does not get them back, as it may by a little in a simulation.
    """
    inside = table["inside"].values[number] == 1
    share = np.minimum.accumulate(table["share"].values[number] / FULL, axis=0)
    converted = 1 - (share[:, inside] > _FRONT).mean(axis=1)
    kept, last = [], 0.0
    for picture, so_far in enumerate(converted):
        if last + _LEAST_STEP <= so_far <= 1 - _LEAST_STEP:
            kept.append(picture)
            last = so_far
    return inside, share[kept], converted[kept]


def _distance(inside: np.ndarray) -> np.ndarray:
    """Distance of cells' middles to the edge of a set, positive in it."""
    from scipy.ndimage import distance_transform_edt

    if inside.all() or not inside.any():
        return np.full(inside.shape, float(sum(inside.shape)) * (1 if inside.all() else -1))
    into, beside = distance_transform_edt(inside), distance_transform_edt(~inside)
    return np.where(inside, into - 0.5, 0.5 - beside)


def _spread(share: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Shares beside the grain are those of the nearest cell in it."""
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(~inside, return_distances=False, return_indices=True)
    return share[rows, columns]


def _between(values: np.ndarray, *at: np.ndarray) -> np.ndarray:
    from scipy.ndimage import map_coordinates

    return map_coordinates(values, np.stack(np.broadcast_arrays(*at)), order=1, mode="nearest")
