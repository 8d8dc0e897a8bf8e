"""The clock of a log: restarts are run on, what cannot be a clock is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from phasefront.core.errors import InputError

# Time stamps of simultaneous rows differ by rounding; more than this backwards is an error.
_BACKWARD_TOLERANCE_S = 0.01
# No cell is cycled for longer, but a damaged stamp, or milliseconds taken for seconds, says so.
_LONGEST_S = 20 * 365.25 * 86400
# Without a pause an instrument's clock and its computer's differ by no more than this, for stamps
# to the second, and this share of the time passed: they drift by some 10 ppm.
_SAME_CLOCK_S, _DRIFT = 5.0, 1e-4
_PLACES = 3  # named one by one in a warning
# What clocks are put forward by; an interval that is longer than usual by so much, to this share
# of a usual one or a second, may be one over which they were. The share is chosen.
_PUT_FORWARD_S, _USUAL_SHARE = 3600.0, 0.05


def continuous(clock: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Time that never runs back, from a clock that may start again any number of times.

    Parameters
    ----------
    clock
        Stamps in the order of the records, (n,), s.
    path
        The log, for messages.

    Returns
    -------
    Time, (n,), s; the first records after a restart, (k,); and a sentence if there are any.

    Raises
    ------
    InputError
        The clock stands still, or runs backwards other than by starting again; single stamps are
        zero; or the log would last for decades.
    """
    starts = restarts(clock, path)
    time = run_on(clock, starts)
    backwards = np.flatnonzero(np.diff(time) < -_BACKWARD_TOLERANCE_S)
    if backwards.size:
        first = backwards[0]
        raise InputError(
            path, f"time runs backwards, from {clock[first]:g} s to {clock[first + 1]:g} s",
            field=f"time_s, record {first + 2}",
            remedy="export the log with the total time since its start, records in order",
        )  # fmt: skip
    if time[-1] <= time[0]:
        raise InputError(
            path, f"time stands still at {time[0]:g} s", field="time_s",
            remedy="export the log with the total time since its start",
        )  # fmt: skip
    if time[-1] - time[0] > _LONGEST_S:
        jump = np.argmax(np.diff(time)) + 1
        raise InputError(
            path, f"the log lasts {(time[-1] - time[0]) / (365.25 * 86400):.3g} years, most of all"
            f" between {time[jump - 1]:.10g} s and {time[jump]:.10g} s",
            field=f"time_s, record {jump + 1}",
            remedy="correct the unit of time, or delete the records with damaged stamps",
        )  # fmt: skip
    return np.maximum.accumulate(time), starts, _sentences(time, starts)


def _sentences(time: np.ndarray, starts: np.ndarray) -> list[str]:
    if not starts.size:
        return []
    places = [f"{first + 1} ({time[first - 1]:.6g} s)" for first in starts[:_PLACES]]
    if starts.size > _PLACES:
        places.append(f"{starts.size - _PLACES} more")
    return [
        f"The clock starts again at record {', '.join(places)}; time runs on from the record "
        "before, since the pause between them is not known."
    ]


def refuse_dates_in_reverse(time: np.ndarray, cells: pd.Series, name: str, path: Path) -> None:
    """Raise InputError where dates (`cells`, (n,), and in s as `time`) run backwards.

    They do not start again, as other clocks may.
    """
    back = np.flatnonzero(np.diff(time) < -_BACKWARD_TOLERANCE_S)
    if back.size:
        raise InputError(
            path, f"dates run backwards, from {cells.iloc[back[0]]} to {cells.iloc[back[0] + 1]}",
            field=f"{name}, record {back[0] + 2}",
            remedy="where clocks were put back, give the zone in the table of logs, such as"
            " timezone Europe/Paris; else export records in order",
        )  # fmt: skip


