"""The band of mixed columns at a front, fitted to what scans saw: when it comes, how fast it goes.

Which places have changed says between which two scans the front passed each; the ion contents of
those that it is passing say where in the band they are, to a part of the way between two places.
So a front that was found by the former (`fronts`) is refined by least squares on the contents: rich
before the band, poor behind it, and in it in proportion to the way across. Contents of one place
err together by the part that repeats there, and those of one scan by where that scan lies on the
first: each scan may see the front a little before or behind, by as much as the scans show. All
scans' clock may be off the log's: at rest no charge passes, so that it moves some scans alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from phasefront.core.statistics import Interval
from phasefront.series.fronts import Front
from phasefront.series.histories import Chain

# Places that are looked at: more tell a front's numbers no better than scans lie on each other.
_PLACES = 600
# Bounds of a band's width in steps between places, and the first guess. Chosen.
_NARROWEST, _WIDEST, _GUESS = 0.3, 20.0, 2.0
# So many times wider than guessed is it at first, so that a front that is off by more than its
# width is drawn to its place. Chosen.
_BLURS = (8.0, 3.0, 1.0)
# Rounds in which the scatter of scans is fitted, what it begins with in steps (made scans lie on
# the first to 0.03 to 0.06), and how many scans' worth that is. Chosen on six made series, of other
# seeds than those that are reported.
_ROUNDS, _SCATTER, _REMEMBERED = 6, 0.04, 12.0
# Residuals further off than so many standard errors count by their size only: misread contents.
_FAR = 2.5
# Fewer readings in the band tell nothing of it, and what is told must not hang on rounding: least
# share of what tells a number that is left by the others. Chosen.
_FEWEST, _LEAST_LEFT = 8, 1e-9
# A front's beginning and its speed, which take degrees of freedom from those of the scatter.
_FIXED = 2


@dataclass(frozen=True)
class _Seen:
    """Contents of a grain's places, ready for least squares; lengths in steps between places."""

    place: np.ndarray  # (place, scan, 2) of what was read, about the places' middle
    clock: np.ndarray  # (place, scan) about its middle, in parts of its span
    share: np.ndarray  # (place, scan) of what the front has not passed, as contents have it; NaN
    late: np.ndarray  # (place, scan) by which clock errs for a standard error of the clocks' offset
    root: np.ndarray  # (place, scan, scan) that makes a place's errors independent and 1


