"""Which morphology a grain shows: what its interfaces look like beside those of simulated grains.

Boosted trees learn from snapshots of grains whose columns are known (`snapshots`), in regimes of
physics and in drawings; how sure they may be is told by regimes that they did not learn from. What
is told is the morphology of the grain's state in its own plane, whichever way the beam went.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.optimize import minimize_scalar

from phasefront.core import netcdf
from phasefront.core.errors import InputError
from phasefront.mechanisms.features import FEATURES
from phasefront.mechanisms.population import Detection
from phasefront.mechanisms.snapshots import DATA_FILE, SNAPSHOTS

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

MORPHOLOGIES = (
    "whole", "front", "curved front", "band", "core", "inner nucleus", "mosaic", "uniform",
    "none of these",
)  # fmt: skip
_WHOLE = MORPHOLOGIES.index("whole")
# A third of all grains whole, the others alike: no regime of the file says how common each is.
_PRIOR = np.where(np.arange(len(MORPHOLOGIES)) == _WHOLE, 1 / 3, 2 / 3 / (len(MORPHOLOGIES) - 1))
# A grain is caught where it is whole with less than this probability: whole grains are many.
_HARDLY_WHOLE = 0.1
# Of the trees: chosen on the calibration regimes. Of these no more bins than tell as much.
_TREES, _RATE, _LEAVES, _SMOOTHING, _BINS = 80, 0.1, 8, 1.0, 63
# Features are within this; it stands, negative, for one that a grain does not show.
_MOST = 1e6
# Share of each posterior that no evidence takes from the prior.
_LEAST = 0.02


def caught(posterior: np.ndarray) -> np.ndarray:
    """Whether (grain,) each grain is between the phases, by its posterior (grain, morphology)."""
    return posterior[:, _WHOLE] < _HARDLY_WHOLE


@dataclass(frozen=True)
class Morphologist:
    """Tells morphologies of grains, with the probability of each."""

    trees: HistGradientBoostingClassifier
    # Power of the trees' probabilities that makes them hold in regimes not learned from.
    sharpness: float
    # Of each morphology (morphology,), under which posteriors hold.
    prior: np.ndarray
    # How often a grain between the phases is seen so, and one of one phase taken for it.
    detection: Detection
    # Correlation of the errors of posteriors of caught grains of one regime.
    alike: float

    @classmethod
    def read(cls, path: str | Path = DATA_FILE) -> Morphologist:
        """Learn from the snapshots of a file; some seconds, once in a process.

        Raises
        ------
        InputError
            The file has other features or morphologies than this version.
        """
        return _learned(Path(path))

    def posterior(self, features: np.ndarray) -> np.ndarray:
        """Probability (grain, len(MORPHOLOGIES)) of each morphology; rows sum to 1.

        Parameters
        ----------
        features
            (grain, len(FEATURES)) as of `features.features_of`; NaN what a grain does not show.
        """
        return _sharpened(_votes(self.trees, features), self.sharpness)


@lru_cache(maxsize=1)
def _learned(path: Path) -> Morphologist:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    table = netcdf.read(path, SNAPSHOTS)
    _check(table, path)
    part = table["part"].values[table["snapshot_regime"].values]
    features, truth = table["features"].values, table["morphology_of_state"].values
    weight = np.zeros(len(truth))
    for one in ("training", "calibration"):
        number = np.bincount(truth[part == one], minlength=len(MORPHOLOGIES))
        weight[part == one] = (_PRIOR / np.maximum(number, 1))[truth[part == one]]
    learn, calibrate = part == "training", part == "calibration"
    trees = HistGradientBoostingClassifier(
        max_iter=_TREES, learning_rate=_RATE, max_leaf_nodes=_LEAVES, l2_regularization=_SMOOTHING,
        max_bins=_BINS, early_stopping=False,
    )  # fmt: skip
    # Leaves are held to a least sum of weights, so these are 1 on average; and sums over several
    # threads would differ in their last digits.
    with threadpool_limits(1, "openmp"):
        trees.fit(
            _filled(features[learn]), truth[learn],
            sample_weight=weight[learn] / weight[learn].mean(),
        )  # fmt: skip
    votes, truth, weight = _votes(trees, features[calibrate]), truth[calibrate], weight[calibrate]

    def surprise(sharpness: float) -> float:
        return -weight @ np.log(_sharpened(votes, sharpness)[np.arange(len(truth)), truth])

    sharpness = float(minimize_scalar(surprise, bounds=(0.2, 3.0), method="bounded").x)
    between = caught(_sharpened(votes, sharpness))
    detection = Detection(
        recall=float(between[truth != _WHOLE].mean()),
        false_alarm=float(between[truth == _WHOLE].mean()),
    )
    regime = table["snapshot_regime"].values[calibrate]
    alike = _alike(_sharpened(votes, sharpness)[between], truth[between], regime[between])
    return Morphologist(trees, sharpness, _PRIOR, detection, alike)


def _alike(posterior: np.ndarray, truth: np.ndarray, regime: np.ndarray) -> float:
    """Intraclass correlation, by regime, of what posteriors are off the truth."""
    off = np.eye(len(MORPHOLOGIES))[truth] - posterior
    together, alone = 0.0, 0.0
    for one in np.unique(regime):
        own = off[regime == one]
        if len(own) > 1:
            square = (own**2).sum()
            together += ((own.sum(axis=0) ** 2).sum() - square) / (len(own) - 1)
            alone += square
    return float(np.clip(together / alone, 0.0, 1.0))


def _check(table: xr.Dataset, path: Path) -> None:
    for name, known in (("feature", FEATURES), ("morphology", MORPHOLOGIES)):
        if tuple(table[name].values) != known:
            raise InputError(
                path, f"its {name}s are not those of this version", field=name,
                remedy="make it again: python -m benchmarks.snapshots",
            )  # fmt: skip


def _votes(trees: HistGradientBoostingClassifier, features: np.ndarray) -> np.ndarray:
    """What the trees say (grain, morphology), before it is held against other regimes."""
    votes = np.zeros((len(features), len(MORPHOLOGIES)))
    if len(features):
        votes[:, trees.classes_] = trees.predict_proba(_filled(features))
    return votes


def _filled(features: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.clip(features, -_MOST, _MOST), nan=-_MOST).astype("f4")


def _sharpened(votes: np.ndarray, sharpness: float) -> np.ndarray:
    powers = np.maximum(votes, 1e-3) ** sharpness
    posterior = powers / powers.sum(axis=1, keepdims=True)
    return (1.0 - _LEAST) * posterior + _LEAST * _PRIOR
