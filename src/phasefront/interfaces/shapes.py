"""Fronts fitted to what positions say: straight, two parallel ones, bent, along the outline.

A front is a line across which the share of the ion-rich phase rises from 0 to 1: linearly, over the
width of the band in which both phases lie over each other, and averaged over each position. All
lengths are in positions; the angle of a front is that of its normal, towards the rich side, from x
(along the rows) towards y (down).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from phasefront.interfaces import kernels
from phasefront.interfaces.columns import Columns

# Parameters of a front, in the kernel's order.
ANGLE, CURVATURE, WIDTH, FIRST, SECOND = range(5)
_NARROWEST = 0.05  # width of a front, positions: as good as sharp
_ANGLES = 90  # of the coarse search, over half a turn
# The grid on which a likelihood is integrated: places an axis, by the number of axes, and how far
# it reaches, in standard deviations.
_PLACES = {2: 7, 3: 5, 4: 4}
_REACH = 2.6  # standard deviations
_ROUNDS = 14  # of the climb to the maximum, at most


@dataclass(frozen=True)
class Fit:
    """A front whose likelihood was integrated about its best place.

    `parameters` (5,) are means over the likelihood (ANGLE, CURVATURE, WIDTH, FIRST, SECOND), with
    `covariance` (5, 5), 0 for those that are fixed; offsets are from `pivot` (y, x). Where
    `inverted`, the band between both offsets is poor. `log_likelihood` is the highest.
    """

    parameters: np.ndarray
    covariance: np.ndarray
    pivot: tuple[float, float]
    inverted: bool
    log_likelihood: float

    @property
    def stderr(self) -> np.ndarray:
        return np.sqrt(np.diag(self.covariance))

    def share(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Share of the rich phase that it predicts at positions."""
        return share_behind(x - self.pivot[1], y - self.pivot[0], self.parameters, self.inverted)

    def stderr_across(self, along: float) -> float:
        """Standard error of the place of the first front, so far along it from the pivot."""
        away = np.array([-along, 0.5 * along**2, 0.0, 1.0, 0.0])
        return float(np.sqrt(away @ self.covariance @ away))


def share_behind(x, y, front: np.ndarray, inverted: bool = False) -> np.ndarray:
    """Share of the rich phase at places (x, y) from the pivot, the kernel's plain form.

    `front` is (5,): the normal's angle in radians, the curvature, the band's width, and the offsets
    along the normal of the front and of a second one, where the share falls again (infinite where
    there is none). With curvature k the front lies where n - k t^2 / 2 is the offset, n along the
    normal and t across it. A ramp of the band's width is averaged over one position.
    """
    cosine, sine = np.cos(front[ANGLE]), np.sin(front[ANGLE])
    along = y * cosine - x * sine
    across = x * cosine + y * sine - 0.5 * front[CURVATURE] * along**2
    share = _ramp(across - front[FIRST], front[WIDTH])
    share = share - _ramp(across - front[SECOND], front[WIDTH])
    return 1.0 - share if inverted else share


def _ramp(across: np.ndarray, width: float) -> np.ndarray:
    outer, inner = 0.5 * (width + 1), 0.5 * (width - 1)
    within = np.clip(across, -outer, outer)

    def area(upper: np.ndarray) -> np.ndarray:
        return 0.5 * np.maximum(upper, 0.0) ** 2

    four = area(within + outer) - area(within + inner) - area(within - inner)
    return np.where(np.abs(across) >= outer, across > 0, four / width)


def again(fit: Fit, columns: Columns) -> Fit:
    """The same front, integrated over other columns from where it is."""
    axes = tuple(np.flatnonzero(np.diag(fit.covariance) > 0))
    return integrated(columns, fit.parameters, fit.pivot, axes, inverted=fit.inverted)


def line(columns: Columns) -> Fit:
    """The straight front that fits best."""
    pivot, angle, first, _, _ = _coarse(columns)
    start = np.array([angle, 0.0, 1.0, first, np.inf])
    return integrated(columns, start, pivot, (ANGLE, WIDTH, FIRST), inverted=False)


