"""What a position went through, from what every scan of a series saw there.

A hidden Markov chain with a random effect (Altman, J. Am. Stat. Assoc. 102, 201, 2007): a position
is rich, mixed or poor in ions; between two scans it may go the way that the current sends it, the
other way only at rest; and every scan sees an ion content with a standard error. Its error has two
parts. One is new in each scan. The other repeats at its position, since zone axis and thickness do,
and cannot be averaged away: a chain without it is sure of what is wrong. Both go with the stated
standard error, by factors that are fitted: a zone axis that tells the cell badly errs more.
All sizes are fitted to the series itself; scans taken before any current flows, between which
nothing may change, tell the two errors apart best.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

STATES = ("rich", "mixed", "poor")
# Nodes of the quadrature over the error that repeats (Gauss and Hermite).
_NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(11)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
# Convergence of the fit: gain of log-likelihood a position, and steps.
_CLOSE, _MOST_STEPS = 1e-5, 400
# Positions that a chain is fitted to: more tell its six numbers no better.
_FITTED = 400
# Of the states along the content: a mixed column holds any share between, so its content spreads
# by more than errors, as a uniform share does.
_PLACE = np.array([1.0, 0.0, -1.0])
# Variance of a uniform share between -1 and 1.
_MIXED_VARIANCE = 1.0 / 3.0
# No error is smaller than this part of the contents' own spread: contents without any leave nothing
# to compute with.
_LEAST_ERROR = 0.01
# Standard deviation of a series' contents about what the phases are said to have, in parts of half
# their distance. Twice as much is the most for the distance. Chosen: cells of the same phase in
# another state of charge, or under another calibration, differ by less.
_ASIDE = 0.2
# Less than this part of the charge that passes in an average gap is none.
_STILL = 1e-3
# New and repeated error, in stated ones, from which a fit begins: smaller ones would leave what
# they do not explain to mixed columns.
_AS_STATED = (1.0, 0.3)
# Positions whose passes are held at a time.
_AT_A_TIME = 2000
# A whole conversion of the population, as a rate, is sure to be seen; no rate is higher.
_MOST_RATE = 50.0


@dataclass(frozen=True)
class Gaps:
    """What may happen between each scan and the next, (scan - 1,) each.

    Weights are relative: charge passed, or time at rest. Zero both ways where nothing can change.
    """

    onward: np.ndarray  # from rich to poor
    back: np.ndarray

    def __post_init__(self):
        for weight in (self.onward, self.back):
            if not (np.isfinite(weight).all() and (np.asarray(weight) >= 0).all()):
                raise ValueError("weights of gaps are finite and not negative")

    @classmethod
    def of_charge(cls, charge: np.ndarray, *, rest: float = 0.02) -> Gaps:
        """From the charge (scan,) at each scan, positive where ions leave.

        Before any has passed nothing can change. Where it stands still later both ways are open
        (grains exchange ions at rest) with the weight `rest` of the charge that passes in an
        average gap.
        """
        passed = np.diff(np.asarray(charge, "f8"))
        mean = np.abs(passed).mean() if np.abs(passed).any() else 1.0
        flows = np.abs(passed) >= _STILL * mean
        still = np.where(~flows & np.logical_or.accumulate(flows), rest, 0.0)
        passed = np.where(flows, passed, 0.0)
        return cls(np.maximum(passed, 0.0) / mean + still, np.maximum(-passed, 0.0) / mean + still)

    @classmethod
    def open(cls, count: int) -> Gaps:
        """Both ways open alike in each of some gaps, whatever the current does."""
        return cls(np.ones(count), np.ones(count))


@dataclass(frozen=True)
class Chain:
    """A fitted chain."""

    start: np.ndarray  # (state,) probabilities at the first scan
    middle: float  # of the ion contents of rich and poor columns,
    reach: float  # and half the way between them
    error: float  # standard errors, of the error that is new in each scan
    repeated: float  # and of the one that repeats at a position
    rate: float  # of leaving a state, for a gap of weight 1
    log_likelihood: float  # of the positions that it is fitted to

    @property
    def mean(self) -> np.ndarray:
        """Ion content (state,) without errors."""
        return self.middle + self.reach * _PLACE

    def spread(self, *errors: np.ndarray) -> np.ndarray:
        """Standard deviation (..., state) of the content with these errors (...)."""
        own = np.array([0.0, _MIXED_VARIANCE * self.reach**2, 0.0])
        return np.sqrt(own + sum(np.square(error) for error in errors)[..., None])


class Histories(NamedTuple):
    """States of positions through a series."""

    single: np.ndarray  # (position, scan, state) posterior from the scan alone
    smooth: np.ndarray  # the same from all scans
    left: np.ndarray  # (position, gap) probability that the first state is left for good there
    reached: np.ndarray  # (position, gap) probability that the last state is reached there


def fit(content: np.ndarray, stderr: np.ndarray, gaps: Gaps, ends: tuple[float, float]) -> Chain:
    """Fit a chain to a series by expectation and maximisation.

    Parameters
    ----------
    content, stderr
        (position, scan) ions per formula unit and standard error; NaN where a scan did not see the
        position.
    gaps
        Between the scans.
    ends
        Ion contents of the rich and of the poor phase. What the series says of them is weighed with
        that: where there is one phase alone, noise is no second one.

    Raises
    ------
    ValueError
        Fewer than two scans, or nothing seen.
    """
    content, stderr = _of_all(content, stderr)
    if content.ndim != 2 or content.shape[1] < 2 or not np.isfinite(content).any():
        raise ValueError("a history needs two scans or more, and positions that were seen")
    each = max(1, len(content) // _FITTED)
    content, stderr = content[::each], stderr[::each]
    middle, reach = 0.5 * (ends[0] + ends[1]), 0.5 * abs(ends[0] - ends[1])
    chain = Chain(
        np.full(3, 1 / 3), middle, reach,
        *_AS_STATED,
        1.0 / (content.shape[1] - 1), -np.inf,
    )  # fmt: skip
    for _ in range(_MOST_STEPS):
        again = _step(chain, content, stderr, gaps, middle, reach)
        gain = again.log_likelihood - chain.log_likelihood
        chain = again
        if gain < _CLOSE * len(content):
            break
    return chain


def histories(chain: Chain, content: np.ndarray, stderr: np.ndarray, gaps: Gaps) -> Histories:
    """What each position went through, under a fitted chain; arguments as of `fit`."""
    content, stderr = _of_all(content, stderr)
    parts = [
        _histories(
            chain, content[begin : begin + _AT_A_TIME], stderr[begin : begin + _AT_A_TIME], gaps
        )
        for begin in range(0, len(content), _AT_A_TIME)
    ]
    return Histories(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _histories(chain: Chain, content: np.ndarray, stderr: np.ndarray, gaps: Gaps) -> Histories:
    density, forward, backward, move, total = _passes(chain, content, stderr, gaps)
    weight = np.exp(total - logsumexp(total, axis=1, keepdims=True))  # (position, node)
    smooth = np.exp(forward + backward - total[..., None, None])
    both = chain.spread(chain.error * stderr, chain.repeated * _typical(stderr))
    single = _log_density(content[..., None], chain.mean, both) + np.log(_before(chain, gaps))
    single -= logsumexp(single, axis=-1, keepdims=True)
    crossing = _pairs(density, forward, backward, move, total)
    # Leaving the first state and reaching the last one, at each gap; what goes back and forth
    # counts with its sign, so the sum over gaps is the net conversion.
    away = crossing[..., 0, 1:].sum(axis=-1) - crossing[..., 1:, 0].sum(axis=-1)
    home = crossing[..., :2, 2].sum(axis=-1) - crossing[..., 2, :2].sum(axis=-1)
    return Histories(
        single=np.exp(single),
        smooth=np.einsum("pj,pjts->pts", weight, smooth),
        left=np.einsum("pj,pjt->pt", weight, away),
        reached=np.einsum("pj,pjt->pt", weight, home),
    )


def _of_all(content: np.ndarray, stderr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Contents and errors as numbers; both NaN where one is."""
    content, stderr = np.asarray(content, "f8"), np.asarray(stderr, "f8")
    if (stderr <= 0).any():
        raise ValueError("standard errors are positive")
    seen = np.isfinite(content) & np.isfinite(stderr)
    return np.where(seen, content, np.nan), np.where(seen, stderr, np.nan)


