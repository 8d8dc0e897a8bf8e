"""A cell refined again on its spots, free of symmetry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    never found from nothing. The covariance is that of clusters (Liang and Zeger, Biometrika 73,
    13, 1986), each of them a reflection, for the spots of one are not independent; it holds for
    errors that differ with direction.

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
        axes, _clustered(hkl[fits], residuals),
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


def _clustered(hkl: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    """Covariance (9, 9) of the axes, row by row, from scores summed over each reflection."""
    weights, variance = _weights(residuals), _variance(residuals)
    _, cluster = np.unique(hkl, axis=0, return_inverse=True)
    scores = (hkl[:, :, None] * (weights[:, None] * residuals)[:, None, :]).reshape(len(hkl), 9)
    summed = np.zeros((cluster.max() + 1, 9))
    np.add.at(summed, cluster.ravel(), scores)
    # The score of a spot, w r, changes with its residual r by w - 2 w^2 r r' / (7 variance).
    steep = 2 * weights**2 / ((_FREEDOM + 3) * variance)
    change = weights[:, None, None] * np.eye(3) - np.einsum(
        "n,ni,nj->nij", steep, residuals, residuals
    )
    information = np.einsum("na,nb,nij->aibj", hkl, hkl, change).reshape(9, 9)
    bread = np.linalg.inv(information)
    count = len(summed)
    return bread @ (summed.T @ summed) @ bread.T * count / (count - 3)