def band(columns: Columns) -> Fit:
    """The two parallel fronts that fit best."""
    pivot, angle, first, second, inverted = _coarse(columns, two=True)
    start = np.array([angle, 0.0, 1.0, first, second])
    return integrated(columns, start, pivot, (ANGLE, WIDTH, FIRST, SECOND), inverted=inverted)


def curve(columns: Columns, straight: Fit) -> Fit:
    """The bent front (a parabola) that fits best, from the best of many near the straight one."""
    reach = max(np.ptp(columns.y), np.ptp(columns.x), 4)
    bends, turns, shifts = (
        np.linspace(-2, 2, 9) / reach,
        np.linspace(-0.4, 0.4, 5),
        np.arange(-4, 5),
    )
    changes = np.stack(np.meshgrid(turns, bends, shifts, indexing="ij"), axis=-1).reshape(-1, 3)
    starts = np.repeat(straight.parameters[None], len(changes), axis=0)
    starts[:, [ANGLE, CURVATURE, FIRST]] += changes
    x, y = columns.x - straight.pivot[1], columns.y - straight.pivot[0]
    found = _log_likelihoods(columns.table, x, y, starts, False)
    axes = (ANGLE, CURVATURE, WIDTH, FIRST)
    return integrated(columns, starts[found.argmax()], straight.pivot, axes, inverted=False)


def along_outline(columns: Columns, depth: np.ndarray) -> Fit:
    """The front at one distance from the outline that fits best; a rich core has the angle 0, a
    rich shell half a turn. `depth` (n,) is each column's distance."""
    order = np.argsort(depth, kind="stable")
    gain = columns.gain[order]
    after = np.concatenate([[0.0], np.cumsum(gain[::-1])])[::-1]
    before = np.concatenate([[0.0], np.cumsum(gain)])
    core = after.max() >= before.max()
    place = int((after if core else before).argmax())
    edges = np.concatenate([[depth.min() - 0.5], depth[order], [depth.max() + 0.5]])
    middle = 0.5 * (edges[place] + edges[place + 1])
    start = np.array([0.0, 0.0, 1.0, middle, np.inf])
    if not core:
        start[ANGLE], start[FIRST] = np.pi, -middle
    in_depth = replace(columns, y=np.zeros(len(depth)), x=depth)
    return integrated(in_depth, start, (0.0, 0.0), (WIDTH, FIRST), inverted=False)


def integrated(
    columns: Columns,
    start: np.ndarray,
    pivot: tuple[float, float],
    axes: tuple[int, ...],
    *,
    inverted: bool,
) -> Fit:
    """Integrate the likelihood over the parameters `axes` about its highest place near `start`.

    A grid is laid along the axes of the covariance, moved to its best place, and drawn to the
    likelihood's own moments until these stay. So errors follow from the likelihood as it is,
    which steps where a front passes from one position to the next, and not from a derivative.
    The prior is flat, the width at least `_NARROWEST`.
    """
    x, y = columns.x - pivot[1], columns.y - pivot[0]
    size = max(np.ptp(x), np.ptp(y), 4.0)
    guess = {ANGLE: 2.0 / size, CURVATURE: 4.0 / size**2, WIDTH: 1.0, FIRST: 0.5, SECOND: 0.5}
    axes = list(axes)
    grid = _grid(len(axes))
    centre = start.copy()
    spread = np.diag([guess[axis] for axis in axes])
    best, highest = centre.copy(), -np.inf
    for _ in range(_ROUNDS):
        fronts = np.repeat(centre[None], len(grid), axis=0)
        fronts[:, axes] += grid @ spread.T
        found = _log_likelihoods(columns.table, x, y, fronts, inverted)
        top = int(found.argmax())
        if found[top] > highest:
            best, highest = fronts[top], float(found[top])
        weight = np.exp(found - found[top])
        weight /= weight.sum()
        mean = weight @ fronts[:, axes]
        away = fronts[:, axes] - mean
        covariance = (weight[:, None] * away).T @ away
        # Between grids it may change by a factor, no more, and it is never none.
        inverse = np.linalg.inv(spread)
        inside = inverse @ covariance @ inverse.T
        values, vectors = np.linalg.eigh(0.5 * (inside + inside.T))
        grown = np.sqrt(np.clip(values, 0.1, 4.0))
        moved = np.abs(inverse @ (mean - centre[axes])).max()
        settled = moved < 0.3 and np.abs(np.log(grown)).max() < 0.2
        if settled:
            break
        centre = best.copy() if moved > 1.0 else centre.copy()
        if moved <= 1.0:
            centre[axes] = mean
        centre[WIDTH] = max(centre[WIDTH], _NARROWEST)
        spread = spread @ (vectors * grown)
    parameters, full = centre.copy(), np.zeros((5, 5))
    parameters[axes] = mean
    full[np.ix_(axes, axes)] = covariance
    return Fit(parameters, full, pivot, inverted, highest)


