"""One by one or all at once: what the share of grains caught on the way says of a population.

Where each grain takes a time T to convert and the field between two phases lasts L, a snapshot
catches a share T / L of the grains with both phases (Chueh 2013: 2 %, so a grain takes a fiftieth
of the charge). That share is all that a snapshot says: a cascade of dominoes is a fast front.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from phasefront.core.statistics import Interval

Verdict = Literal["one by one", "concurrent", "cannot be told"]

# Shares caught that go by each name, any of them as likely; between them is neither. What is called
# needs ten times the evidence of the other ("strong" to Jeffreys).
ONE_BY_ONE, CONCURRENT = (0.0, 0.1), (0.2, 1.0)
# Jeffreys' "strong".
_BAYES_FACTOR = 10.0


@dataclass(frozen=True)
class Detection:
    """How often a grain that holds both phases is seen so, and one that does not is taken for it.

    Both from simulation for scans; 1 and 0 for counts as published.
    """

    recall: float = 1.0
    false_alarm: float = 0.0

    def __post_init__(self):
        if not 0.0 <= self.false_alarm < self.recall <= 1.0:
            raise ValueError("a grain with both phases must be seen more often than one without")

    def seen(self, share: np.ndarray) -> np.ndarray:
        """Share of grains that are seen with both phases where a share of them is caught."""
        return self.false_alarm + (self.recall - self.false_alarm) * np.asarray(share)


def caught_share(caught: int, grains: int, detection: Detection) -> Interval:
    """Share of grains on the way, with the ends of its 95 % interval.

    Wilson's interval of the share seen, taken back through the detection (Rogan and Gladen 1978,
    10.1093/oxfordjournals.aje.a112510).
    """
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(caught, grains, method="wilson")
    seen = np.array([caught / grains, low, high])
    return np.clip(
        (seen - detection.false_alarm) / (detection.recall - detection.false_alarm), 0.0, 1.0
    )


def log_bayes_factor(caught: np.ndarray, grains: int, detection: Detection) -> np.ndarray:
    """Natural logarithm of the Bayes factor of one by one against concurrent, for each count."""
    of = np.atleast_1d(caught) + 1.0, grains - np.atleast_1d(caught) + 1.0

    def evidence(ends: tuple[float, float]) -> np.ndarray:
        # The binomial integrated over the share seen, in closed form (incomplete beta functions),
        # from whichever tail keeps its digits. Beyond a factor of e^690 it is no matter.
        low, high = detection.seen(np.array(ends))
        area = np.maximum(
            special.betainc(*of, high) - special.betainc(*of, low),
            special.betaincc(*of, low) - special.betaincc(*of, high),
        )
        return np.log(np.maximum(area, 1e-300) / (high - low))

    return evidence(ONE_BY_ONE) - evidence(CONCURRENT)


def verdict(log_factor: float) -> Verdict:
    """What a Bayes factor says in words."""
    if abs(log_factor) < np.log(_BAYES_FACTOR):
        return "cannot be told"
    return "one by one" if log_factor > 0.0 else "concurrent"


def power(share: float, grains: int, detection: Detection) -> dict[Verdict, float]:
    """Probability of each verdict on so many grains of which a share is caught; exact."""
    from scipy import stats

    counts = np.arange(grains + 1)
    chances = stats.binom.pmf(counts, grains, detection.seen(share))
    factors = log_bayes_factor(counts, grains, detection)
    result: dict[Verdict, float] = {"one by one": 0.0, "concurrent": 0.0, "cannot be told": 0.0}
    for chance, factor in zip(chances, factors, strict=True):
        result[verdict(factor)] += float(chance)
    return result


def grains_needed(
    share: float, wanted: Verdict, probability: float, detection: Detection, *, most: int = 1000
) -> int | None:
    """Fewest grains from which on the wanted verdict comes with at least the probability.

    None where even `most` are too few, or where the share goes by no such name.
    """
    enough = None
    low, high = 1, most
    # Powers of counts saw up and down by a grain or two; the search is on what holds from there on.
    while low <= high:
        middle = (low + high) // 2
        near = range(middle, min(middle + 6, most + 1))
        if all(power(share, n, detection)[wanted] >= probability for n in near):
            enough, high = middle, middle - 1
        else:
            low = middle + 1
    return enough
