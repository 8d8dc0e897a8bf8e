"""The straight line between two maps, with errors on both and the error of laying one on the
other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from phasefront.core.statistics import Interval
from phasefront.correlation.autocorrelation import effective_number, fit_covariance

# Share of the predictor's variance that must be left once its errors are taken off; less is a
# slope divided by nothing. Chosen.
_LEAST_TRUE = 0.1


@dataclass(frozen=True)
class Line:
    """response = intercept + slope predictor, the slope's variance from residuals, and how many
    independent residuals that rests on."""

    slope: float
    intercept: float
    variance: float
    effective_number: float


def fit_line(
    predictor: np.ndarray, response: np.ndarray, predictor_stderr: np.ndarray,
    response_stderr: np.ndarray | None = None,
) -> Line | None:  # fmt: skip
    """The line through values (row, column; NaN not known) whose errors are independent.

    The moments estimator of errors in variables: the covariance over the predictor's variance less
    its mean squared error (Fuller, Measurement Error Models, 1987, 1.2). The variance is that of
    the mean of its influence function over as many points as count for a correlation of predictor
    and residual, whose neighbours may be alike. How alike is told of residuals over their standard
    errors: where a map is noisier at its thin edges, points far apart differ by more than near ones
    do, which is no likeness of neighbours. None where errors explain nearly all of the predictor's
    variance.
    """
    known = np.isfinite(predictor) & np.isfinite(response)
    x, y = predictor[known], response[known]
    found = moments(x, y, predictor_stderr[known])
    if found is None:
        return None
    slope, true = found
    noise = predictor_stderr[known] ** 2
    intercept = float(y.mean() - slope * x.mean())
    residual = np.where(known, response - intercept - slope * predictor, np.nan)
    influence = (x - x.mean()) * residual[known] + slope * noise
    stated = (slope * predictor_stderr) ** 2
    if response_stderr is not None:
        stated = stated + response_stderr**2
    # What is left beyond the stated errors is taken for the same everywhere.
    beyond = max(float((residual[known] ** 2 - stated[known]).mean()), 1e-300)
    number = effective_number(
        known, fit_covariance(np.where(known, predictor, np.nan)),
        fit_covariance(residual / np.sqrt(np.where(known, stated + beyond, 1.0))),
    )  # fmt: skip
    return Line(slope, intercept, float(influence.var() / number / true**2), number)


def moments(x: np.ndarray, y: np.ndarray, x_stderr: np.ndarray) -> tuple[float, float] | None:
    """Slope of y against x (n,), and the variance that x has beyond its errors; None where these
    explain nearly all of it."""
    variance = x.var() if len(x) > 3 else 0.0
    true = variance - (x_stderr**2).mean() if variance > 0 else 0.0
    if true <= _LEAST_TRUE * variance:
        return None
    return float(((x - x.mean()) * (y - y.mean())).mean() / true), float(true)


def with_registration(best: Line, drawn: np.ndarray) -> tuple[Interval, float]:
    """The slope with its 95 % interval, and what misregistration took off it.

    Parameters
    ----------
    best
        The line under the likeliest placement.
    drawn
        Slopes (n,) under draws of the placement.

    The likeliest placement is off the true one by as much as draws are off it, and so draws are off
    the true one by twice that, squared: what draws lose to the likeliest one is what that one has
    lost to the truth (one step of SIMEX, Cook and Stefanski, J. Am. Stat. Assoc. 89, 1314, 1994).
    The slope's t has as many degrees of freedom as there are independent residuals, less two.
    """
    lost = best.slope - float(np.mean(drawn))
    slope = best.slope + lost
    error = np.sqrt(best.variance + float(np.var(drawn)))
    half = special.stdtrit(max(best.effective_number - 2, 1.0), 0.975) * error
    return np.array([slope, slope - half, slope + half]), lost


def between_regressions(
    predictor: np.ndarray, response: np.ndarray, drawn: np.ndarray, correlations: np.ndarray
) -> tuple[Interval, float, float] | None:
    """The slope of maps (row, column; NaN not known) whose predictor's errors nobody states.

    It lies between the line of the response on the predictor, which holds if all errors are the
    response's, and that of the predictor on the response, if all are the predictor's (Frisch,
    1934). The value is their geometric mean, the ends are the outer ones of both intervals.

    Parameters
    ----------
    drawn, correlations
        Slopes (n,) of the first line, and correlations, under draws of the placement.

    Returns slope, what misregistration takes off the first line, and the smaller effective number;
    None where the second line may have any slope.
    """
    none = np.zeros(predictor.shape)
    direct, reverse = fit_line(predictor, response, none), fit_line(response, predictor, none)
    if direct is None or reverse is None:
        return None
    first, lost = with_registration(direct, drawn)
    turned = with_registration(reverse, correlations**2 / drawn)[0]
    if turned[1] <= 0 <= turned[2]:
        return None
    second = np.sort(1 / turned[1:])
    value = np.sign(first[0]) * np.sqrt(abs(first[0] / turned[0]))
    ends = [value, min(first[1], second[0]), max(first[2], second[1])]
    return np.array(ends), lost, min(direct.effective_number, reverse.effective_number)
