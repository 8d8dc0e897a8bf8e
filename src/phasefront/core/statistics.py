"""Intervals of 95 % and their normal quantile."""

from __future__ import annotations

import numpy as np
from scipy import stats

NORMAL_95 = stats.norm.ppf(0.975)

# Value and ends of the 95 % interval, stacked on the first axis.
Interval = np.ndarray
