"""How a front goes through a grain in time: when it comes, how fast, which way, by which law.

Each position says when it changed as far as its contents do: a likelihood of every course (rich,
perhaps mixed for some scans, poor), the error that repeats integrated out. A front says when it
passes each position. Both together are a regression on times that are known to intervals only, and
positions of one scan have times of their own: one time a scan would turn a front along the slow
axis and speed it up. So have they places: a scan reads its nearest position, up to half a step
aside, where the front passes sooner or later.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import gammaln, logsumexp

from phasefront.core.statistics import Interval
from phasefront.series.histories import WEIGHTS, Chain, log_densities

Law = Literal["steady", "parabolic"]
# Ways in which a grain may convert: a straight front, from its outline inwards (or from the middle
# outwards), or everywhere at once.
WAYS = ("front", "shell", "at once")

# Scans that a column may stay mixed while a front passes.
_LONGEST = 3
# Share of positions whose changes follow no front.
_ASTRAY = 0.02
# Change times are tabulated in cells from half the series before it to half of it after, for
# standard deviations of their scatter in parts of the series.
_CELLS = 600
# Chosen: from hardly any to a sixth of the series.
_SCATTERS = np.array([0.005, 0.01, 0.02, 0.04, 0.08, 0.16])
# Bounds of the time for a grain's radius (root mean square), in parts of the series.
_SLOWNESS = (0.005, 4.0)
# Draws: of the first round, of the others, rounds, and how many must carry weight.
_FIRST, _DRAWS, _ROUNDS, _ENOUGH = 20000, 3000, 8, 150
# Positions, or up to twice as many, that the first round looks at.
_FEW = 60
# Content of all directions, by how many lengths there are.
_DIRECTIONS = {1: 2.0, 2: 2.0 * np.pi}


class Courses(NamedTuple):
    """When positions may have changed: each course's likelihood and interval."""

    log_likelihood: np.ndarray  # (position, course)
    after: np.ndarray  # (position, course) s; -inf before the first scan
    before: np.ndarray  # (position, course) s; inf after the last
    # (position, course, d) lengths beside its place at which the readings were taken that bound it
    after_aside: np.ndarray | None = None
    before_aside: np.ndarray | None = None

    def read_aside(self, aside: np.ndarray) -> Courses:
        """With readings of (position, scan, d) lengths beside each place."""
        of_lengths = [_bounds(one, (0.0, 0.0)) for one in np.moveaxis(aside, 2, 0)]
        after, before = (np.stack(ends, axis=2) for ends in zip(*of_lengths, strict=True))
        return self._replace(after_aside=after, before_aside=before)

    def at_places(self, slowness: np.ndarray) -> Courses:
        """Times as if they were read at the places, of a front whose `slowness` (position, d), s a
        length, makes it pass later by so much beside them."""
        if self.after_aside is None:
            return self
        return Courses(
            self.log_likelihood,
            self.after - np.einsum("pcd,pd->pc", self.after_aside, slowness),
            self.before - np.einsum("pcd,pd->pc", self.before_aside, slowness),
        )


@dataclass(frozen=True)
class Front:
    """A front that goes straight through a grain; each number with its 95 % interval."""

    law: Law
    start: Interval  # s, when it comes to the first position that it reaches
    direction: Interval  # degrees from x towards y in which it goes; ends may pass 0 or 360
    speed: Interval  # lengths a second, mean over the grain
    entry: np.ndarray  # (2,) row and column that it reaches first
    log_evidence: float  # of the contents, integrated over all fronts of this law
    positions: int
    ahead: np.ndarray  # (position,) lengths from the first that it reaches, along its direction