def _typical(stderr: np.ndarray) -> np.ndarray:
    """Standard error (position, 1) that the repeated error goes with; 1 where nothing was seen."""
    seen = np.isfinite(stderr)
    total = np.where(seen, stderr, 0.0).sum(axis=1, keepdims=True)
    count = seen.sum(axis=1, keepdims=True)
    return np.where(count > 0, total / np.maximum(count, 1), 1.0)


def _step(
    chain: Chain, content: np.ndarray, stderr: np.ndarray, gaps: Gaps, middle: float, reach: float
) -> Chain:
    """One step of expectation and maximisation; its log-likelihood is that of the chain before.

    `middle` and `reach` are those that the phases are said to have.
    """
    density, forward, backward, move, total = _passes(chain, content, stderr, gaps)
    of_position = logsumexp(total, axis=1)
    # Posterior of node and state together, (position, node, scan, state).
    log_weight = (total - of_position[:, None])[..., None, None]
    state = np.exp(forward + backward - total[..., None, None] + log_weight)
    seen = np.isfinite(content)
    unit = np.where(seen, stderr, 1.0)
    at = np.where(seen, content, 0.0)
    weight = state * seen[:, None, :, None]

    # Weighted least squares of the contents of pure columns, in standard errors, on their state
    # and the repeated error.
    pure = weight[..., [0, 2]]
    design = np.empty((*pure.shape, 3))
    design[..., 0] = 1.0
    design[..., 1] = _PLACE[[0, 2]]
    design[..., 2] = (_NODES[:, None] * _typical(stderr)[:, :, None])[..., None]
    design /= unit[:, None, :, None, None]
    at = at / unit
    normal = np.einsum("pjts,pjtsa,pjtsb->ab", pure, design, design, optimize=True)
    right = np.einsum("pjts,pjtsa,pt->a", pure, design, at, optimize=True)
    # Where there is one phase, only what is said of the other tells its content.
    said = np.array([middle, reach, 0.0])
    prior = np.array([1.0, 1.0, 1e-9]) / (_ASIDE * reach) ** 2
    solved = np.linalg.solve(normal + np.diag(prior), right + prior * said)
    bounded = np.clip(solved[1], (1 - 2 * _ASIDE) * reach, (1 + 2 * _ASIDE) * reach)
    if bounded != solved[1]:
        others = [0, 2]
        right = (right + prior * said)[others] - normal[others, 1] * bounded
        left = np.linalg.solve((normal + np.diag(prior))[np.ix_(others, others)], right)
        solved = np.array([left[0], bounded, left[1]])
    middle, reach, repeated = solved
    left = at[:, None, :, None] - design @ solved
    variance = (pure * left**2).sum() / max(pure.sum(), 1e-9)
    spread = float(np.nanstd(content)) or 1.0
    most = spread / float(np.nanmedian(stderr))

    crossing = _pairs(density, forward, backward, move, total)
    crossing = np.einsum("pj,pjtab->tab", np.exp(log_weight[..., 0, 0]), crossing)
    return Chain(
        start=(state[:, :, 0].sum(axis=(0, 1)) + 0.5) / (len(content) + 1.5),
        middle=float(middle),
        reach=float(reach),
        error=float(np.sqrt(max(variance, (_LEAST_ERROR * most) ** 2))),
        repeated=min(abs(float(repeated)), most),
        rate=_rate(crossing, gaps, chain.rate),
        log_likelihood=float(of_position.sum()),
    )


