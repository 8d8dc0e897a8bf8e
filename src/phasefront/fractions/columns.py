"""What columns of two phases hold of each: by the ion content of their cells, grain by grain.

A column with less than a quarter of a second phase is decided for the first, and a layer thinner
than a few positions has hardly others, so layers would be missed if what is decided counted whole.
The ion content of a decided column's cell tells little of one column (a standard error near 0.08 of
the step between two phases), yet it is right on the mean. So it is freed of its error for all
columns of a grain together: how their true contents are distributed follows by expectation
maximisation, and each counts by its mean content under that distribution.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import sparse

from phasefront.layouts.phases import MIXED

# Values of the ion content between two phases that stand for all; chosen.
_STEPS = 10
# Rounds of expectation maximisation. Chosen; 300 give the same.
_ROUNDS = 60
# Columns that the scan's distribution counts for in each grain's; chosen.
_COLUMNS = 3.0
# Contents of virtual columns of one phase scatter by 0.75 of their standard errors, of which
# calibration, the same for all columns, has a part. Chosen in between, on scans that
# docs/coverage.md does not report: at 1 half of what thin layers hold is missed, at 0.6 pure
# grains get 0.007 of another phase.
_SCATTER = 0.8


def weigh_columns(
    phases: xr.Dataset, share: np.ndarray, unit: np.ndarray, ion_contents: np.ndarray
) -> np.ndarray:
    """Shares (y, x, phase) of the phases, decided columns and those mixed of one lattice by the
    content of their cells.

    Parameters
    ----------
    phases
        PHASES data set.
    share
        Its shares (y, x, phase).
    unit
        Number of the grain (y, x), -1 where none is known.
    ion_contents
        Ions per formula unit of each phase, (phase,).
    """
    decision = phases["decision"].to_numpy()
    content, error = (
        phases[name].to_numpy().astype("f8") for name in ("ion_content", "ion_content_stderr")
    )
    one = (decision >= 0) | ((decision == MIXED) & (phases["second_phase"].to_numpy() < 0))
    used = one & (unit >= 0) & np.isfinite(content) & (error > 0)
    if not used.any() or len(np.unique(ion_contents)) < len(ion_contents):
        return share
    nodes, composition = _nodes(np.asarray(ion_contents, "f8"))
    squared = ((content[used][:, None] - nodes) / (_SCATTER * error[used][:, None])) ** 2
    likelihood = np.exp(-0.5 * (squared - squared.min(axis=1, keepdims=True)))
    of_grain = _indicator(unit[used])
    known = composition.max(axis=1) == 1
    common = np.where(known, 1.0, 1.0 / _STEPS)
    common = common / common.sum()
    for _ in range(_ROUNDS):
        common = _posterior(likelihood, common).mean(axis=0)
    of_each = np.tile(common, (of_grain.shape[0], 1))
    for _ in range(_ROUNDS):
        counted = of_grain @ _posterior(likelihood, of_grain.T @ of_each) + _COLUMNS * common
        of_each = counted / counted.sum(axis=1, keepdims=True)
    out = share.copy()
    out[used] = _posterior(likelihood, of_grain.T @ of_each) @ composition
    return out


def _nodes(contents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ion contents (node,) from the poorest phase to the richest, and shares (node, phase) there:
    those of the two phases around."""
    order = np.argsort(contents)
    place = np.arange((len(contents) - 1) * _STEPS + 1) / _STEPS
    composition = np.zeros((len(place), len(contents)))
    for number, phase in enumerate(order):
        composition[:, phase] = np.clip(1 - np.abs(place - number), 0, 1)
    return composition @ contents, composition


def _indicator(unit: np.ndarray) -> sparse.csr_array:
    """Which positions (columns) are in which unit (rows)."""
    _, index = np.unique(unit, return_inverse=True)
    ones = np.ones(len(index))
    return sparse.csr_array((ones, (index, np.arange(len(index)))))


def _posterior(likelihood: np.ndarray, prior: np.ndarray) -> np.ndarray:
    joint = likelihood * prior
    return joint / joint.sum(axis=1, keepdims=True)
