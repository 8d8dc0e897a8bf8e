"""How one map follows another: correlation, what thickness explains of it, and slope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from phasefront.core.statistics import NORMAL_95, Interval
from phasefront.correlation.autocorrelation import (
    effective_mean,
    effective_number,
    fit_covariance,
    surrogates,
)
from phasefront.correlation.common_grid import OnGrid
from phasefront.correlation.slopes import (
    between_regressions,
    fit_line,
    moments,
    with_registration,
)
from phasefront.correlation.turned import turned

SURROGATES = 199  # of each kind: chances to 1/200; chosen
_FEWEST = 12  # points that are compared by themselves; chosen


class Both(NamedTuple):
    """What is to explain and what is to be explained, on one grid under one placement."""

    predictor: OnGrid
    response: OnGrid


@dataclass(frozen=True)
class Follows:
    """How a response follows a predictor over some points.

    `points` is how many there are, `effective` how many count for the correlation. Intervals are
    values with their 95 % ends. `chance` is that unrelated maps correlate as well: Gaussian ones as
    smooth as these, or the same grains turned, mirrored and moved, whichever do so more often.
    `partial` is the correlation given thickness. `lost` is what
    misregistration took off the slope, which is put back. `difference` is response - predictor on
    average. NaN where something cannot be known.
    """

    points: int
    effective: float
    correlation: Interval
    chance: float
    partial: float
    partial_chance: float
    slope: Interval
    slope_effective: float
    lost: float
    difference: Interval


def nothing(points: int) -> Follows:
    """What so few points tell."""
    none = np.full(3, np.nan)
    return Follows(points, np.nan, none, np.nan, np.nan, np.nan, none, np.nan, np.nan, none)


def compare(
    best: Both, drawn: Sequence[Both], thickness: np.ndarray, grain: np.ndarray,
    where: np.ndarray, rng: np.random.Generator,
) -> Follows:  # fmt: skip
    """How the response follows the predictor at the points `where` (row, column).

    Parameters
    ----------
    best, drawn
        Both maps under the likeliest placement, and under equally likely ones. Where the predictor
        states no errors at all (NaN), the slope is bounded by what they could be.
    thickness
        (row, column), which both maps may merely have in common.
    grain
        Numbers (row, column) of grains, each of which may be turned by itself.
    """
    known = where & np.isfinite(best.predictor.value) & np.isfinite(best.response.value)
    known &= np.isfinite(thickness)
    if known.sum() < _FEWEST:
        return nothing(int(known.sum()))
    x, y = (np.where(known, one.value, np.nan) for one in best)
    effective = effective_number(known, fit_covariance(x), fit_covariance(y))
    correlation = _correlation(x[known], y[known])
    residues = [_without(one, known, thickness) for one in (x, y)]
    others = [_numbers(one, known) for one in drawn]
    correlations, slopes = np.array([one for one in others if one is not None]).reshape(-1, 2).T
    slope, lost, number = _slope(best, x, y, slopes, correlations)
    return Follows(
        int(known.sum()), effective, _fisher(correlation, effective, correlations),
        _chance(x, y, grain, rng),
        _correlation(residues[0][known], residues[1][known]), _chance(*residues, grain, rng),
        slope, number, lost, _mean(y - x, known),
    )  # fmt: skip


def _slope(
    best: Both, x: np.ndarray, y: np.ndarray, slopes: np.ndarray, correlations: np.ndarray
) -> tuple[Interval, float, float]:
    """Slope, what misregistration took off it, and how many points count; NaN where not known."""
    usable = np.isfinite(slopes)
    unknown = np.full(3, np.nan), np.nan, np.nan
    if usable.sum() < 2:
        return unknown
    if np.isnan(best.predictor.stderr).all():
        found = between_regressions(x, y, slopes[usable], correlations[usable])
        return unknown if found is None else found
    line = fit_line(x, y, best.predictor.stderr, best.response.stderr)
    if line is None:
        return unknown
    return *with_registration(line, slopes[usable]), line.effective_number


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    a, b = one - one.mean(), other - other.mean()
    return float((a * b).sum() / np.sqrt(max((a**2).sum() * (b**2).sum(), 1e-300)))


def _numbers(both: Both, known: np.ndarray) -> tuple[float, float] | None:
    """Correlation and slope under one draw; None where too few points are left."""
    known = known & np.isfinite(both.predictor.value) & np.isfinite(both.response.value)
    if known.sum() < _FEWEST:
        return None
    x, y = (one.value[known] for one in both)
    found = moments(x, y, np.nan_to_num(both.predictor.stderr[known]))
    return _correlation(x, y), np.nan if found is None else found[0]


def _fisher(correlation: float, effective: float, drawn: np.ndarray) -> Interval:
    """A correlation with its 95 % interval by Fisher's z, widened by what draws differ by."""
    edge = 1 - 1e-9
    z = np.arctanh(np.clip(correlation, -edge, edge))
    spread = np.arctanh(np.clip(drawn, -edge, edge)).var() if len(drawn) else 0.0
    half = NORMAL_95 * np.sqrt(1 / max(effective - 3, 0.5) + spread)
    return np.array([correlation, np.tanh(z - half), np.tanh(z + half)])


def _without(values: np.ndarray, known: np.ndarray, other: np.ndarray) -> np.ndarray:
    """What a straight line in `other` does not explain of `values`; NaN where not known."""
    x, y = other[known] - other[known].mean(), values[known] - values[known].mean()
    found = np.full(values.shape, np.nan)
    found[known] = y - (x * y).sum() / max((x**2).sum(), 1e-300) * x
    return found


def _chance(
    one: np.ndarray, other: np.ndarray, grain: np.ndarray, rng: np.random.Generator
) -> float:
    """That maps related to nothing correlate as well as these (row, column; NaN not known): the
    largest of four chances, of maps in the place of either, Gaussian ones or its own grains
    turned."""
    known = np.isfinite(one)
    found = abs(_correlation(one[known], other[known]))
    chances = []
    for kept, replaced in ((one, other), (other, one)):
        values = kept[known] - kept[known].mean()
        for made in (
            surrogates(known, fit_covariance(replaced), SURROGATES, rng),
            turned(replaced, grain, SURROGATES, rng),
        ):
            points = made[:, known] - made[:, known].mean(axis=1, keepdims=True)
            product = (points * values).sum(axis=1)
            norm = np.sqrt((points**2).sum(axis=1) * (values**2).sum())
            product /= np.maximum(norm, 1e-300)
            chances.append((1 + (np.abs(product) >= found).sum()) / (1 + SURROGATES))
    return float(max(chances))


def _mean(values: np.ndarray, known: np.ndarray) -> Interval:
    number = effective_mean(known, fit_covariance(values))
    half = NORMAL_95 * values[known].std() / np.sqrt(max(number - 1, 0.5))
    return values[known].mean() + np.array([0.0, -half, half])
