"""Straight edges of a grain's outline."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from phasefront.interfaces import shapes
from phasefront.interfaces.columns import DECISION, Columns, table_of_probability
from phasefront.interfaces.shapes import ANGLE, CURVATURE, FIRST, WIDTH
from phasefront.interfaces.surroundings import Outline
from phasefront.layouts.interfaces import Beyond

# An edge may be this far from straight while corners are looked for; positions.
_STRAIGHT = 0.9
_SHORTEST = 6.0  # shorter ones are no facets; positions
# It is fitted to positions so near to it, but not to its last ones, where corners are.
_NEAR, _CORNER = 2.5, 1.0
# Length times the turn (radians) at either end: a chord of a circle has 8 _STRAIGHT.
_LEAST_TURN = 10.0
# A bent edge must not be so much likelier, log-likelihood.
_BENT = 1.0


@dataclass(frozen=True)
class Facet:
    """A straight edge, in positions and degrees."""

    ends: np.ndarray  # (2, 2) row and column of both
    direction: float
    direction_stderr: float
    beyond: Beyond
    grain: int

    @property
    def length(self) -> float:
        return float(np.linalg.norm(self.ends[1] - self.ends[0]))

    def distance(self, place: np.ndarray) -> float:
        """Of a place (y, x) from it, positions."""
        along = self.ends[1] - self.ends[0]
        share = np.clip((place - self.ends[0]) @ along / (along @ along), 0, 1)
        return float(np.linalg.norm(place - self.ends[0] - share * along))


def facets_of(
    outline: Outline, beyond: np.ndarray, others: np.ndarray, inside: np.ndarray, outliers: float
) -> list[Facet]:
    """Facets of a grain.

    Parameters
    ----------
    outline
        Its outline.
    beyond, others
        What lies beyond each vertex, and which grain; the scan's own edge is no facet.
    inside
        The grain's positions (y, x).
    outliers
        Share of positions that are taken for inside or outside wrongly.

    An edge is fitted to the positions about it as an interface is, from who is inside and who is
    not, so its error is that of the staircase. An edge that a bent one fits better is none. Nor are
    chords of a round outline: they turn against each other by no more than eight times the
    tolerance over their length, edges between corners by more.
    """
    from skimage.measure import approximate_polygon

    vertices = np.stack([outline.y, outline.x], axis=1)[:-1]
    start = int(np.linalg.norm(vertices - vertices.mean(axis=0), axis=1).argmax())
    order = np.append(np.roll(np.arange(len(vertices)), -start), start)
    corners = approximate_polygon(vertices[order], _STRAIGHT)
    cornered = _between_corners(np.diff(corners, axis=0))
    found, begin = [], 0
    for (one, other), sharp in zip(itertools.pairwise(corners), cornered, strict=True):
        steps = np.flatnonzero((vertices[order][begin + 1 :] == other).all(axis=1))
        end = begin + 1 + int(steps[0])
        own = order[begin : end + 1]
        begin = end
        kinds, count = np.unique(beyond[own], return_counts=True)
        kind = Beyond(int(kinds[count.argmax()]))
        if kind == Beyond.SCAN_EDGE or not sharp:
            continue
        fitted = _fitted(np.stack([one, other]), inside, outliers)
        if fitted is None:
            continue
        grain = -1
        if kind in (Beyond.GRAIN, Beyond.CRACK):
            named, count = np.unique(others[own][beyond[own] == kind], return_counts=True)
            grain = int(named[count.argmax()])
        found.append(Facet(*fitted, kind, grain))
    return found


def _between_corners(edges: np.ndarray) -> np.ndarray:
    """Whether each edge (n, 2) of a closed outline is long, and turns enough against the next long
    ones on both sides."""
    length = np.linalg.norm(edges, axis=1)
    long = np.flatnonzero(length >= _SHORTEST)
    found = np.zeros(len(edges), dtype=bool)
    unit = edges[long] / length[long, None]
    for place, edge in enumerate(long):
        beside = unit[[place - 1, (place + 1) % len(long)]]
        turn = np.arccos(np.clip(beside @ unit[place], -1, 1)) if len(long) > 1 else np.pi
        found[edge] = length[edge] * np.min(turn) >= _LEAST_TURN
    return found


def _fitted(ends, inside, outliers) -> tuple[np.ndarray, float, float] | None:
    """Ends, direction and its standard error of a straight edge; None of one that is bent."""
    length = np.linalg.norm(ends[1] - ends[0])
    along = (ends[1] - ends[0]) / length
    middle, normal = ends.mean(axis=0), np.array([along[1], -along[0]])
    low = np.maximum(np.floor(ends.min(axis=0) - _NEAR).astype(int), 0)
    high = np.minimum(np.ceil(ends.max(axis=0) + _NEAR).astype(int) + 1, inside.shape)
    y, x = np.mgrid[low[0] : high[0], low[1] : high[1]]
    away = np.stack([y.ravel(), x.ravel()], axis=1) - middle
    near = (np.abs(away @ along) <= length / 2 - _CORNER) & (np.abs(away @ normal) <= _NEAR)
    y, x = y.ravel()[near], x.ravel()[near]
    of_grain = inside[y, x]
    if not of_grain.any() or of_grain.all():
        return None
    if (away[near] @ normal)[of_grain].mean() < 0:
        normal = -normal
    table = table_of_probability(of_grain.astype("f8"), outliers)
    columns = Columns(
        y, x, np.full(len(y), DECISION), of_grain * 1.0, np.full(len(y), np.inf), table, 0, 1.0
    )
    start = np.array([np.arctan2(normal[0], normal[1]), 0.0, 0.5, 0.0, np.inf])
    straight = (ANGLE, WIDTH, FIRST)
    fit, bent = (
        shapes.integrated(columns, start, tuple(middle), axes, inverted=False)
        for axes in (straight, (ANGLE, CURVATURE, WIDTH, FIRST))
    )
    if bent.log_likelihood - fit.log_likelihood > _BENT:
        return None
    angle = fit.parameters[ANGLE]
    normal = np.array([np.sin(angle), np.cos(angle)])
    along = np.array([np.cos(angle), -np.sin(angle)])
    foot = middle + fit.parameters[FIRST] * normal
    moved = foot + ((ends - foot) @ along)[:, None] * along
    direction = float((np.degrees(angle) - 90) % 180)
    return moved, direction, float(np.degrees(fit.stderr[ANGLE]))