def refine(
    front: Front,
    chain: Chain,
    content: np.ndarray,
    stderr: np.ndarray,
    clock: np.ndarray,
    place: np.ndarray,
    read: np.ndarray,
    *,
    late: np.ndarray,
    shear: float,
    onward: bool,
) -> Front | None:
    """A front whose start, speed and direction are those of the band that fits the contents best.

    Parameters
    ----------
    front
        Of the grain, found by `fronts.fit` on this clock.
    chain
        The series' contents of rich and poor columns and their errors.
    content, stderr, clock
        (place, scan) of all the grain's places, as for `fronts.courses`.
    place
        (place, 2) rows and columns.
    read
        (place, scan, 2) those of what each scan saw there, to parts of a position.
    late
        (place, scan) by which `clock` is off if the scans' clock is off by its standard error.
    shear
        Standard deviation of the first scan's own drift from one of its rows to the next, along
        each axis, in steps: the frame in which directions are told leans by as much.
    onward
        Whether ions leave.

    Its start is when the band's leading edge reaches the first of the places. Intervals are of
    normal errors, with Student's quantiles where few scans see the band. None where the contents
    leave the band open, or the front does not go steadily.
    """
    if front.law != "steady":
        return None
    each = max(1, -(-len(place) // _PLACES))
    middle = place.mean(axis=0)
    origin, span = float(clock.mean()), float(np.ptp(clock))
    share = 0.5 + (content - chain.middle) / (2.0 * chain.reach)
    share = share if onward else 1.0 - share
    seen = _Seen(
        (read - middle)[::each], ((clock - origin) / span)[::each], share[::each],
        late[::each] / span,
        _whitening(chain, content[::each], stderr[::each]),
    )  # fmt: skip
    way = np.radians(front.direction[0])
    slowness = np.array([np.sin(way), np.cos(way)]) / (front.speed[0] * span)
    start = (front.start[0] - origin) / span - ((place - middle) @ slowness).min()
    values = np.array([start, *slowness, np.log(_GUESS)])
    fitted = _fitted(seen, values)
    if fitted is None:
        return None
    values, covariance, scans = fitted
    # What a row lies aside by, the front meets sooner: its slowness along the rows' order is off,
    # but not when it comes to what the first scan shows.
    leaning = covariance.copy()
    leaning[1, 1] += shear**2 * (values[1:3] @ values[1:3])
    quantile = _quantile(scans)
    return _as_front(
        front, values, (covariance, leaning), quantile, place - middle, middle, origin, span
    )


def _whitening(chain: Chain, content: np.ndarray, stderr: np.ndarray) -> np.ndarray:
    """(place, scan, scan) by which errors of shares become independent and 1; 0 of what is unseen.

    A place's errors are new in each scan, and one that repeats.
    """
    told = np.isfinite(content)
    new = np.where(told, chain.error * stderr, 1.0) / (2.0 * chain.reach)
    typical = np.where(told, stderr, 0.0).sum(axis=1) / np.maximum(told.sum(axis=1), 1)
    again = told * (chain.repeated * typical / (2.0 * chain.reach))[:, None]
    covariance = again[:, :, None] * again[:, None, :]
    covariance[:, range(new.shape[1]), range(new.shape[1])] += new**2
    return np.linalg.inv(np.linalg.cholesky(covariance)) * told[:, None, :]


def _fitted(seen: _Seen, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Start at the middle, slowness (2,) and log width; their covariance; scans that see the band.

    None where the fit fails.
    """
    scans = seen.clock.shape[1]
    for blur in _BLURS:
        fixed = np.log(_GUESS * blur)
        found = _solved(seen, values[:3], lambda few, fixed=fixed: np.append(few, fixed))
        values = np.append(found.x, values[3])
    scatter = _SCATTER
    values = np.append(values, np.zeros(scans + 1))
    for _ in range(_ROUNDS):
        found = _solved(seen, values, lambda many: many, scatter)
        values = found.x
        covariance = _covariance(seen, values, scatter)
        if covariance is None:
            return None
        of_scans = np.diag(covariance)[4:-1]
        about = values[4:-1] ** 2 + of_scans
        # A scan that does not see the band keeps what it had: only others tell of the scatter.
        telling = 1.0 - np.clip(of_scans / scatter**2, 0.0, 1.0)
        known = telling.sum()
        total = _REMEMBERED * _SCATTER**2 + (telling * about).sum()
        scatter = float(np.sqrt(total / (_REMEMBERED + known)))
    ok = np.isfinite(covariance[:4, :4]).all() and np.isfinite(values).all()
    inside = np.log(_NARROWEST) < values[3] < np.log(_WIDEST)
    return (values[:4], covariance[:4, :4], known) if ok and inside else None


def _covariance(seen: _Seen, values: np.ndarray, scatter: float) -> np.ndarray | None:
    """Of all values; None where a number is left open.

    A scan of which hardly a reading is in the band does not count: a little further on it may see
    none, so that its slopes here say nothing of how far.
    """
    part, _ = _parts(seen, values[:4], values[4:])
    band = np.isfinite(seen.share) & (part > 0) & (part < 1)
    off, slopes = _off(seen, values[:4], values[4:], band.sum(axis=0) >= _FEWEST)
    weight = 1 / np.sqrt(1 + (off / _FAR) ** 2)  # of the loss
    normal = (slopes * weight[:, None]).T @ slopes
    normal[4:, 4:] += np.diag(1 / np.append(np.full(seen.clock.shape[1], scatter), 1.0) ** 2)
    size = np.sqrt(normal.diagonal())
    if not (size > 0).all():
        return None
    scaled = normal / np.outer(size, size)
    if np.linalg.eigvalsh(scaled)[0] < _LEAST_LEFT:
        return None
    return np.linalg.inv(scaled) / np.outer(size, size)


def _solved(seen: _Seen, start: np.ndarray, whole, scatter: float = _SCATTER):
    """Least squares over some of the values, of which `whole` makes all but the scans' own and the
    clocks' offset."""
    count, scans = len(start), seen.clock.shape[1]
    prior_error = np.append(np.full(scans, scatter), 1.0)

    def rows(some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = whole(some)
        own = values[4:] if len(values) > 4 else np.zeros(scans + 1)
        off, slopes = _off(seen, values[:4], own)
        return off, slopes[:, :count], own

    def residual(some: np.ndarray) -> np.ndarray:
        off, _, own = rows(some)
        return np.concatenate([off, own / prior_error]) if count > 4 else off

    def jacobian(some: np.ndarray) -> np.ndarray:
        _, slopes, own = rows(some)
        if count <= 4:
            return slopes
        prior = np.zeros((len(own), count))
        prior[:, 4:] = np.diag(1 / prior_error)
        return np.concatenate([slopes, prior])

    low, high = np.full(count, -np.inf), np.full(count, np.inf)
    if count > 4:
        low[3], high[3] = np.log(_NARROWEST) - 0.1, np.log(_WIDEST) + 0.1
    return least_squares(
        residual, start, jacobian, bounds=(low, high), loss="soft_l1", f_scale=_FAR,
        x_scale="jac", max_nfev=40,
    )  # fmt: skip


def _off(
    seen: _Seen, values: np.ndarray, own: np.ndarray, counted: np.ndarray | bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Residuals (n,) and their slopes (n, 4 + scans + 1), of errors that are independent and 1; of
    `counted` scans."""
    slowness, width = values[1:3], np.exp(values[3])
    pace = float(np.hypot(*slowness))
    part, ahead = _parts(seen, values, own)
    inside = (part > 0) & (part < 1) & counted
    told = np.isfinite(seen.share)
    residual = np.where(told, np.clip(part, 0, 1) - seen.share, 0.0)
    slope = np.where(told & inside, 1.0 / width, 0.0)
    of_pace = -ahead / pace**3
    slopes = np.empty((*part.shape, 4 + len(own)))
    slopes[..., 0] = slope / pace
    for axis in (0, 1):
        place = seen.place[..., axis] / pace
        slopes[..., 1 + axis] = slope * (place + of_pace * slowness[axis])
    slopes[..., 3] = -slope * (part - 0.5) * width
    slopes[..., 4:-1] = slope[..., None] * np.eye(len(own) - 1)
    slopes[..., -1] = -slope * seen.late / pace
    residual = np.einsum("pab,pb->pa", seen.root, residual)
    return residual.ravel(), (seen.root @ slopes).reshape(-1, slopes.shape[-1])


def _parts(seen: _Seen, values: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Part (place, scan) of the band that has not passed, below 0 behind it and above 1 before it,
    and how far the clock is from when its middle passes."""
    slowness = values[1:3]
    ahead = values[0] + seen.place @ slowness - seen.clock - own[-1] * seen.late
    way = ahead / np.hypot(*slowness) + own[:-1]  # steps that the front has to go
    return 0.5 + way / np.exp(values[3]), ahead


def _quantile(scans: float) -> float:
    from scipy import stats

    return float(stats.t.ppf(0.975, max(scans + _REMEMBERED - _FIXED, 1.0)))


def _as_front(front, values, covariances, quantile, place, middle, origin, span) -> Front:
    covariance, leaning = covariances
    slowness, width = values[1:3], float(np.exp(values[3]))
    pace = float(np.hypot(*slowness))
    unit = slowness / pace
    first = int((place @ slowness).argmin())
    lead = 0.5 * width * pace
    of_start = np.array([1.0, *(place[first] - 0.5 * width * unit), -lead])
    of_pace = np.array([0.0, *unit, 0.0])
    of_turn = np.degrees(np.array([0.0, unit[1], -unit[0], 0.0]) / pace)

    def interval(value: float, slope: np.ndarray, spread: np.ndarray) -> Interval:
        error = quantile * np.sqrt(slope @ spread @ slope)
        return value + error * np.array([0.0, -1.0, 1.0])

    start = interval(values[0] + place[first] @ slowness - lead, of_start, covariance)
    log_pace = interval(np.log(pace), of_pace / pace, leaning)
    direction = float(np.degrees(np.arctan2(*unit)))
    ahead = place @ unit
    return replace(
        front,
        start=origin + span * start,
        speed=np.exp(-log_pace[[0, 2, 1]]) / span,
        direction=direction % 360 + interval(0.0, of_turn, leaning),
        entry=middle + place[first],
        ahead=ahead - ahead.min(),
    )
