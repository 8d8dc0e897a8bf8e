"""The strain from a phase's cell to a measured one, with errors that symmetry bears witness to.

A tilt series errs in three ways. Spots are placed with errors of their own. The camera length is
off, which changes all lengths alike and no ratio of them. And patterns are stretched (an elliptical
distortion), which changes ratios and breaks the symmetry of the lattice: what a phase's symmetry
forbids and a cell still has is error, and tells how large the error of what it allows is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.linalg import sqrtm

from phasefront.core.statistics import NORMAL_95
from phasefront.diffraction.cells import strain_basis
from phasefront.diffraction.crystals import Crystal
from phasefront.tomography.statement import Frame

# Ratios of lengths are good to 0.1 % after correction of distortions (Brazda, Klementova, Krysiak
# and Palatinus, IUCrJ 9, 735, 2022): of each of the two strains 0.07 %.
FLOOR = 7e-4
_AS_EXPECTED = 0.05  # p of a breaking of symmetry, the level of 95 % intervals
_UNKNOWN_SCALE = 1.0  # relative error of lengths: what is left are ratios
# Mean squares of a stretch whose direction is not known, as a share of that along and across it:
# the parts without change of volume, 8/3 and 2, over the five that there are.
_ANY_DIRECTION = 14 / 15


@dataclass(frozen=True, eq=False)
class Strain:
    """Reciprocal strain from a phase's cell, in its `strain_basis` (m,), lengths' common scale left
    out of the covariance's account: what it says holds for ratios.

    `forbidden` (6 - m,) is the strain that symmetry forbids; `chi_squared` its square over its
    expected errors, `freedom` their number: 0 where the program imposed the symmetry.
    """

    allowed: np.ndarray
    covariance: np.ndarray  # (m, m)
    forbidden: np.ndarray
    chi_squared: float
    freedom: int

    @property
    def quantile(self) -> float:
        """Of 95 % for errors of `covariance`: Student's where their size is from the breaking
        alone, because it is larger than what was expected, at 5 %."""
        if not self.freedom or stats.chi2.sf(self.chi_squared, self.freedom) > _AS_EXPECTED:
            return float(NORMAL_95)
        return float(stats.t.ppf(0.975, self.freedom))

    @property
    def widened(self) -> float:
        """Factor of variances: chi squared per degree of freedom, where above 1 (Birge)."""
        return max(1.0, self.chi_squared / self.freedom) if self.freedom else 1.0


def full_basis(crystal: Crystal) -> tuple[np.ndarray, int]:
    """Six orthonormal symmetric strains (6, 3, 3), and how many, the first, symmetry allows."""
    allowed = strain_basis(crystal)
    basis = list(allowed)
    for i in range(3):
        for j in range(i + 1):
            unit = np.zeros((3, 3))
            unit[i, j] = unit[j, i] = 1.0
            rest = unit - sum(np.sum(unit * other) * other for other in basis)
            length = np.linalg.norm(rest)
            if length > 1e-6:
                basis.append(rest / length)
    return np.array(basis), len(allowed)


def reciprocal_strain(crystal: Crystal, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The symmetric strain (3, 3) of the reciprocal lattice, g' = (1 + F) g, in the crystal's
    Cartesian axes, and the rotation (3, 3) from there to the frame of `axes`.

    `axes` (3, 3): rows a, b, c, angstrom, in the phase's setting. Vectors are rows: r' = r S R with
    the stretch S and the rotation R (polar decomposition).
    """
    own = np.linalg.inv(crystal.reciprocal).T
    change = np.linalg.inv(own) @ axes
    stretch = np.real(sqrtm(change @ change.T))
    return np.linalg.inv(stretch) - np.eye(3), np.linalg.inv(stretch) @ change


def coefficients(basis: np.ndarray, tensor: np.ndarray) -> np.ndarray:
    """Of a symmetric tensor in an orthonormal basis, (6,)."""
    return np.einsum("kij,ij->k", basis, tensor)


def systematic(
    crystal: Crystal, rotation: np.ndarray, frame: Frame | None, distortion: float
) -> np.ndarray:
    """Covariance (6, 6) in `full_basis` of what stretches and other distortions do to a strain.

    Parameters
    ----------
    rotation
        (3, 3), rows, from the crystal's axes to those of `frame`.
    frame
        Axis of tilting and beam in the middle of the series; None where files do not say.
    distortion
        Standard error of the stretch of patterns: of the difference of the half axes of what should
        be a circle, relative.

    A stretch along the tilt axis changes lengths along it, and those across it the other way, which
    is a uniaxial strain; one at 45 degrees shears the plane of the tilt axis and of the camera's
    other axis at the middle of the series (derived here; the shear's size is within 5 % of this for
    series of up to 120 degrees). To this adds `FLOOR`, the same in every direction.
    """
    basis, _ = full_basis(crystal)
    covariance = FLOOR**2 * np.eye(6)
    each = (distortion / 2) ** 2 / 2  # half axes are off by half, and so along and at 45 degrees
    if frame is None:
        return covariance + _ANY_DIRECTION * each * np.eye(6)
    turning, beam = frame.turning_axis @ rotation.T, frame.beam @ rotation.T
    across = np.cross(beam, turning)
    across /= np.linalg.norm(across)
    for tensor in (
        2 * np.outer(turning, turning) - np.eye(3),
        np.outer(turning, across) + np.outer(across, turning),
    ):
        along = coefficients(basis, tensor)
        covariance += each * np.outer(along, along)
    return covariance


def symmetrised(
    crystal: Crystal,
    tensor: np.ndarray,
    statistical: np.ndarray,
    systematic: np.ndarray,
    *,
    free: bool,
) -> Strain:
    """The strain that symmetry allows, by generalised least squares on all six.

    Parameters
    ----------
    tensor
        (3, 3), as from `reciprocal_strain`.
    statistical, systematic
        Covariances (6, 6) in `full_basis`.
    free
        Whether the cell was refined free of symmetry. If not, what is forbidden is zero by the
        program's will and bears no witness.

    What is forbidden is error alone, so it corrects what is allowed where errors of the two go
    together, as those of a stretch along a known direction do.
    """
    basis, allowed = full_basis(crystal)
    found = coefficients(basis, tensor)
    # All lengths changed alike change 1 + F in proportion; what breaks symmetry is no part of it.
    scale = coefficients(basis, np.eye(3) + tensor)
    scale[allowed:] = 0.0
    scale /= np.linalg.norm(scale)
    # Systematic errors are relative to what was measured, strains to the phase's cell.
    measured = np.linalg.det(np.eye(3) + tensor) ** (2 / 3)
    total = statistical + measured * systematic + _UNKNOWN_SCALE**2 * np.outer(scale, scale)
    if not free:
        return Strain(found[:allowed], total[:allowed, :allowed], found[allowed:], 0.0, 0)
    weight = np.linalg.inv(total)
    covariance = np.linalg.inv(weight[:allowed, :allowed])
    best = covariance @ weight[:allowed] @ found
    rest = found - np.concatenate([best, np.zeros(6 - allowed)])
    strain = Strain(best, covariance, found[allowed:], float(rest @ weight @ rest), 6 - allowed)
    # The scale is not known any better where symmetry is broken.
    ratios = covariance - _UNKNOWN_SCALE**2 * np.outer(scale, scale)[:allowed, :allowed]
    widened = covariance + (strain.widened - 1) * ratios
    return Strain(best, widened, strain.forbidden, strain.chi_squared, strain.freedom)