def courses(
    chain: Chain, content: np.ndarray, stderr: np.ndarray, time: np.ndarray, *, onward: bool
) -> Courses:
    """Every course of each position.

    Parameters
    ----------
    chain, content, stderr
        As for `histories.histories`; NaN where a scan did not see the position.
    time
        (position, scan) s at which each scan saw each position, rising.
    onward
        Whether ions leave, so that positions go from rich to poor.
    """
    seen = log_densities(chain, content, stderr)
    first, mixed, last = np.moveaxis(seen if onward else seen[..., ::-1], -1, 0)
    scans = time.shape[1]

    def summed(values: np.ndarray) -> np.ndarray:
        return np.concatenate([np.zeros((*values.shape[:2], 1)), values.cumsum(axis=-1)], axis=-1)

    before, during, after = summed(first), summed(mixed), summed(last)
    log_likelihood = []
    for begin, end in _spans(scans):
        path = before[..., begin] + during[..., end] - during[..., begin]
        path = path + after[..., -1] - after[..., end]
        log_likelihood.append(logsumexp(path + np.log(WEIGHTS), axis=1))
    return Courses(np.stack(log_likelihood, axis=1), *_bounds(time, (-np.inf, np.inf)))


def _spans(scans: int) -> list[tuple[int, int]]:
    """First mixed scan of each course, and the first one behind that is mixed no more."""
    lengths = range(_LONGEST + 1)
    return [(begin, begin + long) for long in lengths for begin in range(scans - long + 1)]