def _passes(chain: Chain, content: np.ndarray, stderr: np.ndarray, gaps: Gaps):
    """Log densities, log forward and backward (position, node, scan, state), moves, and
    log-likelihood of nodes with their weight (position, node)."""
    density = log_densities(chain, content, stderr)
    move = _moves(chain.rate, gaps)
    forward, backward = np.empty_like(density), np.zeros_like(density)
    forward[:, :, 0] = np.log(chain.start) + density[:, :, 0]
    for scan in range(1, content.shape[1]):
        forward[:, :, scan] = _log_product(forward[:, :, scan - 1], move[scan - 1])
        forward[:, :, scan] += density[:, :, scan]
    for scan in range(content.shape[1] - 2, -1, -1):
        ahead = backward[:, :, scan + 1] + density[:, :, scan + 1]
        backward[:, :, scan] = _log_product(ahead, move[scan].T)
    total = logsumexp(forward[:, :, -1], axis=-1)
    weighted = np.log(WEIGHTS)
    forward += weighted[:, None, None]
    return density, forward, backward, move, total + weighted


def _pairs(density, forward, backward, move, total) -> np.ndarray:
    """Posterior (position, node, gap, state, next state) of pairs of states, given the node."""
    ahead = backward[:, :, 1:] + density[:, :, 1:]
    with np.errstate(divide="ignore"):
        logs = forward[:, :, :-1, :, None] + np.log(move)[None, None] + ahead[:, :, :, None, :]
    return np.exp(logs - total[:, :, None, None, None])


