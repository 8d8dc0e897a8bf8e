"""Whether the clocks of scans and log go together: fronts stand still while no current flows.

Only pulses and rests tell: under a steady current a wrong offset and a late reaction look alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import ndtr

from phasefront.core.statistics import Interval
from phasefront.series.fronts import Courses

# Offsets are tried in steps of this part of the time from scan to scan, to so many of these.
_STEP, _REACH = 0.2, 3.0
# And to more than an hour, which a summer time forgotten makes.
_HOUR_S = 4000.0
# Share of positions whose changes follow no front.
_ASTRAY = 0.02
# Positions of a grain that are looked at, and courses of each, the likeliest: more tell no more.
POSITIONS, _COURSES = 60, 5
# Bounds of how far passages scatter about a front, in parts of the charge of the series.
_SCATTER = (0.003, 0.3)
# A grain may begin and end so many times the charge of the series before and after it.
_BEYOND = 2.0
# How many positions of a grain count as one, since neighbours err alike. Chosen; intervals of six
# made series of other seeds than those that are reported held the truth with it.
_ALIKE = 8.0
# Logarithm of the likelihood below the best at which an offset is no longer in the 95 % interval
# (half the quantile of chi squared with one degree of freedom).
_BELOW = 1.92
# No charge flows for so many scans at least where a rest is told from a slow current. Chosen.
_RESTS = 0.5
# An interval wider than so many scans says nothing.
_WIDE = 4.0
# Steps of a fit at most: more gain less than what _BELOW is of. Chosen.
_ITERATIONS = 12
_SQRT_2PI = np.sqrt(2.0 * np.pi)  # of the normal density


class Offset(NamedTuple):
    """What is to be added to the scans' clock beyond what is declared."""

    interval: Interval  # s; NaN where not identifiable
    sentence: str


_NOT_TOLD = Offset(
    np.full(3, np.nan),
    "not identifiable: no grain converts through a pulse and a rest, so the data do not tell a"
    " wrong offset from a slow reaction",
)


def ask_offset(
    grains: Sequence[tuple[Courses, np.ndarray]],
    time: np.ndarray,
    log_time: np.ndarray,
    passed: np.ndarray,
) -> Offset:
    """Compare when fronts move with when charge flows.

    Parameters
    ----------
    grains
        Of each grain that converts the courses of its positions in s on the log's time, with the
        declared offset, found without the current; and the places (position, 2) of these.
    time
        (scan,) mean s at which each scan was taken, on the same time.
    log_time, passed
        (record,) s, and mA h that passed the way in which grains convert, never falling.

    For each offset a straight front goes through each grain as the charge passes; when it starts,
    its direction, its speed and the scatter about it are those that fit best. Under the right one
    no position changes while no charge flows.
    """
    spacing = float(np.median(np.diff(time)))
    reach = max(_REACH * spacing, _HOUR_S)
    # No scan is placed where the log has no records.
    first = max(-reach, log_time[0] - time.min())
    last = min(reach, log_time[-1] - time.max())
    tried = np.arange(first, last, _STEP * spacing)
    total = float(np.ptp(np.interp(time, log_time, passed)))
    resting = _rests(log_time, passed, _RESTS * spacing)
    if len(tried) < 2 or not grains or not total > 0 or not len(resting):
        return _NOT_TOLD
    log_likelihood = np.zeros(len(tried))
    for found, place in grains:
        grain = _Grain.of(found, place)
        fits = [grain.fit(log_time - offset, passed / total) for offset in tried]
        log_likelihood += np.array(fits) / _ALIKE
    asked = _judged(tried, log_likelihood, len(grains), spacing)
    through = [_through_a_rest(found, asked.interval[0], resting) for found, _ in grains]
    return asked if any(through) else _NOT_TOLD


def _rests(log_time: np.ndarray, passed: np.ndarray, least: float) -> np.ndarray:
    """Begin and end (rest, 2), s, of times of at least so many s between two flows of charge."""
    flows = np.flatnonzero(np.diff(passed) > 0)
    between = np.column_stack([log_time[flows[:-1] + 1], log_time[flows[1:]]])
    return between[np.ptp(between, axis=1) >= least]


def _through_a_rest(found: Courses, offset: float, rests: np.ndarray) -> bool:
    """Whether positions of a grain change before a rest, and others after it."""
    best = found.log_likelihood.argmax(axis=1)
    at = np.arange(len(best))
    after, before = found.after[at, best] + offset, found.before[at, best] + offset
    return any((before <= begin).any() and (after >= end).any() for begin, end in rests)


