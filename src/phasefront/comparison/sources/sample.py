"""Means over a few particles or grains, which are a sample of the electrode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phasefront.core.statistics import NORMAL_95, Interval

# Particles that show their own spread; of two, the 95 % interval is 13 times as wide as their s.e.
FEWEST = 3


def too_few(count: int, noun: str) -> str:
    """Why so many say nothing of an electrode; empty where they do, or there are none."""
    if not 0 < count < FEWEST:
        return ""
    return f"{count} {noun}{'s' * (count > 1)}, where {FEWEST} are needed to tell how they differ"


def mean_of_sample(means: Sequence[float], variances: Sequence[float]) -> Interval:
    """Mean (3,) with its 95 % interval of what particles are a sample of.

    The variance between them is fitted beside the errors of each (Paule and Mandel, J. Res. NBS 87,
    377, 1982), and the interval is Student's (Hartung and Knapp, Stat. Med. 20, 3875, 2001), though
    never narrower than without their factor.
    """
    from scipy import stats

    found = _together(means, variances)
    error = max(found.sd_eff_w_re, found.sd_eff_w_re_hksj)
    half = stats.t.ppf(0.975, len(means) - 1) * error
    return found.mean_effect_re + np.array([0.0, -half, half])


def spread(means: Sequence[float], variances: Sequence[float]) -> float:
    """Standard deviation between units beyond the errors of each, as `mean_of_sample` fits it."""
    return float(np.sqrt(_together(means, variances).tau2))


def weighted_mean(
    value: np.ndarray, variance: np.ndarray, amount: np.ndarray, group: np.ndarray | None = None,
    *, shared_stderr: float = 0.0,
) -> Interval:  # fmt: skip
    """Mean (3,) over amounts with its 95 % interval of what units (unit,) are a sample of.

    Parameters
    ----------
    value, variance
        Of each unit, and by its own noise.
    amount
        By which it weighs, for an electrode holds ions by how much there is of each.
    group
        Number (unit,) of what several units are of, such as an agglomerate. Units of one may be
        alike, so that groups are looked at as units, too, and the wider interval counts. None where
        nobody can tell how groups differ.
    shared_stderr
        Standard error by which all are off together, which no number of units makes smaller.
    """
    share = amount / amount.sum()
    mean = float(share @ value)
    half = _half(value, share, variance)
    if group is not None:
        of_group = np.bincount(group, share)
        means = np.bincount(group, share * value) / of_group
        noise = np.bincount(group, share**2 * variance) / of_group**2
        half = max(half, _half(means, of_group, noise))
    return mean + np.hypot(half, NORMAL_95 * shared_stderr) * np.array([0.0, -1.0, 1.0])


def _together(means: Sequence[float], variances: Sequence[float]):
    from statsmodels.stats.meta_analysis import combine_effects

    with np.errstate(divide="ignore"):  # of I squared where all are the same; it is not used
        return combine_effects(np.array(means), np.array(variances), method_re="iterated")


def _half(value: np.ndarray, share: np.ndarray, variance: np.ndarray) -> float:
    """Half of the interval of a mean with weights, from how units scatter about it.

    Residuals are put back what the mean takes of them, and Student's degrees of freedom are those
    of Satterthwaite for the sum of their squares (Bell and McCaffrey, Surv. Methodol. 28, 169,
    2002): n - 1 for equal weights, fewer where some weigh most. Never less than noise alone makes.
    """
    from scipy import stats

    left = np.eye(len(share)) - share  # what units' values leave about their mean
    scale = share / np.sqrt((left**2).sum(axis=1))
    spread = scale[:, None] * left
    found = np.linalg.svd(spread, compute_uv=False) ** 2
    freedom = found.sum() ** 2 / (found**2).sum()
    scatter = stats.t.ppf(0.975, freedom) * np.sqrt(((spread @ value) ** 2).sum())
    return float(max(scatter, NORMAL_95 * np.sqrt(share**2 @ variance)))
