"""The front of each grain of a series: its law, when and where it comes, how fast, which way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from phasefront.core.statistics import NORMAL_95, Interval
from phasefront.layouts.dimensions import named_ends
from phasefront.layouts.series import SERIES
from phasefront.series import bands, fronts
from phasefront.series.aligned import Seen
from phasefront.series.fronts import Courses, Front
from phasefront.series.histories import Chain, Histories

LAWS = ("with time", "with its square root", "with charge")
_BY_CHARGE = LAWS.index("with charge")
# Evidence of one way or law over the next, as its natural logarithm, above which it is told
# (Kass and Raftery, J. Am. Stat. Assoc. 90, 773, 1995: strong).
STRONG = 3.0
# Positions of a grain that a front is fitted to: more tell its three numbers little better.
_FITTED = 300
# Fewer positions that convert are no front.
_FEWEST = 8
# A grain begins and ends when so much of what converts has.
_BEGUN, _ENDED = 0.05, 0.95
# Of both steps, from rich to mixed and on to poor, a place takes more than this in all.
_WHOLLY = 1.8
# Positions from its entry that are looked at for what may hide a front's beginning, and the share
# of them that is bare where it is seen: some are misread. Chosen.
_BESIDE, _BARE = 2, 0.75
# A grain's edge lies anywhere in the step before its first position: steps in the mean, and half of
# the 95 % interval.
_BEFORE_FIRST, _BEFORE_HALF = 0.5, 0.475
_HOUR_S = 3600.0  # by definition


_OF_GRAINS = (
    *(f"{name}{end}" for name in ("begin", "speed", "advance", "direction")
      for end in ("", "_low", "_high")),
    "end", "entry", "begin_seen", "log_evidence_way", "log_evidence_law",
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

    def late(self, time: np.ndarray) -> np.ndarray:
        """By which charges (...) that had passed at times are off for a standard error of the
        clock, 0 while nothing flows."""
        error = np.nan_to_num(self.clock_error_s)
        after, before = (np.interp(time + way, self.time, self.charge) for way in (error, -error))
        return 0.5 * self.sign * (after - before)

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
    bare: np.ndarray,
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
    bare
        (y, x) whether nothing lies there.
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
        outline = _Outline(label == grain, bare)
        for name, value in _front(seen, chain, smooth, own, outline, current, seed).items():
            found[name][grain] = value
        found["begin_seen"][grain] = outline.shows(found["entry"][grain], found["direction"][grain])
    found["begin_seen"] = found["begin_seen"] == 1
    for name in ("speed", "advance"):
        for end in ("", "_low", "_high"):
            found[f"{name}{end}"] *= step
    return found


@dataclass(frozen=True)
class _Outline:
    """Where a grain is, and where nothing is."""

    inside: np.ndarray  # (y, x)
    bare: np.ndarray  # (y, x)

    @property
    def depth(self) -> np.ndarray:
        """Distance (y, x) of each position from the outside, the scan's edge not counted."""
        padded = np.pad(self.inside, 1, mode="edge")
        return ndimage.distance_transform_edt(padded)[1:-1, 1:-1]

    def shows(self, entry: np.ndarray, direction: float) -> bool:
        """Whether a front is seen to enter: little but bare support lies before its entry.

        Where another grain hides that, or the scan ends, the grain may have begun earlier.
        """
        way = np.radians(direction)
        around = np.indices((2 * _BESIDE + 1,) * 2).reshape(2, -1) - _BESIDE
        before = np.array([np.sin(way), np.cos(way)]) @ around < 0
        before &= np.hypot(*around) <= _BESIDE
        row, column = around[:, before] + np.rint(entry).astype(int)[:, None] + _BESIDE
        own, free = (np.pad(one, _BESIDE)[row, column] for one in (self.inside, self.bare))
        return bool(free[~own].mean() > _BARE) if (~own).any() else False


@dataclass(frozen=True)
class _Lawful:
    """The front of a grain that goes by one law, and the clock by which it goes."""

    front: Front
    courses: Courses
    clock: np.ndarray  # (place, scan) s, or mA h passed

    @property
    def log_evidence(self) -> float:
        return self.front.log_evidence


