"""Mixtures of Student's distributions: what is known where the size of an error is not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special
from scipy.optimize import brentq


@dataclass(frozen=True, eq=False)
class Mixture:
    """Vectors (k, m) with the scale matrices (k, m, m) of Student's distributions of `freedom`
    degrees of freedom (above 2), and the probability (k,) of each."""

    weights: np.ndarray
    centres: np.ndarray
    scales: np.ndarray
    freedom: float

    @property
    def mean(self) -> np.ndarray:
        return self.weights @ self.centres

    @property
    def covariance(self) -> np.ndarray:
        """(m, m): that within each and that between them."""
        off = self.centres - self.mean
        within = self.freedom / (self.freedom - 2) * self.scales
        return np.einsum("k,kij->ij", self.weights, within + off[:, :, None] * off[:, None, :])

    def interval(self, values: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """Mean and ends of the 95 % interval, (3,), of a number that each part says: `values` (k,)
        with scales `errors` (k,)."""
        if not np.any(errors > 0):
            return np.full(3, self.weights @ values)
        reach = 2 * np.abs(special.stdtrit(self.freedom, 0.0125)) * errors.max()
        low, high = values.min() - reach, values.max() + reach

        def share(at: float) -> np.ndarray:
            return special.stdtr(self.freedom, (at - values) / errors)

        def below(level: float) -> float:
            return brentq(lambda at: self.weights @ share(at) - level, low, high)

        return np.array([self.weights @ values, below(0.025), below(0.975)])
