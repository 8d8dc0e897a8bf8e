"""The front of each grain of a series: its law, when and where it comes, how fast, which way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from phasefront.core.statistics import NORMAL_95, Interval
from phasefront.layouts.dimensions import named_ends
from phasefront.layouts.series import SERIES
from phasefront.series import fronts
from phasefront.series.aligned import Seen
from phasefront.series.fronts import Courses, Front
from phasefront.series.histories import Chain, Histories

LAWS = ("with time", "with its square root", "with charge")
# Positions of a grain that a front is fitted to: more tell its three numbers little better.
_FITTED = 300
# Fewer positions that convert are no front.
_FEWEST = 8
# A grain begins and ends when so much of what converts has.
_BEGUN, _ENDED = 0.05, 0.95
# Of both steps, from rich to mixed and on to poor, a place takes more than this in all.
_WHOLLY = 1.8
_HOUR_S = 3600.0  # by definition


_OF_GRAINS = (
    *(f"{name}{end}" for name in ("begin", "speed", "advance", "direction")
      for end in ("", "_low", "_high")),
    "end", "entry", "log_evidence_way", "log_evidence_law",
)  # fmt: skip


@dataclass(frozen=True)
class Current:
    """The log, as fronts see it."""

    time: np.ndarray  # (record,) s
    charge: np.ndarray  # (record,) mA h
    onward: bool  # whether places go from rich to poor
    one_way: bool  # whether the current takes ions one way, so that a front may go with the charge
    clock_error_s: float  # standard error of the offset between its clock and the scans'; or NaN

    @property
    def sign(self) -> float:
        """By which charge grows as grains convert."""
        return 1.0 if self.onward else -1.0

    def moments(self, passed: np.ndarray) -> np.ndarray:
        """First moments (...) in s at which charges (...), signed, had passed."""
        grows = np.maximum.accumulate(self.sign * self.charge)
        kept = np.concatenate([[True], np.diff(grows) > 0])
        return np.interp(passed, grows[kept], self.time[kept])

    def flowing(self, first: float, last: float) -> float:
        """Mean current in mA while any flows, between two moments."""
        step, passed = np.diff(self.time), self.sign * np.diff(self.charge)
        flows = (passed > 0) & (self.time[1:] > first) & (self.time[:-1] < last)
        return float(_HOUR_S * passed[flows].sum() / step[flows].sum()) if flows.any() else np.nan


def fronts_of_grains(
    seen: Seen,
    chain: Chain,
    smooth: Histories,
    label: np.ndarray,
    which: np.ndarray,
    change: Interval,
    current: Current,
    *,
    step: float,
    count: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Variables of SERIES that each grain has from its front, by name.

    Parameters
    ----------
    seen, chain, smooth
        What scans saw, the chain fitted to that, and the histories that these give.
    label
        (y, x) grains of the first scan.
    which
        Numbers of the grains that convert, of `count`; others have none.
    change
        (3, place) times at which places convert.
    current
        The log meanwhile.
    step
        nm from a position to the next.
    """
    sizes = {"grain": count, "way": len(fronts.WAYS), "law": len(LAWS), "map_axis": 2}
    found = {
        name: np.full([sizes[dim] for dim in SERIES.variables[name].dims], np.nan)
        for name in _OF_GRAINS
    }
    for grain in which:
        own = np.flatnonzero((seen.grain == grain) & np.isfinite(seen.content).any(axis=1))
        times = change[0, own]
        if np.isfinite(times).sum() < _FEWEST:
            continue
        found["begin"][grain], found["end"][grain] = np.nanquantile(times, [_BEGUN, _ENDED])
        if np.ptp(seen.y[own]) == 0 or np.ptp(seen.x[own]) == 0:
            continue
        depth = _depth(label == grain)
        for name, value in _front(seen, chain, smooth, own, depth, current, seed).items():
            found[name][grain] = value
    for name in ("speed", "advance"):
        for end in ("", "_low", "_high"):
            found[f"{name}{end}"] *= step
    return found


