"""Means over a few particles, which are a sample of the electrode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phasefront.core.statistics import Interval

# Particles that show their own spread; of two, the 95 % interval is 13 times as wide as their s.e.
FEWEST = 3


def too_few(count: int, noun: str) -> str:
    """Why so many say nothing of an electrode; empty where they do, or there are none."""
    if not 0 < count < FEWEST:
        return ""
    return (
        f"{count} {noun}{'s' * (count > 1)}, where {FEWEST} are needed to tell how particles differ"
    )


def mean_of_sample(
    means: Sequence[float], variances: Sequence[float], *, shared_stderr: float = 0.0
) -> Interval:
    """Mean (3,) with its 95 % interval of what particles are a sample of.

    The variance between them is fitted beside the errors of each (Paule and Mandel, J. Res. NBS 87,
    377, 1982), and the interval is Student's (Hartung and Knapp, Stat. Med. 20, 3875, 2001), though
    never narrower than without their factor. What all of them are off by together, with a standard
    error of `shared_stderr`, is added to that.
    """
    from scipy import stats
    from statsmodels.stats.meta_analysis import combine_effects

    with np.errstate(divide="ignore"):  # of I squared where all are the same; it is not used
        found = combine_effects(np.array(means), np.array(variances), method_re="iterated")
    error = max(found.sd_eff_w_re, found.sd_eff_w_re_hksj)
    half = stats.t.ppf(0.975, len(means) - 1) * np.hypot(error, shared_stderr)
    return found.mean_effect_re + np.array([0.0, -half, half])