def _bounds(values: np.ndarray, beyond: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """What (position, scan) bounds the middle of each course (position, course) from below and from
    above, between the scans that saw it begin and end; `beyond` the first and the last scan."""
    ends = np.pad(values, ((0, 0), (1, 1)), constant_values=(beyond,))
    begin, end = np.array(_spans(values.shape[1])).T
    return 0.5 * (ends[:, begin] + ends[:, end]), 0.5 * (ends[:, begin + 1] + ends[:, end + 1])


def fit(found: Courses, y: np.ndarray, x: np.ndarray, *, law: Law = "steady", seed: int) -> Front:
    """The straight fronts that the changes of a grain's positions leave open.

    Parameters
    ----------
    found
        Courses of the grain's positions.
    y, x
        (position,) places, in any length.
    law
        `steady`: distance grows with time. `parabolic`: with its square root, from where and when
        the front enters.
    seed
        Of the draws: importance sampling, in rounds that sharpen (Cappe et al., J. Comput. Graph.
        Stat. 13, 907, 2004). Before anything is seen all directions and all orders of speed are
        as likely; times of passage scatter about the front by as much as fits best.

    Raises
    ------
    ValueError
        Fewer than eight positions, or all on a line.
    """
    place = np.stack([y, x], axis=1).astype("f8")
    if len(place) < 8 or np.linalg.matrix_rank(place - place.mean(axis=0)) < 2:
        raise ValueError("a front needs eight positions or more that are not on a line")
    scaled, size = _scaled(place)
    passages, draws, weight, log_evidence = _drawn(found, scaled, size, law, seed)
    slowness = np.hypot(draws[:, 1], draws[:, 2])
    way = np.array([weight @ (draws[:, 1] / slowness), weight @ (draws[:, 2] / slowness)])
    best = np.degrees(np.arctan2(*way))
    turn = np.degrees(np.arctan2(draws[:, 1], draws[:, 2])) - best
    entry = draws[:, 0] + (draws[:, 1:] @ passages.place.T).min(axis=1)
    span = passages.span
    ahead = place @ way / np.hypot(*way)
    return Front(
        law=law,
        start=passages.origin + span * _interval(entry, weight),
        direction=best % 360 + _interval((turn + 180) % 360 - 180, weight),
        speed=_interval(size / (span * slowness), weight),
        entry=place[ahead.argmin()],
        log_evidence=log_evidence,
        positions=len(place),
        ahead=ahead - ahead.min(),
    )


def log_evidence(found: Courses, way: np.ndarray, *, seed: int) -> float:
    """Logarithm of the evidence that passage goes with some lengths, at a steady speed.

    `way` is (position, d): row and column of a straight front, the depth below the outline of a
    front that follows it, or nothing (d = 0) where a grain changes everywhere at once.
    """
    scaled, size = _scaled(way.astype("f8")) if way.shape[1] else (way.astype("f8"), 1.0)
    return _drawn(found, scaled, size, "steady", seed)[3]


def _drawn(found: Courses, scaled: np.ndarray, size: float, law: Law, seed: int):
    """Passages at `scaled` places, in units of `size`, and what `_sampled` draws of them.

    How far aside of its place a reading counts hangs on the front: that is found with all readings
    at their places first, whose slowness is right to a part of itself.
    """
    passages = _Passages.of(found, scaled, law)
    drawn = _sampled(passages, np.random.default_rng(seed))
    if found.after_aside is None or not scaled.shape[1]:
        return passages, *drawn
    draws, weight, _ = drawn
    slowness = weight @ draws[:, 1:]
    growing = np.ones(len(scaled))
    if law == "parabolic":
        ahead = scaled @ slowness
        growing = 2.0 * (ahead - ahead.min()) / max(np.ptp(ahead), 1e-12)
    moved = found.at_places(growing[:, None] * slowness * passages.span / size)
    passages = _Passages.of(moved, scaled, law)
    return passages, *_sampled(passages, np.random.default_rng(seed))


def _scaled(place: np.ndarray) -> tuple[np.ndarray, float]:
    """Places about their middle in units of their root mean square distance, and that."""
    about = place - place.mean(axis=0)
    size = max(float(np.sqrt((about**2).sum(axis=1).mean())), 1e-9)
    return about / size, size


@dataclass(frozen=True)
class _Passages:
    """Log-likelihoods of when each position is passed, tabulated for every scatter."""

    log_table: np.ndarray  # (scatter, position, cell) of times from -1/2 to 3/2 of the span
    place: np.ndarray  # (position, d) rows and columns, or depth, or nothing; scaled
    law: Law
    origin: float
    span: float

    @classmethod
    def of(cls, found: Courses, place: np.ndarray, law: Law) -> _Passages:
        from scipy.ndimage import gaussian_filter1d

        finite = np.concatenate([ends[np.isfinite(ends)] for ends in (found.after, found.before)])
        origin, span = float(finite.min()), float(np.ptp(finite))
        edges = np.linspace(-0.5, 1.5, _CELLS + 1)
        likelihood = np.exp(found.log_likelihood - found.log_likelihood.max(axis=1, keepdims=True))
        table = np.zeros((len(place), _CELLS))
        for course in range(likelihood.shape[1]):
            low = (found.after[:, course, None] - origin) / span
            high = (found.before[:, course, None] - origin) / span
            inside = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
            table += likelihood[:, course, None] * np.clip(inside * _CELLS / 2.0, 0.0, 1.0)
        astray = likelihood.mean(axis=1, keepdims=True)
        smooth = [
            gaussian_filter1d(table, s * _CELLS / 2.0, axis=1, mode="nearest") for s in _SCATTERS
        ]
        return cls(
            np.log((1 - _ASTRAY) * np.stack(smooth) + _ASTRAY * astray), place, law, origin, span
        )

    def thinned(self, each: int) -> _Passages:
        """Of one position in `each`."""
        return replace(self, log_table=self.log_table[:, ::each], place=self.place[::each])

    def log_likelihood(self, draws: np.ndarray) -> np.ndarray:
        """Of fronts (draw, 1 + d): time at the middle, slowness along each of the d lengths."""
        ahead = draws[:, 1:] @ self.place.T
        if self.law == "parabolic":
            first, last = ahead.min(axis=1, keepdims=True), ahead.max(axis=1, keepdims=True)
            way = (ahead - first) / np.maximum(last - first, 1e-12)
            ahead = first + (last - first) * way**2
        cell = np.clip((draws[:, :1] + ahead + 0.5) * _CELLS / 2.0, 0, _CELLS - 1).astype(int)
        cell += _CELLS * np.arange(len(self.place))
        of_scatter = [table.ravel().take(cell).sum(axis=1) for table in self.log_table]
        return logsumexp(of_scatter, axis=0) - np.log(len(_SCATTERS))


def _log_prior(draws: np.ndarray) -> np.ndarray:
    """Even in time, direction and logarithm of the slowness, within bounds."""
    inside = np.abs(draws[:, 0] - 0.5) < 1.0
    lengths = draws.shape[1] - 1
    slowness = np.sqrt((draws[:, 1:] ** 2).sum(axis=1))
    log_volume = np.log(2.0)
    if lengths:
        inside &= (slowness > _SLOWNESS[0]) & (slowness < _SLOWNESS[1])
        log_volume += np.log(_DIRECTIONS[lengths] * np.log(_SLOWNESS[1] / _SLOWNESS[0]))
    with np.errstate(divide="ignore", invalid="ignore"):
        log_density = -lengths * np.log(slowness) if lengths else np.zeros(len(draws))
        return np.where(inside, log_density - log_volume, -np.inf)


def _sampled(passages: _Passages, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """Fronts (draw, 1 + d), their weights, and the logarithm of the evidence."""
    lengths = passages.place.shape[1]
    direction = rng.normal(size=(_FIRST, lengths))
    if lengths:
        direction /= np.sqrt((direction**2).sum(axis=1, keepdims=True))
    slowness = np.exp(rng.uniform(*np.log(_SLOWNESS), (_FIRST, 1)))
    draws = np.concatenate([rng.uniform(-0.5, 1.5, (_FIRST, 1)), slowness * direction], axis=1)
    # Only to find where the others are drawn: some of the positions tell that.
    log_weight = passages.thinned(max(1, len(passages.place) // _FEW)).log_likelihood(draws)
    for _ in range(_ROUNDS):
        power = _power(log_weight)
        tempered = np.exp(power * (log_weight - log_weight.max()))
        tempered /= tempered.sum()
        centre = tempered @ draws
        size = 1 + lengths
        covariance = (tempered * (draws - centre).T) @ (draws - centre) + 1e-9 * np.eye(size)
        # Student's t with five degrees of freedom, a little wider than what it stands for.
        root = np.linalg.cholesky(1.5 * covariance)
        normal = rng.normal(size=(_DRAWS, size)) / np.sqrt(rng.chisquare(5, (_DRAWS, 1)) / 5)
        draws = centre + normal @ root.T
        log_proposal = -0.5 * (5 + size) * np.log1p((normal**2).sum(axis=1) / 5)
        log_proposal += _log_student(size) - np.log(np.diag(root)).sum()
        log_weight = passages.log_likelihood(draws) + _log_prior(draws) - log_proposal
    total = logsumexp(log_weight)
    return draws, np.exp(log_weight - total), float(total - np.log(_DRAWS))


def _log_student(size: int) -> float:
    """Logarithm of the constant of Student's t with five degrees of freedom."""
    return float(gammaln(0.5 * (5 + size)) - gammaln(2.5) - 0.5 * size * np.log(5 * np.pi))


def _power(log_weight: np.ndarray) -> float:
    """The largest power up to 1 of the weights that leaves enough draws to learn from."""
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = 0.5 * (low + high)
        found = np.exp(middle * (log_weight - log_weight.max()))
        enough = found.sum() ** 2 / (found**2).sum() >= _ENOUGH
        low, high = (middle, high) if enough else (low, middle)
    return max(low, 1e-6)


def _interval(values: np.ndarray, weight: np.ndarray) -> Interval:
    """Weighted median with the ends of the 95 % interval."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weight[order]) - 0.5 * weight[order]
    return np.interp([0.5, 0.025, 0.975], below, values[order])
