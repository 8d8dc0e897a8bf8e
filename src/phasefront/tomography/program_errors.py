"""Standard uncertainties as programs state them, as covariances of a cell's axes."""

from __future__ import annotations

import gemmi
import numpy as np

from phasefront.diffraction.cells import parameters_of
from phasefront.tomography.statement import Statement
from phasefront.tomography.steps import slope_of

# Relative, and degree: axes of spots are those of the stated cell where they agree so. A program's
# cell and one refined again differ by distortions of a few percent. Chosen.
_SAME_LENGTH, _SAME_ANGLE = 0.05, 2.0


def stated_covariance(statement: Statement, axes: np.ndarray) -> np.ndarray:
    """Covariance (9, 9) of the numbers of `axes`, row by row, by the e.s.d. that files state.

    Parameters
    ----------
    statement
        Has a cell with its e.s.d.
    axes
        (3, 3), rows a, b, c, angstrom, of that lattice, in any frame.

    Programs state no correlations, so parameters err independently. Where the camera length was
    refined with the cell (XDS states 2 % of each length then), what e.s.d. of all lengths have in
    common is its error, and an error of no ratio. Where `axes` are others than those of the stated
    cell, every strain errs by the largest of the relative e.s.d.
    """
    cell, esd = statement.cell, statement.cell_esd
    relative = esd[:3] / cell[:3]
    known = relative[relative > 0]
    common = known.min() if statement.scale_refined and len(known) else 0.0
    own = np.sqrt(np.maximum(relative**2 - common**2, 0.0))
    scale = common**2 * np.outer(axes.ravel(), axes.ravel())
    found = parameters_of(axes[None])[0]
    same = (
        np.abs(found[:3] / cell[:3] - 1).max() < _SAME_LENGTH
        and np.abs(found[3:] - cell[3:]).max() < _SAME_ANGLE
    )
    if not same:
        largest = max(own.max(), np.radians(esd[3:]).max())
        return scale + largest**2 * sum(
            np.outer((axes @ strain).ravel(), (axes @ strain).ravel()) for strain in _strains()
        )
    standing = upright(cell)
    slope = slope_of(lambda numbers: upright(numbers).ravel(), cell)
    # The axes may stand turned; errors of the cell are turned along.
    turn = np.kron(np.eye(3), (np.linalg.inv(standing) @ axes).T)
    by_parameter = np.diag(np.concatenate([own * cell[:3], esd[3:]]) ** 2)
    return scale + turn @ slope @ by_parameter @ slope.T @ turn.T


def _strains() -> np.ndarray:
    """Six orthonormal symmetric strains (6, 3, 3)."""
    strains = []
    for i in range(3):
        for j in range(i + 1):
            strain = np.zeros((3, 3))
            strain[i, j] = strain[j, i] = 1.0 if i == j else np.sqrt(0.5)
            strains.append(strain)
    return np.array(strains)


def larger_of(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """A covariance that is nowhere below `one`, of full rank, nor below `other`, (n, n) each.

    In the axes in which both are diagonal it has the larger of each two variances.
    """
    root = np.linalg.cholesky(one)
    inverse = np.linalg.inv(root)
    variances, directions = np.linalg.eigh(inverse @ other @ inverse.T)
    whole = root @ directions
    return whole * np.maximum(variances, 1.0) @ whole.T


def upright(cell: np.ndarray) -> np.ndarray:
    """Rows a, b, c (3, 3) of a cell: a along x, b in the plane of x and y."""
    return np.array(gemmi.UnitCell(*cell).orth.mat).T
