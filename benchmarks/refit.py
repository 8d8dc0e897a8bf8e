"""A constant fitted again: its value in the code beside the best of a range."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np


class Constant(NamedTuple):
    """A constant, the values that are tried, and the score of a scan at a value."""

    name: str
    value: float  # in the code; one of those tried
    tried: tuple[float, ...]
    score_at: Callable[[object, float], float]


@contextmanager
def changed(module, name: str, value: object) -> Iterator[None]:
    """A module's constant with another value."""
    kept = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, kept)


def set_to(module, name: str, measure: Callable[[object], float], make=lambda value: value):
    """The score of a scan, as `measure` has it, with a module's constant at a value."""

    def at(scan, value: float) -> float:
        with changed(module, name, make(value)):
            return measure(scan)

    return at


def refit(
    constants: Sequence[Constant], scans: Sequence, weight: np.ndarray, as_good: float
) -> list[dict]:
    """A row for each constant, over scans of some weight; scores within `as_good` are as good.

    `gain` is the best score less that of the code's value, `gain_stderr` its standard error by the
    scatter of the scans.
    """
    rows = []
    share = np.asarray(weight, dtype=float) / np.sum(weight)
    for name, value, tried, score_at in constants:
        of_scan = np.array([[score_at(scan, one) for scan in scans] for one in tried])
        scores = of_scan @ share
        best = int(np.argmax(scores))
        gain = of_scan[best] - of_scan[tried.index(value)]
        good = [one for one, own in zip(tried, scores, strict=True) if own > max(scores) - as_good]
        rows.append(
            {
                "constant": name, "value": value, "best": tried[best],
                "as_good": [min(good), max(good)],
                "scores": dict(zip(map(str, tried), map(float, scores), strict=True)),
                "score": float(scores[tried.index(value)]), "best_score": float(scores[best]),
                "gain": float(gain @ share),
                "gain_stderr": float(np.sqrt(np.sum((share * (gain - gain @ share)) ** 2))),
            }
        )  # fmt: skip
    return rows
