"""Whether two sources agree: differences of intervals, their tests, lines and limits of agreement.

Every estimate comes as (value, low, high) with a 95 % interval that may be lopsided, on the first
axis of an array. Each side of an interval stands for a normal error of its own, and sides add in
squares (Zou and Donner, Stat. Med. 27, 1693, 2008).

Errors that several states share (the mass in one log) do not average out. A source's `loading`,
(cause, state), is the part of each state's standard error that moves with a common cause, as a
correlation with it: its squares sum to 1 where the whole error is shared, and it is 0 where errors
are independent. Causes of one source are independent of those of another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from phasefront.core.statistics import NORMAL_95, Interval, two_sided_p

AGREE = "agree"
DISAGREE = "disagree"
CANNOT_TELL = "cannot tell"

SIGNIFICANCE = 0.05  # the level of 95 % intervals, by convention

# A line's slope means something where the states lie further apart than this many errors; chosen.
_LEAST_RANGE = 4.0
_FEWEST_FOR_LINE = 3  # states; through two a line always goes
# Ions per formula unit; an error of zero would be a weight of infinity.
_LEAST_ERROR = 1e-4


@dataclass(frozen=True)
class Line:
    """A straight line y = intercept + slope x through states with errors on both axes.

    `covariance` is that of (intercept, slope), `chi_squared` the sum of squared distances in units
    of the independent errors, `centre` and `half_range` those of the means of x and y.
    """

    intercept: float
    slope: float
    covariance: np.ndarray
    chi_squared: float
    centre: float
    half_range: float

    def departure(self) -> tuple[np.ndarray, np.ndarray]:
        """How the line leaves 1:1, and the covariance: (y - x at the centre, tilt).

        The tilt is what y - x changes by from the centre to the upper end of the range. As a
        function of the mean m = (x + y) / 2 the line reads y - x = 2 (a + (b - 1) m) / (1 + b),
        which changes nothing but its sign when x and y change places.
        """
        a, b, m = self.intercept, self.slope, self.centre
        found = 2 * np.array([a + (b - 1) * m, (b - 1) * self.half_range]) / (1 + b)
        jacobian = np.array(
            [
                [2 / (1 + b), (4 * m - 2 * a) / (1 + b) ** 2],
                [0.0, 4 * self.half_range / (1 + b) ** 2],
            ]
        )
        return found, jacobian @ self.covariance @ jacobian.T

    def tilt(self) -> Interval:
        """The tilt with its interval, (3,)."""
        found, covariance = self.departure()
        half = NORMAL_95 * np.sqrt(covariance[1, 1])
        return found[1] + np.array([0.0, -half, half])

    def one_to_one_p(self) -> float:
        """p of a line as far from 1:1 by chance (Wald's test, two degrees of freedom)."""
        found, covariance = self.departure()
        return float(special.chdtrc(2, found @ np.linalg.solve(covariance, found)))


def difference(first: Interval, second: Interval) -> Interval:
    """First minus second, (3, ...), with the interval that the two intervals imply."""
    value = first[0] - second[0]
    below = np.hypot(first[0] - first[1], second[2] - second[0])
    above = np.hypot(first[2] - first[0], second[0] - second[1])
    return np.stack([value, value - below, value + above])


def mean_of_states(values: Interval, loading: np.ndarray) -> Interval:
    """Mean over states, each counted once, (3,), of values (3, state).

    The squared distance from the mean to an end of its interval is that of a mean of errors with
    the given correlations: independent parts add in squares, shared ones as they are.
    """
    independent = 1 - np.sum(loading**2, axis=0)
    value, count = values[0].mean(), values.shape[1]
    below, above = (
        np.sqrt(independent @ side**2 + np.sum((loading @ side) ** 2)) / count
        for side in (values[0] - values[1], values[2] - values[0])
    )
    return np.array([value, value - below, value + above])


def z_and_equivalence(apart: Interval, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """z-scores and equivalence p of differences (3, ...).

    The z-score is the difference over its standard error on the side towards zero. The
    equivalence p is the larger p of two one-sided normal tests that the difference lies beyond
    -margin or margin (Schuirmann, J. Pharmacokinet. Biopharm. 15, 657, 1987).
    """
    value, low, high = apart
    below, above = (value - low) / NORMAL_95, (high - value) / NORMAL_95
    z = _in_errors(value, np.where(value > 0, below, above))
    beyond_low = special.ndtr(-_in_errors(value + margin, below))
    beyond_high = special.ndtr(-_in_errors(margin - value, above))
    return z, np.maximum(beyond_low, beyond_high)


def material_p(apart: Interval, z: np.ndarray, margin: float) -> np.ndarray:
    """Two-sided p of no difference; 1 where what was found is within the margin anyway."""
    p = two_sided_p(z)
    return np.where(np.abs(apart[0]) <= margin, 1.0, p)


def holm(p: np.ndarray) -> np.ndarray:
    """p-values adjusted for their number, along the last axis; NaN are no tests.

    Holm's step-down method keeps the chance of any false rejection at the level of the test,
    however the tests depend on each other (Holm, Scand. J. Stat. 6, 65, 1979).
    """
    adjusted = np.full(p.shape, np.nan)
    for at in np.ndindex(p.shape[:-1]):
        known = np.flatnonzero(np.isfinite(p[at]))
        order = known[np.argsort(p[at][known])]
        # statsmodels' multipletests does the same, and collects garbage for 0.1 s at each call.
        stepped = p[at][order] * np.arange(len(order), 0, -1)
        adjusted[at][order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted


def verdict(disagreement_p: np.ndarray, equivalence_p: np.ndarray) -> np.ndarray:
    """`disagree`, `agree` or `cannot tell` for p-values of `material_p` and of equivalence."""
    words = np.where(equivalence_p < SIGNIFICANCE, AGREE, CANNOT_TELL)
    return np.where(disagreement_p < SIGNIFICANCE, DISAGREE, words)


def fit_line(x: Interval, y: Interval, x_loading: np.ndarray, y_loading: np.ndarray) -> Line | None:
    """Total least squares: the line through states (3, n) with errors on both axes.

    Weights are the independent parts of the errors (Boggs and Rogers, Contemp. Math. 112, 183,
    1990; the line is that of York et al., Am. J. Phys. 72, 367, 2004). The covariance is that of
    the fit, times chi squared over its degrees of freedom where this exceeds 1, and what each
    shared cause does to the line: the fit is repeated with all states moved by one standard error
    of that cause. A lopsided interval counts with the root mean square of its sides.

    None for fewer than three states, or where they lie too close to tell a slope.
    """
    x_error, y_error = _standard_error(x), _standard_error(y)
    count = x.shape[1]
    reach = _LEAST_RANGE * np.sqrt(np.mean(x_error**2 + y_error**2)) if count else np.inf
    if count < _FEWEST_FOR_LINE or min(np.ptp(x[0]), np.ptp(y[0])) <= reach:
        return None
    weights = [
        1 / np.maximum(error * np.sqrt(np.clip(1 - np.sum(loading**2, axis=0), 0, None)),
                       _LEAST_ERROR) ** 2
        for error, loading in ((x_error, x_loading), (y_error, y_loading))
    ]  # fmt: skip
    fit = total_least_squares(x[0], y[0], *weights)
    # York's covariance: ODRPACK's own is zero where the states lie on the line.
    design = np.stack([np.ones(count), fit.xplusd])
    effective = 1 / (1 / weights[1] + fit.beta[1] ** 2 / weights[0])
    covariance = np.linalg.inv(effective * design @ design.T)
    covariance *= max(1.0, fit.sum_square / (count - 2))
    moved = [(x[0] + shift, y[0]) for shift in x_loading * x_error]
    moved += [(x[0], y[0] + shift) for shift in y_loading * y_error]
    for x_moved, y_moved in moved:
        change = total_least_squares(x_moved, y_moved, *weights).beta - fit.beta
        covariance = covariance + np.outer(change, change)
    mean = (x[0] + y[0]) / 2
    return Line(
        *map(float, fit.beta),
        covariance=covariance,
        chi_squared=float(fit.sum_square),
        centre=float(mean.mean()),
        half_range=float(np.ptp(mean) / 2),
    )


def total_least_squares(x: np.ndarray, y: np.ndarray, x_weight: np.ndarray, y_weight: np.ndarray):
    """ODRPACK's result for a straight line; weights are 1 / variance, `beta` intercept, slope."""
    from odrpack import odr_fit

    ordinary = np.polyfit(x, y, 1, w=np.sqrt(y_weight))[::-1]
    return odr_fit(
        lambda x, beta: beta[0] + beta[1] * x,
        x,
        y,
        ordinary,
        weight_x=x_weight,
        weight_y=y_weight,
        jac_beta=lambda x, beta: np.stack([np.ones_like(x), x])[None],
        jac_x=lambda x, beta: np.full((1, 1, x.size), beta[1]),
        sstol=1e-14,
        partol=1e-12,
        maxit=200,
    )


def limits_of_agreement(differences: np.ndarray) -> np.ndarray:
    """Lower and upper limit that 95 % of states' differences keep, with intervals, (3, 2).

    Mean -+ 1.96 s of the differences found (Bland and Altman, Stat. Methods Med. Res. 8, 135,
    1999) with exact 95 % intervals from the noncentral t distribution (Carkeet, Optom. Vis. Sci.
    92, e71, 2015). NaN for fewer than three states.
    """
    count = len(differences)
    if count < _FEWEST_FOR_LINE:
        return np.full((3, 2), np.nan)
    mean, deviation = differences.mean(), differences.std(ddof=1)
    ends = special.nctdtrit(count - 1, NORMAL_95 * np.sqrt(count), np.array([0.025, 0.975]))
    near, far = ends / np.sqrt(count)
    lower, upper = mean - NORMAL_95 * deviation, mean + NORMAL_95 * deviation
    return np.array(
        [
            [lower, upper],
            [mean - far * deviation, mean + near * deviation],
            [mean - near * deviation, mean + far * deviation],
        ]
    )


def _standard_error(values: Interval) -> np.ndarray:
    below, above = values[0] - values[1], values[2] - values[0]
    return np.sqrt((below**2 + above**2) / 2) / NORMAL_95


def _in_errors(distance: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Distance over standard error; an exact value is infinitely far from all but itself."""
    distance, error = np.asarray(distance, dtype="f8"), np.asarray(error, dtype="f8")
    exact = np.where(distance == 0, 0.0, np.copysign(np.inf, distance))
    exact = np.where(np.isnan(distance), np.nan, exact)
    with np.errstate(over="ignore"):
        return np.divide(distance, error, out=exact, where=~(error == 0))
