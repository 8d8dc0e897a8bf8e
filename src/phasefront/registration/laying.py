"""A map laid on a scan: the likeliest placement, draws of where it may lie, and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import cycle, islice

import numpy as np
from threadpoolctl import threadpool_limits

from phasefront.core.errors import InputError
from phasefront.registration import fit
from phasefront.registration.channels import Channel
from phasefront.registration.fit import Fit
from phasefront.registration.placement import Placement, similarity
from phasefront.registration.problem import Problem, State, begin, pose
from phasefront.registration.starts import Start, find_starts

DRAWS = 200  # of the posterior; gives ends of 95 % intervals to a tenth of their length
# Starts of each mirror that are fitted without drift, and fits of each that are fitted with it.
_STARTS, _FINALISTS = 4, 2
# Blur in pixels of the map of the first fits, so that they find their way; chosen.
_FIRST_BLUR = (2.5, 1.0)
# Optima whose objectives differ by less are both possible: a factor of 1000 in likelihood. Chosen.
UNDECIDED_BELOW = 2 * np.log(1000)
# Chi squared of a crystal's pixel above which the images are not of one thing: virtual pairs above
# it were 16 to 113 nm off, those below it 4 nm.
REFUSED_ABOVE = 2.0
# Least share of the map's signal that the scan must explain, and of the scan's in the map; chosen.
_LEAST_SHOWN = 0.3
# Factor on standard deviations of the posterior: pulls of 20 virtual pairs (seeds 100 to 119 of
# benchmarks/registration.py) had a root mean square of 1.24.
POSTERIOR_FACTOR = 1.3


class Status(IntEnum):
    """Whether a map may be compared with the scan."""

    REFUSED = 0
    UNDECIDED = 1
    ACCEPTED = 2


@dataclass(frozen=True)
class Optimum:
    """One way in which the map may lie."""

    mirrored: bool
    angle_deg: float
    scale: float
    chi_squared: float
    above_best: float  # in twice the log-likelihood


@dataclass(frozen=True)
class Laid:
    """A map laid on a scan.

    `best` is the likeliest placement, `draws` of the posterior are equally likely. `why` says in a
    sentence what stands against it, empty where it is accepted. `drift_walk_nm` is the likeliest
    step of the rows' random walk.
    """

    status: Status
    why: str
    best: Placement
    draws: tuple[Placement, ...]
    optima: tuple[Optimum, ...]
    chi_squared: float
    inflation: float
    scale: float
    scale_stderr: float
    angle_deg: float
    mirrored: bool
    probe_factor: float
    drift_walk_nm: float
    shown: float

    def spread_nm(self, columns: int) -> np.ndarray:
        """Root mean square distance in nm (row, column) of draws from the likeliest place."""
        middle = self.best.positions(columns)
        squares = [((one.positions(columns) - middle) ** 2).sum(-1) for one in self.draws]
        return np.sqrt(np.mean(squares, axis=0))


def lay(
    moving: Channel, fixed: Channel | Sequence[Channel], label: np.ndarray, *, seed: int = 0,
    mirrors: tuple[bool, ...] = (False, True), landmarks: np.ndarray | None = None,
) -> Laid:  # fmt: skip
    """Lay a map on a scan by images that grow with thickness.

    Parameters
    ----------
    moving
        The map's thickness channel: optical density before an edge, t/lambda, a phase shift.
    fixed
        The scan's, or several of them: draws then come from all in equal parts, so that what they
        disagree by is part of the error.
    label
        Grains of the scan (y, x), -1 none: each has a contrast curve of its own.
    mirrors
        Whether the map may be turned over.
    landmarks
        Points (n, 5) of rows and columns in the map, y and x on the scan in nm, and their error in
        nm, that are used beside the images.

    A map of which no part looks like the scan is refused, and lies as rough starts have it. Raises
    InputError for images that nothing can be laid by.
    """
    channels = [fixed] if isinstance(fixed, Channel) else list(fixed)
    moving.check()
    for one in channels:
        one.check()
        if one.value.shape != label.shape:
            raise InputError(
                one.name, f"has {one.value.shape} positions, the grains' map {label.shape}",
                field="thickness channel", remedy="give both on the scan's grid",
            )  # fmt: skip
    with threadpool_limits(1, "blas"):
        starts = [find_starts(moving, one, each=_STARTS, mirrors=mirrors) for one in channels]
        found = [
            _lay_by(moving, one, label, mirrors, landmarks, own)
            for one, own in zip(channels, starts, strict=True)
            if any(start.correlation > 0 for start in own)
        ]
    # A fit that has left the scan has no pixel there, and no evidence.
    found = [one for one in found if np.isfinite([w.log_evidence for w in one.walks]).all()]
    if not found:
        names = ", ".join(one.name for one in channels)
        return _like_nothing(moving, f"no part of it looks like {names}", starts[0])
    main = max(found, key=lambda one: (one.status, -one.best.chi_squared))
    rng = np.random.default_rng(seed)
    agreeing = [one for one in found if one.best.state.mirrored == main.best.state.mirrored]
    status, why = main.status, main.why
    if len(agreeing) < len(found) and status == Status.ACCEPTED:
        status, why = Status.UNDECIDED, "channels of the scan disagree on whether it is turned over"
    counts = _parts(np.full(len(agreeing), 1 / len(agreeing)))
    draws = [
        draw
        for one, count in zip(agreeing, counts, strict=True)
        for draw in _draws(one, count, rng)
    ]
    state = main.best.state
    scales = [draw[1] for draw in draws]
    return Laid(
        status, why, main.placement(state), tuple(draw[0] for draw in draws),
        tuple(main.optima), main.best.chi_squared, main.best.inflation,
        float(np.exp(state.placed[3])), float(np.std(scales)),
        float(np.rad2deg(state.placed[2]) % 360), state.mirrored, float(np.exp(state.placed[4])),
        main.best.walk, main.best.shown,
    )  # fmt: skip


def _like_nothing(moving: Channel, why: str, starts: Sequence[Start]) -> Laid:
    """A map that is laid nowhere; draws are rough starts, which lie all over the scan."""
    placements = [
        similarity(
            moving.value.shape, moving.pixel_nm, middle=one.middle, angle_deg=one.angle_deg,
            scale=one.scale, mirrored=one.mirrored,
        )
        for one in starts
    ]  # fmt: skip
    first = starts[0]
    return Laid(
        Status.REFUSED, why, placements[0], tuple(islice(cycle(placements), DRAWS)), (), np.nan,
        np.nan, first.scale, np.nan, first.angle_deg, first.mirrored, np.nan, np.nan, 0.0,
    )  # fmt: skip


@dataclass(frozen=True)
class _Found:
    problem: Problem
    times: int  # pixels of the map along a side of those that are fitted
    rows: int  # of the map
    walks: list[Fit]  # the best optimum under each step of the random walk
    best: Fit
    optima: list[Optimum]
    status: Status
    why: str

    def placement(self, state: State) -> Placement:
        """Where the map's own rows lie."""
        return state.placement(self.problem).unbinned(self.times, self.rows)


