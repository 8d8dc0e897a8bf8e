"""A cell refined again on its spots, free of symmetry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from phasefront.core.errors import InputError
from phasefront.tomography.statement import Spots

# Of an index: a spot further off is of another crystal, or stray. A quarter is half way between
# chance and right; what is left within is weighed by how far it is off.
_FARTHEST = 0.25
# Degrees of freedom of Student's t, the weight of spots that are off by several errors, and rounds
# of weighing: as in `diffraction.cells`. The scale of the errors is that of their median.
_FREEDOM, _ROUNDS = 4.0, 10
# Spots with indices, and different reflections among them; nine numbers are fitted. Chosen.
_FEWEST_SPOTS, _FEWEST_REFLECTIONS = 30, 12
_MOST_LEVERAGE = 0.9  # a spot that the fit follows wholly would tell nothing of errors. Chosen.
_LEAST_SHARE = 0.5  # of all spots: a cell that indexes fewer is not theirs. Chosen.


@dataclass(frozen=True, eq=False)
class FreeCell:
    """Rows a*, b*, c* (3, 3), 1/angstrom, with the covariance (9, 9) of their nine numbers, row by
    row; the root mean square of residuals, 1/angstrom, and the numbers of spots used and given."""

    axes: np.ndarray
    covariance: np.ndarray
    residual: float
    used: int
    given: int


def refine_free(spots: Spots, source: str) -> FreeCell:
    """Least squares of all nine numbers of a*, b*, c* on spots, with weights of Student's t.

    The cell is known beforehand: it gives the spots their indices where they lack them, and is
    never found from nothing. The covariance holds for errors that differ with direction and length,
    and for spots of one reflection that err alike.

    Raises InputError for too few spots, for spots in one plane, and where the cell that is known
    beforehand does not index half of them.
    """
    q, axes = spots.q, spots.axes
    for _ in range(_ROUNDS):  # indices change as axes get better, until they do not
        exact = q @ np.linalg.inv(axes)
        hkl = np.round(exact) if spots.hkl is None else spots.hkl
        fits = (np.abs(exact - hkl) < _FARTHEST).all(axis=1) & hkl.any(axis=1)
        if fits.sum() < _LEAST_SHARE * len(q):
            raise InputError(
                source, f"the cell indexes {fits.sum()} of {len(q)} spots", field="spots",
                remedy="name the cell and the spots of one measurement",
            )  # fmt: skip
        _check_enough(hkl[fits], source)
        weights = _weights(q[fits] - hkl[fits] @ axes)
        design = hkl[fits] * weights[:, None]
        information = design.T @ hkl[fits]
        axes = np.linalg.solve(information, design.T @ q[fits])
    residuals = q[fits] - hkl[fits] @ axes
    return FreeCell(
        axes, _covariance(hkl[fits], q[fits], residuals),
        float(np.sqrt(np.mean(residuals**2))), int(fits.sum()), len(q),
    )  # fmt: skip


def _check_enough(hkl: np.ndarray, source: str) -> None:
    different = np.unique(hkl * np.where(_first_sign(hkl) < 0, -1, 1)[:, None], axis=0)
    flat = np.linalg.matrix_rank(different) < 3
    if len(hkl) < _FEWEST_SPOTS or len(different) < _FEWEST_REFLECTIONS or flat:
        raise InputError(
            source, f"{len(hkl)} spots of {len(different)} reflections"
            f"{' in one plane' if flat else ''} are too few to refine a cell on", field="spots",
            remedy="give more zones, or leave the spots out",
        )  # fmt: skip


def _first_sign(hkl: np.ndarray) -> np.ndarray:
    """Sign of the first index that is not 0, (n,), which tells a reflection from its mate."""
    first = np.argmax(hkl != 0, axis=1)
    return np.sign(hkl[np.arange(len(hkl)), first])


def _variance(residuals: np.ndarray) -> float:
    """Of each component of what is off, from the median square of residuals (n, 3)."""
    # 2.366 is the median of chi squared with three degrees of freedom; none is off by nothing.
    return max(float(np.median(np.sum(residuals**2, axis=1))) / 2.366, 1e-16)


def _weights(residuals: np.ndarray) -> np.ndarray:
    """Of Student's t in three dimensions (Lange, Little and Taylor, JASA 84, 881, 1989)."""
    return (_FREEDOM + 3) / (_FREEDOM + np.sum(residuals**2, axis=1) / _variance(residuals))


def _covariance(hkl: np.ndarray, q: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    """Covariance (9, 9) of the axes, row by row, of spots at `q` with these residuals, all (n, 3).

    The squared score of each spot is not taken as it is, as in the sandwich of clusters: with a few
    dozen spots that is a noisy matrix, and chi squared by it 1.3 times too large. Scores have the
    covariance of `_expected` instead. What the fit takes from a residual its leverage gives back.
    """
    weights, variance = _weights(residuals), _variance(residuals)
    # The score of a spot, w r, changes with its residual r by w - 2 w^2 r r' / (7 variance).
    steep = 2 * weights**2 / ((_FREEDOM + 3) * variance)
    change = weights[:, None, None] * np.eye(3) - np.einsum(
        "n,ni,nj->nij", steep, residuals, residuals
    )
    bread = np.linalg.inv(np.einsum("na,nb,nij->aibj", hkl, hkl, change).reshape(9, 9))
    traces = np.einsum("aibi->ab", bread.reshape(3, 3, 3, 3)) / 3
    leverage = weights * np.einsum("na,nb,ab->n", hkl, hkl, traces)
    scores = (
        weights[:, None] * residuals / np.sqrt(1 - np.minimum(leverage, _MOST_LEVERAGE))[:, None]
    )
    meat = np.einsum("na,nb,nij->aibj", hkl, hkl, _expected(scores, q)).reshape(9, 9)
    return _repeated(hkl, scores) * bread @ meat @ bread.T


def _expected(scores: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Covariances (n, 3, 3) of scores (n, 3) of spots at `q` (n, 3), by least squares.

    Each is a sum of variances along three fixed directions, those of the principal axes of all
    scores (as errors along the beam are), along the spot's vector and across it, and of parts along
    and across it that grow with the square of its length (as errors of orientation do).
    """
    fixed = np.linalg.eigh(scores.T @ scores)[1].T
    growing = np.einsum("ni,nj->nij", q, q)
    square = np.sum(q**2, axis=1)[:, None, None]
    parts = [
        *(np.broadcast_to(np.outer(one, one), growing.shape) for one in fixed),
        growing / square, np.eye(3) - growing / square, growing, square * np.eye(3) - growing,
    ]  # fmt: skip
    design = np.stack([part.ravel() for part in parts], axis=1)
    sizes = nnls(design, np.einsum("ni,nj->nij", scores, scores).ravel())[0]
    return (design @ sizes).reshape(growing.shape)


def _repeated(hkl: np.ndarray, scores: np.ndarray) -> float:
    """Factor of variances because spots of one reflection err alike (Kish, Survey Sampling, 1965):
    the squared sum over each reflection over what independent spots would have; at least 1."""
    _, cluster = np.unique(hkl, axis=0, return_inverse=True)
    summed = np.zeros((cluster.max() + 1, 3))
    np.add.at(summed, cluster.ravel(), scores)
    return max(1.0, float(np.sum(summed**2) / np.sum(scores**2)))
