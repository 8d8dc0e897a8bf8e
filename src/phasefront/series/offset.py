"""Whether the clocks of scans and log go together: grains stand still while no current flows.

Only pulses and rests tell: under a steady current a wrong offset and a late reaction look alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from phasefront.core.statistics import Interval

# Offsets are tried in steps of this part of the time from scan to scan, to so many of these.
_STEP, _REACH = 0.05, 3.0
# And to more than an hour, which a summer time forgotten makes.
_HOUR_S = 4000.0
# Share of what a grain converts that goes without charge.
_ASTRAY = 0.03
# A grain converts in the gaps with more than this share of all that it converts.
_ACTIVE = 0.02
# Logarithm of the likelihood below the best at which an offset is no longer in the 95 % interval
# (half the quantile of chi squared with one degree of freedom), and the least by which others must
# be worse.
_BELOW = 1.92
# An interval wider than so many scans says nothing.
_WIDE = 4.0


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
    moved: np.ndarray, time: np.ndarray, log_time: np.ndarray, log_charge: np.ndarray
) -> Offset:
    """Compare when grains convert with when charge flows.

    Parameters
    ----------
    moved
        (gap, grain) share of each grain that converts between scans, found without the current.
    time
        (scan, grain) s on the log's time, with the declared offset, at which each scan saw it.
    log_time, log_charge
        (record,) s and mA h.

    Each grain converts at its own pace while it does, so of what it converts the charge of each gap
    has its share; gaps in which it converts count once each, since positions of a front go
    together.
    """
    spacing = float(np.median(np.diff(time.mean(axis=1))))
    reach = max(_REACH * spacing, _HOUR_S)
    # No scan is placed where the log has no records.
    first = max(-reach, log_time[0] - np.nanmin(time))
    last = min(reach, log_time[-1] - np.nanmax(time))
    tried = np.arange(first, last, _STEP * spacing)
    if len(tried) < 2:
        return _NOT_TOLD
    log_likelihood = np.zeros(len(tried))
    moved = np.maximum(moved, 0.0)
    told = 0
    for grain in range(moved.shape[1]):
        share = moved[:, grain]
        active = np.flatnonzero(share > _ACTIVE)
        # The first and the last gap hold a part of a conversion only, of any size.
        inner = np.arange(active[0] + 1, active[-1]) if active.size else active
        if len(inner) < 2 or not share[inner].any():
            continue
        told += 1
        at = time[inner[0] : inner[-1] + 2, grain] + tried[:, None]
        passed = np.abs(np.diff(np.interp(at, log_time, log_charge), axis=1))
        total = passed.sum(axis=1, keepdims=True)
        even = np.full_like(passed, 1.0 / len(inner))
        expected = np.divide(passed, total, out=even.copy(), where=total > 0)
        expected = (1 - _ASTRAY) * expected + _ASTRAY * even
        log_likelihood += len(inner) * (np.log(expected) @ (share[inner] / share[inner].sum()))
    return _judged(tried, log_likelihood, told, spacing)


def _judged(tried: np.ndarray, log_likelihood: np.ndarray, grains: int, spacing: float) -> Offset:
    inside = tried[log_likelihood > log_likelihood.max() - _BELOW]
    width = np.ptp(inside)
    if not grains or width > _WIDE * spacing or np.ptp(log_likelihood) < _BELOW:
        return _NOT_TOLD
    best = float(np.mean(tried[log_likelihood > log_likelihood.max() - 0.5]))
    found = np.array([best, inside.min(), inside.max()])
    agrees = found[1] <= 0 <= found[2]
    return Offset(
        found,
        f"{grains} grains convert while current flows if {best:.4g} s ({found[1]:.4g} to"
        f" {found[2]:.4g}) are added to the declared offset, which"
        f" {'agrees with it' if agrees else 'does not agree with it'}; a reaction that lags behind"
        " the current would look the same",
    )
