"""Elastic energy of a coherent plane between two phases, as a function of the plane's normal.

Two phases of one grain whose lattices run through their interface strain each other. How much
depends on the plane alone: it is what prefers a habit plane.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Voigt's order of the pairs of indices.
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def stiffness_tensor(voigt: np.ndarray) -> np.ndarray:
    """Stiffness C_ijkl (3, 3, 3, 3) from Voigt's matrix (6, 6), in the unit of that.

    Nye, Physical Properties of Crystals, chapter VIII: C_ijkl = c_mn without factors.
    """
    matrix = np.asarray(voigt, float)
    tensor = np.empty((3, 3, 3, 3))
    for m, (i, j) in enumerate(VOIGT):
        for n, (k, l) in enumerate(VOIGT):  # noqa: E741 - as every book writes it
            for a, b in ((i, j), (j, i)):
                tensor[a, b, k, l] = tensor[a, b, l, k] = matrix[m, n]
    return tensor


def orthorhombic(
    c11: float, c22: float, c33: float, c44: float, c55: float, c66: float, c12: float, c13: float,
    c23: float,
) -> np.ndarray:  # fmt: skip
    """Voigt's matrix (6, 6) of an orthorhombic crystal from its nine constants."""
    matrix = np.diag(np.array([c11, c22, c33, c44, c55, c66], float))
    for (i, j), value in (((0, 1), c12), ((0, 2), c13), ((1, 2), c23)):
        matrix[i, j] = matrix[j, i] = value
    return matrix


def isotropic(young: float, poisson: float) -> np.ndarray:
    """Voigt's matrix (6, 6) from Young's modulus and Poisson's ratio."""
    shear = young / (2 * (1 + poisson))
    lame = young * poisson / ((1 + poisson) * (1 - 2 * poisson))
    longitudinal = lame + 2 * shear
    return orthorhombic(*3 * [longitudinal], *3 * [shear], *3 * [lame])


def of_constants(constants: Sequence[float]) -> np.ndarray:
    """Voigt's matrix (6, 6) from as many constants as a crystal system has, in their unit.

    Two: Young's modulus and Poisson's ratio; six: C11, C33, C44, C66, C12, C13 of a tetragonal
    crystal (4/mmm); nine: C11, C22, C33, C44, C55, C66, C12, C13, C23 of an orthorhombic one.

    Raises ValueError for another number, or for constants that no stable crystal has.
    """
    impossible = ValueError(
        "no stable crystal has these elastic constants; check their order, signs and unit"
    )
    if len(constants) == 2:
        if not -1 < constants[1] < 0.5:
            raise impossible
        matrix = isotropic(*constants)
    elif len(constants) == 6:
        c11, c33, c44, c66, c12, c13 = constants
        matrix = orthorhombic(c11, c11, c33, c44, c44, c66, c12, c13, c13)
    elif len(constants) == 9:
        matrix = orthorhombic(*constants)
    else:
        raise ValueError(
            f"{len(constants)} elastic constants; give 2 (isotropic: E, nu), 6 (tetragonal) or 9"
            " (orthorhombic)"
        )
    if not np.isfinite(matrix).all() or np.linalg.eigvalsh(matrix).min() <= 0:
        raise impossible
    return matrix


def coherency_energy(voigt: np.ndarray, misfit: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Coherency energy B(n) of lamellae with the normals n (..., 3), in the unit of the stiffness.

    B(n) = e:C:e - n.s.G(n).s.n with s = C:e and G(n)^-1 = n.C.n (Khachaturyan, Theory of Structural
    Transformations in Solids, 1983, chapter 8): a thin lamella of the strain `misfit` in a matrix
    has the elastic energy B/2 per volume; it is never negative, and does not depend on n's sign.

    Parameters
    ----------
    voigt
        Stiffness, (6, 6), in the Cartesian axes of the crystal.
    misfit
        Strain (3, 3) from one phase to the other without stress, in the same axes.
    normals
        Of any length but 0, in the same axes.

    Raises
    ------
    ValueError
        The stiffness is not symmetric and positive definite: no crystal has it.
    """
    unit, stress, relaxed = _relaxed(voigt, misfit, normals)
    return np.sum(stress * misfit) - np.sum((unit @ stress) * relaxed, axis=-1)


def front_rotation_deg(voigt: np.ndarray, misfit: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Angle (degree) by which lattices turn against each other across coherent fronts (...).

    A lamella's displacements have the gradient a n with a = G(n).s.n (as for `coherency_energy`,
    which says what the arguments are); the lattice turns by the antisymmetric part, |a x n| / 2.
    0 on planes of symmetry.
    """
    unit, _, relaxed = _relaxed(voigt, misfit, normals)
    return np.rad2deg(np.linalg.norm(np.cross(relaxed, unit), axis=-1) / 2.0)


def _relaxed(voigt, misfit, normals) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit normals, stress of the misfit when held, and what a lamella's material moves by."""
    matrix = np.asarray(voigt, float)
    if not np.allclose(matrix, matrix.T) or np.linalg.eigvalsh(matrix).min() <= 0:
        raise ValueError("the stiffness is not a symmetric, positive definite matrix")
    tensor, strain = stiffness_tensor(matrix), np.asarray(misfit, float)
    normals = np.asarray(normals, float)
    unit = normals / np.linalg.norm(normals, axis=-1, keepdims=True)
    stress = np.einsum("ijkl,kl", tensor, strain)
    traction = unit @ stress
    acoustic = np.einsum("...i,ijkl,...l->...jk", unit, tensor, unit)
    return unit, stress, np.linalg.solve(acoustic, traction[..., None])[..., 0]


def softest_normal(voigt: np.ndarray, misfit: np.ndarray) -> np.ndarray:
    """The unit normal (3,) whose plane costs least, z not negative; the best of a grid, refined.

    Symmetry of the crystal makes others equal to it.
    """
    from scipy.optimize import minimize

    number = np.arange(4000) + 0.5  # Fibonacci's lattice on the half sphere
    z, azimuth = number / len(number), np.pi * (1 + 5**0.5) * number
    radius = np.sqrt(1 - z**2)
    grid = np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], axis=-1)
    best = grid[coherency_energy(voigt, misfit, grid).argmin()]
    found = minimize(
        lambda normal: coherency_energy(voigt, misfit, normal), best, method="Nelder-Mead",
        options={"xatol": 1e-6, "fatol": 1e-12},
    ).x  # fmt: skip
    unit = found / np.linalg.norm(found)
    return -unit if unit[2] < 0 else unit