def _front(
    seen: Seen, chain: Chain, smooth: Histories, own: np.ndarray, depth: np.ndarray,
    current: Current, seed: int,
) -> dict:  # fmt: skip
    """The front of one grain, whose places are `own`; lengths in positions."""
    whole, own = own, own[:: max(1, -(-len(own) // _FITTED))]
    y, x = seen.y[own], seen.x[own]

    def courses(clock: np.ndarray) -> Courses:
        return fronts.courses(
            chain, seen.content[own], seen.stderr[own], clock[own], onward=current.onward
        )

    by_time = courses(seen.time)
    steady = fronts.fit(by_time, y, x, seed=seed)
    parabolic = fronts.fit(by_time, y, x, law="parabolic", seed=seed)
    evidence = [steady.log_evidence, parabolic.log_evidence, np.nan]
    best, of_best, clock = steady, by_time, seen.time
    if parabolic.log_evidence > steady.log_evidence:
        best = parabolic
    advance, speed = np.full(3, np.nan), best.speed
    # Charge that passes back and forth by noise stands still.
    passed = np.maximum.accumulate(current.sign * seen.charge, axis=1)
    if current.one_way:
        by_charge = courses(passed)
        with_charge = fronts.fit(by_charge, y, x, seed=seed)
        evidence[2] = with_charge.log_evidence
        advance = with_charge.speed
        if with_charge.log_evidence > best.log_evidence:
            best, of_best, clock = with_charge, by_charge, passed
    begin = best.start + _before(best, seen, smooth, whole, own, clock)
    if clock is passed:
        lasts = best.ahead.max() / best.speed[0]
        first, last = current.moments(best.start[0] + np.array([0.0, lasts]))
        speed = advance * current.flowing(first, last) / _HOUR_S
        begin = current.moments(begin)
    # What hides where the front enters is passed unseen, up to a gap between scans, of which all
    # moments are as likely.
    gap = float(np.median(np.diff(np.nanmean(seen.time, axis=0)))) / np.sqrt(12.0)
    error = np.hypot(np.nan_to_num(current.clock_error_s), gap)
    off = NORMAL_95 * error * np.array([0.0, -1.0, 1.0])
    return {
        "entry": best.entry,
        "log_evidence_law": evidence,
        "log_evidence_way": [
            best.log_evidence,
            fronts.log_evidence(of_best, depth[y, x][:, None], seed=seed),
            fronts.log_evidence(of_best, np.zeros((len(own), 0)), seed=seed),
        ],
        **named_ends("begin", _widened(begin, off)),
        **named_ends("speed", speed), **named_ends("advance", advance),
        **named_ends("direction", best.direction),
    }  # fmt: skip


def _before(
    front: Front, seen: Seen, smooth: Histories, whole: np.ndarray, own: np.ndarray,
    clock: np.ndarray,
) -> float:  # fmt: skip
    """By which a front enters a grain before its middle passes the first of the positions that it
    was fitted to: others lie before that, and half of its width, in which columns are mixed.

    The first position's own edge lies half a step further.
    """
    way = np.radians(front.direction[0])
    along = np.array([np.sin(way), np.cos(way)])
    there = np.stack([seen.y, seen.x]).T @ along
    further = there[own].min() - there[whole].min() + 0.5
    # A scan stands for the time half way to its neighbours, so that this holds for passages that
    # are shorter than from scan to scan, too.
    stands = 0.5 * (clock[whole, 2:] - clock[whole, :-2])
    converts = np.abs((smooth.left + smooth.reached)[whole].sum(axis=1)) > _WHOLLY
    mixed = (smooth.smooth[whole, 1:-1, 1] * stands).sum(axis=1)[converts]
    width = float(mixed.mean()) if converts.any() else 0.0
    return -further / front.speed[0] - 0.5 * width


def _widened(interval: Interval, by: np.ndarray) -> Interval:
    """With an independent error, whose ends are off by `by` (3,)."""
    off = interval - interval[0]
    return interval[0] + np.sign(off) * np.hypot(off, by)


def _depth(inside: np.ndarray) -> np.ndarray:
    """Distance of each position from the outside of a grain, the scan's edge not counted."""
    return ndimage.distance_transform_edt(np.pad(inside, 1, mode="edge"))[1:-1, 1:-1]
