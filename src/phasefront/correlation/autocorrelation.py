"""How alike neighbours of a map are, what that leaves of a sample, and maps that are as alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, optimize

# Exponent of the covariance sill exp(-(d/range)^power): between the exponential's and the smooth
# Gaussian's, and positive definite in the plane. Chosen.
_POWER = 1.5
# Longest reach over the longest lag: so the variogram shows most of the sill, and none is made up.
_LONGEST = 0.5
_FEWEST = 20  # points of a map whose covariance is fitted; chosen


@dataclass(frozen=True)
class Covariance:
    """Of values `d` apart: `sill` exp(-(d/`reach`)^1.5), and `nugget` more of a value's own.

    Distances are in points of the grid.
    """

    nugget: float
    sill: float
    reach: float

    def correlation(self, distance: np.ndarray) -> np.ndarray:
        """Correlation of values `distance` points apart."""
        alike = self.sill * np.exp(-((distance / self.reach) ** _POWER))
        total = max(self.nugget + self.sill, 1e-300)
        return np.where(distance == 0, 1.0, alike / total)


def _distances(shape: tuple[int, int]) -> np.ndarray:
    """Distances (rows, columns) from the origin of a torus of `shape`."""
    row, column = (np.minimum(np.arange(size), size - np.arange(size)) for size in shape)
    return np.hypot(row[:, None], column)


def _torus(shape: tuple[int, int]) -> tuple[int, int]:
    return tuple(fft.next_fast_len(2 * size, real=True) for size in shape)


def pair_counts(known: np.ndarray) -> np.ndarray:
    """Number of pairs of known points at each lag, on a torus twice as large (rows, columns)."""
    size = _torus(known.shape)
    power = np.abs(fft.rfft2(known * 1.0, size)) ** 2
    return np.rint(fft.irfft2(power, size))


def variogram(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance, half the mean squared difference and number of pairs, of lags by whole points.

    `values` (row, column) are NaN where not known. Lags reach to half the largest extent.
    """
    known = np.isfinite(values)
    size = _torus(values.shape)
    filled = np.where(known, values - values[known].mean(), 0.0)
    one, value, square = (fft.rfft2(part, size) for part in (known * 1.0, filled, filled**2))
    number = np.rint(fft.irfft2(one * one.conj(), size))
    both = fft.irfft2(square * one.conj() + one * square.conj() - 2 * value * value.conj(), size)
    distance = _distances(size)
    rows, columns = np.nonzero(known)
    longest = max(4, int(np.hypot(np.ptp(rows), np.ptp(columns)) / 2))
    lag = np.rint(distance).astype(int)
    used = (lag > 0) & (lag <= longest) & (number > 0)
    pairs = np.bincount(lag[used], number[used], longest + 1)[1:]
    total = np.bincount(lag[used], both[used], longest + 1)[1:]
    mean = np.bincount(lag[used], (number * distance)[used], longest + 1)[1:]
    there = pairs > 0
    return mean[there] / pairs[there], 0.5 * total[there] / pairs[there], pairs[there]


def fit_covariance(values: np.ndarray) -> Covariance:
    """The covariance whose variogram is nearest to that of `values` (row, column; NaN not known).

    Least squares relative to the values fitted, weighted by numbers of pairs (Cressie, Math. Geol.
    17, 563, 1985), with a reach of at most the longest lag. Fewer than 20 points, or values that do
    not change, have the covariance of one value for all.
    """
    known = np.isfinite(values)
    variance = values[known].var() if known.any() else 0.0
    if known.sum() < _FEWEST or variance <= 0:
        return Covariance(0.0, max(variance, 1e-300), 1e6)
    distance, half, pairs = variogram(values)
    weight = np.sqrt(pairs / pairs.sum())

    def misfit(parameters: np.ndarray) -> np.ndarray:
        nugget, sill, reach = np.exp(parameters)
        model = nugget + sill * (1 - np.exp(-((distance / reach) ** _POWER)))
        return weight * (half / variance - model) / (model + 0.05)

    start = np.log([0.1, 1.0, max(distance[-1] / 3, 1.0)])
    lowest, highest = np.log([1e-4, 1e-2, 0.3]), np.log([3.0, 20.0, _LONGEST * distance[-1]])
    found = optimize.least_squares(misfit, np.clip(start, lowest, highest),
                                   bounds=(lowest - 1e-9, highest))  # fmt: skip
    nugget, sill, reach = np.exp(found.x)
    return Covariance(float(nugget * variance), float(sill * variance), float(reach))


def effective_number(known: np.ndarray, one: Covariance, other: Covariance) -> float:
    """How many independent pairs tell as much of a correlation as the known points (row, column).

    1 + 1/var(r), with the variance of the correlation of two independent maps of these covariances
    (Dutilleul, Biometrics 49, 305, 1993); at least 2, and not more than there are points.
    """
    size = _torus(known.shape)
    distance, number = _distances(size), known.sum()
    maps = [fit_.correlation(distance) for fit_ in (one, other)]
    product = (pair_counts(known) * maps[0] * maps[1]).sum()
    spectrum = fft.rfft2(known * 1.0, size)
    sums = [
        np.where(known, fft.irfft2(fft.rfft2(part) * spectrum, size)[
            : known.shape[0], : known.shape[1]], 0.0)
        for part in maps
    ]  # fmt: skip
    whole = [part.sum() for part in sums]
    trace = product - 2 * (sums[0] * sums[1]).sum() / number + whole[0] * whole[1] / number**2
    freedom = [max(number - part / number, 1e-9) for part in whole]
    variance = trace / (freedom[0] * freedom[1])
    return float(np.clip(1 + 1 / max(variance, 1e-12), 2.0, max(number, 2)))


def effective_mean(known: np.ndarray, covariance: Covariance) -> float:
    """How many independent values have a mean as sure as that of the known points."""
    distance = _distances(_torus(known.shape))
    total = (pair_counts(known) * covariance.correlation(distance)).sum()
    return float(np.clip(known.sum() ** 2 / max(total, 1e-12), 1.0, max(known.sum(), 1)))


def surrogates(
    known: np.ndarray, covariance: Covariance, number: int, rng: np.random.Generator
) -> np.ndarray:
    """Gaussian maps (number, row, column) of a covariance, independent of everything; NaN where
    `known` (row, column) is not.

    By the spectrum on a torus that is twice as large as the map; where the covariance does not fit
    on it, negative powers are left out (Wood and Chan, J. Comput. Graph. Stat. 3, 409, 1994).
    """
    size = _torus(known.shape)
    smooth = covariance.sill * np.exp(-((_distances(size) / covariance.reach) ** _POWER))
    power = np.maximum(fft.fft2(smooth).real, 0.0)
    power *= smooth.size * covariance.sill / max(power.sum(), 1e-300)
    made = np.empty((number, *known.shape))
    for place in range(0, number, 2):
        noise = rng.standard_normal(size) + 1j * rng.standard_normal(size)
        field = fft.fft2(np.sqrt(power / smooth.size) * noise)
        for part, image in zip(made[place : place + 2], (field.real, field.imag), strict=False):
            own = np.sqrt(covariance.nugget) * rng.standard_normal(known.shape)
            part[...] = np.where(known, image[: known.shape[0], : known.shape[1]] + own, np.nan)
    return made
