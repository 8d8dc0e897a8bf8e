"""What the positions of a grain say of the share of the ion-rich phase in each column."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import Crystal
from phasefront.layouts.phases import MIXED, UNINDEXED, VACUUM

# Shares at which a position's likelihood is tabulated.
SHARES = np.linspace(0.0, 1.0, 41)
# An ion content that is less sure than this (standard error of the share) is worth less than the
# posterior of the phases.
_BLUNT = 0.25
# Errors that no pattern tells of: of the cells of pure phases, and of the share of a column that
# holds half of each, whose two phases weigh by their amplitudes instead of their thickness (as
# virtual scans show it).
_CELL_ERROR, HALF_ERROR = 0.03, 0.1
# An outlier's share is anything in this range.
_OUTLIER_RANGE = 2.0
# Pairs of neighbours from which a grain's own noise is told; it is at most so much larger, and
# neighbours' errors are at most so alike.
_FEWEST_PAIRS, _MOST_NOISE, _MOST_ALIKE = 20, 3.0, 0.6
# Prior of a column that holds both phases, where only the side of one half is asked for.
_MIXED_PRIOR = 0.1
MEASURED, POSTERIOR, DECISION = 0, 1, 2  # codes: where a share is from


@dataclass(frozen=True)
class Columns:
    """Positions of one grain that say something of two phases; one entry a position."""

    y: np.ndarray
    x: np.ndarray
    origin: np.ndarray  # MEASURED (from the cell), POSTERIOR or DECISION
    share: np.ndarray  # of the rich phase: as measured, or the probability of that phase
    error: np.ndarray  # its standard error; infinite where not measured
    table: np.ndarray  # (n, len(SHARES)) log-likelihood of each share
    others: int  # positions of a third phase, left out
    noise: float  # factor on the standard errors of the ion contents, 1 or more

    @property
    def gain(self) -> np.ndarray:
        """Log-likelihood of all rich over all poor, (n,)."""
        return self.table[:, -1] - self.table[:, 0]

    @property
    def rich(self) -> np.ndarray:
        """Probability (n,) that more than half of the column is rich, of columns that are pure but
        for one in ten."""
        prior = np.full(len(SHARES), _MIXED_PRIOR / (len(SHARES) - 2))
        prior[[0, -1]] = 0.5 * (1 - _MIXED_PRIOR)
        weight = np.exp(self.table - self.table.max(axis=1, keepdims=True)) * prior
        return (weight[:, len(SHARES) // 2 :].sum(axis=1)) / weight.sum(axis=1)

    def independence(self, predicted: np.ndarray) -> float:
        """What one position is worth of an independent one, where errors of neighbours are alike.

        `predicted` (n,) are the shares of a fit. With a correlation r of what is left at
        neighbours, in both directions, it is ((1 - r) / (1 + r))^2, as for a first-order
        autoregression (Bartlett, J. R. Stat. Soc. 98, 536, 1935). Columns that hold both phases
        tell, for their place and errors make the interface's.
        """
        off = np.where(np.isfinite(self.error), self.share - predicted, np.nan)
        off /= np.sqrt(np.minimum(self.error, 1.0) ** 2 + _variance_of_share(predicted))
        for mixed in (np.abs(predicted - 0.5) < 0.48, np.ones(len(off), dtype=bool)):
            use = mixed & (np.abs(off) < 4)
            one, other = _neighbours((self.y[use], self.x[use]), off[use])
            if len(one) >= _FEWEST_PAIRS:
                break
        else:
            return 1.0
        alike = np.mean(one * other) / np.mean(0.5 * (one**2 + other**2))
        alike = float(np.clip(alike, 0.0, _MOST_ALIKE))
        return ((1 - alike) / (1 + alike)) ** 2

    def worth(self, independence: float) -> Columns:
        """The same, each position counting for this part of an independent one."""
        return replace(self, table=self.table * independence)


def columns_of(
    phases: xr.Dataset,
    inside: np.ndarray,
    *,
    rich: int,
    poor: int,
    contents: tuple[float, float],
    own_lattice: np.ndarray,
    outliers: float,
) -> Columns:
    """Read the positions `inside` (y, x) a grain.

    Parameters
    ----------
    phases
        PHASES.
    rich, poor
        Indices of the two phases.
    contents
        Their ions per formula unit where they coexist, rich and poor.
    own_lattice
        Where (y, x) a second lattice is of the grain itself, so that both phases are in the column;
        elsewhere it is of a grain above or below, and the first lattice is this grain's.
    outliers
        Share of positions that say nothing true.

    The ion content x of a position's cell is seen with a normal error; its share of the rich phase
    is (x - poor) / (rich - poor). Where it is not known, or blunt, the share f is seen through the
    posterior p of the rich phase, likelihood f p + (1 - f) (1 - p); what a third phase has of the
    posterior says nothing of f, so it counts half to each. A map of another program has decisions
    only, p = 1 or 0. Positions that are likelier of a third phase are left out.
    """
    decision = phases["decision"].values
    pair = np.isin(decision, (rich, poor))
    known = inside & ~np.isin(decision, (VACUUM, UNINDEXED))
    others = int((known & (decision >= 0) & ~pair).sum())
    known &= pair | (decision < 0)
    y, x = np.nonzero(known)
    share, error = _measured(phases, (y, x), rich, poor, contents, own_lattice)
    measured = error <= _BLUNT
    likelihood, by_posterior = _probability(phases, (y, x), rich, poor)
    # A cell refined as a third phase says nothing of these two.
    told = np.where(by_posterior, np.isfinite(likelihood), measured | np.isfinite(likelihood))
    y, x, share, error, likelihood = y[told], x[told], share[told], error[told], likelihood[told]
    measured, by_posterior = measured[told], by_posterior[told]
    noise = _noise((y, x), share, error, measured)
    table = np.where(
        measured[:, None],
        table_of_content(share, error * noise, outliers),
        table_of_probability(likelihood, outliers),
    )
    origin = np.where(measured, MEASURED, np.where(by_posterior, POSTERIOR, DECISION))
    return Columns(
        y, x, origin, np.where(measured, share, likelihood),
        np.where(measured, error * noise, np.inf), table, others, noise,
    )  # fmt: skip


def lattice_of_grain(phases: xr.Dataset, crystals: list[Crystal], limit_deg: float) -> np.ndarray:
    """Where (y, x) a second lattice of another phase lies as the first does, within the limit.

    Its orientation is compared with that of the first lattice described as the same phase.
    """
    second = phases["second_phase"].values
    decided = phases["posterior"].fillna(-1).argmax("phase").values
    own = np.zeros(second.shape, dtype=bool)
    for phase, crystal in enumerate(crystals):
        here = (second == phase) & (decided != phase)
        angle = rotations.misorientation(
            phases["rotation"].values[here, phase].astype("f8"),
            phases["second_rotation"].values[here].astype("f8"),
            crystal.symmetry,
        )
        own[here] = angle <= limit_deg
    return own


def _measured(phases, at, rich, poor, contents, own_lattice) -> tuple[np.ndarray, np.ndarray]:
    """Share and its standard error (n,) from ion contents; NaN and infinity where not known."""
    width = contents[0] - contents[1]
    share = (phases["ion_content"].values[at].astype("f8") - contents[1]) / width
    error = phases["ion_content_stderr"].values[at].astype("f8") / width
    both = own_lattice[at]
    weight = phases["second_share"].values[at].astype("f8")
    of_second = phases["second_phase"].values[at] == rich
    share = np.where(both, (1 - weight) * share + weight * of_second, share)
    both &= ~np.isin(phases["second_phase"].values[at], (rich, poor))
    unknown = both | ~np.isfinite(share) | ~(error > 0)
    return np.where(unknown, np.nan, share), np.where(unknown, np.inf, error)


def _probability(phases, at, rich, poor) -> tuple[np.ndarray, np.ndarray]:
    """Probability (n,) of the rich among both phases, NaN where not known or likelier of another,
    and whether (n,) it is a posterior rather than a decision."""
    posterior = phases["posterior"].values[at].astype("f8")
    decision, share = phases["decision"].values[at], phases["share"].values[at].astype("f8")
    both = posterior[:, rich] + posterior[:, poor]
    by_posterior = np.isfinite(both)
    decided = np.where(decision == rich, 1.0, np.where(decision == poor, 0.0, np.nan))
    sum_of_shares = share[:, rich] + share[:, poor]
    mixed = (decision == MIXED) & (sum_of_shares > 0)
    by_share = np.divide(share[:, rich], sum_of_shares, out=decided, where=mixed)
    among = np.where(both >= 0.5, posterior[:, rich] + 0.5 * (1 - both), np.nan)
    return np.where(by_posterior & ~mixed, among, by_share), by_posterior


def _noise(at, share, error, measured) -> float:
    """How much wider neighbours scatter than their errors say, by the median; 1 or more."""
    at = at[0][measured], at[1][measured]
    one, other = _neighbours(at, share[measured])
    first, second = _neighbours(at, error[measured])
    if len(one) < _FEWEST_PAIRS:
        return 1.0
    off = np.abs(one - other) / np.hypot(first, second)
    return float(np.clip(1.4826 * np.median(off), 1.0, _MOST_NOISE))


def _neighbours(at: tuple[np.ndarray, np.ndarray], value: np.ndarray) -> tuple:
    """Values (pair,) of both of two positions beside or below each other."""
    if not len(value):
        return value, value
    y, x = at[0] - at[0].min() + 1, at[1] - at[1].min() + 1
    grid = np.full((y.max() + 2, x.max() + 2), np.nan)
    grid[y, x] = value
    one = np.concatenate([grid[:, :-1].ravel(), grid[:-1].ravel()])
    other = np.concatenate([grid[:, 1:].ravel(), grid[1:].ravel()])
    both = np.isfinite(one) & np.isfinite(other)
    return one[both], other[both]


def _variance_of_share(share: np.ndarray) -> np.ndarray:
    """Variance that no pattern tells of, of columns of these shares."""
    return _CELL_ERROR**2 + (HALF_ERROR * 4 * share * (1 - share)) ** 2


def table_of_content(share: np.ndarray, error: np.ndarray, outliers: float) -> np.ndarray:
    """Log-likelihood (n, len(SHARES)) of each share where one was measured (n,) with an error."""
    with np.errstate(invalid="ignore", over="ignore"):
        variance = error[:, None] ** 2 + _variance_of_share(SHARES)
        square = (share[:, None] - SHARES) ** 2 / variance
        normal = np.exp(-0.5 * square) / np.sqrt(2 * np.pi * variance)
    return np.log((1 - outliers) * np.nan_to_num(normal) + outliers / _OUTLIER_RANGE)


def table_of_probability(likelihood: np.ndarray, outliers: float) -> np.ndarray:
    """Log-likelihood (n, len(SHARES)) of each share where the rich phase has this probability (n,),
    as far as the position is no outlier."""
    rich = np.nan_to_num(likelihood)[:, None]
    seen = SHARES * rich + (1 - SHARES) * (1 - rich)
    return np.log((1 - outliers) * seen + 0.5 * outliers)
