"""What the grains of a series do together: how many are caught, in which order, with the charge."""

from __future__ import annotations

import numpy as np
from scipy import stats

from phasefront.core.statistics import Interval

# A grain is caught between these shares converted.
CAUGHT = (0.05, 0.95)
# Draws of grains with replacement: ends of intervals are known to a percent.
_DRAWS = 500
# Lags that are tried, in parts of the series.
_LAGS = np.linspace(0.0, 0.5, 101)
# Fewer grains that convert have no order to speak of.
_FEWEST = 3


def caught_share(converted: np.ndarray) -> np.ndarray:
    """Share of grains between both phases at each scan with its interval, (3, scan).

    `converted` is the share (scan, grain) of each grain that has converted. The interval is that of
    a binomial proportion (Brown, Cai and DasGupta, Stat. Sci. 16, 101, 2001: Jeffreys').
    """
    caught = (converted > CAUGHT[0]) & (converted < CAUGHT[1])
    number, grains = caught.sum(axis=1), caught.shape[1]
    low = stats.beta.ppf(0.025, number + 0.5, grains - number + 0.5)
    high = stats.beta.ppf(0.975, number + 0.5, grains - number + 0.5)
    low, high = np.where(number == 0, 0.0, low), np.where(number == grains, 1.0, high)
    return np.stack([number / grains, low, high])


def converted_share(converted: np.ndarray, size: np.ndarray, *, seed: int) -> np.ndarray:
    """Share of the grains' area that has converted, (3, scan); grains are drawn with replacement.

    `converted` is (scan, grain), `size` the number of positions of each grain.
    """
    drawn = _drawn(len(size), seed)
    whole = converted @ size / size.sum()
    each = np.stack([converted[:, one] @ size[one] / size[one].sum() for one in drawn])
    return np.stack([whole, *np.quantile(each, [0.025, 0.975], axis=0)])


def overlap(begin: np.ndarray, end: np.ndarray) -> Interval:
    """0 where grains convert one by one, 1 where all convert over the same time.

    From the times (grain,) at which each begins and ends: the mean number of grains that convert at
    a time while any does, less one, over the number of grains less one. The interval is the
    jackknife's, (3,); NaN for fewer than three grains.
    """
    known = np.isfinite(begin) & np.isfinite(end) & (end >= begin)
    begin, end = begin[known], end[known]
    if len(begin) < _FEWEST:
        return np.full(3, np.nan)
    whole = _overlap(begin, end)
    without = [_overlap(np.delete(begin, one), np.delete(end, one)) for one in range(len(begin))]
    error = np.sqrt((len(begin) - 1) * np.var(without))
    quantile = stats.t.ppf(0.975, len(begin) - 1)
    ends = np.clip(whole + quantile * error * np.array([-1.0, 1.0]), 0.0, 1.0)
    return np.array([whole, *ends])


def _overlap(begin: np.ndarray, end: np.ndarray) -> float:
    order = np.argsort(begin, kind="stable")
    reached = np.maximum.accumulate(end[order])
    gaps = np.maximum(begin[order][1:] - reached[:-1], 0.0).sum()
    any_of_them = reached[-1] - begin.min() - gaps
    if any_of_them <= 0:
        return 1.0
    return float(((end - begin).sum() / any_of_them - 1.0) / (len(begin) - 1))


def order_sentence(found: Interval) -> str:
    """What the overlap of a series says of its population."""
    value, low, high = found
    if not np.isfinite(value):
        return "too few grains convert for an order"
    told = f"overlap {value:.2f} ({low:.2f} to {high:.2f})"
    if high < 0.5:
        return f"grains convert one by one: {told}"
    if low > 0.5:
        return f"grains convert side by side: {told}"
    return f"whether grains convert one by one or side by side cannot be told: {told}"


def balance(
    converted: np.ndarray, size: np.ndarray, time: np.ndarray, log_time: np.ndarray,
    log_charge: np.ndarray, *, seed: int,
) -> tuple[Interval, Interval]:  # fmt: skip
    """Slope of the share converted over the charge passed in the series, and its lag in seconds.

    Least squares of the area that has converted on the charge that had passed a lag before;
    charge is of the whole electrode, so that the slope is free and only its constancy says
    something. Grains are drawn with replacement.

    Parameters
    ----------
    converted, size
        (scan, grain) share converted of each grain, (grain,) its positions.
    time
        (scan,) s, mean time of each scan.
    log_time, log_charge
        (record,) s and mA h of the log.
    """
    span = float(np.ptp(time))
    passed = np.interp(time[None] - _LAGS[:, None] * span, log_time, log_charge)
    whole = np.ptp(np.interp(time, log_time, log_charge))
    if not (span > 0 and whole > 0):
        return np.full(3, np.nan), np.full(3, np.nan)
    about = (passed - passed.mean(axis=1, keepdims=True)) / whole
    power = (about**2).sum(axis=1)
    found = []
    for one in [np.arange(len(size)), *_drawn(len(size), seed)]:
        area = converted[:, one] @ size[one] / size[one].sum()
        area = area - area.mean()
        slope = np.divide(about @ area, power, out=np.zeros_like(power), where=power > 1e-12)
        left = ((area - slope[:, None] * about) ** 2).sum(axis=1)
        best = int(left.argmin())
        found.append((slope[best], _LAGS[best] * span))
    found = np.array(found)
    ends = np.quantile(found[1:], [0.025, 0.975], axis=0)
    slope, lag = np.concatenate([found[:1], ends]).T
    return slope, lag


def _drawn(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, count, (_DRAWS, count))
