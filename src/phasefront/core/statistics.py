"""Intervals of 95 % and their normal quantile."""

from __future__ import annotations

import numpy as np
from scipy import special

# Of scipy.special, for every job needs it: scipy.stats takes 0.4 s to import.
NORMAL_95 = special.ndtri(0.975)

# Value and ends of the 95 % interval, stacked on the first axis.
Interval = np.ndarray