class _Grain(NamedTuple):
    """The likeliest courses of a grain's positions."""

    probability: np.ndarray  # (position, course)
    after: np.ndarray  # (position, course) s
    before: np.ndarray
    place: np.ndarray  # (position, 3): 1, and rows and columns about the middle, scaled
    aside: tuple[np.ndarray, np.ndarray]  # (position, course, 2) of readings at both, as scaled
    astray: float  # probability of a course of a position whose change follows no front

    @classmethod
    def of(cls, found: Courses, place: np.ndarray) -> _Grain:
        likeliest = np.argsort(-found.log_likelihood, axis=1, kind="stable")[:, :_COURSES]
        log_likelihood, after, before = (
            np.take_along_axis(values, likeliest, axis=1) for values in found[:3]
        )
        probability = np.exp(log_likelihood - log_likelihood[:, :1])
        about = place - place.mean(axis=0)
        size = max(np.sqrt((about**2).sum(axis=1).mean()), 1e-9)
        aside = (np.zeros((*likeliest.shape, 2)),) * 2
        if found.after_aside is not None:
            aside = tuple(
                np.take_along_axis(of_end, likeliest[..., None], axis=1) / size
                for of_end in (found.after_aside, found.before_aside)
            )
        return cls(
            probability / probability.sum(axis=1, keepdims=True), after, before,
            np.column_stack([np.ones(len(about)), about / size]), aside,
            # Any course of all that are possible is as likely then.
            1.0 / found.log_likelihood.shape[1],
        )  # fmt: skip

    def fit(self, log_time: np.ndarray, passed: np.ndarray) -> float:
        """Log-likelihood of the front that fits best, if the log's times are these."""
        low, high = (np.interp(ends, log_time, passed) for ends in (self.after, self.before))
        middle = (self.probability * 0.5 * (low + high)).sum(axis=1)
        start = np.linalg.lstsq(self.place, middle, rcond=None)[0]
        scatter = np.clip(np.std(middle - self.place @ start), 2 * _SCATTER[0], 0.5 * _SCATTER[1])
        low = np.where(np.isneginf(self.after), -np.inf, low)
        high = np.where(np.isposinf(self.before), np.inf, high)
        best = minimize(
            self._against, np.append(start, np.log(scatter)), args=(low, high), jac=True,
            method="L-BFGS-B", options={"maxiter": _ITERATIONS},
            bounds=[(-_BEYOND, 1 + _BEYOND)] + [(None, None)] * 2 + [tuple(np.log(_SCATTER))],
        )  # fmt: skip
        return -float(best.fun)

    def _against(self, values: np.ndarray, low: np.ndarray, high: np.ndarray):
        """Minus the log-likelihood of a front and its gradient: charges (position, course) between
        which each changed, and when the front passes it."""
        scatter = np.exp(values[3])
        ahead = (self.place @ values[:3])[:, None]
        below, above = (
            (ends - ahead - aside @ values[1:3]) / scatter
            for ends, aside in zip((low, high), self.aside, strict=True)
        )
        # Two readings of one place may lie so that no front is behind the one and before the other.
        possible = below < above
        inside = np.where(possible, ndtr(above) - ndtr(below), 0.0)
        likelihood = (1 - _ASTRAY) * (self.probability * inside).sum(axis=1)
        likelihood = likelihood + _ASTRAY * self.astray
        weight = possible * (1 - _ASTRAY) * self.probability / likelihood[:, None]
        gradient = np.zeros(4)
        for ends, aside, sign in zip((below, above), self.aside, (1.0, -1.0), strict=True):
            finite = np.where(np.isfinite(ends), ends, 0.0)
            density = np.where(np.isfinite(ends), np.exp(-0.5 * finite**2) / _SQRT_2PI, 0.0)
            by_end = sign * weight * density
            gradient[:3] += self.place.T @ by_end.sum(axis=1) / scatter
            gradient[1:3] += np.einsum("pcd,pc->d", aside, by_end) / scatter
            gradient[3] += (by_end * finite).sum()
        return -np.log(likelihood).sum(), -gradient


def _judged(tried: np.ndarray, log_likelihood: np.ndarray, grains: int, spacing: float) -> Offset:
    if np.ptp(log_likelihood) < _BELOW:
        return _NOT_TOLD
    possible = log_likelihood > log_likelihood.max() - _BELOW
    # Under pulses that are alike, offsets a whole period apart are.
    number = np.cumsum(np.diff(possible.astype(int), prepend=0) == 1)
    ways = [
        _interval(tried, log_likelihood, possible & (number == one))
        for one in range(1, number[-1] + 1)
    ]
    if max(np.ptp(way) for way in ways) > _WIDE * spacing:
        return _NOT_TOLD
    nearest, *others = sorted(ways, key=lambda way: abs(way[0]))
    agrees = nearest[1] <= 0 <= nearest[2]
    alike = f" (or {', or '.join(f'{way[0]:.4g} s' for way in others)}: pulses are alike)"
    return Offset(
        nearest,
        f"{grains} grains convert while current flows if {nearest[0]:.4g} s ({nearest[1]:.4g} to"
        f" {nearest[2]:.4g}) are added to the declared offset{alike if others else ''}, which"
        f" {'agrees with it' if agrees else 'does not agree with it'}; a reaction that lags behind"
        " the current would look the same",
    )


def _interval(tried: np.ndarray, log_likelihood: np.ndarray, inside: np.ndarray) -> Interval:
    """Best offset and ends of one way of putting the clocks together."""
    step = tried[1] - tried[0]
    best = tried[inside][log_likelihood[inside].argmax()]
    # Between two that were tried none was looked at.
    return np.array([best, tried[inside].min() - step, tried[inside].max() + step])