def _front(
    seen: Seen, chain: Chain, smooth: Histories, own: np.ndarray, outline: _Outline,
    current: Current, seed: int,
) -> dict:  # fmt: skip
    """The front of one grain, whose places are `own`; lengths in positions."""
    whole, own = own, own[:: max(1, -(-len(own) // _FITTED))]
    y, x = seen.y[own], seen.x[own]
    read, places = seen.read[own], np.stack([y, x], axis=1)[:, None]

    def lawful(clock: np.ndarray, law: fronts.Law = "steady") -> _Lawful:
        courses = fronts.courses(
            chain, seen.content[own], seen.stderr[own], clock[own], onward=current.onward
        ).read_aside(read - places)
        return _Lawful(fronts.fit(courses, y, x, law=law, seed=seed), courses, clock)

    laws = [lawful(seen.time), lawful(seen.time, "parabolic")]
    if current.one_way:
        # Charge that passes back and forth by noise stands still.
        laws.append(lawful(np.maximum.accumulate(current.sign * seen.charge, axis=1)))
    evidence = np.array([one.log_evidence for one in laws])
    possible = [at for at in range(len(laws)) if evidence[at] > evidence.max() - STRONG]
    # Where laws cannot be told apart, the one by which a front stops where the current does.
    taken = _BY_CHARGE if _BY_CHARGE in possible else int(evidence.argmax())
    told = {
        at: _told(
            laws[at], seen, chain, smooth, whole, own, outline, current, by_charge=at == _BY_CHARGE
        )
        for at in possible
    }
    begins = np.array([begin for begin, _, _ in told.values()])
    begin, speed, front = told[taken]
    advance = np.full(3, np.nan)
    if taken == _BY_CHARGE:
        advance = front.speed
    elif current.one_way:
        advance = laws[_BY_CHARGE].front.speed
    best = laws[taken]
    depth = outline.depth
    deeper = ndimage.map_coordinates(depth, np.moveaxis(read, 2, 0), order=1, mode="nearest")
    of_depth = best.courses.read_aside((deeper - depth[y, x][:, None])[..., None])
    return {
        "entry": front.entry,
        "log_evidence_law": np.append(evidence, [np.nan] * (len(LAWS) - len(laws))),
        "log_evidence_way": [
            best.log_evidence,
            fronts.log_evidence(of_depth, depth[y, x][:, None], seed=seed),
            fronts.log_evidence(best.courses, np.zeros((len(own), 0)), seed=seed),
        ],
        **named_ends("begin", np.array([begin[0], begins[:, 1].min(), begins[:, 2].max()])),
        **named_ends("speed", speed), **named_ends("advance", advance),
        **named_ends("direction", front.direction),
    }  # fmt: skip


def _told(
    best: _Lawful, seen: Seen, chain: Chain, smooth: Histories, whole: np.ndarray,
    own: np.ndarray, outline: _Outline, current: Current, *, by_charge: bool,
) -> tuple[Interval, Interval, Front]:  # fmt: skip
    """When a front begins, s, how fast it goes, positions a second, and the front itself."""
    front, clock = best.front, best.clock
    error = np.nan_to_num(current.clock_error_s)
    time = seen.time[whole]
    late = current.late(time) if by_charge else np.full(time.shape, error)
    refined = bands.refine(
        front, chain, seen.content[whole], seen.stderr[whole], clock[whole],
        np.stack([seen.y[whole], seen.x[whole]], axis=1).astype("f8"), seen.read[whole],
        late=late, shear=seen.shear, onward=current.onward,
    )  # fmt: skip
    if refined is None:
        begin = front.start + _before(front, seen, smooth, whole, own, clock)
    else:
        front, begin, error = refined, refined.start, 0.0  # which holds that of the clock
    speed = front.speed
    if outline.shows(front.entry, front.direction[0]):
        begin = _at_edge(begin, speed[0])
    if by_charge:
        lasts = front.ahead.max() / front.speed[0]
        first, last = current.moments(front.start[0] + np.array([0.0, lasts]))
        speed = front.speed * current.flowing(first, last) / _HOUR_S
        begin = current.moments(begin)
    return _widened(begin, NORMAL_95 * error * np.array([0.0, -1.0, 1.0])), speed, front


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
    further = there[own].min() - there[whole].min()
    # A scan stands for the time half way to its neighbours, so that this holds for passages that
    # are shorter than from scan to scan, too.
    stands = 0.5 * (clock[whole, 2:] - clock[whole, :-2])
    converts = np.abs((smooth.left + smooth.reached)[whole].sum(axis=1)) > _WHOLLY
    mixed = (smooth.smooth[whole, 1:-1, 1] * stands).sum(axis=1)[converts]
    width = float(mixed.mean()) if converts.any() else 0.0
    return -further / front.speed[0] - 0.5 * width


def _at_edge(begin: Interval, speed: float) -> Interval:
    """When a front reaches a grain's edge, if it reaches its first position at `begin`."""
    half = _BEFORE_HALF / speed * np.array([0.0, -1.0, 1.0])
    return _widened(begin, half) - _BEFORE_FIRST / speed


def _widened(interval: Interval, by: np.ndarray) -> Interval:
    """With an independent error, whose ends are off by `by` (3,)."""
    off = interval - interval[0]
    return interval[0] + np.sign(off) * np.hypot(off, by)
