"""What a ratio was before the beam changed it, from repeats of the same positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize

from phasefront.core.errors import InputError


class ZeroDose(NamedTuple):
    """Values at no dose (y, x), standard errors by noise and what the decay's error adds, and the
    dose after which 1/e is left, with its standard error; infinite where nothing is lost."""

    value: np.ndarray
    standard_error: np.ndarray
    decay_error: np.ndarray
    decay_dose: float
    decay_dose_stderr: float


def middle_doses(doses: Sequence[float]) -> np.ndarray:
    """Dose at the middle of each of some scans in a row, from what each of them gives."""
    doses = np.asarray(doses, dtype=float)
    return np.cumsum(doses) - doses / 2


def to_zero_dose(
    values: np.ndarray, errors: np.ndarray, doses: np.ndarray, source: str
) -> ZeroDose:
    """Extrapolate repeats (scan, y, x), with standard errors, to no dose.

    An element that leaves under the beam is lost by the same share for each dose, as exp(-k dose)
    (Egerton, Li and Malac, Micron 35, 399, 2004), with one k for the map. It is fitted to the means
    of each scan over the positions that all of them tell, then each position's value to its own.

    Parameters
    ----------
    doses
        Of each scan, at its middle.

    Raises InputError for fewer than two doses, or no position that all scans tell.
    """
    doses = np.asarray(doses, dtype=float)
    if len(np.unique(doses)) < 2:
        raise InputError(
            source, "its repeats are of one dose", field="electrons_per_nm2",
            remedy="give the electrons of each scan in the table of stacks",
        )  # fmt: skip
    told = np.isfinite(values).all(axis=0)
    if not told.any():
        raise InputError(
            source, "no position is told by all its repeats", field="repeat_of",
            remedy="leave the repeats out, or bin positions",
        )  # fmt: skip
    mean = values[:, told].mean(axis=1)
    error = np.sqrt((errors[:, told] ** 2).mean(axis=1) / told.sum())
    unit = float(np.ptp(doses))

    def left(parameters: np.ndarray) -> np.ndarray:
        start, rate = parameters
        return (start * np.exp(-rate * doses / unit) - mean) / error

    found = optimize.least_squares(left, (mean[0], 0.1), x_scale=(abs(mean[0]) or 1.0, 0.1))
    rate = float(found.x[1])
    covariance = np.linalg.inv(found.jac.T @ found.jac)
    # With more than two doses the misfit counts, too: the loss may be no exponential.
    if len(doses) > 2:
        covariance = covariance * max(1.0, 2 * found.cost / (len(doses) - 2))
    rate_error = float(np.sqrt(covariance[1, 1]))
    value, stderr = _starts(values, errors, doses / unit, rate)
    above, below = (
        _starts(values, errors, doses / unit, rate + sign * rate_error)[0] for sign in (1, -1)
    )
    with np.errstate(divide="ignore"):
        decay = float(np.divide(unit, rate)) if rate > 0 else np.inf
        decay_error = float(unit * rate_error / rate**2) if rate > 0 else np.inf
    return ZeroDose(value, stderr, np.abs(above - below) / 2, decay, decay_error)


def _starts(
    values: np.ndarray, errors: np.ndarray, doses: np.ndarray, rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Value at no dose of each position, from the scans that tell it, and its standard error."""
    known = np.isfinite(values) & (errors > 0)
    left = np.exp(-rate * doses)[:, None, None]
    weight = np.where(known, 1 / np.where(known, errors, 1.0) ** 2, 0.0)
    total = (weight * left**2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        start = (weight * left * np.where(known, values, 0.0)).sum(axis=0) / total
        return np.where(total > 0, start, np.nan), np.where(total > 0, total**-0.5, np.nan)