@cache
def _grid(parameters: int) -> np.ndarray:
    """Places (place, parameter) along the axes of a covariance, in standard deviations."""
    unit = np.linspace(-_REACH, _REACH, _PLACES[parameters])
    grid = np.stack(np.meshgrid(*[unit] * parameters, indexing="ij"), axis=-1)
    return grid.reshape(-1, parameters)


def _log_likelihoods(table, x, y, fronts, inverted) -> np.ndarray:
    allowed = (fronts[:, WIDTH] >= _NARROWEST) & (fronts[:, FIRST] <= fronts[:, SECOND])
    found = np.full(len(fronts), -np.inf)
    found[allowed] = kernels.log_likelihoods(table, x, y, fronts[allowed], inverted)
    return found


def _coarse(columns: Columns, *, two: bool = False):
    """Pivot, angle, offsets and whether inverted of the best sharp front, or two parallel ones.

    Along each direction the positions are sorted; a front between two of them gives the rich phase
    to all beyond, so a running sum knows every offset at once.
    """
    pivot = float(columns.y.mean()), float(columns.x.mean())
    y, x = columns.y - pivot[0], columns.x - pivot[1]
    angles = np.arange(_ANGLES) * np.pi / _ANGLES
    across = np.outer(np.cos(angles), x) + np.outer(np.sin(angles), y)
    order = np.argsort(across, axis=1, kind="stable")
    sorted_across = np.take_along_axis(across, order, axis=1)
    behind = np.cumsum(columns.gain[order], axis=1)
    behind = np.concatenate([np.zeros((_ANGLES, 1)), behind], axis=1)  # all before each cut
    edges = np.concatenate([sorted_across[:, :1] - 1, sorted_across, sorted_across[:, -1:] + 1], 1)
    cuts = 0.5 * (edges[:, 1:] + edges[:, :-1])
    total = behind[0, -1]
    if not two:
        beyond = behind[:, -1:] - behind
        best = [np.unravel_index(one.argmax(), one.shape) for one in (beyond, behind)]
        forward = beyond[best[0]] >= behind[best[1]]
        row, cut = best[0] if forward else best[1]
        if forward:
            return pivot, angles[row], cuts[row, cut], np.inf, False
        return pivot, angles[row] + np.pi, -cuts[row, cut], np.inf, False
    found = []
    for inverted, rising in ((False, behind), (True, -behind)):
        lowest = np.minimum.accumulate(rising, axis=1)
        inside = rising - lowest
        row, end = np.unravel_index(inside.argmax(), inside.shape)
        begin = int(rising[row, : end + 1].argmin())
        value = inside[row, end] + (total if inverted else 0.0)
        found.append((value, angles[row], cuts[row, begin], cuts[row, end], inverted))
    _, angle, first, second, inverted = max(found, key=lambda one: one[0])
    return pivot, float(angle), float(first), float(second), inverted
