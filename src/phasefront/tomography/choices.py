"""One way to choose a phase's axes in a measured lattice, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phasefront.diffraction.cell_path import Path as CellPath
from phasefront.diffraction.cells import propagated
from phasefront.diffraction.crystals import Crystal
from phasefront.tomography import strains
from phasefront.tomography.statement import Frame
from phasefront.tomography.steps import slope_of

# Degree, and relative of lengths: a lattice that is this far from its symmetry is of a twin, of
# another symmetry or of an instrument in disorder, and no error of a few per mille.
_LARGEST_ANGLE, _LARGEST_LENGTH = 0.5, 0.01
# A forbidden strain below this is rounding: the program imposed the symmetry.
_IMPOSED = 2e-4


@dataclass(frozen=True, eq=False)
class Choice:
    """One way to choose the phase's axes, and what comes of it."""

    transformation: np.ndarray
    axes: np.ndarray  # (3, 3) rows, angstrom, free of symmetry
    strain: strains.Strain
    content: np.ndarray  # (3,), with the ends of its 95 % interval
    from_path: float  # standard errors

    @property
    def misfit(self) -> float:
        """-2 log of how likely it is, to a constant."""
        return self.strain.surprise + self.from_path**2


def choose(
    matrix: np.ndarray,
    measured: tuple[np.ndarray, np.ndarray],
    crystal: Crystal,
    *,
    observed: bool,
    frame: Frame | None,
    distortion: float | None,
    path: CellPath | None,
    phase: int,
) -> Choice:
    """What a cell says in the setting that `matrix` makes of its axes.

    Parameters
    ----------
    matrix
        (3, 3), from measured axes to those of the phase.
    measured
        Rows a, b, c (3, 3), angstrom, and the covariance (9, 9) of their numbers, row by row.
    observed
        Whether it was refined, free of symmetry, on observed spots.
    frame
        As `strains.systematic` takes it.
    distortion
        Standard error of the stretch of patterns, None where nobody states it.
    path, phase
        The cells between those of the phases, if they share a lattice, and which the phase is.
    """
    axes, covariance = measured
    chosen = matrix @ axes
    tensor, rotation = strains.reciprocal_strain(crystal, chosen)
    basis, allowed = strains.full_basis(crystal)

    def found(flat: np.ndarray) -> np.ndarray:
        changed = strains.reciprocal_strain(crystal, matrix @ flat.reshape(3, 3))[0]
        return strains.coefficients(basis, changed)

    slope = slope_of(found, axes)
    systematic = strains.systematic(crystal, rotation, frame, strains.stretches(distortion))
    breaking = strains.coefficients(basis, tensor)[allowed:]
    strain = strains.symmetrised(
        crystal, tensor, slope @ covariance @ slope.T, systematic,
        free=bool(len(breaking)) and (observed or bool(np.abs(breaking).max() > _IMPOSED)),
    )  # fmt: skip
    content, distance = np.full(3, np.nan), 0.0
    if path is not None and allowed > 1:
        content = strain.mixture.interval(*path.locate(phase, *_parts(strain)))
        distance = float(path.distance(phase, *padded(strain))[0])
    return Choice(matrix, chosen, strain, content, distance)


def padded(strain: strains.Strain) -> tuple[np.ndarray, np.ndarray]:
    """Strain (1, 6) and covariance (1, 6, 6), as functions of `diffraction.cells` take them."""
    return _filled(strain.allowed[None], strain.covariance[None])


def _parts(strain: strains.Strain) -> tuple[np.ndarray, np.ndarray]:
    """Centres (k, 6) and scale matrices (k, 6, 6) of its mixture, likewise."""
    return _filled(strain.mixture.centres, strain.mixture.scales)


def _filled(vectors: np.ndarray, matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rest = 6 - vectors.shape[1]
    return np.pad(vectors, ((0, 0), (0, rest))), np.pad(matrices, ((0, 0), (0, rest), (0, rest)))


def off_symmetry(free: np.ndarray, kept: np.ndarray, crystal: Crystal) -> str:
    """How far a cell (6,) is off the same with the phase's symmetry, where that is too far to be an
    error; else empty."""
    angle, length = np.abs(free[3:] - kept[3:]).max(), np.abs(free[:3] / kept[:3] - 1).max()
    if angle <= _LARGEST_ANGLE and length <= _LARGEST_LENGTH:
        return ""
    return (
        f"off the symmetry of {crystal.name} by {angle:.2f} degrees and {100 * length:.1f} %:"
        " distortions to correct, a twin or another symmetry"
    )


def hull(choices: Sequence[Choice]) -> np.ndarray:
    """Ion content (3,): of the best choice, with an interval that covers those of all."""
    ends = np.array([one.content for one in choices])
    return np.array([ends[0, 0], ends[:, 1].min(), ends[:, 2].max()])


def axial_ratio(path: CellPath | None, phase: int, best: Choice) -> np.ndarray:
    """c over the mean of a and b of the lattice that phases share, (3,); NaN without one."""
    if path is None:
        return np.full(3, np.nan)

    def of(strain: np.ndarray) -> np.ndarray:
        return path.axial_ratio(phase, strain)

    centres, scales = _parts(best.strain)
    variances = propagated(of, centres, scales)[:, 0, 0]
    return best.strain.mixture.interval(of(centres)[:, 0], np.sqrt(np.maximum(variances, 0.0)))