def put_forward(time: np.ndarray, current: np.ndarray) -> list[str]:
    """A sentence on the first interval under current over which a local clock may have gained an
    hour, by times (n,), s, of dates whose zone is not known."""
    interval = np.diff(time)
    usual = np.median(interval)
    found = np.abs(interval - usual - _PUT_FORWARD_S) <= max(1.0, _USUAL_SHARE * usual)
    found = np.flatnonzero(found & (current[:-1] != 0) & (current[1:] != 0))
    if not found.size:
        return []
    first = found[0]
    return [
        f"Between records {first + 1} and {first + 2} an hour more passes than between others, as"
        " where clocks are put forward, and its charge is counted: timezone in the table of logs"
        " tells which."
    ]


def elapsed(
    time: np.ndarray, starts: np.ndarray, absolute: object | None
) -> tuple[np.ndarray, list[str]]:
    """Seconds since the log's time was zero as a wall clock went, (n,), and a sentence on pauses.

    A log's time leaves out pauses. They are in what the file says of each record's absolute time,
    `absolute`, (n,), s, from its first; that counts where the two differ by more than a few
    seconds, and is NaN where the file does not say. Without it,
    what comes after a restart (its first records, `starts`) has no known time: NaN.
    """
    if absolute is None:
        known = time.astype("f8")
        known[starts[0] if starts.size else len(time) :] = np.nan
        return known, []
    absolute = np.asarray(absolute, dtype="f8")
    differ, apart = _differ(time, absolute)
    if not differ.any():
        return np.where(np.isfinite(absolute), time, np.nan), []
    back = np.flatnonzero(np.diff(absolute) < -_BACKWARD_TOLERANCE_S)
    if back.size:
        absolute = absolute.copy()
        absolute[back[0] + 1 :] = np.nan
        return absolute, [
            f"Its absolute times run backwards at record {back[0] + 2}: from there on it is not"
            " known when records were taken."
        ]
    return absolute, [
        f"Its absolute times and its own differ by up to {np.nanmax(np.abs(apart)):.6g} s: it was"
        " paused, or a clock was wrong."
    ]


def until_apart(time: np.ndarray, local: np.ndarray) -> np.ndarray:
    """Time (n,), s, up to where a local clock of the same records differs from it, then NaN.

    A local clock may have been put forward or back there, so it does not say how long a pause was.
    """
    differ, _ = _differ(time, local)
    return np.where(np.maximum.accumulate(differ), np.nan, time)


def _differ(time: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where two clocks that began together differ by more than they drift, and by how much, s."""
    apart = (other - other[:1]) - (time - time[:1])
    return np.abs(apart) > _SAME_CLOCK_S + _DRIFT * (time - time[:1]), apart


def restarts(clock: np.ndarray, path: Path) -> np.ndarray:
    """First records after a restart, (k,): the clock is within one interval of zero, and runs on.

    Raises InputError where single stamps are zero instead.
    """
    change = np.diff(clock)
    back = np.flatnonzero(change < -_BACKWARD_TOLERANCE_S) + 1
    forward = change[change > 0]
    if not forward.size:
        return back[:0]
    ends = np.append(back, len(clock))[1:]
    interval = np.median(forward)
    found = (clock[back] <= interval) & (clock[back] >= 0) & (ends - back > 1)
    for first, end in zip(back[found], ends[found], strict=True):
        _refuse_lost_stamps(clock, first, end, interval, path)
    return back[found]


def _refuse_lost_stamps(
    clock: np.ndarray, first: int, end: int, interval: float, path: Path
) -> None:
    """A clock that is at once where it was, or beyond, did not start again: it lost stamps."""
    later, before = clock[first:end], clock[first - 1]
    on = later[later > later[0] + _BACKWARD_TOLERANCE_S]
    if not on.size or on[0] > before or (on[0] == before and on[0] - later[0] > 2 * interval):
        then = f"at once to {on[0]:.10g} s" if on.size else "stays there"
        raise InputError(
            path, f"the clock goes from {before:.10g} s to {clock[first]:.10g} s and"
            f" {then}, so that it did not start again",
            field=f"time_s, record {first + 1}",
            remedy="export the log again, or delete the records whose stamp was lost",
        )  # fmt: skip


def run_on(clock: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """A clock or counter with what it had reached before each restart added to what comes after."""
    reached = clock.copy()
    for first in starts:
        reached[first:] = clock[first:] + reached[first - 1]
    return reached
