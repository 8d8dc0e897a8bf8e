"""How often populations are told apart, and covariates seen: grains that training never saw."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import expit

from phasefront.mechanisms import order, population
from phasefront.mechanisms.morphology import MORPHOLOGIES, Morphologist, caught

SHARES, GRAINS = (0.02, 0.1, 0.2, 0.5), (10, 20, 30, 60)
COVARIATES, STATES = 6, 3


def verdicts(seen: xr.Dataset, morphologist: Morphologist, seed: int, repeats: int) -> list[dict]:
    """A row for each caught share and number of grains: how often each verdict comes.

    Populations of snapshots of the test part (SNAPSHOTS), of which a share is between the phases,
    each called caught by its posterior, with the detection that was measured on other regimes.
    `exact` is the same by the binomial, were that detection theirs.
    """
    called, between = _called(seen, morphologist)
    rng = np.random.default_rng(seed)
    detection = morphologist.detection
    rows = []
    for share in SHARES:
        for grains in GRAINS:
            on_the_way = rng.random((repeats, grains)) < share
            drawn = np.where(
                on_the_way,
                rng.choice(called[between], (repeats, grains)),
                rng.choice(called[~between], (repeats, grains)),
            )
            factors = population.log_bayes_factor(drawn.sum(axis=1), grains, detection)
            found = pd.Series([population.verdict(one) for one in factors])
            exact = population.power(share, grains, detection)
            rows.append(
                {
                    "share": share, "grains": grains, "repeats": repeats,
                    "drawn": {name: float((found == name).mean()) for name in exact},
                    "exact": exact,
                }
            )  # fmt: skip
    return rows


def detected(seen: xr.Dataset, morphologist: Morphologist) -> dict[str, float]:
    """Recall and false alarm as they are on these snapshots, beside those that are stated."""
    called, between = _called(seen, morphologist)
    stated = morphologist.detection
    return {
        "recall": float(called[between].mean()), "false_alarm": float(called[~between].mean()),
        "stated_recall": stated.recall, "stated_false_alarm": stated.false_alarm,
    }  # fmt: skip


def _called(seen: xr.Dataset, morphologist: Morphologist) -> tuple[np.ndarray, np.ndarray]:
    """Which snapshots are called caught, and which are between the phases."""
    called = caught(morphologist.posterior(seen["features"].to_numpy()))
    return called, seen["morphology_of_state"].to_numpy() != MORPHOLOGIES.index("whole")


def covariates(seed: int, grains: Sequence[int], repeats: int) -> list[dict[str, float]]:
    """Size of the test of covariates under no effect, and power at the smallest detectable effect;
    a row for each number of grains.

    Grains of three states, one in fifty between the phases, six covariates that grains do not
    heed; then one that they heed as strongly as the analysis says it would have shown.
    """
    rows = []
    with ProcessPoolExecutor() as pool:
        for number in grains:
            seeds = np.random.SeedSequence([seed, number]).spawn(repeats)
            rows.append(_summary(number, list(pool.map(partial(_heeded, number), seeds))))
    return rows


def _summary(grains: int, found: list[tuple]) -> dict[str, float]:
    any_found, each_found, shown, covered = np.array(found, float).T
    return {
        "grains": grains, "repeats": len(found), "found_of_none": float(any_found.mean()),
        "each_found_of_none": float(each_found.mean()), "power": float(shown.mean()),
        "covered": float(np.nanmean(covered)),
    }  # fmt: skip


def _heeded(grains: int, seed: np.random.SeedSequence) -> tuple[bool, float, bool, float]:
    """Of one population: whether any covariate, and what share of them, is found where none is
    heeded; whether one that is heeded is found, and whether its interval holds the truth."""
    rng = np.random.default_rng(seed)
    state = np.arange(grains) % STATES
    table = pd.DataFrame(rng.normal(size=(grains, COVARIATES)))
    level = rng.normal(0.0, 0.7, STATES)[state]
    null = order.effects(
        _converted(level, rng), table, state, seed=int(rng.integers(2**31)), draws=399
    )
    of_none = bool((null.p_holm <= 0.05).any()), float((null.p <= 0.05).mean())
    smallest = float(null.smallest_detectable[0])
    if not np.isfinite(smallest):
        return *of_none, False, np.nan  # no effect would show
    inside = table[0] - table[0].groupby(state).transform("mean")
    heeds = smallest * (inside / inside.std(ddof=0)).to_numpy()
    heeded = order.effects(
        _converted(level + heeds, rng), table, state, seed=int(rng.integers(2**31)), draws=399
    ).iloc[0]
    return *of_none, bool(heeded.p_holm <= 0.05), float(heeded.low <= smallest <= heeded.high)


def _converted(log_odds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    share = (rng.random(len(log_odds)) < expit(log_odds)).astype(float)
    between = rng.random(len(share)) < 0.02
    return np.where(between, rng.random(len(share)), share)