def _lay_by(
    moving: Channel, fixed: Channel, label: np.ndarray, mirrors: tuple[bool, ...],
    landmarks: np.ndarray | None, starts: Sequence[Start],
) -> _Found:  # fmt: skip
    times = max(1, int(max(fixed.pixel_nm, fixed.resolution_nm / 2) / moving.pixel_nm))
    coarse = moving.binned(times)
    marks = None
    if landmarks is not None:
        marks = np.array(landmarks, "f8")
        marks[:, :2] = (marks[:, :2] + 0.5) / times - 0.5
    steps = coarse.pixel_nm
    rough = [
        pose(coarse, fixed, label, extra_nm=blur * steps, landmarks=marks) for blur in _FIRST_BLUR
    ]
    problem = pose(coarse, fixed, label, landmarks=marks)
    firsts = []
    for start in starts:
        state = begin(_shifted(start, moving, coarse, times), problem)
        for one in rough:
            state, value = fit.descend(one, state, walk=steps, drifts=False, steps=15)
        firsts.append((value, state))
    finalists = []
    for mirrored in mirrors:
        own = [one for one in firsts if one[1].mirrored == mirrored]
        finalists += _different(sorted(own, key=lambda one: one[0]), problem)[:_FINALISTS]
    fits = []
    middle_walk = fit.WALKS[len(fit.WALKS) // 2] * steps
    for state in finalists:
        state, _ = fit.descend(problem, state, walk=middle_walk, steps=25)
        fits.append(state)
    inflation = min(fit.judge(problem, state)[1] for state in fits)
    ended = [fit.finish(problem, state, middle_walk, inflation) for state in fits]
    ended = sorted(ended, key=lambda one: _comparable(one, ended))
    best = ended[0]
    walks = [fit.finish(problem, best.state, walk * steps, best.inflation) for walk in fit.WALKS]
    best = max(walks, key=lambda one: one.log_evidence)
    optima = [
        Optimum(
            one.state.mirrored, float(np.rad2deg(one.state.placed[2]) % 360),
            float(np.exp(one.state.placed[3])), one.chi_squared,
            _comparable(one, ended) - _comparable(ended[0], ended),
        )
        for one in ended
    ]  # fmt: skip
    rival = [
        found
        for one, found in zip(ended[1:], optima[1:], strict=True)
        if found.above_best < UNDECIDED_BELOW and _apart(one.state, best.state, problem)
    ]
    status, why = Status.ACCEPTED, ""
    if best.chi_squared > REFUSED_ABOVE:
        status = Status.REFUSED
        why = f"chi squared of a pixel is {best.chi_squared:.2g}: the images are not of one thing"
    elif best.shown < _LEAST_SHOWN:
        status, why = Status.REFUSED, f"the scan shows {best.shown:.0%} of the map's signal"
    elif rival:
        status = Status.UNDECIDED
        turned = "turned over" if rival[0].mirrored else "not turned over"
        why = (
            f"it may as well lie at {rival[0].angle_deg:.0f} degrees, {turned} (twice the"
            f" log-likelihood is {rival[0].above_best:.1f} less)"
        )
    return _Found(problem, times, moving.value.shape[0], walks, best, optima, status, why)


def _shifted(start: Start, moving: Channel, coarse: Channel, times: int) -> Start:
    """The start of binned pixels, whose middle lies elsewhere where some are cut off."""
    kept = np.array(coarse.value.shape) * times
    if (kept == moving.value.shape).all():
        return start
    whole = similarity(
        moving.value.shape, moving.pixel_nm, middle=start.middle, angle_deg=start.angle_deg,
        scale=start.scale, mirrored=start.mirrored,
    )  # fmt: skip
    return start._replace(middle=whole.at((kept[None] - 1) / 2)[0])


def _comparable(one: Fit, others: Sequence[Fit]) -> float:
    """Objective with as many pixels as the fit that has most of them on the scan."""
    most = max(other.pixels for other in others)
    return one.objective * most / max(one.pixels, 1)


def _apart(one: State, other: State, problem: Problem) -> bool:
    """Whether two states lie further apart than two pixels of the map, on average."""
    columns = problem.value.shape[1]
    places = [state.placement(problem).positions(columns) for state in (one, other)]
    off = np.sqrt(((places[0] - places[1]) ** 2).sum(-1).mean())
    return bool(one.mirrored != other.mirrored or off > 2 * problem.pixel_nm)


def _different(sorted_states: list[tuple[float, State]], problem: Problem) -> list[State]:
    kept: list[State] = []
    for _, state in sorted_states:
        if all(_apart(state, other, problem) for other in kept):
            kept.append(state)
    return kept


def _parts(weights: np.ndarray, total: int = DRAWS) -> np.ndarray:
    """Whole numbers that sum to `total`, as near to the weights as they can be."""
    share = weights / weights.sum() * total
    found = np.floor(share).astype(int)
    found[np.argsort(found - share, kind="stable")[: total - found.sum()]] += 1
    return found


def _draws(found: _Found, number: int, rng: np.random.Generator) -> list[tuple[Placement, float]]:
    """Placements and scales, by Laplace's approximation under each step of the walk."""
    evidence = np.array([one.log_evidence for one in found.walks])
    weights = np.exp(evidence - evidence.max())
    drawn = []
    for one, count in zip(found.walks, _parts(weights, number), strict=True):
        if not count:
            continue
        lower = np.linalg.cholesky(one.precision)
        normal = rng.standard_normal((len(lower), count))
        off = POSTERIOR_FACTOR * np.linalg.solve(lower.T, normal).T
        for each in off:
            state = one.state.moved(each)
            drawn.append((found.placement(state), float(np.exp(state.placed[3]))))
    return drawn
