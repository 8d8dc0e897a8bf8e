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

from phasefront.diffraction.cells import strain_basis
from phasefront.diffraction.crystals import Crystal
from phasefront.tomography.mixtures import Mixture
from phasefront.tomography.statement import Frame

# Ratios of lengths are good to 0.1 % after correction of distortions (Brazda, Klementova, Krysiak
# and Palatinus, IUCrJ 9, 735, 2022): of each of the two strains 0.07 %.
FLOOR = 7e-4
# Errors are known beforehand to a factor of 2: the size of all has a prior (scaled inverse chi
# squared) of so many degrees of freedom, 95 % of which is between 0.7 and 1.9. Chosen.
_FREEDOM = 8.0
# The stretch of patterns where nobody states it: Student's of 2 degrees of freedom with this scale,
# as 1 % is usual before correction and several percent are seen (Brazda et al.). Chosen. Its size
# is taken at the middles of so many equal shares of its probability.
_USUAL_STRETCH, _STRETCH_FREEDOM, _SHARES = 0.01, 2.0, 16
_UNKNOWN_SCALE = 1.0  # relative error of lengths: what is left are ratios
# Mean squares of a stretch whose direction is not known, as a share of that along and across it:
# the parts without change of volume, 8/3 and 2, over the five that there are.
_ANY_DIRECTION = 14 / 15


@dataclass(frozen=True, eq=False)
class Strain:
    """Reciprocal strain from a phase's cell, in its `strain_basis` (m,), lengths' common scale left
    out of the covariance's account: what it says holds for ratios.

    `forbidden` (6 - m,) is the strain that symmetry forbids; `chi_squared` its square over its
    expected errors, `freedom` their number: 0 where the program imposed the symmetry. `surprise` is
    -2 log of how likely it is, to a constant. `mixture` is the whole distribution of what is
    allowed, of which `allowed` and `covariance` are mean and covariance.
    """

    mixture: Mixture
    forbidden: np.ndarray
    chi_squared: float
    freedom: int
    surprise: float

    @property
    def allowed(self) -> np.ndarray:
        return self.mixture.mean

    @property
    def covariance(self) -> np.ndarray:  # (m, m)
        return self.mixture.covariance


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


def stretches(stated: float | None) -> np.ndarray:
    """Standard errors of the stretch of patterns, (k,), each as likely beforehand as the others:
    the one that is stated, or those that instruments have where none is."""
    if stated is not None:
        return np.array([stated])
    shares = (np.arange(_SHARES) + 0.5) / _SHARES
    return _USUAL_STRETCH * np.sqrt(_STRETCH_FREEDOM / stats.chi2.ppf(shares, _STRETCH_FREEDOM))


def systematic(
    crystal: Crystal, rotation: np.ndarray, frame: Frame | None, sizes: np.ndarray
) -> np.ndarray:
    """Covariances (k, 6, 6) in `full_basis` of what stretches and other distortions do to a strain.

    Parameters
    ----------
    rotation
        (3, 3), rows, from the crystal's axes to those of `frame`.
    frame
        Axis of tilting and beam in the middle of the series; None where files do not say.
    sizes
        (k,) standard errors of the stretch of patterns: of the difference of the half axes of what
        should be a circle, relative.

    A stretch along the tilt axis changes lengths along it, and those across it the other way, which
    is a uniaxial strain; one at 45 degrees shears the plane of the tilt axis and of the camera's
    other axis at the middle of the series (derived here; the shear's size is within 5 % of this for
    series of up to 120 degrees). To this adds `FLOOR`, the same in every direction.
    """
    basis, _ = full_basis(crystal)
    floor = FLOOR**2 * np.eye(6)
    each = (sizes[:, None, None] / 2) ** 2 / 2  # half axes are off by half: along and at 45 degrees
    if frame is None:
        return floor + _ANY_DIRECTION * each * np.eye(6)
    turning, beam = frame.turning_axis @ rotation.T, frame.beam @ rotation.T
    across = np.cross(beam, turning)
    across /= np.linalg.norm(across)
    tensors = (
        2 * np.outer(turning, turning) - np.eye(3),
        np.outer(turning, across) + np.outer(across, turning),
    )
    along = np.array([coefficients(basis, tensor) for tensor in tensors])
    return floor + each * (along.T @ along)


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
    statistical
        Covariance (6, 6) in `full_basis`.
    systematic
        The same of systematic errors, (k, 6, 6): ways in which they may be, each as likely.
    free
        Whether the cell was refined free of symmetry. If not, what is forbidden is zero by the
        program's will and bears no witness.

    What is forbidden is error alone, so it corrects what is allowed where errors of the two go
    together, as those of a stretch along a known direction do. It tells, too, which of the ways is
    likely, and how large all errors are over what was expected: with a conjugate prior of that
    variance what is allowed has Student's distribution (Gelman et al., Bayesian Data Analysis, 3rd
    ed., 14.2). As a posterior this holds whichever cells are refused for being too uncertain.
    """
    basis, allowed = full_basis(crystal)
    found = coefficients(basis, tensor)
    # All lengths changed alike change 1 + F in proportion; what breaks symmetry is no part of it.
    scale = coefficients(basis, np.eye(3) + tensor)
    scale[allowed:] = 0.0
    scale /= np.linalg.norm(scale)
    # Systematic errors are relative to what was measured, strains to the phase's cell.
    measured = np.linalg.det(np.eye(3) + tensor) ** (2 / 3)
    unknown = _UNKNOWN_SCALE**2 * np.outer(scale, scale)
    freedom = 6 - allowed if free else 0
    total = statistical + measured * systematic + unknown
    within, across = total[:, :allowed, :allowed], total[:, :allowed, allowed:]
    forbidden, breaking = total[:, allowed:, allowed:], found[allowed:]
    centres, scales = np.tile(found[:allowed], (len(total), 1)), within
    chi_squared, surprise = np.zeros(len(total)), np.zeros(len(total))
    if freedom:
        weight = across @ np.linalg.inv(forbidden)
        centres = found[:allowed] - weight @ breaking
        scales = within - weight @ across.transpose(0, 2, 1)
        chi_squared = np.linalg.inv(forbidden) @ breaking @ breaking
        wide = (_FREEDOM + freedom) * np.log1p(chi_squared / _FREEDOM)
        surprise = np.linalg.slogdet(forbidden)[1] + wide
    larger = (_FREEDOM + chi_squared) / (_FREEDOM + freedom)
    # The scale is not known any better where symmetry is broken.
    scale_alone = unknown[:allowed, :allowed]
    scales = scale_alone + larger[:, None, None] * (scales - scale_alone)
    likely = np.exp((surprise.min() - surprise) / 2)
    weights = likely / likely.sum()
    return Strain(
        Mixture(weights, centres, scales, _FREEDOM + freedom), breaking,
        float(weights @ chi_squared), freedom,
        float(surprise.min() - 2 * np.log(likely.mean())),
    )  # fmt: skip
