"""Straight pieces of a grain's interface, each fitted to the positions about it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from phasefront.interfaces import shapes
from phasefront.interfaces.columns import HALF_ERROR, Columns
from phasefront.interfaces.shapes import ANGLE, FIRST, SECOND, WIDTH, Fit
from phasefront.interfaces.surroundings import Surroundings
from phasefront.layouts.interfaces import Beyond

# A piece of the interface may be this far from straight, positions; shorter ones are not fitted.
_STRAIGHT = 0.8
_SHORTEST = 4.0  # positions
# A piece whose direction is less sure, or turns further from the contour's, is not fitted; degrees.
_MOST_TURN = 20.0
_STRAIGHT_LINE = (ANGLE, WIDTH, FIRST)
# Positions that a piece is fitted to lie so near.
_NEAR = 4.0
# Where a front only grazes a grain, it is no segment.
_SHORTEST_CHORD = 2.0
_STEP = 0.05  # of the walk along a line through a grain, positions


@dataclass(frozen=True)
class Segment:
    """A straight piece of an interface, in positions and degrees."""

    ends: np.ndarray  # (2, 2) row and column of both
    stderr_across: float
    direction: float
    direction_stderr: float
    rich_side: float
    width: float
    width_stderr: float
    positions: int
    beyond: tuple[Beyond, Beyond]
    grains: tuple[int, int]

    @property
    def length(self) -> float:
        return float(np.linalg.norm(self.ends[1] - self.ends[0]))


def through(fit: Fit, columns: Columns, grain: int, surroundings: Surroundings) -> list[Segment]:
    """Segments of a straight front, or of both of a band, as far as they run inside the grain."""
    found = []
    for offset in (FIRST, SECOND):
        if not np.isfinite(fit.parameters[offset]):
            continue
        found += _of_line(fit, offset, columns, grain, surroundings)
    return found


def _of_line(fit, offset, columns, grain, surroundings) -> Iterator[Segment]:
    angle = fit.parameters[ANGLE]
    normal = np.array([np.sin(angle), np.cos(angle)])
    along = np.array([np.cos(angle), -np.sin(angle)])
    foot = np.array(fit.pivot) + fit.parameters[offset] * normal
    place = np.stack([columns.y, columns.x], axis=1)
    reach = np.abs((place - foot) @ along).max() + 2
    walk = np.arange(-reach, reach, _STEP)
    at = np.floor(foot + walk[:, None] * along + 0.5).astype(int)
    label = surroundings.label
    in_scan = ((at >= 0) & (at < label.shape)).all(axis=1)
    inside = np.zeros(len(walk), dtype=bool)
    inside[in_scan] = label[tuple(at[in_scan].T)] == grain
    change = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(int), [0]])))
    for begin, end in zip(change[::2], change[1::2], strict=True):
        if walk[end - 1] - walk[begin] < _SHORTEST_CHORD:
            continue
        middle = 0.5 * (walk[begin] + walk[end - 1])
        ends = foot + np.array([walk[begin], walk[end - 1]])[:, None] * along
        met = [
            surroundings.beyond(grain, ends[0], -along), surroundings.beyond(grain, ends[1], along)
        ]  # fmt: skip
        falls = (offset == SECOND) != fit.inverted
        yield _segment(fit, offset, ends, middle, met, falls, len(columns.y))


def _segment(fit, offset, ends, along, met, falls, positions) -> Segment:
    moved = np.array([-along, 0.5 * along**2, 0.0, 0.0, 0.0])
    moved[offset] = 1.0
    angle = np.degrees(fit.parameters[ANGLE])
    # What columns of both phases are off alike: e at half a share, 4 e f (1 - f) at a share f,
    # moves a ramp of width w by 2/3 e w (least squares), and stretches it by as much or more.
    ramp = HALF_ERROR * (fit.parameters[WIDTH] + 1)
    return Segment(
        ends=ends,
        stderr_across=float(np.hypot(np.sqrt(moved @ fit.covariance @ moved), 2 / 3 * ramp)),
        direction=float((angle - 90) % 180), direction_stderr=float(np.degrees(fit.stderr[ANGLE])),
        rich_side=float((angle + (180 if falls else 0)) % 360),
        width=float(fit.parameters[WIDTH]), width_stderr=float(np.hypot(fit.stderr[WIDTH], ramp)),
        positions=positions, beyond=(met[0][0], met[1][0]), grains=(met[0][1], met[1][1]),
    )  # fmt: skip


def along_contour(
    columns: Columns, label: np.ndarray, grain: int, surroundings: Surroundings
) -> list[Segment]:
    """Straight pieces of an interface of any shape.

    The contour of half a share says where pieces begin and end: it runs between the positions by
    their shares, corrected where a speck of `label` (y, x; -1 outside the grain) was taken back.
    Each piece is then fitted to the positions nearer to it than to any other. Pieces too short to
    be fitted keep the contour's place; what is not known of them is NaN.
    """
    from skimage.measure import approximate_polygon, find_contours

    share = np.clip(columns.share, 0, 1)
    half = np.where(label == 1, 0.75, 0.25)
    agrees = (share > 0.5) == (label[columns.y, columns.x] == 1)
    half[columns.y[agrees], columns.x[agrees]] = share[agrees]
    # A line scan has no line across it: contours need two rows and two columns.
    contours = find_contours(half, 0.5, mask=label >= 0) if min(half.shape) > 1 else []
    pieces, joined = [], []
    for contour in contours:
        corners = approximate_polygon(contour, _STRAIGHT)
        closed = bool(np.allclose(corners[0], corners[-1])) and len(corners) > 3
        last = len(corners) - 2
        for place, (one, other) in enumerate(itertools.pairwise(corners)):
            pieces.append(np.stack([one, other]))
            joined.append((closed or place > 0, closed or place < last))
    if not pieces:
        return []
    nearest, distance = _nearest(np.stack([columns.y, columns.x], axis=1), pieces)
    found = []
    for number, (ends, goes_on) in enumerate(zip(pieces, joined, strict=True)):
        own = np.flatnonzero((nearest == number) & (distance <= _NEAR))
        found.append(_piece(_part(columns, own), ends, goes_on, label, grain, surroundings))
    return found


def _piece(columns, ends, goes_on, label, grain, surroundings) -> Segment:
    length = float(np.linalg.norm(ends[1] - ends[0]))
    along = (ends[1] - ends[0]) / max(length, 1e-9)
    met = [
        (Beyond.SEGMENT, -1) if on else surroundings.beyond(grain, end, sign * along)
        for on, end, sign in zip(goes_on, ends, (-1, 1), strict=True)
    ]
    middle = ends.mean(axis=0)
    normal = np.array([along[1], -along[0]])
    angle = float(np.arctan2(normal[0], normal[1]))
    rich = columns.gain > 0
    off = (np.stack([columns.y, columns.x], axis=1) - middle) @ normal
    if rich.any() and not rich.all() and off[rich].mean() < off[~rich].mean():
        angle += np.pi
    start = np.array([angle, 0.0, 1.0, 0.0, np.inf])
    unknown = Fit(start, np.full((5, 5), np.nan), tuple(middle), False, np.nan)
    unfitted = replace(
        _segment(unknown, FIRST, ends, 0.0, met, False, len(rich)),
        width=np.nan,
        width_stderr=np.nan,
    )
    if length < _SHORTEST or rich.all() or not rich.any():
        return unfitted
    for _ in range(2):
        fit = shapes.integrated(columns, start, tuple(middle), _STRAIGHT_LINE, inverted=False)
        columns = columns.worth(columns.independence(fit.share(columns.y, columns.x)))
    turn = fit.parameters[ANGLE]
    if np.degrees(fit.stderr[ANGLE]) > _MOST_TURN or abs(turn - angle) > np.deg2rad(_MOST_TURN):
        return unfitted
    normal, along = np.array([np.sin(turn), np.cos(turn)]), np.array([np.cos(turn), -np.sin(turn)])
    foot = middle + fit.parameters[FIRST] * normal
    run = (ends - foot) @ along
    order = np.argsort(run)
    moved = foot + run[order, None] * along
    return _segment(fit, FIRST, moved, float(run.mean()), [met[i] for i in order], False, len(rich))


def _part(columns: Columns, own: np.ndarray) -> Columns:
    return replace(
        columns, y=columns.y[own], x=columns.x[own], origin=columns.origin[own],
        share=columns.share[own], error=columns.error[own], table=columns.table[own],
    )  # fmt: skip


def _nearest(places: np.ndarray, pieces: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Number of the piece (2, 2) nearest to each place (n, 2), and its distance."""
    distance = np.empty((len(pieces), len(places)))
    for number, (one, other) in enumerate(pieces):
        along = other - one
        share = np.clip((places - one) @ along / max(along @ along, 1e-12), 0, 1)
        distance[number] = np.linalg.norm(places - one - share[:, None] * along, axis=1)
    return distance.argmin(axis=0), distance.min(axis=0)
