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
    with ProcessPoolExecutor() as pool:
        return list(pool.map(partial(_of_covariates, seed, repeats), grains))


def _of_covariates(seed: int, repeats: int, grains: int) -> dict[str, float]:
    rng = np.random.default_rng([seed, grains])
    any_found, each_found, shown, intervals = [], [], [], []
    state = np.arange(grains) % STATES
    for _ in range(repeats):
        table = pd.DataFrame(rng.normal(size=(grains, COVARIATES)))
        level = rng.normal(0.0, 0.7, STATES)[state]
        null = order.effects(
            _converted(level, rng), table, state, seed=int(rng.integers(2**31)), draws=399
        )
        any_found.append((null.p_holm <= 0.05).any())
        each_found.append((null.p <= 0.05).mean())
        smallest = float(null.smallest_detectable[0])
        if not np.isfinite(smallest):
            shown.append(False)  # no effect would show
            continue
        inside = table[0] - table[0].groupby(state).transform("mean")
        heeds = smallest * (inside / inside.std(ddof=0)).to_numpy()
        heeded = order.effects(
            _converted(level + heeds, rng), table, state,
            seed=int(rng.integers(2**31)), draws=399,
        ).iloc[0]  # fmt: skip
        shown.append(heeded.p_holm <= 0.05)
        intervals.append(heeded.low <= smallest <= heeded.high)
    return {
        "grains": grains, "repeats": repeats, "found_of_none": float(np.mean(any_found)),
        "each_found_of_none": float(np.mean(each_found)), "power": float(np.mean(shown)),
        "covered": float(np.mean(intervals)),
    }  # fmt: skip


def _converted(log_odds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    share = (rng.random(len(log_odds)) < expit(log_odds)).astype(float)
    between = rng.random(len(share)) < 0.02
    return np.where(between, rng.random(len(share)), share)