def log_densities(chain: Chain, content: np.ndarray, stderr: np.ndarray) -> np.ndarray:
    """Log density (position, node, scan, state) of contents (position, scan); 0 without one."""
    off = (chain.repeated * _NODES[:, None] * _typical(stderr)[:, :, None])[..., None]
    error = chain.spread(chain.error * stderr)[:, None]
    return _log_density(content[:, None, :, None], chain.mean + off, error)


def _log_density(content: np.ndarray, mean: np.ndarray, error: np.ndarray) -> np.ndarray:
    found = -0.5 * ((content - mean) / error) ** 2 - np.log(error * np.sqrt(2 * np.pi))
    return np.where(np.isfinite(found), found, 0.0)


def _moves(rate: float, gaps: Gaps) -> np.ndarray:
    """Probability (gap, state, next state)."""
    onward, back = (np.asarray(weight, "f8") * rate for weight in (gaps.onward, gaps.back))
    flow = np.zeros((len(onward), 3, 3))
    for one in range(3):
        for other in range(3):
            if other != one:
                # A front passes through a column in a gap as likely as it stops there.
                ways = 2 - one if other > one else one
                flow[:, one, other] = (onward if other > one else back) / ways
    leaving = flow.sum(axis=2)
    share = np.divide(-np.expm1(-leaving), leaving, out=np.ones_like(leaving), where=leaving > 0)
    move = flow * share[..., None]
    move[:, range(3), range(3)] = np.exp(-leaving)
    return move


def _rate(crossing: np.ndarray, gaps: Gaps, rate: float) -> float:
    """The rate that makes expected moves (gap, state, next state) likeliest."""
    from scipy.optimize import minimize_scalar

    if not (np.any(gaps.onward) or np.any(gaps.back)):
        return rate

    def cost(log_rate: float) -> float:
        with np.errstate(divide="ignore"):
            logs = np.log(_moves(np.exp(log_rate), gaps))
        return -float(np.where(crossing > 1e-12, crossing * np.maximum(logs, -700.0), 0.0).sum())

    found = minimize_scalar(cost, bounds=(np.log(1e-6), np.log(_MOST_RATE)), method="bounded")
    return float(np.exp(found.x))


def _before(chain: Chain, gaps: Gaps) -> np.ndarray:
    """Probability (scan, state) before anything is seen at a position."""
    found = [chain.start]
    for move in _moves(chain.rate, gaps):
        found.append(found[-1] @ move)
    return np.maximum(np.array(found), 1e-300)


def _log_product(logs: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Logarithm of exp(logs) @ matrix; (..., state)."""
    most = logs.max(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(logs - most) @ matrix) + most
